"""The results as they were read, what there is to choose from, and which rows a choice means.

The first choice is a part of a task: a subset, or the whole where it has none; profiles (random weights, no quality)
are a choice of their own. Then the base model, then the hardware, which may stay open.
"""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from harness.dashboard.view import View
from harness.result.columns import Column, of_metric, of_unit
from harness.result.comparable import MACHINE
from harness.result.experiments import by_experiment
from harness.result.files import Skipped, find_files
from harness.result.forecasts import Forecast, forecast_files, read_forecasts
from harness.result.frame import to_frame
from harness.result.read import read_results
from harness.result.ties import BEST
from harness.result.units import plural

PROFILE = "profiles:"
Place = tuple[str, str]  # part of a task, base model


@dataclass(frozen=True)
class Data:
    """All results: one row per run, one row per experiment, the files left out, and the state of the files.

    Forecasts are no results, and no row of either frame comes from one.
    """

    paths: tuple[Path, ...]
    runs: pandas.DataFrame
    experiments: pandas.DataFrame
    skipped: tuple[Skipped, ...]
    forecasts: tuple[Forecast, ...]
    places: list[Place]  # in the order of `by_interest`
    state: int


def read_data(paths: Sequence[Path], task: str | None = None) -> Data:
    """Reads every result under the paths, and gives each row of experiments the keys of its part and of itself."""
    state = state_of(paths)
    found = read_results(paths, task)
    runs = to_frame(found.records)
    frame = by_experiment(runs).sort_values("ranked", ascending=False, kind="stable", ignore_index=True)
    rows = zip(frame["task"], frame["subset"], frame["profile"], strict=True)
    parts = [(PROFILE if profile else "") + "/".join(filter(None, (task, subset))) for task, subset, profile in rows]
    frame["part"] = pandas.Series(parts, dtype="str")
    frame["key"] = pandas.Series(_keys(frame), dtype="str")
    frame["best"] = frame["tie"] == BEST
    forecasts, unread = read_forecasts(paths)
    return Data(tuple(paths), runs, frame, (*found.skipped, *unread), tuple(forecasts), by_interest(frame), state)


def state_of(paths: Sequence[Path]) -> int:
    """Another number once a file is there, gone or written anew."""
    files = []
    for folder, names in find_files(paths, []):
        for name in names:
            status = os.stat(os.path.join(folder, name), follow_symlinks=False)
            files.append((str(folder), name, status.st_mtime_ns, status.st_size))
    for path in forecast_files(paths):
        status = path.stat(follow_symlinks=False)
        files.append((str(path.parent), path.name, status.st_mtime_ns, status.st_size))
    return hash(tuple(files))


def _keys(frame: pandas.DataFrame) -> list[str]:
    """How a link names each row; its part and model are named beside it. Further rows of one name are numbered."""
    counts: Counter[tuple] = Counter()
    keys = []
    for row in frame[["part", "model", "experiment", "hardware", "protocol"]].itertuples(index=False):
        key = f"{row.experiment}@{row.hardware}@{row.protocol}"
        counts[row.part, row.model, key] += 1
        number = counts[row.part, row.model, key]
        keys.append(key if number == 1 else f"{key}@{number}")
    return keys


def is_small(model: str) -> bool:
    """A base model that ships with the project for tests: a toy, whose figures say nothing of real ones."""
    return model.startswith("embedded/")


def by_interest(frame: pandas.DataFrame) -> list[Place]:
    """Parts and models, those first that a visitor most likely came for: the largest real model with most results.

    Profiles come last, and small test models before them. Three quarters of the most count as most, too.
    """
    places = frame.groupby(["profile", "part", "model"]).agg(
        ranked=("ranked", "sum"), size=("total_params", "max"), rows=("key", "size")
    )
    real = [index for index in places.index if not index[0] and not is_small(index[2])]
    most = places.loc[real, "ranked"].max() if real else 0

    def order(index: tuple) -> tuple:
        one, (profile, part, model) = places.loc[index], index
        size = 0 if pandas.isna(one["size"]) else one["size"]
        return profile, is_small(model), 4 * one["ranked"] < 3 * most, -size, -one["ranked"], -one["rows"], part, model

    return [(part, model) for _, part, model in sorted(places.index, key=order)]


def task_options(places: Sequence[Place]) -> dict[str, str]:
    """Every part of a task that has results; those with small test models only and profiles come last."""
    real = {part for part, model in places if not is_small(model)}
    parts = sorted(
        {part for part, _ in places}, key=lambda part: (part[:9] == PROFILE, part not in real, part.lower())
    )
    return {part: _task_label(part, part in real) for part in parts}


def _task_label(part: str, real: bool) -> str:
    name = part.removeprefix(PROFILE).replace("/", " · ", 1)
    if part.startswith(PROFILE):
        return f"{name} (profiles: cost with random weights)"
    return name if real else f"{name} (small test model)"


def model_options(frame: pandas.DataFrame, places: Sequence[Place], part: str) -> dict[str, str]:
    """The base models with results on that part, with the number of experiments."""
    counts = frame.loc[frame["part"] == part, "model"].value_counts()
    return {model: _model_label(model, counts[model]) for where, model in places if where == part}


