"""A new method is one file: the example in CONTRIBUTING.md works in a copy of the checkout, with nothing else changed."""

import re
import shutil
import subprocess
import sys

import pytest

from harness.experiment import ROOT

TASK = "method_comparison/MetaMathQA"
EXPERIMENT = f"{TASK}/experiments/shift/embedded-llama"


@pytest.fixture
def copied(tmp_path):
    """The checkout with the example in it, and an experiment of it."""
    root = tmp_path / "checkout"
    root.mkdir()
    shutil.copy(ROOT / "run.py", root)
    unwanted = shutil.ignore_patterns("__pycache__", "experiments")
    for folder in ("harness", TASK):
        shutil.copytree(ROOT / folder, root / folder, ignore=unwanted)
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## A method\n")[1].split("\n## ")[0]
    code, _ = re.findall(r"```py\n(.*?)```", section, re.DOTALL)
    assert len(code.splitlines()) <= 31, "a method is one short file"
    (root / "harness" / "methods" / "shift.py").write_text(code)
    (root / EXPERIMENT).mkdir(parents=True)
    (adapter,) = re.findall(r'`(\{"peft_type".*?\})`', section)
    (root / EXPERIMENT / "adapter_config.json").write_text(adapter)
    (root / EXPERIMENT / "training_params.json").write_text(
        '{"profile": "embedded", "optimizer_kwargs": {"lr": 0.05}}'
    )
    return root


@pytest.mark.slow
def test_the_example_trains(copied):
    command = [sys.executable, "run.py", EXPERIMENT, "--device", "cpu", "--rehearse"]
    done = subprocess.run(command, cwd=copied, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "embedded/llama: 768 of " in done.stdout, "a vector of 192 for each of four layers"
    assert "rehearsal passed" in done.stdout
