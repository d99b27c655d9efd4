"""The bottleneck of adapters: down to few dimensions, an activation, and up again."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from harness.methods.parts.gate import Gate

ActivationName = Literal["relu", "gelu", "gelu_new", "silu", "tanh"]
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "tanh": torch.tanh,
}


class Bottleneck(nn.Module):
    """Adds up(activation(down(x))), scaled, to what a module returns; x is that, or what the module reads if parallel.

    Args:
        down, up: modules with a bias, from the model's width to the inner one and back.
        scale: a number, or "learned" for one parameter that begins at 1.
        gate: decides for each token how much of the change it gets.
    """

    def __init__(
        self,
        down: nn.Module,
        up: nn.Module,
        activation: ActivationName,
        parallel: bool = False,
        scale: float | Literal["learned"] = 1.0,
        gate: Gate | None = None,
    ) -> None:
        super().__init__()
        self.down, self.up, self.gate = down, up, gate
        self.activation, self.parallel = ACTIVATIONS[activation], parallel
        self.scale = nn.Parameter(torch.ones(1)) if scale == "learned" else scale

    def forward(self, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes are the surrounded module's; of a tuple, the first entry changes."""
        output = inner(*args, **kwargs)
        first = output[0] if isinstance(output, tuple) else output
        x = hidden_states(args, kwargs) if self.parallel else first
        change = self.up(self.activation(self.down(x.to(self.up.bias.dtype)))) * self.scale
        if self.gate is not None:
            change = change * self.gate(x)
        first = first + change.to(first.dtype)
        return (first, *output[1:]) if isinstance(output, tuple) else first


def dense(width: int, inner: int, init: Literal["zero", "normal"]) -> tuple[nn.Linear, nn.Linear]:
    """Down and up with biases of zero.

    "zero" leaves down as PyTorch draws it and makes up zero, so that the bottleneck changes nothing at the start;
    "normal" draws both with a standard deviation of 0.02.
    """
    down, up = nn.Linear(width, inner), nn.Linear(inner, width)
    nn.init.zeros_(down.bias), nn.init.zeros_(up.bias)
    if init == "zero":
        nn.init.zeros_(up.weight)
    else:
        nn.init.normal_(down.weight, std=0.02), nn.init.normal_(up.weight, std=0.02)
    return down, up


def inner_width(width: int, reduction: int, multiple: int = 1) -> int:
    """width / reduction, rounded down to a multiple, of which it is at least one."""
    return max(width // reduction // multiple, 1) * multiple


def hidden_states(args: tuple, kwargs: dict[str, Any]) -> torch.Tensor:
    """What a module of the base model reads: its first argument."""
    return args[0] if args else kwargs["hidden_states"]
