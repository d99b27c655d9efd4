"""One result's JSON as one flat row: where each column's value lies, ours and the published layout alike.

What is absent or null is missing. What has the wrong type, or cannot be (a negative size, an accuracy of 45), makes
the whole file strange, since nothing else in it could be trusted then.
"""

import math
from datetime import UTC, datetime
from typing import Any

import numpy

from harness.dashboard.origin import family_of, hardware_of, processor_of
from harness.dashboard.values import LARGEST, StrangeResult, dumped, flag, kind, listed, mapping, number, text

FOREIGN = "foreign"  # protocol of results that another harness wrote
_PACKAGES = ("torch", "transformers", "peft")

# Where numbers lie that both layouts have, or only ours has.
_PATHS: dict[str, tuple[str, ...]] = {
    "trainable_params": ("train_info", "num_trainable_params"),
    "total_params": ("train_info", "num_total_params"),
    "stored_params": ("train_info", "num_stored_params"),
    "storage": ("train_info", "file_size"),
    "memory_avg": ("train_info", "accelerator_memory_reserved_avg"),
    "memory_p99": ("train_info", "accelerator_memory_reserved_99th"),
    "train_time": ("train_info", "train_time"),
    "total_time": ("run_info", "total_time"),
    "valid_score": ("quality", "valid_score"),
    "base_score": ("quality", "base_score"),
    "invalid_rate": ("quality", "invalid_rate"),
    "majority": ("quality", "majority_baseline"),
    "memory_load": ("memory", "load", "reserved"),
    "memory_eval": ("memory", "eval", "reserved"),
    **{f"memory_{phase}": ("memory", phase, "reserved") for phase in ("forgetting", "inference")},
    **{key: ("memory_parts", key) for key in ("base_weights", "trained_weights", "gradients", "optimizer_state")},
    "remainder": ("memory_parts", "remainder"),
    **{key: ("speed", key) for key in ("train_tokens_per_second", "samples_per_second", "step_time_median")},
    **{key: ("speed", key) for key in ("step_time_p95", "test_tokens_per_second")},
    **{key: ("compute", key) for key in ("flops_per_token", "matmul_share", "energy")},
    **{
        f"{state}_decode": ("inference", state, "decode_tokens_per_second") for state in ("base", "unmerged", "merged")
    },
    **{f"overhead_{state}": ("inference", f"overhead_{state}", "median") for state in ("unmerged", "merged")},
    "rank": ("run_info", "peft_config", "r"),
    "learning_rate": ("run_info", "train_config", "optimizer_kwargs", "lr"),
    "max_steps": ("run_info", "train_config", "max_steps"),
}
_SHARES = ("score", "valid_score", "base_score", "invalid_rate", "majority")


def flatten(data: Any, task: str) -> dict[str, Any]:
    """The row of one result; harness/dashboard/runs.py lists what it holds.

    Args:
        data: the parsed file.
        task: the task's name where the file says none, as published results do not.

    Raises:
        StrangeResult: see the module.
    """
    if type(data) is not dict:
        raise StrangeResult(f"expected one JSON object, got {kind(data)}")
    missing = [key for key in ("run_info", "train_info", "meta_info") if type(data.get(key)) is not dict]
    if missing:
        raise StrangeResult(f"no result: it has no object {', '.join(missing)}")
    row: dict[str, Any] = {key: number(data, path) for key, path in _PATHS.items()}
    row |= _names(data, task)
    row |= _scores(data, row["status"] == "success")
    peak = number(data, ("memory", "train", "reserved"))
    row["memory_train"] = number(data, ("train_info", "accelerator_memory_max")) if math.isnan(peak) else peak
    row["trainable_share"] = row["trainable_params"] / row["total_params"] if row["total_params"] else math.nan
    for key in _SHARES:
        if row[key] > 1:
            raise StrangeResult(f"{key} {row[key]:g}: expected a share from 0 to 1")
    row["gain"] = (row["score"] - row["base_score"]) * (1 if row["higher_is_better"] else -1)
    return row


