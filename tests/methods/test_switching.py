"""Disabling, unloading, several adapters, and merging, which none of these methods can do."""

import pytest
import torch

from harness.measure.inference import _merged_difference, without_adapter
from harness.methods.tuner import Place
from tests.methods.conftest import METHODS, attached, config_of, inputs, logits, move, tiny_model

every_method = pytest.mark.parametrize("method", METHODS)


@every_method
def test_disabled_is_the_base(method, kind):
    base = logits(tiny_model(kind), kind)
    model = attached(method, kind)
    enabled = logits(model, kind)
    assert (enabled - base).abs().max() > 1e-2
    with model.disable_adapter():
        assert torch.equal(logits(model, kind), base)
    assert torch.equal(logits(model, kind), enabled)
    assert torch.equal(logits(without_adapter(model), kind), base), "as the harness measures it"


@every_method
def test_unloaded_is_the_base_and_nothing_is_left(method, kind):
    plain = tiny_model(kind)
    bare = attached(method, kind).unload()
    assert torch.equal(logits(bare, kind), logits(plain, kind))
    assert [name for name, _ in bare.named_modules()] == [name for name, _ in plain.named_modules()]
    assert {module.config._attn_implementation for module in bare.modules() if hasattr(module, "config")} == {"sdpa"}
    again = attached(method, kind, bare)
    assert torch.equal(logits(again, kind), logits(attached(method, kind), kind)), "and may be adapted anew"


@every_method
def test_merging_is_refused_before_anything_is_merged(method, kind):
    model = attached(method, kind)
    before = logits(model, kind)
    for merge in (model.merge_adapter, model.merge_and_unload):
        with pytest.raises(NotImplementedError, match=f"{method} computes beside the base model's weights"):
            merge()
    assert torch.equal(logits(model, kind), before)
    assert _merged_difference(model, lambda one: logits(one, kind)) is None, "so the harness measures no merged speed"
    assert torch.equal(logits(model, kind), before)


@pytest.mark.parametrize(
    ("method", "fields"),
    [("UNIPELT", {}), ("UNIPELT", {"places": ["mlp_block"]}), ("MAM", {"prefix_hidden": None})],
)
def test_places_inside_places_are_in_use(method, fields, kind):
    """LoRA on a projection of a surrounded attention, attention inside a surrounded layer: all must act on the model."""
    model = attached(method, kind, moved=False, **fields)
    places = [module for module in model.modules() if isinstance(module, Place)]
    assert not any("method_parts" in name for name, module in model.named_modules() if isinstance(module, Place))
    if method == "UNIPELT":
        assert any(isinstance(inner, Place) for place in places for inner in place.base_layer.modules()), "nested"
    called = set()
    for place in places:
        place.register_forward_hook(lambda module, *_: called.add(module))
    logits(model, kind)
    assert called == set(places)
    for place in places:
        for name, part in place.method_parts["default"].items():
            before = logits(model, kind)
            kept = {key: value.clone() for key, value in part.state_dict().items()}
            with torch.no_grad():
                for parameter in part.parameters():
                    parameter.add_(torch.randn_like(parameter))
            assert not torch.equal(logits(model, kind), before), name
            part.load_state_dict(kept)


@every_method
def test_two_adapters_of_a_kind_do_not_meet(method, kind):
    alone = logits(attached(method, kind), kind)
    model = attached(method, kind)
    model.add_adapter("second", config_of(method, kind))
    assert torch.equal(logits(model, kind), alone), "adding one changes nothing"
    model.set_adapter("second")
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained
    assert all(".second." in name for name in trained)
    assert len(trained) == sum(".default." in name for name, _ in model.named_parameters())
    other = logits(move(model), kind)
    assert not torch.equal(other, alone)
    model.set_adapter("default")
    assert torch.equal(logits(model, kind), alone)
    model.set_adapter("second")
    model.delete_adapter("default")
    assert torch.equal(logits(model, kind), other)
    assert not any(".default." in name for name, _ in model.named_parameters())
    assert torch.equal(logits(model.unload(), kind), logits(tiny_model(kind), kind))


def test_an_adapter_inside_the_places_of_another(kind):
    model = attached("PFEIFFER", kind)
    model.add_adapter("second", config_of("PFEIFFER", kind, places=["mlp", "attention"]))
    model.set_adapter("second")
    move(model)
    expected = logits(attached("PFEIFFER", kind, places=["mlp", "attention"]), kind)
    assert torch.allclose(logits(model, kind), expected) is False  # other random numbers
    model.base_model.model.zero_grad()
    model(**inputs(kind)).loss.backward()
    named = [(name, parameter) for name, parameter in model.named_parameters() if ".second." in name]
    places = 4 if kind == "llama" else 8
    assert len(named) == 4 * places
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for _, parameter in named)


def test_the_first_adapter_stays_frozen_while_the_second_trains_and_what_they_share_too(kind):
    model = attached("COMPACTER", kind)
    model.add_adapter("second", config_of("COMPACTER", kind))
    shared = model.base_model.method_shared
    assert [shared[name].rule.weight.requires_grad for name in ("default", "second")] == [True, False]
    model.set_adapter("second")
    assert [shared[name].rule.weight.requires_grad for name in ("default", "second")] == [False, True]
    model.base_model.set_requires_grad("second", False)
    assert not any(parameter.requires_grad for parameter in model.parameters())
    with pytest.warns(UserWarning, match="Setting active adapter to default"):
        model.delete_adapter("second")
    assert shared["default"].rule.weight.requires_grad
    assert list(shared) == ["default"]


def test_one_adapter_is_active_at_a_time(kind):
    model = attached("HOULSBY", kind)
    model.add_adapter("second", config_of("HOULSBY", kind))
    with pytest.raises(ValueError, match="one adapter at a time can be active, not 2: default, second"):
        model.base_model.set_adapter(["default", "second"])


@pytest.mark.parametrize("name", ["down", "bottleneck"])
def test_an_adapter_may_not_be_called_like_a_part_of_it(name, kind):
    """PEFT tells adapters apart by looking for their names in those of the parameters."""
    model = attached("HOULSBY", kind)
    with pytest.raises(ValueError, match=f"adapter name '{name}' is the name of a part"):
        model.add_adapter(name, config_of("HOULSBY", kind))