def _model_label(model: str, count: int) -> str:
    small = "small test model, " if is_small(model) else ""
    return f"{model or 'unknown model'} ({small}{count} {plural(count, 'experiment')})"


def hardware_options(rows: pandas.DataFrame) -> dict[str, str]:
    """All hardware, then each one by itself."""
    names = sorted(rows["hardware"].unique())
    return {"": f"all ({len(names)})" if len(names) > 1 else "all"} | {name: name for name in names}


def resolve(view: View, data: Data) -> tuple[View, list[str]]:
    """The view with what it leaves open filled in, and what it asks for that the results do not hold.

    Where task, model or hardware are not there nothing else is filled in: nothing else is what was asked for.
    """
    frame, places = data.experiments, data.places
    fitting = [
        (part, model) for part, model in places if view.task in ("", part) and (not view.model or view.model == model)
    ]
    if not fitting:
        known = view.task in ("", *task_options(places))
        what = f"Base model “{view.model[:80]}”" if known else f"Task “{view.task[:80]}”"
        return view, [f"{what}: there are no results of it here."]
    view = dataclasses.replace(view, task=fitting[0][0], model=fitting[0][1])
    rows = selected(frame, view)
    if rows.empty:
        return view, [f"Hardware “{view.hardware[:80]}”: there are no results of it here."]
    keys, problems = dict.fromkeys(rows["key"]), []
    problems += [f"Experiment “{key[:80]}”: not here." for key in view.compare if key not in keys]
    view = dataclasses.replace(view, compare=tuple(key for key in view.compare if key in keys))
    if view.experiment and view.experiment not in keys:
        problems.append(f"Experiment “{view.experiment[:80]}”: there are no results of it here.")
        return dataclasses.replace(view, experiment=""), problems
    view = dataclasses.replace(
        view, experiment=view.experiment or (next(iter(keys)) if view.tab == "experiment" else "")
    )
    if view.seed and view.seed not in seed_options(find(rows, view.experiment)):
        problems.append(f"Run “{view.seed[:80]}”: there is none of that seed.")
        view = dataclasses.replace(view, seed="")
    for name, column in (("methods", "method"), ("quantization", "quantization"), ("highlight", "method")):
        given, there = getattr(view, name), set(rows[column])
        unknown = [one for one in ([given] if isinstance(given, str) else given) if one and one not in there]
        problems += [f"{name.capitalize()}: there is no “{one[:80]}” here." for one in unknown]
    return view, problems


def selected(frame: pandas.DataFrame, view: View) -> pandas.DataFrame:
    """The rows of the chosen part, model and hardware, best first; filters are not applied."""
    keep = (frame["part"] == view.task) & (frame["model"] == view.model)
    if view.hardware:
        keep &= frame["hardware"] == view.hardware
    return ordered(frame[keep])


def ordered(frame: pandas.DataFrame, key: str = "", ascending: bool = False) -> pandas.DataFrame:
    """Sorted by a column, missing values last; by default best score first."""
    if not key:
        key, ascending = "score", bool(len(frame)) and not bool(frame["higher_is_better"].iloc[0])
    return frame.sort_values([key, "experiment"], ascending=[ascending, True], na_position="last", kind="stable")


def column_of(column: Column, frame: pandas.DataFrame) -> Column:
    """The column as it is of these rows, which are of one task: named and directed as their metric is."""
    known = frame[frame["metric"] != ""]
    if known.empty:
        return column
    first = known.iloc[0]
    alike = known["metric"].nunique() == 1
    column = of_unit(column, first["work_unit"])
    return of_metric(column, first["metric"] if alike else "", bool(first["higher_is_better"]), bool(first["share"]))


def column_of_row(column: Column, row: Mapping[str, Any]) -> Column:
    """The same of one row."""
    column = of_unit(column, row["work_unit"])
    return of_metric(column, row["metric"], bool(row["higher_is_better"]), bool(row["share"]))


def labels(frame: pandas.DataFrame) -> dict[str, str]:
    """Label of each row's key, unique within the frame: machine and protocol only where they tell rows apart."""
    apart = [key for key in (*MACHINE, "protocol") if frame[key].nunique() > 1]
    found = {}
    rows = frame[["experiment", "key", *MACHINE, "protocol", "status"]].sort_values(["experiment", "key"])
    for row in rows.to_dict("records"):
        extra = [f"protocol {row[key]}" if key == "protocol" else str(row[key]) for key in apart if row[key]]
        extra += [row["status"].replace("_", " ")] if row["status"] != "success" else []
        number = row["key"].removeprefix(f"{row['experiment']}@{row['hardware']}@{row['protocol']}").lstrip("@")
        extra += [f"no. {number}"] if number else []
        found[row["key"]] = f"{row['experiment']} ({', '.join(extra)})" if extra else str(row["experiment"])
    return found


def seed_options(row: pandas.Series | None) -> dict[str, str]:
    """The runs of a row; the empty one stands for the first."""
    seeds = [] if row is None else [seed for _, seed in row["runs"]]
    return {str(seed): "seed unknown" if seed is None else f"seed {seed}" for seed in seeds}


def find(frame: pandas.DataFrame, key: str) -> pandas.Series | None:
    """The row with that key."""
    rows = frame[frame["key"] == key]
    return rows.iloc[0] if len(rows) else None
