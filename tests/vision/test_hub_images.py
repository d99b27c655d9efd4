"""The real path of the image task: unmodified experiments against a hub on 127.0.0.1 with a tiny ViT and a few pictures."""

import io
import json
import re
import tempfile
from functools import partial
from pathlib import Path

import datasets
import pytest
import torch
from hub import Repo, parquet_repo, run_experiments
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import ViTConfig, ViTModel

from harness.experiment import ROOT, read_experiment
from harness.task import load_task

FOLDER = ROOT / "method_comparison" / "ImageClassification"
TASK = load_task(FOLDER)
PETS, LORA = TASK.datasets["pets"], "lora/vit-base-patch16-224-in21k-qv-rank16"
REAL = sorted(f"{path.parent.name}/{path.name}" for path in FOLDER.glob("experiments/*/vit-base-*"))
PARAMS = read_experiment(FOLDER / "experiments" / LORA).params
MODEL = PARAMS.model_id
STEPS = [word for setting in ("max_steps=2", "eval_steps=2", "batch_size=4", "gradient_accumulation_steps=2", "valid_samples=2")
         for word in ("--set", setting)]  # fmt: skip


def tiny_vit(without: str = "") -> Repo:
    """A random ViT of two layers without a head, in the files and under the names of the real repository."""
    torch.manual_seed(0)
    config = ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                       image_size=224, patch_size=56)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        ViTModel(config).save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
        with safe_open(Path(folder) / "model.safetensors", "pt") as stored:
            assert "encoder.layer.0.attention.attention.query.weight" in stored.keys()  # noqa: SIM118
    half = [0.5, 0.5, 0.5]
    files["preprocessor_config.json"] = json.dumps(
        {"do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": half, "image_std": half,
         "image_processor_type": "ViTImageProcessor", "resample": 2, "rescale_factor": 1 / 255,
         "size": {"height": 224, "width": 224}}
    ).encode()  # fmt: skip
    files.pop(without, None)
    return Repo("models", MODEL, PARAMS.model_revision, files)


def photograph(number: int, kind: str) -> dict:
    """Noise in the formats and sizes that photographs come in."""
    torch.manual_seed(number)
    shape = (40 + number % 7, 50)
    picture = Image.frombytes("L", shape, bytes(torch.randint(256, (shape[0] * shape[1],)).tolist()))
    buffer = io.BytesIO()
    picture.convert(("RGB", "L", "RGBA")[number % 3]).save(buffer, "PNG" if number % 3 else "JPEG")
    return {"bytes": buffer.getvalue(), "path": f"{kind}_{number}.jpg"}


def pets(broken: bool = False) -> Repo:
    """Both splits; one test photograph is a training photograph too."""

    def shard(numbers, kind):
        items = [photograph(number, kind) for number in numbers]
        if broken and kind == "train":
            items = [item | {"bytes": b"no picture" + bytes([index])} for index, item in enumerate(items)]
        made = datasets.Dataset.from_dict({"image": items, "label": [number % 37 for number in numbers]})
        features = datasets.Features(
            {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(TASK.classes["hub"]))}
        )
        return made.cast(features)

    return parquet_repo(PETS.repo_id, PETS.revision,
                        {"default": {"train": [shard(range(111), "train")], "test": [shard(range(110, 118), "test")]}})  # fmt: skip


@pytest.fixture
def run_all(tmp_path):
    """Runs experiments as a user with an empty cache would; see `run_experiments`."""
    return partial(run_experiments, "ImageClassification", STEPS, tmp_path)


def check(path, result, folder):
    assert result.train_info.status == "success"
    assert result.meta_info.model_info.sha == PARAMS.model_revision
    assert result.meta_info.dataset_info[PETS.repo_id].sha == PETS.revision
    assert (result.task.train_rows, result.task.valid_rows, result.task.test_rows) == (60, 50, 8)
    assert (result.task.metric, result.task.work_unit) == ("accuracy", "images")
    assert result.forgetting is None
    assert result.train_info.num_head_params == 37 * 33
    assert all(1 < line.train_loss < 10 for line in result.train_info.metrics)
    saved = {}
    for file in folder.glob("*/*.safetensors"):
        saved |= load_file(file)
    assert any("classifier" in name for name in saved)
    grown = [tensor for name, tensor in saved.items() if "lora_B" in name]
    assert all(tensor.abs().max() > 0 for tensor in grown), f"{path}: zero before training"


@pytest.mark.slow  # a process that imports everything
def test_lora_runs_unmodified(run_all):
    done, found = run_all((tiny_vit(), pets()), LORA)
    assert done.returncode == 0, done.stderr
    check(LORA, *found[LORA])


@pytest.mark.slow  # 16 runs
def test_every_method_runs_unmodified(run_all):
    others = [path for path in REAL if not path.startswith("adalora")]
    done, found = run_all((tiny_vit(), pets()), *others)
    assert done.returncode == 0, done.stderr
    assert sorted(found) == others
    for path, one in found.items():
        check(path, *one)


FAILURES = {
    "no image processor": ("preprocessor_config.json", False, {}, MODEL),
    "pictures that are none": ("", True, {}, "its image cannot be read"),
    "dataset 500": ("", False, {PETS.repo_id: 500}, PETS.repo_id),
    "model gated": ("", False, {MODEL: 403}, "accept"),
    "download cut": ("", False, {f"{MODEL}/resolve/.*/model.safetensors": "cut"}, "connection"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILURES)
def test_failures_are_one_line(case, run_all):
    without, broken, faults, said = FAILURES[case]
    done, found = run_all((tiny_vit(without), pets(broken)), LORA, faults=faults.items())
    assert done.returncode == 2, done.stderr
    (line,) = re.findall(r"error: .*", done.stderr)  # behind what is left of a progress bar
    assert said in line
    assert "Traceback" not in done.stderr
    assert found[LORA][0].train_info.status == "failed"
