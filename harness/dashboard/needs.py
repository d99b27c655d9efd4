"""What a person who has to choose a method can say about model, machine, data and use."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

FAMILIES: Mapping[str, str] = {
    "": "any",
    "causal": "causal language model",
    "encoder-decoder": "encoder-decoder",
    "vision": "vision model",
    "diffusion": "diffusion model",
}
OUT_OF_SCOPE = ("vision", "diffusion")
PRIORITIES: Mapping[str, str] = {
    "quality": "quality",
    "memory": "memory in training",
    "speed": "training speed",
    "answers": "speed of answers",
    "storage": "storage",
}
INFERENCE: Mapping[str, str] = {
    "any": "no constraint",
    "fast": "answers as fast as the base model's, merging is fine",
    "adapters": "many adapters on one base model, unmerged",
}
NO_SLOWDOWN = 1.05  # of the base's decoding time: what timing cannot tell from none


@dataclass(frozen=True)
class Needs:
    """Empty texts and None mean no restriction.

    Attributes:
        family: key of FAMILIES.
        task, subset, model, hardware: restrict what is ranked, as the columns name them.
        model_params: parameters of the base model, for models that nothing was measured on.
        gpu_memory: bytes there are for training.
        dataset_rows: training rows there are; training time is then reckoned from the measured rows per second.
        epochs: passes over them.
        max_storage: bytes that one trained adapter, or model, may take on disk.
        max_train_seconds: time there is for training.
        inference: key of INFERENCE.
        max_overhead: decoding time over the base's that is bearable; None is NO_SLOWDOWN for "fast", else no limit.
        priority: key of PRIORITIES, what decides the order.

    Raises:
        ValueError: a figure or a key that cannot be, in one line.
    """

    family: str = ""
    task: str = ""
    subset: str = ""
    model: str = ""
    hardware: str = ""
    model_params: float | None = None
    gpu_memory: float | None = None
    dataset_rows: int | None = None
    epochs: float = 1.0
    max_storage: float | None = None
    max_train_seconds: float | None = None
    inference: str = "any"
    max_overhead: float | None = None
    priority: str = "quality"

    def __post_init__(self) -> None:
        for name, known in (("family", FAMILIES), ("inference", INFERENCE), ("priority", PRIORITIES)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(filter(None, known))}, got {value!r}")
        for name, what in (
            ("model_params", "parameters, above 0"),
            ("gpu_memory", "bytes, above 0"),
            ("dataset_rows", "rows, above 0"),
            ("epochs", "passes over the data, above 0"),
            ("max_storage", "bytes, above 0"),
            ("max_train_seconds", "seconds, above 0"),
            ("max_overhead", "times the base's decoding time, above 0"),
        ):
            _check_positive(name, what, getattr(self, name), optional=name != "epochs")

    @property
    def overhead_limit(self) -> float | None:
        """The bearable decoding time over the base's; None where there is no limit."""
        if self.max_overhead is None and self.inference == "fast":
            return NO_SLOWDOWN
        return self.max_overhead


def _check_positive(name: str, what: str, value: object, optional: bool) -> None:
    if value is None and optional:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{name}: expected {what}, got {value!r}")
