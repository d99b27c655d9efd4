"""Runs operations on the meta device, and what was met before without torch.

torch works most shapes out in Python, slowly, and a model has many layers that are alike: an operation that makes a
new tensor, or changes its first argument in place, does the same whenever it is given the same shapes.
"""

from functools import cache
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import flop_registry

META = torch.device("meta")
PLAIN = {int, float, bool, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format}
NEW, SAME, NOTHING = "a new tensor", "its first argument", "nothing"  # what an operation returns
RETURNS = {(False, "Tensor"): NEW, (True, "Tensor"): SAME, (True, ""): NOTHING}  # by whether the first is written to
RESIZES = {"aten::set_", "aten::resize_", "aten::resize_as_"}


class Operations:
    """Operations of one trace: torch's results by all that their shapes depend on."""

    def __init__(self) -> None:
        self._met: dict[tuple, tuple[Any, int]] = {}

    def run(self, func: Any, args: tuple, kwargs: dict) -> tuple[Any, int]:
        """What an operation returns, and how many operations on numbers its matrix products take."""
        returns = _returns(func)
        key = None if returns is None else _key(func, args, kwargs)
        if key in self._met:
            made, flops = self._met[key]
            if returns is NEW:
                return torch.empty_strided(made[0], made[1], dtype=made[2], device=META), flops
            return args[0] if returns is SAME else None, flops
        result = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        flops = 0 if count is None else count(*args, **kwargs, out_val=result)
        if key is not None and (_is_whole(result, args) if returns is NEW else _key(func, args, kwargs) == key):
            self._met[key] = (result.shape, result.stride(), result.dtype) if returns is NEW else None, flops
        return result, flops


@cache
def _returns(func: Any) -> str | None:
    """What an operation returns by its schema; None for views and what else may not be told from shapes."""
    schema = func._schema
    first, others = schema.arguments[:1], schema.arguments[1:]
    if schema.name in RESIZES or any(value.alias_info is not None for value in others):
        return None
    aliases = [value.alias_info for value in (*first, *schema.returns) if value.alias_info is not None]
    if not all(alias.is_write for alias in aliases):
        return None
    return RETURNS.get((bool(aliases), " ".join(str(value.type) for value in schema.returns)))


def _key(func: Any, args: tuple, kwargs: dict) -> tuple | None:
    """An operation and all that the shape of its result depends on; None where that may be values."""
    found = [func, torch.get_default_dtype()]  # which a new tensor has where none is named
    return tuple(found) if _describe([args, *kwargs.items()], found) else None


def _describe(value: Any, into: list) -> bool:
    kind = type(value)
    into.append(kind)
    if kind is torch.Tensor or kind is nn.Parameter:
        into += value.shape, value.stride(), value.dtype
        return value.is_meta and not value.is_complex()
    if kind is list or kind is tuple:
        into.append(len(value))
        return all(_describe(item, into) for item in value)
    into.append(value)
    return kind in PLAIN


def _is_whole(result: torch.Tensor, args: tuple) -> bool:
    """Whether a tensor fills a storage of its own; that of _unsafe_view is its argument's, unsaid."""
    if not result.is_meta or not result.numel() or result.storage_offset():
        return False
    storage = result.untyped_storage()
    given = [value for value in args if isinstance(value, torch.Tensor)]
    last = sum((size - 1) * stride for size, stride in zip(result.shape, result.stride(), strict=True))
    shares = any(value.untyped_storage()._cdata == storage._cdata for value in given)
    return storage.nbytes() == (last + 1) * result.itemsize and not shares
