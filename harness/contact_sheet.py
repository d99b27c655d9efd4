"""One picture of what a task's experiments generate: a line for each, best first, of the small pictures in its result.

    python -m harness.contact_sheet <Task> embedded --output method_comparison/<Task>/samples.png

draws the results of seed 0 whose experiment contains "embedded". What may not be ranked together shares no sheet.
"""

import argparse
import base64
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from harness.errors import UserError, run_command
from harness.experiment import ROOT
from harness.result.comparable import unranked
from harness.result.metrics import is_share
from harness.result.read import read_results
from harness.result.units import write

SIDE, GAP, NAME = 48, 4, 380  # pixels of a picture, between two, and of an experiment's name
INK, PAPER = (30, 30, 30), (255, 255, 255)


def sheet_of(lines: Sequence[tuple[str, Sequence[Image.Image]]]) -> Image.Image:
    """The sheet: names on the left, pictures beside them."""
    across = max(len(pictures) for _, pictures in lines)
    sheet = Image.new("RGB", (NAME + across * (SIDE + GAP) + GAP, len(lines) * (SIDE + GAP) + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for number, (name, pictures) in enumerate(lines):
        top = GAP + number * (SIDE + GAP)
        draw.text((2 * GAP, top + SIDE / 2), name, INK, font, anchor="lm")
        for place, picture in enumerate(pictures):
            large = picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(large, (NAME + place * (SIDE + GAP), top))
    return sheet


def thumbnails(result: dict[str, Any]) -> list[Image.Image]:
    """The small pictures that a result has of what was generated."""
    shown = [one["thumbnail"] for one in result["quality"]["samples"] if one.get("thumbnail") and one.get("picture")]
    return [Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).convert("RGB") for text in shown]


def start(argv: Sequence[str] | None) -> None:
    """Writes the sheet.

    Raises:
        UserError: no result of seed 0 matches, or some may not be compared with others.
    """
    parser = argparse.ArgumentParser(prog="python -m harness.contact_sheet", description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("pattern", nargs="?", default="", help="part of the experiment's name")
    parser.add_argument("--results", type=Path, help="folder to read (default: results/<task>)")
    parser.add_argument("--output", type=Path, required=True, help="the PNG to write")
    arguments = parser.parse_args(argv)
    folder = arguments.results or ROOT / "results" / arguments.task
    records = [one for one in read_results([folder], arguments.task).records
               if arguments.pattern in one["experiment"] and one["seed"] == 0 and not unranked(one)]  # fmt: skip
    if not records:
        raise UserError(f"{folder}: no result of seed 0 whose experiment contains {arguments.pattern!r}")
    groups = {(one["task"], one["model"], one["metric"], one["protocol"]) for one in records}
    if len(groups) > 1:
        raise UserError(
            f"{folder}: results of {len(groups)} kinds may not be compared; say a part of the experiment's name"
        )
    lines = []
    for one in sorted(records, key=lambda record: record["score"], reverse=records[0]["higher_is_better"]):
        pictures = thumbnails(json.loads(Path(ROOT, one["source"]).read_text()))
        figure = write("share" if is_share(one["metric"], ours=True) else "number", one["score"])
        lines += [(f"{one['experiment']}   {figure}", pictures)] if pictures else []
    if not lines:
        raise UserError(f"{folder}: no result there has pictures that were generated")
    sheet_of(lines).quantize(64).save(arguments.output, optimize=True)


if __name__ == "__main__":
    sys.exit(run_command(start, sys.argv[1:]))
