"""One key of an adapter_config.json and its value: harmless, of the right type, within its range."""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from harness import refusals
from harness.errors import UserError, brief

# Fields through which PEFT would import a module, unpickle a file or read a path, with the values that stay harmless.
REFUSED_FIELDS = {
    "auto_mapping": (None,),
    "megatron_config": (None,),
    "megatron_core": (None, "megatron.core"),
    "tokenizer_kwargs": (None,),
    "prompt_tuning_init_state_dict_path": (None,),
    "runtime_config": (None,),
    "corda_config.cache_file": (None,),
    "corda_config.covariance_file": (None,),
    "shadow_model": ("mirror",),
    "revision": (None,),
    "inference_mode": (False,),
}
# What a number must be, by the name of its field; the first expression that matches the whole name decides. A field's
# own default always passes: 0 is how PEFT spells "not used" in some.
Test = Callable[[float], bool]
RANGES: tuple[tuple[str, str, Test], ...] = (
    (r".*dropout", "a share from 0 to below 1", lambda number: 0 <= number < 1),
    (r"b?oft_block_(size|num)|regularization_.*|.*_(bound|std)", "0 or more", lambda number: number >= 0),
    (r"(.*_)?(r|k|rank|alpha|lambda|size|num|dim|length|interval|factor|niter)|(rank|alpha)_pattern|.*vectors"
     r"|(.*_)?num_.*|n_.*|scaling|deltaT|topk|total_step", "more than 0", lambda number: number > 0),
)  # fmt: skip
LARGEST = {int: 2**32 - 1, float: 3.4e38}  # the largest seed, no size is near it; and what float32 can hold


def check_value(key: str, value: Any, field: dataclasses.Field, hint: Any, where: str) -> None:
    """Checks a value by itself; what it means together with others is PEFT's to say.

    Args:
        key: name of the field.
        value: as it was read from JSON.
        field: of PEFT's config class.
        hint: the type that PEFT declares.
        where: the file, for messages.

    Raises:
        UserError: it could load code or files, needs what the harness has not, is of a wrong type or out of range.
    """
    for inner, given in {key: value, **_nested(key, value)}.items():
        if given not in REFUSED_FIELDS.get(inner, (given,)):
            raise UserError(f"{where}: {inner}: not allowed in an experiment (it could load code or files); remove it")
    harmless, reason = refusals.FIELDS.get(key, ((value,), ""))
    if value not in harmless:
        raise UserError(f"{where}: {key}: not offered, since {reason}; remove it")
    if key in refusals.MADE_HERE:
        raise UserError(f"{where}: {key}: made of as many training rows as initialization.rows says; remove it")
    if key in REFUSED_FIELDS or key in refusals.FIELDS:
        return  # some of the types of its few harmless values are not for pydantic
    if key.startswith("init_") and isinstance(value, str):
        _check_initialization(key, value, where)
    _check_type(key, value, hint, where)
    if value != field.default:
        _check_range(key, value, where)


def _nested(key: str, value: Any) -> dict[str, Any]:
    """The values inside a group of fields, by their whole names."""
    return {f"{key}.{inner}": given for inner, given in value.items()} if isinstance(value, dict) else {}


def _check_initialization(key: str, value: str, where: str) -> None:
    if re.search(r"[/\\~]|\.\w", value):
        raise UserError(f"{where}: {key}: a path is not allowed as initialization; name one of PEFT's own")


def _check_type(key: str, value: Any, hint: Any, where: str) -> None:
    if key == "init_lora_weights" and isinstance(value, str) and re.fullmatch(r"pissa_niter_\d{1,3}|lora_ga", value):
        return  # PEFT's type hint spells this family with a placeholder, and lacks the other
    try:
        TypeAdapter(hint, config={"arbitrary_types_allowed": True}).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise UserError(
            f"{where}: {key}: expected {_readable(hint)}, got {brief(value)}; {error.errors()[0]['msg']}"
        ) from None


def _readable(hint: Any) -> str:
    text = getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint)
    return re.sub(r"typing\.|NoneType", lambda match: "None" if match[0] == "NoneType" else "", text)


def _check_range(key: str, value: Any, where: str) -> None:
    matching = ((words, test) for pattern, words, test in RANGES if re.fullmatch(pattern, key))
    words, test = next(matching, (None, None))
    for number in _numbers(value):
        if test is not None and not test(number):
            raise UserError(f"{where}: {key}: expected {words}, got {number}")
        if isinstance(number, int) and number < 0 or abs(number) > LARGEST[type(number)]:
            least = "from 0 " if isinstance(number, int) else ""
            raise UserError(f"{where}: {key}: expected {least}up to {LARGEST[type(number)]}, got {number}")


def _numbers(value: Any) -> Iterator[int | float]:
    """Those in a value: itself, or of lists and the values of objects, however deep."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
