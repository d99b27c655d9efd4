"""Gradient accumulation: 4 x 8 is 1 x 32, for a causal model and for a T5, with samples of unequal length."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, T5Config, T5ForConditionalGeneration

from harness.text.encoding import Sample, collate


def tiny_llama():
    config = LlamaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, intermediate_size=48)  # fmt: skip
    return LlamaForCausalLM(config)


def tiny_t5():
    config = T5Config(vocab_size=64, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=0.0,
                      decoder_start_token_id=0)  # fmt: skip
    return T5ForConditionalGeneration(config)


def loss_and_gradients(model, micro_batches, loss_on):
    """As the loop in run.py does it: each micro-batch's mean, weighted by its share of the counted tokens."""
    batches = [collate(part, 0, loss_on, model.config.is_encoder_decoder) for part in micro_batches]
    counted = sum(batch.counted for batch in batches)
    model.zero_grad()
    total = 0.0
    for batch in batches:
        loss = model(**batch.inputs, use_cache=False).loss * (batch.counted / counted)
        loss.backward()
        total += loss.item()
    return total, [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize(("make", "loss_on"), [(tiny_llama, "target"), (tiny_llama, "all"), (tiny_t5, "target")])
def test_four_times_eight_is_thirty_two(make, loss_on):
    torch.manual_seed(0)
    model = make().train()
    generator = torch.Generator().manual_seed(1)

    def ids(low, high):
        size = torch.randint(low, high, (1,), generator=generator).item()
        return torch.randint(2, 64, (size,), generator=generator).tolist()

    samples = [Sample(ids(1, 20), [*ids(1, 15), 1]) for _ in range(32)]
    whole_loss, whole = loss_and_gradients(model, [samples], loss_on)
    parts_loss, parts = loss_and_gradients(model, [samples[i : i + 8] for i in range(0, 32, 8)], loss_on)
    assert parts_loss == pytest.approx(whole_loss, rel=1e-6)
    for one, other in zip(whole, parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("accumulation", [2, 4])
@pytest.mark.slow
def test_whole_runs_agree_too(run_main, accumulation):
    whole = run_main("experiments/lora/embedded-llama-rank8", "--set", "batch_size=8")
    parts = run_main("experiments/lora/embedded-llama-rank8", "--set", f"batch_size={8 // accumulation}",
                     "--set", f"gradient_accumulation_steps={accumulation}")  # fmt: skip
    assert parts.losses == pytest.approx(whole.losses, rel=1e-5)
