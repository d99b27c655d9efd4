"""State of training through a file and back: a few steps, a new process's objects, and the same steps again."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, set_seed

from harness.checkpoint import Checkpoint
from harness.experiment import ROOT, read_experiment
from harness.learner import Learner

FOLDER = ROOT / "method_comparison/MetaMathQA/experiments/full-finetuning/embedded-llama"
SIZES = {
    "vocab_size": 32,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
}
OPTIMIZERS = {
    "AdamW": {"lr": 1e-2, "betas": [0.8, 0.9], "amsgrad": True},
    "SGD": {"lr": 1e-2, "momentum": 0.9},
    "Adafactor": {"lr": 1e-2},
    "NAdam": {"lr": 1e-2},
    "AdamW8bit": {"lr": 1e-2},
    "GaLore": {"lr": 1e-2, "rank": 2, "interval": 2},
    "LISA": {"lr": 1e-2, "active_layers": 2, "interval": 2},
}
CPU = torch.device("cpu")


def learner_of(name):
    set_seed(3)
    layers = {"optimizer_type": name, "optimizer_kwargs": OPTIMIZERS[name]}
    params = read_experiment(FOLDER, layers).params
    model = LlamaForCausalLM(LlamaConfig(**SIZES, attention_dropout=0.2)).train()
    return Learner(model, params, lambda key: "test", 8, CPU)


def steps(learner, first, last):
    losses = []
    for number in range(first, last + 1):
        words = torch.randint(32, (2, 8))
        loss = learner.model(input_ids=words, labels=words).loss
        loss.backward()
        learner.step(number)
        learner.optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_steps_again_bit_for_bit(name, tmp_path):
    whole = learner_of(name)
    before = steps(whole, 1, 3)
    file = Checkpoint(tmp_path / "state.safetensors", {"a": 1}, 1.0)
    file.write(whole.state())
    expected = steps(whole, 4, 8)
    fresh = learner_of(name)
    assert steps(fresh, 1, 1) == before[:1]
    fresh.restore(file.read())
    assert steps(fresh, 4, 8) == expected
    for (place, one), other in zip(whole.model.state_dict().items(), fresh.model.state_dict().values(), strict=True):
        assert torch.equal(one, other), place


def test_what_comes_back_is_of_the_same_kinds(tmp_path):
    state = {
        1: (0.1, [None, True, "text"]),
        "half": torch.ones(2, dtype=torch.bfloat16),
        "none": {},
        "nan": float("inf"),
    }
    file = Checkpoint(tmp_path / "state.safetensors", {}, 1.0)
    file.write(state)
    found = file.read()
    assert torch.equal(found.pop("half"), state.pop("half"))
    assert found == state


def test_it_is_due_after_its_minutes_and_after_training(tmp_path):
    never, often, rarely = (Checkpoint(tmp_path / "x", {}, minutes) for minutes in (None, 1e-9, 1e9))
    assert [one.due(False) for one in (never, often, rarely)] == [False, True, False]
    assert [one.due(True) for one in (never, often, rarely)] == [False, True, True]
