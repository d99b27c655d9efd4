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
from harness.result.tuning import UNTUNED, Tuning, unequal_budgets

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
    sign = 1 if group[0]["higher_is_better"] else -1
    tuned = [one for one in group if one["experiment"] in tunings and one["budget"] not in ("", UNTUNED)]
    names = {(variant_of(one), one["experiment"]) for one in tuned}
    best: dict[Variant, tuple[float, str]] = {}
    for method, name in sorted(names):
        on_valid = sign * (tunings[name].mean(tunings[name].chosen) or 0.0)
        if method not in best or on_valid > best[method][0]:
            best[method] = on_valid, name
    chosen = {name for _, name in best.values()}
    of_experiment = [one for one in tuned if one["experiment"] in chosen]
    machines = Counter(machine for _, machine in {(one["experiment"], _machine(one)) for one in of_experiment})
    order = sorted(machines, key=lambda machine: (-machines[machine], machine))
    lines = [_standing([one for one in of_experiment if one["experiment"] == name], order) for name in sorted(chosen)]
    return Board(
        tuple(sorted(lines, key=lambda line: -sign * line.score)),
        one_machine=len({_machine(line.runs[0]) for line in lines}) == 1,
        untuned=tuple(sorted({one["experiment"] for one in group} - {name for _, name in names})),
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


def _machine(record: Record) -> tuple[str, ...]:
    return tuple(record[key] for key in MACHINE)


def _standing(runs: Sequence[Record], machines: Sequence[tuple[str, ...]]) -> Standing:
    by_machine: dict[tuple[str, ...], list[Record]] = defaultdict(list)
    for one in runs:
        by_machine[_machine(one)].append(one)
    kept = sorted(
        next(by_machine[machine] for machine in machines if machine in by_machine), key=lambda one: one["seed"]
    )
    scores = numpy.array([one["score"] for one in kept])
    low, high, _ = interval_of(scores, kept[0]["item_scores"] if len(kept) == 1 else None)
    return Standing(tuple(kept), statistics.fmean(scores), low, high)


def board_table(records: Sequence[Record], tunings: Mapping[str, Tuning]) -> str:
    """Markdown of every board, each under a line that says of what it is."""
    parts = []
    for board in boards(records, tunings):
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
