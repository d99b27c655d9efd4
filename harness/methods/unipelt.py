"""UNIPELT: gated LoRA, prefix tuning and adapters at once (Mao et al. 2021, arXiv 2110.07577).

The definition: LoRA of rank 8 on queries and values, prefixes of length 10 in each stack's self-attention and in the
cross-attention, trained without MLP, and Houlsby's adapters with reduction 16; each of them has a gate, a linear layer
from the model's width to 1 and a sigmoid. T5-large: 2,359,296 + 1,474,560 + 12,687,360 parameters and 312 gates of
1,025, together 16,841,016. The repository of "Scaling Down to Scale Up" (xw-yao/peft_comparison) had a prefix MLP of
width 512 and Pfeiffer's adapters instead in its runs of 2023 (86,223,624).

Unlike in the authors' code, a gate is not averaged over a row: in training that would show a token those behind it,
and in decoding with a cache it would be another one at every step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from harness.methods.parts.bottleneck import ActivationName, Bottleneck, dense, inner_width
from harness.methods.parts.gate import Gate
from harness.methods.parts.low_rank import LowRank
from harness.methods.parts.prefix import Prefix
from harness.methods.tuner import MethodConfig, Site, at, register

ATTENTION = ("attention", "cross_attention")


@register("UNIPELT")
@dataclass
class UnipeltConfig(MethodConfig):
    """Three methods, each with gates.

    Args:
        places: of the adapters; prefixes are in all attention modules, LoRA on all queries and values.
        reduction: the model's width over the adapters'.
        activation: of the adapters.
        rank: of LoRA.
        alpha: LoRA's change is scaled by alpha / rank.
        prefix_length: in positions.
        prefix_std: of the prefixes at the start.
    """

    places: list[Literal["attention", "cross_attention", "mlp", "mlp_block"]] = at("attention", "mlp")
    reduction: int = 16
    activation: ActivationName = "silu"
    rank: int = 8
    alpha: float = 8.0
    prefix_length: int = 10
    prefix_std: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("reduction", "rank", "alpha", "prefix_length", "prefix_std"):
            self.expect(getattr(self, key) > 0, key, "a positive number")

    def used_places(self) -> Sequence[str]:
        """The adapters' places, attention, queries and values."""
        return tuple(dict.fromkeys((*ATTENTION, "query_value", *self.places)))

    def parts(self, site: Site, shared: nn.ModuleDict) -> dict[str, nn.Module]:
        """LoRA around a projection; a prefix in attention, and behind it an adapter where that has its place."""
        made: dict[str, nn.Module] = {}
        if site.place == "query_value":
            sizes = site.module.in_features, site.module.out_features
            made["low_rank"] = LowRank(*sizes, self.rank, self.alpha, Gate(site.module.in_features))
        if site.place in ATTENTION:
            gate = Gate(site.width)
            made["prefix"] = Prefix(site.module, self.prefix_length, self.prefix_std, gate=gate)
        if site.place in self.places:
            down, up = dense(site.width, inner_width(site.width, self.reduction), "zero")
            made["bottleneck"] = Bottleneck(down, up, self.activation, gate=Gate(site.width))
        return made
