"""The columns of the dashboard: names, units, which direction is better, and how a value is written for people.

A key is at once the column of the frames, the name in the expression box and the head of exported files. Numbers are
raw: bytes, seconds, shares from 0 to 1; a missing number is NaN and a missing text is empty.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.dashboard.markup import MISSING
from harness.result.units import human_bytes

Kind = Literal[
    "text", "share", "points", "bytes", "count", "rate", "seconds", "ratio", "flops", "joules", "number"
]  # fmt: skip
Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Column:
    """One column; `better` is None where no direction is, `default` whether the table shows it at first."""

    key: str
    label: str
    kind: Kind
    better: Better | None = None
    description: str = ""
    default: bool = False


_HIGHER, _LOWER = "higher", "lower"
_ALL = [
    Column("experiment", "Experiment", "text", description="method and name of the experiment's folder", default=True),
    Column("score", "Score", "share", _HIGHER, "on the test split, mean over seeds", True),
    Column("score_low", "Score, low", "share", description="lower end of the 95 % interval"),
    Column("score_high", "Score, high", "share", description="upper end of the 95 % interval"),
    Column("score_std", "Score, std", "share", _LOWER, "standard deviation over seeds"),
    Column("seeds", "Seeds", "count", description="runs that the row is made of", default=True),
    Column("base_score", "Base score", "share", description="of the untouched base model, same prompts"),
    Column("gain", "Gain", "points", _HIGHER, "better than the untouched base model by so much", True),
    Column("majority", "Majority", "share", description="score of always giving the most frequent answer"),
    Column("invalid_rate", "Invalid", "share", _LOWER, "answers that are no answer at all"),
    Column("valid_score", "Valid score", "share", _HIGHER, "on the validation split, last evaluation"),
    Column("forgetting", "Forgetting", "number", _LOWER, "rise of the loss on unrelated text, nats per token", True),
    Column("trainable_params", "Trained parameters", "count", _LOWER, "parameters that training changes", True),
    Column("total_params", "All parameters", "count", description="base model and adapter"),
    Column("trainable_share", "Trained share", "share", _LOWER, "trained parameters among all"),
    Column("stored_params", "Stored parameters", "count", _LOWER, "parameters in the saved files"),
    Column("storage", "Storage", "bytes", _LOWER, "of the saved weights", True),
    Column("memory_train", "Peak memory", "bytes", _LOWER, "reserved, largest in training; CPU: resident set", True),
    Column("memory_avg", "Mean memory", "bytes", _LOWER, "reserved, mean over training"),
    Column("memory_p99", "Memory, 99th", "bytes", _LOWER, "reserved, 99th percentile over training"),
    Column("memory_load", "Memory, load", "bytes", _LOWER, "peak reserved while loading"),
    Column("memory_eval", "Memory, evaluation", "bytes", _LOWER, "peak reserved in evaluation"),
    Column("memory_forgetting", "Memory, forgetting", "bytes", _LOWER, "peak reserved while forgetting is measured"),
    Column("memory_inference", "Memory, inference", "bytes", _LOWER, "peak reserved while decoding is timed"),
    Column("base_weights", "Base weights", "bytes", _LOWER, "frozen weights and buffers as stored"),
    Column("trained_weights", "Trained weights", "bytes", _LOWER, "adapter; in full fine-tuning every weight"),
    Column("gradients", "Gradients", "bytes", _LOWER, "of the trained weights"),
    Column("optimizer_state", "Optimizer state", "bytes", _LOWER, "what the optimizer keeps per weight"),
    Column("remainder", "Activations and rest", "bytes", _LOWER, "peak of training less the measured parts"),
    Column("train_tokens_per_second", "Training tokens/s", "rate", _HIGHER, "non-padding tokens of training", True),
    Column("samples_per_second", "Training samples/s", "rate", _HIGHER, "rows of training"),
    Column("step_time_median", "Step time", "seconds", _LOWER, "median of the optimizer steps"),
    Column("step_time_p95", "Step time, 95th", "seconds", _LOWER, "95th percentile of the optimizer steps"),
    Column("train_time", "Training time", "seconds", _LOWER, "in training steps, after warm-up"),
    Column("total_time", "Total time", "seconds", _LOWER, "with loading, tokenizing and evaluation"),
    Column("flops_per_token", "Arithmetic per token", "flops", _LOWER, "matrix products, forward and backward"),
    Column("matmul_share", "Device use", "share", _HIGHER, "of the device's rate in large matrix products"),
    Column("energy", "Energy", "joules", _LOWER, "drawn by the GPU from the first step to the last validation"),
    Column("base_decode", "Decoding, base", "rate", description="answer tokens per second without an adapter"),
    Column("unmerged_decode", "Decoding, unmerged", "rate", _HIGHER, "answer tokens per second, adapter beside"),
    Column("merged_decode", "Decoding, merged", "rate", _HIGHER, "answer tokens per second, adapter merged"),
    Column("overhead_unmerged", "Slow-down, unmerged", "ratio", _LOWER, "decoding time over the base model's", True),
    Column("overhead_merged", "Slow-down, merged", "ratio", _LOWER, "decoding time over the base model's"),
    Column("test_tokens_per_second", "Test tokens/s", "rate", _HIGHER, "written in the test evaluation"),
    Column("rank", "Rank", "number", description="r of the PEFT configuration"),
    Column("learning_rate", "Learning rate", "number", description="of the optimizer"),
    Column("max_steps", "Steps", "count", description="optimizer steps; missing where epochs were given"),
    Column("task", "Task", "text", description="data set that was trained and tested on"),
    Column("subset", "Subset", "text", description="part of the task with results of its own"),
    Column("model", "Base model", "text", description="name on the hub, or embedded/…"),
    Column("family", "Family", "text", description="causal or encoder-decoder"),
    Column("hardware", "Hardware", "text", description="accelerator, or the CPU's architecture"),
    Column("processor", "Processor", "text", description="CPU and its threads; what decides speed without a GPU"),
    Column("method", "Method", "text", description="folder of the experiment's method"),
    Column("name", "Name", "text", description="folder of the experiment"),
    Column("peft_type", "PEFT type", "text", description="of the PEFT configuration; empty in full fine-tuning"),
    Column("quantization", "Quantization", "text", description="of the base model: none, int8 or int4"),
    Column("dtype", "Precision", "text", description="of the base model's weights"),
    Column("protocol", "Protocol", "text", description="number of our protocol, or foreign"),
    Column("status", "Status", "text", description="of the run; only success is ranked"),
    Column("source", "File", "text", description="the result's file; of several seeds the first one"),
]  # fmt: skip

COLUMNS: dict[str, Column] = {column.key: column for column in _ALL}
METRICS: dict[str, Column] = {key: column for key, column in COLUMNS.items() if column.better}
TEXTS: tuple[str, ...] = tuple(key for key, column in COLUMNS.items() if column.kind == "text")
NUMBERS: tuple[str, ...] = tuple(key for key, column in COLUMNS.items() if column.kind != "text")
# Of these the direction is the task's: where its metric is better when lower, they are too.
SCORES = frozenset({"score", "valid_score"})
# Yes or no; columns of the experiments and names in the expression box, too.
FLAGS = ("ranked", "tied", "profile", "modified")

# Figures that depend on time, which another process on the same GPU spoils.
TIMED = frozenset(key for key, column in COLUMNS.items() if column.kind in ("rate", "seconds", "ratio", "joules"))
TIMED |= {"matmul_share"}


def directed(column: Column, higher_is_better: bool) -> Column:
    """The column with the direction that it has where the task's score has that one."""
    if column.key not in SCORES:
        return column
    return replace(column, better="higher" if higher_is_better else "lower")


