"""LoRA with a gate."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from harness.methods.parts.gate import Gate


class LowRank(nn.Module):
    """Adds up(down(x)) * alpha / rank to what a linear layer makes of x, as much of it as the gate lets through.

    The gate differs from token to token, so that nothing of this can be merged into the layer's weight.
    """

    def __init__(self, width_in: int, width_out: int, rank: int, alpha: float, gate: Gate) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.empty(rank, width_in))
        self.up = nn.Parameter(torch.zeros(width_out, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        self.scale, self.gate = alpha / rank, gate

    def forward(self, inner: Callable[..., Any], x: torch.Tensor) -> torch.Tensor:
        """(..., width_in) to (..., width_out)."""
        output = inner(x)
        change = F.linear(F.linear(x.to(self.down.dtype), self.down), self.up) * self.scale * self.gate(x)
        return output + change.to(output.dtype)
