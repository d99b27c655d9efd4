"""Profiles: the real experiments, unmodified, on architectures scaled down so that a CPU can train them."""

import json

import pytest
from conftest import LORA, Outcome

import run
from harness import architecture as architectures
from harness import profiles
from harness.architecture import architecture
from harness.arguments import parse_arguments
from harness.experiment import ROOT, read_experiment
from harness.purpose import PROFILE_STEPS, profile_of
from harness.result.costs import costs_table
from harness.result.read import read_results
from harness.result.store import read_result
from harness.task import load_task
from harness.text.encoding import Sample
from harness.text.random_text import RandomEncoder, random_splits

CONTENT = ROOT / "method_comparison"
FLAGSHIP = CONTENT / "MetaMathQA/experiments/lora/llama-3.2-3B-rank32"
SMALL = {
    "meta-llama--Llama-3.2-3B": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16,
                                 "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300,
                                 "bos_token_id": 1, "eos_token_id": 2},
    "google-t5--t5-large": {"d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 2, "num_decoder_layers": 2,
                            "num_heads": 4, "vocab_size": 300},
}  # fmt: skip
SHORT = ["--set", "max_seq_length=64"]


@pytest.fixture
def scaled_down(tmp_path, monkeypatch):
    """Architectures of the real names, with small sizes; profiles of two steps."""
    folder = tmp_path / "architectures"
    folder.mkdir()
    for name, sizes in SMALL.items():
        config = json.loads((architectures.ARCHITECTURES / f"{name}.json").read_text())
        (folder / f"{name}.json").write_text(json.dumps(config | sizes))
    monkeypatch.setattr(architectures, "ARCHITECTURES", folder)
    monkeypatch.setattr("harness.purpose.PROFILE_STEPS", 2)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def profile(experiment, output, *arguments):
    given = ["--profile", "--device", "cpu", "--output", str(output), *arguments]
    return Outcome(run.main(parse_arguments([str(experiment), *given])), output)


@pytest.mark.parametrize("method", ["lora/llama-3.2-3B-rank32", "prompt_tuning/llama-3.2-3B-tokens100",
                                    "prefixtuning/llama-3.2-3B-tokens100", "ia3", "ln_tuning", "full-finetuning"])  # fmt: skip
def test_every_method_has_a_profile(method, scaled_down, tmp_path):
    (experiment,) = CONTENT.glob(f"MetaMathQA/experiments/{method}" + ("" if "/" in method else "/llama*"))
    outcome = profile(experiment, tmp_path)
    assert outcome.code == 0
    (path,) = (tmp_path / "results" / "profiles").glob("*/MetaMathQA--*.json")
    result = read_result(path)
    assert result.profile
    assert result.quality.test_score is None
    assert result.quality.base_score is None
    assert result.forgetting is None
    assert result.train_info.status == "success"
    assert result.train_info.file_size >= result.train_info.num_stored_params
    assert result.train_info.num_trainable_params > 0
    assert result.memory_parts.gradients > 0
    assert result.memory["train"].reserved >= 0, "above the start; none is left to see in a process of many tests"
    assert result.speed.samples_per_second > 0
    assert result.compute.flops_per_token > 0
    assert result.inference.overhead_unmerged.median > 0
    assert not list(outcome.folder.glob("*/*.safetensors")), "random weights are not kept"


def test_t5_and_one_subset(scaled_down, tmp_path):
    outcome = profile(CONTENT / "SuperGLUE/experiments/lora/t5-large-qv-rank8", tmp_path, "--subset", "copa")
    assert outcome.code == 0
    assert [path.name for path in tmp_path.glob("results/profiles/*/*")] == [
        "SuperGLUE--lora--t5-large-qv-rank8--copa--seed0.json"
    ]


def test_out_of_memory_is_a_profile_too(scaled_down, tmp_path, monkeypatch):
    def exhaust(*_):
        raise MemoryError("no more")

    monkeypatch.setattr("harness.optimizers.build_optimizer", exhaust)
    outcome = profile(FLAGSHIP, tmp_path)
    assert outcome.code == 3
    (path,) = (tmp_path / "results" / "profiles").glob("*/*.json")
    result = read_result(path)
    assert result.train_info.status == "out_of_memory"
    assert "load" in result.memory
    assert "out of memory" in costs_table(read_results([path]).records)


