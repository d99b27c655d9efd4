"""A prefix: keys and values that every query of one attention module sees beside those of its own sequence."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from harness.methods.parts.bottleneck import hidden_states
from harness.methods.parts.gate import Gate
from harness.methods.parts.prefixed_attention import NAME, SUPPORTED, PrefixStates
from harness.methods.tuner.places import Site


class PrefixMLP(nn.Module):
    """What makes the prefixes of one group of attention modules out of a few embeddings: trained, and never stored.

    Args:
        sites: how many modules there are; each has its slice of the last layer to itself, lest every one of them
            computes the whole.
        size: numbers of one position's keys and values in one module.
        width: of the embeddings.
        hidden: of the layer between.
    """

    def __init__(self, sites: int, size: int, width: int, length: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(length, width))
        self.hidden = nn.Linear(width, hidden)
        self.outputs = nn.ModuleList(nn.Linear(hidden, size) for _ in range(sites))
        self._made: dict[int, tuple[Any, torch.Tensor]] = {}

    def forward(self, index: int) -> torch.Tensor:
        """(length, size) for one module; without gradients it is made once, for as long as no weight changes."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            self._made.clear()
            return self._make(index)
        weights = (self.embedding, *self.hidden.parameters(), *self.outputs[index].parameters())
        version = [(weight.data_ptr(), weight._version) for weight in weights]
        if self._made.get(index, (None,))[0] != version:
            self._made[index] = version, self._make(index)
        return self._made[index][1]

    def _make(self, index: int) -> torch.Tensor:
        return self.outputs[index](torch.tanh(self.hidden(self.embedding)))

    def stored(self) -> dict[str, torch.Tensor]:
        """Nothing: each `Prefix` stores what it got."""
        return {}


class Prefix(nn.Module):
    """The prefix of one attention module.

    Args:
        attention: of the base model; its config will name another attention function, until `release`.
        length: in positions.
        std: of the random keys and values at the start.
        mlp: makes keys and values, as number `index` of those that it serves; None to train them themselves.
        gate: scales, for each query, how much attention the prefix takes: g times exp(score). Scaling keys and values
            instead, averaged over a row, would let a token see those behind it.

    Raises:
        ValueError: the attention is computed by a function that takes no prefix.
    """

    def __init__(
        self,
        attention: nn.Module,
        length: int,
        std: float,
        mlp: PrefixMLP | None = None,
        index: int = 0,
        gate: Gate | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.head_size = key_value_shape(attention)
        self._mlp, self.index, self.gate = (mlp,), index, gate  # in a tuple, lest it is registered in every layer
        if mlp is None:
            self.keys_values = nn.Parameter(torch.randn(length, 2 * self.heads * self.head_size) * std)
        implementation = attention.config._attn_implementation
        if implementation in SUPPORTED:
            attention.config_before_prefix = attention.config
            attention.config = copy.copy(attention.config)  # masks are made by the model's own
            attention.config._attn_implementation_internal = NAME + implementation
        elif implementation.removeprefix(NAME) not in SUPPORTED:
            raise ValueError(f"attn_implementation: a prefix needs {' or '.join(SUPPORTED)}, got {implementation}")

    def forward(self, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What the attention returns, its queries having seen the prefix."""
        x = hidden_states(args, kwargs)
        keys, values = self.flat().unflatten(-1, (2, self.heads, self.head_size)).permute(1, 2, 0, 3)
        log_gate = None if self.gate is None else self.gate.log(x)[:, None]
        keys, values = keys.expand(len(x), -1, -1, -1), values.expand(len(x), -1, -1, -1)
        return inner(*args, **kwargs, prefix=PrefixStates(keys, values, log_gate))

    def flat(self) -> torch.Tensor:
        """Keys, then values: (length, 2 x heads x head size)."""
        (mlp,) = self._mlp
        return self.keys_values if mlp is None else mlp(self.index)

    def stored(self) -> dict[str, torch.Tensor]:
        """Keys and values, however they came about."""
        return self.state_dict() | {"keys_values": self.flat().detach()}

    def release(self, attention: nn.Module) -> None:
        """Gives the attention its own config back."""
        attention.config = attention.__dict__.pop("config_before_prefix", attention.config)


def prefix_mlps(sites: Sequence[Site], length: int, hidden: int) -> dict[str, PrefixMLP]:
    """An MLP for each group of attention modules."""
    members: dict[str, list[Site]] = {}
    for site in sites:
        members.setdefault(site.group, []).append(site)
    made = {}
    for group, served in members.items():
        heads, head_size = key_value_shape(served[0].module)
        made[group] = PrefixMLP(len(served), 2 * heads * head_size, served[0].width, length, hidden)
    return made


def key_value_shape(attention: nn.Module) -> tuple[int, int]:
    """Heads that have keys and values of their own, and the size of each."""
    if hasattr(attention, "key_value_proj_dim"):  # T5
        return attention.n_heads, attention.key_value_proj_dim
    return attention.config.num_key_value_heads, attention.head_dim
