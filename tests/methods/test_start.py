"""What a fresh adapter changes, which is nothing where the paper says so, and what training it may reach."""

import pytest
import torch
from torch import nn

from harness.methods.parts.gate import Gate
from harness.methods.parts.low_rank import LowRank
from tests.methods.conftest import METHODS, attached, inputs, logits, tiny_model

NOTHING = ["HOULSBY", "PFEIFFER", "PARALLEL_ADAPTER"]
LITTLE = [
    ("COMPACTER", {}),
    ("COMPACTER_PLUS_PLUS", {}),
    ("HOULSBY", {"init": "normal"}),
    ("PFEIFFER", {"init": "normal"}),
]
MUCH = [("PREFIX_STACKS", {}), ("PREFIX_STACKS", {"prefix_hidden": 16}), ("MAM", {}), ("UNIPELT", {})]
ALL = [*((method, {}) for method in METHODS), ("PREFIX_STACKS", {"prefix_hidden": 16})]


def change_at_the_start(method, kind, fields):
    base = logits(tiny_model(kind), kind)
    return (logits(attached(method, kind, moved=False, **fields), kind) - base).abs().max().item() / base.std().item()


@pytest.mark.parametrize("method", NOTHING)
def test_these_change_nothing(method, kind):
    assert change_at_the_start(method, kind, {}) == 0


@pytest.mark.parametrize(("method", "fields"), LITTLE)
def test_these_change_little(method, fields, kind):
    assert 0 < change_at_the_start(method, kind, fields) < 0.05


def test_a_smaller_rule_changes_less(kind):
    small, large = (change_at_the_start("COMPACTER", kind, {"rule_std": std}) for std in (1e-4, 1e-1))
    assert small < 0.01 * large


@pytest.mark.parametrize(("method", "fields"), MUCH)
def test_a_prefix_takes_attention_from_the_start(method, fields, kind):
    assert change_at_the_start(method, kind, fields) > 0.05


def test_gated_lora_changes_nothing_at_the_start():
    linear, x = nn.Linear(6, 4), torch.randn(2, 3, 6)
    part = LowRank(6, 4, rank=2, alpha=8.0, gate=Gate(6))
    assert torch.equal(part(linear, x), linear(x))


@pytest.mark.parametrize(("method", "fields"), ALL)
def test_gradients_reach_all_that_is_trained_and_nothing_else(method, fields, kind):
    model = attached(method, kind, **fields)
    model.train()
    model(**inputs(kind)).loss.backward()
    for name, parameter in model.named_parameters():
        if ".method_" in name:
            assert parameter.requires_grad, name
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name
        else:
            assert not parameter.requires_grad, name
            assert parameter.grad is None, name
