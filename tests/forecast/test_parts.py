"""Forecasts of the embedded experiments against what a real step of theirs holds."""

import pytest
import torch
from transformers import set_seed

from harness import adapter as adapters
from harness.adapter_config import Adapter
from harness.errors import UserError
from harness.experiment import all_experiments, read_experiment
from harness.forecast.forecast import forecast
from harness.forecast.shapes import Shapes, UnknownShapesError
from harness.learner import Learner
from harness.measure.memory_parts import memory_parts
from harness.precision import autocast
from harness.task import load_task
from harness.workloads import find_workload

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # what PEFT says of a config is no concern of these
CPU = torch.device("cpu")
# One of those that differ by their task alone.
EMBEDDED = list({path.parts[-2:]: path for path in all_experiments() if path.name.startswith("embedded-")}.values())
QUICK = ("lora/embedded-llama-rank8", "full-finetuning/embedded-llama", "lisa/embedded-llama-layers2",
         "prefixtuning/embedded-llama-tokens20", "compacter/embedded-llama")  # fmt: skip


@pytest.fixture(autouse=True)
def laid_out_as_on_a_cpu(monkeypatch):
    """The real step runs on a CPU, where a singular value decomposition gives its factors in another order of memory.

    A slice of such a factor is a copy there, and on a GPU a view that keeps the whole factor alive.
    """
    monkeypatch.setattr("torch._meta_registrations.device_hint", lambda tensor: "cpu")


def is_quick(path):
    return path.as_posix().endswith(QUICK)


def label(path):
    return "/".join((path.parts[-4], *path.parts[-2:]))


def parts_of_both(folder, **overrides):
    """memory_parts of a step on shapes, on the host's share of the optimizer's state, and of the same step for real."""
    experiment = read_experiment(folder, overrides)
    task, adapter = load_task(experiment.task_folder), Adapter.of(experiment)
    kind, labels = find_workload(task.workload, task.where), task.labels(experiment.params.data_source)
    shapes = Shapes(experiment, adapter, kind, labels)
    row = kind.random_splits(task, (task.subsets or (None,))[0], experiment.params).train[1]
    batch = shapes.workload.collate([shapes.workload.encode(row)])
    followed = shapes.train(batch).kept
    assert shapes.answer([row]).peak.allocated > followed.base_weights
    on_host = memory_parts(shapes.model, shapes.learner.optimizer, CPU).optimizer_state  # counts of steps

    set_seed(experiment.params.seed)
    workload, base = kind.load(experiment.params, CPU, experiment.origin, labels)
    model = adapters.attach(base, adapter, experiment.params, kind.task_type(base.config))
    learner = Learner(model, experiment.params, experiment.origin, 100, CPU)
    model.train()
    with autocast(experiment.params, CPU):
        loss = workload.loss(model, batch.to(CPU))
    loss.backward()
    learner.step(1)
    return followed, on_host, memory_parts(model, learner.optimizer, CPU)


def assert_equal(followed, on_host, measured):
    assert measured.trained_weights > 0
    assert measured.optimizer_state > 0
    for part in ("base_weights", "trained_weights", "gradients"):
        assert getattr(followed, part) == getattr(measured, part), part
    assert followed.optimizer_state + on_host == measured.optimizer_state


@pytest.mark.parametrize("folder", [path for path in EMBEDDED if is_quick(path)], ids=label)
def test_parts_are_those_of_a_real_step(folder):
    assert_equal(*parts_of_both(folder))


@pytest.mark.slow
@pytest.mark.parametrize("folder", [path for path in EMBEDDED if not is_quick(path)], ids=label)
def test_parts_are_those_of_a_real_step_everywhere_or_it_is_said_why_not(folder):
    try:
        both = parts_of_both(folder)
    except (UnknownShapesError, UserError):
        said = forecast(read_experiment(folder)).sentence
        assert said.startswith("No forecast: ")
        assert "\n" not in said
    else:
        assert_equal(*both)


def test_parts_of_a_packed_base():
    (folder,) = [path for path in EMBEDDED if label(path) == "MetaMathQA/lora/embedded-llama-rank8"]
    packed, on_host, measured = parts_of_both(folder, dtype="int4")
    assert_equal(packed, on_host, measured)
    assert packed.base_weights < parts_of_both(folder, dtype="bfloat16")[0].base_weights
