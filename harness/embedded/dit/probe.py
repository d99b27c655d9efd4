"""What a pre-trained embedded image generator is measured by: are the pictures it draws those of the class?"""

import random
from dataclasses import dataclass
from functools import cache

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import nn

from harness.embedded.dit.pictures import CLASSES, draw, to_pixels
from harness.images.flow import sample_pictures

SMALLEST_ACCURACY = 0.8
STEPS = 20
EXAMPLES = 200  # of each class, that the reader learns from


@dataclass(frozen=True)
class Probe:
    """Share of drawn pictures that are read as what they were to be; of real ones, the share that is read right."""

    accuracy: float
    accuracy_on_real: float
    items: int


@cache
def reader():
    """Return a classifier of letters and shapes that is fitted to pictures which pre-training never draws."""
    from sklearn.svm import SVC

    rng = random.Random("held out")
    names = [name for name in CLASSES for _ in range(EXAMPLES)]
    pixels = torch.stack([to_pixels(draw(rng, name).picture) for name in names])
    return SVC(C=10).fit(pixels.flatten(1).numpy(), names)


def probe(model: nn.Module, scheduler: FlowMatchEulerDiscreteScheduler, items: int = 10 * len(CLASSES)) -> Probe:
    """Return the measurements of `model`, which stays unchanged, on `items` pictures."""
    names = [CLASSES[number % len(CLASSES)] for number in range(items)]
    numbers = torch.tensor([CLASSES.index(name) for name in names])
    noise = torch.randn(items, *to_pixels(draw(random.Random(0), "A").picture).shape,
                        generator=torch.Generator().manual_seed(0))  # fmt: skip
    with torch.inference_mode():
        pictures = sample_pictures(
            lambda sample, timestep: model(sample, timestep=timestep, class_labels=numbers).sample,
            noise, scheduler, STEPS,
        )  # fmt: skip
    rng = random.Random("real")
    real = torch.stack([to_pixels(draw(rng, name).picture) for name in names])
    return Probe(_read(pictures, names), _read(real, names), items)


def shortcoming(probe: Probe) -> str:
    """Return why a model with these measurements is not to be shipped; "" where it may be."""
    if probe.accuracy >= SMALLEST_ACCURACY:
        return ""
    return f"wanted at least {SMALLEST_ACCURACY} of the pictures to be of their class"


def _read(pictures: torch.Tensor, names: list[str]) -> float:
    return float((reader().predict(pictures.flatten(1).numpy()) == names).mean())
