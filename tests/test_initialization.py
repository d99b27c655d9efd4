"""What an adapter begins with where it is made from data, and what is refused."""

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from harness import adapter as adapters
from harness.adapter_config import Adapter, build_adapter_config
from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.params import Initialization
from harness.task import Row
from harness.workloads.text import Text

LLAMA = ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"
PARAMS = read_experiment(LLAMA).params
CPU = torch.device("cpu")
ROWS = [Row(f"What is {n} plus {n}, if every number has {n} friends?", f"It is {2 * n}. #### {2 * n}", "", str(n)) for n in range(40)]  # fmt: skip
LORA = {"peft_type": "LORA", "target_modules": ["q_proj", "down_proj"]}


def started(values, **given):
    """A workload, its base model's logits on a row, and the adapted model."""
    params = PARAMS.model_copy(update={"initialization": Initialization(**given), "batch_size": 8})
    workload, base = Text.load(params, CPU, lambda key: "file")
    inputs = workload.collate([workload.encode(ROWS[0])]).inputs
    with torch.no_grad():
        untouched = base(**inputs).logits
    torch.manual_seed(0)
    model = adapters.attach(base, Adapter(values, "file", params), params, "CAUSAL_LM", workload.data(ROWS, CPU))
    return workload, inputs, untouched, model.eval()


def test_cpt_begins_with_whole_rows_and_knows_what_their_tokens_are():
    workload, *_, model = started({"peft_type": "CPT", "task_type": "CAUSAL_LM"}, rows=2)
    config, tokenizer = model.peft_config["default"], workload.encoder.tokenizer
    first, second = workload.data(ROWS, CPU).examples(2)
    assert config.cpt_token_ids == first[0] + second[0]
    assert config.cpt_tokens_type_mask == first[1] + [4 + kind for kind in second[1]]
    assert adapters.parameter_counts(model)[0] == len(config.cpt_token_ids) * 192

    def text_of(kind):
        return tokenizer.decode([token for token, part in zip(*first, strict=True) if part == kind])

    assert [text_of(kind).strip() for kind in (1, 3)] == ["Question:", "Answer:"]
    assert text_of(2).strip().startswith("What is")
    assert "####" in text_of(4)


def test_a_cut_row_keeps_a_part_for_each_token():
    params = PARAMS.model_copy(update={"max_seq_length": 24})
    workload, _ = Text.load(params, CPU, lambda key: "file")
    tokens, parts = workload.encoder.parts(ROWS[9])
    assert tokens == workload.encode(ROWS[9]).prompt + workload.encode(ROWS[9]).target
    assert len(tokens) == len(parts)
    assert parts == sorted(parts), "template, prompt, template, target"
    assert set(parts) == {1, 2, 3, 4}


def test_eva_moves_ranks_and_starts_from_the_inputs():
    *_, untouched, model = started(LORA | {"r": 4, "init_lora_weights": "eva"}, rows=32)
    ranks = [module.r["default"] for module in model.modules() if hasattr(module, "lora_A")]
    assert sum(ranks) == 4 * 8, "as many directions as before, in other places"
    assert len(set(ranks)) > 1
    assert len(model.peft_config["default"].rank_pattern) > 0


def test_eva_ends_where_its_directions_never_settle(monkeypatch):
    monkeypatch.setattr("harness.initialization.EVA_PASSES", 2)
    with pytest.raises(UserError, match="^file: init_lora_weights: EVA's directions do not settle on so little data"):
        started(LORA | {"r": 64, "init_lora_weights": "eva"}, rows=1)