def test_modified_profiles_and_existing_ones(scaled_down, tmp_path, capsys):
    assert profile(FLAGSHIP, tmp_path, *SHORT).code == 0
    assert not (tmp_path / "results").exists(), "modified by --set"
    assert profile(FLAGSHIP, tmp_path).code == 0
    assert profile(FLAGSHIP, tmp_path).code == 2
    assert "exists" in capsys.readouterr().err
    assert profile(FLAGSHIP, tmp_path, "--skip-existing").code == 0
    profiles.main(["--table", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "meta-llama/Llama-3.2-3B" in printed
    assert "lora/llama-3.2-3B-rank32" in printed


@pytest.mark.parametrize("task", ["CNNDM", "MetaMathQA", "SuperGLUE"])
def test_lengths_are_the_tasks_and_cut_alike(task):
    experiments = sorted((CONTENT / task / "experiments").glob("lora/*"))
    folder = next(path for path in experiments if "embedded" not in path.name)
    experiment, content = profile_of(read_experiment(folder)), load_task(CONTENT / task)
    params = experiment.params
    assert params.max_steps == PROFILE_STEPS
    config = architecture(params.model_id, "test")
    encoder = RandomEncoder(config, params)
    for subset, lengths in content.token_lengths.items():
        splits = random_splits(content, subset, params)
        assert len(splits.train) == PROFILE_STEPS * params.batch_size * params.gradient_accumulation_steps
        samples = [encoder.encode(row) for row in splits.train]
        prompts = sorted(int(row.prompt) for row in splits.train)
        assert prompts[-1] == lengths.longest_prompt
        assert prompts[len(prompts) // 2] == pytest.approx(lengths.prompt_median, rel=0.2)
        room = params.max_seq_length
        assert all(isinstance(sample, Sample) and sample.target[-1] == config.eos_token_id for sample in samples)
        assert max(len(sample.prompt) for sample in samples) <= room
        assert config.is_encoder_decoder or max(map(len, samples)) <= room
        assert params.max_target_length is None or max(len(s.target) for s in samples) <= params.max_target_length
        assert encoder.encode(splits.train[0]) == samples[0], "the same row has the same tokens"


def test_metamathqa_has_the_published_mean():
    folder = CONTENT / "MetaMathQA/experiments/lora/llama-3.2-3B-rank32"
    params = profile_of(read_experiment(folder)).params
    encoder = RandomEncoder(architecture(params.model_id, "test"), params)
    task = load_task(CONTENT / "MetaMathQA")
    rows = [row for seed in range(20)
            for row in random_splits(task, None, params.model_copy(update={"seed": seed})).train]  # fmt: skip
    mean = sum(len(encoder.encode(row)) for row in rows) / len(rows)
    assert mean == pytest.approx(4_197_579 / 20_000, rel=0.05)


def test_the_command_line_may_say_how_long(scaled_down, tmp_path):
    outcome = profile(FLAGSHIP, tmp_path, "--set", "max_steps=3", "--set", "eval_steps=3")
    assert outcome.json["train_info"]["metrics"][-1]["step"] == 3


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_a_quantized_base_is_packed_as_the_loaded_one(dtype, run_main):
    loaded = run_main(LORA, "--set", f"dtype={dtype}").json["memory_parts"]
    made = run_main(LORA, "--set", f"dtype={dtype}", "--profile").json["memory_parts"]
    assert {**made, "remainder": None} == {**loaded, "remainder": None}


def test_a_base_that_came_from_nowhere_needs_no_tokenizer(scaled_down, tmp_path, monkeypatch, write_experiment):
    config = {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "prompt_tuning_init": "TEXT",
              "prompt_tuning_init_text": "Solve this.", "tokenizer_name_or_path": "meta-llama/Llama-3.2-3B"}  # fmt: skip
    for dtype in ("bfloat16", "int8"):
        folder = write_experiment(config, {"dtype": dtype}, f"prompt_tuning/text-{dtype}")
        assert profile(folder, tmp_path / dtype).code == 0


def test_a_tuning_trial_never_looks_at_test(run_main, monkeypatch):
    answered, evaluate = [], run.evaluate

    def spy(record, task, workload, model, rows, description):
        answered.append(description)
        assert not {row.prompt for row in rows} & {row.prompt for row in record.test_rows}
        return evaluate(record, task, workload, model, rows, description)

    monkeypatch.setattr(run, "evaluate", spy)
    load_splits = run.modes.load_splits

    def keep(task, source, subset):
        splits = load_splits(task, source, subset)
        run.Record.test_rows = splits.test
        return splits

    monkeypatch.setattr(run.modes, "load_splits", keep)
    outcome = run_main(LORA, "--tune")
    assert outcome.code == 0
    assert answered == ["valid"]
    assert outcome.json["quality"]["valid_score"] is not None
    assert outcome.json["quality"]["test_score"] is None
    assert outcome.json["quality"]["base_score"] is None
    assert not (outcome.output / "results").exists()
    assert not list(outcome.folder.glob("*/*.safetensors"))
    assert outcome.folder.parent.name.endswith("--tuning")
