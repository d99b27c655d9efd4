"""What is looked at, and in which order: the folders asked for, or what a branch changes, or everything."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.contribute.bounded import Bounded
from harness.contribute.concerns import Review, error, warning
from harness.contribute.contents import strays
from harness.contribute.history import History, folders_of, read_history, review_history
from harness.contribute.negative import review_negative
from harness.contribute.places import locate
from harness.contribute.report import FEW
from harness.contribute.spread import run_on_cpu, score_spread, smallest_experiment
from harness.contribute.stored import results_of, review_results
from harness.experiment import CONTENT, all_experiments
from harness.files import display_path


@dataclass
class Selection:
    """What is to be looked at.

    trained: tasks whose embedded experiment is run too. results: files. tree: whether what lies beside experiments
    counts too. history: of the branch, where it was asked for.
    """

    experiments: list[Path] = field(default_factory=list)
    tasks: list[Path] = field(default_factory=list)
    trained: list[Path] = field(default_factory=list)
    results: list[Path] = field(default_factory=list)
    tree: bool = False
    history: History | None = None

    @property
    def forecasts(self) -> bool:
        """Whether memory is forecast, which takes seconds a folder: of a few that somebody asks about."""
        return len(self.experiments) <= FEW and (not self.tree or self.history is not None)


def choose(places: Sequence[str], base: str | None, root: Path) -> Selection:
    """The folders that are named; without any those that differ from `base`; without that too, all there are.

    Raises:
        UserError: there is no such folder, or no such commit.
    """
    history = None if base is None else read_history(base, root)
    if places:
        choice = _named(places, root)
    elif history is not None:
        choice = _changed(history, root)
    else:
        results = sorted(
            path for path in (root / "results").rglob("*") if not path.is_dir() and path.name != "README.md"
        )
        choice = Selection(all_experiments(root), _tasks(root), results=results, tree=True)
    choice.history = history
    return choice


def _tasks(root: Path) -> list[Path]:
    return sorted(path for path in (root / CONTENT).resolve().iterdir() if path.is_dir())


def _named(places: Sequence[str], root: Path) -> Selection:
    choice = Selection()
    for place in places:
        path = (root / place).resolve()
        if path in _tasks(root):
            choice.tasks.append(path)
            choice.trained.append(path)
            choice.experiments += [folder for folder in all_experiments(root) if folder.is_relative_to(path)]
        else:
            choice.experiments.append(locate(place, None, root))
    choice.results = [file for folder in choice.experiments for file in results_of(folder, root)]
    return choice


def _changed(history: History, root: Path) -> Selection:
    """All experiments of a task whose data or defaults differ: what they say changes with it."""
    paths = [one.path for one in history.changes]
    folders = {(root / path).resolve() for path in folders_of(paths)}
    tasks = {(root / CONTENT / path.parts[1]).resolve() for path in paths if path.parts[0] == CONTENT
             and len(path.parts) > 2 and path.parts[2] != "experiments" and path.name != "README.md"}  # fmt: skip
    experiments = [one for one in all_experiments(root) if one in folders or one.parents[2] in tasks]
    results = {file for folder in experiments for file in results_of(folder, root)}
    results |= {root / path for path in paths if path.parts[0] == "results" and path.name != "README.md"}
    there = sorted(path for path in results if path.exists() or path.is_symlink())
    return Selection(experiments, sorted(one for one in tasks if one.is_dir()), results=there, tree=True)


def reviews(choice: Selection, rehearse: bool, root: Path) -> Iterator[Review]:
    """One review after the other, as they are ready; `rehearse` also trains each experiment for a few steps."""
    if choice.history is not None:
        yield review_history(choice.history, root)
    with Bounded() as worker:
        for folder in choice.tasks:
            review = worker.look_at("task", folder)
            if folder in choice.trained and not review.has_errors:
                _add_spread(review, folder, root)
            yield review
        for folder in choice.experiments:
            review = worker.look_at("experiment", folder)
            if choice.forecasts and not review.has_errors:
                _add_forecast(review, worker.look_at("forecast", folder))
            if rehearse and not review.has_errors:
                _add_rehearsal(review, folder, root)
            yield review
    if choice.tree:
        beside = [Review(f"beside experiments in {CONTENT}", concerns=list(strays(root))), review_negative(root)]
        yield from (review for review in beside if review.concerns)
    if choice.results:
        yield review_results(choice.results, root)


def _add_spread(review: Review, folder: Path, root: Path) -> None:
    experiment = smallest_experiment(folder)
    if experiment is not None:
        review.facts["untrained and trained"], concerns = score_spread(experiment, root)
        review.concerns += concerns


def _add_forecast(review: Review, found: Review) -> None:
    """A run may well be fine whose steps take too long to follow: what is said then is no error."""
    review.facts |= found.facts
    review.concerns += [warning(f"no forecast: {one.message}") for one in found.concerns]


def _add_rehearsal(review: Review, folder: Path, root: Path) -> None:
    code, said, failed = run_on_cpu(folder, root, "--rehearse")
    if code:
        review.concerns.append(error(f"{display_path(folder)}: its rehearsal failed: {failed}"))
    else:
        review.facts["rehearsal"] = said.partition(":")[0]
