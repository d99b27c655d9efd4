"""Result files for tests: ours through the schema, published ones by hand."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas
import pytest

from harness.result.experiments import by_experiment
from harness.result.files import Skipped
from harness.result.frame import to_frame
from harness.result.read import read_results
from harness.result.schema import Result


@dataclass(frozen=True)
class Loaded:
    """The frame of the runs below some paths, and what was left out."""

    runs: pandas.DataFrame
    skipped: list[Skipped]


def load(paths, task=None) -> Loaded:
    found = read_results(paths, task)
    return Loaded(to_frame(found.records), found.skipped)


def ours(
    experiment="lora/rank8", seed=0, scores=(1.0, 0.0, 1.0, 1.0), task="MetaMathQA", subset=None, protocol=1, **changes
) -> dict:
    """One of our results; `changes` has dotted paths, as in **{"train_info.status": "failed"}."""
    method, name = experiment.split("/")
    mean = sum(scores) / len(scores) if scores else None
    metrics = [{"step": 80, "train loss": 0.2}, {"step": 160, "test score": mean, "forgetting": 0.1}]
    result = Result(
        protocol=protocol, method=method, name=name, seed=seed,
        run_info={"created_at": "2026-11-22T08:00:00+00:00", "total_time": 45.0, "experiment_name": experiment, "peft_branch": "v1",
                  "train_config": {"model_id": "embedded/llama", "dtype": "float32", "seed": seed, "max_steps": 160, "optimizer_kwargs": {"lr": 0.002}},
                  "peft_config": {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8}},
        train_info={"status": "success", "num_trainable_params": 100, "num_total_params": 1000, "file_size": 400, "train_time": 40.0,
                    "accelerator_memory_max": 7, "metrics": metrics},
        meta_info={"package_info": {"torch-version": "2.13.0+cpu", "peft-version": "0.21.2"}, "system_info": {}, "pytorch_info": ""},
        task={"name": task, "subset": subset, "data_source": "embedded", "metric": "accuracy", "higher_is_better": True},
        hardware={"slug": "cpu-x86-64"},
        memory={"train": {"allocated": 600, "reserved": 700 + seed}},
        quality={"test_score": mean, "test_scores": list(scores), "base_score": 0.25},
        provenance={"command": "", "harness_commit": None, "harness_dirty": None, "untracked_files": None, "config_fingerprint": "c",
                    "data_fingerprint": "d" * 64},
    )  # fmt: skip
    return change(result.model_dump(by_alias=True), changes)


def change(data: dict, changes: dict) -> dict:
    """Sets dotted paths."""
    for path, value in changes.items():
        *folders, last = path.split(".")
        inner = data
        for folder in folders:
            inner = inner[folder]
        inner[last] = value
    return data


def published(experiment="lora/llama-3.2-3B-rank32", accuracy=0.478, seed=0, **changes) -> dict:
    """A result in the layout of Hugging Face's method_comparison, without anything of ours."""
    commits = {
        f"{package}-commit-hash": None for package in ("torch", "peft", "transformers", "datasets", "bitsandbytes")
    }
    data = {
        "run_info": {
            "created_at": "2025-06-20T09:36:43+00:00", "total_time": 2049.2, "experiment_name": experiment, "peft_branch": "main",
            "train_config": {"model_id": "meta-llama/Llama-3.2-3B", "dtype": "bfloat16", "max_seq_length": 768, "batch_size": 4,
                             "batch_size_eval": 50, "max_steps": 5000, "eval_steps": 250, "compile": False, "seed": seed,
                             "query_template": "Question: {query} Think step by step.\nAnswer:", "grad_norm_clip": 1.0,
                             "optimizer_type": "AdamW", "optimizer_kwargs": {"lr": 0.0001, "weight_decay": 0.1},
                             "lr_scheduler": "cosine", "use_amp": False, "autocast_adapter_dtype": True,
                             "generation_kwargs": {"max_length": 800, "max_new_tokens": 300}, "attn_implementation": None},
            "peft_config": {"task_type": None, "peft_type": "LORA", "auto_mapping": None, "r": 32, "lora_alpha": 64,
                            "target_modules": ["v_proj", "q_proj"], "base_model_name_or_path": None},
            "error_msg": "",
        },
        "train_info": {
            "accelerator_memory_reserved_avg": 11868689976, "accelerator_memory_max": 22273855488,
            "accelerator_memory_reserved_99th": 17731197992, "train_time": 1867.9, "file_size": 36715216,
            "num_trainable_params": 9175040, "num_total_params": 3221924864, "status": "success",
            "metrics": [
                {"step": 250, "valid accuracy": 0.36, "train loss": 0.88, "train samples": 1000, "train time": 37.6, "eval time": 11.1,
                 "tokens / sec": 5630.4, "mem allocated avg": 6831567044.5, "mem reserved avg": 11832613732.3, "elapsed time": 122.7},
                {"step": 5000, "test accuracy": accuracy, "train loss": 0.607, "train samples": 20000, "train total tokens": 4198051},
            ],
        },
        "meta_info": {
            "model_info": {"sha": "13afe5124825b4f3751f836b40dafda64c1ed062", "created_at": "2024-09-18T15:23:48+00:00"},
            "dataset_info": {"metamath": {"sha": "aa4f34d3d2d3231299b5b03d9b3e5a20da45aa18", "created_at": "2023-09-21T17:22:46+00:00"}},
            "package_info": {"torch-version": "2.7.1+cu126", "peft-version": "0.15.2", "transformers-version": "4.52.4",
                             "datasets-version": "3.6.0", "bitsandbytes-version": "0.46.0"} | commits,
            "system_info": {"system": "Linux", "release": "6.8.0", "version": "#40", "machine": "x86_64", "processor": "x86_64",
                            "accelerator": "NVIDIA L40S"},
            "pytorch_info": "PyTorch built with: …",
        },
    }  # fmt: skip
    return change(data, changes)


def write(folder: Path, *results: dict) -> Path:
    """One file for each, numbered on from what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    start = len(list(folder.iterdir()))
    for number, result in enumerate(results, start):
        (folder / f"{number:05}.json").write_text(json.dumps(result))
    return folder


ITEMS = 40


def answers(right, items=ITEMS):
    """Scores with so many right ones, first."""
    return [1.0] * right + [0.0] * (items - right)


def experiments_of(folder, *results):
    write(folder, *results)
    loaded = load([folder])
    assert not loaded.skipped
    return by_experiment(loaded.runs)


def seeds_of(experiment, rights, **changes):
    return [ours(experiment, seed, answers(right), **changes) for seed, right in enumerate(rights)]


NUMBER = re.compile(r"-?\d+\.\d+")


def assert_current(new, old, command, **tolerance):
    """Files of the same results, whose numbers may differ in their last digits from one machine to another."""
    advice = f"the committed file is old: {command}"
    assert NUMBER.sub("0", new) == NUMBER.sub("0", old), advice
    pairs = zip(map(float, NUMBER.findall(new)), map(float, NUMBER.findall(old)), strict=True)
    assert not [pair for pair in pairs if pair[0] != pytest.approx(pair[1], **tolerance)], advice
