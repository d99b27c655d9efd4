"""What a GPU does and torch, given shapes without a device, does not: attention, dropout and mixed precision.

Which kernel runs decides what is kept for the backward pass. On the meta device torch takes attention apart into
products of matrices, draws dropout in the precision of its input, and knows no autocast.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

# As torch documents them for autocast on CUDA, those that models and adapters call.
LOWERED = {
    torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.Tensor.__rmatmul__, torch.mm, torch.Tensor.mm,
    torch.bmm, torch.Tensor.bmm, torch.addmm, torch.baddbmm, torch.einsum, functional.linear, functional.conv1d,
    functional.conv2d, functional.scaled_dot_product_attention,
}  # fmt: skip
RAISED = {
    functional.softmax, torch.softmax, torch.Tensor.softmax, functional.log_softmax, torch.log_softmax,
    functional.cross_entropy, functional.layer_norm, torch.pow, torch.Tensor.pow, torch.Tensor.__pow__, torch.rsqrt,
    torch.Tensor.rsqrt, torch.exp, torch.Tensor.exp, torch.sum, torch.Tensor.sum, torch.norm, torch.Tensor.norm,
    torch.cumsum, torch.Tensor.cumsum,
}  # fmt: skip


class Accelerator(TorchFunctionMode):
    """While active, torch's functions on meta tensors are those that a GPU's autocast and kernel choice would make.

    Args:
        dtype: of autocast; None for none.
    """

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__()
        self._dtype = dtype
        self._copies: dict[torch.Tensor, torch.Tensor] | None = None

    @contextmanager
    def forward_pass(self) -> Iterator[None]:
        """Inside the block, a trained weight is cast once and kept, as autocast does until it ends."""
        self._copies = {}
        try:
            yield
        finally:
            self._copies = None

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Answers one call of one of torch's functions."""
        kwargs = kwargs or {}
        if self._dtype is not None and func in LOWERED:
            args, kwargs = tree_map(self._lower, (args, kwargs))
        elif self._dtype is not None and func in RAISED:
            args, kwargs = tree_map(_raise, (args, kwargs))
        if func is functional.scaled_dot_product_attention:
            return _attention(*args, **kwargs)
        if func is functional.dropout:
            return _dropout(*args, **kwargs)
        return func(*args, **kwargs)

    def _lower(self, value: Any) -> Any:
        if not _is_castable(value) or value.dtype == self._dtype:
            return value
        keeps = self._copies is not None and value.is_leaf and value.requires_grad and value.dtype == torch.float32
        if not keeps:
            return value.to(self._dtype)
        if value not in self._copies:
            self._copies[value] = value.to(self._dtype)
        return self._copies[value]


def _raise(value: Any) -> Any:
    return value.float() if _is_castable(value) else value


def _is_castable(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_meta and value.is_floating_point()


def _attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> torch.Tensor:
    """The memory-efficient kernel, the one that takes a mask of padding; what flash attention keeps has its size."""
    if enable_gqa:
        key, value = (one.repeat_interleave(query.shape[1] // one.shape[1], 1) for one in (key, value))
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
        attn_mask = attn_mask.expand(*query.shape[:-1], key.shape[-2])
    kernel = torch.ops.aten._scaled_dot_product_efficient_attention
    return kernel(query, key, value, attn_mask, torch.is_grad_enabled(), dropout_p, is_causal, scale=scale)[0]


def _dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    """One kernel with a mask of bytes, as on a GPU."""
    return torch.native_dropout(input, p, training)[0] if training and 0 < p < 1 else input
