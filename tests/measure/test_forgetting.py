"""Forgetting against a loss computed row by row, without padding."""

import math

import pytest
import torch
from conftest import LORA
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from test_inference import CAUSAL, load_base
from transformers import AutoTokenizer

from harness.embedded.llama.corpus import held_out_documents
from harness.experiment import ROOT
from harness.measure.forgetting import token_loss

TEXTS = held_out_documents(7)


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(ROOT / "harness" / "embedded" / "llama")


def one_by_one(model, tokenizer, limit=None):
    """Every text alone; transformers shifts the labels and averages."""
    total = count = 0
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text).input_ids[:limit]])
        labels = ids.clone()
        labels[0, 0] = -100  # with virtual tokens before it, the first would be predicted too
        with torch.inference_mode():
            loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
        total, count = total + loss.item() * (ids.shape[1] - 1), count + ids.shape[1] - 1
    return total / count, count


@pytest.mark.parametrize("limit", [None, 20])
def test_padding_and_cutting_change_nothing(tokenizer, limit):
    model = load_base("llama")
    expected, tokens = one_by_one(model, tokenizer, limit)
    measured = token_loss(model, tokenizer, TEXTS, batch_rows=3, max_tokens=limit)
    assert measured.tokens == tokens
    assert measured.loss == pytest.approx(expected, rel=1e-5)


def test_virtual_tokens_do_not_shift_the_text(tokenizer):
    torch.manual_seed(0)
    model = get_peft_model(load_base("llama"), PromptTuningConfig(num_virtual_tokens=5, **CAUSAL)).eval()
    expected, tokens = one_by_one(model, tokenizer)
    measured = token_loss(model, tokenizer, TEXTS, batch_rows=1)
    assert (measured.loss, measured.tokens) == (pytest.approx(expected, rel=1e-5), tokens)


def test_an_adapter_that_does_nothing_forgets_nothing(tokenizer):
    base = load_base("llama")
    before = token_loss(base, tokenizer, TEXTS)
    model = get_peft_model(base, LoraConfig(target_modules=["q_proj"], **CAUSAL)).eval()
    assert token_loss(model, tokenizer, TEXTS) == before


@pytest.mark.measured
def test_a_run_measures_the_untouched_base(run_main, tokenizer):
    outcome = run_main(LORA, "--set", "optimizer_kwargs.lr=0.3", "--set", "grad_norm_clip=null")
    forgetting = outcome.json["forgetting"]
    base = token_loss(load_base("llama"), tokenizer, held_out_documents(100))
    assert forgetting["base_loss"] == pytest.approx(base.loss, rel=1e-4)
    assert forgetting["tokens"] == base.tokens
    assert forgetting["forgetting"] == pytest.approx(forgetting["loss"] - forgetting["base_loss"])
    assert outcome.json["train_info"]["metrics"][-1]["forgetting"] == forgetting["forgetting"]
    assert math.isfinite(forgetting["loss"])
    assert forgetting["forgetting"] > 0.5, "steps this large leave little of the model"


def test_an_encoder_decoder_has_no_such_loss(run_main):
    path = ROOT / "method_comparison/SuperGLUE/experiments/lora/embedded-t5-all-rank8"
    outcome = run_main(path, "--subset", "copa")
    assert outcome.code == 0
    assert outcome.json["forgetting"] is None
    assert outcome.json["compute"]["flops_per_token"] > 0
