"""What a dataset folder promises: method_comparison/<Task>/data.py gives text, rows and scores, never tokens."""

import hashlib
import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.errors import UserError, did_you_mean
from harness.result.provenance import file_fingerprint

Source = Literal["hub", "embedded"]


@dataclass(frozen=True)
class Row:
    """One sample. `source` is the item it derives from: rows that share it never end up in different splits."""

    prompt: str
    target: str
    reference: str
    source: str


@dataclass(frozen=True)
class Splits:
    """Rows to train on, to look at while choosing hyper-parameters, and to report once at the end."""

    train: list[Row]
    valid: list[Row]
    test: list[Row]


@dataclass(frozen=True)
class Score:
    """Of one prediction: `value` in [0, 1]; `valid` is False where the output holds no answer at all."""

    value: float
    valid: bool = True


@dataclass(frozen=True)
class Metric:
    """Name and direction of what `Score.value` averages to."""

    name: str
    higher_is_better: bool = True


@dataclass(frozen=True)
class HubDataset:
    """A pinned dataset of the hub: repository, configuration and commit."""

    repo_id: str
    revision: str
    config: str | None = None


@dataclass(frozen=True)
class TokenLengths:
    """How long a task's prompts and targets are, in tokens: median, and standard deviation of the logarithm.

    For `--profile`, which trains on random tokens: lognormal lengths, cut as real ones are, and none above the longest
    of a whole run. One row of a profile is that long, since the longest batch decides the peak of memory.
    """

    prompt_median: float
    prompt_spread: float
    longest_prompt: int
    target_median: float
    target_spread: float
    longest_target: int


@dataclass(frozen=True)
class Task:
    """A task's data.py, with a default for everything that it may leave out."""

    name: str
    path: Path
    metric: Metric
    datasets: dict[str, HubDataset]
    load_splits: Callable[[Source, str | None], Splits]
    score: Callable[[str, str], Score]
    subsets: tuple[str, ...] = ()
    summarize: Callable[[Sequence[str], Sequence[str]], dict[str, float]] | None = None
    token_lengths: dict[str | None, TokenLengths] = field(default_factory=dict)
    workload: str = "text"

    @property
    def where(self) -> str:
        """The path of data.py, for messages."""
        return f"{self.path.parents[1].name}/{self.name}/data.py"

    @property
    def fingerprint(self) -> str:
        """Of the code that scores."""
        return file_fingerprint(self.path)


def load_task(task_folder: Path) -> Task:
    """Imports a task's data.py and checks that it keeps the contract.

    Raises:
        UserError: the file or one of the names it must define is missing.
    """
    path = task_folder / "data.py"
    where = f"{task_folder.parent.name}/{task_folder.name}/data.py"
    if not path.is_file():
        raise UserError(f"{where}: missing; a task folder needs it (see harness/task.py)")
    spec = importlib.util.spec_from_file_location(f"{task_folder.name}_data", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("METRIC", "DATASETS", "load_splits", "score"):
        if not hasattr(module, name):
            raise UserError(f"{where}: {name}: missing; define it as harness/task.py describes")
    subsets = getattr(module, "SUBSETS", ())
    return Task(
        task_folder.name,
        path,
        module.METRIC,
        module.DATASETS,
        module.load_splits if subsets else lambda source, subset: module.load_splits(source),
        module.score,
        subsets,
        getattr(module, "summarize", None),
        getattr(module, "TOKEN_LENGTHS", {}),
    )


def choose_subsets(task: Task, wanted: str | None, task_name: str) -> tuple[str | None, ...]:
    """The subsets that `--subset` asks for: the one named, else all; (None,) for a task that has none.

    Raises:
        UserError: the task has no such subset.
    """
    known = task.subsets
    if wanted is None:
        return tuple(known) or (None,)
    if wanted not in known:
        remedy = did_you_mean(wanted, known) if known else "it has no subsets; leave --subset out"
        raise UserError(f"--subset: {task_name} has no subset {wanted!r}; {remedy}")
    return (wanted,)


def load_splits(task: Task, source: Source, subset: str | None) -> Splits:
    """The splits of a task, or of one of its subsets, checked for what every later figure rests on.

    Raises:
        UserError: a split is empty, holds something that is no Row, or shares a source item with another.
    """
    splits = task.load_splits(source, subset)
    where = f"{task.where}: load_splits"
    if not isinstance(splits, Splits):
        raise UserError(f"{where}: expected harness.task.Splits, got {type(splits).__name__}")
    sources = {}
    for name in ("train", "valid", "test"):
        rows = getattr(splits, name)
        if not rows:
            raise UserError(f"{where}: {name} is empty; every split needs rows")
        wrong = [row for row in rows if not isinstance(row, Row)]
        if wrong:
            raise UserError(f"{where}: {name}: expected harness.task.Row objects, got {type(wrong[0]).__name__}")
        fields = {field for row in rows for field, value in vars(row).items() if not isinstance(value, str)}
        if fields:
            raise UserError(f"{where}: {name}: expected text in every field of a Row; {min(fields)} is something else")
        sources[name] = {row.source for row in rows}
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = sources[one] & sources[other]
        if shared:
            raise UserError(f"{where}: {one} and {other} share {len(shared)} source items, such as "
                            f"{min(shared)[:60]!r}; leave them out of {one}")  # fmt: skip
    return splits


def load_hub_split(dataset: HubDataset, split: str) -> Iterable[dict]:
    """Rows of one split at the pinned revision, as dictionaries of the dataset's own columns.

    Raises:
        UserError: the hub refuses or fails, or the cache holds another revision.
    """
    from datasets import load_dataset  # slow to import, and embedded runs do without it
    from tqdm import tqdm

    from harness.hub import hub_errors

    with hub_errors(dataset.repo_id, dataset.revision, "dataset"):
        rows = load_dataset(dataset.repo_id, dataset.config, split=split, revision=dataset.revision)
    # Offline, datasets takes whatever revision it finds in its cache.
    if not all(dataset.revision in file["filename"] for file in rows.cache_files):
        raise UserError(
            f"dataset {dataset.repo_id}: the cache holds another revision than {dataset.revision}; run once online"
        )
    return tqdm(rows, desc=f"reading {dataset.repo_id}", unit="row", leave=False, dynamic_ncols=True)


def hold_out(rows: list[Row], test: Sequence[Row] = ()) -> tuple[list[Row], list[Row]]:
    """Carves valid out of train: 10 % of the source items, at least 50 and at most 1000, chosen by hash.

    Rows whose source is also in `test` are left out of both.

    The choice depends on nothing but the sources, so a run's seed never moves it. Valid keeps one row of each held-out
    source (its first), in the order of the hash, so that any number of its first rows is a fair sample.

    Returns:
        train rows in their order, valid rows.

    Raises:
        UserError: too few source items.
    """
    tested, first_of = {row.source for row in test}, {}
    rows = [row for row in rows if row.source not in tested]
    for row in rows:
        first_of.setdefault(row.source, row)
    size = min(max(len(first_of) // 10, 50), 1000)
    if len(first_of) <= size:
        raise UserError(f"hold_out: {len(first_of)} source items are too few to hold {size} out; make more rows")
    held_out = sorted(first_of, key=_hash)[:size]
    excluded = set(held_out)
    return [row for row in rows if row.source not in excluded], [first_of[source] for source in held_out]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
