"""Tiny random models of the embedded architectures, and methods attached to them."""

import json

import pytest
import torch
from peft import get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

import harness.methods  # noqa: F401
from harness.architecture import EMBEDDED

SMALL = {
    "llama": {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48,
              "num_hidden_layers": 2, "vocab_size": 64, "initializer_range": 0.2},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4, "vocab_size": 64},
}  # fmt: skip
METHODS = [name for name in PEFT_TYPE_TO_CONFIG_MAPPING if type(name) is str]  # ours, PEFT's own names are an enum
AUTO_CLASSES = {"llama": AutoModelForCausalLM, "t5": AutoModelForSeq2SeqLM}
TASK_TYPES = {"llama": "CAUSAL_LM", "t5": "SEQ_2_SEQ_LM"}


def tiny_model(kind, dtype=torch.float32, attention="sdpa"):
    """A random model in evaluation mode, always the same one."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(**json.loads((EMBEDDED / kind / "config.json").read_text()) | SMALL[kind])
    return AUTO_CLASSES[kind].from_config(config, dtype=dtype, attn_implementation=attention).eval()


def config_of(method, kind, **fields):
    return PEFT_TYPE_TO_CONFIG_MAPPING[method](task_type=TASK_TYPES[kind], **fields)


def attached(method, kind, base=None, *, moved=True, **fields):
    """A model with the method's adapter, moved away from a start that may change nothing."""
    base = tiny_model(kind) if base is None else base
    torch.manual_seed(0)
    model = get_peft_model(base, config_of(method, kind, **fields)).eval()
    return move(model) if moved else model


@torch.no_grad()
def move(model):
    torch.manual_seed(1)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def inputs(kind, padded=True):
    """Two rows; with padding on the side where the harness has it."""
    ids = torch.randint(5, 60, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    if padded:
        mask[0, slice(0, 3) if kind == "llama" else slice(6, 9)] = 0
    given = {"input_ids": ids, "attention_mask": mask, "labels": ids.clone()}
    return given if kind == "llama" else given | {"labels": ids[:, :6].clone()}


def logits(model, kind, **kwargs):
    with torch.no_grad():
        return model(**inputs(kind, **kwargs)).logits


@pytest.fixture(params=["llama", "t5"])
def kind(request):
    return request.param
