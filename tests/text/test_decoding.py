"""Our decoding loop and the cache that grows in place: the answers are those of transformers' own, only faster."""

import pytest
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from transformers import (
    DynamicCache,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from harness.text.decoding import decode_greedily
from harness.text.key_value_cache import SMALLEST_ROOM, growing_cache

NEW_TOKENS = 2 * SMALLEST_ROOM + 10  # so that room runs out twice


def llama():
    config = LlamaConfig(vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, pad_token_id=0,
                         num_key_value_heads=2, intermediate_size=48, initializer_range=0.4, eos_token_id=None, bos_token_id=None)  # fmt: skip
    return LlamaForCausalLM(config)


def t5():
    config = T5Config(vocab_size=97, initializer_factor=4.0, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, pad_token_id=0,
                      decoder_start_token_id=0, eos_token_id=None)  # fmt: skip
    return T5ForConditionalGeneration(config)


MODELS = {
    "causal": llama,
    "LoRA": lambda: get_peft_model(llama(), LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False)),
    "prefix": lambda: get_peft_model(llama(), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)),
    "IA3": lambda: get_peft_model(llama(), IA3Config(task_type="CAUSAL_LM", init_ia3_weights=False)),
    "prompt": lambda: get_peft_model(llama(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=5)),
    "encoder-decoder": t5,
    "encoder-decoder prompt": lambda: get_peft_model(
        t5(), PromptTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=5, num_transformer_submodules=1)
    ),
    "encoder-decoder prefix": lambda: get_peft_model(
        t5(), PrefixTuningConfig(task_type="SEQ_2_SEQ_LM", num_virtual_tokens=5)
    ),
}


def decode(model, **kwargs):
    inputs = torch.tensor([[0, 0, 5, 6, 7], [8, 9, 10, 11, 12], [0, 13, 14, 15, 16]])
    generated = model.generate(input_ids=inputs, attention_mask=(inputs != 0).long(), do_sample=False,
                               max_new_tokens=NEW_TOKENS, output_logits=True, return_dict_in_generate=True, **kwargs)  # fmt: skip
    return generated.sequences, torch.stack(generated.logits)


@pytest.mark.parametrize("name", MODELS)
def test_decoding_is_that_of_transformers_own_cache(name):
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    sequences, logits = decode(model)
    with growing_cache():
        ours, our_logits = decode(model)
    assert ours.shape[1] >= NEW_TOKENS
    assert torch.equal(ours, sequences)
    torch.testing.assert_close(our_logits, logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3, "min_new_tokens": 9}])
@pytest.mark.parametrize("name", MODELS)
def test_rows_that_end_leave_the_batch_and_nobody_notices(name, options):
    torch.manual_seed(1)
    model = MODELS[name]().eval()
    inputs = torch.randint(5, 90, (12, 6))
    mask = torch.ones_like(inputs)

    def answers(ends, **kwargs):
        config = GenerationConfig(do_sample=False, max_new_tokens=40, eos_token_id=ends, pad_token_id=0, bos_token_id=1,
                                  decoder_start_token_id=0, **options)  # fmt: skip
        return model.generate(input_ids=inputs, attention_mask=mask, generation_config=config, **kwargs)

    def until_end(tokens, ends):
        end = next((place for place, token in enumerate(tokens) if token in ends), len(tokens) - 1)
        return tokens[: end + 1]

    endless = answers([96], custom_generate=decode_greedily)
    ends = sorted(
        {int(endless[row, 3 * row + 2]) for row in range(0, 12, 2)}
    )  # some rows end early, some late or never
    # generate returns what it was given too: a prompt, or an encoder-decoder model's start token
    given = 1 if name.startswith("encoder-decoder") else inputs.shape[1]
    theirs = [until_end(row, ends) for row in answers(ends)[:, given:].tolist()]
    ours = [until_end(row, ends) for row in answers(ends, custom_generate=decode_greedily).tolist()]
    assert ours == theirs
    assert len(set(map(len, ours))) > 2, "answers of several lengths, or this tests nothing"


def test_a_cache_whose_rows_were_selected_or_cropped_goes_on_right():
    torch.manual_seed(0)
    new = [torch.randn(3, 2, 1, 4) for _ in range(6)]
    caches = []
    for grows in (False, True):
        cache = DynamicCache()
        with growing_cache() if grows else torch.inference_mode():
            for state in new[:4]:
                cache.update(state, -state, 0)
            cache.batch_select_indices(torch.tensor([2, 0]))
            cache.update(new[4][:2], -new[4][:2], 0)
            cache.crop(-2)
            cache.update(new[5][:2], -new[5][:2], 0)
        caches.append(cache.layers[0])
    assert torch.equal(caches[0].keys, caches[1].keys)
    assert torch.equal(caches[0].values, caches[1].values)
    assert caches[1].keys.shape == (2, 2, 4, 4)


def test_no_step_copies_what_is_there():
    cache, state = DynamicCache(), torch.ones(2, 2, 1, 4)
    with growing_cache():
        places = {cache.update(state, state, 0)[0].data_ptr() for _ in range(SMALLEST_ROOM)}
    assert len(places) == 2, "the first tokens, and the room that everything else is written into"
