"""`python -m harness.table`: one file that cannot be read costs nobody anything but itself."""

import json
import math

import pytest
from result_files import ours, write

from harness import table
from harness.result.schema import Result
from harness.result.store import write_result


@pytest.fixture
def show(tmp_path, monkeypatch, capsys):
    """Calls the command line on results written into a temporary checkout: exit code, output, errors."""
    monkeypatch.setattr(table, "ROOT", tmp_path)

    def call(*results, arguments=("MetaMathQA",)):
        write(tmp_path / "results" / "MetaMathQA" / "cpu-x86-64", *results)
        code = table.main(list(arguments))
        return code, *capsys.readouterr()

    return call


@pytest.mark.parametrize("score", [7.0, -1, "0.7", True, [0.7]])
def test_a_score_that_cannot_be_is_named_and_skipped(show, score):
    strange = ours("lora/strange", **{"quality.test_score": score, "quality.test_scores": []})
    code, output, errors = show(ours("lora/good"), strange)
    assert code == 0
    assert "| lora/good |" in output
    assert "strange" not in output
    assert errors.count("\n") == 1
    assert "00001.json left out: quality.test_score: Expected `float" in errors


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_is_missing(show, tmp_path, value):
    """As Python's own writer spells it; ours writes null."""
    strange = ours("lora/strange", **{"quality.test_score": value, "quality.test_scores": []})
    strange["train_info"]["metrics"] = []
    assert "NaN" in json.dumps(strange) or "Infinity" in json.dumps(strange)
    code, output, errors = show(ours("lora/good"), strange)
    assert (code, "strange" in output) == (0, False)
    assert errors.endswith("00001.json left out: no test score\n")
    write_result(tmp_path / "results" / "MetaMathQA" / "cpu-x86-64" / "ours.json", Result.model_validate(strange))
    assert "left out: no test score" in show()[2]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"run_info": ', "\0"])
def test_what_is_no_result_is_named_and_skipped(show, tmp_path, content):
    folder = tmp_path / "results" / "MetaMathQA" / "cpu-x86-64"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text(content)
    code, output, errors = show(ours("lora/good"))
    assert code == 0
    assert "| lora/good |" in output
    assert errors.startswith("warning: ")
    assert "broken.json left out: " in errors


def test_only_what_may_be_ranked_is_in_the_tables(show):
    code, output, errors = show(
        ours("lora/good"),
        ours("lora/changed", overrides={"max_steps": 1}),
        ours("lora/failed", scores=(), **{"train_info.status": "failed"}),
    )
    assert code == 0
    assert output.count("| lora/") == 1
    assert "left out: parameters were changed on the command line" in errors
    assert "left out: ended as failed" in errors


def test_nothing_to_show_is_one_clear_line(show):
    code, output, errors = show(ours("lora/good"), arguments=("MetaMathQA", "nonsense"))
    assert (code, output) == (2, "")
    assert errors == "error: no results of MetaMathQA match; run an experiment first: python run.py --help\n"
