"""The result files: schema, atomic writing, the committed results and what the READMEs say of them."""

import json
import subprocess
import sys
from collections import Counter

import pytest
from conftest import LORA

from harness.experiment import ROOT, all_experiments, read_experiment
from harness.result.costs import costs_table
from harness.result.schema import Result, json_schema
from harness.result.store import file_name, read_result, write_result
from harness.result.tables import means_table, results_table
from harness.task import choose_subsets, load_task

# What git tracks: results that whoever runs the tests has made are their own affair.
TRACKED = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
COMMITTED = [ROOT / name for name in TRACKED.split()]


def test_the_committed_schema_is_the_schema():
    assert (ROOT / "harness" / "result.schema.json").read_text() == json_schema(), (
        "run: python -m harness.result.schema > harness/result/result.schema.json"
    )


def test_results_import_without_torch():
    code = "import sys, harness.result.schema; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_run_has_what_other_readers_look_for(run_main):
    """The layout of DESIGN section 4, spelled out: what Hugging Face's reader takes from a file."""
    result = run_main(LORA).json
    assert {
        "created_at",
        "total_time",
        "experiment_name",
        "peft_branch",
        "train_config",
        "peft_config",
        "error_msg",
    } <= (result["run_info"].keys())
    assert result["run_info"]["experiment_name"] == "lora/embedded-llama-rank8"
    assert result["run_info"]["peft_config"]["peft_type"] == "LORA"
    info = result["train_info"]
    for name in ("accelerator_memory_reserved_avg", "accelerator_memory_max", "accelerator_memory_reserved_99th",
                 "file_size", "num_trainable_params", "num_total_params"):  # fmt: skip
        assert isinstance(info[name], int), name
        assert info[name] >= 0, name  # memory above the level before loading may be none in a used process
    assert info["num_trainable_params"] > 0
    assert info["file_size"] > 4 * info["num_trainable_params"]
    assert info["accelerator_memory_reserved_avg"] <= info["accelerator_memory_reserved_99th"]
    assert {"step", "valid accuracy", "train loss", "train samples", "train time", "eval time", "tokens / sec",
            "mem allocated avg", "mem reserved avg", "elapsed time"} <= info["metrics"][0].keys()  # fmt: skip
    last = info["metrics"][-1]
    assert {"step", "test accuracy", "train loss", "train samples", "train total tokens", "forgetting"} <= last.keys()
    packages = result["meta_info"]["package_info"]
    for name in ("torch", "peft", "transformers", "datasets", "bitsandbytes"):
        assert packages[f"{name}-version"]
        assert f"{name}-commit-hash" in packages
    assert {"system", "release", "version", "machine", "processor", "accelerator"} <= (
        result["meta_info"]["system_info"].keys()
    )
    assert len(result["quality"]["samples"]) == 8  # ten, of a test split cut to eight rows
    assert len(result["quality"]["test_scores"]) == 8


def test_no_path_of_the_machine_is_in_a_result(run_main):
    outcome = run_main(LORA)
    result = dict(outcome.json, provenance=dict(outcome.json["provenance"], command=""))
    assert str(ROOT) not in json.dumps(result)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_clean_successes(path):
    result = read_result(path)
    assert result.train_info.status == "success"
    assert not result.overrides
    assert result.provenance.harness_dirty is False
    assert path.stem == file_name(result)
    assert path.parent.name == result.hardware["slug"]
    assert result.quality.test_score == pytest.approx(
        sum(result.quality.test_scores) / len(result.quality.test_scores)
    )
    assert len(result.quality.test_scores) == result.task.test_rows


@pytest.mark.parametrize("task", [path.parent.name for path in sorted((ROOT / "method_comparison").glob("*/data.py"))])
def test_the_tables_in_the_readme_are_the_committed_results(task):
    """The tables are made by `python -m harness.table <task> embedded`; subsets, seeds and experiments are complete."""
    folder = ROOT / "method_comparison" / task
    readme = (folder / "README.md").read_text()
    results = [read_result(path) for path in COMMITTED if path.parts[-3] == task]
    group = [result for result in results if result.name.startswith("embedded-")]
    paths = [path for path in all_experiments() if path.is_relative_to(folder) and path.name.startswith("embedded-")]
    tuned = [
        path for path in paths if not read_experiment(path).params.untuned
    ]  # the others are to be run once they are
    names = [f"{path.parent.name}/{path.name}" for path in tuned]
    subsets = choose_subsets(load_task(folder), None, task)
    for subset in subsets:
        part = [result for result in group if result.task.subset == subset]
        assert Counter(result.run_info.experiment_name for result in part) == dict.fromkeys(names, 3)
        assert results_table(part) in readme
        if subset == subsets[0]:
            assert costs_table(part) in readme
            assert task != "MetaMathQA" or costs_table(part) in (ROOT / "README.md").read_text()
    if len(subsets) > 1:
        assert means_table(group) in readme


def test_writing_is_atomic(tmp_path, monkeypatch, run_main):
    result = Result.model_validate(run_main(LORA).json)
    path = tmp_path / "result.json"
    write_result(path, result)
    before = path.read_text()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_result(path, result.model_copy(update={"seed": 5}))
    assert path.read_text() == before
    assert read_result(path).seed == result.seed
