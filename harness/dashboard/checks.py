"""How claims of the literature are checked: one function per claim, from a group of comparable runs to its lines.

Margins are ours, since the sources give none; harness/dashboard/claims.py says each one's.
"""

import math
from collections.abc import Iterable

from harness.dashboard.estimates import (
    Verdict,
    difference,
    pooled_deviation,
    rank_correlation,
    ratio,
    ratio_to_one,
    spread_ratio,
)  # fmt: skip
from harness.dashboard.evidence import Group, score_difference
from harness.dashboard.findings import Line

CLOSE = 0.02  # of the score: falling short by less is close to full fine-tuning
STRONG = 0.05  # of the score: falling short of the best by less is a strong baseline
SLACK = 1.05  # of decoding time: less slow-down than this is what timing cannot tell from none
LITTLE_SAVED = 0.9  # of memory: needing more than this share saves little
SMALL_MODEL = 1e9  # parameters
GOOD_PROXY = 0.7  # Spearman's correlation from which on a figure would order experiments well
FEWEST = 5  # experiments that a correlation needs

FULL = "full-finetuning"
SPARSE = ("shira", "fishmask", "diff-pruning", "spiel")
# What trains weights of the base itself, or puts tokens before the input, adds no module to the layers.
NO_MODULE = (FULL, "ln_tuning", "bitfit", *SPARSE, "trainable_tokens")
NO_MODULE += (
    "prompt_tuning",
    "multitask_prompt_tuning",
    "p_tuning",
    "prefix_tuning",
    "prefixtuning",
    "cpt",
    "cartridge",
)


def lora_is_close(group: Group) -> list[Line]:
    """Every LoRA experiment against the best full fine-tuning."""
    full = _best(group, group.select(FULL))
    if full is None:
        return []
    return [_score_line(group, lora, full, CLOSE) for lora in _scored(group, group.select("lora"))]


def merged_lora_is_free(group: Group) -> list[Line]:
    """Decoding time of merged LoRA over the base's."""
    group, lines, lacking = group.timed(), [], []
    for lora in group.select("lora"):
        values = group.values(lora, "overhead_merged")
        if not values:
            lacking.append(lora)
            continue
        found = ratio_to_one(values)
        text = f"{lora}, merged, decoding time over the base's: {found.as_ratio()}"
        lines.append(Line(found.below(SLACK), text, (lora,)))
    if lacking:
        lines.append(Line("not measured", f"speed when merged: {', '.join(lacking)}", tuple(lacking)))
    return lines


def norms_are_a_strong_baseline(group: Group) -> list[Line]:
    """Tuning norms against the best other adapter, in score and in trained parameters."""
    norms = group.select("ln_tuning")
    best = _best(group, [name for name in _adapters(group) if name not in norms])
    if best is None:
        return []
    lines = []
    for name in _scored(group, norms):
        line = _score_line(group, name, best, STRONG)
        counts = [group.median(one, "trainable_params") for one in (name, best)]
        if None in counts or not counts[1]:
            lines.append(Line("not measured", f"{line.text}; not measured: trained parameters", line.experiments))
            continue
        share, memory = counts[0] / counts[1], _memory(group, name, best)
        verdict: Verdict = line.verdict if share < 1 else "does not hold"
        text = f"{line.text}; it trains {share:.3g} times as many parameters{memory}"
        lines.append(Line(verdict, text, line.experiments))
    return lines


def prompts_depend_on_the_seed(group: Group) -> list[Line]:
    """Spread of prompt tuning between seeds over the spread of all other experiments, pooled."""
    prompts, lines = group.select("prompt_tuning"), []
    others = [group.values(name, "score") for name in group.experiments if name not in prompts]
    pooled, freedom = pooled_deviation([values for values in others if len(values) > 1])
    for name in _scored(group, prompts):
        values = group.values(name, "score")
        if len(values) < 2 or not freedom:
            lines.append(Line("not measured", f"{name}: needs two seeds of it and of another experiment", (name,)))
            continue
        own, own_freedom = pooled_deviation([values])
        found = spread_ratio(own, own_freedom, pooled, freedom)
        text = f"{name} scores {100 * sum(values) / len(values):.1f} %, standard deviation between seeds "
        text += f"{100 * own:.1f} points, others' {100 * pooled:.1f} points"
        text += f"; {found.as_ratio()}; {len(values)} seeds tell little of a spread"
        lines.append(Line(found.above(1.0), text, (name,)))
    return lines