@pytest.mark.parametrize("kind", ["corda", "lora_ga", "pissa_niter_2"])
def test_what_was_taken_out_of_the_base_is_in_what_is_saved(kind, tmp_path):
    given = {} if kind.startswith("pissa") else {"rows": 16}
    _, inputs, untouched, model = started(LORA | {"r": 4, "init_lora_weights": kind}, **given)
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, untouched, rtol=1e-3, atol=1e-3)  # nothing changes at first
        with model.disable_adapter():
            assert (model(**inputs).logits - untouched).abs().max() > 0.1, "the base has lost a part"
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01 * torch.randn_like(parameter))
        trained = model(**inputs).logits
        (file,) = adapters.save(model, tmp_path)
        assert {min(tensor.shape) for tensor in load_file(file).values()} == {8}, "twice the rank"
        _, base = Text.load(PARAMS, CPU, lambda key: "file")
        loaded = PeftModel.from_pretrained(base, tmp_path)
        torch.testing.assert_close(loaded(**inputs).logits, trained, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(model(**inputs).logits, trained)


def test_a_prefix_begins_with_the_keys_and_values_of_a_text():
    text = "You are a helpful assistant who solves problems step by step."
    prefix = {"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 6}
    workload, inputs, _, model = started(prefix, text=text)
    tokens = workload.encoder.tokens(text, 6)[:6]
    with torch.no_grad():
        after_text = {"input_ids": torch.tensor([tokens + inputs["input_ids"][0].tolist()])}
        expected = model.get_base_model()(**after_text).logits[:, 6:]
        torch.testing.assert_close(model(**inputs).logits, expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(UserError, match="^file: num_virtual_tokens: expected at most "):
        started(prefix | {"num_virtual_tokens": 200}, text=text)


def test_kasa_and_monteclora_add_their_own_terms():
    _, inputs, _, plain = started(LORA)
    assert adapters.own_terms(plain) == 0.0
    for key in ("kasa_config", "monteclora_config"):
        workload, inputs, _, model = started(LORA | {key: {}})
        model.train()
        model(**inputs)  # MonteCLoRA's terms are of what it drew last
        terms = adapters.own_terms(model)
        assert terms.requires_grad
        assert terms.item() != 0.0
    assert workload.loss(model, inputs).item() != model(**inputs, use_cache=False).loss.item()


@pytest.mark.parametrize(
    ("values", "given", "message"),
    [
        (LORA | {"init_lora_weights": "eva"}, None, 'eva is made from training rows; add "initialization": {"rows": 64} to'),
        ({"peft_type": "CPT", "task_type": "CAUSAL_LM"}, None, 'cpt is made from training rows; add "initialization": {"rows": 2}'),
        (LORA, {"rows": 4}, "nothing in it is made from training rows; remove initialization.rows"),
        (LORA, {"text": "a"}, "only prefix tuning without prefix_projection, and Cartridge, begin with a text"),
        ({"peft_type": "CPT", "task_type": "CAUSAL_LM", "cpt_mask": [1]}, {"rows": 1}, "cpt_mask: made of as many training rows"),
        (LORA | {"init_lora_weights": "corda", "target_modules": "all-linear"}, {"rows": 4}, "target_modules: expected a list"),
        (LORA | {"corda_config": {"cache_file": "x"}}, None, "corda_config.cache_file: not allowed in an experiment"),
        (LORA | {"use_qalora": True}, None, "use_qalora: not offered, since without a GPTQ base"),
        (LORA | {"alora_invocation_tokens": [1]}, None, "alora_invocation_tokens: not offered, since aLoRA waits for tokens"),
        (LORA | {"arrow_config": {"top_k": 1}}, None, "arrow_config: not offered, since Arrow routes between adapters"),
        ({"peft_type": "XLORA"}, None, "peft_type: XLORA mixes LoRA adapters that were trained before"),
        ({"peft_type": "POLY"}, None, "peft_type: POLY mixes skills of several tasks"),
        ({"peft_type": "MULTITASK_PROMPT_TUNING"}, None, "peft_type: MULTITASK_PROMPT_TUNING shares a prompt"),
        (LORA | {"astra_config": None}, None, "astra_config: unknown key of LORA; the installed PEFT "),
        (LORA | {"new": 1, "peft_version": "9.9"}, None, "new: unknown key of LORA; the installed PEFT "),
        ({"peft_type": "BONE"}, None, "peft_type: PEFT has no 'BONE'; the installed PEFT "),
    ],
)  # fmt: skip
def test_what_is_refused_has_its_reason_in_one_line(values, given, message):
    params = PARAMS.model_copy(update={"initialization": given and Initialization(**given)})
    with pytest.raises(UserError) as caught:
        build_adapter_config(values, "file", params)
    assert str(caught.value).startswith(f"file: {message}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="LoftQ works with CUDA")
def test_loftq_needs_cuda():
    with pytest.raises(UserError, match="^file: init_lora_weights: PEFT computes LoftQ on a CUDA device"):
        build_adapter_config(LORA | {"init_lora_weights": "loftq", "loftq_config": {"loftq_bits": 4}}, "file", PARAMS)


def test_more_rows_than_there_are():
    with pytest.raises(UserError, match="^initialization.rows: expected at most the 40 rows to train on, got 41"):
        started({"peft_type": "CPT", "task_type": "CAUSAL_LM"}, rows=41)
