"""What the results at hand say about claims of the literature: one report per claim, one line per comparison.

A claim is data, an entry of harness/dashboard/claims.py, over one of four checks. A line holds or does not hold only
where its whole 95 % interval lies on one side of the claim's margin. An interval on both sides is undecided: no
difference seen is not the same as equal. Nothing is compared across groups of comparable runs: scores and forgetting
of several machines count together, costs never do.
"""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import pandas

from harness.dashboard import estimates
from harness.dashboard.claim import FEWEST, Claim
from harness.dashboard.estimates import Verdict
from harness.dashboard.evidence import Group, group_label, run_groups, score_difference
from harness.result.columns import COLUMNS, TIMED, of_unit
from harness.result.comparable import KEYS, group_for

CHANCE = (
    "Each comparison is made at 95 % confidence on its own: of many, chance decides a few wrongly. "
    "A verdict speaks of these models, tasks and sizes only."
)


@dataclass(frozen=True)
class Line:
    """One comparison: its verdict, its figures as a sentence, the experiments it is about, its group for people."""

    verdict: Verdict
    text: str
    experiments: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class ClaimReport:
    """A claim against all results at hand."""

    claim: Claim
    verdict: Verdict
    summary: str
    lines: tuple[Line, ...]


def findings(runs: pandas.DataFrame, claims: Iterable[Claim]) -> list[ClaimReport]:
    """Checks each claim in every group of comparable runs; the frame is that of to_frame."""
    records = runs.to_dict("records")
    groups = {key: run_groups(records, key) for key in KEYS}
    reports = []
    for claim in claims:
        costs = _CORRELATED if claim.check == "correlation" else ()
        lines = _placed([(group, line) for group in groups[group_for((claim.column, *costs))]
                         for line in _lines(group, claim)])  # fmt: skip
        verdicts = [line.verdict for line in lines]
        reports.append(ClaimReport(claim, combined(verdicts), _summary(claim, verdicts), lines))
    return reports


def _placed(found: Sequence[tuple[Group, Line]]) -> tuple[Line, ...]:
    """The lines with the label of the runs they are about, and processors where groups would have the same label."""
    runs = [[run for name in line.experiments for run in group.by_experiment[name]] for group, line in found]
    labels = [group_label(one) for one in runs]
    owners: dict[str, set[str]] = defaultdict(set)
    for label, (group, _) in zip(labels, found, strict=True):
        owners[label].add(group.name)
    marks = [f", {' and '.join(sorted({run['processor'] for run in one}))}" if len(owners[label]) > 1 else ""
             for label, one in zip(labels, runs, strict=True)]  # fmt: skip
    return tuple(replace(line, where=label + mark)
                 for (_, line), label, mark in zip(found, labels, marks, strict=True))  # fmt: skip


def _lines(group: Group, claim: Claim) -> list[Line]:
    group = group.timed if claim.column in TIMED else group
    if not group.runs:
        return []
    excluded = group.select(*claim.without)
    subjects = group.select(*claim.subjects) if claim.subjects else list(group.by_experiment)
    subjects = [name for name in subjects if name not in excluded]
    return _CHECKS[claim.check](group, claim, subjects) if subjects else []


def _difference(group: Group, claim: Claim, subjects: list[str]) -> list[Line]:
    """Against the best opponent; being close to what learned nothing would say nothing."""
    other = group.best(_opponents(group, claim, subjects), claim.column)
    lines = []
    for name in subjects if other else []:
        values, against = group.values(name, claim.column), group.values(other, claim.column)
        if not values:
            continue
        if claim.column == "score":
            found, unit = score_difference(group, name, other), "points"
        else:
            column = of_unit(COLUMNS[claim.column], group.first["work_unit"])
            found, unit = estimates.difference(values, against), "points" if column.unit == "points" else "nats"
        verdict, text = claim.judge(found), f"{name} less {other}: {found.text(unit)}"
        gains = group.values(other, "gain")
        if claim.column == "score" and gains and statistics.fmean(gains) <= 0:
            verdict, text = "undecided", f"{text}; but {other} is no better than the untouched base"
        elif claim.cheaper:
            verdict, text = _if_cheaper(group, name, other, verdict, text)
        lines.append(Line(verdict, text, (name, other)))
    return lines


def _opponents(group: Group, claim: Claim, subjects: list[str]) -> list[str]:
    """Experiments of which the best is what the claim is against."""
    if claim.against != "adapter":
        return group.select(claim.against)
    return [name for name, runs in group.by_experiment.items() if runs[0]["peft_type"] and name not in subjects]


def _if_cheaper(group: Group, name: str, other: str, verdict: Verdict, text: str) -> tuple[Verdict, str]:
    share = _over(group, name, other, "trainable_params")
    if share is None:
        return "not measured", f"{text}; not measured: trained parameters"
    machine = group.on_one_machine(name, other)
    memory = machine and _over(machine, name, other, "memory_train")
    needs = "" if memory is None else f" and needs {memory:.2f} times the memory"
    text = f"{text}; it trains {share:.3g} times as many parameters{needs}"
    return (verdict if share < 1 else "does not hold"), text


def _over(group: Group, name: str, other: str, key: str) -> float | None:
    one, two = group.median(name, key), group.median(other, key)
    return None if one is None or not two else one / two


