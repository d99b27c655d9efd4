"""Optimizers by name; schedules against their formulas."""

import math
from functools import partial

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.optim import OPTIMIZERS
from harness.optimizers import TORCHAO, build_optimizer, build_scheduler, check_optimizer, optimizer_names
from harness.overlay import Layer, origin

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params


def anywhere(key):
    return "test"


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
    check_optimizer(params, anywhere)
    optimizer = build_optimizer(lora_model, params, anywhere)
    ids = torch.randint(0, 512, (4, 16), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(12):
        loss = lora_model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", [name for name in optimizer_names() if name not in {*OPTIMIZERS, *TORCHAO}])
def test_each_optimizer_can_be_checked_on_any_machine(name):
    check_optimizer(with_optimizer(name), anywhere)


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("adamw", {}, "file: optimizer_type: unknown 'adamw'; did you mean \"AdamW\"?"),
        ("PAGEDadamw8BIT", {}, "did you mean \"PagedAdamW8bit\"?"),
        ("LBFGS", {}, "file: optimizer_type: LBFGS needs a closure"),
        ("AdamW", {"fused": True, "foreach": True}, "command line: optimizer_kwargs: AdamW refuses them: `fused` and `foreach`"),
        ("AdamW", {"weight_decay": "0.1"}, "command line: optimizer_kwargs: AdamW refuses them: "),
        ("AdamW8bit", {"betas": [2.0, 0.9]}, "command line: optimizer_kwargs: AdamW8bit refuses them: "),
        ("AdamW", {"capturable": True}, "command line: optimizer_kwargs.capturable: unknown argument of AdamW"),
        ("LoraPlus", {"ratio": 3}, "command line: optimizer_kwargs.ratio: unknown argument of LoraPlus"),
    ],
)  # fmt: skip
def test_what_an_optimizer_refuses_is_told_before_anything_is_loaded(name, kwargs, message):
    params = with_optimizer(name, **kwargs)
    layers = [Layer("file", {"optimizer_type": name}), Layer("command line", {"optimizer_kwargs": kwargs})]
    with pytest.raises(UserError) as caught:
        check_optimizer(params, partial(origin, layers))
    assert message in str(caught.value)
    with pytest.raises(UserError, match="^test: optimizer_"):
        check_optimizer(params, anywhere)


@pytest.mark.parametrize(
    ("published", "line"), [("lora-fa", "LoraFA"), ("lora+", "LoraPlus"), ("riemannian", "Riemannian")]
)
def test_a_name_of_the_published_layout_is_told_with_the_line_to_write(published, line):
    with pytest.raises(UserError, match=f'^test: optimizer_type: unknown \'.*\'; write "optimizer_type": "{line}"'):
        check_optimizer(with_optimizer(published), anywhere)


def test_memory_that_does_not_suffice_is_not_the_optimizers_refusal(lora_model, monkeypatch):
    def exhausted(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("harness.optimizers._construct", exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        build_optimizer(lora_model, with_optimizer("AdamW"), anywhere)


DECAY = {
    "cosine": lambda progress: (1 + math.cos(math.pi * progress)) / 2,
    "linear": lambda progress: 1 - progress,
    "none": lambda progress: 1,
}


@pytest.mark.parametrize("kind", DECAY)
@pytest.mark.parametrize(("ratio", "steps"), [(0.1, 50), (0.06, 33), (0.0, 10), (1.0, 7)])
def test_schedule_warms_up_linearly_and_decays_as_it_is_called(kind, ratio, steps):
    params, warmup = PARAMS.model_copy(update={"lr_scheduler": kind, "warmup_ratio": ratio}), math.ceil(ratio * steps)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = build_scheduler(optimizer, params, steps)
    for step in range(steps):
        factor = step / warmup if step < warmup else DECAY[kind]((step - warmup) / (steps - warmup))
        assert scheduler.get_last_lr()[0] == pytest.approx(0.3 * factor, abs=1e-12)
        optimizer.step()
        scheduler.step()
