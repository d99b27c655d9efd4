"""The real path of the T5 study: unmodified experiments against a hub on 127.0.0.1 that holds tiny T5s."""

import io
import json
import subprocess
import sys

import datasets
import pytest
import torch
from hub import DRIVER, Hub, Repo, environment, parquet_repo
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import T5Config, T5ForConditionalGeneration, T5Tokenizer

from harness.experiment import ROOT, read_experiment
from harness.result.schema import Result
from harness.task import load_task

TASKS = {name: load_task(ROOT / "method_comparison" / name) for name in ("SuperGLUE", "CNNDM")}
SUBSETS = ("boolq", "rte", "copa")
METHODS = ("full-finetuning/t5-large", "lora/t5-large-qv-rank8", "lora/t5-large-all-rank8", "lokr/t5-large-qv",
           "ln_tuning/t5-large", "ia3/t5-large", "prompt_tuning/t5-large-tokens20", "prefixtuning/t5-large-tokens30",
           "prefixtuning/t5-large-tokens30-mlp512")  # fmt: skip
LARGER = ("lora/t5-3b-qv-rank8", "prefixtuning/t5-3b-tokens30", "full-finetuning/t5-3b", "lora/t5-11b-all-rank8")
# Every method on one subset and on CNNDM, LoRA on each subset, the larger models on both tasks.
RUNS = {
    *(("SuperGLUE", path, SUBSETS[number % 3]) for number, path in enumerate(METHODS)),
    *(("SuperGLUE", "lora/t5-large-qv-rank8", subset) for subset in SUBSETS),
    *(("SuperGLUE", path, "copa") for path in LARGER),
    *(("CNNDM", path, None) for path in (*METHODS, "lora/t5-3b-qv-rank8", "lora/t5-11b-all-rank8")),
}
STEPS = [word for setting in ("max_steps=2", "eval_steps=2", "batch_size=4", "gradient_accumulation_steps=2", "valid_samples=2",
                                                "generation_kwargs.max_new_tokens=4")
         for word in ("--set", setting)]  # fmt: skip


def params_of(path):
    return read_experiment(ROOT / "method_comparison" / "SuperGLUE" / "experiments" / path).params


def tokenizer_files(texts) -> dict[str, bytes]:
    """A Unigram tokenizer in the files of the real repositories; its vocabulary ends with 100 sentinels, as T5's."""
    trained = Tokenizer(models.Unigram())
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False)
    trained.train_from_iterator(texts, trainer)
    pieces = json.loads(trained.to_str())["model"]["vocab"]
    sentinels = [(f"<extra_id_{number}>", 0.0) for number in reversed(range(100))]
    tokenizer = T5Tokenizer(vocab=[(piece, score) for piece, score in pieces] + sentinels)
    return {"tokenizer.json": tokenizer.backend_tokenizer.to_str().encode(),
            "tokenizer_config.json": b'{"model_max_length": 512}'}  # fmt: skip


def tiny_t5(size, tokenizer, heads, d_kv, old_format=False) -> Repo:
    """A random T5 of one layer a side, as a pytorch_model.bin only, with a config as old as the real ones."""
    torch.manual_seed(0)
    words = json.loads(tokenizer["tokenizer.json"])["model"]["vocab"]
    values = {"vocab_size": len(words) + 28, "d_model": 32, "d_kv": d_kv, "d_ff": 64, "num_layers": 1,
              "num_heads": heads, "eos_token_id": 1, "pad_token_id": 0, "decoder_start_token_id": 0,
              "is_encoder_decoder": True, "n_positions": 512, "relative_attention_num_buckets": 32}  # fmt: skip
    weights = T5ForConditionalGeneration(T5Config(**values)).state_dict()
    unused = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"  # which transformers leaves out
    buffer = io.BytesIO()
    torch.save(weights | {unused: torch.zeros(32, heads)}, buffer, _use_new_zipfile_serialization=not old_format)
    beams = {"summarization": {"num_beams": 4, "min_length": 30, "max_length": 200, "no_repeat_ngram_size": 3}}
    config = values | {"model_type": "t5", "architectures": ["T5WithLMHeadModel"], "output_past": True,
                       "task_specific_params": beams}  # fmt: skip
    params = params_of(f"lora/t5-{size}-qv-rank8")
    files = {"config.json": json.dumps(config).encode(), "pytorch_model.bin": buffer.getvalue()}
    return Repo("models", params.model_id, params.model_revision, files | tokenizer)


def shard(rows, labels=None):
    made = datasets.Dataset.from_list(rows)
    return made.cast_column("label", datasets.ClassLabel(names=labels)) if labels else made


def super_glue() -> Repo:
    """Each subset's three splits, as ClassLabel columns; the test split's labels are hidden, hence -1."""
    kinds = {
        "boolq": (lambda i: {"question": f"is {i} a number", "passage": f"{i} -- {i} is a number. " * (40 if i % 10 == 0 else 1)}, ["False", "True"]),
        "rte": (lambda i: {"premise": f"Ann has {i} cats.", "hypothesis": f"Ann has {i % 3} cats."}, ["entailment", "not_entailment"]),
        "copa": (lambda i: {"premise": f"I lost {i} keys.", "choice1": "I was happy.", "choice2": "I was sad.", "question": "effect"}, ["choice1", "choice2"]),
    }  # fmt: skip

    def rows(make, numbers, label):
        return [make(i) | {"idx": i, "label": i % 2 if label is None else label} for i in numbers]

    pinned = TASKS["SuperGLUE"].datasets["boolq"]
    return parquet_repo(pinned.repo_id, pinned.revision, {
        subset: {
            "train": [shard(rows(make, range(1, 121), None), labels)],
            "validation": [shard(rows(make, range(201, 209), None), labels)],
            "test": [shard(rows(make, range(301, 305), -1), labels)],
        }
        for subset, (make, labels) in kinds.items()
    })  # fmt: skip


