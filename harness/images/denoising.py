"""What a kind of diffusion model needs beside itself, from rows to its inputs and from samples to pictures."""

import copy
import hashlib
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import nn

from harness.architecture import DenoiserConfig
from harness.images.flow import sample_pictures
from harness.models import DTYPES
from harness.params import Sampling, TrainingParams
from harness.task import Row, Splits, Task


class Denoising(ABC):
    """One kind of model. A sample is what it denoises, pixels or latents; a condition is what a picture is to show.

    shape: of a sample. unit: of `distances`, for people. unrelated: what pictures they are that should stay.
    """

    shape: tuple[int, ...]
    unit: str
    unrelated: str

    def __init__(
        self, config: DenoiserConfig, params: TrainingParams, labels: Sequence[str], scheduler: Any, hollow: bool
    ) -> None:
        """`hollow` families have nothing loaded, and random samples."""
        self.config, self.labels, self.hollow = config, labels, hollow
        self.scheduler: FlowMatchEulerDiscreteScheduler = scheduler
        self.sampling: Sampling = params.sampling
        self.dtype = DTYPES[params.dtype]

    @classmethod
    @abstractmethod
    def load(cls, config: DenoiserConfig, params: TrainingParams, labels: Sequence[str], name: str, pinned: dict):
        """With all that the model needs; `name` and `pinned` are what from_pretrained is given."""

    @classmethod
    def build(cls, config: DenoiserConfig, params: TrainingParams, labels: Sequence[str]) -> "Denoising":
        """Without anything loaded, for rows without pictures."""
        return cls(config, params, labels, cls.random_scheduler(), hollow=True)

    @classmethod
    def random_scheduler(cls) -> FlowMatchEulerDiscreteScheduler:
        """A scheduler of this kind where none is loaded."""
        return FlowMatchEulerDiscreteScheduler()

    def read_ahead(self, task: Task, splits: Splits, base: nn.Module) -> None:
        """Does what needs a model that training does without."""
        return

    @abstractmethod
    def sample_of(self, row: Row) -> torch.Tensor:
        """A row's picture as the model denoises it, float32 on the CPU."""

    @abstractmethod
    def condition_of(self, row: Row) -> torch.Tensor:
        """What the row's picture is to show."""

    @abstractmethod
    def unrelated_conditions(self) -> list[torch.Tensor]:
        """Conditions of pictures that training has nothing to do with."""

    def no_condition(self) -> torch.Tensor | None:
        """What guidance leads away from."""
        return None

    @abstractmethod
    def velocity(
        self, model: nn.Module, sample: torch.Tensor, timestep: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        """What the model says of samples, each at its timestep; float32, of the samples' shape."""

    def schedule(self) -> dict[str, Any]:
        """What the scheduler's `set_timesteps` is told beside the number of steps."""
        return {}

    @abstractmethod
    def pictures(self, samples: torch.Tensor) -> list[Image.Image]:
        """Samples as pictures."""

    @abstractmethod
    def distances(self, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> list[float]:
        """How far each picture moved, in `unit`."""

    def guided(
        self, model: nn.Module, sample: torch.Tensor, timestep: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        """The velocity that sampling follows: with guidance, away from the one of no condition."""
        found = self.velocity(model, sample, timestep, condition)
        if self.sampling.guidance == 1:
            return found
        nothing = self.no_condition().to(condition.device).expand_as(condition)
        without = self.velocity(model, sample, timestep, nothing)
        return without + self.sampling.guidance * (found - without)

    def sample(self, model: nn.Module, noise: torch.Tensor, condition: torch.Tensor) -> list[Image.Image]:
        """Pictures of conditions, from noise."""
        samples = sample_pictures(
            lambda sample, timestep: self.guided(model, sample, timestep, condition),
            noise, copy.deepcopy(self.scheduler), self.sampling.steps, **self.schedule(),
        )  # fmt: skip
        return self.pictures(samples)

    def noise_of(self, key: str) -> torch.Tensor:
        """The noise that a picture begins with; decided by its key alone, so that every run begins with the same."""
        return torch.randn(self.shape, generator=generator_of(key))


def generator_of(key: str) -> torch.Generator:
    """Random numbers that a text decides."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big"))


def file_of(picture: Image.Image) -> bytes:
    """The content of a picture's file."""
    written = io.BytesIO()
    picture.save(written, "PNG")
    return written.getvalue()
