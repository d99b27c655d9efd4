"""The board holds each method once, by what valid said, and its costs only where they are of one machine."""

import json

import pytest
from result_files import assert_current, change, ours

from harness.experiment import ROOT
from harness.plot import draw, frame_of
from harness.result.board import board_table, boards, variant_of
from harness.result.records import to_record
from harness.result.tuning import Trial, Tuning
from harness.table import boards_of, ranked

BUDGET = "best of 2 rates, 1 seed"


def runs(experiment, *scores, budget=BUDGET, **changes):
    """Records of so many seeds."""
    results = (
        ours(experiment, seed, [1.0] * round(100 * score) + [0.0] * round(100 * (1 - score)), **changes)
        for seed, score in enumerate(scores)
    )
    return [to_record(json.dumps(result).encode(), "MetaMathQA") | {"budget": budget} for result in results]


def tuned(**best_on_valid):
    """Records of tuning by name within lora/."""
    return {
        f"lora/{name}": Tuning(
            protocol=1, key="optimizer_kwargs.lr", values=[0.1, 0.2], chosen=0.2, metric="accuracy", higher_is_better=True,
            subsets=[None], seeds=[0], steps=1, valid_rows={"": 10}, settings="", hardware=[], versions={}, harness_commit=None,
            created_at="", trials=[Trial(value=value, seed=0, status="success", score=one)
                                   for value, one in ((0.1, 0.0), (0.2, score))])
        for name, score in best_on_valid.items()
    }  # fmt: skip


def names(found):
    return [[line.name for line in board.lines] for board in found]


def test_the_best_of_a_method_is_that_of_valid_whatever_test_says():
    records = [*runs("lora/lucky", 0.9, 0.9, 0.8), *runs("lora/better", 0.6, 0.7, 0.8)]
    assert names(boards(records, tuned(lucky=0.5, better=0.6))) == [["lora/better"]]
    assert names(boards(records, tuned(lucky=0.7, better=0.6))) == [["lora/lucky"]]


@pytest.mark.parametrize("budget", ["untuned", ""])
def test_what_was_not_tuned_is_left_out_and_named(budget):
    (board,) = boards([*runs("lora/a", 0.5), *runs("lora/b", 0.9, budget=budget)], tuned(a=0.5, b=0.9))
    assert names([board]) == [["lora/a"]]
    assert board.untuned == ("lora/b",)
    assert boards(runs("lora/b", 0.9, budget=budget), {}) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"run_info.peft_config.use_dora": True},
        {"run_info.peft_config.init_lora_weights": "pissa"},
        {"run_info.peft_config.kasa_config": {"beta": 1}},
        {"run_info.train_config.dtype": "int4"},
        {"run_info.train_config.optimizer_type": "LoraFA"},
    ],
)
def test_a_variant_with_a_name_is_a_method_of_its_own(changes):
    records = [*runs("lora/a", 0.5), *runs("lora/b", 0.9, **changes)]
    assert names(boards(records, tuned(a=0.5, b=0.4))) == [["lora/b", "lora/a"]]


def test_sizes_and_places_are_settings_of_one_method():
    first, second = runs("lora/a", 0.5), runs("lora/b", 0.5, **{"run_info.peft_config.r": 64,
        "run_info.peft_config.target_modules": ["x"], "run_info.peft_config.use_dora": False})  # fmt: skip
    assert variant_of(first[0]) == variant_of(second[0])


