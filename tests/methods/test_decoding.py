"""Decoding: with a cache as without one, and as the training forward pass sees the same tokens."""

import pytest
import torch

from tests.methods.conftest import METHODS, attached, inputs


def generate(model, kind, **kwargs):
    prompts = {key: value for key, value in inputs(kind).items() if key != "labels"}
    ends = {"pad_token_id": 0, "eos_token_id": 1} | ({"decoder_start_token_id": 0} if kind == "t5" else {})
    return model.generate(**prompts, max_new_tokens=8, min_new_tokens=8, do_sample=False, output_logits=True,
                          return_dict_in_generate=True, **ends, **kwargs)  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_with_a_cache_as_without(method, kind):
    model = attached(method, kind)
    with torch.no_grad():
        cached, uncached = (generate(model, kind, use_cache=use) for use in (True, False))
    assert torch.equal(cached.sequences, uncached.sequences)
    torch.testing.assert_close(torch.stack(cached.logits), torch.stack(uncached.logits), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_decoding_sees_what_training_saw(method, kind):
    model, given = attached(method, kind), inputs(kind)
    with torch.no_grad():
        made = generate(model, kind)
        logits = torch.stack(made.logits, dim=1)
        if kind == "t5":
            forward = model(**given | {"labels": made.sequences[:, 1:].contiguous()}, use_cache=False).logits
        else:
            mask = torch.cat([given["attention_mask"], torch.ones(2, 8, dtype=torch.long)], dim=1)
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            forward = model(input_ids=made.sequences, attention_mask=mask, position_ids=positions).logits[:, -9:-1]
    torch.testing.assert_close(logits, forward, rtol=1e-3, atol=1e-3)
