"""What a run is for: a result, a profile of its costs, a tuning trial, a rehearsal or a forecast.

A mode says what is done. A stage that all modes share is in run.py; what only one of them does to the experiment or
the rows is here.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from harness.adapter_config import Adapter
from harness.devices import hardware
from harness.experiment import Experiment, display_path
from harness.forecast.forecast import Asked, forecast
from harness.forecast.report import lines_of
from harness.hub import hub_errors, look_up
from harness.plan import Plan
from harness.record import Record, new_record, recording
from harness.rehearsal import ROWS, check_architecture, rehearsal_of
from harness.result.schema import EXIT_CODES
from harness.task import Splits, Task, load_splits
from harness.workloads import Workload, workload_of

Loader = Callable[[Record, Task, type[Workload]], tuple[Splits, Workload, PreTrainedModel]]


@dataclass(frozen=True)
class Mode:
    """What a run loads, and which stages it goes through beside loading, training, saving and measuring.

    load: rows, workload and untouched base model.
    scores: valid is answered and scored.
    tests: test is too, after the last step.
    knows_base: the untouched base model is scored too, and forgetting measured.
    measures: inference and arithmetic are measured.
    keeps_weights: what was trained stays in the run's folder.
    """

    load: Loader
    scores: bool
    tests: bool
    knows_base: bool
    measures: bool
    keeps_weights: bool


def load_real(record: Record, task: Task, workload: type[Workload]) -> tuple[Splits, Workload, PreTrainedModel]:
    """Rows, processor and weights, from the hub at the pinned revisions or embedded."""
    params, origin = record.params, record.result.meta_info
    if params.is_hub_model:
        origin.model_info = look_up(params.model_id, params.model_revision, "model")
    for repo_id, info in origin.dataset_info.items():
        origin.dataset_info[repo_id] = look_up(repo_id, info.sha, "dataset")
    with record.memory.phase("load"):
        splits = load_splits(task, params.data_source, record.plan.subset)
        with hub_errors(params.model_id, params.model_revision, "model"):
            labels = task.labels(params.data_source)
            loaded, base = workload.load(params, record.device, record.plan.experiment.origin, labels)
            loaded.read_ahead(task, splits, base)
    return splits, loaded, base


def load_rehearsal(record: Record, task: Task, workload: type[Workload]) -> tuple[Splits, Workload, PreTrainedModel]:
    """The same, a few rows to answer."""
    splits, loaded, base = load_real(record, task, workload)
    return Splits(splits.train, splits.valid[:ROWS], splits.test[:ROWS]), loaded, base


def load_tuning(record: Record, task: Task, workload: type[Workload]) -> tuple[Splits, Workload, PreTrainedModel]:
    """The same without test, which nothing that is chosen may depend on."""
    splits, loaded, base = load_real(record, task, workload)
    return Splits(splits.train, splits.valid, []), loaded, base


def load_profile(record: Record, task: Task, workload: type[Workload]) -> tuple[Splits, Workload, PreTrainedModel]:
    """Random rows in the task's lengths, and the base model's architecture with random weights.

    Memory, speed and storage depend on shapes, not on what the weights are; of quality this tells nothing. One
    exception: an int8 base multiplies outlier features apart (arXiv 2208.07339), and random weights have none, so that
    real int8 training may be slower.
    """
    params = record.params
    splits = workload.random_splits(task, record.plan.subset, params)
    with record.memory.phase("load"):
        labels = task.labels(params.data_source)
        loaded, base = workload.build(params, record.device, record.plan.experiment.origin, labels)
    return splits, loaded, base


Run = Callable[[Record, Mode, Task, Adapter | None], None]
REAL = Mode(load_real, scores=True, tests=True, knows_base=True, measures=True, keeps_weights=True)
REHEARSAL = Mode(load_rehearsal, scores=True, tests=True, knows_base=False, measures=True, keeps_weights=True)
TUNING = Mode(load_tuning, scores=True, tests=False, knows_base=False, measures=False, keeps_weights=False)
PROFILE = Mode(load_profile, scores=False, tests=False, knows_base=False, measures=True, keeps_weights=False)


def tell_forecast(experiment: Experiment, subsets: Sequence[str | None], asked: Asked) -> int:
    """Prints what each subset's run would need on a GPU; nothing runs, and nothing is written.

    Returns:
        the exit code: 2 where there is no forecast.
    """
    made = [forecast(experiment, subset, asked) for subset in subsets]
    print(*map(lines_of, made), sep="\n\n")
    return 2 if any(one.reason for one in made) else 0


def rehearse(
    experiment: Experiment, adapter: Adapter | None, task: Task, subsets: Sequence[str | None], execute: Run
) -> int:
    """Proves that the folder works: on its own model's architecture, then a few steps on the embedded model.

    Returns:
        the exit code; `execute` makes the runs.
    """
    model_id = experiment.params.model_id
    workload = workload_of(task, experiment, adapter)
    counts = check_architecture(experiment, adapter, workload, task.labels(experiment.params.data_source))
    if counts is None:
        print(f"{model_id}: the config fits; how many parameters would be trained shows only in a run")
    else:
        trainable, total = counts
        print(f"{model_id}: {trainable:,} of {total:,} parameters would be trained ({100 * trainable / total:.3g} %)")
    shortened, changes = rehearsal_of(experiment, workload)
    print("rehearsing on the embedded model; changed for that:", *changes, sep="\n  ")
    adapted, device = Adapter.of(shortened), torch.device("cpu")
    for subset in subsets:
        with tempfile.TemporaryDirectory() as folder:
            record = new_record(Plan(shortened, subset, output=Path(folder)), task, device, hardware(device))
            with recording(record):
                execute(record, REHEARSAL, task, adapted)
        if record.result.train_info.status != "success":
            return EXIT_CODES[record.result.train_info.status]
    over = f" on each of {', '.join(subsets)}" if subsets != (None,) else ""
    print(f"rehearsal passed: {display_path(experiment.folder)} loads, trains, generates and saves{over}")
    return 0
