"""Optimizers by name; schedules against transformers' own."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.optimization import get_scheduler

from harness.experiment import ROOT, read_experiment
from harness.optim import OPTIMIZERS
from harness.optimizers import TORCHAO, build_optimizer, build_scheduler, check_optimizer, optimizer_names

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params


def with_optimizer(name, **kwargs):
    return PARAMS.model_copy(update={"optimizer_type": name, "optimizer_kwargs": {"lr": 1e-2} | kwargs})


@pytest.fixture
def lora_model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512, hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64
    )
    return get_peft_model(LlamaForCausalLM(config), LoraConfig(r=64, task_type="CAUSAL_LM", target_modules=["q_proj"]))


@pytest.mark.parametrize(
    "name", [n for n in optimizer_names() if not n.startswith("Paged") and n not in {*OPTIMIZERS, *TORCHAO}]
)
def test_each_optimizer_takes_steps_that_lower_the_loss(name, lora_model):
    params = with_optimizer(name, **({"lr": 10.0} if name in ("SGD", "ASGD", "Adadelta") else {}))
    check_optimizer(params, "test")
    optimizer = build_optimizer(lora_model, params, "test")
    ids = torch.randint(0, 512, (4, 16), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(12):
        loss = lora_model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("kind", "theirs"), [("cosine", "cosine"), ("linear", "linear"), ("none", "constant_with_warmup")]
)
@pytest.mark.parametrize(("ratio", "steps"), [(0.1, 50), (0.06, 33), (0.0, 10), (1.0, 7)])
def test_schedule_equals_transformers(kind, theirs, ratio, steps):
    def rates(build):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
        scheduler = build(optimizer)
        observed = []
        for _ in range(steps):
            observed.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        return observed

    params = PARAMS.model_copy(update={"lr_scheduler": kind, "warmup_ratio": ratio})
    warmup = math.ceil(ratio * steps)
    ours = rates(lambda optimizer: build_scheduler(optimizer, params, steps))
    reference = rates(lambda optimizer: get_scheduler(theirs, optimizer, warmup, steps))
    assert ours == pytest.approx(reference, abs=1e-12)
