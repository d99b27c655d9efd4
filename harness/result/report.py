"""The frame of a result before the run, what it measured, and its summary for the terminal."""

import dataclasses
import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import numpy
import peft
import torch

from harness.experiment import ROOT, Experiment, display_path
from harness.measure.meters import MemoryMeter
from harness.measure.training_log import TrainingLog
from harness.models import EMBEDDED
from harness.result import provenance
from harness.result import schema as results
from harness.result.units import human_bytes
from harness.task import Row, Task


def new_result(
    experiment: Experiment, task: Task, subset: str | None, device: torch.device, command: str
) -> results.Result:
    """A result that says all that is known before anything is loaded."""
    params = experiment.params
    git = provenance.git_state(ROOT)
    configuration = [params.model_dump(exclude={"seed"}), experiment.adapter_config]
    embedded = EMBEDDED / params.model_id.removeprefix("embedded/") / "model.safetensors"
    datasets = task.datasets.values() if params.data_source == "hub" else ()
    return results.Result(
        method=experiment.method,
        name=experiment.name,
        seed=params.seed,
        overrides=experiment.overrides,
        run_info=results.RunInfo(
            created_at=datetime.now(UTC).isoformat(),
            experiment_name=f"{experiment.method}/{experiment.name}",
            peft_branch=f"v{peft.__version__}",
            train_config=params.model_dump(),
            peft_config=experiment.adapter_config,
        ),
        meta_info=results.MetaInfo(
            dataset_info={dataset.repo_id: results.RepoInfo(sha=dataset.revision) for dataset in datasets},
            package_info=provenance.package_info(),
            system_info=provenance.system_info(device),
            pytorch_info=provenance.pytorch_info(),
        ),
        task=results.TaskInfo(
            name=experiment.task,
            subset=subset,
            data_source=params.data_source,
            metric=task.metric.name,
            higher_is_better=task.metric.higher_is_better,
        ),
        hardware=provenance.hardware(device),
        provenance=results.Provenance(
            command=command,
            harness_commit=git["commit"],
            harness_dirty=git["dirty"],
            untracked_files=git["untracked_files"],
            config_fingerprint=provenance.fingerprint(configuration),
            base_model_fingerprint=provenance.file_fingerprint(embedded) if embedded.is_file() else None,
        ),
    )


def record_measurements(result: results.Result, memory: MemoryMeter, training: TrainingLog | None) -> None:
    """Fills in what is known of memory and speed, also of a run that broke off, with or without a training log."""
    info, speed = result.train_info, result.speed
    result.memory = {name: results.PeakMemory(**vars(peak)) for name, peak in memory.peaks.items()}
    if "train" in memory.peaks:
        info.accelerator_memory_max = memory.peaks["train"].reserved
        _fill_remainder(result, memory.peaks["train"].reserved)
    if training is None or not training.reserved:
        return
    info.train_time = training.train_time
    info.accelerator_memory_reserved_avg = round(numpy.mean(training.reserved))
    info.accelerator_memory_reserved_99th = round(numpy.percentile(training.reserved, 99))
    speed.warmup_time, speed.warmup_steps = training.warmup_time, training.warmup_steps
    speed.train_tokens_per_second, speed.skipped_steps = training.tokens_per_second, training.skipped_steps
    speed.samples_per_second = training.samples_per_second
    if training.step_seconds:
        speed.step_time_median = float(numpy.median(training.step_seconds))
        speed.step_time_p95 = float(numpy.percentile(training.step_seconds, 95))


def _fill_remainder(result: results.Result, peak: int | None) -> None:
    parts = result.memory_parts.model_dump(exclude={"remainder"})
    if peak is not None and None not in parts.values():
        result.memory_parts.remainder = max(peak - sum(parts.values()), 0)


def write_predictions(path: Path, rows: Sequence[Row], texts: Sequence[str], scores: Sequence[float]) -> None:
    """One JSON line per row: the row, what the model wrote, and its score."""
    with path.open("w", encoding="utf-8") as file:
        for row, text, score in zip(rows, texts, scores, strict=True):
            file.write(json.dumps({**dataclasses.asdict(row), "prediction": text, "score": score}) + "\n")


def adapter_summary(config: Any) -> dict[str, Any] | None:
    """The complete PEFT config, its defaults included, as JSON values."""
    return None if config is None else _plain(config.to_dict())


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_plain, value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return _plain(dataclasses.asdict(value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _overheads(inference: results.Inference) -> str:
    merged = inference.overhead_merged
    cost = "cannot be merged" if merged is None else f"merged {merged.median:.2f}"
    return f"{inference.overhead_unmerged.median:.2f} times the base's time per token as trained, {cost}"


def summary(result: results.Result, path: Path) -> str:
    """What a run measured, in a few lines."""
    info, speed, quality = result.train_info, result.speed, result.quality
    train = result.memory.get("train")
    task = "/".join(filter(None, (result.task.name, result.task.subset)))
    lines = [f"{result.run_info.experiment_name} on {task}, seed {result.seed}: {info.status}"]
    if quality.test_score is not None:
        base = "not measured" if quality.base_score is None else f"{100 * quality.base_score:.1f} %"
        lines.append(
            f"  score      {100 * quality.test_score:.1f} % {result.task.metric} on {result.task.test_rows} test "
            f"rows (untouched base {base}, invalid outputs {100 * quality.invalid_rate:.1f} %)"
        )
    if quality.further_scores:
        further = (f"{name} {100 * value:.1f} %" for name, value in quality.further_scores.items())
        lines.append(f"             {', '.join(further)}")
    if quality.lengths is not None:
        lines.append(
            f"  answers    {quality.lengths.mean:.1f} tokens on average, median {quality.lengths.median:.0f}; "
            f"{100 * quality.lengths.cut:.1f} % were cut at the longest length"
        )
    if info.num_trainable_params is not None:
        lines.append(f"  trainable  {info.num_trainable_params:,} of {info.num_total_params:,} parameters")
    lines.append(f"  storage    {human_bytes(info.file_size)}")
    if train is not None:
        kind = "resident set above the start" if result.hardware["device"] == "cpu" else "reserved by the allocator"
        lines.append(f"  memory     {human_bytes(train.reserved)} peak in training ({kind})")
    if speed.train_tokens_per_second is not None:
        lines.append(f"  training   {speed.train_tokens_per_second:,.0f} tokens/s, {info.train_time:.1f} s in steps")
    if speed.test_tokens_per_second is not None:
        lines.append(f"  generating {speed.test_tokens_per_second:,.0f} tokens/s in the test evaluation")
    if result.inference is not None:
        lines.append(f"  inference  {_overheads(result.inference)}")
    lines.append(f"  total time {result.run_info.total_time:.1f} s on {result.hardware['slug']}")
    lines += ["  a profile: random weights and tokens, which say nothing of quality"] if result.profile else []
    lines += ["  modified by --set, so this is no result"] if result.overrides else []
    return "\n".join([*lines, f"  written to {display_path(path)}"])
