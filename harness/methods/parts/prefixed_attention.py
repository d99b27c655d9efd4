"""Attention over a prefix: transformers' own attention functions, given keys and values in front of a sequence's own.

They are registered in transformers' AttentionInterface, and a module's config names them. So neither the key-value
cache nor positions know of the prefix: rotary positions and T5's relative ones are those of the real tokens.
"""

import sys
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import AttentionInterface

NAME = "prefixed_"
SUPPORTED = ("sdpa", "eager")


class PrefixStates(NamedTuple):
    """Keys and values (rows, key-value heads, length, head size), and None or what is added to each query's scores of
    them (rows, 1, queries, 1)."""

    keys: torch.Tensor
    values: torch.Tensor
    log_gate: torch.Tensor | None = None


def _prefixed(
    plain_name: str,
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    prefix: PrefixStates | None = None,
    position_bias: torch.Tensor | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    plain = sdpa_attention_forward
    if plain_name == "eager":  # each architecture has its own, which needs its mask ready made
        plain = sys.modules[type(module).__module__].eager_attention_forward
    if position_bias is not None:
        kwargs["position_bias"] = position_bias
    if prefix is None:
        return plain(module, query, key, value, attention_mask, is_causal=is_causal, **kwargs)
    length = prefix.keys.shape[-2]
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    if attention_mask is None and is_causal and query.shape[-2] > 1:
        attention_mask = _causal_mask(query, key)  # else sdpa aligns its own with the prefix and drops the last keys
    if prefix.log_gate is not None:
        added = prefix.log_gate.to(query.dtype).expand(-1, -1, -1, length)
        own = _additive(attention_mask, query, key)
        attention_mask = torch.cat([added, own.expand(*added.shape[:3], -1)], dim=-1)
    elif attention_mask is not None:
        if plain_name == "eager":
            attention_mask = _additive(attention_mask, query, key)
        attention_mask = F.pad(attention_mask, (length, 0), value=attention_mask.dtype == torch.bool)
    if position_bias is not None:  # the prefix lies at no distance, and moves no token
        kwargs["position_bias"] = F.pad(position_bias, (length, 0))
    key = torch.cat([prefix.keys.to(key.dtype), key], dim=-2)
    value = torch.cat([prefix.values.to(value.dtype), value], dim=-2)
    return plain(module, query, key, value, attention_mask, is_causal=False, **kwargs)


def _causal_mask(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    queries, keys = query.shape[-2], key.shape[-2]
    return torch.ones(queries, keys, dtype=torch.bool, device=key.device).tril(keys - queries)[None, None]


def _additive(mask: torch.Tensor | None, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    if mask is None:
        return query.new_zeros(1, 1, 1, key.shape[-2])
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, torch.finfo(query.dtype).min)


def _sdpa(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    return _prefixed("sdpa", module, *args, **kwargs)


def _eager(module: nn.Module, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    return _prefixed("eager", module, *args, **kwargs)


AttentionInterface.register(f"{NAME}sdpa", _sdpa)
AttentionInterface.register(f"{NAME}eager", _eager)
