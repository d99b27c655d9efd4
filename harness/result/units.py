"""Figures in the units people read."""

import math
from collections.abc import Callable
from typing import Any, Literal

Unit = Literal[
    "text", "share", "points", "bytes", "count", "rate", "seconds", "ratio", "flops", "joules", "nats", "number"
]  # fmt: skip
MISSING = "–"


def write(unit: Unit, value: Any) -> str:
    """A raw value of a unit; a dash where it is missing."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return str(value) if unit == "text" else _WRITERS[unit](float(value))


def plural(count: float, noun: str) -> str:
    """'run' of one, else 'runs'."""
    return noun if count == 1 else f"{noun}s"


def human_bytes(count: float | None) -> str:
    """Bytes in the unit that leaves one to three digits: 2_097_152 is '2.0 MiB'."""
    if count is None:
        return "not measured"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def human_seconds(seconds: float) -> str:
    """Seconds in the units people read: 0.086 is '86 ms', 95 is '1 min 35 s', 7260 is '2 h 1 min'."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _prefixed(number: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(number) < 1000:
            return f"{number:.3g} {prefix}{unit}"
        number /= 1000
    return f"{number:,.0f} E{unit}"


def _share(number: float) -> str:
    return f"{100 * number:.1f} %" if number == 0 or number >= 0.001 else f"{100 * number:.2g} %"


_WRITERS: dict[str, Callable[[float], str]] = {
    "share": _share,
    "points": lambda number: f"{100 * number:+.1f}",
    "bytes": human_bytes,
    "count": lambda number: f"{number:,.0f}" if number == round(number) else f"{number:,.1f}",
    "rate": lambda number: f"{number:,.0f}" if number >= 100 else f"{number:.3g}",
    "seconds": human_seconds,
    "ratio": lambda number: f"{number:.2f}×",
    "flops": lambda number: _prefixed(number, "FLOP"),
    "joules": lambda number: _prefixed(number, "J"),
    "nats": lambda number: f"{number:.4g}",
    "number": lambda number: f"{number:.4g}",
}
