"""LISA: which layers learn when, and that those that sleep cost nothing."""

import copy
import json

import pytest
import torch
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from harness.architecture import EMBEDDED
from harness.optim import LISA
from harness.optim.lisa import repeated_layers
from tests.optim.conftest import backward


def awake(model):
    return [index for index, layer in enumerate(repeated_layers(model)) if next(layer.parameters()).requires_grad]


def step(model, optimizer, ids):
    loss = backward(model, ids)
    optimizer.step()
    optimizer.zero_grad()
    return loss


def test_the_drawn_layers_learn_and_the_others_do_not(llama, ids):
    optimizer = LISA(llama, lr=1e-2, active_layers=2, interval=3)
    layers = repeated_layers(llama)
    assert len(layers) == 4
    always = [llama.model.embed_tokens.weight, llama.model.norm.weight]
    for _ in range(6):
        learning, before = awake(llama), copy.deepcopy(llama.state_dict())
        assert len(learning) == 2
        step(llama, optimizer, ids)
        for index in range(4):
            names = [name for name in before if name.startswith(f"model.layers.{index}.")]
            changed = [not torch.equal(before[name], llama.state_dict()[name]) for name in names]
            assert all(changed) if index in learning else not any(changed)
        assert all(weight.requires_grad for weight in always)
        assert not torch.equal(before["model.embed_tokens.weight"], llama.model.embed_tokens.weight)
        assert not torch.equal(before["model.norm.weight"], llama.model.norm.weight)


def test_every_layer_has_its_turn_and_the_seed_decides_when(llama, ids):
    def drawn(seed):
        torch.manual_seed(seed)
        optimizer = LISA(llama, lr=1e-4, active_layers=1, interval=1)
        turns = []
        for _ in range(12):
            turns += awake(llama)
            step(llama, optimizer, ids[:, :4])
        return turns

    turns = drawn(0)
    assert set(turns) == {0, 1, 2, 3}
    assert drawn(0) == turns
    assert drawn(1) != turns


def test_a_turn_lasts_an_interval(llama, ids):
    optimizer = LISA(llama, lr=1e-4, active_layers=2, interval=4)
    turns = []
    for _ in range(8):
        turns.append(tuple(awake(llama)))
        step(llama, optimizer, ids[:, :4])
    assert len(set(turns[:4])) == len(set(turns[4:])) == 1


def test_what_sleeps_has_no_state_and_no_gradient(llama, ids):
    optimizer = LISA(llama, lr=1e-4, active_layers=1, interval=1)
    for _ in range(3):
        step(llama, optimizer, ids)
        backward(llama, ids)
        for layer in repeated_layers(llama):
            for parameter in layer.parameters():
                assert parameter.requires_grad or (parameter.grad is None and parameter not in optimizer.state)
        llama.zero_grad()


def test_all_parameters_are_in_its_groups_so_that_clipping_by_them_reaches_who_wakes_later(llama):
    optimizer = LISA(llama, lr=1e-4, active_layers=1)
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in llama.parameters()}


def test_a_restored_state_goes_on_as_if_nothing_had_been(llama, ids):
    other = copy.deepcopy(llama)
    torch.manual_seed(5)
    optimizer = LISA(llama, lr=1e-3, active_layers=2, interval=3)
    for _ in range(4):
        step(llama, optimizer, ids)
    stored, weights, draws = (
        copy.deepcopy(optimizer.state_dict()),
        copy.deepcopy(llama.state_dict()),
        torch.get_rng_state(),
    )
    json.dumps(stored["param_groups"])  # plain numbers, as a checkpoint wants them
    other.load_state_dict(weights)
    torch.manual_seed(6)
    restored = LISA(other, lr=1e-3, active_layers=2, interval=3)
    restored.load_state_dict(stored)
    assert awake(other) == awake(llama)
    for model, active in ((llama, optimizer), (other, restored)):
        torch.set_rng_state(draws)
        for _ in range(3):
            step(model, active, ids)
    assert all(torch.equal(value, llama.state_dict()[name]) for name, value in other.state_dict().items())


def test_encoder_and_decoder_layers_are_drawn_from_together():
    config = AutoConfig.for_model(**json.loads((EMBEDDED / "t5" / "config.json").read_text()))
    model = AutoModelForSeq2SeqLM.from_config(config)
    assert len(repeated_layers(model)) == 4
    assert {type(layer).__name__ for layer in repeated_layers(model)} == {"T5Block"}
    LISA(model, lr=1e-3, active_layers=4)


def test_it_learns(llama, ids):
    optimizer = LISA(llama, lr=2e-3, active_layers=2, interval=2)
    losses = [step(llama, optimizer, ids) for _ in range(8)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(("kwargs", "message"), [
    ({"active_layers": 0}, "active_layers: expected 1 to 4"),
    ({"active_layers": 5}, "active_layers: expected 1 to 4"),
    ({"interval": 0}, "interval: expected at least 1 step"),
])  # fmt: skip
def test_arguments_that_cannot_be(llama, kwargs, message):
    with pytest.raises(ValueError, match=message):
        LISA(llama, lr=1e-3, **kwargs)


def test_a_model_without_layers_is_refused():
    with pytest.raises(ValueError, match="Linear has no repeated layers"):
        LISA(torch.nn.Linear(2, 2), lr=1e-3)
