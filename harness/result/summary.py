"""What a run measured, in a few lines for the terminal."""

from pathlib import Path

from harness.experiment import display_path
from harness.result import schema as results
from harness.result.metrics import is_share
from harness.result.units import human_bytes


def _overheads(inference: results.Inference, unit: str) -> str:
    merged = inference.overhead_merged
    cost = "cannot be merged" if merged is None else f"merged {merged.median:.2f}"
    return f"{inference.overhead_unmerged.median:.2f} times the base's time per {unit} as trained, {cost}"


def _figure(metric: str, value: float) -> str:
    return f"{100 * value:.1f} %" if is_share(metric, ours=True) else f"{value:.4g}"


def _score(result: results.Result) -> list[str]:
    quality, metric = result.quality, result.task.metric
    if quality.test_score is not None:
        base = "not measured" if quality.base_score is None else _figure(metric, quality.base_score)
        return [
            f"  score      {_figure(metric, quality.test_score)} {metric} on {result.task.test_rows} test rows "
            f"(untouched base {base}, invalid outputs {100 * quality.invalid_rate:.1f} %)"
        ]
    if quality.valid_score is not None:
        return [f"  score      {_figure(metric, quality.valid_score)} {metric} on valid; test was not looked at"]
    return []


def summary(result: results.Result, path: Path) -> str:
    """What a run measured, in a few lines."""
    info, speed, quality, unit = result.train_info, result.speed, result.quality, result.task.work_unit
    train = result.memory.get("train")
    task = "/".join(filter(None, (result.task.name, result.task.subset)))
    lines = [f"{result.run_info.experiment_name} on {task}, seed {result.seed}: {info.status}"]
    lines += _score(result)
    if quality.further_scores:
        further = (f"{name} {_figure(name, value)}" for name, value in quality.further_scores.items())
        lines.append(f"             {', '.join(further)}")
    if quality.lengths is not None:
        lines.append(
            f"  answers    {quality.lengths.mean:.1f} tokens on average, median {quality.lengths.median:.0f}; "
            f"{100 * quality.lengths.cut:.1f} % were cut at the longest length"
        )
    if info.num_trainable_params is not None:
        head = "" if info.num_head_params is None else f", {info.num_head_params:,} of them the new head's"
        lines.append(f"  trainable  {info.num_trainable_params:,} of {info.num_total_params:,} parameters{head}")
    head = "" if info.head_file_size is None else f", {human_bytes(info.head_file_size)} of it the new head"
    lines.append(f"  storage    {human_bytes(info.file_size)}{head}")
    if train is not None:
        kind = "resident set above the start" if result.hardware["device"] == "cpu" else "reserved by the allocator"
        lines.append(f"  memory     {human_bytes(train.reserved)} peak in training ({kind})")
    if speed.train_tokens_per_second is not None:
        lines.append(f"  training   {speed.train_tokens_per_second:,.0f} {unit}/s, {info.train_time:.1f} s in steps")
    if speed.test_tokens_per_second is not None:
        doing = "generating" if unit == "tokens" else "answering "
        lines.append(f"  {doing} {speed.test_tokens_per_second:,.0f} {unit}/s in the test evaluation")
    if result.inference is not None:
        lines.append(f"  inference  {_overheads(result.inference, unit.removesuffix('s'))}")
    lines.append(f"  total time {result.run_info.total_time:.1f} s on {result.hardware['slug']}")
    if result.resumed is not None:
        steps = ", ".join(map(str, result.resumed.at_steps))
        lines.append(f"  resumed    after step {steps}: memory and speed are not of one piece")
    lines += [f"  a profile: random weights and {unit}, which say nothing of quality"] if result.profile else []
    lines += ["  modified by --set, so this is no result"] if result.overrides else []
    return "\n".join([*lines, f"  written to {display_path(path)}"])
