"""The loop in run.py: determinism, what the seed decides, methods with a call per step, precision of what is trained."""

import math

import pytest
import torch
from conftest import LORA

import run
from harness import optimizers
from harness.workloads.text import Text


def trained_tensors(outcome):
    from safetensors.torch import load_file

    return load_file(outcome.folder / "adapter" / "adapter_model.safetensors")


def test_one_seed_is_bit_identical_and_another_is_not(run_main):
    first, again, other = run_main(LORA), run_main(LORA), run_main(LORA, "--seed", "1")
    assert first.code == again.code == other.code == 0
    assert first.losses == again.losses
    assert first.json["quality"]["test_scores"] == again.json["quality"]["test_scores"]
    one, two = trained_tensors(first), trained_tensors(again)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert first.losses != other.losses
    assert first.json["provenance"]["data_fingerprint"] == other.json["provenance"]["data_fingerprint"]
    assert first.json["provenance"]["config_fingerprint"] == other.json["provenance"]["config_fingerprint"]


@pytest.mark.slow
def test_dropout_follows_the_seed_too(run_main, write_experiment):
    folder = write_experiment(
        {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"], "lora_dropout": 0.3}, {"profile": "embedded"}
    )
    plain = write_experiment(
        {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}, {"profile": "embedded"}, path="lora/no-dropout"
    )
    dropped = run_main(folder).losses
    assert dropped == run_main(folder).losses
    assert dropped != run_main(plain).losses


@pytest.fixture
def spied(monkeypatch):
    """What one run trained on and started from: the prompts of each step and the adapter's first state."""
    seen = {"batches": [], "initial": None}
    collate, train = Text.collate, run.train

    def spy_collate(self, samples):
        seen["batches"].append([tuple(sample.prompt) for sample in samples])
        return collate(self, samples)

    def spy_train(*arguments):
        model = next(one for one in arguments if isinstance(one, torch.nn.Module))
        seen["initial"] = [p.detach().clone() for p in model.parameters() if p.requires_grad]
        return train(*arguments)

    monkeypatch.setattr(Text, "collate", spy_collate)
    monkeypatch.setattr(run, "train", spy_train)
    return seen


def test_the_seed_decides_order_and_initialization(run_main, spied):
    observed = []
    for seed in ("0", "1"):
        spied["batches"] = []
        run_main(LORA, "--seed", seed)
        observed.append((spied["batches"], spied["initial"]))
    (order, initial), (other_order, other_initial) = observed
    assert order != other_order
    assert any(not torch.equal(a, b) for a, b in zip(initial, other_initial, strict=True))


def test_rank_allocation_is_called_every_step(run_main, write_experiment, monkeypatch):
    from peft.tuners.adalora import AdaLoraModel

    steps = []
    allocate = AdaLoraModel.update_and_allocate
    monkeypatch.setattr(AdaLoraModel, "update_and_allocate", lambda self, n: (steps.append(n), allocate(self, n))[1])
    folder = write_experiment(
        {"peft_type": "ADALORA", "init_r": 4, "target_r": 2, "tinit": 1, "tfinal": 1, "total_step": 4,
         "target_modules": ["q_proj", "v_proj"]},
        {"profile": "embedded", "max_steps": 4, "eval_steps": 4},
    )  # fmt: skip
    outcome = run_main(folder)
    assert outcome.code == 0
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_trained_is_float32(run_main, spied, dtype):
    outcome = run_main(LORA, "--set", f"dtype={dtype}")
    assert outcome.code == 0
    assert {tensor.dtype for tensor in spied["initial"]} == {torch.float32}


def test_the_loss_falls_and_the_best_is_not_reported_as_the_last(run_main):
    outcome = run_main(LORA, "--set", "max_steps=20", "--set", "eval_steps=5")
    metrics = outcome.json["train_info"]["metrics"]
    assert [line["step"] for line in metrics] == [5, 10, 15, 20, 20]
    assert outcome.losses[3] < outcome.losses[0]
    assert metrics[-1]["test accuracy"] == outcome.json["quality"]["test_score"]
    assert metrics[-1]["train total tokens"] > 0
    assert all(line["test accuracy"] is None for line in metrics[:-1])


def test_gradients_are_clipped_over_the_trained_parameters(run_main, monkeypatch):
    norms = []
    optimizer_step = optimizers.step

    def measured(scaler, optimizer):
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        norms.append(torch.cat(gradients).norm().item())
        return optimizer_step(scaler, optimizer)

    monkeypatch.setattr(optimizers, "step", measured)
    run_main(LORA, "--set", "grad_norm_clip=0.01")
    assert norms
    assert all(norm == pytest.approx(0.01, rel=1e-3) for norm in norms)


def test_prefix_prompt_and_full_finetuning_run(run_main):
    for path in ("full-finetuning/embedded-llama", "prefixtuning/embedded-llama-tokens20",
                 "prompt_tuning/embedded-llama-tokens20", "ln_tuning/embedded-llama", "ia3/embedded-llama"):  # fmt: skip
        outcome = run_main(f"experiments/{path}")
        assert outcome.code == 0, path
        info = outcome.json["train_info"]
        assert all(math.isfinite(loss) for loss in outcome.losses)
        # the weight files hold the trained numbers, in float32, and a header
        assert 0 <= info["file_size"] - 4 * info["num_trainable_params"] < 20_000, path


def test_autocast_computes_in_bfloat16(run_main, monkeypatch):
    seen = set()
    linear = torch.nn.functional.linear
    monkeypatch.setattr(torch.nn.functional, "linear", lambda *a: (seen.add((out := linear(*a)).dtype), out)[1])
    run_main(LORA)
    assert seen == {torch.float32}
    assert run_main(LORA, "--set", "use_amp=true").code == 0
    assert torch.bfloat16 in seen


def test_the_loss_may_count_the_prompt_too(run_main):
    target, everything = run_main(LORA), run_main(LORA, "--set", "loss_on=all")
    assert target.losses != everything.losses
    tokens = [outcome.json["train_info"]["metrics"][-1]["train total tokens"] for outcome in (target, everything)]
    assert tokens[0] == tokens[1], "throughput counts all tokens either way"


def test_gradient_checkpointing_changes_nothing_but_cost(run_main, monkeypatch):
    from transformers.models.llama.modeling_llama import LlamaMLP

    calls = []
    forward = LlamaMLP.forward
    monkeypatch.setattr(LlamaMLP, "forward", lambda *a: (calls.append(torch.is_grad_enabled()), forward(*a))[1])
    plain = run_main(LORA)
    plain_calls, calls[:] = sum(calls), []
    recomputed = run_main(LORA, "--set", "gradient_checkpointing=true")
    assert sum(calls) == 2 * plain_calls, "every layer's forward pass runs once more in the backward pass"
    assert plain.losses == pytest.approx(recomputed.losses, rel=1e-6)


def test_epochs_decide_the_length(run_main):
    settings = ["num_epochs=0.25", "eval_steps=5", "batch_size=4", "generation_kwargs.max_new_tokens=4"]
    outcome = run_main(LORA, *[word for setting in settings for word in ("--set", setting)], fast=False)
    assert outcome.code == 0
    assert [line["step"] for line in outcome.json["train_info"]["metrics"]] == [5, 10, 12, 12]  # 200 rows, 50 steps
