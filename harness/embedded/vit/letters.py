"""Pictures of two letters side by side, drawn by code: what the embedded image model is pre-trained on."""

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageDraw, ImageFont

LETTERS = string.ascii_uppercase
SCAN = 8  # pixels a side that a letter is scanned at; scikit-learn's digits have as many
SIDE = 16  # pixels a side of a letter in a picture


@dataclass(frozen=True)
class Pair:
    """Two letters, and the picture of them: SIDE high, twice as wide, in shades of gray."""

    left: str
    right: str
    picture: Image.Image


def pairs(key: str, first: int = 0) -> Iterator[Pair]:
    """Yield pairs without end; the same key and number always give the same pair."""
    number = first
    while True:
        rng = random.Random(f"letters/{key}/{number}")
        left, right = rng.choice(LETTERS), rng.choice(LETTERS)
        yield Pair(left, right, side_by_side(draw_letter(rng, left), draw_letter(rng, right)))
        number += 1


def draw_letter(rng: random.Random, letter: str) -> Image.Image:
    """Return a letter of random size, place, slant, weight and shade, SCAN pixels a side."""
    canvas = Image.new("L", (4 * SCAN, 4 * SCAN))
    middle = 2 * SCAN
    ImageDraw.Draw(canvas).text(
        (middle + rng.uniform(-2, 2), middle + rng.uniform(-2, 2)),
        letter,
        fill=rng.randint(180, 255),
        font=_font(rng.randint(27, 39)),
        anchor="mm",
        stroke_width=rng.choice((0, 1)),
    )
    slant = rng.uniform(-0.3, 0.3)
    stretch = rng.uniform(0.85, 1.15)
    leaning = (stretch, slant, middle * (1 - stretch - slant), 0, 1, 0)
    canvas = canvas.transform(canvas.size, Image.Transform.AFFINE, leaning, Image.Resampling.BILINEAR)
    canvas = canvas.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR)
    return canvas.resize((SCAN, SCAN), Image.Resampling.BOX)


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Return two scans as one picture, each made SIDE pixels a side."""
    picture = Image.new("L", (2 * SIDE, SIDE))
    for place, scan in enumerate((left, right)):
        picture.paste(scan.resize((SIDE, SIDE), Image.Resampling.BILINEAR), (place * SIDE, 0))
    return picture


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
