"""A folder of somebody who means harm costs one error: nothing that it names is imported, read or run."""

import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from hostile import HOSTILE, SECRET, Singer, has_sung, prepare
from trees import EMBEDDED, LORA

from harness import adapter_fit
from harness.contribute import bounded
from harness.contribute.check import choose
from harness.contribute.contents import strays
from harness.contribute.experiments import review_experiment

NAME = "lora/embedded-llama-k"
# Tensors of dozens of GB, asked for by a method that needs real weights to begin with.
GREEDY = {"peft_type": "UNILORA", "r": 50_000_000, "target_modules": ["k_proj"]}


@pytest.fixture
def cage(tree, monkeypatch):
    """The checkout, with a module beside it that sings when it is imported, and it could be."""
    monkeypatch.syspath_prepend(prepare(tree.root))
    monkeypatch.setattr(adapter_fit, "PATTERN_SECONDS", 0.5)
    return tree


def test_canaries_sing(cage):
    pickle.loads(pickle.dumps(Singer(cage.root / "canary")))  # noqa: S301 (it is our own)
    assert has_sung(cage.root)
    (cage.root / "canary").unlink()
    __import__("evil")
    assert has_sung(cage.root)
    del sys.modules["evil"]


@pytest.mark.parametrize("kind", HOSTILE)
def test_one_error_and_no_song(kind, cage):
    folder = cage.folder(NAME)
    folder.mkdir(parents=True)
    HOSTILE[kind](folder)
    started = time.monotonic()
    review = review_experiment(folder)
    assert time.monotonic() - started < 20
    assert review.has_errors
    assert not has_sung(cage.root)
    assert all(
        one.message.isprintable() and SECRET not in one.message and len(one.message) < 2200 for one in review.concerns
    )


def test_links_beside_folders_are_not_followed(cage):
    cage.folder("lora/linked").symlink_to(cage.root.parent / "outside")
    (cage.folder("lora") / "file").write_text("")
    assert cage.folder("lora/linked").is_dir()
    assert cage.folder("lora/linked") not in choose([], None, cage.root).experiments
    assert [one.message.split("/lora/")[1].split(":")[0] for one in strays(cage.root)] == ["file", "linked"]


@pytest.mark.slow
def test_a_folder_that_takes_for_ever_costs_one_error(tree, monkeypatch):
    folder = tree.write(NAME, LORA, EMBEDDED)
    with bounded.Bounded() as worker:
        assert worker.look_at("experiment", folder).concerns == []
        worker._process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(bounded, "SECONDS", 0.5)
        (found,) = worker.look_at("experiment", folder).concerns
    assert "looking at it takes more than 0.5 s" in found.message


@pytest.mark.slow
def test_a_folder_that_takes_all_memory_or_ends_the_process_costs_one_error(tree):
    folder = tree.write(NAME, LORA, EMBEDDED)
    with bounded.Bounded() as worker:
        (found,) = worker.look_at("experiment", tree.write("unilora/embedded-llama-k", GREEDY, EMBEDDED)).concerns
        assert re.search("memory|allocate|GiB", found.message)
        worker._process.kill()
        (found,) = worker.look_at("experiment", folder).concerns
        assert "the process that looked at it died" in found.message
        assert worker.look_at("experiment", folder).concerns == []


# Documented in CONTRIBUTING.md; -ff writes a file for each process.
STRACE = ["strace", "-f", "-e", "trace=open,openat,openat2,execve,connect", "-o"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_no_file_is_read_outside_of_checkout_environment_and_system(copied, tmp_path):
    outside, folders = prepare(copied), []
    for number, kind in enumerate(HOSTILE):
        folders.append(copied / f"method_comparison/MetaMathQA/experiments/lora/hostile-{number}")
        folders[-1].mkdir()
        HOSTILE[kind](folders[-1])
    log = tmp_path / "strace.log"
    command = [*STRACE, str(log), sys.executable, "contribute.py", "check", *map(str, folders)]
    environment = os.environ | {"PYTHONPATH": str(outside)}  # evil could be imported
    done = subprocess.run(command, cwd=copied, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout.count("  ERROR ") >= len(HOSTILE)
    assert not has_sung(copied)
    written = log.read_text(errors="replace")
    opened = re.findall(r'open(?:at2?)?\((?:AT_FDCWD, )?"([^"]*)"[^\n]*= \d', written)
    assert len(opened) > 1000
    system = ("/usr", "/lib", "/etc", "/proc", "/sys", "/dev")
    allowed = (str(copied), sys.prefix, sys.base_prefix, *system)
    # Python lists every folder of its path; what lies in this one stays closed.
    foreign = {path for path in opened if path.startswith("/") and not path.startswith(allowed)} - {str(outside)}
    assert {path for path in foreign if not path.startswith("/tmp/") or path.startswith(str(tmp_path))} == set()
    assert not [path for path in opened if path.startswith(("/srv", f"{outside}/")) or path.endswith(".bin")]
    assert "htons(443)" not in written, "the hub is not asked"
