"""Reading single values out of a file that anyone may have written: the right type, and possible, or an error."""

import math
from collections.abc import Sequence
from typing import Any

import orjson

LARGEST = 1e24  # a number above it is no measurement, and sums of them would overflow
LONGEST = 1000  # characters of a name


class StrangeResult(Exception):
    """Not a result, or one that cannot be believed; the message is one line without the file's name."""


def dig(data: Any, path: Sequence[str]) -> Any:
    """What lies under nested keys; None where it, or anything on the way, is absent or null.

    Raises:
        StrangeResult: something on the way is no object.
    """
    for depth, key in enumerate(path):
        if type(data) is dict:
            data = data.get(key)
        elif data is None:
            return None
        else:
            raise StrangeResult(f"{'.'.join(path[:depth])}: expected an object, got {kind(data)}")
    return data


def number(data: Any, path: Sequence[str], lowest: float = 0.0) -> float:
    """A finite number from `lowest` upwards, NaN where it is missing."""
    value = dig(data, path)
    if value is None:
        return math.nan
    if type(value) not in (int, float):
        raise StrangeResult(f"{'.'.join(path)}: expected a number, got {kind(value)}")
    if not lowest <= value <= LARGEST:
        raise StrangeResult(f"{'.'.join(path)}: {str(value)[:20]} cannot be")
    return float(value)


def text(data: Any, path: Sequence[str]) -> str:
    """A text, empty where it is missing."""
    value = dig(data, path)
    if value is None:
        return ""
    if type(value) is not str:
        raise StrangeResult(f"{'.'.join(path)}: expected text, got {kind(value)}")
    if len(value) > LONGEST:
        raise StrangeResult(f"{'.'.join(path)}: {len(value):,} characters are more than a name has")
    return value


def flag(data: Any, path: Sequence[str]) -> bool | None:
    """True, False, or None where it is missing."""
    value = dig(data, path)
    if value is not None and type(value) is not bool:
        raise StrangeResult(f"{'.'.join(path)}: expected true or false, got {kind(value)}")
    return value


def listed(data: Any, path: Sequence[str]) -> list[Any]:
    """A list, empty where it is missing."""
    value = dig(data, path)
    if value is not None and type(value) is not list:
        raise StrangeResult(f"{'.'.join(path)}: expected a list, got {kind(value)}")
    return value or []


def mapping(data: Any, path: Sequence[str]) -> dict[str, Any]:
    """An object, empty where it is missing."""
    value = dig(data, path)
    if value is not None and type(value) is not dict:
        raise StrangeResult(f"{'.'.join(path)}: expected an object, got {kind(value)}")
    return value or {}


def kind(value: Any) -> str:
    """What a JSON value is, for messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def dumped(value: Any) -> bytes:
    """Canonical JSON."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:  # nested too deeply, as a rule
        raise StrangeResult(f"run_info: {error}") from None