def test_costs_stand_side_by_side_only_where_one_machine_has_them_all():
    here, there = {"hardware.slug": "here"}, {"hardware.slug": "there"}
    dora = {"run_info.peft_config.use_dora": True}
    tunings = tuned(a=0.5, b=0.5)
    whole = [*runs("lora/a", 0.5, **here), *runs("lora/a", 0.7, 0.7, **there), *runs("lora/b", 0.6, **there, **dora)]
    assert "| peak memory |" in board_table(boards(whole, tunings))
    (board,) = boards(whole, tunings)
    assert [(line.name, line.score) for line in board.lines] == [("lora/a", 0.7), ("lora/b", 0.6)]
    parted = [*runs("lora/a", 0.5, **here), *runs("lora/b", 0.6, **there, **dora)]
    assert "| peak memory |" not in board_table(boards(parted, tunings))
    assert "left out: no one machine ran all" in board_table(boards(parted, tunings))
    assert "| lora/a | 50.0 |" in board_table(boards(parted, tunings))


def test_seeds_of_several_machines_are_one_line_whose_costs_are_of_one():
    here = {"hardware.slug": "here", "memory.train.reserved": 2**20}
    there = {"hardware.slug": "there", "memory.train.reserved": 2**30}
    dora = {"run_info.peft_config.use_dora": True}
    other = [one for one in runs("lora/a", 0.0, 0.6, **there) if one["seed"] == 1]
    (board,) = boards(
        [*runs("lora/a", 0.5, **here), *other, *runs("lora/b", 0.7, **here, **dora)], tuned(a=0.5, b=0.5)
    )
    line = board.lines[1]
    assert line.name == "lora/a"
    assert [[one["seed"] for one in side] for side in (line.runs, line.costs)] == [[0, 1], [0]]
    assert line.score == pytest.approx(0.55)
    assert line.low < 0.55 < line.high
    text = board_table([board])
    assert text.count("| 1.0 MiB |") == 2
    assert "of the runs on one machine: here" in text


def test_lines_of_unequal_numbers_of_seeds_say_so():
    dora = {"run_info.peft_config.use_dora": True}
    single, several = runs("lora/a", 0.5), runs("lora/b", 0.6, 0.7, **dora)
    text = board_table(boards([*single, *several], tuned(a=0.5, b=0.5)))
    assert "| 95 % interval | seeds |" in text
    assert [line.split(" | ")[3] for line in text.splitlines() if line.startswith("| lora")] == ["2", "1"]
    assert "single seed knows nothing of chance between seeds" in text
    alike = board_table(boards([*runs("lora/a", 0.5, 0.4), *several], tuned(a=0.5, b=0.5)))
    assert "| seeds |" not in alike
    assert "single seed" not in alike


def test_runs_that_differ_in_a_setting_are_marked():
    more = runs("lora/a", 0.0, 0.6, **{"run_info.peft_config.r": 99, "provenance.config_fingerprint": "f" * 64})
    shown = board_table(boards([*runs("lora/a", 0.5), more[1]], tuned(a=0.5)))
    assert "| lora/a (its seeds differ in r) |" in shown


def test_the_picture_shows_intervals_the_front_and_its_names(tmp_path):
    more = {"memory.train.reserved": 10_000, "run_info.peft_config.use_dora": True}
    worse = change(ours("lora/b", 0, [1.0, 0.0]), more)
    records = [*runs("lora/a", 0.5, 0.7), to_record(json.dumps(worse).encode(), "MetaMathQA") | {"budget": BUDGET}]
    found = boards(records, tuned(a=0.5, b=0.5))
    frame = frame_of(found[0]).set_index("name")
    assert dict(frame["front"]) == {"lora/a": True, "lora/b": False}
    assert frame.loc["lora/a", "low"] < 0.6 < frame.loc["lora/a", "high"]
    draw(found, tmp_path / "board.svg")
    text = (tmp_path / "board.svg").read_text()
    assert "lora/a" in text
    assert "lora/b" not in text


def test_the_committed_picture_is_todays(tmp_path):
    draw(boards_of("MetaMathQA", ranked("MetaMathQA", only_committed=True)), tmp_path / "board.svg")
    command = "python -m harness.plot MetaMathQA --committed --output docs/board.svg"
    assert_current((tmp_path / "board.svg").read_text(), (ROOT / "docs" / "board.svg").read_text(), command, abs=0.01)
