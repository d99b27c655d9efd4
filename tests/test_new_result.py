"""What a run writes, as other readers look for it."""

import json

from conftest import LORA

from harness.experiment import ROOT


def test_a_run_has_what_other_readers_look_for_and_no_path_of_the_machine(run_main):
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
    assert str(ROOT) not in json.dumps(dict(result, provenance=dict(result["provenance"], command="")))
