"""One experiment folder, looked at from all sides. Whatever lies in it, this ends in a review."""

from pathlib import Path

from harness.adapter_config import Adapter
from harness.contribute.changes import changed_parameters, unusual_changes
from harness.contribute.concerns import Review, error
from harness.contribute.configuration import read_all
from harness.contribute.contents import foreign_files
from harness.contribute.copies import near_copies
from harness.contribute.costs import costs_of
from harness.contribute.naming import name_and_content
from harness.contribute.tuned import tuning_contradictions
from harness.errors import UserError
from harness.experiment import Experiment, display_path
from harness.task import Task, load_task
from harness.workloads import workload_of


def review_experiment(folder: Path) -> Review:
    """Facts and concerns of one experiment; may take memory and time without bound (see worker.py)."""
    review = Review(str(UserError(display_path(folder))))
    with review.collecting(folder):
        review.concerns += foreign_files(folder)
    experiment = read_all(folder, review)
    if experiment is None:
        return review
    with review.collecting(folder):
        task = load_task(experiment.task_folder)
        review.facts["measured"] = _measured(experiment, task)
        adapter = Adapter.of(experiment)
        _note_costs(review, experiment, adapter, task)
        changed = changed_parameters(experiment)
        review.facts["changed"] = {key: list(values) for key, values in changed.items()}
        review.concerns += unusual_changes(experiment, changed)
        review.concerns += name_and_content(experiment, adapter and adapter.config)
        review.concerns += near_copies(experiment)
    with review.collecting(folder):
        review.concerns += tuning_contradictions(experiment)
    return review


def _measured(experiment: Experiment, task: Task) -> str:
    params = experiment.params
    samples = params.batch_size * params.gradient_accumulation_steps
    length = f"{params.max_steps:,} steps" if params.max_steps else f"{params.num_epochs:g} epochs"
    parts = f" ({', '.join(task.subsets)}, a run each)" if task.subsets else ""
    data = ", embedded data" if params.data_source == "embedded" else ""
    metric = task.metric_of(params.data_source).name
    return f"{metric} on {task.name}{parts} after {length} of {samples} samples, {params.model_id}{data}"


def _note_costs(review: Review, experiment: Experiment, adapter: Adapter | None, task: Task) -> None:
    """What shapes tell of a run without following it."""
    try:
        workload, labels = workload_of(task, experiment, adapter), task.labels(experiment.params.data_source)
        costs = costs_of(experiment, adapter, workload, labels)
    except UserError as found:
        review.concerns.append(error(str(found)))
        return
    review.facts |= {"trainable": costs.trainable, "parameters": costs.total, "storage": costs.storage}
