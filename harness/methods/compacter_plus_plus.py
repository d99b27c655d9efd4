"""COMPACTER_PLUS_PLUS: Compacter behind the mlp alone (Mahabadi et al. 2021, arXiv 2106.04647)."""

from dataclasses import dataclass
from typing import Literal

from harness.methods.compacter import CompacterConfig
from harness.methods.tuner import at, register


@register("COMPACTER_PLUS_PLUS")
@dataclass
class CompacterPlusPlusConfig(CompacterConfig):
    """As COMPACTER, at half the places."""

    places: list[Literal["attention", "cross_attention", "mlp", "mlp_block"]] = at("mlp")
