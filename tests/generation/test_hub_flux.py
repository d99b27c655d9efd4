"""The real path of image generation: unmodified experiments against a hub on 127.0.0.1 with a tiny FLUX.2 and a few pictures."""

import json
import re
from functools import partial

import pytest
from hub import run_experiments
from PIL import Image
from safetensors.torch import load_file
from tiny_flux import dino_repo, pictures_repo, pipeline_repo

from harness.experiment import ROOT, read_experiment
from harness.images import similarity
from harness.task import load_task

FOLDER = ROOT / "method_comparison" / "ImageGeneration"
TASK = load_task(FOLDER)
CAT, LORA = TASK.datasets["cat"], "lora/flux.2-klein-base-4B-rank32"
REAL = sorted(f"{path.parent.name}/{path.name}" for path in FOLDER.glob("experiments/*/flux*"))
PARAMS = read_experiment(FOLDER / "experiments" / LORA).params
MODEL, SHA = PARAMS.model_id, PARAMS.model_revision
STEPS = [
    word
    for setting in ("max_steps=2", "eval_steps=2", "sampling.steps=2", "sampling.side=64")
    for word in ("--set", setting)
]


@pytest.fixture
def run_all(tmp_path):
    """Runs experiments as a user with an empty cache would; see `run_experiments`."""
    return partial(run_experiments, "ImageGeneration", STEPS, tmp_path, timeout=900)


def repos(without="", broken=False, count=20):
    return pipeline_repo(MODEL, SHA, without), pictures_repo(CAT.repo_id, CAT.revision, count, broken), dino_repo()


def check(path, result, folder):
    assert result.train_info.status == "success", path
    assert result.meta_info.model_info.sha == SHA
    assert result.meta_info.dataset_info[CAT.repo_id].sha == CAT.revision
    assert (result.task.train_rows, result.task.valid_rows, result.task.test_rows) == (14, 2, 12)
    assert (result.task.metric, result.task.work_unit) == ("dino_similarity", "images")
    assert all(0 <= score <= 1 for score in [*result.quality.test_scores, result.quality.base_score])
    assert result.forgetting.base_loss == pytest.approx(0, abs=1e-6)
    assert result.forgetting.tokens == len(TASK.unrelated)
    assert all(0.1 < line.train_loss < 10 for line in result.train_info.metrics)
    samples = result.quality.samples
    assert {sample.thumbnail[:22] for sample in samples} == {"data:image/png;base64,"}
    for sample in samples:
        with Image.open(folder / sample.picture) as picture:
            assert picture.size == (64, 64)
    assert [f"{score:.4f}" for score in result.quality.test_scores[:1]] == [json.loads(line)["prediction"] for line in
            (folder / "predictions.jsonl").read_text().splitlines()[:1]]  # fmt: skip
    saved = {}
    for file in folder.glob("*/*.safetensors"):
        saved |= load_file(file)
    grown = [tensor for name, tensor in saved.items() if "lora_B" in name]
    assert saved
    assert all(tensor.abs().max() > 0 for tensor in grown), f"{path}: zero before training"


@pytest.mark.slow  # a process that imports everything
def test_lora_runs_unmodified(run_all):
    done, found = run_all(repos(), LORA)
    assert done.returncode == 0, re.findall(r"error: .*", done.stderr) or done.stderr[-3000:]
    check(LORA, *found[LORA])


@pytest.mark.slow  # every method
def test_every_method_runs_unmodified(run_all):
    others = [path for path in REAL if not path.startswith("adalora")]  # which is told the length of its run
    done, found = run_all(repos(), *others)
    assert done.returncode == 0, re.findall(r"error: .*", done.stderr) or done.stderr[-3000:]
    assert sorted(found) == others
    for path, one in found.items():
        check(path, *one)


FAILURES = {
    "no transformer": ({"without": "transformer/config.json"}, {}, MODEL),
    "no weights": ({"without": "transformer/diffusion_pytorch_model.safetensors"}, {}, MODEL),
    "no tokenizer": ({"without": "tokenizer/tokenizer.json"}, {}, MODEL),
    "no autoencoder": ({"without": "vae/config.json"}, {}, MODEL),
    "pictures that are none": ({"broken": True}, {}, "its image cannot be read"),
    "another dataset": ({"count": 19}, {}, "expected 20 pictures of the cat, got 19"),
    "dataset 500": ({}, {CAT.repo_id: 500}, CAT.repo_id),
    "model gated": ({}, {MODEL: 403}, "accept"),
    "download cut": ({}, {f"{MODEL}/resolve/.*/text_encoder/model.safetensors": "cut"}, "connection"),
    "no judge": ({}, {similarity.MODEL: 500}, similarity.MODEL),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILURES)
def test_failures_are_one_line(case, run_all):
    made, faults, said = FAILURES[case]
    done, found = run_all(repos(**made), LORA, faults=faults.items())
    assert done.returncode == 2, done.stderr[-3000:]
    (line,) = re.findall(r"error: .*", done.stderr)  # behind what is left of a progress bar
    assert said in line
    assert "Traceback" not in done.stderr
    assert found[LORA][0].train_info.status == "failed"
