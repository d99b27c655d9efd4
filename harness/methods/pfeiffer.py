"""PFEIFFER: one adapter in each layer, behind the mlp (Pfeiffer et al. 2020, arXiv 2005.00247)."""

from dataclasses import dataclass
from typing import Literal

from harness.methods.houlsby import HoulsbyConfig
from harness.methods.parts.bottleneck import ActivationName
from harness.methods.tuner import at, register


@register("PFEIFFER")
@dataclass
class PfeifferConfig(HoulsbyConfig):
    """As HOULSBY, at half the places: a bottleneck of the residual stream, once the mlp's output has joined it."""

    places: list[Literal["attention", "cross_attention", "mlp", "mlp_block"]] = at("mlp_block")
    activation: ActivationName = "relu"
