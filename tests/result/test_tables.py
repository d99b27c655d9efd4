"""The Markdown tables, from results made by hand."""

from harness.result.costs import costs_table
from harness.result.schema import MemoryParts, Result
from harness.result.tables import means_table, results_table


def result(name, score, seed=0, subset=None, dtype="float32", base=0.25):
    return Result.model_validate({
        "method": "lora", "name": name, "seed": seed,
        "run_info": {"created_at": "", "experiment_name": f"lora/{name}", "peft_branch": "", "train_config":
                     {"optimizer_kwargs": {"lr": 0.001}, "dtype": dtype, "use_amp": False, "model_id": "a/b"}},
        "train_info": {"file_size": 2048, "num_trainable_params": 7, "status": "success"},
        "meta_info": {"package_info": {}, "system_info": {}, "pytorch_info": ""},
        "task": {"name": "Toy", "subset": subset, "data_source": "hub", "metric": "accuracy", "higher_is_better": True},
        "hardware": {"slug": "x", "cpu": "y"},
        "memory": {"train": {"reserved": 1024}},
        "speed": {"train_tokens_per_second": 10.0},
        "quality": {"test_score": score, "invalid_rate": 0.0, "base_score": base, "base_invalid_rate": 0.5},
        "provenance": {"command": "", "harness_commit": None, "harness_dirty": None, "untracked_files": None,
                       "config_fingerprint": ""},
    })  # fmt: skip


def test_experiments_are_ordered_by_mean_and_one_seed_is_called_so():
    table = results_table([result("worse", 0.5), result("better", 0.6), result("better", 0.8, seed=1)]).splitlines()
    assert table[2].startswith(
        "| lora/better | 0.001 | 7 | 2.0 KiB | 1.0 KiB | 10 | 70.0 | 14.1 | 60.0 / 80.0 | 0.0 |"
    )
    assert "| lora/worse |" in table[3]
    assert "one seed" in table[3]
    assert table[4] == "| *untouched base model* | | 0 | | | | 25.0 | | | 50.0 |"


def test_every_precision_of_the_base_has_its_line():
    table = results_table([result("a", 0.5), result("b", 0.5, dtype="bfloat16", base=0.3)])
    assert "| *untouched base model, float32* | | 0 | | | | 25.0 |" in table
    assert "| *untouched base model, bfloat16* | | 0 | | | | 30.0 |" in table


def test_the_mean_over_subsets_is_that_of_its_cells():
    results = [result("a", score, seed, "one") for seed, score in enumerate((0.8, 0.8, 0.2))]
    results += [result("a", 0.6, seed, "two") for seed in range(2)]
    results += [result("incomplete", 0.9, 0, "one")]
    assert means_table(results).splitlines()[2:] == [
        "| lora/a | 80.0 | 60.0 | 70.0 | 0.0 |",
        "| lora/incomplete | 90.0 |  |  |  |",
    ]


def test_costs_are_medians_and_what_nobody_measured_is_no_column():
    runs = [result("small", 0.5, seed) for seed in range(3)]
    for memory, run in zip((3072, 1024, 2048), runs, strict=True):
        run.memory["train"].reserved = memory
        run.memory_parts = MemoryParts(
            base_weights=512, trained_weights=4, gradients=4, optimizer_state=8, remainder=0
        )
    large = result("large", 0.5)
    large.train_info.status = "out_of_memory"
    table = costs_table([large, *runs]).splitlines()
    columns = [cell.strip() for cell in table[0].split("|")[1:-1]]
    assert columns == ["experiment", "trained parameters", "storage", "peak memory", "base weights",
                       "trained weights", "gradients", "optimizer", "remainder", "tokens/s"]  # fmt: skip
    first, last = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table[2:])
    assert first == ["lora/small", "7", "2.0 KiB", "2.0 KiB", "512 B", "4 B", "4 B", "8 B", "0 B", "10"]
    assert last[0] == "lora/large"
    assert last[3] == "out of memory"
    assert last[4] == "not measured"
