"""The parts of training memory against sums made another way."""

import json
import os
import subprocess
import sys

import pytest
import torch
from conftest import LORA
from transformers import LlamaConfig, LlamaForCausalLM

from harness.experiment import ROOT
from harness.measure.memory_parts import storage_bytes

CPU = torch.device("cpu")
# Makes glibc give freed memory back at once. By itself it keeps more or less of it, by how it is used and by machine.
GIVES_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
FULL = ROOT / "method_comparison/MetaMathQA/experiments/full-finetuning/embedded-llama"


def test_tied_weights_and_views_count_once():
    block = torch.zeros(100, 10)
    assert storage_bytes([block, block[3:], block.T, block.view(-1)], CPU) == 4000
    model = LlamaForCausalLM(LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=8, num_hidden_layers=1,
                                         num_attention_heads=2, tie_word_embeddings=True))  # fmt: skip
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert storage_bytes([*model.parameters(), model.lm_head.weight], CPU) == 4 * model.num_parameters()


@pytest.mark.parametrize(
    ("experiment", "trained", "frozen"), [(LORA, 108_544, 1_771_200), (FULL, 1_771_200, 0)], ids=["LoRA", "full"]
)
def test_parts_of_a_run_are_what_its_parameters_take(experiment, trained, frozen, run_main):
    parts = run_main(experiment).json["memory_parts"]
    assert parts["trained_weights"] == parts["gradients"] == 4 * trained
    assert 4 * frozen <= parts["base_weights"] < 4 * frozen + 4096, "weights, and a few buffers"
    tensors = parts["optimizer_state"] - 2 * 4 * trained  # AdamW keeps two moments, and a step count for each tensor
    assert 0 < tensors < 4096
    assert parts["remainder"] >= 0


@pytest.mark.slow
def test_a_packed_base_takes_less(run_main):
    plain = run_main(LORA).json["memory_parts"]["base_weights"]
    packed = {dtype: run_main(LORA, "--set", f"dtype={dtype}").json["memory_parts"]["base_weights"] for dtype in
              ("bfloat16", "int8", "int4")}  # fmt: skip
    assert packed["int4"] < packed["int8"] < packed["bfloat16"] < 0.51 * plain


@pytest.mark.slow
def test_the_remainder_grows_with_the_batch_and_the_rest_stays(tmp_path):
    seen = {}
    for size in (32, 64, 96):  # a process each: what one frees, its allocator may keep and use again
        arguments = [
            "--output",
            str(tmp_path / str(size)),
            "--device",
            "cpu",
            "--set",
            f"batch_size={size}",
            "--set",
            "max_steps=4",
            "--set",
            "eval_steps=4",
            "--set",
            "generation_kwargs.max_new_tokens=1",
            "--set",
            "max_seq_length=64",
        ]  # fmt: skip; every row is cut to that, so that all are equally long
        subprocess.run([sys.executable, "run.py", LORA, *arguments], cwd=ROOT, env=os.environ | GIVES_BACK, check=True,
                       capture_output=True)  # fmt: skip
        (path,) = (tmp_path / str(size)).glob("runs/*/*/*/result.json")
        seen[size] = json.loads(path.read_text())["memory_parts"]
    fixed = [{**parts, "remainder": None} for parts in seen.values()]
    assert fixed[0] == fixed[1] == fixed[2]
    small, middle, large = (parts["remainder"] for parts in seen.values())
    assert 0 < small < middle < large
    assert middle - small == pytest.approx(large - middle, rel=0.1)
