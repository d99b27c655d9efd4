"""Decoding: greedy whatever the checkpoint says, and batching changes nothing."""

import pytest
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import GenerationConfig

from harness.experiment import ROOT, read_experiment
from harness.models import location
from harness.params import GenerationKwargs
from harness.task import load_task
from harness.text.encoding import Encoder, load_tokenizer
from harness.text.generation import generate, neutralize_generation_config
from harness.workloads.text import Text

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params
TOKENIZER = load_tokenizer(*location(PARAMS, str))
SHORT = PARAMS.model_copy(update={"generation_kwargs": GenerationKwargs(max_new_tokens=30), "batch_size_eval": 16})


@pytest.fixture
def prompts():
    task = load_task(ROOT / "method_comparison" / "MetaMathQA")
    encoder = Encoder(TOKENIZER, PARAMS, is_encoder_decoder=False)
    rows = task.load_splits("embedded", None).valid[:16]
    return [encoder.encode_prompt(row.prompt)[0][: 8 + 3 * i] for i, row in enumerate(rows)]  # lengths far apart


def test_a_checkpoint_that_asks_for_sampling_is_decoded_greedily(tmp_path, prompts, monkeypatch):
    model = Text.load(PARAMS, torch.device("cpu"), str)[1]
    expected = generate(model, TOKENIZER, prompts, SHORT).texts
    model.generation_config = GenerationConfig(do_sample=True, temperature=5.0, top_k=0, top_p=0.9, num_beams=2,
                                               repetition_penalty=3.0, max_new_tokens=3, min_length=9,
                                               eos_token_id=TOKENIZER.eos_token_id)  # fmt: skip
    model.save_pretrained(tmp_path)
    TOKENIZER.save_pretrained(tmp_path)
    monkeypatch.setattr("harness.models.location", lambda params, where: (str(tmp_path), {}))
    sampling = Text.load(PARAMS, torch.device("cpu"), str)[1]
    monkeypatch.undo()
    assert generate(sampling, TOKENIZER, prompts, SHORT).texts == expected
    torch.manual_seed(123)
    assert generate(sampling, TOKENIZER, prompts, SHORT).texts == expected


ADAPTERS = {
    "none": None,
    "LoRA": LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=9),
    "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=9),
    "IA3": IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj"], feedforward_modules=[], init_ia3_weights=False),
}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_batches_and_length_order_change_nothing(prompts, adapter):
    torch.manual_seed(0)
    model = Text.load(PARAMS, torch.device("cpu"), str)[1]
    if ADAPTERS[adapter] is not None:
        model = get_peft_model(model, ADAPTERS[adapter]).eval()
    together = generate(model, TOKENIZER, prompts, SHORT)
    alone = []
    for prompt in prompts:
        output = model.generate(input_ids=torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                                do_sample=False, max_new_tokens=30)  # fmt: skip
        alone.append(TOKENIZER.decode(output[0, len(prompt) :], skip_special_tokens=True))
    assert together.texts == alone


def test_only_special_tokens_survive_of_a_generation_config():
    model = Text.load(PARAMS, torch.device("cpu"), str)[1]
    model.generation_config = GenerationConfig(eos_token_id=[7, 9], forced_bos_token_id=3, max_length=5)
    neutralize_generation_config(model, TOKENIZER)
    assert model.generation_config.eos_token_id == sorted({7, 9, TOKENIZER.eos_token_id})
    assert model.generation_config.forced_bos_token_id is None
    assert model.generation_config.max_length != 5
