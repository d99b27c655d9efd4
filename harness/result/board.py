"""The board: of each method its best experiment, with the interval of its score and what it costs.

A method is a folder of experiments, or a variant in it that has a name of its own, such as DoRA or QLoRA: sizes and
places of an adapter are its settings. Which experiment is a method's best was decided on valid, by the scores in their
tuning records. Picked by what they reached on test, a method with many experiments would look better than it is: the
largest of several noisy scores is mostly luck. So what was not tuned is not on the board.
"""

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy

from harness.result.columns import COLUMNS
from harness.result.comparable import (
    SCORES,
    Machine,
    Record,
    common_machine,
    on_machine,
    one_per_seed,
    runs_by_experiment,
)
from harness.result.costs import cell, measured, of_one_piece, title
from harness.result.intervals import interval_of
from harness.result.tables import markdown, name_of, partition, title_of, where_costs_are_from
from harness.result.tuning import UNTUNED, Tuning, best, unequal_budgets

_KEYS = ("trainable_params", "storage", "memory_train", "train_tokens_per_second", "overhead_unmerged",
         "overhead_merged", "forgetting", "drift")  # fmt: skip
Variant = tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """A method's best experiment: a run for each seed, their mean score, and the ends of the 95 % interval or NaN.

    Attributes:
        costs: its runs on the board's machine, whose costs stand beside those of the other lines; empty without one.
    """

    runs: tuple[Record, ...]
    costs: tuple[Record, ...]
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
        machine: the one that has runs of every line, so that costs may stand side by side; None where none has.
        untuned: experiments that were left out because nothing says how they were tuned.
    """

    lines: tuple[Standing, ...]
    machine: Machine | None
    untuned: tuple[str, ...]


def boards(records: Sequence[Record], tunings: Mapping[str, Tuning]) -> list[Board]:
    """A board for each group of runs with comparable scores.

    Args:
        records: of one task, ranked ones only.
        tunings: by experiment.
    """
    found = (_board(group, tunings) for group in partition(records, SCORES))
    return [board for board in found if board.lines]


def _board(group: Sequence[Record], tunings: Mapping[str, Tuning]) -> Board:
    tuned = runs_by_experiment(
        one for one in group if one["experiment"] in tunings and one["budget"] not in ("", UNTUNED)
    )
    higher = group[0]["higher_is_better"]
    chosen = _best_of_each(tuned, tunings, higher)
    machine = common_machine(list(chosen.values()))
    lines = [_standing(runs, machine) for runs in chosen.values()]
    return Board(
        tuple(sorted(lines, key=lambda line: -line.score if higher else line.score)),
        machine,
        untuned=tuple(sorted({one["experiment"] for one in group} - tuned.keys())),
    )


def _best_of_each(
    tuned: Mapping[str, list[Record]], tunings: Mapping[str, Tuning], higher: bool
) -> dict[str, list[Record]]:
    """The runs of each method's experiment that was best on valid."""
    by_method: dict[Variant, set[str]] = defaultdict(set)
    for name, runs in tuned.items():
        for one in runs:
            by_method[variant_of(one)].add(name)
    on_valid = {name: tunings[name].mean(tunings[name].chosen) for name in tuned}
    chosen = {best(sorted(names), [on_valid[name] for name in sorted(names)], higher) for names in by_method.values()}
    return {name: tuned[name] for name in sorted(chosen)}


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


def _standing(runs: Sequence[Record], machine: Machine | None) -> Standing:
    """Of an experiment's runs, whose costs count on that machine."""
    counted = tuple(one_per_seed(runs))
    scores = numpy.array([one["score"] for one in counted])
    low, high, _ = interval_of(scores, counted[0]["item_scores"] if len(counted) == 1 else None)
    costs = tuple(on_machine(runs, machine))
    return Standing(counted, costs, statistics.fmean(scores), low, high)


def board_table(shown: Sequence[Board]) -> str:
    """Markdown of the boards, each under a line that says of what it is."""
    return "\n\n".join(part for board in shown for part in _parts(board))


def _parts(board: Board) -> list[str]:
    runs = [one for line in board.lines for one in line.runs]
    with_costs = [one for line in board.lines for one in line.costs]
    keys = [key for key in _KEYS if measured(key, with_costs if COLUMNS[key].machine else runs)]
    seeds = {len(line.runs) for line in board.lines}
    mixed = len(seeds) > 1
    heads = ["method's best", f"{runs[0]['metric']} %", "95 % interval", *(["seeds"] if mixed else []),
             *(title(key, runs) for key in keys), "tuning"]  # fmt: skip
    body = [
        [
            of_one_piece(name_of(line.name, line.runs), line.costs),
            f"{100 * line.score:.1f}",
            "one score" if numpy.isnan(line.low) else f"{100 * line.low:.1f} to {100 * line.high:.1f}",
            *([str(len(line.runs))] if mixed else []),
            *(cell(key, line.costs if COLUMNS[key].machine else line.runs) for key in keys),
            line.runs[0]["budget"],
        ]
        for line in board.lines
    ]
    uneven = unequal_budgets(line.runs[0]["budget"] for line in board.lines)
    notes = [
        where_costs_are_from(board.machine, runs),
        "The interval of a single seed knows nothing of chance between seeds." if mixed and 1 in seeds else "",
        f"Beware: {uneven}." if uneven else "",
    ]
    return [title_of(runs), markdown(heads, body), *filter(None, notes)]
