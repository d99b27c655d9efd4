"""Results are written whole or not at all, whenever the writer dies, and what the dead left is cleared away."""

import os
import subprocess
import sys

import pytest
from result_files import ours

from harness.experiment import ROOT
from harness.result.schema import Result
from harness.result.store import read_result, result_path, write_atomically, write_result

# Writes, and waits inside for its end; what has been written by then has reached the file.
DYING = """
import os, sys, time
from pathlib import Path
from harness.result import store

def wait(descriptor):
    print("writing", flush=True)
    time.sleep(600)

os.fsync = wait
store.write_atomically(Path(sys.argv[1]), "half")
"""


@pytest.fixture
def start_writing():
    """Starts a process that is in the middle of writing a file; the test ends it."""
    processes = []

    def start(path):
        command = [sys.executable, "-c", DYING, str(path)]
        processes.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        assert processes[-1].stdout.readline() == "writing\n"
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_result_is_the_same_after_reading(tmp_path):
    result = Result.model_validate(ours())
    path = result_path(tmp_path, "MetaMathQA", "cpu-amd-epyc", "lora--rank8--seed0")
    write_result(path, result)
    assert path.relative_to(tmp_path).as_posix() == "results/MetaMathQA/cpu-amd-epyc/lora--rank8--seed0.json"
    assert read_result(path) == result


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_result(path, Result.model_validate(ours()))
    before = path.read_text()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_result(path, Result.model_validate(ours(seed=5)))
    assert path.read_text() == before
    assert os.listdir(tmp_path) == ["result.json"]


def test_without_overwrite_what_is_there_stays(tmp_path):
    path = tmp_path / "result.json"
    write_atomically(path, "first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, "second", overwrite=False)
    assert path.read_text() == "first"
    assert os.listdir(tmp_path) == ["result.json"]


def test_the_next_write_removes_what_a_killed_one_left(tmp_path, start_writing):
    """Not before: one that still runs is left alone, so is another host's, and so is what only looks alike."""
    write_atomically(tmp_path / "a.json", "whole")
    process = start_writing(tmp_path / "a.json")
    (unfinished,) = [name for name in os.listdir(tmp_path) if name != "a.json"]
    assert unfinished.startswith(".a.json.")
    assert unfinished.endswith(f".{process.pid}")
    others = [f".a.json.0123abcd.{process.pid}", ".a.json.notes", f".a.json.{process.pid}"]
    for name in others:
        (tmp_path / name).write_text("not ours")
    write_atomically(tmp_path / "b.json", "whole")
    assert (tmp_path / unfinished).read_text() == "half"
    process.kill()  # SIGKILL
    process.wait()
    assert (tmp_path / "a.json").read_text() == "whole"
    write_atomically(tmp_path / "c.json", "whole")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "a.json", "b.json", "c.json"])