def format_value(column: Column, value: Any) -> str:
    """A value as the page writes it: 2_097_152 bytes are '2.0 MiB', a share of 0.8375 is '83.8 %', missing is '–'."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return str(value) if column.kind == "text" else _WRITERS[column.kind](float(value))


def human_seconds(seconds: float) -> str:
    """Seconds in the units people read: 0.086 is '86 ms', 95 is '1 min 35 s', 7260 is '2 h 1 min'."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def _prefixed(number: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(number) < 1000:
            return f"{number:.3g} {prefix}{unit}"
        number /= 1000
    return f"{number:,.0f} E{unit}"


def _share(number: float) -> str:
    return f"{100 * number:.1f} %" if number == 0 or number >= 0.001 else f"{100 * number:.2g} %"


_WRITERS: dict[str, Callable[[float], str]] = {
    "share": _share,
    "points": lambda number: f"{100 * number:+.1f}",
    "bytes": human_bytes,
    "count": lambda number: f"{number:,.0f}" if number == round(number) else f"{number:,.1f}",
    "rate": lambda number: f"{number:,.0f}" if number >= 100 else f"{number:.3g}",
    "seconds": human_seconds,
    "ratio": lambda number: f"{number:.2f}×",
    "flops": lambda number: _prefixed(number, "FLOP"),
    "joules": lambda number: _prefixed(number, "J"),
    "number": lambda number: f"{number:.4g}",
}
