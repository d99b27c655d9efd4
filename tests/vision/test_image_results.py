"""Results of image tasks in tables and on pages: work is images, a new head is counted apart, samples show pictures."""

import json

import pytest
from result_files import ours, write

from harness.dashboard.page import Dashboard
from harness.dashboard.view import View, query_of
from harness.result.costs import costs_table
from harness.result.read import read_results
from harness.result.tables import results_table

THUMBNAIL = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = 'data:text/html,"><script>alert(1)</script>'


def result(experiment, seed=0, **changes):
    samples = [
        {"prompt": f"scans {number} and 1", "reference": "3", "prediction": "4", "score": 0.0, "thumbnail": shown}
        for number, shown in enumerate((THUMBNAIL, None))
    ]
    return ours(
        experiment, seed, task="ImageClassification",
        **{"task.work_unit": "images", "run_info.train_config.model_id": "embedded/vit", "quality.samples": samples,
           "run_info.peft_config.task_type": None, "train_info.num_head_params": 40, "train_info.head_file_size": 160,
           "speed.train_tokens_per_second": 100.0, "compute.flops_per_token": 2e6, "quality.base_score": None, **changes},
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "results"
    made = [result("lora/qv", seed) for seed in range(2)]
    made.append(result("ia3/other", **{"train_info.head_file_size": 400, "train_info.num_head_params": 100}))
    hostile = result("loha/hostile")
    hostile["quality"]["samples"][0]["thumbnail"] = HOSTILE
    for number, one in enumerate([*made, hostile]):
        write(folder / f"{number}.json", one)
    return folder


def test_tables_count_images_and_the_head_apart(folder):
    records = read_results([folder]).records
    assert {record["family"] for record in records} == {"vision"}
    head, _, *lines = results_table(records).splitlines()
    assert "| trained parameters | without new head | storage |" in head
    assert "images/s" in head
    assert "tokens" not in head
    assert any(line.startswith("| lora/qv | 0.002 | 100 | 60 | 400 B |") for line in lines)
    assert any(line.startswith("| ia3/other | 0.002 | 100 | 0 | 400 B |") for line in lines)
    costs = costs_table(records).splitlines()
    assert "MFLOP/image" in costs[0]
    assert "storage without new head" in costs[0]


def test_text_has_no_column_for_a_head():
    text = results_table(read_results_of(ours(**{"speed.train_tokens_per_second": 5.0})))
    assert "new head" not in text
    assert "tokens/s" in text


def read_results_of(one):
    from harness.result.records import to_record

    return [to_record(json.dumps(one).encode(), "")]


def page(folder, **fields):
    board = Dashboard([folder], "ImageClassification")
    return board.page(query_of(View(**{"task": "ImageClassification", "model": "embedded/vit"} | fields)))


def test_the_experiments_page_shows_pictures_and_nothing_else(folder):
    rows = {record["experiment"]: record for record in read_results([folder]).records}
    assert "lora/qv" in rows
    shown = page(folder, tab="experiment", experiment="lora/qv@cpu-x86-64@1")
    assert shown.count(f'<img class="thumbnail" src="{THUMBNAIL}"') == 1
    assert "Training images/s" in shown
    assert "tokens/s" not in shown.partition("<main")[2].partition("Provenance")[0].replace("Test tokens/s", "")
    hostile = page(folder, tab="experiment", experiment="loha/hostile@cpu-x86-64@1")
    assert "<script>alert(1)" not in hostile
    assert 'class="thumbnail"' not in hostile


def test_vision_is_answered_from_measurements(folder):
    shown = page(folder, tab="choose", family="vision", scope="all").replace("<wbr>", "")
    assert "out of this benchmark" not in shown
    assert "Nothing was measured" not in shown
    assert "lora/qv" in shown