def _names(data: dict[str, Any], task: str) -> dict[str, Any]:
    experiment = text(data, ("run_info", "experiment_name"))
    if not experiment:
        raise StrangeResult("run_info.experiment_name: missing")
    config = ("run_info", "train_config")
    peft_type, dtype = text(data, ("run_info", "peft_config", "peft_type")), text(data, (*config, "dtype"))
    method, slash, name = experiment.partition("/")
    if not slash:
        method, name = peft_type.lower() or "full-finetuning", experiment
    model, protocol = text(data, (*config, "model_id")), number(data, ("protocol",))
    seed = number(data, ("seed",))
    versions = {package: text(data, ("meta_info", "package_info", f"{package}-version")) for package in _PACKAGES}
    return {
        "task": text(data, ("task", "name")) or task,
        "subset": text(data, ("task", "subset")),
        "experiment": experiment,
        "method": text(data, ("method",)) or method,
        "name": text(data, ("name",)) or name,
        "model": model,
        "family": family_of(text(data, ("run_info", "peft_config", "task_type")), model),
        "hardware": hardware_of(data),
        "processor": processor_of(data),
        "quantization": dtype if dtype in ("int8", "int4") else "none",
        "dtype": dtype,
        "protocol": FOREIGN if math.isnan(protocol) else f"{protocol:g}",
        "status": text(data, ("train_info", "status")) or "unknown",
        "peft_type": peft_type,
        "seed": number(data, (*config, "seed")) if math.isnan(seed) else seed,
        "profile": bool(flag(data, ("profile",))),
        "overrides": dumped(mapping(data, ("overrides",))),
        "shared_device": bool(flag(data, ("provenance", "shared_device"))),
        "created_at": _instant(text(data, ("run_info", "created_at"))),
        "versions": " ".join(f"{package} {version}" for package, version in versions.items() if version),
        "settings": _settings(data),
        "data": _data(data),
    }


def _scores(data: dict[str, Any], success: bool) -> dict[str, Any]:
    """Test score, its metric and direction, and the scores by item; a run without success has no score."""
    lines = listed(data, ("train_info", "metrics"))
    last = mapping({"last of train_info.metrics": lines[-1]}, ("last of train_info.metrics",)) if lines else {}
    score, metric = number(data, ("quality", "test_score")), text(data, ("task", "metric"))
    for key, name in (("test accuracy", "accuracy"), ("test score", "score")):
        if math.isnan(score):
            score, metric = number(last, (key,)), metric or name
    items = _items(listed(data, ("quality", "test_scores")) if success else [])
    if items is not None and not abs(items.mean() - score) < 1e-3:
        raise StrangeResult(f"quality.test_score: {score:g} is not the mean of test_scores, {items.mean():g}")
    higher = flag(data, ("task", "higher_is_better"))
    return {
        "score": score if success else math.nan,
        "metric": metric,
        "higher_is_better": higher is not False,
        "forgetting": number(last, ("forgetting",), lowest=-LARGEST),
        "item_scores": items,
    }


def _items(scores: list[Any]) -> numpy.ndarray | None:
    """Scores by item as an array, of bytes where all are 0 or 1; None where there are none."""
    if not scores:
        return None
    if not set(map(type, scores)) <= {int, float}:
        raise StrangeResult("quality.test_scores: expected numbers only")
    values = numpy.array(scores, dtype=float)
    if not (values.min() >= 0 and values.max() <= 1):
        raise StrangeResult("quality.test_scores: expected shares from 0 to 1")
    whole = values.astype(numpy.uint8)
    return whole if (whole == values).all() else values


def _instant(created_at: str) -> float:
    """Seconds since 1970, UTC where no zone is given; minus infinity where it is missing or no time."""
    try:
        instant = datetime.fromisoformat(created_at)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -math.inf


def _settings(data: dict[str, Any]) -> bytes:
    """Training and PEFT configuration without the seed, as canonical JSON."""
    train = mapping(data, ("run_info", "train_config"))
    without = {key: value for key, value in train.items() if key != "seed"}
    return dumped({"train": without, "peft": mapping(data, ("run_info", "peft_config"))})


def _data(data: dict[str, Any]) -> str:
    """What must be equal beside protocol and model for two scores to be of the same thing."""
    version = text(data, ("provenance", "base_model_fingerprint")) or text(data, ("meta_info", "model_info", "sha"))
    return " ".join(part[:12] for part in (text(data, ("provenance", "data_fingerprint")), version) if part)
