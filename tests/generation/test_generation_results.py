"""Results of image generation on pages: drift, pictures and a gallery, beside another harness' and never ranked with it."""

import re

import pytest
from dashboard_foreign import FLUX, images
from result_files import ours, write
from starlette.applications import Starlette
from starlette.testclient import TestClient

from harness.dashboard.page import Dashboard
from harness.dashboard.server import pages
from harness.dashboard.view import View, query_of
from harness.experiment import ROOT, all_experiments
from harness.result.origin import family_of, task_of
from harness.result.read import read_results

THUMBNAIL = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = 'data:text/html,"><script>alert(1)</script>'


def result(experiment, seed=0, **changes):
    samples = [
        {"prompt": f"sks cat {number}", "reference": f"picture {number}", "prediction": "0.7", "score": 0.7, "thumbnail": shown,
         "picture": f"samples/{number}.png"}
        for number, shown in enumerate((THUMBNAIL, THUMBNAIL, HOSTILE))
    ]  # fmt: skip
    one = ours(
        experiment, seed, task="ImageGeneration",
        **{"task.work_unit": "images", "task.data_source": "hub", "task.metric": "dino_similarity",
           "run_info.train_config.model_id": FLUX, "quality.samples": samples, "run_info.peft_config.task_type": None,
           "speed.train_tokens_per_second": 2.0, "compute.flops_per_token": 2e13, "quality.base_score": 0.4, **changes},
    )  # fmt: skip
    one["train_info"]["metrics"][-1]["drift"] = 0.125
    return one


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generation")
    for number, one in enumerate([result("lora/a"), result("lora/a", 1), result("loha/b", 0)]):
        write(folder / "results" / f"{number}.json", one)
    images(folder, count=3)
    published = folder / "image-gen" / "results"
    first = sorted(published.glob("*.json"))[0]
    text = first.read_text().rstrip()
    first.write_text(text[:-1] + ', "quality": {"samples": [{"prompt": "a cat", "image": "cat.png"}]}}')
    (published / "cat.png").write_bytes(b"picture")
    return folder


@pytest.fixture(scope="module")
def shown(folder):
    board = Dashboard([folder])
    view = View(task="ImageGeneration", model=FLUX)
    return board, board.page(query_of(view)).replace("<wbr>", "")


def test_models_that_diffuse_are_a_family():
    assert family_of("", FLUX) == family_of("", "embedded/dit") == "diffusion"
    assert family_of("", "embedded/vit") == "vision"


def test_a_task_has_another_name_elsewhere(tmp_path):
    assert task_of(tmp_path / "image-gen" / "results") == "ImageGeneration"
    assert task_of(ROOT / "method_comparison" / "ImageGeneration") == "ImageGeneration"


def test_drift_is_a_column_of_both_harnesses(folder):
    records = {record["experiment"]: record for record in read_results([folder]).records}
    assert records["lora/a"]["drift"] == 0.125
    assert {record["task"] for record in records.values()} == {"ImageGeneration"}
    assert sum(record["protocol"] == "1" for record in records.values()) == 2
    assert not records["lora/a"]["share"]


def test_the_table_shows_both_and_ranks_them_apart(shown):
    _, html = shown
    table = html.partition('id="results-table"')[2].partition("</table>")[0]
    assert "lora/a" in table
    assert table.count("published elsewhere") == 3
    assert "Drift" in table
    assert "Training images/s" in table


def test_the_gallery_shows_pictures_of_both_and_nothing_else(shown):
    board, html = shown
    gallery = html.partition('id="gallery"')[2].partition("</details>")[0]
    assert gallery.count(f'src="{THUMBNAIL}"') == 4, "two of each experiment of ours; one seed each"
    assert "alert(1)" not in html
    (address,) = re.findall(r'src="(/picture[^"]*)"', gallery)
    client = TestClient(Starlette(routes=pages(board)))
    assert client.get(address.replace("&amp;", "&")).content == b"picture"


def test_text_has_no_gallery(tmp_path):
    write(tmp_path / "results" / "0.json", ours("lora/x"))
    assert 'id="gallery"' not in Dashboard([tmp_path]).page("")


def test_the_experiments_page_shows_pictures_and_drift(folder, shown):
    html = shown[0].page(
        query_of(View(task="ImageGeneration", model=FLUX, tab="experiment", experiment="lora/a@cpu-x86-64@1"))
    )
    assert html.count(f'<img class="thumbnail" src="{THUMBNAIL}"') == 2
    assert "Drift" in html


def test_every_real_experiment_has_its_twin_family():
    real = [path for path in all_experiments() if path.name.startswith("flux")]
    assert len(real) > 15
    assert {path.parent.name for path in real} <= {
        path.parent.name for path in all_experiments() if path.name.startswith("embedded-dit")
    }
