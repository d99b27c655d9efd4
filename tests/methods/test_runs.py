"""Whole runs of the embedded experiments, cut to a few steps: what a result says of these methods and optimizers."""

import pytest

from harness.experiment import ROOT, all_experiments
from harness.optim import GaLore

CONTENT = ROOT / "method_comparison"
LLAMA = CONTENT / "MetaMathQA" / "experiments"
OWN = {path.stem for path in (ROOT / "harness" / "methods").glob("*.py")} | {"galore", "lisa"}
EMBEDDED = [
    folder for folder in all_experiments() if folder.name.startswith("embedded-") and folder.parent.name in OWN
]


def test_a_method_of_the_projects_own_has_every_measurement(run_main):
    result = run_main(LLAMA / "houlsby" / "embedded-llama").json
    assert result["train_info"]["status"] == "success"
    assert result["train_info"]["num_trainable_params"] == result["train_info"]["num_stored_params"] == 38_496
    assert result["run_info"]["peft_config"]["peft_type"] == "HOULSBY"
    assert result["inference"]["unmerged"]["decode_tokens_per_second"] > 0
    assert result["inference"]["merged"] is None, "it computes beside the weights"
    assert result["compute"]["flops_per_token"] > 0
    assert result["forgetting"]["loss"] > 0
    parts = result["memory_parts"]
    assert parts["trained_weights"] == parts["gradients"] == 4 * 38_496


def test_a_prefix_mlp_is_trained_and_not_stored(run_main):
    info = run_main(LLAMA / "prefix_stacks" / "embedded-llama-tokens20-mlp512").json["train_info"]
    assert info["num_stored_params"] == 4 * 20 * 2 * 2 * 32, "layers, positions, keys and values, heads, size of one"
    assert info["num_trainable_params"] > 10 * info["num_stored_params"]


def test_lisa_trains_everything_by_turns(run_main):
    result = run_main(LLAMA / "lisa" / "embedded-llama-layers2", "--set", "optimizer_kwargs.interval=1").json
    assert result["train_info"]["num_trainable_params"] == result["train_info"]["num_total_params"] == 1_771_200
    parts = result["memory_parts"]
    assert parts["gradients"] < 0.6 * 4 * 1_771_200, "two of four layers at a time"


def test_galore_in_backward_has_no_gradients_and_stops_with_training(run_main, monkeypatch):
    """What is measured afterwards goes backward too, and must not train."""
    detach, detached = GaLore.detach, []
    monkeypatch.setattr(GaLore, "detach", lambda self: (detach(self), detached.append(self)))
    in_backward = ["--set", "optimizer_kwargs.in_backward=true", "--set", "grad_norm_clip=null"]
    result = run_main(LLAMA / "galore" / "embedded-llama-rank48", *in_backward).json
    assert result["memory_parts"]["gradients"] == 0
    assert result["compute"]["flops_per_token"] > 0
    assert len(detached) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder", EMBEDDED, ids=lambda folder: f"{folder.parents[2].name}/{folder.parent.name}/{folder.name}"
)
def test_every_embedded_experiment_of_these_runs(folder, run_main):
    subset = ["--subset", "copa"] if folder.parents[2].name == "SuperGLUE" else []
    images = folder.parents[2].name == "ImageClassification"  # and no tokens to generate
    few = ["--set", "max_steps=2", "--set", "eval_steps=2"] if images else []
    assert run_main(folder, *subset, *few, fast=not images).json["train_info"]["status"] == "success"
