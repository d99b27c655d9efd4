"""The rows that a view shows: those of its choices that pass its filters; an empty filter keeps everything."""

from dataclasses import dataclass

import numpy
import pandas

from harness.dashboard import quantity
from harness.dashboard.data import Data, find, selected
from harness.dashboard.expression import ExpressionError, mask
from harness.dashboard.quantity import QuantityError
from harness.dashboard.view import View
from harness.result.experiments import fill_intervals

FILTERS = ("methods", "quantization", "max_memory", "max_trainable", "text", "expression", "best")


@dataclass(frozen=True)
class Shown:
    """`everything` is the selection, `rows` what passes the filters; with `problems` no row does."""

    everything: pandas.DataFrame
    rows: pandas.DataFrame
    problems: tuple[str, ...] = ()

    def row(self, key: str) -> pandas.Series | None:
        """The selection's row with that key, with its interval, which `everything` lacks where it takes long."""
        return find(fill_intervals(self.everything[self.everything["key"] == key]), key)


def show(data: Data, view: View, filtered: bool = True) -> Shown:
    """Applies the view's filters; what cannot be read in them becomes a problem and shows nothing."""
    everything = selected(data.experiments, view)
    try:
        rows = apply(everything, view) if filtered else everything
    except (QuantityError, ExpressionError) as error:
        where = "Expression: " if isinstance(error, ExpressionError) else ""
        return Shown(everything, everything.head(0), (f"{where}{error}",))
    return Shown(everything, fill_intervals(rows) if filtered else rows)


def apply(frame: pandas.DataFrame, view: View) -> pandas.DataFrame:
    """The rows that pass every filter. Limits are inclusive, and rows that lack the value are not within any limit.

    Raises:
        ExpressionError: the expression is none.
        QuantityError: a limit cannot be read.
    """
    keep = mask(frame, view.expression).to_numpy(copy=True)
    for column, values in (("method", view.methods), ("quantization", view.quantization)):
        if values:
            keep &= frame[column].isin(values).to_numpy(dtype=bool)
    for column, name in (("memory_train", "max_memory"), ("trainable_params", "max_trainable")):
        limit = quantity.read(view, name)
        if limit is not None:
            keep &= frame[column].to_numpy() <= limit
    for word in view.text.casefold().split():
        names = frame["experiment"]
        keep &= numpy.fromiter((word in name.casefold() for name in names), dtype=bool, count=len(names))
    return best_of_methods(frame[keep]) if view.best else frame[keep]


def best_of_methods(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Of each method the ranked row with the best score among those that may be compared."""
    ranked = frame[frame["ranked"]]
    goodness = ranked["score"].where(ranked["higher_is_better"], -ranked["score"])
    return frame.loc[
        sorted(goodness.groupby([ranked["score_group"], ranked["method"]]).idxmax(), key=frame.index.get_loc)
    ]


def active(view: View) -> int:
    """How many filters are set."""
    return sum(bool(getattr(view, name)) for name in FILTERS)
