"""Models that draw pixels by the number of a class (DiT, arXiv 2212.09748): new classes take the table's last rows."""

from collections.abc import Sequence

import numpy
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import nn

from harness.architecture import DenoiserConfig
from harness.errors import UserError
from harness.images.denoising import Denoising, generator_of
from harness.images.pictures import picture_of
from harness.params import TrainingParams
from harness.task import Row

MODES = {1: "L", 3: "RGB"}
OLD_PICTURES = 2  # of each class that the table had before


class ClassTable(Denoising):
    """Pixels from -1 to 1, conditioned on one of the classes."""

    unit = "mean difference of pixels, 1 from black to white"
    unrelated = "pictures of the base model's own classes, from the same noise"

    def __init__(
        self, config: DenoiserConfig, params: TrainingParams, labels: Sequence[str], *more: object, **how: bool
    ):
        super().__init__(config, params, labels, *more, **how)
        values = config.values
        side, channels, classes = values["sample_size"], values["in_channels"], values["num_embeds_ada_norm"]
        if channels not in MODES or self.sampling.side != side:
            wanted = f"one that draws {self.sampling.side} pixels a side in 1 or 3 channels"
            raise UserError(f"model {params.model_id}: expected {wanted}, got {side} in {channels}; choose another "
                            "model or sampling.side")  # fmt: skip
        if not 1 < len(labels) < classes:
            raise UserError(f"CLASSES[{params.data_source!r}]: expected 2 to {classes - 1} classes, got {len(labels)}")
        if self.sampling.guidance != 1:
            raise UserError("sampling.guidance: expected 1; such a model forgets the class in each layer apart, so "
                            "that it has no prediction without one")  # fmt: skip
        self.shape, self._mode = (channels, side, side), MODES[channels]
        self._first = classes - len(labels)
        self._numbers = {label: self._first + place for place, label in enumerate(labels)}

    @classmethod
    def load(cls, config, params, labels, name, pinned):
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(name, **pinned)
        return cls(config, params, labels, scheduler, hollow=False)

    def sample_of(self, row: Row) -> torch.Tensor:
        if self.hollow:
            return torch.rand(self.shape, generator=generator_of(row.source)) * 2 - 1
        picture = picture_of(row, self._mode)
        if picture.size != self.shape[1:]:
            picture = picture.resize(self.shape[1:], Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(numpy.asarray(picture, dtype=numpy.float32)) / 127.5 - 1
        return pixels.reshape(*self.shape[1:], self.shape[0]).permute(2, 0, 1).contiguous()

    def condition_of(self, row: Row) -> torch.Tensor:
        if row.target not in self._numbers:
            raise UserError(f"CLASSES: {row.target!r} is the target of a row ({row.prompt}), but none of the classes")
        return torch.tensor(self._numbers[row.target])

    def unrelated_conditions(self) -> list[torch.Tensor]:
        return [torch.tensor(number) for number in range(self._first) for _ in range(OLD_PICTURES)]

    def velocity(
        self, model: nn.Module, sample: torch.Tensor, timestep: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        given = {"hidden_states": sample.to(self.dtype), "timestep": timestep, "class_labels": condition}
        return model(**given, return_dict=False)[0].float()

    def pictures(self, samples: torch.Tensor) -> list[Image.Image]:
        grays = ((samples.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        return [Image.fromarray(one.squeeze(-1) if self._mode == "L" else one, self._mode) for one in grays]

    def distances(self, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> list[float]:
        pairs = zip(before, after, strict=True)
        return [
            float(numpy.abs(numpy.asarray(one, dtype=float) - numpy.asarray(other, dtype=float)).mean() / 255)
            for one, other in pairs
        ]
