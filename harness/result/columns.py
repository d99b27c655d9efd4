"""Every column, declared once: where it lies in a result, its unit and direction, how seeds are taken together.

A key is the name in a reader's record, the column of frames, the name in the dashboard's expressions and the head of
exported files. Values are raw: bytes, seconds, shares from 0 to 1; a missing number is NaN, a missing text is empty.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.result.units import Unit, write

Better = Literal["higher", "lower"]
# Over the seeds of one experiment: their mean, their median, the value that all of them share, or a figure that only
# several seeds together have, which no single run does.
Over = Literal["mean", "median", "shared", "seeds"]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        label: title on a page; `short` in Markdown tables, by default the same in lower-case letters.
        unit: of the raw value; "text" where it is none.
        path: where it lies in a file, by dotted keys; empty where the reader makes it of several.
        better: None where no direction is.
        machine: a cost that depends on the machine, which hides differences between methods from one to another.
    """

    key: str
    label: str
    unit: Unit
    description: str
    path: str = ""
    better: Better | None = None
    over: Over = "median"
    machine: bool = False
    short: str = ""

    @property
    def title(self) -> str:
        """In Markdown tables."""
        return self.short or self.label.lower()


_HIGHER, _LOWER = "higher", "lower"


def _text(key: str, label: str, description: str) -> Column:
    return Column(key, label, "text", description, over="shared")


def _share(key: str, label: str, better: Better | None, path: str, description: str, unit: Unit = "share") -> Column:
    """Of answers; quality is a mean over seeds."""
    return Column(key, label, unit, description, path, better, "mean")


def _seeds(key: str, label: str, unit: Unit, description: str, better: Better | None = None) -> Column:
    return Column(key, label, unit, description, "", better, "seeds")


def _count(key: str, label: str, better: Better | None, path: str, description: str, short: str = "") -> Column:
    return Column(key, label, "count", description, path, better, short=short)


def _memory(key: str, label: str, path: str, description: str, short: str = "") -> Column:
    return Column(key, label, "bytes", description, path, _LOWER, machine=True, short=short)


def _rate(
    key: str, label: str, path: str, description: str, short: str = "", better: Better | None = _HIGHER
) -> Column:
    return Column(key, label, "rate", description, path, better, machine=True, short=short)


def _cost(key: str, label: str, unit: Unit, path: str, description: str, short: str = "") -> Column:
    return Column(key, label, unit, description, path, _LOWER, machine=True, short=short)


