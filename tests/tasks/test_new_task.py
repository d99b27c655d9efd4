"""A new task is one folder: the example in CONTRIBUTING.md runs in a copy of the checkout, with nothing else changed."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness.experiment import ROOT
from harness.task import load_task

EXPERIMENT = "experiments/lora/embedded-llama-rank8"
WHOLE = f"method_comparison/Sums/{EXPERIMENT}"


@pytest.fixture
def copied(tmp_path):
    """The checkout without its tasks, and the task of CONTRIBUTING.md in it."""
    root = tmp_path / "checkout"
    root.mkdir()
    shutil.copy(ROOT / "run.py", root)
    shutil.copytree(ROOT / "harness", root / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (data, _), (defaults, adapter) = (  # the other one is a workload's
        re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "json")
    )
    folder = root / WHOLE
    folder.mkdir(parents=True)
    (folder.parents[2] / "data.py").write_text(data)
    (folder.parents[2] / "default_training_params.json").write_text(defaults)
    (folder / "adapter_config.json").write_text(adapter)
    return root


def run(root, *arguments):
    command = [sys.executable, "run.py", *arguments, "--device", "cpu"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_the_example_of_contributing_runs(copied):
    done = run(copied, EXPERIMENT)
    assert done.returncode == 0, done.stderr
    (path,) = copied.glob("results/Sums/*/lora--embedded-llama-rank8--seed0.json")
    result = json.loads(path.read_text())
    assert result["train_info"]["status"] == "success"
    assert result["quality"]["test_score"] > result["quality"]["base_score"], (
        "twenty steps are enough to learn something"
    )
    assert result["provenance"]["harness_commit"] is None, "no git here"


@pytest.mark.slow
def test_subsets_run_one_after_the_other_and_have_a_mean(copied):
    data = copied / "method_comparison" / "Sums" / "data.py"
    text = data.read_text().replace("def load_splits(", 'SUBSETS = ("small", "large")\n\ndef load_splits(')
    data.write_text(text.replace("range(2, 50)", 'range(2, 30 if subset == "small" else 50)'))
    short = ["--set", "max_steps=2", "--set", "eval_steps=2"]

    done = run(copied, WHOLE, "--subset", "tiny")
    assert (done.returncode, "error: --subset: Sums has no subset 'tiny'" in done.stderr) == (2, True)

    done = run(copied, WHOLE, *short)  # modified
    assert done.returncode == 0, done.stderr
    assert re.search(r"Sums: [\d.]+ % accuracy, mean over subsets \(small [\d.]+, large [\d.]+\)", done.stdout)
    written = {json.loads(path.read_text())["task"]["subset"] for path in copied.glob("runs/Sums/*/*/result.json")}
    assert written == {"small", "large"}
    assert not list(copied.glob("results/**/*.json"))

    params = copied / "method_comparison" / "Sums" / "default_training_params.json"
    params.write_text(
        params.read_text().replace('"max_steps": 20, "eval_steps": 10', '"max_steps": 2, "eval_steps": 2')
    )
    assert run(copied, WHOLE, "--subset", "small").returncode == 0
    done = run(copied, WHOLE)
    assert done.returncode == 0, done.stderr
    assert "already there, and not run again: results/Sums/" in done.stdout
    assert {path.name for path in copied.glob("results/Sums/*/*.json")} == {
        "lora--embedded-llama-rank8--small--seed0.json", "lora--embedded-llama-rank8--large--seed0.json"
    }  # fmt: skip
    done = run(copied, WHOLE)
    assert (done.returncode, "exists; choose another --seed" in done.stderr) == (2, True)
    assert run(copied, WHOLE, "--skip-existing").returncode == 0


@pytest.mark.slow
def test_a_subset_that_fails_is_told_and_an_old_result_does_not_stand_in_for_it(copied):
    data = copied / "method_comparison" / "Sums" / "data.py"
    text = data.read_text().replace("def load_splits(", 'SUBSETS = ("one", "two")\n\ndef load_splits(')
    data.write_text(text)
    params = copied / "method_comparison" / "Sums" / "default_training_params.json"
    params.write_text(
        params.read_text().replace('"max_steps": 20, "eval_steps": 10', '"max_steps": 2, "eval_steps": 2')
    )
    assert run(copied, WHOLE).returncode == 0

    # one out of memory: the other still runs, and the exit code is the failure's
    broken = text.replace("    rows =", '    if subset == "one":\n        raise MemoryError\n    rows =')
    data.write_text(broken)
    done = run(copied, WHOLE, "--overwrite")
    assert done.returncode == 3
    assert "Sums: no mean over subsets, one did not succeed" in done.stdout
    newest = {
        path.parent.parent.name: json.loads(path.read_text())
        for path in sorted(copied.glob("runs/Sums/*/*/result.json"))
    }
    assert {result["task"]["subset"]: result["train_info"]["status"] for result in newest.values()} == {
        "one": "out_of_memory", "two": "success"
    }  # fmt: skip

    # something that the user must put right stops the rest
    data.write_text(broken.replace("raise MemoryError", "return None"))
    runs = len(list(copied.glob("runs/Sums/*/*")))
    done = run(copied, WHOLE, "--overwrite")
    assert done.returncode == 2
    assert "Sums/data.py: load_splits: expected harness.task.Splits, got NoneType" in done.stderr
    assert len(list(copied.glob("runs/Sums/*/*"))) == runs + 1
    assert "one, two did not succeed" in done.stdout


def ignore_interrupts():
    """What a shell does to jobs that it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_subset_leaves_its_json_and_no_other_starts(copied, kill):
    data = copied / "method_comparison" / "Sums" / "data.py"
    text = data.read_text().replace("def load_splits(", 'SUBSETS = ("one", "two")\n\ndef load_splits(')
    data.write_text(text)
    command = [sys.executable, "run.py", WHOLE, "--set", "max_steps=100000", "--device", "cpu"]
    process = subprocess.Popen(command, cwd=copied, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               preexec_fn=ignore_interrupts if kill == signal.SIGTERM else None)  # fmt: skip
    deadline = time.monotonic() + 120
    while not any("training" in path.read_text() for path in copied.glob("runs/Sums/*/*/log.txt")):
        assert time.monotonic() < deadline, "training never began"
        time.sleep(0.2)
    process.send_signal(kill)
    assert process.wait(timeout=60) == 130
    (path,) = copied.glob("runs/Sums/*/*/result.json")
    result = json.loads(path.read_text())
    assert (result["train_info"]["status"], result["task"]["subset"]) == ("cancelled", "one")


def test_no_task_is_known_to_the_harness():
    tasks = [path.parent for path in (ROOT / "method_comparison").glob("*/data.py")]
    names = [folder.name for folder in tasks]
    for task in map(load_task, tasks):
        names += [*task.subsets, *(dataset.repo_id for dataset in task.datasets.values())]
    assert len(names) > 6
    for path in [ROOT / "run.py", *(ROOT / "harness").rglob("*.py"), *(ROOT / "harness").rglob("*.json")]:
        text = path.read_text(encoding="utf-8")
        found = [name for name in names if re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)]
        assert not found, f"{path} names {found}"
