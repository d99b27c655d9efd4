"""The committed results: their schema, and what the READMEs say of them."""

import subprocess
from collections import Counter

import pytest

from harness.experiment import ROOT, all_experiments
from harness.result.costs import costs_table
from harness.result.read import read_results
from harness.result.schema import json_schema
from harness.result.store import file_name, read_result
from harness.result.tables import means_table, results_table
from harness.task import choose_subsets, load_task

# What git tracks: results that whoever runs the tests has made are their own affair.
TRACKED = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
COMMITTED = [ROOT / name for name in TRACKED.split()]


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


@pytest.mark.parametrize("task", [path.parent.name for path in sorted((ROOT / "method_comparison").glob("*/data.py"))])
def test_the_tables_in_the_readme_are_the_committed_results(task):
    """The tables are made by `python -m harness.table <task> embedded`; what has results has all subsets and seeds."""
    folder = ROOT / "method_comparison" / task
    readme = (folder / "README.md").read_text()
    records = read_results([path for path in COMMITTED if path.parts[-3] == task]).records
    group = [record for record in records if record["name"].startswith("embedded-")]
    paths = [path for path in all_experiments() if path.is_relative_to(folder) and path.name.startswith("embedded-")]
    names = [f"{path.parent.name}/{path.name}" for path in paths]
    measured = {record["experiment"] for record in group}
    assert measured <= set(names), "the folder of every result is there"
    subsets = choose_subsets(load_task(folder), None, task)
    for subset in subsets:
        part = [record for record in group if record["subset"] == (subset or "")]
        assert Counter(record["experiment"] for record in part) == dict.fromkeys(measured, 3)
        assert results_table(part) in readme
        assert task != "MetaMathQA" or results_table(part) in (ROOT / "README.md").read_text()
        if subset == subsets[0]:
            assert costs_table(part) in readme
            assert task != "MetaMathQA" or costs_table(part) in (ROOT / "docs" / "reading-results.md").read_text()
    if len(subsets) > 1:
        assert means_table(group) in readme
