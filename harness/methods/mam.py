"""MAM: mix-and-match adapters, prefix tuning and scaled parallel adapters (He et al. 2021, arXiv 2110.04366).

The definition is that of the repository of "Scaling Down to Scale Up" (xw-yao/peft_comparison): prefixes of length 30
in each stack's self-attention and in the cross-attention, made by an MLP of width 800; beside every mlp an adapter of
half the model's width, with a learned scale. T5-large: 120,664,416 + 50,405,424 = 171,069,840 parameters. With the
fixed scale of the paper, 4, there are 48 fewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from harness.methods.parallel_adapter import ParallelAdapterConfig
from harness.methods.prefix_stacks import PrefixStacksConfig
from harness.methods.tuner import Site, at, register

ATTENTION = ("attention", "cross_attention")


@register("MAM")
@dataclass
class MamConfig(PrefixStacksConfig, ParallelAdapterConfig):
    """The fields of PREFIX_STACKS and of PARALLEL_ADAPTER.

    Args:
        places: of the parallel adapters; prefixes are in all attention modules.
    """

    places: list[Literal["mlp", "mlp_block"]] = at("mlp")
    prefix_hidden: int | None = 800

    def used_places(self) -> Sequence[str]:
        """The adapters' places, and every attention module."""
        return (*ATTENTION, *self.places)

    def shared(self, sites: Sequence[Site]) -> dict[str, nn.Module]:
        """The prefixes' MLPs."""
        return PrefixStacksConfig.shared(self, [site for site in sites if site.place in ATTENTION])

    def parts(self, site: Site, shared: nn.ModuleDict) -> dict[str, nn.Module]:
        """A prefix in attention, a bottleneck beside the mlp."""
        method = PrefixStacksConfig if site.place in ATTENTION else ParallelAdapterConfig
        return method.parts(self, site, shared)
