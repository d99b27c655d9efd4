"""Figures in the units people read."""


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
