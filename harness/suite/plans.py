"""Which runs there could be, which of them are still to be made, and how long they will take."""

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.errors import UserError
from harness.experiment import all_experiments, read_experiment
from harness.files import ROOT, display_path
from harness.plan import Plan
from harness.purpose import profile_of, tuning_of
from harness.result.files import UnreadableError, read_object
from harness.result.read import read_results
from harness.result.schema import PROTOCOL, Status
from harness.task import choose_subsets, load_task

State = Literal["missing", "done", "outdated"]
SECTIONS = {"protocol", "train_info", "provenance", "overrides"}


@dataclass(frozen=True)
class Wanted:
    """What is asked for; an empty tuple asks for all.

    patterns: parts of the experiments' paths. tasks, methods: whole names. models: parts of the base models' names.
    seeds: empty for the one that the parameters have.
    grid: nested overrides, each of which makes runs of its own.
    """

    patterns: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    subset: str | None = None
    methods: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    grid: tuple[dict[str, Any], ...] = field(default=({},))
    profile: bool = False
    tuning: bool = False
    output: Path = ROOT


def make_plans(choice: Wanted) -> list[Plan]:
    """A plan for each experiment, subset, seed and point of the grid, in this order.

    Raises:
        UserError: nothing matches, or a folder is not as it should be.
    """
    folders = all_experiments()
    named = {part: [folder for folder in folders if _is_named(folder, part)] for part in choice.patterns}
    plans = [plan for folder in folders if _matches(folder, choice, named) for plan in plans_of(folder, choice)]
    if not plans:
        raise UserError("no experiment matches; leave out what narrows the choice, or see method_comparison/")
    return plans


def _is_named(folder: Path, pattern: str) -> bool:
    part = pattern.strip("/")
    return "/" in part and folder.as_posix().endswith(f"/{part}")


def _matches(folder: Path, choice: Wanted, named: dict[str, list[Path]]) -> bool:
    """A pattern that is a whole <method>/<name> is that experiment alone, any other a part of paths."""
    shown = display_path(folder)
    return (
        (not named or any(folder in whole if whole else part in shown for part, whole in named.items()))
        and folder.parents[2].name in (choice.tasks or (folder.parents[2].name,))
        and folder.parent.name in (choice.methods or (folder.parent.name,))
        and (not choice.models or any(part in read_experiment(folder).params.model_id for part in choice.models))
    )


def plans_of(folder: Path, choice: Wanted) -> list[Plan]:
    """The plans of one experiment: its subsets, seeds and points of the grid.

    Raises:
        UserError: the folder is not as it should be.
    """
    plans = []
    subsets = choose_subsets(load_task(folder.parents[2]), choice.subset, folder.parents[2].name)
    for subset, seed, overrides in itertools.product(subsets, choice.seeds or (None,), choice.grid):
        experiment = read_experiment(folder, overrides, seed)
        if choice.profile or choice.tuning:
            experiment = (profile_of if choice.profile else tuning_of)(experiment)
        plans.append(Plan(experiment, subset, choice.profile, choice.tuning, choice.output))
    return plans


def state_of(plan: Plan, hardware: str | None = None) -> State:
    """Whether its result is at hand, on any hardware or on that one: of this protocol and of what the folder says now.

    "outdated" is a result in the run's place that is of neither. What cannot be read is "outdated" too.
    """
    if current_result(plan, hardware) is not None:
        return "done"
    in_place = not (plan.is_modified or plan.tuning) and any(True for _ in _places(plan, hardware))
    return "outdated" if in_place else "missing"


def current_result(plan: Plan, hardware: str | None = None) -> dict[str, Any] | None:
    """The result that is of this protocol and of what the folder says now; of several any of them."""
    found = (_read(path) for path in _places(plan, hardware))
    return next((result for result in found if result is not None and _is_current(plan, result)), None)


def last_status(plan: Plan) -> Status:
    """Of a run that was to be made: success where it has a result, else what its last try ended as."""
    if current_result(plan) is not None:
        return "success"
    tries = [_read(path) for path in sorted(plan.runs_folder.glob("*/result.json"), reverse=True)]
    own = (one for one in tries if one is not None and one["overrides"] == plan.experiment.overrides)
    return next((one["train_info"]["status"] for one in own), "failed")


def _places(plan: Plan, hardware: str | None) -> Iterator[Path]:
    if plan.is_modified or plan.tuning:
        return plan.runs_folder.glob("*/result.json")
    pattern = plan.result_path(hardware or "*").relative_to(plan.output)
    return plan.output.glob(str(pattern))


def _read(path: Path) -> dict[str, Any] | None:
    try:
        result = read_object(path)
    except UnreadableError:
        return None
    return result if result.keys() >= SECTIONS else None


def _is_current(plan: Plan, result: dict[str, Any]) -> bool:
    return (
        result["protocol"] == PROTOCOL
        and result["train_info"]["status"] in (("success", "out_of_memory") if plan.profile else ("success",))
        and result["provenance"]["config_fingerprint"] == plan.config_fingerprint
        and result["overrides"] == plan.experiment.overrides
    )


def estimate(plans: Sequence[Plan], output: Path) -> list[float | None]:
    """Seconds that each run will take, by the results at hand: medians of its experiment, else of its base model.

    None where there is no result to go by. Profiles are shorter, and no result tells how much.
    """
    by: dict[tuple, list[float]] = {}
    for record in read_results([output / "results"]).records:
        if record["status"] == "success" and not record["profile"]:
            for key in _keys(record["task"], record["subset"], record["experiment"], record["model"]):
                by.setdefault(key, []).append(record["total_time"])
    seconds: list[float | None] = []
    for plan in plans:
        one = plan.experiment
        keys = _keys(one.task, plan.subset or "", f"{one.method}/{one.name}", one.params.model_id)
        known = next((by[key] for key in keys if key in by), None)
        seconds.append(statistics.median(known) if known and not plan.profile else None)
    return seconds


def _keys(task: str, subset: str, experiment: str, model: str) -> list[tuple]:
    return [(task, subset, experiment), (task, subset, "model", model)]
