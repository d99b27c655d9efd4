"""Arithmetic per token against sums made by hand from the shapes of the layers."""

import contextlib

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from test_inference import CAUSAL, load_base
from torch.utils.flop_counter import FlopCounterMode

from harness.batches import Batch
from harness.measure.flops import flops_per_unit, matrix_product_rate

CPU = torch.device("cpu")
LENGTH = 40


def count(model, length=LENGTH, batch_size=4, **extra):
    ids = torch.arange(5, 5 + length)[None]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone(), **extra}
    batch = Batch(inputs, rows=1, counted=length - 1, work=length)
    return flops_per_unit(model, loss, batch, batch_size, CPU, contextlib.nullcontext)


def loss(model, inputs):
    return model(**inputs, use_cache=False).loss


def linear_weights(model):
    return sum(module.weight.numel() for module in model.modules() if isinstance(module, torch.nn.Linear))


def attention(model, length=LENGTH):
    """One pass of scores and values: 2 products of 2 operations, each length x length x width in every layer."""
    return 2 * 2 * model.config.num_hidden_layers * length * model.config.hidden_size


def test_full_fine_tuning_costs_three_forward_passes():
    model = load_base("llama")
    expected = 3 * (2 * linear_weights(model) + attention(model))
    assert count(model) == pytest.approx(expected, rel=1e-6)


def test_a_frozen_base_gets_no_gradient_of_its_weights():
    base = load_base("llama")
    weights, width = linear_weights(base), base.config.hidden_size
    passes = attention(base)
    first = base.model.layers[0].self_attn
    model = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj"], layers_to_transform=[0], **CAUSAL))
    inside = 4 * (width + first.q_proj.out_features)
    # Below the adapter nothing needs a gradient: q, k and v of the first layer are multiplied once, all else twice. The
    # adapter's own products are made three times, less the gradient of its input, which needs none either.
    below = sum(getattr(first, name).weight.numel() for name in ("q_proj", "k_proj", "v_proj"))
    expected = 2 * (2 * (weights - below) + below) + 2 * (3 * inside - 4 * width)
    # Of the first layer's attention, keys and values are constants: two of four backward products are not made.
    expected += 3 * passes - passes / base.config.num_hidden_layers
    assert count(model) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "config",
    [PromptTuningConfig(num_virtual_tokens=LENGTH, **CAUSAL), PrefixTuningConfig(num_virtual_tokens=8, **CAUSAL)],
    ids=["prompt", "prefix"],
)
def test_virtual_tokens_cost_but_are_no_tokens_of_the_text(config):
    base = load_base("llama")
    plain = 2 * (2 * linear_weights(base) + attention(base))
    measured = count(get_peft_model(base, config))
    if config.peft_type == "PROMPT_TUNING":  # as many virtual tokens as real ones: each real one pays for two
        assert 1.9 < measured / plain < 2.3
    else:
        assert 0.9 < measured / plain < 1.2


def test_what_a_pass_does_once_is_spread_over_the_batch():
    """DoRA multiplies its factors once a pass, to know the weights' norms, however many rows there are."""
    model = get_peft_model(load_base("llama"), LoraConfig(r=8, use_dora=True, target_modules=["q_proj"], **CAUSAL))
    ids = torch.arange(5, 5 + LENGTH)[None].expand(4, -1)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids, use_cache=False).loss.backward()
    direct = counter.get_total_flops() / ids.numel()
    # the direct count cannot see into fused attention, and sees everything else
    assert count(model, batch_size=1) - count(model, batch_size=4) == pytest.approx(
        (count(model, batch_size=1) - count(model, batch_size=10**9)) * 3 / 4
    )
    assert count(model, batch_size=4) == pytest.approx(direct, rel=0.05)
    assert count(model, batch_size=1) > 1.01 * count(model, batch_size=4)


def test_nothing_is_left_behind():
    torch.manual_seed(3)
    model = get_peft_model(load_base("llama"), LoraConfig(lora_dropout=0.5, target_modules=["q_proj"], **CAUSAL))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    count(model)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_gradient_checkpointing_computes_layers_twice():
    model = load_base("llama")
    plain = count(model)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    down = sum(layer.mlp.down_proj.weight.numel() for layer in model.model.layers)  # the last one is not needed again
    again = 2 * (linear_weights(model.model.layers) - down)
    assert count(model) - plain == pytest.approx(again + attention(model), rel=1e-6)


def test_where_the_counter_is_blind_there_is_no_figure(run_main):
    model = load_base("llama")
    model.config._attn_implementation = "flash_attention_2"
    assert count(model) is None
    assert matrix_product_rate(CPU, torch.float32) is None
    compute = run_main(
        "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8", "--set", "dtype=int8"
    ).json["compute"]
    assert compute["flops_per_token"] is None
    assert compute["flops_per_second"] is None
