"""Figures as people type them: "24", "24G", "24 GB" and "24 GiB" are one card.

Memory comes in powers of two whatever it is called, so that a unit's spelling decides nothing. A figure without a unit
is read as what people mean in that field.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 1e24  # a quantity above it is none
KIB, MIB, GIB, TIB = (2**power for power in (10, 20, 30, 40))
_BYTES = {"k": KIB, "m": MIB, "g": GIB, "t": TIB}
BYTES = {"b": 1} | {name + end: factor for name, factor in _BYTES.items() for end in ("", "b", "ib")}
COUNTS = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9}
SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
# A comma or an underscore stands between groups of three digits only: "1,5" is no 15.
_NUMBER = r"(?:[0-9]{1,3}(?:[,_][0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"


@dataclass(frozen=True)
class Quantity:
    """What one field takes: its units by name, an example, and the unit of a figure without one."""

    what: str
    units: Mapping[str, float]
    example: str
    bare: float = 1
    most: float = LARGEST
    beyond: float = 1


QUANTITIES = {
    "max_memory": Quantity("Memory at most", BYTES, "24 GB", GIB, 1024, MIB),
    "gpu_memory": Quantity("GPU memory", BYTES, "24 GB", GIB, 1024, MIB),
    "max_trainable": Quantity("Trained parameters at most", COUNTS, "5M", 1e6, 1000),
    "model_params": Quantity("Parameters of your model", COUNTS, "3B", 1e9, 1000),
    "dataset_rows": Quantity("Training rows", COUNTS, "10k"),
    "max_storage": Quantity("Storage", BYTES, "100 MB", MIB, 1e6),
    "max_train_time": Quantity("Training time", SECONDS, "90 min", 60),
}


class QuantityError(ValueError):
    """A typed quantity that cannot be read; the message says what would be."""


def read(view: Any, name: str) -> float | None:
    """The figure in a field of the view: bytes, seconds or a count; None where nothing was typed.

    Raises:
        QuantityError: it cannot be read.
    """
    field, text = QUANTITIES[name], getattr(view, name)
    if not text.strip():
        return None
    match = re.fullmatch(rf"\s*({_NUMBER})\s*([A-Za-z]{{0,3}})\s*", text)
    if match is not None and match[2].lower() in ("", *field.units):
        number = float(match[1].replace(",", "").replace("_", ""))
        factor = field.units[match[2].lower()] if match[2] else field.bare if number < field.most else field.beyond
        if 0 < number * factor <= LARGEST:
            return number * factor
    shown = text.strip() if len(text) <= 50 else f"{text.strip()[:50]}…"
    raise QuantityError(f"{field.what}: cannot read “{shown}”; write a number and its unit, such as {field.example}")
