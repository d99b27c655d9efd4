"""Places: which modules of an architecture a method may surround, and the module that surrounds one of them."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

# Expressions over module names; None where an architecture has no such module. Both are pre-norm: attention and mlp
# return what is added to the residual stream, mlp_block reads and returns the stream itself.
PLACES: dict[str, dict[str, str | None]] = {
    "t5": {
        "attention": r"(encoder|decoder)\.block\.\d+\.layer\.0\.SelfAttention",
        "cross_attention": r"decoder\.block\.\d+\.layer\.1\.EncDecAttention",
        "mlp": r".*\.DenseReluDense",
        "mlp_block": r"encoder\.block\.\d+\.layer\.1|decoder\.block\.\d+\.layer\.2",
        "query_value": r".*Attention\.(q|v)",
    },
    "llama": {
        "attention": r"model\.layers\.\d+\.self_attn",
        "cross_attention": None,
        "mlp": r"model\.layers\.\d+\.mlp",
        "mlp_block": r"model\.layers\.\d+",  # the whole layer: its output is the stream behind the mlp
        "query_value": r".*\.self_attn\.(q_proj|v_proj)",
    },
    "vit": {
        "attention": r"vit\.layers\.\d+\.attention",
        "cross_attention": None,
        "mlp": r"vit\.layers\.\d+\.mlp",
        "mlp_block": r"vit\.layers\.\d+",
        "query_value": r".*\.attention\.(q_proj|v_proj)",
    },
}
# Where the place is a whole layer, so that what it reads lies before the attention and not before the mlp.
LAYERS = (("llama", "mlp_block"), ("vit", "mlp_block"))


@dataclass(frozen=True)
class Site:
    """One module that stands at a place.

    `name` is its path in the untouched base model, `width` that of the residual stream, and `index` its number among
    those of the same `group`: a stack's (encoder, decoder or, in a model of one stack, model) modules at the place.
    `is_layer` says that the module is a whole layer.
    """

    name: str
    place: str
    module: nn.Module
    width: int
    group: str
    index: int
    is_layer: bool


def find_sites(model: nn.Module, places: Collection[str]) -> dict[str, list[Site]]:
    """All sites of a base model at the given places, whether something surrounds them already or not.

    Returns:
        lists of sites by the name under which PEFT's walk over the model meets them: their own, or that of the
        outermost module around them that is surrounded already, since it does not look into those.

    Raises:
        ValueError: the architecture is unknown or has none of the places.
    """
    architecture = model.config.model_type
    if architecture not in PLACES:
        raise ValueError(f"places of {architecture} are not known; known are those of {', '.join(PLACES)}")
    patterns = {place: PLACES[architecture][place] for place in places if PLACES[architecture][place]}
    found: dict[str, list[Site]] = {}
    counts: dict[str, int] = {}
    for met, module in model.named_modules():
        if f".{Place.parts_name}" in met or met.endswith(".base_layer"):
            continue
        name = met.replace(".base_layer", "")
        for place, pattern in patterns.items():
            if re.fullmatch(pattern, name):
                group = f"{name.partition('.')[0]}_{place}"
                counts[group] = counts.get(group, -1) + 1
                base = module.base_layer if isinstance(module, Place) else module
                is_layer = (architecture, place) in LAYERS
                site = Site(name, place, base, model.config.hidden_size, group, counts[group], is_layer)
                found.setdefault(met.partition(".base_layer")[0], []).append(site)
    if not found:
        raise ValueError(f"places: {architecture} has none of {', '.join(places)}")
    return found


class Place(nn.Module, BaseTunerLayer):
    """A module of the base model with parts around it.

    A part is a module called with what it surrounds and with the arguments of that call; it returns what the base
    model's module would: `part(inner, *args, **kwargs)`. The first part is innermost.
    """

    parts_name = "method_parts"
    adapter_layer_names = (parts_name,)

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer, self.method_parts = base_layer, nn.ModuleDict()
        self._disable_adapters, self.merged_adapters = False, []

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:  # models ask their modules for more than an answer
            return getattr(super().__getattr__("base_layer"), name)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the base model's module returns, as the active adapter's parts change it."""
        call = self.base_layer
        for adapter in () if self.disable_adapters else self.active_adapters:
            if adapter in self.method_parts:
                for part in self.method_parts[adapter].values():
                    call = partial(part, call)
        return call(*args, **kwargs)

    def bare(self) -> nn.Module:
        """The base model's module as it was before anything surrounded it."""
        for parts in self.method_parts.values():
            for part in parts.values():
                if hasattr(part, "release"):
                    part.release(self.base_layer)
        return self.base_layer

    def _get_base_layer_device_and_dtype(self, base_layer: nn.Module) -> tuple[torch.device, torch.dtype]:
        first = next(base_layer.parameters())  # PEFT's looks for .weight, which attention lacks
        return first.device, first.dtype
