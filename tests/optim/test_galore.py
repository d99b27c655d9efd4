"""GaLore: AdamW in a projection, against torch's AdamW of the projected gradients."""

import copy

import pytest
import torch
from torch import nn

from harness.optim import GaLore
from tests.optim.conftest import backward


class TwoMatrices(nn.Module):
    """A wide matrix, a tall one, and an embedding and a bias that are not projected."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.wide, self.tall = nn.Embedding(9, 6), nn.Linear(6, 4), nn.Linear(4, 7, bias=False)

    def get_output_embeddings(self):
        return None

    def forward(self, step):
        return self.tall(torch.tanh(self.wide(self.embedding(torch.tensor([step % 9, 3]))))).square().sum()


def train(model, optimizer, steps=5):
    for step in range(steps):
        model(step).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("name", ["wide", "tall"])
@pytest.mark.parametrize("interval", [1, 3, 100])
def test_the_change_is_adamw_of_the_projected_gradient(name, interval):
    model = TwoMatrices()
    optimizer = GaLore(model, lr=0.1, rank=2, interval=interval, scale=0.5, weight_decay=0.1)
    weight = getattr(model, name).weight
    wide = weight.shape[0] < weight.shape[1]
    low = torch.zeros(2, max(weight.shape), requires_grad=True)
    reference = torch.optim.AdamW([low], lr=1.0, weight_decay=0.0)
    for step in range(7):
        model(step).backward()
        gradient, before = weight.grad.clone(), weight.detach().clone()
        optimizer.step()
        optimizer.zero_grad()
        if step % interval == 0:
            left, _, right = torch.linalg.svd(gradient, full_matrices=False)
            basis = left[:, :2] if wide else right[:2].T
        low.grad = basis.T @ gradient if wide else (gradient @ basis).T
        start = low.detach().clone()
        reference.step()
        change = (low - start).detach()
        change = basis @ change if wide else change.T @ basis.T
        expected = before * (1 - 0.1 * 0.1) + 0.1 * 0.5 * change
        torch.testing.assert_close(weight.detach(), expected, rtol=1e-3, atol=1e-5)


def test_what_is_not_projected_gets_adamw_itself():
    model, reference = TwoMatrices(), TwoMatrices()
    optimizer = GaLore(model, lr=0.1, rank=3, weight_decay=0.1)
    assert {tuple(p.shape) for p in optimizer.param_groups[0]["params"]} == {(4, 6), (7, 4)}
    with torch.no_grad():  # both see the same gradients
        for parameter, other in zip(model.parameters(), reference.parameters(), strict=True):
            parameter.grad = torch.randn_like(parameter)
            other.grad = parameter.grad.clone()
    optimizer.step()
    torch.optim.AdamW(reference.parameters(), lr=0.1, weight_decay=0.1).step()
    torch.testing.assert_close(model.embedding.weight, reference.embedding.weight)
    torch.testing.assert_close(model.wide.bias, reference.wide.bias)
    assert not torch.allclose(model.wide.weight, reference.wide.weight)


def test_updates_in_backward_give_the_same_weights_and_keep_no_gradient():
    plain, eager = TwoMatrices(), TwoMatrices()
    train(plain, GaLore(plain, lr=0.1, rank=2, interval=2))
    optimizer = GaLore(eager, lr=0.1, rank=2, interval=2, in_backward=True)
    for step in range(5):
        eager(step).backward()
        assert all(parameter.grad is None for parameter in eager.parameters())
        optimizer.step()
    for mine, other in zip(eager.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_once_detached_a_backward_pass_leaves_weights_as_they_are():
    model = TwoMatrices()
    optimizer = GaLore(model, lr=0.1, rank=2, in_backward=True)
    optimizer.detach()
    before = copy.deepcopy(model.state_dict())
    model(0).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_schedule_reaches_both_groups():
    model = TwoMatrices()
    optimizer = GaLore(model, lr=0.1, rank=2)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0)
    before = copy.deepcopy(model.state_dict())
    train(model, optimizer, steps=1)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_restored_state_goes_on_as_if_nothing_had_been():
    whole, first = TwoMatrices(), TwoMatrices()
    train(whole, GaLore(whole, lr=0.1, rank=2, interval=3), steps=5)
    optimizer = GaLore(first, lr=0.1, rank=2, interval=3)
    train(first, optimizer, steps=2)
    second = copy.deepcopy(first)
    restored = GaLore(second, lr=0.1, rank=2, interval=3)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for step in range(2, 5):
        second(step).backward()
        restored.step()
        restored.zero_grad()
    for mine, other in zip(second.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_gradient_that_is_no_number_ends_in_the_weights_not_in_the_decomposition():
    """So that the loop finds that training diverged, as under any optimizer."""
    model = TwoMatrices()
    optimizer = GaLore(model, lr=0.1, rank=2)
    (model(0) * float("nan")).backward()
    optimizer.step()
    assert model.wide.weight.isnan().any()


def test_it_learns(llama, ids):
    optimizer = GaLore(llama, lr=5e-3, rank=16, interval=4)
    losses = []
    for _ in range(8):
        losses.append(backward(llama, ids))
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(("kwargs", "message"), [
    ({"rank": 0}, "must be positive"),
    ({"interval": 0}, "must be positive"),
    ({"scale": 0.0}, "must be positive"),
    ({"rank": 4}, "rank: 4 is as large as every matrix; nothing would be projected"),
])  # fmt: skip
def test_arguments_that_cannot_be(kwargs, message):
    with pytest.raises(ValueError, match=message):
        GaLore(TwoMatrices(), lr=0.1, **kwargs)