_ALL = [
    _text("experiment", "Experiment", "method and name of the experiment's folder"),
    _share("score", "Score", _HIGHER, "", "on the test split, mean over seeds"),
    _seeds("score_low", "Score, low", "share", "lower end of the 95 % interval"),
    _seeds("score_high", "Score, high", "share", "upper end of the 95 % interval"),
    _seeds("score_std", "Score, std", "share", "standard deviation over seeds", _LOWER),
    _seeds("seeds", "Seeds", "count", "runs that the row is made of"),
    _share("base_score", "Base score", None, "quality.base_score", "of the untouched base model, same prompts"),
    _share("gain", "Gain", _HIGHER, "", "better than the untouched base model by so much", "points"),
    _share("majority", "Majority", None, "quality.majority_baseline",
           "score of always giving the most frequent answer"),
    _share("invalid_rate", "Invalid", _LOWER, "quality.invalid_rate", "answers that are no answer at all"),
    _share("valid_score", "Valid score", _HIGHER, "quality.valid_score", "on the validation split, last evaluation"),
    Column("train_loss", "Training loss", "number", "at the end of training", better=_LOWER),
    Column("forgetting", "Forgetting", "nats", "rise of the loss on unrelated text, nats per token", better=_LOWER),
    Column("drift", "Drift", "number", "how far pictures moved that training has nothing to do with", better=_LOWER),
    _count("trainable_params", "Trained parameters", _LOWER, "train_info.num_trainable_params",
           "parameters that training changes"),
    _count("headless_params", "Trained without new head", _LOWER, "",
           "parameters that training changes, less those of a head that every method trains anew", "without new head"),
    _count("total_params", "All parameters", None, "train_info.num_total_params", "base model and adapter"),
    Column("trainable_share", "Trained share", "share", "trained parameters among all", better=_LOWER),
    _count("stored_params", "Stored parameters", _LOWER, "train_info.num_stored_params",
           "parameters in the saved files", "stored"),
    Column("storage", "Storage", "bytes", "of the saved weights", "train_info.file_size", _LOWER),
    Column("headless_storage", "Storage without new head", "bytes", "of the saved weights, less a new head's", "",
           _LOWER),
    _memory("memory_train", "Peak memory", "memory.train.reserved",
            "reserved, largest in training; CPU: resident set"),
    _memory("memory_avg", "Mean memory", "train_info.accelerator_memory_reserved_avg", "reserved, mean over training"),
    _memory("memory_p99", "Memory, 99th", "train_info.accelerator_memory_reserved_99th",
            "reserved, 99th percentile over training"),
    _memory("memory_load", "Memory, load", "memory.load.reserved", "peak reserved while loading"),
    _memory("memory_eval", "Memory, evaluation", "memory.eval.reserved", "peak reserved in evaluation"),
    _memory("memory_forgetting", "Memory, forgetting", "memory.forgetting.reserved",
            "peak reserved while forgetting is measured"),
    _memory("memory_inference", "Memory, inference", "memory.inference.reserved",
            "peak reserved while decoding is timed"),
    _memory("base_weights", "Base weights", "memory_parts.base_weights", "frozen weights and buffers as stored"),
    _memory("trained_weights", "Trained weights", "memory_parts.trained_weights",
            "adapter; in full fine-tuning every weight"),
    _memory("gradients", "Gradients", "memory_parts.gradients", "of the trained weights"),
    _memory("optimizer_state", "Optimizer state", "memory_parts.optimizer_state",
            "what the optimizer keeps per weight", "optimizer"),
    _memory("remainder", "Activations and rest", "memory_parts.remainder",
            "peak of training less the measured parts", "remainder"),
    _rate("train_tokens_per_second", "Training tokens/s", "speed.train_tokens_per_second",
          "non-padding tokens of training", "tokens/s"),
    _rate("samples_per_second", "Training samples/s", "speed.samples_per_second", "rows of training"),
    _cost("step_time_median", "Step time", "seconds", "speed.step_time_median", "median of the optimizer steps"),
    _cost("step_time_p95", "Step time, 95th", "seconds", "speed.step_time_p95", "95th percentile of optimizer steps"),
    _cost("train_time", "Training time", "seconds", "train_info.train_time", "in training steps, after warm-up"),
    _cost("total_time", "Total time", "seconds", "run_info.total_time", "with loading, tokenizing and evaluation"),
    _cost("flops_per_token", "Arithmetic per token", "flops", "compute.flops_per_token",
          "matrix products, forward and backward", "MFLOP/token"),
    Column("matmul_share", "Device use", "share", "of the device's rate in large matrix products",
           "compute.matmul_share", _HIGHER, machine=True, short="of matmul rate"),
    _cost("energy", "Energy", "joules", "compute.energy",
          "drawn by the GPU from the first step to the last validation"),
    _rate("base_decode", "Decoding, base", "inference.base.decode_tokens_per_second",
          "answer tokens per second without an adapter", better=None),
    _rate("unmerged_decode", "Decoding, unmerged", "inference.unmerged.decode_tokens_per_second",
          "answer tokens per second, adapter beside"),
    _rate("merged_decode", "Decoding, merged", "inference.merged.decode_tokens_per_second",
          "answer tokens per second, adapter merged"),
    _cost("overhead_unmerged", "Slow-down, unmerged", "ratio", "inference.overhead_unmerged.median",
          "decoding time over the base model's", "decoding time"),
    _cost("overhead_merged", "Slow-down, merged", "ratio", "inference.overhead_merged.median",
          "decoding time over the base model's", "merged"),
    _rate("test_tokens_per_second", "Test tokens/s", "speed.test_tokens_per_second", "written in the test evaluation"),
    Column("rank", "Rank", "number", "r of the PEFT configuration", "run_info.peft_config.r"),
    Column("learning_rate", "Learning rate", "number", "of the optimizer", "run_info.train_config.optimizer_kwargs.lr",
           short="lr"),
    _count("max_steps", "Steps", None, "run_info.train_config.max_steps",
           "optimizer steps; missing where epochs were given"),
    _count("train_tokens", "Training tokens", None, "", "in the whole training"),
    _text("work_unit", "Work", "what speeds count: tokens, or images"),
    _text("task", "Task", "data set that was trained and tested on"),
    _text("subset", "Subset", "part of the task with results of its own"),
    _text("model", "Base model", "name on the hub, or embedded/…"),
    _text("family", "Family", "causal, encoder-decoder, vision or diffusion"),
    _text("hardware", "Hardware", "accelerator, or the CPU's model"),
    _text("processor", "Processor", "CPU and its threads; what decides speed without a GPU"),
    _text("libraries", "Libraries", "major versions of torch, transformers and peft"),
    _text("method", "Method", "folder of the experiment's method"),
    _text("name", "Name", "folder of the experiment"),
    _text("peft_type", "PEFT type", "of the PEFT configuration; empty in full fine-tuning"),
    _text("quantization", "Quantization", "of the base model: none, int8 or int4"),
    _text("dtype", "Precision", "of the base model's weights"),
    _text("protocol", "Protocol", "number of our protocol, or that another harness made it"),
    _text("status", "Status", "of the run; only success is ranked"),
    _text("created", "Date", "day on which the run was made"),
    _text("budget", "Tuning", "what was tried for the experiment's hyper-parameter, from its tuning.json"),
    _text("versions", "Versions", "of torch, transformers and peft"),
    _text("source", "File", "the result's file; of several seeds the first one"),
]  # fmt: skip

