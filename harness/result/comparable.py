"""What may be compared with what: the one definition, which the tables, harness.compare and every page ask.

Scores are comparable where task, subset, metric, protocol, data and base model are the same; the machine may be
another one, which then has to be said. Costs (memory, time, speed) are comparable where the machine is the same as
well: hardware, processor model, threads and the major versions of the libraries. Profiles, which have random weights,
and results of other harnesses, whose protocol nobody knows, are groups of their own.

A record is one run as harness/result/records.py makes it, or a row of a frame: anything with these keys.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from harness.result.columns import COLUMNS

Record = Mapping[str, Any]
Group = Literal["score_group", "cost_group"]
Machine = tuple[str, ...]

FOREIGN = "of another harness"  # protocol of results that another harness wrote
LIBRARIES = ("torch", "transformers", "peft")

# Keys of a record that have to be equal, and what to call them where they are not.
SCORES: dict[str, str] = {
    "task": "tasks",
    "subset": "subsets",
    "protocol": "protocols",
    "model": "base models",
    "model_version": "versions of the base model",
    "data": "data",
    "metric": "metrics",
    "higher_is_better": "directions of the metric",
    "profile": "kinds of run",
}
MACHINE: dict[str, str] = {
    "hardware": "hardware",
    "processor": "processors or threads",
    "libraries": "major versions of libraries",
}
COSTS: dict[str, str] = SCORES | MACHINE
KEYS: dict[Group, dict[str, str]] = {"score_group": SCORES, "cost_group": COSTS}
_UNREADABLE = ("model_version", "data")  # fingerprints, which tell nothing where they are printed


def group_for(keys: Iterable[str]) -> Group:
    """Which groups a comparison stays within that looks at these columns."""
    return "cost_group" if any(COLUMNS[key].machine for key in keys) else "score_group"


def group_of(record: Record, group: Group) -> tuple[Any, ...]:
    """Equal for two records that may be compared."""
    return tuple(record[key] for key in KEYS[group])


def difference(a: Record, b: Record, group: Group = "score_group") -> str:
    """The first reason why two records may not be compared, for people; empty where they may."""
    for key, name in KEYS[group].items():
        if a[key] != b[key]:
            values = sorted(str(one[key]) or "unknown" for one in (a, b))
            return f"different {name}" if key in _UNREADABLE else f"different {name}, {' and '.join(values)}"
    return ""


def unranked(record: Record) -> str:
    """Why a run's score is never ranked, for people; empty where it is."""
    if record["status"] != "success":
        return f"ended as {record['status']}"
    if record["modified"]:
        return "parameters were changed on the command line"
    if record["profile"]:
        return "a profile, with random weights"
    if not record["direction_known"]:
        return f"nobody knows whether a higher {record['metric']} is better"
    return "" if record["score"] == record["score"] else "no test score"  # NaN differs from itself


def machine_of(record: Record) -> Machine:
    """Equal for two records of one machine."""
    return tuple(record[key] for key in MACHINE)


def on_machine(runs: Iterable[Record], machine: Machine | None) -> list[Record]:
    """Those of the runs that were made there."""
    return [run for run in runs if machine_of(run) == machine]


def runs_by_experiment(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records under the name of their experiment, <method>/<name>."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[record["experiment"]].append(record)
    return found


def common_machine(experiments: Sequence[Sequence[Record]]) -> Machine | None:
    """Of the machines that ran every one of them the one with most of their runs; None where there is none."""
    common = set.intersection(*(set(map(machine_of, runs)) for runs in experiments)) if experiments else set()
    counts = Counter(machine_of(one) for runs in experiments for one in runs)
    return max(sorted(common, key=str), key=lambda machine: counts[machine], default=None)


def one_per_seed(runs: Iterable[Record]) -> list[Record]:
    """An experiment's runs in the order of their seeds, none twice: a seed made again is no further evidence.

    Of a seed that several machines ran, the run counts of the one that ran more of these seeds; of equals the first.
    """
    runs = list(runs)
    seeds = Counter(map(machine_of, runs))
    kept: dict[float, Record] = {}
    for run in sorted(runs, key=lambda one: (one["seed"], -seeds[machine_of(one)], str(machine_of(one)))):
        kept.setdefault(run["seed"], run)
    return list(kept.values())


def differing_setting(settings: Iterable[bytes]) -> str:
    """The first setting in which runs of one experiment differ, which makes them several experiments; else empty.

    One that only some of them know, since the harness learned it later, cannot tell them apart. Nor can what a method
    settles by itself from the rows it sees, as EVA its ranks, where the runs were asked for the same.

    Args:
        settings: of each run, as a record has them.
    """
    distinct = dict.fromkeys(settings)
    if len(distinct) == 1:
        return ""
    first, *others = map(json.loads, distinct)
    for part in ("train", "peft"):
        for other in others:
            if part == "peft" and first["config"] and first["config"] == other["config"]:
                continue
            for key in sorted(first[part].keys() & other[part].keys()):
                if first[part][key] != other[part][key]:
                    return key
    return ""


def libraries(versions: Mapping[str, str | None]) -> str:
    """Major versions, as far as they are known: 'torch 2, transformers 5, peft 0.21'.

    Args:
        versions: of packages, under names such as "torch-version".
    """
    known = ((name, versions.get(f"{name}-version")) for name in LIBRARIES)
    return ", ".join(f"{name} {_major(version)}" for name, version in known if version)


def _major(version: str) -> str:
    """Of 2.13.0 it is 2; before 1.0 the second number plays that part, so of 0.21.2 it is 0.21."""
    parts = version.split("+")[0].split(".")
    return ".".join(parts[:2]) if parts[0] == "0" else parts[0]
