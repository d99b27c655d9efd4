"""Forecasts for Choose: of what was never measured, apart from everything that was, and called forecasts.

Only memory is forecast; nothing here says which method is good.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas

from harness.dashboard.needs import Needs
from harness.result.forecasts import Forecast
from harness.result.origin import family_of
from harness.result.units import human_bytes

NEAR = 1.5  # a base model larger or smaller by less than this factor is about the size that was asked for


@dataclass
class Foreseen:
    """The forecasts of one part of a task and base model, least memory first.

    fits: within the card, or all where none was named. larger: need more. untold: have none, and say why.
    """

    title: str
    fits: list[Forecast] = field(default_factory=list)
    larger: list[Forecast] = field(default_factory=list)
    untold: list[Forecast] = field(default_factory=list)


def foreseen(forecasts: Sequence[Forecast], experiments: pandas.DataFrame, needs: Needs) -> list[Foreseen]:
    """What was asked for and never measured, largest base model first.

    Args:
        forecasts: all there are.
        experiments: the frame of what was measured.
        needs: hardware is passed over: a forecast is of none.
    """
    rows = experiments.loc[~experiments["modified"], ["task", "subset", "experiment", "model"]]
    measured = set(rows.itertuples(index=False, name=None))
    sizes = _sizes(forecasts)
    asked = [one for one in forecasts if _is_asked(one, sizes.get(one.model), needs)]
    found: dict[tuple[str, str, str], Foreseen] = {}
    for one in sorted(asked, key=lambda one: (one.needed or 0, one.experiment)):
        part = one.task, one.subset or "", one.model
        if (part[0], part[1], one.experiment, one.model) in measured:
            continue
        group = found.setdefault(part, Foreseen(f"{' · '.join(filter(None, part[:2]))}, {one.model}"))
        if one.needed is None:
            group.untold.append(one)
        elif needs.gpu_memory is not None and one.needed > needs.gpu_memory:
            group.larger.append(one)
        else:
            group.fits.append(one)
    return [found[part] for part in sorted(found, key=lambda part: (-sizes.get(part[2], 0), part))]


def _sizes(forecasts: Iterable[Forecast]) -> dict[str, int]:
    """Parameters of each base model, adapters included."""
    sizes: dict[str, int] = {}
    for one in forecasts:
        sizes[one.model] = max(one.total or 0, sizes.get(one.model, 0))
    return sizes


def _is_asked(one: Forecast, size: int | None, needs: Needs) -> bool:
    chosen = {"task": one.task, "subset": one.subset or "", "model": one.model,
              "family": family_of("", one.model)}  # fmt: skip
    if any(getattr(needs, key) not in ("", value) for key, value in chosen.items()):
        return False
    return needs.model_params is None or bool(size) and abs(math.log(size / needs.model_params)) < math.log(NEAR)


def reasons(one: Forecast, needs: Needs) -> list[str]:
    """Why it fits or does not, and what the memory goes to."""
    training, evaluation = one.training, one.evaluation
    length = f" of {training.length}" if one.work_unit == "tokens" else ""
    texts = [
        f"training takes {human_bytes(training.reserved)} with its longest batch, {training.rows} rows"
        f"{length}, evaluation {human_bytes(evaluation.reserved)} with {evaluation.rows}, the driver's "
        f"context {human_bytes(one.context)}"
    ]
    if needs.gpu_memory is not None:
        how = "within" if one.needed <= needs.gpu_memory else "more than"
        texts.insert(0, f"{how} the {human_bytes(needs.gpu_memory)} given")
    return texts
