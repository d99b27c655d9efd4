"""HOULSBY: adapters after self-attention and after the mlp (Houlsby et al. 2019, arXiv 1902.00751)."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from harness.methods.parts.bottleneck import ActivationName, Bottleneck, dense, inner_width
from harness.methods.tuner import MethodConfig, Site, at, register


@register("HOULSBY")
@dataclass
class HoulsbyConfig(MethodConfig):
    """A bottleneck adds to what each place returns, before that joins the residual stream.

    Args:
        places: after self-attention and mlp of every layer, as in the paper; none after cross-attention.
        reduction: the model's width over the bottleneck's.
        activation: between down and up; silu is the paper's swish.
        init: "zero" changes nothing at the start, "normal" little (see `dense`); the paper asks for near-identity.
    """

    places: list[Literal["attention", "cross_attention", "mlp", "mlp_block"]] = at("attention", "mlp")
    reduction: int = 16
    activation: ActivationName = "silu"
    init: Literal["zero", "normal"] = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.expect(self.reduction > 0, "reduction", "a positive number")

    def parts(self, site: Site, shared: nn.ModuleDict) -> dict[str, nn.Module]:
        """One bottleneck."""
        down, up = dense(site.width, inner_width(site.width, self.reduction), self.init)
        return {"bottleneck": Bottleneck(down, up, self.activation)}