def sparse_saves_little(group: Group) -> list[Line]:
    """Memory of each sparse experiment over that of the LoRA experiment nearest in trained parameters."""
    loras = [name for name in group.select("lora") if group.values(name, "memory_train")]
    lines = []
    for name in group.select(*SPARSE):
        own, memory = group.median(name, "trainable_params"), group.values(name, "memory_train")
        sized = [lora for lora in loras if group.median(lora, "trainable_params")]
        if not memory or not own or not sized:
            lines.append(Line("not measured", f"{name}: no memory to compare with LoRA's", (name,)))
            continue
        lora = min(sized, key=lambda lora, own=own: abs(math.log(group.median(lora, "trainable_params") / own)))
        found = ratio(memory, group.values(lora, "memory_train"))
        text = f"{name}, memory over that of {lora}: {found.as_ratio()}"
        lines.append(Line(found.above(LITTLE_SAVED), text, (name, lora)))
    return lines


def modules_slow_small_models(group: Group) -> list[Line]:
    """Decoding time with the unmerged adapter over the base's, of methods that add modules, on small models."""
    group = group.timed()
    without = group.select(*NO_MODULE)
    lines = []
    for name in group.experiments:
        size, values = group.median(name, "total_params"), group.values(name, "overhead_unmerged")
        if name in without or not values or size is None or size >= SMALL_MODEL:
            continue
        found = ratio_to_one(values)
        text = f"{name}, unmerged, decoding time over the base's: {found.as_ratio()}"
        lines.append(Line(found.above(SLACK), text, (name,)))
    return lines


def parameters_are_a_poor_proxy(group: Group) -> list[Line]:
    """Rank correlation of trained parameters with memory, and with time per token, over adapters."""
    found = [
        _correlation(group, "memory_train", "memory in training", 1),
        _correlation(group.timed(), "train_tokens_per_second", "training time per token", -1),
    ]
    return [line for line in found if line is not None]


def lora_forgets_less(group: Group) -> list[Line]:
    """Rise of the loss on unrelated text, LoRA against the best full fine-tuning."""
    fulls = [name for name in group.select(FULL) if group.values(name, "forgetting")]
    full = _best(group, fulls)
    if full is None:
        return []
    lines = []
    for lora in group.select("lora"):
        values = group.values(lora, "forgetting")
        if values:
            found = difference(values, group.values(full, "forgetting"))
            bounds = "" if found.low is None else f", 95 % interval {found.low:+.3f} to {found.high:+.3f}"
            text = f"{lora} less {full}: {found.value:+.3f} nats per token{bounds}; {found.how}"
            lines.append(Line(found.below(0.0), text, (lora, full)))
    return lines


def _scored(group: Group, names: Iterable[str]) -> list[str]:
    return [name for name in names if group.values(name, "score")]


def _adapters(group: Group) -> list[str]:
    full = group.select(FULL)
    return [name for name in group.experiments if name not in full]


def _best(group: Group, names: Iterable[str]) -> str | None:
    """Best mean score: the strictest of several opponents."""
    sign = 1 if group.higher_is_better else -1
    return max(_scored(group, names), key=lambda name: sign * group.mean(name, "score"), default=None)


def _score_line(group: Group, name: str, other: str, margin: float) -> Line:
    """By how much one falls short of the other; being close to what learned nothing would say nothing."""
    found = score_difference(group, name, other)
    text, gain = f"{name} less {other}: {found.in_points()}", group.mean(other, "gain")
    if gain is not None and gain <= 0:
        return Line("undecided", f"{text}; but {other} is no better than the untouched base", (name, other))
    return Line(found.above(-margin), text, (name, other))


def _memory(group: Group, name: str, other: str) -> str:
    memory = [group.median(one, "memory_train") for one in (name, other)]
    return "" if None in memory or not memory[1] else f" and needs {memory[0] / memory[1]:.2f} times the memory"


def _correlation(group: Group, key: str, what: str, sign: int) -> Line | None:
    """Spearman's, turned so that +1 means: the more trained parameters, the more of what they cost."""
    pairs = {name: (group.median(name, "trainable_params"), group.median(name, key)) for name in _adapters(group)}
    pairs = {name: pair for name, pair in pairs.items() if None not in pair}
    costs, figures = ([pair[side] for pair in pairs.values()] for side in (0, 1))
    if not pairs:
        return None
    if len(pairs) < FEWEST or len(set(costs)) < 2 or len(set(figures)) < 2:
        return Line("not measured", f"{what}: {len(pairs)} experiments are too few or too alike", tuple(pairs))
    found = rank_correlation(costs, [sign * value for value in figures])
    text = f"trained parameters and {what}: Spearman's correlation {found.value:+.2f}, 95 % interval {found.low:+.2f}"
    return Line(found.below(GOOD_PROXY), f"{text} to {found.high:+.2f}; {found.how}", tuple(pairs))
