"""What each method of the T5 study trains, counted on the meta device from the shipped architectures."""

import pytest
from transformers import AutoModelForSeq2SeqLM

from harness.adapter_config import Adapter
from harness.architecture import architecture, meta_model
from harness.experiment import ROOT, all_experiments, read_experiment
from harness.rehearsal import check_architecture
from harness.result.tuning import read_tuning
from harness.workloads.text import Text

# From the study (DESIGN, section 5), exact. Prefix tuning is PEFT's own, which conditions the decoder only.
TRAINABLE = {
    "full-finetuning/t5-large": 737_668_096,
    "full-finetuning/t5-3b": 2_851_598_336,
    "full-finetuning/t5-11b": 11_307_321_344,
    "lora/t5-large-qv-rank8": 2_359_296,
    "lora/t5-3b-qv-rank8": 5_898_240,
    "lora/t5-11b-qv-rank8": 20_054_016,
    "lora/t5-large-all-rank8": 8_650_752,
    "lora/t5-3b-all-rank8": 25_165_824,
    "lora/t5-11b-all-rank8": 91_226_112,
    "ln_tuning/t5-large": 124_928,
    "ln_tuning/t5-3b": 124_928,
    "ln_tuning/t5-11b": 124_928,
    "ia3/t5-large": 344_064,
    "ia3/t5-3b": 1_376_256,
    "ia3/t5-11b": 5_505_024,
    "lokr/t5-large-qv": 221_184,
    "lokr/t5-3b-qv": 405_504,
    "lokr/t5-11b-qv": 774_144,
    "prompt_tuning/t5-large-tokens20": 20_480,
    "prompt_tuning/t5-3b-tokens20": 20_480,
    "prompt_tuning/t5-11b-tokens20": 20_480,
    "prefixtuning/t5-large-tokens30": 1_474_560,
    "prefixtuning/t5-3b-tokens30": 5_898_240,
    "prefixtuning/t5-11b-tokens30": 23_592_960,
    "prefixtuning/t5-large-tokens30-mlp512": 25_770_496,
    "prefixtuning/t5-3b-tokens30-mlp512": 103_080_448,
    "prefixtuning/t5-11b-tokens30-mlp512": 412_320_256,
    # The study's own, which PEFT does not ship: harness/methods. Their figures are in tests/methods/test_counts.py too.
    "houlsby/t5-large": 12_687_360,
    "houlsby/t5-3b": 12_687_360,
    "houlsby/t5-11b": 12_687_360,
    "pfeiffer/t5-large": 6_343_680,
    "pfeiffer/t5-3b": 6_343_680,
    "pfeiffer/t5-11b": 6_343_680,
    "parallel_adapter/t5-large": 50_405_424,
    "parallel_adapter/t5-3b": 50_405_424,
    "parallel_adapter/t5-11b": 50_405_424,
    "compacter/t5-large": 304_192,
    "compacter/t5-3b": 304_192,
    "compacter/t5-11b": 304_192,
    "compacter_plus_plus/t5-large": 152_128,
    "compacter_plus_plus/t5-3b": 152_128,
    "compacter_plus_plus/t5-11b": 152_128,
    "prefix_stacks/t5-large-tokens30": 4_423_680,
    "prefix_stacks/t5-3b-tokens30": 17_694_720,
    "prefix_stacks/t5-11b-tokens30": 70_778_880,
    "prefix_stacks/t5-large-tokens30-mlp512": 77_311_488,
    "prefix_stacks/t5-3b-tokens30-mlp512": 304_246_272,
    "prefix_stacks/t5-11b-tokens30-mlp512": 1_211_985_408,
    "mam/t5-large": 171_069_840,
    "mam/t5-3b": 525_406_608,
    "mam/t5-11b": 1_942_753_680,
    "unipelt/t5-large": 16_841_016,
    "unipelt/t5-3b": 24_803_640,
    "unipelt/t5-11b": 56_654_136,
    "lokr/t5-large-qv-krona": 294_912,
    "lokr/t5-3b-qv-krona": 589_824,
    "lokr/t5-11b-qv-krona": 1_179_648,
}
BASE = {size: TRAINABLE[f"full-finetuning/t5-{size}"] for size in ("large", "3b", "11b")}
TASKS = ("SuperGLUE", "CNNDM")
pytestmark = pytest.mark.filterwarnings("ignore:Unsupported layer type .*T5LayerNorm")  # LN tuning, as of any model


def size_of(path):
    return path.split("/t5-")[1].split("-")[0]


def read(task, path):
    return read_experiment(ROOT / "method_comparison" / task / "experiments" / path)


@pytest.mark.parametrize("path", TRAINABLE)
def test_trainable_parameters(path):
    experiment = read("SuperGLUE", path)
    trainable, total = check_architecture(experiment, Adapter.of(experiment), Text)
    assert trainable == TRAINABLE[path]
    added = 0 if path.startswith("full-finetuning") else trainable  # LN tuning trains copies of what it freezes
    assert total == BASE[size_of(path)] + added


def real_experiments(task):
    folders = [folder for folder in all_experiments() if folder.parents[2].name == task]
    return {f"{folder.parent.name}/{folder.name}" for folder in folders if folder.name.startswith("t5-")}


@pytest.mark.parametrize("task", TASKS)
def test_the_studys_experiments_are_counted_above(task):
    """They have all three sizes; what else PEFT ships has T5-large."""
    assert set(TRAINABLE) <= real_experiments(task)
    assert {path for path in real_experiments(task) if size_of(path) != "large"} <= set(TRAINABLE)


@pytest.mark.parametrize("path", sorted(real_experiments("SuperGLUE")))
def test_both_tasks_run_the_same_adapter_with_a_rate_that_nobody_tuned(path):
    superglue, cnndm = (read(task, path) for task in TASKS)
    assert superglue.adapter_config == cnndm.adapter_config
    for experiment in (superglue, cnndm):
        params = experiment.params
        assert read_tuning(experiment.folder) is None
        assert params.batch_size * params.gradient_accumulation_steps == 32
        assert params.max_seq_length == 512
        assert params.max_target_length == params.generation_kwargs.max_new_tokens
        assert params.model_id == f"google-t5/t5-{size_of(path)}"
    assert superglue.params.max_target_length == 8
    assert cnndm.params.max_target_length == 128
    assert superglue.params.planned_steps(350) == 100, "COPA is so small that min_steps decides"
    assert cnndm.params.planned_steps(320_000) == 10_000


@pytest.mark.parametrize(("size", "inner"), [("large", 1024), ("3b", 4096), ("11b", 16384)])
def test_the_architectures_are_t5_version_1_0(size, inner):
    model = meta_model(AutoModelForSeq2SeqLM, architecture(f"google-t5/t5-{size}", "test"))
    assert model.shared.weight is model.lm_head.weight
    assert model.encoder.block[0].layer[0].SelfAttention.q.weight.shape == (inner, 1024)
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    assert {"q", "k", "v", "o", "wi", "wo"} <= names
    assert "wi_0" not in names, "relu, not gated"
    assert model.config.decoder_start_token_id == model.config.pad_token_id == 0


@pytest.mark.parametrize("size", ["large", "3b", "11b"])
def test_a_prefix_has_the_shape_of_the_models_keys(size):
    """PEFT takes d_model for heads x d_kv; where that is wrong, the experiment says token_dim."""
    adapter, model = (
        read("CNNDM", f"prefixtuning/t5-{size}-tokens30").adapter_config,
        architecture(f"google-t5/t5-{size}", ""),
    )
    assert adapter.get("token_dim", model.d_model) == model.num_heads * model.d_kv
