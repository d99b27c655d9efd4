"""What a visitor has chosen, and the link that says the same.

A link is untrusted: every value is bounded here, and choices.resolve checks it against the results at hand.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

TABS = ("results", "tradeoffs", "experiment", "compare", "choose", "findings")
# Longer than the longest expression and the longest key of a row, so that neither is cut into another one.
MOST_VALUES, LONGEST_TEXT, MOST_COMPARED = 100, 4000, 4
LARGEST = 1e24  # a quantity above it is none
# What may stand behind a typed number, by what is counted.
COUNTS = {"": 1, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9}
BYTES = {
    "": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40
}  # fmt: skip
SECONDS = {"s": 1, "sec": 1, "min": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class View:
    """Everything that decides what the pages show. Empty texts and tuples mean no restriction, or the default."""

    tab: str = TABS[0]
    task: str = ""  # key of a task's part, as choices.task_key makes it
    model: str = ""
    hardware: str = ""  # empty: all
    methods: tuple[str, ...] = ()
    quantization: tuple[str, ...] = ()
    max_memory: str = ""  # as typed: "24 GiB"
    max_trainable: str = ""  # as typed: "5M"
    text: str = ""
    expression: str = ""
    columns: tuple[str, ...] = ()
    sort: str = ""
    ascending: bool = False
    all_rows: bool = False  # of a long table, more than its first rows
    x: str = "memory_train"
    y: str = "score"
    log_x: bool = False
    log_y: bool = False
    bars: bool = True
    experiment: str = ""  # key of a row, as choices.read_data numbers them
    seed: str = ""
    compare: tuple[str, ...] = ()
    scope: str = "selection"  # what Choose looks at: the chosen task, model and hardware, or "all"
    family: str = ""
    model_params: str = ""  # these five as typed: "3B", "24 GiB", "10k", "100 MiB", "90 min"
    gpu_memory: str = ""
    dataset_rows: str = ""
    max_storage: str = ""
    max_train_time: str = ""
    inference: str = "any"
    priority: str = "quality"

    def query(self) -> str:
        """The view as a query string, without the values that are the default."""
        default = View()
        pairs: list[tuple[str, str]] = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value == getattr(default, field.name):
                continue
            if isinstance(value, tuple):
                pairs += [(field.name, item) for item in value]
            else:
                pairs.append((field.name, str(int(value)) if isinstance(value, bool) else value))
        return urlencode(pairs)


FIELDS = tuple(field.name for field in dataclasses.fields(View))


def from_query(pairs: list[tuple[str, str]]) -> View:
    """The view that a query string asks for; unknown names are ignored, long values and lists cut."""
    default, values = View(), {}
    for name, text in pairs:
        text = text[:LONGEST_TEXT]
        kind = type(getattr(default, name)) if name in FIELDS else None
        if kind is tuple:
            values[name] = (*values.get(name, ()), text)[:MOST_VALUES]
        elif kind is bool:
            values[name] = text == "1"
        elif kind is str:
            values[name] = text
    return _bounded(View(**values))


def from_controls(values: Mapping[str, Any]) -> View:
    """The view that the page's controls hold; what a control leaves empty is the default."""
    default, found = View(), {}
    for name, value in values.items():
        kind = type(getattr(default, name))
        if kind is tuple:
            found[name] = tuple(str(item)[:LONGEST_TEXT] for item in value or ())[:MOST_VALUES]
        else:
            found[name] = bool(value) if kind is bool else str(value or "")[:LONGEST_TEXT].strip()
    return _bounded(View(**found))


def _bounded(view: View) -> View:
    return dataclasses.replace(
        view, tab=view.tab if view.tab in TABS else TABS[0], compare=tuple(dict.fromkeys(view.compare))[:MOST_COMPARED]
    )


# A comma or an underscore stands between groups of three digits only: "1,5" is no 15.
_NUMBER = r"(?:[0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"


class QuantityError(ValueError):
    """A typed quantity that cannot be read; the message says what would be."""


def quantity(text: str, what: str, units: Mapping[str, float], example: str) -> float | None:
    """The number that was typed, times its unit: "24 GiB", "5M", "1,000"; None where nothing was typed.

    Args:
        text: as typed.
        what: the field's name, for the message.
        units: COUNTS, BYTES or SECONDS; a number without a unit needs "" among them.
        example: what would be read, for the message.

    Raises:
        QuantityError: it cannot be read.
    """
    if not text.strip():
        return None
    match = re.fullmatch(rf"\s*({_NUMBER})\s*([A-Za-z]{{0,3}})\s*", text)
    if match is not None and match[2].lower() in units:
        value = float(match[1].replace(",", "").replace("_", "")) * units[match[2].lower()]
        if value <= LARGEST:
            return value
    shown = text.strip() if len(text) <= 50 else f"{text.strip()[:50]}…"
    raise QuantityError(f"{what}: cannot read “{shown}”; write a number and its unit, such as {example}")
