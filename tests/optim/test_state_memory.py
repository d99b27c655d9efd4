"""What optimizers keep, measured as a run measures it: the memory effect that GaLore, LISA and 8 bits are chosen for."""

import importlib.util
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

from harness.measure.memory_parts import memory_parts, storage_bytes
from harness.optim import GaLore
from harness.optimizers import build_optimizer, check_optimizer
from tests.optim.conftest import PARAMS, anywhere, backward, with_optimizer

CPU = torch.device("cpu")
needs_torchao = pytest.mark.skipif(importlib.util.find_spec("torchao") is None, reason="torchao is not installed")


def parts_of(model, ids, params):
    check_optimizer(params, anywhere)
    optimizer = build_optimizer(model, params, anywhere)
    backward(model, ids)
    optimizer.step()
    return memory_parts(model, optimizer, CPU)


@pytest.fixture
def full(llama, ids):
    """Bytes of AdamW's state: two moments and a step count for each tensor."""
    found = parts_of(llama, ids, with_optimizer("AdamW")).optimizer_state
    tensors = len(list(llama.parameters()))
    assert found == 2 * 4 * llama.num_parameters() + 4 * tensors
    return found


@pytest.mark.parametrize(
    ("name", "kwargs", "share"),
    [
        ("GaLore", {"rank": 48}, 0.421),
        ("GaLore", {"rank": 16}, 0.215),
        ("LISA", {"active_layers": 2}, 0.556),
        ("LISA", {"active_layers": 1}, 0.333),
        ("AdamW8bit", {}, 0.255),
        pytest.param("AdamW4bit", {}, 0.134, marks=needs_torchao),
    ],
)
def test_share_of_full_adamws_state(name, kwargs, share, llama, ids, full):
    found = parts_of(llama, ids, with_optimizer(name, **kwargs))
    assert found.optimizer_state / full == pytest.approx(share, rel=0.02)


def test_galores_state_is_its_moments_and_its_projection(llama, ids):
    """Nothing larger is kept alive behind the projection, and the projection is counted."""
    optimizer = GaLore(llama, lr=1e-3, rank=16)
    backward(llama, ids)
    optimizer.step()
    low, rest = (group["params"] for group in optimizer.param_groups)
    projected = sum(16 * min(p.shape) + 2 * 16 * max(p.shape) for p in low)
    assert memory_parts(llama, optimizer, CPU).optimizer_state == 4 * (projected + 2 * sum(p.numel() for p in rest))
    assert sum(p.numel() for p in low) > 0.8 * llama.num_parameters()


def test_updates_in_backward_leave_no_gradients(llama, ids):
    params = with_optimizer("GaLore", rank=48, in_backward=True).model_copy(update={"grad_norm_clip": None})
    assert parts_of(llama, ids, params).gradients == 0


def test_lisas_sleeping_layers_have_no_gradients(llama, ids):
    found = parts_of(llama, ids, with_optimizer("LISA", active_layers=2))
    assert found.gradients == found.trained_weights < 0.6 * (found.trained_weights + found.base_weights)


def test_riemannian_keeps_what_adamw_keeps(llama, ids):
    model = get_peft_model(llama, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"]))
    params = with_optimizer("Riemannian", reg=0.01).model_copy(update={"full_finetuning": False})
    found = parts_of(model, ids, params)
    assert found.optimizer_state == pytest.approx(2 * found.trained_weights, rel=0.01)


def test_a_tensor_that_is_made_of_others_counts_what_those_take():
    """torchao packs its state so; such a tensor has no storage that could be asked."""
    parameter = nn.Parameter(torch.zeros(10))
    packed = TwoTensor(torch.zeros(100), torch.zeros(100))
    optimizer = SimpleNamespace(state={parameter: {"exp_avg": packed, "nested": TwoTensor(packed, packed)}})
    model = nn.Module()
    model.weight = parameter
    assert memory_parts(model, optimizer, CPU).optimizer_state == 2 * 400


def test_paged_state_counts_though_it_lies_on_no_device():
    paged, other = torch.zeros(100), torch.zeros(100)
    paged.is_paged = True  # bitsandbytes marks managed memory so
    assert storage_bytes([paged, other], torch.device("cuda")) == 400
    assert storage_bytes([paged, other], CPU) == 800


def test_the_defaults_of_these_tests_are_full_fine_tuning():
    assert PARAMS.full_finetuning
    assert PARAMS.dtype == "float32"
