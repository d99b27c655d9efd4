"""Decoding: greedy whatever the checkpoint says, and batching changes nothing."""

import pytest
import torch
from transformers import GenerationConfig

from harness.batches import Encoder
from harness.experiment import ROOT, read_experiment
from harness.generation import generate, neutralize_generation_config
from harness.models import load_base_model, load_tokenizer
from harness.params import GenerationKwargs
from harness.task import load_task

PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params
TOKENIZER = load_tokenizer(PARAMS, "test")
KWARGS = GenerationKwargs(max_new_tokens=12)


@pytest.fixture
def prompts():
    task = load_task(ROOT / "method_comparison" / "MetaMathQA")
    encoder = Encoder(TOKENIZER, PARAMS, is_encoder_decoder=False)
    return [encoder.encode_prompt(row.prompt)[0] for row in task.load_splits("embedded").valid[:10]]


def test_a_checkpoint_that_asks_for_sampling_is_decoded_greedily(tmp_path, prompts, monkeypatch):
    model = load_base_model(PARAMS, TOKENIZER, torch.device("cpu"), "test")
    expected = generate(model, TOKENIZER, prompts, 4, KWARGS).texts
    model.generation_config = GenerationConfig(do_sample=True, temperature=5.0, top_k=0, top_p=0.9, num_beams=2,
                                               repetition_penalty=3.0, max_new_tokens=3, min_length=9,
                                               eos_token_id=TOKENIZER.eos_token_id)  # fmt: skip
    model.save_pretrained(tmp_path)
    monkeypatch.setattr("harness.models.location", lambda params, where: (str(tmp_path), {}))
    sampling = load_base_model(PARAMS, TOKENIZER, torch.device("cpu"), "test")
    monkeypatch.undo()
    assert generate(sampling, TOKENIZER, prompts, 4, KWARGS).texts == expected
    torch.manual_seed(123)
    assert generate(sampling, TOKENIZER, prompts, 4, KWARGS).texts == expected


def test_batches_and_length_order_change_nothing(prompts):
    model = load_base_model(PARAMS, TOKENIZER, torch.device("cpu"), "test")
    together = generate(model, TOKENIZER, prompts, 4, KWARGS)
    alone = []
    for prompt in prompts:
        output = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                                do_sample=False, max_new_tokens=12)  # fmt: skip
        alone.append(TOKENIZER.decode(output[0, len(prompt) :], skip_special_tokens=True))
    assert together.texts == alone


def test_only_special_tokens_survive_of_a_generation_config():
    model = load_base_model(PARAMS, TOKENIZER, torch.device("cpu"), "test")
    model.generation_config = GenerationConfig(eos_token_id=[7, 9], forced_bos_token_id=3, max_length=5)
    neutralize_generation_config(model, TOKENIZER)
    assert model.generation_config.eos_token_id == sorted({7, 9, TOKENIZER.eos_token_id})
    assert model.generation_config.forced_bos_token_id is None
    assert model.generation_config.max_length != 5
