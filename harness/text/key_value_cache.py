"""A key-value cache that grows in place while an answer is decoded.

transformers' DynamicCache concatenates: every new token copies all keys and values before it into new memory. Here a
layer keeps room for what is to come and writes into it. What the model computes stays the same; every method profits
alike, also those whose cache PEFT fills itself (prefix tuning).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from transformers.cache_utils import DynamicLayer

SMALLEST_ROOM = 64  # tokens


@contextmanager
def growing_cache() -> Iterator[None]:
    """Inside the block, caches of plain attention layers grow in place; those of sliding windows stay as they are."""
    with patch.object(DynamicLayer, "update", _update):
        yield


def _update(
    layer: DynamicLayer, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """What DynamicLayer.update does, for keys and values of shape (rows, heads, new tokens, head size)."""
    if not layer.is_initialized:
        layer.lazy_initialization(key_states, value_states)
        layer.room = {}
    layer.keys = _append(layer, "keys", key_states)
    layer.values = _append(layer, "values", value_states)
    return layer.keys, layer.values


def _append(layer: DynamicLayer, name: str, new: torch.Tensor) -> torch.Tensor:
    past = getattr(layer, name)
    if past.numel() == 0:
        return new
    length = past.shape[-2] + new.shape[-2]
    room = layer.room.get(name)
    # Selecting or reordering rows makes `past` a tensor of its own, which then is no longer the room's beginning.
    if room is None or room.data_ptr() != past.data_ptr() or room.shape[-2] < length:
        room = new.new_empty(*new.shape[:-2], length + max(SMALLEST_ROOM, length // 4), new.shape[-1])
        room[..., : past.shape[-2], :] = past
        layer.room[name] = room
    room[..., past.shape[-2] : length, :] = new
    return room[..., :length, :]
