"""PREFIX_STACKS: prefix tuning of every stack (Li and Liang 2021, arXiv 2101.00190).

PEFT's own prefix tuning conditions one stack only, through the key-value cache, and shifts rotary positions by the
prefix. Here encoder, decoder and cross-attention have prefixes, and no token moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from harness.methods.parts.prefix import Prefix, prefix_mlps
from harness.methods.tuner import MethodConfig, Site, at, register


@register("PREFIX_STACKS")
@dataclass
class PrefixStacksConfig(MethodConfig):
    """Keys and values of their own for every attention module.

    Args:
        places: which attention modules; those that the architecture lacks are left out.
        prefix_length: in positions.
        prefix_hidden: width of the MLP that makes the prefixes while they are trained, one for each stack's
            self-attention and one for the cross-attention; null to train the prefixes themselves. The prefixes are
            stored, the MLPs are not.
        prefix_std: of prefixes without MLP, at the start.
    """

    places: list[Literal["attention", "cross_attention"]] = at("attention", "cross_attention")
    prefix_length: int = 30
    prefix_hidden: int | None = None
    prefix_std: float = 0.02

    def __post_init__(self) -> None:
        super().__post_init__()
        self.expect(self.prefix_length > 0, "prefix_length", "a positive number")
        self.expect(self.prefix_hidden is None or self.prefix_hidden > 0, "prefix_hidden", "a positive number or null")
        self.expect(self.prefix_std > 0, "prefix_std", "a positive number")

    def shared(self, sites: Sequence[Site]) -> dict[str, nn.Module]:
        """The MLPs, as long as they are trained."""
        trained = self.prefix_hidden is not None and not self.inference_mode
        return prefix_mlps(sites, self.prefix_length, self.prefix_hidden) if trained else {}

    def parts(self, site: Site, shared: nn.ModuleDict) -> dict[str, nn.Module]:
        """One prefix."""
        mlp = dict(shared).get(site.group)
        return {"prefix": Prefix(site.module, self.prefix_length, self.prefix_std, mlp, site.index)}
