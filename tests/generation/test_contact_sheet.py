"""The contact sheet: a line for each experiment, best first, and one line of words where there is nothing to draw."""

import base64
import io

import pytest
from PIL import Image
from result_files import ours, write

from harness.contact_sheet import GAP, NAME, SIDE, start
from harness.errors import UserError


def gray(shade):
    written = io.BytesIO()
    Image.new("L", (8, 8), shade).save(written, "PNG")
    return f"data:image/png;base64,{base64.b64encode(written.getvalue()).decode()}"


def result(experiment, score, shade, **changes):
    samples = [{"prompt": "a 3", "reference": "3", "prediction": "3", "score": 1.0, "thumbnail": gray(shade), "picture": f"samples/{number}.png"}
               for number in range(3)]  # fmt: skip
    items = [1.0] * round(10 * score) + [0.0] * (10 - round(10 * score))
    return ours(experiment, 0, task="ImageGeneration", **{"task.metric": "accuracy", "quality.samples": samples, "quality.test_scores": items,
                                                          "quality.test_score": score, **changes})  # fmt: skip


def draw(folder, *more):
    start(["ImageGeneration", *more, "--results", str(folder), "--output", str(folder / "sheet.png")])
    return Image.open(folder / "sheet.png").convert("L")


def test_the_best_experiment_is_on_top(tmp_path):
    write(tmp_path / "0.json", result("lora/a", 0.2, 40))
    write(tmp_path / "1.json", result("lora/b", 0.9, 200))
    write(tmp_path / "2.json", ours("lora/c", 1, task="ImageGeneration"))
    sheet = draw(tmp_path)
    assert sheet.size == (NAME + 3 * (SIDE + GAP) + GAP, 2 * (SIDE + GAP) + GAP)
    shades = [sheet.getpixel((NAME + SIDE // 2, GAP + line * (SIDE + GAP) + SIDE // 2)) for line in range(2)]
    assert shades == pytest.approx([200, 40], abs=8)
    assert draw(tmp_path, "lora/a").size[1] == SIDE + 2 * GAP


def test_nothing_to_draw_is_one_line(tmp_path):
    write(tmp_path / "0.json", ours("lora/a", 0, task="ImageGeneration"))
    with pytest.raises(UserError, match="no result there has pictures that were generated"):
        draw(tmp_path)
    with pytest.raises(UserError, match="no result of seed 0 whose experiment contains 'loha'"):
        draw(tmp_path, "loha")
    write(tmp_path / "1.json", result("lora/b", 0.9, 200, **{"task.metric": "other"}))
    with pytest.raises(UserError, match="results of 2 kinds may not be compared"):
        draw(tmp_path)
