"""What a rehearsal changes in an adapter config so that it fits the embedded model, and what it says of it."""

import pytest

from harness.architecture import architecture
from harness.experiment import ROOT, read_experiment
from harness.rehearsal import adapt, rehearsal_of
from harness.workloads.text import Text

LLAMA, T5 = architecture("meta-llama/Llama-3.2-3B", "test"), architecture("google-t5/t5-large", "test")
SMALL_LLAMA, SMALL_T5 = architecture("embedded/llama", "test"), architecture("embedded/t5", "test")


@pytest.mark.parametrize(
    ("values", "changed"),
    [
        ({"peft_type": "PSOFT", "r": 256, "psoft_alpha": 256}, {"r": 64}),
        ({"peft_type": "LORA", "r": 32, "lora_alpha": 64}, {}),
        ({"peft_type": "LORA", "rank_pattern": {"q_proj": 512}}, {"rank_pattern": {"q_proj": 64}}),
        ({"peft_type": "OSF", "rank_pattern": {"q_proj": 2944, "k_proj": 896}}, {"rank_pattern": {"q_proj": 61, "k_proj": 18}}),
        ({"peft_type": "OSF", "effective_rank": 3072}, {"effective_rank": 63}),
        ({"peft_type": "OSF", "effective_rank": 0.5}, {}),
        ({"peft_type": "VBLORA"}, {"vector_length": 64}),
        ({"peft_type": "VBLORA", "vector_length": 32}, {"vector_length": 32}),
        ({"peft_type": "C3A", "block_size": 128, "block_size_pattern": {"q_proj": 1024}}, {"block_size": 64, "block_size_pattern": {"q_proj": 64}}),
        ({"peft_type": "OFT", "oft_block_size": 48}, {"oft_block_size": 32}),
        ({"peft_type": "TRAINABLE_TOKENS", "token_indices": [128000, 128001, 0]}, {"token_indices": [0, 1]}),
        ({"peft_type": "LORA", "trainable_token_indices": {"embed_tokens": [128001]}}, {"trainable_token_indices": {"embed_tokens": [1]}}),
        ({"peft_type": "ADAPTION_PROMPT", "adapter_len": 100, "adapter_layers": 28}, {"adapter_layers": 4}),
        ({"peft_type": "LILY", "r": 896, "stride_A": 14}, {"r": 64, "stride_A": 4}),
        ({"peft_type": "FOURIERFT", "n_frequency": 10**6}, {"n_frequency": 4096}),
        ({"peft_type": "ADALORA", "tinit": 200, "tfinal": 500, "total_step": 5000}, {"tinit": 1, "tfinal": 0, "total_step": 3}),
        ({"peft_type": "LORA", "layers_to_transform": [0, 27], "layer_replication": [[0, 28]]}, {"layers_to_transform": [0, 3], "layer_replication": [[0, 4]]}),
    ],
    ids=lambda value: value.get("peft_type", "") if isinstance(value, dict) else "",
)  # fmt: skip
def test_only_what_is_bound_to_the_size_changes_and_is_told(values, changed):
    adapted, lines = adapt(values, LLAMA, SMALL_LLAMA)
    assert adapted == values | changed
    different = {key for key, value in changed.items() if values.get(key) != value}
    assert {line.partition(":")[0] for line in lines} == different


def test_t5_has_its_own_widths():
    adapted, _ = adapt({"peft_type": "VBLORA", "r": 4}, T5, SMALL_T5)
    assert adapted["vector_length"] == 128


def test_what_only_a_gpu_has_becomes_what_a_cpu_has():
    folder = ROOT / "method_comparison/MetaMathQA/experiments/lora/llama-3.2-3B-rank64-qlora"
    rehearsed, changes = rehearsal_of(read_experiment(folder), Text)
    assert rehearsed.params.optimizer_type == "AdamW"
    assert rehearsed.params.optimizer_kwargs["lr"] == 2e-4
    assert rehearsed.params.dtype == "int4"
    assert "optimizer_type: 'PagedAdamW' -> 'AdamW'" in changes


def test_an_initialization_looks_at_fewer_rows():
    folder = ROOT / "method_comparison/MetaMathQA/experiments/lora/llama-3.2-3B-rank32-corda"
    rehearsed, _ = rehearsal_of(read_experiment(folder), Text)
    assert rehearsed.params.initialization.rows == 64
