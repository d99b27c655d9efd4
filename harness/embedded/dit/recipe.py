"""How the embedded image generator is made: a small diffusion transformer that draws a letter or a shape by class."""

from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import torch
from diffusers import DiTTransformer2DModel, FlowMatchEulerDiscreteScheduler
from torch import nn

from harness.embedded.dit.pictures import CLASSES, SCAN, drawn, to_pixels
from harness.embedded.dit.probe import probe, shortcoming
from harness.embedded.fingerprints import digest_texts
from harness.embedded.loop import Course, cosine
from harness.images.flow import Noisy, flow_loss, make_noisy

__all__ = ["Settings", "digest_data", "make_course", "make_processor", "probe", "shortcoming"]

DIGESTED_PICTURES = 500


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights. Sizes are in pixels; a step trains `batch` pictures.

    spare_classes: rows of the table of classes that stay as they are drawn, for what the model is taught later.
    """

    seed: int = 0
    patch: int = 2
    layers: int = 4
    heads: int = 4
    head: int = 24
    spare_classes: int = 10
    steps: int = 1800
    batch: int = 64
    learning_rate: float = 1e-3
    final_learning_rate: float = 2e-5
    warm_up_steps: int = 100
    beta2: float = 0.99
    gradient_norm: float = 1.0


class NoisyPictures:
    """Batches without end: pictures with noise on them, and the numbers of their classes."""

    def __init__(self, scheduler: FlowMatchEulerDiscreteScheduler, settings: Settings) -> None:
        self.scheduler, self.settings, self.drawn = scheduler, settings, 0
        self.generator = torch.Generator().manual_seed(settings.seed)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of pictures drawn, where the noise stands, and torch's numbers, by which the model itself
        leaves out classes.
        """
        return {"drawn": self.drawn, "generator": self.generator.get_state(), "torch": torch.get_rng_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.drawn = state["drawn"]
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])

    def __next__(self) -> list[tuple[Noisy, torch.Tensor]]:
        """Return the next step's one batch."""
        batch = list(islice(drawn(f"training/{self.settings.seed}", self.drawn), self.settings.batch))
        self.drawn += len(batch)
        pixels = torch.stack([to_pixels(one.picture) for one in batch])
        numbers = torch.tensor([CLASSES.index(one.name) for one in batch])
        return [(make_noisy(pixels, self.scheduler, self.generator), numbers)]

    def __str__(self) -> str:
        return f"{self.drawn} pictures"


def make_processor(_: Settings) -> FlowMatchEulerDiscreteScheduler:
    """Return the scheduler, which says how noise is added in training and removed in sampling."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000)


def make_course(settings: Settings, scheduler: FlowMatchEulerDiscreteScheduler) -> Course:
    """Return what is to be trained, on what and how."""
    model = make_model(settings)
    return Course(
        model=model,
        groups=[{"params": list(model.parameters()), "weight_decay": 0.0}],
        stream=NoisyPictures(scheduler, settings),
        loss=drawing_loss,
        learning_rate=partial(cosine, settings=settings),
        steps=settings.steps,
    )


def drawing_loss(model: nn.Module, batch: tuple[Noisy, torch.Tensor]) -> torch.Tensor:
    """Return the mean squared error of the predicted velocity."""
    noisy, numbers = batch
    with torch.autocast("cpu", enabled=False):  # which makes this small model slower
        return flow_loss(model(noisy.sample, timestep=noisy.timestep, class_labels=numbers).sample, noisy)


def make_model(settings: Settings) -> DiTTransformer2DModel:
    """Return the untrained model, its initial weights decided by the seed, with a class for each name and spares."""
    torch.manual_seed(settings.seed)
    return DiTTransformer2DModel(
        num_attention_heads=settings.heads,
        attention_head_dim=settings.head,
        num_layers=settings.layers,
        in_channels=1,
        out_channels=1,
        sample_size=SCAN,
        patch_size=settings.patch,
        num_embeds_ada_norm=len(CLASSES) + settings.spare_classes,
    )


def digest_data(settings: Settings) -> dict:
    """Return the fingerprint of the first pictures, pixel by pixel, and of their classes."""
    first = islice(drawn(f"training/{settings.seed}"), DIGESTED_PICTURES)
    texts = (f"{one.name}{one.picture.tobytes().hex()}" for one in first)
    return {"pictures": {"count": DIGESTED_PICTURES, "sha256": digest_texts(texts)}}
