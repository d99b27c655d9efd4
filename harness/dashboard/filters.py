"""What the page's fields keep of a frame; an empty field keeps everything."""

from dataclasses import dataclass

import numpy
import pandas

from harness.dashboard.expression import mask


@dataclass(frozen=True)
class Filter:
    """The fields of the page. Limits are inclusive, and rows that lack the value are not within any limit."""

    task: str | None = None
    subset: str | None = None
    models: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    max_memory: float | None = None  # bytes, of column memory_train
    max_trainable: float | None = None  # parameters
    quantization: tuple[str, ...] = ()
    text: str = ""  # words that the experiment's name holds, in any order, upper or lower case
    expression: str = ""  # harness/dashboard/expression.py


def apply(frame: pandas.DataFrame, filter: Filter) -> pandas.DataFrame:
    """The rows that pass every field, with their index.

    Raises:
        ExpressionError: the expression is none.
    """
    keep = mask(frame, filter.expression).to_numpy(copy=True)
    for column, wanted in (("task", filter.task), ("subset", filter.subset)):
        if wanted is not None:
            keep &= _is_one_of(frame[column], (wanted,))
    chosen = {"model": filter.models, "hardware": filter.hardware, "method": filter.methods}
    for column, values in (chosen | {"quantization": filter.quantization}).items():
        if values:
            keep &= _is_one_of(frame[column], values)
    for column, limit in (("memory_train", filter.max_memory), ("trainable_params", filter.max_trainable)):
        if limit is not None:
            keep &= frame[column].to_numpy() <= limit
    for word in filter.text.casefold().split():
        names = frame["experiment"]
        keep &= numpy.fromiter((word in name.casefold() for name in names), dtype=bool, count=len(names))
    return frame[keep]


def _is_one_of(column: pandas.Series, values: tuple[str, ...]) -> numpy.ndarray:
    return column.isin(values).to_numpy(dtype=bool)
