"""Compacter's linear layer: a sum of Kronecker products, of which all layers share one side."""

import torch
from torch import nn


class SharedRule(nn.Module):
    """The n matrices, n x n each, that all layers share. A module, since casting replaces parameters."""

    def __init__(self, summands: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(summands, summands, summands) * std)


class KroneckerLinear(nn.Module):
    """y = x W + bias with W = sum over n of rule[n] (x) (left[n] right[n]), without ever making W.

    Raises:
        ValueError: the number of summands does not divide both widths.
    """

    def __init__(self, width_in: int, width_out: int, rule: SharedRule, rank: int) -> None:
        super().__init__()
        summands = len(rule.weight)
        if width_in % summands or width_out % summands:
            raise ValueError(f"summands: {summands} does not divide both {width_in} and {width_out}")
        self.left = nn.Parameter(torch.empty(summands, width_in // summands, rank))
        self.right = nn.Parameter(torch.empty(summands, rank, width_out // summands))
        self.bias = nn.Parameter(torch.zeros(width_out))
        for matrix in (*self.left, *self.right):
            nn.init.xavier_uniform_(matrix)
        self._rule = (rule,)  # the tuner's: registered here, it would be stored with every layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., width_in) to (..., width_out)."""
        (rule,) = self._rule
        x = x.unflatten(-1, (len(rule.weight), -1))
        x = torch.einsum("...ai,nir,nab->...nbr", x, self.left, rule.weight)
        return torch.einsum("...nbr,nro->...bo", x, self.right).flatten(-2) + self.bias
