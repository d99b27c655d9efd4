"""A learned gate for every token."""

import torch
from torch import nn
from torch.nn import functional as F


class Gate(nn.Module):
    """A number between 0 and 1 for each token, from what that token is at the gate; width + 1 parameters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.normal_(self.linear.weight, std=0.02), nn.init.zeros_(self.linear.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, tokens, width) to (rows, tokens, 1)."""
        return torch.sigmoid(self._score(x))

    def log(self, x: torch.Tensor) -> torch.Tensor:
        """The gate's logarithm, also where the gate itself rounds to zero."""
        return F.logsigmoid(self._score(x))

    def _score(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.to(self.linear.weight.dtype))
