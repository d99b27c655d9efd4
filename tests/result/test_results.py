"""The committed results: their schema, and that they are whole."""

import pytest

from harness.experiment import ROOT, all_experiments
from harness.result.provenance import committed
from harness.result.read import read_results
from harness.result.schema import json_schema
from harness.result.store import file_name, read_result
from harness.task import choose_subsets, load_task

# What git tracks: results that whoever runs the tests has made are their own affair.
COMMITTED = committed(ROOT)
# By how the experiments' names start; on the real small model a run takes minutes rather than one.
SEEDS = {"embedded-": [0, 1, 2], "smollm2-": [0, 1]}


def test_the_committed_schema_is_the_schema():
    assert (ROOT / "harness" / "result" / "result.schema.json").read_text() == json_schema(), (
        "run: python -m harness.result.schema > harness/result/result.schema.json"
    )


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_clean_successes(path):
    result = read_result(path)
    assert result.train_info.status == "success"
    assert not result.overrides
    assert result.provenance.harness_dirty is False
    assert path.stem == file_name(result.method, result.name, result.task.subset, result.seed)
    assert path.parent.name == result.hardware["slug"]
    assert result.quality.test_score == pytest.approx(
        sum(result.quality.test_scores) / len(result.quality.test_scores)
    )
    assert len(result.quality.test_scores) == result.task.test_rows


@pytest.mark.parametrize("prefix", SEEDS)
@pytest.mark.parametrize("task", [path.parent.name for path in sorted((ROOT / "method_comparison").glob("*/data.py"))])
def test_what_has_results_has_all_subsets_and_seeds(task, prefix):
    folder = ROOT / "method_comparison" / task
    records = read_results([path for path in COMMITTED if path.parts[-3] == task]).records
    group = [record for record in records if record["name"].startswith(prefix)]
    names = {f"{path.parent.name}/{path.name}" for path in all_experiments() if path.is_relative_to(folder)}
    measured = {record["experiment"] for record in group}
    assert measured <= names, "the folder of every result is there"
    for subset in choose_subsets(load_task(folder), None, task):
        part = [record for record in group if record["subset"] == (subset or "")]
        seeds = {name: sorted(one["seed"] for one in part if one["experiment"] == name) for name in measured}
        assert all(found == SEEDS[prefix] for found in seeds.values()), seeds
