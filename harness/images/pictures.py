"""From the bytes of a picture's file to pixel values, with the base model's own image processor."""

import base64
import io
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import torch
from PIL import Image, UnidentifiedImageError
from transformers import AutoImageProcessor, PretrainedConfig

from harness.errors import UserError
from harness.task import Row

THUMBNAIL = (64, 64)


class Pictures:
    """Turns rows into pixels: decoded, in three channels, resized and cut once; as bytes, a quarter of float32's."""

    def __init__(self, processor: Any) -> None:
        """`processor` is transformers' image processor of the base model."""
        self.processor = processor
        rescale = processor.rescale_factor if processor.do_rescale else 1.0
        mean, std = (processor.image_mean, processor.image_std) if processor.do_normalize else (0.0, 1.0)
        self._mean = torch.as_tensor(mean, dtype=torch.float32).view(-1, 1, 1)
        self._std, self._rescale = torch.as_tensor(std, dtype=torch.float32).view(-1, 1, 1), rescale

    @classmethod
    def of(cls, name: str, pinned: Mapping[str, Any]) -> "Pictures":
        """With the image processor of a base model; Pillow resizes, whether torchvision is installed or not.

        Raises:
            UserError: the model comes without one.
        """
        try:
            return cls(AutoImageProcessor.from_pretrained(name, backend="pil", trust_remote_code=False, **pinned))
        except OSError as error:
            if not str(error).startswith("Can't load image processor"):
                raise
            raise UserError(f"model {name}: has no preprocessor_config.json, which says how it reads pictures; "
                            "use a revision that has one") from None  # fmt: skip

    def pixels(self, row: Row) -> torch.Tensor:
        """Bytes of shape (3, height, width) of a row's picture, as large as the model reads it.

        Raises:
            UserError: the row has no picture, or one that Pillow cannot read.
        """
        return self.resized(picture_of(row, "RGB"))

    def resized(self, picture: Image.Image) -> torch.Tensor:
        """Bytes of shape (3, height, width) of an RGB picture, as large as the model reads it."""
        made = self.processor([picture], do_rescale=False, do_normalize=False, return_tensors="np").pixel_values[0]
        return torch.from_numpy(numpy.ascontiguousarray(made, dtype=numpy.uint8))

    def scaled(self, pixels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Pixel values (rows, 3, height, width) in float32, as the model was trained on."""
        return (torch.stack(list(pixels)).float() * self._rescale - self._mean) / self._std


def picture_of(row: Row, mode: str) -> Image.Image:
    """A row's picture, in a mode of Pillow.

    Raises:
        UserError: it has none, or one that Pillow cannot read.
    """
    try:
        with Image.open(io.BytesIO(row.image or b"")) as image:
            return image.convert(mode)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        reason = "has no image" if not row.image else f"its image cannot be read: {str(error)[:100]}"
        raise UserError(f"{row.prompt}: {reason}; leave the row out in load_splits") from None


def thumbnail(content: bytes) -> str:
    """A picture no larger than THUMBNAIL, as the address of an image in a page."""
    with Image.open(io.BytesIO(content)) as image:
        small = image.convert("RGB")
    small.thumbnail(THUMBNAIL)
    written = io.BytesIO()
    small.quantize(64).save(written, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"


class RandomPictures:
    """Takes the place of Pictures where nothing is loaded: random pixels in the size that the architecture reads."""

    def __init__(self, config: PretrainedConfig) -> None:
        size = config.image_size
        self._shape = (config.num_channels, *((size, size) if isinstance(size, int) else size))

    def pixels(self, row: Row) -> torch.Tensor:
        """Bytes of shape (channels, height, width) that the row's source decides."""
        generator = torch.Generator().manual_seed(random.Random(row.source).getrandbits(32))
        return torch.randint(256, self._shape, dtype=torch.uint8, generator=generator)

    def scaled(self, pixels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Pixel values (rows, channels, height, width) from -1 to 1."""
        return torch.stack(list(pixels)).float() / 127.5 - 1
