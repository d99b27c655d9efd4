"""The rows that a view shows: those of its choices that pass its filters, and what must be said about them."""

from dataclasses import dataclass

import pandas

from harness.dashboard import filters, state
from harness.dashboard.choices import Data, find, selected
from harness.dashboard.expression import ExpressionError
from harness.dashboard.state import QuantityError, View
from harness.result.experiments import fill_intervals


@dataclass(frozen=True)
class Shown:
    """`everything` is the selection, `rows` what passes the filters; with `problems` no row does."""

    everything: pandas.DataFrame
    rows: pandas.DataFrame
    problems: tuple[str, ...] = ()

    def row(self, key: str) -> pandas.Series | None:
        """The selection's row with that key, with its interval, which `everything` lacks where it takes long."""
        return find(fill_intervals(self.everything[self.everything["key"] == key]), key)


def show(data: Data, view: View) -> Shown:
    """Applies the view's filters; what cannot be read in them becomes a problem and shows nothing."""
    everything = selected(data, view)
    try:
        rows = filters.apply(everything, filter_of(view))
    except (QuantityError, ExpressionError) as error:
        return Shown(everything, everything.head(0), (_sentence(error),))
    return Shown(everything, fill_intervals(rows))


def _sentence(error: Exception) -> str:
    return f"Expression: {error}" if isinstance(error, ExpressionError) else str(error)


def filter_of(view: View) -> filters.Filter:
    """The filter that the view's texts and choices say.

    Raises:
        QuantityError: a limit cannot be read.
    """
    return filters.Filter(
        methods=view.methods,
        quantization=view.quantization,
        max_memory=state.quantity(view.max_memory, "Memory at most", state.BYTES, "24 GiB"),
        max_trainable=state.quantity(view.max_trainable, "Trained parameters at most", state.COUNTS, "5M"),
        text=view.text,
        expression=view.expression,
    )


def active(view: View) -> int:
    """How many filters are set."""
    return sum(
        bool(value)
        for value in (view.methods, view.quantization, view.max_memory, view.max_trainable, view.text, view.expression)
    )
