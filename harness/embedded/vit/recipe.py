"""How the embedded image model is made: a small ViT that reads two letters off one picture."""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import ViTConfig, ViTForImageClassification
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from harness.embedded.fingerprints import digest_texts
from harness.embedded.loop import Course, cosine
from harness.embedded.vit.letters import LETTERS, SIDE, pairs
from harness.embedded.vit.probe import labels_of, probe, shortcoming

__all__ = ["Settings", "digest_data", "make_course", "make_processor", "probe", "shortcoming"]

DIGESTED_PICTURES = 500


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights. Sizes are in pixels; a step trains `batch` pictures."""

    seed: int = 0
    patch: int = 4
    hidden: int = 128
    layers: int = 4
    heads: int = 4
    feed_forward: int = 512
    steps: int = 1800
    batch: int = 64
    learning_rate: float = 1e-3
    final_learning_rate: float = 2e-5
    warm_up_steps: int = 100
    beta2: float = 0.98
    weight_decay: float = 0.05
    gradient_norm: float = 1.0


class LetterBatches:
    """Pictures without end, in batches of pixel values (batch, 3, SIDE, 2 SIDE) and letters (batch, 2)."""

    def __init__(self, processor: ViTImageProcessorPil, settings: Settings) -> None:
        self.processor, self.settings, self.drawn = processor, settings, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the number of pictures drawn."""
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.drawn = state["drawn"]

    def __next__(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return the next step's one batch."""
        batch = list(islice(pairs(f"training/{self.settings.seed}", self.drawn), self.settings.batch))
        self.drawn += len(batch)
        pictures = [pair.picture.convert("RGB") for pair in batch]
        return [(self.processor(pictures, return_tensors="pt").pixel_values, labels_of(batch))]

    def __str__(self) -> str:
        return f"{self.drawn} pictures"


def make_processor(_: Settings) -> ViTImageProcessorPil:
    """Return the image processor: pictures at their own size, from -1 to 1."""
    half = [0.5, 0.5, 0.5]
    return ViTImageProcessorPil(size={"height": SIDE, "width": 2 * SIDE}, image_mean=half, image_std=half)


def make_course(settings: Settings, processor: ViTImageProcessorPil) -> Course:
    """Return what is to be trained, on what and how: weight decay on matrices, none on biases and norms."""
    model = make_model(settings)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    return Course(
        model=model,
        groups=[{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        stream=LetterBatches(processor, settings),
        loss=letters_loss,
        learning_rate=partial(cosine, settings=settings),
        steps=settings.steps,
    )


def letters_loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Return the mean loss in nats per letter."""
    pixel_values, letters = batch
    logits = model(pixel_values=pixel_values).logits.view(-1, len(LETTERS))
    return cross_entropy(logits.float(), letters.flatten())


def make_model(settings: Settings) -> ViTForImageClassification:
    """Return the untrained model, its initial weights decided by the seed; it has a label for each letter and side."""
    torch.manual_seed(settings.seed)
    names = [f"{side} {letter}" for side in ("left", "right") for letter in LETTERS]
    config = ViTConfig(
        image_size=[SIDE, 2 * SIDE],
        patch_size=settings.patch,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=settings.feed_forward,
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
    )
    return ViTForImageClassification(config)


def digest_data(settings: Settings) -> dict:
    """Return the fingerprint of the first pictures, pixel by pixel, and of their letters."""
    drawn = islice(pairs(f"training/{settings.seed}"), DIGESTED_PICTURES)
    texts = (f"{pair.left}{pair.right}{pair.picture.tobytes().hex()}" for pair in drawn)
    return {"pictures": {"count": DIGESTED_PICTURES, "sha256": digest_texts(texts)}}
