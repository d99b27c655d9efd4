"""The board: of each method its best experiment, with the interval of its score and what it costs.

A method is a folder of experiments, or a variant in it that has a name of its own, such as DoRA or QLoRA: sizes and
places of an adapter are its settings. Which experiment is a method's best was decided on valid, by the scores in their
tuning records. Picked by what they reached on test, a method with many experiments would look better than it is: the
largest of several noisy scores is mostly luck. So what was not tuned is not on the board.
"""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy

from harness.result.comparable import MACHINE, SCORES, Record
from harness.result.costs import cell, measured, of_one_piece, title
from harness.result.intervals import interval_of
from harness.result.tables import markdown, partition, title_of
from harness.result.tuning import UNTUNED, Tuning, best, unequal_budgets

_SIZES = ("trainable_params", "storage")
_COSTS = ("memory_train", "train_tokens_per_second", "overhead_unmerged", "overhead_merged")
Variant = tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """A method's best experiment: its runs on one machine, mean score, and the ends of the 95 % interval or NaN."""

    runs: tuple[Record, ...]
    score: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """Of the experiment, <method>/<name>."""
        return self.runs[0]["experiment"]


@dataclass(frozen=True)
class Board:
    """The lines that may be ranked together, best first.

    Attributes:
        one_machine: all lines were measured on one, so that costs may stand side by side.
        untuned: experiments that were left out because nothing says how they were tuned.
    """

    lines: tuple[Standing, ...]
    one_machine: bool
    untuned: tuple[str, ...]


def boards(records: Sequence[Record], tunings: Mapping[str, Tuning]) -> list[Board]:
    """A board for each group of runs with comparable scores.

    Of an experiment that ran on several machines, the runs count of the one that most experiments ran on.

    Args:
        records: of one task, ranked ones only.
        tunings: by experiment.
    """
    found = (_board(group, tunings) for group in partition(records, SCORES))
    return [board for board in found if board.lines]


def _board(group: Sequence[Record], tunings: Mapping[str, Tuning]) -> Board:
    higher = group[0]["higher_is_better"]
    by_method: dict[Variant, set[str]] = defaultdict(set)
    for one in group:
        if one["experiment"] in tunings and one["budget"] not in ("", UNTUNED):
            by_method[variant_of(one)].add(one["experiment"])
    on_valid = {name: record.mean(record.chosen) for name, record in tunings.items()}
    chosen = {best(sorted(names), [on_valid[name] for name in sorted(names)], higher) for names in by_method.values()}
    tuned = set().union(*by_method.values())
    parts = [partition([one for one in group if one["experiment"] == name], MACHINE) for name in sorted(chosen)]
    machines = Counter(_machine(part) for of_experiment in parts for part in of_experiment)
    kept = [
        min(of_experiment, key=lambda part: (-machines[_machine(part)], _machine(part))) for of_experiment in parts
    ]
    return Board(
        tuple(sorted(map(_standing, kept), key=lambda line: -line.score if higher else line.score)),
        one_machine=len(set(map(_machine, kept))) == 1,
        untuned=tuple(sorted({one["experiment"] for one in group} - tuned)),
    )


def variant_of(record: Record) -> Variant:
    """The method, and what makes it another one: quantization, an optimizer made for it, PEFT's switches.

    Those are the options of an adapter named use_…, an initialization that has a name, and sections named …_config.
    """
    settings = json.loads(record["settings"])
    adapter, optimizer = settings["peft"] or {}, settings["train"].get("optimizer_type")
    marks = [record["quantization"], *([optimizer] if adapter and optimizer else [])]
    for key, value in sorted(adapter.items()):
        if key.startswith("init_") and isinstance(value, str):
            marks.append(value)
        elif key.startswith("use_") or key.endswith("_config"):
            marks += [key] if value else []
    return record["method"], *marks


def _machine(runs: Sequence[Record]) -> tuple[str, ...]:
    return tuple(runs[0][key] for key in MACHINE)


def _standing(runs: Sequence[Record]) -> Standing:
    runs = tuple(sorted(runs, key=lambda one: one["seed"]))
    scores = numpy.array([one["score"] for one in runs])
    low, high, _ = interval_of(scores, runs[0]["item_scores"] if len(runs) == 1 else None)
    return Standing(runs, statistics.fmean(scores), low, high)


def board_table(shown: Sequence[Board]) -> str:
    """Markdown of the boards, each under a line that says of what it is."""
    parts = []
    for board in shown:
        runs = [one for line in board.lines for one in line.runs]
        keys = [key for key in (*_SIZES, *(_COSTS if board.one_machine else ())) if measured(key, runs)]
        heads = [
            "method's best",
            f"{runs[0]['metric']} %",
            "95 % interval",
            *(title(key, runs) for key in keys),
            "tuning",
        ]
        body = [
            [
                of_one_piece(line.name, line.runs),
                f"{100 * line.score:.1f}",
                "one score" if numpy.isnan(line.low) else f"{100 * line.low:.1f} to {100 * line.high:.1f}",
                *(cell(key, line.runs) for key in keys),
                line.runs[0]["budget"],
            ]
            for line in board.lines
        ]
        parts += [title_of(runs), markdown(heads, body)]
        uneven = unequal_budgets(line.runs[0]["budget"] for line in board.lines)
        parts += [f"Beware: {uneven}."] if uneven else []
    return "\n\n".join(parts)
