"""The parts alone: exact gradients in float64, and what they compute against a plain way to compute it."""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call

from harness.methods.parts.bottleneck import Bottleneck, dense, inner_width
from harness.methods.parts.gate import Gate
from harness.methods.parts.kronecker import KroneckerLinear, SharedRule
from harness.methods.parts.low_rank import LowRank
from harness.methods.parts.prefix import Prefix, PrefixMLP
from tests.methods.conftest import tiny_model

WIDTH = 8


@pytest.fixture(autouse=True)
def float64():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def check_gradients(part, call, *given, shared=()):
    """Against finite differences: of the part's input and of every parameter of it and of what it shares."""
    modules = nn.ModuleList([part, *shared])
    names, weights = zip(
        *((name, weight.detach().clone().requires_grad_()) for name, weight in modules.named_parameters()), strict=True
    )

    class Called(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = modules

        def forward(self, *given):
            return call(*given)

    def function(*tensors):
        replaced = {f"inside.{name}": tensor for name, tensor in zip(names, tensors[: len(names)], strict=True)}
        return functional_call(Called(), replaced, tensors[len(names) :])

    given = [tensor.requires_grad_() for tensor in given]
    assert gradcheck(function, (*weights, *given))


def bottleneck(down_up, **kwargs):
    part = Bottleneck(*down_up, "silu", **kwargs)
    with torch.no_grad():
        for weight in part.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    return part


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("scale", [2.5, "learned"])
def test_gradients_of_a_bottleneck(parallel, gated, scale):
    part = bottleneck(dense(WIDTH, 3, "normal"), parallel=parallel, scale=scale, gate=Gate(WIDTH) if gated else None)
    check_gradients(part, lambda x: part(torch.tanh, x), torch.randn(2, 3, WIDTH))


def test_gradients_of_compacters_bottleneck_reach_the_shared_rule():
    rule = SharedRule(2, std=1.0)
    part = bottleneck((KroneckerLinear(WIDTH, 4, rule, rank=2), KroneckerLinear(4, WIDTH, rule, rank=2)))
    assert not any(name.startswith("down._rule") for name, _ in part.named_parameters()), "stored once, with the tuner"
    check_gradients(part, lambda x: part(torch.tanh, x), torch.randn(2, 3, WIDTH), shared=(rule,))


def test_a_kronecker_layer_is_the_matrix_it_never_makes():
    rule = SharedRule(4, std=1.0)
    layer = KroneckerLinear(12, 8, rule, rank=2)
    matrix = sum(torch.kron(rule.weight[n], layer.left[n] @ layer.right[n]) for n in range(4))
    x = torch.randn(5, 3, 12)
    torch.testing.assert_close(layer(x), x @ matrix + layer.bias)


def test_gradients_of_gated_lora():
    linear, part = nn.Linear(WIDTH, 6), LowRank(WIDTH, 6, rank=2, alpha=3.0, gate=Gate(WIDTH))
    nn.init.normal_(part.up)
    check_gradients(part, lambda x: part(linear, x), torch.randn(2, 3, WIDTH))


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("hidden", [None, 2])
def test_gradients_of_a_prefix_through_its_attention(implementation, gated, hidden):
    attention = tiny_model("t5", attention=implementation).decoder.block[0].layer[0].SelfAttention
    attention = attention.to(torch.float64).requires_grad_(False)
    mlp = None if hidden is None else PrefixMLP(2, 2 * 4 * 8, 3, length=2, hidden=hidden)
    part = Prefix(attention, length=2, std=1.0, mlp=mlp, index=1, gate=Gate(32) if gated else None)
    assert ("keys_values" in dict(part.named_parameters())) == (mlp is None)
    check_gradients(part, lambda x: part(attention, x)[0], torch.randn(1, 3, 32), shared=() if mlp is None else (mlp,))


def test_the_inner_width_is_a_multiple_and_never_nothing():
    assert inner_width(1024, 16) == 64
    assert inner_width(192, 32, 4) == 4
    assert (inner_width(64, 128), inner_width(64, 128, 4)) == (1, 4)


@pytest.mark.parametrize("sizes", [(6, 8), (8, 6)])
def test_summands_that_do_not_divide_the_width_are_refused(sizes):
    with pytest.raises(ValueError, match="summands: 4 does not divide both"):
        KroneckerLinear(*sizes, SharedRule(4, 1.0), rank=1)


def test_the_logarithm_of_a_closed_gate_is_finite():
    gate = Gate(WIDTH)
    nn.init.constant_(gate.linear.bias, -1000.0)
    x = torch.zeros(1, 1, WIDTH)
    assert gate(x).item() == 0
    assert gate.log(x).item() == pytest.approx(-1000)


def test_an_mlp_without_gradients_makes_its_prefix_once_and_sees_when_a_weight_changes():
    mlp = PrefixMLP(2, 6, 4, length=3, hidden=5)
    trained = mlp(1)
    with torch.no_grad():
        assert mlp(1) is mlp(1)
        assert torch.equal(mlp(1), trained)
        assert not torch.equal(mlp(0), mlp(1))
        mlp.hidden.weight.add_(1.0)
        changed = mlp(1)
        assert not torch.equal(changed, trained)
        mlp.load_state_dict({name: value * 2 for name, value in mlp.state_dict().items()})
        assert not torch.equal(mlp(1), changed)
    mlp(0)
    assert not mlp._made, "training keeps none"