def cnn_dailymail() -> Repo:
    """Config 3.0.0 with its train split in three shards, and an older config beside it."""

    def rows(start, stop):
        return [{"article": f"LONDON, England (CNN) -- Article {i} says that {i} is more than {i - 1}. " * (30 if i % 10 == 0 else 1),
                 "highlights": f"{i} is more than {i - 1} .\nThat is what the article says .",
                 "id": f"{i:040x}"} for i in range(start, stop)]  # fmt: skip

    splits = {
        "train": [shard(rows(start, start + 40)) for start in (1, 41, 81)],
        "validation": [shard(rows(201, 209))],
        "test": [shard(rows(301, 309))],
    }
    pinned = TASKS["CNNDM"].datasets["articles"]
    return parquet_repo(pinned.repo_id, pinned.revision, {"1.0.0": splits, "3.0.0": splits})


@pytest.fixture(scope="module")
def hub():
    glue, news = super_glue(), cnn_dailymail()
    texts = ["true false entailment not_entailment choice1 choice2 cause effect boolq passage question rte premise",
             "hypothesis copa Ann has cats I lost keys I was happy sad is a number summarize article says that London",
             *(str(i) for i in range(400))]  # fmt: skip
    tokenizer = tokenizer_files(texts)
    t5 = [tiny_t5("large", tokenizer, heads=4, d_kv=8), tiny_t5("3b", tokenizer, heads=32, d_kv=128),
          tiny_t5("11b", tokenizer, heads=4, d_kv=16, old_format=True)]  # fmt: skip
    with Hub(*t5, glue, news) as hub:
        yield hub


@pytest.fixture
def run_all(tmp_path, hub):
    """Runs as a user with this hub and an empty cache would; returns results and folders by task, path and subset."""

    def call(arguments):
        output = tmp_path / "output"
        done = subprocess.run([sys.executable, *arguments(["--device", "cpu", "--output", str(output), *STEPS])],
                              env=environment(hub, tmp_path / "home"), cwd=ROOT, capture_output=True, text=True, timeout=300)  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = {}
        for path in output.glob("runs/*/*/*/result.json"):
            result = Result.model_validate_json(path.read_text())
            found[result.task.name, result.run_info.experiment_name, result.task.subset] = (result, path.parent)
        return found, done.stdout

    return call


def path_of(task, experiment):
    return f"method_comparison/{task}/experiments/{experiment}"


def check(task, experiment, result, folder):
    params = params_of(experiment)
    assert result.train_info.status == "success"
    assert result.meta_info.model_info.sha == params.model_revision
    assert {info.sha for info in result.meta_info.dataset_info.values()} == {
        next(iter(TASKS[task].datasets.values())).revision
    }
    assert result.task.data_source == "hub"
    assert result.task.test_rows == 8
    assert (result.task.train_rows, result.task.valid_rows) == (70, 50)
    assert result.task.metric == TASKS[task].metric.name
    assert result.train_info.num_trainable_params > 0
    losses = [line.train_loss for line in result.train_info.metrics]
    assert all(0 < loss < 100 for loss in losses)
    saved = load_file(next(folder.glob("*/*.safetensors")))
    if "lora" in experiment:
        trained = [tensor for name, tensor in saved.items() if "lora_B" in name]
        assert trained, "zero before training"
        assert all(tensor.abs().max() > 0 for tensor in trained)
    elif "ia3" in experiment or "ln_tuning" in experiment:
        assert any((tensor != 1).any() for tensor in saved.values()), "one before training"


@pytest.mark.slow  # 26 runs
def test_every_method_runs_unmodified(run_all, hub):
    runs = [
        [path_of(task, path), *(["--subset", subset] if subset else [])]
        for task, path, subset in sorted(RUNS, key=str)
    ]
    found, _ = run_all(lambda common: ["-c", DRIVER, json.dumps([[*run, *common] for run in runs])])
    assert set(found) == RUNS
    for (task, path, _), (result, folder) in found.items():
        check(task, path, result, folder)
        if path.startswith("full-finetuning"):
            weights = hub.repos["models", params_of(path).model_id].files["pytorch_model.bin"]
            before, after = torch.load(io.BytesIO(weights)), load_file(folder / "model" / "model.safetensors")
            moved = (after["shared.weight"] - before["shared.weight"]).abs().max()
            assert 0 < moved < 1e-3, "training starts from the weights of the .bin file"
        if task == "SuperGLUE":
            assert result.quality.majority_baseline == 0.5
            assert (result.quality.base_score, result.quality.base_invalid_rate) == (0, 1)
        else:
            assert set(result.quality.further_scores) == {"ROUGE-1", "ROUGE-2", "ROUGE-L", "slots found"}
            assert result.quality.further_scores["ROUGE-L"] == pytest.approx(result.quality.test_score)
            assert result.quality.lengths.longest <= 4
            assert result.task.truncated_rows > 0, "long articles are cut at the source length"


@pytest.mark.slow  # four processes, most of whose time is importing
def test_without_subset_all_three_run_and_have_a_mean(run_all):
    path = "lora/t5-large-qv-rank8"
    found, printed = run_all(lambda common: ["run.py", path_of("SuperGLUE", path), *common])
    assert set(found) == {("SuperGLUE", path, subset) for subset in SUBSETS}
    mean = sum(result.quality.test_score for result, _ in found.values()) / 3
    assert f"SuperGLUE: {100 * mean:.1f} % accuracy, mean over subsets" in printed
