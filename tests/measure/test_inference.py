"""Inference speed: what is compared is what it is called, and measuring leaves the model as it was."""

import math

import pytest
import torch
from conftest import LORA
from peft import (
    AdaLoraConfig,
    IA3Config,
    LNTuningConfig,
    LoraConfig,
    PrefixTuningConfig,
    PromptTuningConfig,
    VeraConfig,
    get_peft_model,
)
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from harness.experiment import ROOT
from harness.measure.inference import BATCH_ROWS, NEW_TOKENS, measure_inference
from harness.merging import without_adapter

EMBEDDED = ROOT / "harness" / "embedded"
CPU = torch.device("cpu")
PROMPTS = [[5, 6, 7, 8], list(range(20, 90))]
CAUSAL, SEQ2SEQ = {"task_type": "CAUSAL_LM"}, {"task_type": "SEQ_2_SEQ_LM"}
QV = {"target_modules": ["q_proj", "v_proj"], **CAUSAL}
ADAPTERS = {  # and whether it can be merged
    "LoRA": (LoraConfig(**QV, init_lora_weights=False), True),
    "DoRA": (LoraConfig(**QV, use_dora=True), True),
    "AdaLoRA": (AdaLoraConfig(**QV, total_step=10), True),
    "VeRA": (VeraConfig(**QV, r=16, init_weights=False), True),
    "IA3": (IA3Config(target_modules=["k_proj"], feedforward_modules=[], init_ia3_weights=False, **CAUSAL), True),
    "LN": (LNTuningConfig(target_modules=["input_layernorm", "norm"], **CAUSAL), True),
    "prompt": (PromptTuningConfig(num_virtual_tokens=7, **CAUSAL), False),
    "prefix": (PrefixTuningConfig(num_virtual_tokens=7, **CAUSAL), False),
    "LoRA on T5": (LoraConfig(target_modules=["q", "v"], init_lora_weights=False, **SEQ2SEQ), True),
    "prefix on T5": (PrefixTuningConfig(num_virtual_tokens=7, **SEQ2SEQ), False),
    "prompt on T5": (PromptTuningConfig(num_virtual_tokens=7, num_transformer_submodules=1, **SEQ2SEQ), False),
}


def load_base(name):
    if "T5" in name:
        return AutoModelForSeq2SeqLM.from_pretrained(EMBEDDED / "t5", dtype=torch.float32).eval()
    return AutoModelForCausalLM.from_pretrained(EMBEDDED / "llama", dtype=torch.float32).eval()


def logits(model):
    ids = torch.tensor([PROMPTS[1]])
    extra = {"decoder_input_ids": ids[:, :5]} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        return model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra).logits


@pytest.mark.filterwarnings("ignore:Unsupported layer type")
@pytest.mark.parametrize(
    "name",
    [name if name in ("LoRA", "IA3") else pytest.param(name, marks=pytest.mark.slow) for name in ADAPTERS],
)
def test_variants_are_what_they_are_called(name):
    torch.manual_seed(0)
    config, can_merge = ADAPTERS[name]
    expected = logits(load_base(name))
    model = get_peft_model(load_base(name), config).eval()
    if name == "LN":
        for parameter in model.parameters():
            parameter.data += 0.1 * parameter.requires_grad
    adapted = logits(model)
    weights = {key: value.clone() for key, value in model.state_dict().items()}

    bare = without_adapter(model)
    assert torch.equal(logits(bare), expected)
    assert not any(isinstance(module, BaseTunerLayer) for module in bare.modules())
    own = {parameter.data_ptr() for parameter in model.parameters()}
    assert all(parameter.data_ptr() in own for parameter in bare.parameters()), "nothing is copied"

    inference = measure_inference(model, PROMPTS, CPU)
    assert (inference.merged is not None) == (inference.overhead_merged is not None) == can_merge
    if can_merge:
        assert inference.merged_logit_difference < 1e-3 * adapted.abs().max()
    assert inference.base.decode_tokens_per_second > 0
    assert (inference.rows, inference.new_tokens) == (BATCH_ROWS, NEW_TOKENS)

    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, weights[key], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits(model), adapted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("disturbed", "measured"), [(9, True), (10**6, False)])
def test_a_round_that_was_disturbed_is_made_again(disturbed, measured, monkeypatch, caplog):
    """A process that is stopped while it reads the prompt would seem to answer in less than no time."""
    model, calls = get_peft_model(load_base("LoRA"), ADAPTERS["LoRA"][0]), []

    def timed(variant, rows, tokens, device):
        calls.append(tokens)
        return 9.0 if tokens == 1 and len(calls) <= disturbed else 0.1 * tokens

    monkeypatch.setattr("harness.measure.inference._timed", timed)
    found = measure_inference(model, PROMPTS, CPU)
    assert (found is not None) == measured
    if measured:
        assert found.rounds == 5
        assert found.overhead_unmerged.lowest == pytest.approx(1)
    else:
        assert "too busy" in caplog.text


@pytest.mark.measured
def test_a_run_says_what_its_adapter_costs(run_main, capsys):
    outcome = run_main(LORA)
    assert outcome.code == 0
    inference = outcome.json["inference"]
    assert inference["overhead_unmerged"]["median"] > 1.1, "LoRA on every linear layer of a small model"
    assert inference["overhead_merged"]["median"] < inference["overhead_unmerged"]["median"]
    assert inference["merged_logit_difference"] < 1e-2
    assert "times the base's time per token as trained, merged" in capsys.readouterr().out


def test_a_quantized_base_is_measured_too(run_main):
    inference = run_main(LORA, "--set", "dtype=int8").json["inference"]
    assert math.isfinite(inference["overhead_unmerged"]["median"])
    assert inference["merged"] is None, "merging would round the adapter to eight bits"


@pytest.mark.measured
def test_full_fine_tuning_costs_nothing(run_main):
    inference = run_main(ROOT / "method_comparison/MetaMathQA/experiments/full-finetuning/embedded-llama").json[
        "inference"
    ]
    assert inference["merged"] is None
    assert 0.5 < inference["overhead_unmerged"]["median"] < 2, "the same model twice"
