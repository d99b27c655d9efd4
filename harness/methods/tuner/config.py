"""What a method's adapter_config.json may say, and under which name PEFT finds the method."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from torch import nn

from harness.methods.tuner.model import MethodModel
from harness.methods.tuner.places import Site

PlaceName = Literal["attention", "cross_attention", "mlp", "mlp_block"]


@dataclass
class MethodConfig(PeftConfig):
    """The base of every method's config. A method adds fields of its own and says what stands where.

    Args:
        places: of which modules' surroundings are adapted; a place that the architecture lacks is left out, as long as
            it has another of them.
        modules_to_save: modules of the base model that are trained and stored whole, such as a new head.

    Raises:
        ValueError: values that do not go together, in one line that begins with the field's name.
    """

    places: list[PlaceName] = field(default_factory=list)
    modules_to_save: list[str] | None = None

    name: ClassVar[str]
    target_modules: ClassVar[None] = None  # PEFT reads it of every config; here the places say where

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = self.name
        if not self.places or len(set(self.places)) < len(self.places):
            raise ValueError(f"places: expected at least one place, each of them once, got {self.places}")
        if {"mlp", "mlp_block"} <= set(self.places):
            raise ValueError("places: mlp and mlp_block are two sides of the same block; choose one of them")

    def used_places(self) -> Sequence[str]:
        """Every place at which this method has parts."""
        return self.places

    def shared(self, sites: Sequence[Site]) -> dict[str, nn.Module]:
        """Modules that several sites use; they are trained and stored once."""
        return {}

    def parts(self, site: Site, shared: nn.ModuleDict) -> dict[str, nn.Module]:
        """The parts around one site, innermost first; see `Place` for how they are called."""
        raise NotImplementedError

    def expect(self, holds: bool, key: str, expected: str) -> None:
        """Refuses a field's value.

        Raises:
            ValueError: unless `holds`.
        """
        if not holds:
            raise ValueError(f"{key}: expected {expected}, got {getattr(self, key)!r}")


def at(*places: str) -> Any:
    """The default of a list of places."""
    return field(default_factory=lambda: list(places))


def register(name: str) -> Callable[[type[MethodConfig]], type[MethodConfig]]:
    """Makes a config's method known to PEFT: in adapter_config.json its peft_type is `name`.

    Raises:
        ValueError: PEFT or another file has a method of that name.
    """

    def add(config_class: type[MethodConfig]) -> type[MethodConfig]:
        if name in {str(getattr(kind, "value", kind)) for kind in PEFT_TYPE_TO_CONFIG_MAPPING}:
            raise ValueError(f"a method {name} is registered already; choose another name")
        config_class.name = name
        PEFT_TYPE_TO_CONFIG_MAPPING[name] = config_class
        PEFT_TYPE_TO_TUNER_MAPPING[name] = MethodModel
        PEFT_TYPE_TO_PREFIX_MAPPING[name] = MethodModel.prefix
        return config_class

    return add
