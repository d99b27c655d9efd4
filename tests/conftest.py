"""What the tests share: one torch thread each, small splits, and a way to run run.py inside the test's process."""

import dataclasses
import functools
import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from harness.arguments import parse_arguments
from harness.experiment import ROOT, find_experiment
from harness.task import Splits

LORA = "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"
FAST = ["--set", "max_steps=4", "--set", "eval_steps=4", "--set", "batch_size=4",
        "--set", "generation_kwargs.max_new_tokens=4"]  # fmt: skip


settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")  # how long an example takes says how busy the machine is
os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start, since tests run side by side


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Of torch, where any test imports it: those of result/ and dashboard/ do not."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture
def quick_measurements(monkeypatch, request):
    """What is measured beside training takes a fraction of its time, but where a test says that it is about that."""
    if request.node.get_closest_marker("measured") is None:
        monkeypatch.setattr("harness.measure.inference.ROUNDS", 1)
        monkeypatch.setattr("harness.measure.inference.NEW_TOKENS", 4)
        monkeypatch.setattr("harness.measure.forgetting.PARAGRAPHS", 8)


@functools.cache
def first_rows(load_splits, source, subset):
    """The beginning of each split; made once in a process, since many tests run on the same rows."""
    splits = load_splits(source, subset)
    return Splits(splits.train[:200], splits.valid[:8], splits.test[:8])


@pytest.fixture
def small_splits(monkeypatch, quick_measurements):
    """Cuts every task's splits, so that a whole run takes seconds."""
    import run

    load_task = run.load_task

    def load_small_task(folder):
        task = load_task(folder)
        return dataclasses.replace(task, load_splits=functools.partial(first_rows, task.load_splits))

    monkeypatch.setattr(run, "load_task", load_small_task)


class Outcome:
    """Exit code of one run and, where it left one, the JSON in runs/."""

    def __init__(self, code: int, output: Path) -> None:
        self.code = code
        self.output = output
        found = sorted(output.glob("runs/*/*/*/result.json"))
        self.json = json.loads(found[-1].read_text()) if found else None
        self.folder = found[-1].parent if found else None

    @property
    def losses(self) -> list[float]:
        return [line["train loss"] for line in self.json["train_info"]["metrics"]]


@pytest.fixture
def run_main(tmp_path, small_splits):
    """Calls run.main in this process; results and runs go to a temporary folder, a new one for each call."""
    import run

    def call(experiment=LORA, *arguments, fast=True, output=None) -> Outcome:
        output = output or tmp_path / f"output{len(list(tmp_path.glob('output*')))}"
        given = ["--device", "cpu", "--output", str(output), *(FAST if fast else []), *arguments]
        return Outcome(run.main(parse_arguments([str(experiment), *given])), output)

    return call


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the MetaMathQA content in which a test can write experiments; run.main looks there."""
    root = tmp_path / "checkout"
    source = ROOT / "method_comparison" / "MetaMathQA"
    shutil.copytree(source, root / "method_comparison" / "MetaMathQA")
    monkeypatch.setattr("run.find_experiment", lambda text: find_experiment(text, root))
    return root


@pytest.fixture
def write_experiment(checkout):
    """Writes one experiment folder into the copied content and returns its path."""

    def write(adapter=None, params=None, path="lora/made-by-test") -> Path:
        folder = checkout / "method_comparison" / "MetaMathQA" / "experiments" / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("adapter_config.json", adapter), ("training_params.json", params)):
            if content is not None:
                text = content if isinstance(content, str) else json.dumps(content)
                (folder / name).write_text(text)
        return folder

    return write
