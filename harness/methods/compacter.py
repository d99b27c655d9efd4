"""COMPACTER: adapters whose matrices are sums of Kronecker products (Mahabadi et al. 2021, arXiv 2106.04647)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from harness.methods.parts.bottleneck import ActivationName, Bottleneck, inner_width
from harness.methods.parts.kronecker import KroneckerLinear, SharedRule
from harness.methods.tuner import MethodConfig, Site, at, register


@register("COMPACTER")
@dataclass
class CompacterConfig(MethodConfig):
    """A bottleneck at each place, of which all share the small matrices that the products are made with.

    Args:
        places: after self-attention and mlp of every layer.
        reduction: the model's width over the bottleneck's, which is rounded down to a multiple of `summands`.
        activation: between down and up.
        summands: Kronecker products in each matrix, and the size of the shared ones.
        rank: of what stands on the other side of each product.
        rule_std: of the shared matrices at the start: the smaller, the closer to no change at all.
    """

    places: list[Literal["attention", "cross_attention", "mlp", "mlp_block"]] = at("attention", "mlp")
    reduction: int = 32
    activation: ActivationName = "gelu"
    summands: int = 4
    rank: int = 1
    rule_std: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("reduction", "summands", "rank", "rule_std"):
            self.expect(getattr(self, key) > 0, key, "a positive number")

    def shared(self, sites: Sequence[Site]) -> dict[str, nn.Module]:
        """The one rule."""
        return {"rule": SharedRule(self.summands, self.rule_std)}

    def parts(self, site: Site, shared: nn.ModuleDict) -> dict[str, nn.Module]:
        """One bottleneck of two such matrices."""
        inner = inner_width(site.width, self.reduction, self.summands)
        down = KroneckerLinear(site.width, inner, shared["rule"], self.rank)
        up = KroneckerLinear(inner, site.width, shared["rule"], self.rank)
        return {"bottleneck": Bottleneck(down, up, self.activation)}
