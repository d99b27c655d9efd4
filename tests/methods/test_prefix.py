"""Attention with a prefix, against attention written out; and that a prefix moves neither masks nor positions."""

import pytest
import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from harness.methods.parts.prefixed_attention import PrefixStates
from tests.methods.conftest import attached, inputs, logits, tiny_model

HEADS = {"llama": (4, 2, 8), "t5": (4, 4, 8)}  # query heads, key-value heads, size of one
KERNELS = ["sdpa", "eager"]


def attention_of(kind, causal=True):
    model = tiny_model(kind)
    if kind == "llama":
        return model.model.layers[0].self_attn
    return (model.decoder if causal else model.encoder).block[0].layer[0].SelfAttention


def written_out(query, key, value, prefix, allowed, bias, scaling):
    """softmax of all scores, those of the prefix without position bias and with its gate."""
    groups = query.shape[1] // key.shape[1]
    key, value, keys, values = (x.repeat_interleave(groups, dim=1) for x in (key, value, prefix.keys, prefix.values))
    own = query @ key.mT * scaling + bias
    own = own.masked_fill(~allowed, float("-inf"))
    ahead = query @ keys.mT * scaling
    if prefix.log_gate is not None:
        ahead = ahead + prefix.log_gate
    weights = torch.cat([ahead, own], dim=-1).softmax(dim=-1)
    return (weights @ torch.cat([values, value], dim=-2)).transpose(1, 2)


def case(kind, queries, keys, gated, length=3):
    torch.manual_seed(0)
    heads, key_heads, size = HEADS[kind]
    query, key, value = torch.randn(2, heads, queries, size), torch.randn(2, key_heads, keys, size), torch.randn(2, key_heads, keys, size)  # fmt: skip
    gate = torch.randn(2, 1, queries, 1) if gated else None
    return (
        query,
        key,
        value,
        PrefixStates(torch.randn(2, key_heads, length, size), torch.randn(2, key_heads, length, size), gate),
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("mask", ["none", "boolean", "additive"])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (1, 5), (2, 5)])
def test_it_is_attention_over_prefix_and_sequence(kind, kernel, gated, mask, queries, keys):
    attention = attention_of(kind)
    query, key, value, prefix = case(kind, queries, keys, gated)
    allowed = torch.ones(2, 1, queries, keys, dtype=torch.bool).tril(keys - queries)
    if mask != "none":
        allowed[0, ..., 0] = False  # a padded row
        allowed[0, ..., 0, 0] |= not allowed[0, 0, 0].any()
    given = {
        "none": None,
        "boolean": allowed,
        "additive": torch.zeros(allowed.shape).masked_fill(~allowed, torch.finfo(torch.float32).min),
    }[mask]
    bias = torch.randn(1, query.shape[1], queries, keys) if kind == "t5" else torch.zeros(1)
    position = {"position_bias": bias} if kind == "t5" else {}
    done, _ = ALL_ATTENTION_FUNCTIONS[f"prefixed_{kernel}"](
        attention, query, key, value, given, dropout=0.0, scaling=attention.scaling, prefix=prefix, **position
    )
    torch.testing.assert_close(done, written_out(query, key, value, prefix, allowed, bias, attention.scaling))


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_a_mask_a_bidirectional_stack_sees_everything(kernel):
    attention = attention_of("t5", causal=False)
    query, key, value, prefix = case("t5", 5, 5, False)
    bias = torch.randn(1, 4, 5, 5)
    done, _ = ALL_ATTENTION_FUNCTIONS[f"prefixed_{kernel}"](
        attention, query, key, value, None, dropout=0.0, scaling=1.0, prefix=prefix, position_bias=bias
    )
    allowed = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    torch.testing.assert_close(done, written_out(query, key, value, prefix, allowed, bias, 1.0))


@pytest.mark.parametrize("method", ["PREFIX_STACKS", "UNIPELT"])
def test_sdpa_without_a_padding_mask_answers_as_eager_does(method, kind):
    """Without padding, transformers leaves the mask to sdpa, which would align it with the prefix."""
    answers = [
        logits(attached(method, kind, tiny_model(kind, attention=kernel)), kind, padded=False) for kernel in KERNELS
    ]
    torch.testing.assert_close(*answers, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("padded", [False, True])
def test_a_prefix_behind_a_closed_gate_leaves_the_base_as_it_was(kind, kernel, padded):
    """So it moves no position, rotary or relative, and masks nothing but itself."""
    base = tiny_model(kind, attention=kernel)
    before = logits(base, kind, padded=padded)
    model = attached("UNIPELT", kind, base, moved=False)  # its adapters and LoRA change nothing at the start
    with torch.no_grad():
        assert (logits(model, kind, padded=padded) - before).abs().max() > 1e-2, "open"
        for name, parameter in model.named_parameters():
            if "prefix.gate.linear.bias" in name:
                parameter.fill_(-1e4)
    after = logits(model, kind, padded=padded)
    seen = inputs(kind, padded)["attention_mask"].bool() if kind == "llama" else slice(None)
    torch.testing.assert_close(after[seen], before[seen], rtol=1e-4, atol=1e-4)


def test_every_stack_of_t5_has_its_prefix():
    model = attached("PREFIX_STACKS", "t5", prefix_hidden=4)
    assert set(model.base_model.method_shared["default"]) == {
        "encoder_attention",
        "decoder_attention",
        "decoder_cross_attention",
    }
    held = [name for name, module in model.named_modules() if type(module).__name__ == "Prefix"]
    assert len(held) == 6


def test_later_tokens_do_not_change_what_comes_before(kind):
    """Neither through the prefix nor through its gate."""
    model = attached("UNIPELT", kind)
    given = inputs(kind, padded=False)
    key = "input_ids" if kind == "llama" else "labels"
    with torch.no_grad():
        before = model(**given).logits
        given[key] = given[key].clone()
        given[key][:, -2:] = 7
        after = model(**given).logits
    # T5's decoder reads the labels shifted by one.
    unchanged = slice(0, -2) if kind == "llama" else slice(0, -1)
    torch.testing.assert_close(after[:, unchanged], before[:, unchanged])
    assert not torch.equal(after, before)
