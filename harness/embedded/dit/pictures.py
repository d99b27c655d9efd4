"""Letters and shapes, drawn by code: what the embedded image generator is pre-trained to draw."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy
import torch
from PIL import Image, ImageDraw

from harness.embedded.vit.letters import LETTERS, SCAN, draw_letter

CANVAS = 4 * SCAN
Draw = Callable[[ImageDraw.ImageDraw, tuple[float, float, float, float], int, int], None]


@dataclass(frozen=True)
class Drawn:
    """A picture of SCAN pixels a side in shades of gray, and the name of its class."""

    name: str
    picture: Image.Image


def drawn(key: str, first: int = 0) -> Iterator[Drawn]:
    """Yield pictures without end; the same key and number always give the same picture."""
    number = first
    while True:
        rng = random.Random(f"drawn/{key}/{number}")
        yield draw(rng, rng.choice(CLASSES))
        number += 1


def draw(rng: random.Random, name: str) -> Drawn:
    """Return a picture of a class, of random size, place, slant, weight and shade."""
    return Drawn(name, _shape(rng, SHAPES[name]) if name in SHAPES else draw_letter(rng, name))


def to_pixels(picture: Image.Image) -> torch.Tensor:
    """Return a gray picture as values from -1 to 1, of shape (1, height, width)."""
    return torch.from_numpy(numpy.asarray(picture, dtype=numpy.float32))[None] / 127.5 - 1


def _shape(rng: random.Random, drawing: Draw) -> Image.Image:
    canvas = Image.new("L", (CANVAS, CANVAS))
    width, height = rng.uniform(20, 30), rng.uniform(20, 30)
    left, top = (CANVAS - width) / 2 + rng.uniform(-2, 2), (CANVAS - height) / 2 + rng.uniform(-2, 2)
    drawing(ImageDraw.Draw(canvas), (left, top, left + width, top + height), rng.randint(180, 255), rng.randint(3, 6))
    canvas = canvas.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    return canvas.resize((SCAN, SCAN), Image.Resampling.BOX)


def _polygon(*corners: tuple[float, float]) -> Draw:
    """Drawing of a closed line through corners, given in shares of the box."""
    return _line(*corners, corners[0], corners[1])


def _line(*corners: tuple[float, float]) -> Draw:
    def drawing(canvas: ImageDraw.ImageDraw, box: tuple[float, float, float, float], shade: int, width: int) -> None:
        left, top, right, bottom = box
        points = [(left + x * (right - left), top + y * (bottom - top)) for x, y in corners]
        canvas.line(points, fill=shade, width=width, joint="curve")

    return drawing


# What a shape is drawn with: (canvas, box, shade, width of the line).
SHAPES: dict[str, Draw] = {
    "ring": lambda canvas, box, shade, width: canvas.ellipse(box, outline=shade, width=width),
    "disc": lambda canvas, box, shade, width: canvas.ellipse(box, fill=shade),
    "box": lambda canvas, box, shade, width: canvas.rectangle(box, outline=shade, width=width),
    "block": lambda canvas, box, shade, width: canvas.rectangle(box, fill=shade),
    "triangle": _polygon((0.5, 0), (1, 1), (0, 1)),
    "diamond": _polygon((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)),
    "slope": _line((0, 1), (1, 0)),
    "corner": _line((0, 0), (0, 1), (1, 1)),
    "arch": lambda canvas, box, shade, width: canvas.arc(box, 180, 360, fill=shade, width=width),
    "bowl": lambda canvas, box, shade, width: canvas.arc(box, 0, 180, fill=shade, width=width),
}
CLASSES = (*LETTERS, *SHAPES)  # in the order of the table's first rows
