"""Results for tests of the dashboard's reasoning: written as files are, read as the dashboard reads them."""

import json

from harness.result.experiments import by_experiment
from harness.result.frame import to_frame
from harness.result.records import to_record

GPU = "nvidia-l40s"


def result(experiment="lora/a", seed=0, score=0.8, items=None, base=0.1, memory=500 * 2**20, peft_type=None, **other):
    """One result as its JSON has it; only what the Choose and Findings pages look at."""
    method, name = experiment.split("/")
    full = method == "full-finetuning"
    speed = {"train_tokens_per_second": other.get("tokens"), "samples_per_second": other.get("samples")}
    overheads = {f"overhead_{state}": {"median": other[state]} for state in ("merged", "unmerged") if state in other}
    return {
        "protocol": other.get("protocol", 1),
        "method": method,
        "name": name,
        "seed": seed,
        "overrides": other.get("overrides", {}),
        "profile": other.get("profile", False),
        "run_info": {
            "created_at": "2026-01-01T00:00:00+00:00",
            "experiment_name": experiment,
            "train_config": {
                "model_id": other.get("model", "some/model"),
                "dtype": other.get("dtype", "bfloat16"),
                "seed": seed,
                "optimizer_kwargs": {"lr": other.get("lr", 1e-3)},
            },
            "peft_config": None
            if full
            else {
                "peft_type": peft_type or method.upper(),
                "task_type": other.get("task_type", "CAUSAL_LM"),
                "r": other.get("rank", 8),
            },
        },
        "train_info": {
            "status": other.get("status", "success"),
            "train_time": other.get("train_time", 60.0),
            "file_size": other.get("storage", 2**20),
            "num_trainable_params": other.get("params", 1000),
            "num_total_params": other.get("total", 10**8),
            "metrics": [{"step": 1, "test accuracy": score, "forgetting": other.get("forgetting")}],
        },
        "meta_info": {"package_info": {}, "system_info": {"machine": "x86_64"}},
        "task": {
            "name": other.get("task", "Task"),
            "subset": other.get("subset"),
            "metric": "accuracy",
            "higher_is_better": other.get("higher", True),
        },
        "hardware": {"slug": other.get("hardware", GPU)},
        "memory": {"train": {"reserved": memory}},
        "speed": speed,
        "inference": overheads or None,
        "quality": {"test_score": score, "base_score": base, "test_scores": items or []},
        "provenance": {"shared_device": other.get("shared", False)},
    }


def seeds(experiment, scores, **other):
    """One result per score, of seeds 0, 1, …; a list given for another key has a value for each seed, too."""
    results = []
    for seed, score in enumerate(scores):
        own = {
            key: value[seed] if isinstance(value, list) and key != "items" else value for key, value in other.items()
        }
        results.append(result(experiment, seed, score, **own))
    return results


def frames(results):
    """The frames of runs and of experiments."""
    rows = [
        to_record(json.dumps(one).encode(), "Task") | {"source": f"results/{place}.json"}
        for place, one in enumerate(results)
    ]
    runs = to_frame(rows)
    return runs, by_experiment(runs)