COLUMNS: dict[str, Column] = {column.key: column for column in _ALL}
METRICS: dict[str, Column] = {key: column for key, column in COLUMNS.items() if column.better}
TEXTS: tuple[str, ...] = tuple(key for key, column in COLUMNS.items() if column.unit == "text")
NUMBERS: tuple[str, ...] = tuple(key for key, column in COLUMNS.items() if column.unit != "text")
# Of these the direction is the task's: where its metric is better when lower, they are too.
SCORES = frozenset({"score", "valid_score"})
_OF_SCORE = SCORES | {"score_low", "score_high", "score_std", "base_score", "gain", "majority"}
# Figures that depend on time, which another process on the same GPU spoils.
TIMED = frozenset(key for key, column in COLUMNS.items() if column.unit in ("rate", "seconds", "ratio", "joules"))
TIMED |= {"matmul_share"}


def of_seeds(*ways: Over) -> list[str]:
    """Keys of the numbers that are taken together in one of these ways."""
    return [key for key in NUMBERS if COLUMNS[key].over in ways]


def of_metric(column: Column, metric: str, higher_is_better: bool, share: bool) -> Column:
    """The column as it is of results with that metric: its name, direction and unit are the score's."""
    if column.key == "score" and metric:
        column = replace(column, label=f"Score: {metric}")
    if column.key in SCORES:
        column = replace(column, better=_HIGHER if higher_is_better else _LOWER)
    return column if share or column.key not in _OF_SCORE else replace(column, unit="number")


def of_unit(column: Column, work_unit: str) -> Column:
    """The column as it is of results whose speeds count other work than tokens, such as images."""
    if work_unit == "tokens":
        return column
    if column.key == "forgetting":
        return replace(column, unit="points", description="more wrong answers in what pre-training taught")
    singular = work_unit.removesuffix("s")

    def said(text: str) -> str:
        text = text.replace("non-padding tokens", work_unit).replace("answer tokens", work_unit)
        return (
            text.replace("tokens", work_unit)
            .replace("token", singular)
            .replace("decoding", "answering")
            .replace("Decoding", "Answering")
        )

    return replace(column, label=said(column.label), short=said(column.short), description=said(column.description))


def format_value(column: Column, value: Any) -> str:
    """A value as people read it: 2_097_152 bytes are '2.0 MiB', a share of 0.8375 is '83.8 %', missing is '–'."""
    return write(column.unit, value)
