"""The embedded Llama and a batch for optimizers to work on."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from harness.architecture import EMBEDDED
from harness.experiment import ROOT, read_experiment

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/full-finetuning/embedded-llama").params


def with_optimizer(name, lr=1e-3, **kwargs):
    return PARAMS.model_copy(update={"optimizer_type": name, "optimizer_kwargs": {"lr": lr} | kwargs})


def anywhere(key):
    """Whatever is wrong with a parameter, this file is to blame."""
    return "training_params.json"


@pytest.fixture
def llama():
    """The embedded model, all of it to be trained."""
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_pretrained(EMBEDDED / "llama", dtype=torch.float32)


@pytest.fixture
def ids():
    return torch.randint(2, 900, (2, 24), generator=torch.Generator().manual_seed(0))


def backward(model, ids):
    loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    return loss.item()
