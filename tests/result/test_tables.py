"""The Markdown tables, from results made by hand."""

import json

import pytest

from harness.result.costs import costs_table
from harness.result.records import to_record
from harness.result.tables import means_table, results_table, task_tables


def record(name, score, seed=0, subset=None, dtype="float32", base=0.25, hardware="x", **changes):
    content = {
        "method": "lora", "name": name, "seed": seed,
        "run_info": {"created_at": "", "experiment_name": f"lora/{name}", "peft_branch": "", "train_config":
                     {"optimizer_kwargs": {"lr": 0.001}, "dtype": dtype, "use_amp": False, "model_id": "a/b"}},
        "train_info": {"file_size": 2048, "num_trainable_params": 7, "status": "success"},
        "protocol": 1,
        "meta_info": {"package_info": {}, "system_info": {}, "pytorch_info": ""},
        "task": {"name": "Toy", "subset": subset, "data_source": "hub", "metric": "accuracy", "higher_is_better": True},
        "hardware": {"slug": hardware, "cpu": "y"},
        "memory": {"train": {"reserved": 1024}},
        "speed": {"train_tokens_per_second": 10.0},
        "quality": {"test_score": score, "invalid_rate": 0.0, "base_score": base, "base_invalid_rate": 0.5},
        "provenance": {"command": "", "harness_commit": None, "harness_dirty": None, "untracked_files": None,
                       "config_fingerprint": ""},
    }  # fmt: skip
    for path, value in changes.items():
        section, key = path.split("__")
        content.setdefault(section, {})[key] = value
    return to_record(json.dumps(content).encode(), "Toy")


def test_experiments_are_ordered_by_mean_and_one_seed_is_called_so():
    table = results_table([record("worse", 0.5), record("better", 0.6), record("better", 0.8, seed=1)]).splitlines()
    assert table[2].startswith(
        "| lora/better | 0.001 | 7 | 2.0 KiB | 1.0 KiB | 10 | 70.0 | 14.1 | 60.0 / 80.0 | 0.0 |"
    )
    assert "| lora/worse |" in table[3]
    assert "one seed" in table[3]
    assert table[4] == "| *untouched base model* | | 0 | | | | 25.0 | | | 50.0 | |"


def test_every_precision_of_the_base_has_its_line():
    table = results_table([record("a", 0.5), record("b", 0.5, dtype="bfloat16", base=0.3)])
    assert "| *untouched base model, float32* | | 0 | | | | 25.0 |" in table
    assert "| *untouched base model, bfloat16* | | 0 | | | | 30.0 |" in table


def test_the_mean_over_subsets_is_that_of_its_cells():
    results = [record("a", score, seed, "one") for seed, score in enumerate((0.8, 0.8, 0.2))]
    results += [record("a", 0.6, seed, "two") for seed in range(2)]
    results += [record("incomplete", 0.9, 0, "one")]
    assert means_table(results).splitlines()[2:] == [
        "| lora/a | 80.0 | 60.0 | 70.0 | 0.0 |",
        "| lora/incomplete | 90.0 | | | |",
    ]


def test_costs_are_medians_and_what_nobody_measured_is_no_column():
    parts = {"base_weights": 512, "trained_weights": 4, "gradients": 4, "optimizer_state": 8, "remainder": 0}
    runs = [
        record("small", 0.5, seed, memory__train={"reserved": memory}, **{f"memory_parts__{key}": value for key, value in parts.items()})
        for seed, memory in enumerate((3072, 1024, 2048))
    ]  # fmt: skip
    large = record("large", 0.5, train_info__status="out_of_memory")
    table = costs_table([large, *runs]).splitlines()
    columns = [cell.strip() for cell in table[0].split("|")[1:-1]]
    assert columns == ["experiment", "trained parameters", "storage", "peak memory", "base weights",
                       "trained weights", "gradients", "optimizer", "remainder", "tokens/s"]  # fmt: skip
    first, last = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table[2:])
    assert first == ["lora/small", "7", "2.0 KiB", "2.0 KiB", "512 B", "4 B", "4 B", "8 B", "0 B", "10"]
    assert last[0] == "lora/large"
    assert last[3] == "out of memory"
    assert last[4] == "not measured"


def shown(text):
    """The tables of a text, as lists of rows of cells."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def test_an_experiment_is_one_line_whatever_machines_ran_its_seeds():
    runs = [record("a", 0.5), record("b", 0.7, hardware="z"), record("a", 0.6, seed=1, hardware="z")]
    runs += [record("a", 0.9, hardware="z", memory__train={"reserved": 4096})]  # the same seed again
    text = task_tables([run for run in runs if run["score"] < 0.9])
    assert text.startswith("Protocol 1, a/b, x (y) and z (y), seeds 0, 1:")
    assert [(row["experiment"], row["by seed"]) for row in shown(text)[:3]] == [
        ("lora/b", "70.0"), ("lora/a", "50.0 / 60.0"), ("*untouched base model*", "")
    ]  # fmt: skip
    assert "Memory and speeds are of the runs on one machine: z" in text
    again = task_tables(runs)  # of seed 0 the machine counts that ran both seeds
    assert [row["by seed"] for row in shown(again)[:2]] == ["90.0 / 60.0", "70.0"]


def test_costs_are_of_the_machine_that_ran_all_and_else_not_beside_scores():
    here, there = record("a", 0.5), record("b", 0.7, hardware="z")
    apart = task_tables([here, there])
    assert "peak memory" not in apart
    assert "no one machine ran all of these experiments" in apart
    costs = task_tables([here, there], costs=True)
    assert costs.count("peak memory") == 2
    assert costs.index("x (y)") < costs.index("| lora/a |") < costs.index("z (y)")
    both = [here, there, record("a", 0.5, hardware="z", memory__train={"reserved": 4096})]
    assert [row["peak memory"] for row in shown(task_tables(both))[:2]] == ["1.0 KiB", "4.0 KiB"]
    costs = task_tables(both, costs=True)
    assert costs.count("peak memory") == 1
    assert "x (y)" not in costs


@pytest.mark.parametrize(
    "apart", [{"task__metric": "ROUGE-L"}, {"protocol": 2}, {"provenance__data_fingerprint": "f"}]
)
def test_what_is_not_comparable_shares_no_table(apart):
    changes = {key: value for key, value in apart.items() if "__" in key}
    other = record("b", 0.7, **changes) | ({"protocol": "2"} if "protocol" in apart else {})
    assert task_tables([record("a", 0.5), other]).count("| experiment |") == 2


def test_seeds_of_an_edited_experiment_are_marked():
    edited = record("a", 0.9, seed=1, dtype="bfloat16")
    assert "| lora/a (its seeds differ in dtype) |" in results_table([record("a", 0.5), edited])


def test_further_figures_have_columns_and_the_metric_itself_has_one_only():
    further = {"accuracy": 0.5, "macro-F1": 0.25, "Fréchet distance": 0.0793}
    heads, _, first, second, *_ = results_table(
        [record("a", 0.5, quality__further_scores=further), record("b", 0.4)]
    ).splitlines()
    assert "| accuracy % | std | by seed | macro-F1 % | Fréchet distance | invalid % |" in heads
    assert "| 50.0 | 25.0 | 0.0793 | 0.0 |" in first
    assert "| 40.0 | not measured | not measured | 0.0 |" in second
    lines = results_table([record("a", 0.5, quality__further_scores=further)]).splitlines()
    assert {line.count("|") for line in lines} == {heads.count("|")}
