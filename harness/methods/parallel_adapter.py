"""PARALLEL_ADAPTER: scaled adapters beside the mlp (He et al. 2021, arXiv 2110.04366)."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from harness.methods.parts.bottleneck import ActivationName, Bottleneck, dense, inner_width
from harness.methods.tuner import MethodConfig, Site, at, register


@register("PARALLEL_ADAPTER")
@dataclass
class ParallelAdapterConfig(MethodConfig):
    """A bottleneck reads what a place reads, and its scaled output is added to what the place returns.

    Args:
        places: "mlp" reads the normed stream, as the mlp itself does; "mlp_block" the stream before the norm, where
            the architecture has such a module.
        reduction: the model's width over the bottleneck's.
        activation: between down and up.
        scale: "learned" for one parameter at each place that begins at 1, or a fixed number; 4 in the paper.
    """

    places: list[Literal["attention", "cross_attention", "mlp", "mlp_block"]] = at("mlp")
    reduction: int = 2
    activation: ActivationName = "relu"
    scale: float | Literal["learned"] = "learned"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.expect(self.reduction > 0, "reduction", "a positive number")
        self.expect(self.scale != 0, "scale", 'a number other than 0, or "learned"')

    def parts(self, site: Site, shared: nn.ModuleDict) -> dict[str, nn.Module]:
        """One bottleneck, which changes nothing at the start."""
        if site.place == "mlp_block" and site.is_layer:
            raise ValueError(
                "places: this architecture's mlp_block is the whole layer, whose input lies before the attention; "
                "use mlp for a parallel adapter"
            )
        down, up = dense(site.width, inner_width(site.width, self.reduction), "zero")
        return {"bottleneck": Bottleneck(down, up, self.activation, parallel=True, scale=self.scale)}