def _ratio(group: Group, claim: Claim, subjects: list[str]) -> list[Line]:
    lines, what = [], COLUMNS[claim.column].label.lower()
    for name in subjects:
        values, size = group.values(name, claim.column), group.median(name, "total_params")
        if claim.largest < math.inf and (size is None or size >= claim.largest or not values):
            continue
        other = None
        if claim.against == "nearest lora":
            other = _nearest(group, name, claim.column)
        elif claim.against != "base":
            other = group.best(_opponents(group, claim, subjects), claim.column)
        if not values or (claim.against != "base" and other is None):
            lines.append(Line("not measured", f"{name}: no {what} to compare", (name,)))
        elif other is None:
            found = estimates.ratio_to_one(values)
            lines.append(Line(claim.judge(found), f"{name}, {what}: {found.text('times')}", (name,)))
        else:
            found = estimates.ratio(values, group.values(other, claim.column))
            text = f"{name}, {what} over that of {other}: {found.text('times')}"
            lines.append(Line(claim.judge(found), text, (name, other)))
    return lines


def _nearest(group: Group, name: str, key: str) -> str | None:
    """The LoRA experiment with that figure whose number of trained parameters is nearest."""
    own = group.median(name, "trainable_params")
    sizes = {lora: group.median(lora, "trainable_params") for lora in group.select("lora") if group.values(lora, key)}
    sizes = {lora: size for lora, size in sizes.items() if size}
    return min(sizes, key=lambda lora: abs(math.log(sizes[lora] / own)), default=None) if own else None


def _spread(group: Group, claim: Claim, subjects: list[str]) -> list[Line]:
    """Spread between seeds over that of all other experiments, pooled."""
    others = [group.values(name, claim.column) for name in group.by_experiment if name not in subjects]
    pooled, freedom = estimates.pooled_deviation([values for values in others if len(values) > 1])
    lines = []
    for name in subjects:
        values = group.values(name, claim.column)
        if values and (len(values) < 2 or not freedom):
            lines.append(Line("not measured", f"{name}: needs two seeds of it and of another experiment", (name,)))
        elif values:
            own, own_freedom = estimates.pooled_deviation([values])
            found = estimates.spread_ratio(own, own_freedom, pooled, freedom)
            text = f"{name} scores {100 * statistics.fmean(values):.1f} %, standard deviation between seeds "
            text += f"{100 * own:.1f} points, others' {100 * pooled:.1f} points"
            text += f"; {found.text('times')}; {len(values)} seeds tell little of a spread"
            lines.append(Line(claim.judge(found), text, (name,)))
    return lines


def _correlation(group: Group, claim: Claim, subjects: list[str]) -> list[Line]:
    """Spearman's of trained parameters with costs, turned so that +1 means: the more of them, the more it costs."""
    lines = []
    for key, (what, sign) in _CORRELATED.items():
        part = group.timed if key in TIMED else group
        pairs = {name: (part.median(name, claim.column), part.median(name, key)) for name in subjects}
        pairs = {name: pair for name, pair in pairs.items() if None not in pair}
        costs, figures = ([pair[side] for pair in pairs.values()] for side in (0, 1))
        if pairs and (len(pairs) < FEWEST or len(set(costs)) < 2 or len(set(figures)) < 2):
            text = f"{what}: {len(pairs)} experiments are too few or too alike"
            lines.append(Line("not measured", text, tuple(pairs)))
        elif pairs:
            found = estimates.rank_correlation(costs, [sign * value for value in figures])
            text = f"trained parameters and {what}: Spearman's correlation {found.text('plain')}"
            lines.append(Line(claim.judge(found), text, tuple(pairs)))
    return lines


# Costs that trained parameters are held against, with a sign that makes more of it dearer.
_CORRELATED = {"memory_train": ("memory in training", 1), "train_tokens_per_second": ("training time per token", -1)}

_CHECKS: dict[str, Callable[[Group, Claim, list[str]], list[Line]]] = {
    "difference": _difference, "ratio": _ratio, "spread": _spread, "correlation": _correlation
}  # fmt: skip


def combined(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of many: mixed where comparisons contradict each other, undecided where most are undecided."""
    measured = Counter(verdict for verdict in verdicts if verdict != "not measured")
    if not measured:
        return "not measured"
    if measured["holds"] and measured["does not hold"]:
        return "mixed"
    if 2 * measured["undecided"] > measured.total():
        return "undecided"
    return "holds" if measured["holds"] else "does not hold"


def _summary(claim: Claim, verdicts: Sequence[Verdict]) -> str:
    counts = Counter(verdicts)
    measured = counts.total() - counts["not measured"]
    if not measured:
        return f"Not measured: this needs {claim.needs}."
    decided = [f"{verdict} in {counts[verdict]}" for verdict in ("holds", "does not hold") if counts[verdict]]
    decided += [f"undecided in {counts['undecided']}"] if counts["undecided"] else []
    comparisons = "1 comparison" if measured == 1 else f"{measured} comparisons"
    missing = f"; {counts['not measured']} more were not measured" if counts["not measured"] else ""
    return f"Of {comparisons}: {', '.join(decided)}{missing}."
