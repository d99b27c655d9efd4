"""What a training run holds in memory, part by part: weights, gradients, optimizer state; and what it stores.

Each part is a sum over live storages, so that tied weights and views count once, and a quantized weight counts what it
takes, not what it stands for. What the peak of training has beyond the parts is activations and workspace.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors import safe_open

from harness.result.schema import MemoryParts


def memory_parts(model: torch.nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> MemoryParts:
    """Bytes of the parts on `device`; to be asked after an optimizer step, before the gradients are dropped.

    A storage that two parts share counts in the first of them: trained weights, base weights, gradients, state.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    state = [value for values in optimizer.state.values() for value in _tensors(values)]
    seen: set[int] = set()
    return MemoryParts(
        trained_weights=storage_bytes(trained, device, seen),
        base_weights=storage_bytes([*_with_quantization(frozen), *model.buffers()], device, seen),
        gradients=storage_bytes(gradients, device, seen),
        optimizer_state=storage_bytes(state, device, seen),
    )


def storage_bytes(tensors: Iterable[torch.Tensor], device: torch.device, seen: set[int] | None = None) -> int:
    """Bytes of the distinct storages behind tensors on a device; those in `seen` are left out, new ones added."""
    seen, total = set() if seen is None else seen, 0
    for tensor in tensors:
        storage = tensor.untyped_storage()
        # Paged state is reached from the device too, and moves there as it is needed; to PyTorch it lies on the CPU.
        here = tensor.device.type == device.type or getattr(tensor, "is_paged", False)
        if here and storage.nbytes() and storage._cdata not in seen:  # on the meta device all have one address
            seen.add(storage._cdata)
            total += storage.nbytes()
    return total


def stored_parameters(files: Iterable[Path]) -> int:
    """Numbers in the tensors of safetensors files, from their headers."""
    total = 0
    for path in files:
        with safe_open(path, framework="pt") as file:
            total += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return total


def stored_bytes(files: Iterable[Path], module: str | None) -> int | None:
    """Bytes of the tensors of a module, named by a part of their names; None without a module."""
    if module is None:
        return None
    total = 0
    for path in files:
        with safe_open(path, framework="pt") as file:
            names = [name for name in file.keys() if module in name.split(".")]  # noqa: SIM118
            total += sum(file.get_tensor(name).nbytes for name in names)
    return total


def _with_quantization(parameters: Iterable[torch.nn.Parameter]) -> Iterator[torch.Tensor]:
    """Parameters and the constants that bitsandbytes keeps beside them: block maxima, code books, row scales."""
    for parameter in parameters:
        yield from _tensors(parameter)
        for name in ("quant_state", "CB", "SCB"):
            yield from _tensors(getattr(parameter, name, None))


def _tensors(value: object) -> Iterator[torch.Tensor]:
    """Every tensor in a tensor, dictionary, list or bitsandbytes quantization state.

    A tensor subclass that is made of others, as torchao's packed optimizer state is, has no storage of its own.
    """
    if hasattr(type(value), "__tensor_flatten__"):
        for name in value.__tensor_flatten__()[0]:
            yield from _tensors(getattr(value, name))
    elif isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif type(value).__name__ == "QuantState":
        yield from _tensors(vars(value))
