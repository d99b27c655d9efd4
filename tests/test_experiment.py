"""Path rules: from the root, from the task's folder, absolute, with or without a slash; ambiguity is listed."""

import subprocess
import sys
import time

import pytest

from harness.errors import UserError
from harness.experiment import ROOT, all_experiments, find_experiment

EXPERIMENT = ROOT / "method_comparison/MetaMathQA/experiments/lora/llama-3.2-3B-rank32"


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("directory", "path"),
    [
        (ROOT, "method_comparison/MetaMathQA/experiments/lora/llama-3.2-3B-rank32"),
        (ROOT, "experiments/lora/llama-3.2-3B-rank32"),
        (ROOT / "method_comparison/MetaMathQA", "experiments/lora/llama-3.2-3B-rank32"),
        (ROOT / "tests", "experiments/lora/llama-3.2-3B-rank32"),
        (EXPERIMENT.parent, "llama-3.2-3B-rank32"),
        (ROOT / "tests", str(EXPERIMENT)),
    ],
)
def test_every_way_to_name_a_folder(monkeypatch, directory, path, slash):
    monkeypatch.chdir(directory)
    assert find_experiment(path + slash) == EXPERIMENT


def test_ambiguous_names_list_the_candidates(tmp_path):
    for task in ("One", "Two"):
        (tmp_path / "method_comparison" / task / "experiments" / "lora" / "x").mkdir(parents=True)
    with pytest.raises(UserError, match=r"ambiguous.*One/experiments/lora/x, .*Two/experiments/lora/x"):
        find_experiment("experiments/lora/x", tmp_path)


def test_every_experiment_of_the_tree_is_found():
    files = [
        *ROOT.glob("method_comparison/**/adapter_config.json"),
        *ROOT.glob("method_comparison/**/training_params.json"),
    ]
    folders = {path.parent for path in files}
    assert EXPERIMENT in folders
    assert all_experiments() == sorted(folders)
    for folder in folders:
        assert find_experiment(str(folder)) == folder


def test_help_answers_in_under_a_second():
    started = time.perf_counter()
    done = subprocess.run([sys.executable, str(ROOT / "run.py"), "--help"], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    assert "--rehearse" in done.stdout
    assert "exit codes" in done.stdout
    assert seconds < 1
