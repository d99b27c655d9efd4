"""What a dataset folder promises: data.py gives text or pictures as rows, and scores; never tokens or tensors."""

import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from harness.errors import UserError, blame, brief, did_you_mean
from harness.files import check_plain, display_path
from harness.result.provenance import file_fingerprint, fingerprint

Text = Annotated[str, Field(min_length=1)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Source = Literal["hub", "embedded"]


@dataclass(frozen=True)
class Row:
    """One sample. `source` is the item it derives from: rows that share it never end up in different splits.

    A row of a picture has `image`, a file's content that Pillow reads; its `prompt` says in a few words what it shows.
    """

    prompt: str
    target: str
    reference: str
    source: str
    image: bytes | None = None

    def written(self) -> dict[str, str]:
        """What records say of the row: its texts."""
        return {name: value for name, value in vars(self).items() if name != "image"}


@dataclass(frozen=True)
class Splits:
    """Rows to train on, to look at while choosing hyper-parameters, and to report once at the end."""

    train: list[Row]
    valid: list[Row]
    test: list[Row]

    @property
    def fingerprint(self) -> str:
        """Of all that is trained on, answered and scored."""
        return fingerprint(
            [name, row.prompt, row.target, row.reference, *_digest(row.image)]
            for name, rows in vars(self).items()
            for row in rows
        )


def _digest(image: bytes | None) -> list[str]:
    return [] if image is None else [hashlib.sha256(image).hexdigest()]


@dataclass(frozen=True)
class Score:
    """Of one prediction: `value` in [0, 1]; `valid` is False where the output holds no answer at all."""

    value: float
    valid: bool = True


@dataclass(frozen=True)
class Metric:
    """Name and direction of what `Score.value` averages to."""

    name: Text
    higher_is_better: bool = True


@dataclass(frozen=True)
class Judgement:
    """Of generated pictures: a text on each, in order, that `score` reads, and figures of them all by name."""

    texts: list[str]
    further: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class HubDataset:
    """A pinned dataset of the hub: repository, configuration and commit."""

    repo_id: Text
    revision: Commit
    config: str | None = None


@dataclass(frozen=True)
class TokenLengths:
    """How long a task's prompts and targets are, in tokens: median, and standard deviation of the logarithm.

    For `--profile`, which trains on random tokens: lognormal lengths, cut as real ones are, and none above the longest
    of a whole run. One row of a profile is that long, since the longest batch decides the peak of memory.
    """

    prompt_median: PositiveFloat
    prompt_spread: NonNegativeFloat
    longest_prompt: PositiveInt
    target_median: PositiveFloat
    target_spread: NonNegativeFloat
    longest_target: PositiveInt


# A subset's name is part of file names, where "--" separates.
Subset = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+(-[A-Za-z0-9_.]+)*$")]
CHECKED = ConfigDict(strict=True, allow_inf_nan=False, revalidate_instances="always")


@checked_dataclass(frozen=True, kw_only=True, config=CHECKED)
class Task:
    """What data.py defines, with the default of every name that it leaves out.

    data.py spells constants in capitals: METRIC, DATASETS, SUBSETS, TOKEN_LENGTHS, WORKLOAD, CLASSES, UNRELATED. It
    must define METRIC, DATASETS, load_splits and score.
    """

    name: str
    path: Path  # of data.py
    metric: Metric | dict[Source, Metric]  # by source where pictures that code makes are judged otherwise
    datasets: dict[str, HubDataset]  # everything loaded from the hub, by a short name
    # (source, subset): all three splits as text, from the hub, or "embedded", made by code without network; the subset
    # is None for a task that has none
    load_splits: Callable[[Source, str | None], Splits]
    # (prediction, reference): scores one decoded prediction, as the model wrote it, against a row's reference
    score: Callable[[str, str], Score]
    # (predictions, references): further figures of the whole test split, by name
    summarize: Callable[[list[str], list[str]], dict[str, float]] | None = None
    subsets: tuple[Subset, ...] = ()  # parts of the task, each with a run and a result of its own
    # by subset, None for a task without any: lets --profile draw samples of the task's lengths
    token_lengths: dict[str | None, TokenLengths] = Field(default_factory=dict)
    workload: Text = "text"  # a module of harness/workloads
    # by source, where answers are names of classes: all of them, in the order of a new head's outputs
    classes: dict[Source, tuple[Text, ...]] = Field(default_factory=dict)

    # (source, pictures, rows): what generated pictures, contents of files, are as answers to the rows
    judge: Callable[[Source, list[bytes], list[Row]], Judgement] | None = None
    unrelated: tuple[Text, ...] = ()  # prompts that the task has nothing to do with, whose pictures should stay

    def metric_of(self, source: Source) -> Metric:
        """What scores on a source's rows are."""
        return self.metric[source] if isinstance(self.metric, dict) else self.metric

    def labels(self, source: str) -> tuple[str, ...]:
        """The classes of a source, in the order of a new head's outputs; none where answers are text."""
        return self.classes.get(source, ())

    @property
    def where(self) -> str:
        """The path of data.py from the root, for messages."""
        return display_path(self.path)

    @property
    def fingerprint(self) -> str:
        """Of data.py, whose code scores."""
        return file_fingerprint(self.path)


# What data.py calls each field of Task, with what messages say of it.
NAMES = {
    "METRIC": 'harness.task.Metric("accuracy"), for example, or one for each source, "hub" and "embedded"',
    "DATASETS": "a dictionary of harness.task.HubDataset by short names, each pinned to a commit; {} for none",
    "SUBSETS": 'a tuple of different names without "--", such as ("easy", "hard")',
    "TOKEN_LENGTHS": "a dictionary of harness.task.TokenLengths by subset, {None: …} for a task without any",
    "WORKLOAD": 'the name of a kind of task, such as "text"',
    "CLASSES": 'a dictionary of tuples of class names by source, "hub" and "embedded"',
    "UNRELATED": "a tuple of prompts",
    "load_splits": "a function of (source, subset)",
    "score": "a function of (prediction, reference)",
    "summarize": "a function of (predictions, references)",
    "judge": "a function of (source, pictures, rows)",
}
TAKES = {"load_splits": 2, "score": 2, "summarize": 2, "judge": 3}  # arguments


def load_task(task_folder: Path) -> Task:
    """What a task's data.py defines; the file is executed once in a process.

    Raises:
        UserError: the file is missing or cannot be executed, or one of its names is missing or not as promised.
    """
    return _load(task_folder.resolve() / "data.py")


@functools.cache
def _load(path: Path) -> Task:
    check_plain(path)
    where, module = display_path(path), _execute(path)
    given = {name.lower(): getattr(module, name) for name in NAMES if hasattr(module, name)}
    try:
        task = Task(name=path.parent.name, path=path, **given)
    except ValidationError as error:
        raise UserError(_explain(error.errors()[0], where)) from None
    for name, count in TAKES.items():
        function, expected = getattr(task, name), NAMES[name]
        if function is not None and not _takes(function, count):
            raise UserError(f"{where}: {name}: expected {expected}")
    if len(set(task.subsets)) < len(task.subsets):
        raise UserError(f"{where}: SUBSETS: expected {NAMES['SUBSETS']}, got {brief(task.subsets)}")
    for subset in task.token_lengths:
        if subset not in (task.subsets or (None,)):
            raise UserError(f"{where}: TOKEN_LENGTHS: expected {NAMES['TOKEN_LENGTHS']}, got the key {subset!r}")
    return task


def _execute(path: Path) -> ModuleType:
    where = display_path(path)
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_data", path)
    try:
        code = spec.loader.get_code(spec.name)
    except (SyntaxError, ValueError) as error:  # a file with null bytes is a ValueError
        line = getattr(error, "lineno", None)
        at = f"line {line}: " if line else ""
        raise UserError(f"{where}: {at}not Python: {getattr(error, 'msg', error)}") from None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for the module of their fields' types there
    with blame(where, path):
        exec(code, vars(module))
    return module


def _explain(problem: dict[str, Any], where: str) -> str:
    field, *path = problem["loc"]
    name = field.upper() if field.upper() in NAMES else field
    if problem["type"] == "missing":
        return f"{where}: {name}: missing; expected {NAMES[name]}"
    inner = "".join(f"[{part!r}]" for part in path)
    reason = problem["msg"].lower().removeprefix("input ")
    return f"{where}: {name}: expected {NAMES[name]}; {name}{inner} {reason}, got {brief(problem['input'])}"


def _takes(function: Callable, count: int) -> bool:
    try:
        inspect.signature(function).bind(*[None] * count)
    except (TypeError, ValueError):  # another number of arguments; built in, without any that are known
        return False
    return True


def choose_subsets(task: Task, wanted: str | None, task_name: str) -> tuple[str | None, ...]:
    """The subsets that `--subset` asks for: the one named, else all; (None,) for a task that has none.

    Raises:
        UserError: the task has no such subset.
    """
    if wanted is None:
        return task.subsets or (None,)
    if wanted not in task.subsets:
        remedy = did_you_mean(wanted, task.subsets) if task.subsets else "it has no subsets; leave --subset out"
        raise UserError(f"--subset: {task_name} has no subset {wanted!r}; {remedy}")
    return (wanted,)


def load_splits(task: Task, source: Source, subset: str | None) -> Splits:
    """The splits of a task, or of one of its subsets, checked for what every later figure rests on.

    Raises:
        UserError: data.py fails; a split is empty or no list, holds something that is no Row of text, an empty prompt
            among it, or shares a source item with another.
    """
    where = f"{task.where}: load_splits"
    with blame(where, task.path):
        splits = task.load_splits(source, subset)
    if not isinstance(splits, Splits):
        raise UserError(f"{where}: expected harness.task.Splits, got {type(splits).__name__}")
    sources = {}
    for name, rows in vars(splits).items():
        _check_rows(rows, f"{where}: {name}")
        sources[name] = {row.source for row in rows}
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        shared = sources[one] & sources[other]
        if shared:
            raise UserError(f"{where}: {one} and {other} share {len(shared)} source items, such as "
                            f"{min(shared)[:60]!r}; leave them out of {one}")  # fmt: skip
    return splits


def _check_rows(rows: Any, where: str) -> None:
    if not isinstance(rows, list | tuple):
        raise UserError(f"{where}: expected a list of harness.task.Row objects, got {type(rows).__name__}")
    if not rows:
        raise UserError(f"{where}: is empty; every split needs rows")
    for row in rows:
        if not isinstance(row, Row):
            raise UserError(f"{where}: expected harness.task.Row objects, got {type(row).__name__}")
        if not isinstance(row.image, bytes | None):
            raise UserError(
                f"{where}: expected the bytes of a picture's file as image, got {type(row.image).__name__}"
            )
        for name, value in row.written().items():
            if not isinstance(value, str):
                kind = type(value).__name__
                raise UserError(f"{where}: expected text in every field of a Row; {name} is {kind}, {brief(value)}")
        if not row.prompt.strip():
            raise UserError(f"{where}: a row has an empty prompt (target {brief(row.target)}); leave it out")


def load_hub_split(dataset: HubDataset, split: str) -> Iterable[dict]:
    """Rows of one split at the pinned revision, as dictionaries of the dataset's own columns.

    A picture is {"bytes": the file's content, "path": its name}, not decoded.

    Raises:
        UserError: the hub refuses or fails, or the cache holds another revision.
    """
    from datasets import Image, load_dataset  # slow to import, and embedded runs do without it
    from tqdm import tqdm

    from harness.hub import hub_errors

    with hub_errors(dataset.repo_id, dataset.revision, "dataset"):
        rows = load_dataset(dataset.repo_id, dataset.config, split=split, revision=dataset.revision)
    # Offline, datasets takes whatever revision it finds in its cache.
    if not all(dataset.revision in file["filename"] for file in rows.cache_files):
        raise UserError(
            f"dataset {dataset.repo_id}: the cache holds another revision than {dataset.revision}; run once online"
        )
    for column in [name for name, feature in rows.features.items() if isinstance(feature, Image)]:
        rows = rows.cast_column(column, Image(decode=False))
    return tqdm(rows, desc=f"reading {dataset.repo_id}", unit="row", leave=False, dynamic_ncols=True)


def hold_out(rows: list[Row], test: Sequence[Row] = ()) -> tuple[list[Row], list[Row]]:
    """Carves valid out of train: 10 % of the source items, at least 50 and at most 1000, chosen by hash.

    Rows whose source is also in `test` are left out of both.

    The choice depends on nothing but the sources, so a run's seed never moves it. Valid keeps one row of each held-out
    source (its first), in the order of the hash, so that any number of its first rows is a fair sample.

    Returns:
        train rows in their order, valid rows.

    Raises:
        ValueError: too few source items.
    """
    tested, first_of = {row.source for row in test}, {}
    rows = [row for row in rows if row.source not in tested]
    for row in rows:
        first_of.setdefault(row.source, row)
    size = min(max(len(first_of) // 10, 50), 1000)
    if len(first_of) <= size:
        raise ValueError(f"{len(first_of)} source items are too few to hold {size} out; make more rows")
    held_out = sorted(first_of, key=_hash)[:size]
    excluded = set(held_out)
    return [row for row in rows if row.source not in excluded], [first_of[source] for source in held_out]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
