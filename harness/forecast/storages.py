"""Follows every storage that comes to life on the meta device, from its first operation to its end."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.forecast.operations import META, Operations


class Trace(TorchDispatchMode):
    """While active, notes each allocation and each end of one.

    Attributes:
        events: (storage's number, bytes), negative where it ends, in order.
        live: bytes of what lives, by number.
        stage: what is going on, as the caller says; `born` tells it of every number.
        widths: last dimension of the tensor that a storage was made for, by number.
        flops: of matrix products, by torch's own formulas.
    """

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[int, int]] = []
        self.live: dict[int, int] = {}
        self.stage = "load"
        self.born: dict[int, str] = {}
        self.widths: dict[int, int] = {}
        self.flops = 0
        self._operations = Operations()
        self._known: dict[int, _Watch] = {}
        self._count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Runs one operation and looks at what it returns."""
        if func is torch.ops.aten._local_scalar_dense.default and args[0].is_meta:
            # No shape depends on it in what methods do while they train: whether a mask is full, a value infinite.
            return torch.zeros((), dtype=args[0].dtype, device="cpu").item()
        if func is torch.ops.aten.bincount.default and args[0].is_meta:  # as many as are asked for at least
            least = args[2] if len(args) > 2 else (kwargs or {}).get("minlength", 0)
            return torch.empty(least, dtype=torch.long, device=META)
        with torch._C.DisableTorchFunction():  # it has done its part
            result, flops = self._operations.run(func, args, kwargs or {})
        self.flops += flops
        self.watch((result,) if isinstance(result, torch.Tensor) else tree_leaves(result))
        return result

    def watch(self, values: Iterable[Any]) -> None:
        """Follows the tensors on the meta device among the values."""
        for value in values:
            if isinstance(value, torch.Tensor) and value.is_meta:
                storage = value.untyped_storage()
                if storage._cdata not in self._known and storage.nbytes():
                    self._begin(storage, value)

    def number_of(self, tensor: torch.Tensor) -> int | None:
        """Of the storage behind a tensor; None where it is not followed."""
        watch = self._known.get(tensor.untyped_storage()._cdata)
        return None if watch is None else watch.number

    def _begin(self, storage: torch.UntypedStorage, tensor: torch.Tensor) -> None:
        self._count += 1
        watch = _Watch(storage, self._end)
        watch.number, watch.key = self._count, storage._cdata
        self._known[watch.key] = watch
        self.live[self._count] = storage.nbytes()
        self.born[self._count] = self.stage
        self.widths[self._count] = tensor.shape[-1] if tensor.dim() > 1 else 0
        self.events.append((self._count, storage.nbytes()))

    def _end(self, watch: "_Watch") -> None:
        del self._known[watch.key]
        self.events.append((watch.number, -self.live.pop(watch.number)))


class _Watch(weakref.ref):
    """A storage that is followed, without being kept alive."""

    __slots__ = ("key", "number")
