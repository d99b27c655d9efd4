"""Results that are in the tree: of this protocol, and of what their folders and data say now."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from harness.contribute.concerns import Concern, Review, error
from harness.errors import UserError
from harness.experiment import CONTENT, Experiment, find_experiment, read_experiment
from harness.files import named
from harness.plan import Plan
from harness.purpose import profile_of
from harness.result.files import FORECASTS, UnreadableError, read_object
from harness.result.forecasts import read_forecast_file
from harness.result.read import read_results
from harness.result.schema import PROTOCOL, Result
from harness.result.store import file_name, is_kept, result_path
from harness.task import load_splits, load_task

APART = ("negative", "published")  # what is no result of this harness's, or none that counts; only readable
REMEDY = "remove it, or make it again (run.py --overwrite)"


def review_results(files: Iterable[Path], root: Path) -> Review:
    """One review of all the files; `root` is the checkout."""
    review = Review("results", facts={"results": 0})
    for path in files:
        review.facts["results"] += 1
        with review.collecting(path):
            review.concerns += _look_at(path, root)
    return review


def results_of(folder: Path, root: Path) -> list[Path]:
    """The files of one experiment's results, profiles included."""
    task, stem = folder.parents[2].name, f"{folder.parent.name}--{folder.name}--"
    return sorted(
        [*root.glob(f"results/{task}/*/{stem}*.json"), *root.glob(f"results/profiles/*/{task}--{stem}*.json")]
    )


def _look_at(path: Path, root: Path) -> Iterator[Concern]:
    where = named(path)
    if path.suffix != ".json":
        yield error(f"{where}: does not belong here; results are JSON files")
        return
    if path.relative_to(root / "results").parts[0] == FORECASTS:
        read_forecast_file(path)
        return
    for skipped in read_results([path], task="any").skipped:
        yield error(f"{where}: {skipped.reason}")
        return
    if path.relative_to(root / "results").parts[0] in APART:
        return
    result = _parsed(path)
    experiment = _experiment_of(result, root)
    expected = _place(result, root)
    if path != expected:
        yield error(f"{where}: by what it says, it belongs at {named(expected)}; move it there")
    if result.overrides or not is_kept(result):
        yield error(f"{where}: only successful runs without --set are results; put it into runs/")
    if result.protocol != PROTOCOL:
        yield error(f"{where}: is of protocol {result.protocol}, now it is {PROTOCOL}; {REMEDY}")
    plan = Plan(profile_of(experiment) if result.profile else experiment, result.task.subset, result.profile)
    if result.provenance.config_fingerprint != plan.config_fingerprint:
        yield error(
            f"{where}: was made with another configuration than its folder has now; restore the folder, or {REMEDY}"
        )
    if not result.profile and _has_other_data(result, experiment):
        yield error(f"{where}: was made with other data than its task has now; {REMEDY}")


def _parsed(path: Path) -> Result:
    try:
        return Result.model_validate(read_object(path))
    except UnreadableError as found:
        raise UserError(f"{named(path)}: {found}") from None
    except ValidationError as found:
        first = found.errors()[0]
        raise UserError(
            f"{named(path)}: {'.'.join(map(str, first['loc']))}: {first['msg']}; is it of another harness? "
            "python contribute.py import takes those over"
        ) from None


def _experiment_of(result: Result, root: Path) -> Experiment:
    folder = root / CONTENT / result.task.name / "experiments" / result.method / result.name
    return read_experiment(find_experiment(str(folder), root), seed=result.seed)


def _place(result: Result, root: Path) -> Path:
    stem = file_name(result.method, result.name, result.task.subset, result.seed)
    return result_path(root, result.task.name, str(result.hardware.get("slug")), stem, result.profile)


def _has_other_data(result: Result, experiment: Experiment) -> bool:
    """Embedded rows are made anew and compared; of a hub dataset its pinned revision is."""
    task = load_task(experiment.task_folder)
    if result.task.data_source == "embedded":
        return result.provenance.data_fingerprint != _data(experiment.task_folder, result.task.subset)
    pinned = {dataset.repo_id: dataset.revision for dataset in task.datasets.values()}
    return pinned != {name: info.sha for name, info in result.meta_info.dataset_info.items()}


@functools.cache
def _data(task_folder: Path, subset: str | None) -> str:
    return load_splits(load_task(task_folder), "embedded", subset).fingerprint
