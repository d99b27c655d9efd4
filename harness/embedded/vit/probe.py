"""What a pre-trained embedded image model is measured by: letters read off pictures that it never saw."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import nn

from harness.embedded.vit.letters import LETTERS, Pair, pairs

SMALLEST_ACCURACY = 0.8
BATCH = 100
Pixels = Callable[[list[Pair]], torch.Tensor]


@dataclass(frozen=True)
class Probe:
    """Share of held-out pictures of which both letters were read, and of letters."""

    pair_accuracy: float
    letter_accuracy: float
    items: int


def held_out_pairs(count: int) -> list[Pair]:
    """Return pictures that pre-training never draws."""
    return list(islice(pairs("held out"), count))


def labels_of(batch: list[Pair]) -> torch.Tensor:
    """Return the numbers of the letters, of shape (pairs, 2)."""
    return torch.tensor([[LETTERS.index(pair.left), LETTERS.index(pair.right)] for pair in batch])


@torch.inference_mode()
def right_letters(
    logits_of: Callable[[torch.Tensor], torch.Tensor], pixels: Pixels, batch: list[Pair]
) -> torch.Tensor:
    """Return which letters are read right, of shape (pairs, 2).

    Args:
        logits_of: from pixel values to logits (pairs, 52), the left letter's before the right one's.
        pixels: from pairs to pixel values.
        batch: what is read.
    """
    read = [
        logits_of(pixels(batch[first : first + BATCH])).view(-1, 2, len(LETTERS)).argmax(-1).cpu()
        for first in range(0, len(batch), BATCH)
    ]
    return torch.cat(read) == labels_of(batch)


def probe(model: nn.Module, processor: Callable, items: int = 1000) -> Probe:
    """Return the measurements of `model`, which stays unchanged, on `items` pictures."""
    right = right_letters(
        lambda pixel_values: model(pixel_values=pixel_values).logits,
        lambda batch: processor([pair.picture.convert("RGB") for pair in batch], return_tensors="pt").pixel_values,
        held_out_pairs(items),
    ).float()
    return Probe(right.prod(-1).mean().item(), right.mean().item(), items)


def shortcoming(probe: Probe) -> str:
    """Return why a model with these measurements is not to be shipped; "" where it may be."""
    if probe.pair_accuracy >= SMALLEST_ACCURACY:
        return ""
    return f"wanted both letters of at least {SMALLEST_ACCURACY} of the pictures"
