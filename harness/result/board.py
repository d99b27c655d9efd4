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
_LOST = ("forgetting", "drift")
Variant = tuple[str, ...]
Machine = tuple[str, ...]


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
        machine: the one that has a run of every line, so that costs may stand side by side; None where none has.
        untuned: experiments that were left out because nothing says how they were tuned.
    """

    lines: tuple[Standing, ...]
    machine: Machine | None
    untuned: tuple[str, ...]


def boards(records: Sequence[Record], tunings: Mapping[str, Tuning]) -> list[Board]:
    """A board for each group of runs with comparable scores.

    Of a seed that ran on several machines, the run counts of the one that most experiments ran on.

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
    by_name = {name: [one for one in group if one["experiment"] == name] for name in sorted(chosen)}
    counts = Counter(machine for runs in by_name.values() for machine in set(map(_machine, runs)))
    order = sorted(counts, key=lambda machine: (-counts[machine], machine))
    whole = order[0] if order and counts[order[0]] == len(by_name) else None
    lines = [_standing(runs, order, whole) for runs in by_name.values()]
    return Board(
        tuple(sorted(lines, key=lambda line: -line.score if higher else line.score)),
        machine=whole,
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


def _machine(run: Record) -> Machine:
    return tuple(run[key] for key in MACHINE)


def _standing(runs: Sequence[Record], order: Sequence[Machine], whole: Machine | None) -> Standing:
    """Of an experiment's runs; `order` names the machines, those first whose run of a seed counts."""
    by_seed = {one["seed"]: one for one in sorted(runs, key=lambda one: -order.index(_machine(one)))}
    counted = tuple(by_seed[seed] for seed in sorted(by_seed))
    scores = numpy.array([one["score"] for one in counted])
    low, high, _ = interval_of(scores, counted[0]["item_scores"] if len(counted) == 1 else None)
    costs = tuple(one for one in counted if _machine(one) == whole)
    return Standing(counted, costs, statistics.fmean(scores), low, high)


def board_table(shown: Sequence[Board]) -> str:
    """Markdown of the boards, each under a line that says of what it is."""
    return "\n\n".join(part for board in shown for part in _parts(board))


def _parts(board: Board) -> list[str]:
    runs = [one for line in board.lines for one in line.runs]
    costs = [one for line in board.lines for one in line.costs]
    keys = dict.fromkeys(_SIZES, False) | dict.fromkeys(_COSTS, True) | dict.fromkeys(_LOST, False)
    keys = {key: dear for key, dear in keys.items() if measured(key, costs if dear else runs)}
    heads = ["method's best", f"{runs[0]['metric']} %", "95 % interval", *(title(key, runs) for key in keys), "tuning"]
    body = [
        [
            of_one_piece(line.name, line.costs),
            f"{100 * line.score:.1f}",
            "one score" if numpy.isnan(line.low) else f"{100 * line.low:.1f} to {100 * line.high:.1f}",
            *(cell(key, line.costs if dear else line.runs) for key, dear in keys.items()),
            line.runs[0]["budget"],
        ]
        for line in board.lines
    ]
    parts = [title_of(runs), markdown(heads, body)]
    if board.machine and len(set(map(_machine, runs))) > 1:
        parts.append(f"Memory and speeds are of the runs on one machine: {', '.join(filter(None, board.machine))}.")
    uneven = unequal_budgets(line.runs[0]["budget"] for line in board.lines)
    return [*parts, f"Beware: {uneven}."] if uneven else parts
