"""What there is to choose from, and which rows a choice means.

The first choice is a part of a task: a subset, or the whole where it has none; profiles (random weights, no quality)
are a choice of their own. Then the base model, then the hardware, which may stay open.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from harness.dashboard.needs import FAMILIES, INFERENCE, PRIORITIES
from harness.dashboard.state import View
from harness.result.columns import COLUMNS, METRICS
from harness.result.comparable import MACHINE
from harness.result.experiments import by_experiment
from harness.result.files import Skipped
from harness.result.frame import to_frame
from harness.result.read import read_results
from harness.result.ties import BEST

Choices = list[tuple[str, str]]  # label and value
PROFILE = "profiles:"
SCOPES = {"selection": "the task, model and hardware chosen above", "all": "all results"}


@dataclass(frozen=True)
class Data:
    """All results as they were read: one row per run, one row per experiment, and the files left out."""

    paths: tuple[Path, ...]
    runs: pandas.DataFrame
    experiments: pandas.DataFrame
    skipped: tuple[Skipped, ...]
    seconds: float


def read_data(paths: Sequence[Path], task: str | None = None) -> Data:
    """Reads every result under the paths, and gives each row of experiments the keys of its part and of itself."""
    found = read_results(paths, task)
    runs = to_frame(found.records)
    experiments = by_experiment(runs).sort_values("ranked", ascending=False, kind="stable", ignore_index=True)
    rows = list(experiments[["task", "subset", "profile", "model", "experiment", "hardware", "protocol"]].itertuples())
    experiments["part"] = pandas.Series([task_key(row.task, row.subset, row.profile) for row in rows], dtype="str")
    experiments["key"] = pandas.Series(_keys(experiments["part"], rows), dtype="str")
    experiments["best"] = experiments["tie"] == BEST
    return Data(tuple(paths), runs, experiments, tuple(found.skipped), found.seconds)


def task_key(task: str, subset: str, profile: bool) -> str:
    """How a link names a part of a task."""
    return (PROFILE if profile else "") + (f"{task}/{subset}" if subset else task)


def _keys(parts: Iterable[str], rows: Sequence[Any]) -> list[str]:
    """How a link names each row; its part and model are named beside it. Further rows of one name are numbered."""
    counts: Counter[tuple] = Counter()
    keys = []
    for part, row in zip(parts, rows, strict=True):
        key = f"{row.experiment}@{row.hardware}@{row.protocol}"
        counts[part, row.model, key] += 1
        number = counts[part, row.model, key]
        keys.append(key if number == 1 else f"{key}@{number}")
    return keys


def task_choices(data: Data) -> Choices:
    """Every part of a task that has results, profiles last."""
    parts = sorted(data.experiments["part"].unique(), key=lambda part: (part.startswith(PROFILE), part.lower()))
    return [(_task_label(part), part) for part in parts]


def _task_label(part: str) -> str:
    name = part.removeprefix(PROFILE).replace("/", " · ", 1)
    return f"{name} (profiles: cost with random weights)" if part.startswith(PROFILE) else name


def model_choices(data: Data, part: str) -> Choices:
    """The base models with results on that part, with the number of experiments."""
    counts = data.experiments.loc[data.experiments["part"] == part, "model"].value_counts()
    return [(f"{model or 'unknown model'} ({counts[model]})", model) for model in sorted(counts.index)]


def hardware_choices(data: Data, part: str, model: str) -> Choices:
    """All hardware, then each one by itself."""
    rows = data.experiments[(data.experiments["part"] == part) & (data.experiments["model"] == model)]
    names = sorted(rows["hardware"].unique())
    return [(f"all ({len(names)})" if len(names) > 1 else "all", ""), *((name or "unknown", name) for name in names)]


def resolve(view: View, data: Data) -> View:
    """The view with every choice replaced that the results do not offer: a link may be older than they are."""
    part = _offered(view.task, task_choices(data))
    model = _offered(view.model, model_choices(data, part))
    hardware = _offered(view.hardware, hardware_choices(data, part, model))
    view = dataclasses.replace(view, task=part, model=model, hardware=hardware)
    rows = selected(data, view)
    keys = set(rows["key"])
    experiment = view.experiment if view.experiment in keys else next(iter(rows["key"]), "")
    return dataclasses.replace(
        view,
        seed=_offered(view.seed, seed_choices(rows, experiment)),
        experiment=experiment,
        columns=tuple(key for key in view.columns if key in COLUMNS),
        sort=view.sort if view.sort in COLUMNS else "",
        x=view.x if view.x in METRICS else View.x,
        y=view.y if view.y in METRICS else View.y,
        compare=tuple(key for key in view.compare if key in keys),
        methods=tuple(item for item in view.methods if item in set(rows["method"])),
        scope=view.scope if view.scope in SCOPES else View.scope,
        family=view.family if view.family in FAMILIES else View.family,
        inference=view.inference if view.inference in INFERENCE else View.inference,
        priority=view.priority if view.priority in PRIORITIES else View.priority,
        quantization=tuple(item for item in view.quantization if item in set(rows["quantization"])),
    )


def _offered(value: str, choices: Choices) -> str:
    values = [choice for _, choice in choices]
    return value if value in values else next(iter(values), "")


def selected(data: Data, view: View) -> pandas.DataFrame:
    """The rows of the chosen part, model and hardware, best first; filters are not applied."""
    frame = data.experiments
    keep = (frame["part"] == view.task) & (frame["model"] == view.model)
    if view.hardware:
        keep &= frame["hardware"] == view.hardware
    return ordered(frame[keep])


def ordered(frame: pandas.DataFrame, key: str = "", ascending: bool = False) -> pandas.DataFrame:
    """Sorted by a column, missing values last; by default best score first."""
    if not key:
        key, ascending = "score", bool(len(frame)) and not higher_is_better(frame)
    return frame.sort_values([key, "experiment"], ascending=[ascending, True], na_position="last", kind="stable")


def higher_is_better(frame: pandas.DataFrame) -> bool:
    """Of the score of these rows, which are of one task."""
    return bool(frame["higher_is_better"].iloc[0]) if len(frame) and "higher_is_better" in frame else True


def row_choices(frame: pandas.DataFrame) -> Choices:
    """The rows of a selection by name; machine and protocol only where they tell rows apart."""
    apart = [key for key in (*MACHINE, "protocol") if frame[key].nunique() > 1]
    rows = frame[["experiment", "key", *MACHINE, "protocol", "status"]].sort_values(["experiment", "key"])
    return [(_label(row, apart), row["key"]) for row in rows.to_dict("records")]


def _label(row: dict[str, Any], apart: Sequence[str]) -> str:
    extra = [f"protocol {row[key]}" if key == "protocol" else str(row[key]) for key in apart]
    extra += [row["status"].replace("_", " ")] if row["status"] != "success" else []
    number = row["key"].removeprefix(f"{row['experiment']}@{row['hardware']}@{row['protocol']}").lstrip("@")
    extra += [f"no. {number}"] if number else []
    return f"{row['experiment']} ({', '.join(extra)})" if extra else str(row["experiment"])


def seed_choices(frame: pandas.DataFrame, key: str) -> Choices:
    """The runs of the row with that key."""
    row = find(frame, key)
    seeds = [] if row is None else [seed for _, seed in row["runs"]]
    return [("seed unknown" if seed is None else f"seed {seed}", str(seed)) for seed in seeds]


def labels(frame: pandas.DataFrame) -> dict[str, str]:
    """Label of each row's key, unique within the frame."""
    return {key: name for name, key in row_choices(frame)}


def find(frame: pandas.DataFrame, key: str) -> pandas.Series | None:
    """The row with that key."""
    rows = frame[frame["key"] == key]
    return rows.iloc[0] if len(rows) else None
