"""The schema of a run's result.

`run_info`, `train_info` and `meta_info` have the layout that Hugging Face's method_comparison writes and reads; what
is ours stands beside them. Memory in bytes, time in seconds, missing values null.

    python -m harness.result.schema > harness/result/result.schema.json
"""

import json
import statistics
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

# Decides comparability: bump it with every change that moves results, in the same commit. Results of different
# protocols are never ranked together.
PROTOCOL = 1

Status = Literal["success", "cancelled", "out_of_memory", "diverged", "failed"]
# 0 is reserved for success; 2 is something the user can put right (harness/errors.py).
EXIT_CODES: dict[Status, int] = {"success": 0, "failed": 1, "out_of_memory": 3, "diverged": 4, "cancelled": 130}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, validate_assignment=True)


class RunInfo(_Section):
    """What was run, when and for how long."""

    created_at: str = Field(description="ISO 8601, UTC")
    total_time: float = 0.0
    experiment_name: str = Field(description="<method>/<name>")
    peft_branch: str
    train_config: dict[str, Any]
    peft_config: dict[str, Any] | None = None
    error_msg: str = Field("", description="the traceback, where the run did not succeed")


class Metrics(_Section):
    """One line of the training log; the last one holds the test score."""

    step: int
    valid_accuracy: float | None = Field(None, alias="valid accuracy")
    valid_score: float | None = Field(None, alias="valid score")
    test_accuracy: float | None = Field(None, alias="test accuracy")
    test_score: float | None = Field(None, alias="test score")
    train_loss: float | None = Field(None, alias="train loss", description="mean since the line before")
    train_samples: int | None = Field(None, alias="train samples")
    train_time: float | None = Field(None, alias="train time", description="since the line before")
    eval_time: float | None = Field(None, alias="eval time")
    tokens_per_second: float | None = Field(
        None, alias="tokens / sec", description="non-padding, since the line before"
    )
    memory_allocated_avg: float | None = Field(None, alias="mem allocated avg")
    memory_reserved_avg: float | None = Field(None, alias="mem reserved avg")
    elapsed_time: float | None = Field(None, alias="elapsed time")
    train_total_tokens: int | None = Field(None, alias="train total tokens")
    forgetting: float | None = Field(None, description="see the section of that name")
    drift: float | None = Field(None, description="in forgetting's place where pictures are generated")


class TrainInfo(_Section):
    """Outcome and cost of training. On the CPU, accelerator memory is the resident set above its first level."""

    accelerator_memory_reserved_avg: int | None = None
    accelerator_memory_max: int | None = None
    accelerator_memory_reserved_99th: int | None = None
    train_time: float = Field(0.0, description="of training steps after warm-up, device-synchronized")
    file_size: int | None = Field(None, description="weight files that save_pretrained wrote")
    num_stored_params: int | None = Field(
        None, description="in these files; fewer than were trained where a part serves training only"
    )
    num_trainable_params: int | None = None
    num_total_params: int | None = None
    num_head_params: int | None = Field(
        None, description="trained ones of a head that is new to the base model, which every method trains"
    )
    head_file_size: int | None = Field(None, description="bytes of this head in the weight files")
    status: Status = "failed"
    metrics: list[Metrics] = Field(default_factory=list)


class RepoInfo(_Section):
    """A repository of the hub as it was loaded."""

    sha: str | None = None
    created_at: str | None = None


class MetaInfo(_Section):
    """Versions and machine."""

    model_info: RepoInfo = Field(default_factory=RepoInfo, description="nulls for an embedded model")
    dataset_info: dict[str, RepoInfo] = Field(default_factory=dict)
    package_info: dict[str, str | None]
    system_info: dict[str, str]
    pytorch_info: str


class TaskInfo(_Section):
    """What was measured."""

    name: str
    subset: str | None = None
    data_source: Literal["hub", "embedded"]
    metric: str
    higher_is_better: bool
    work_unit: str = Field("tokens", description="what is counted by the fields that are named after tokens")
    train_rows: int | None = None
    valid_rows: int | None = None
    test_rows: int | None = None
    truncated_rows: int | None = Field(None, description="tokenized training rows that were cut")


class PeakMemory(_Section):
    """Of one phase."""

    allocated: int | None = None
    reserved: int | None = None


class MemoryParts(_Section):
    """What the peak of training consists of, in bytes on the device; harness/measure/memory_parts.py measures it."""

    base_weights: int | None = Field(None, description="frozen weights and buffers, as stored (quantized: packed)")
    trained_weights: int | None = Field(None, description="the adapter; under full fine-tuning every weight")
    gradients: int | None = None
    optimizer_state: int | None = None
    remainder: int | None = Field(
        None, description="peak of training less the parts: activations, workspace, what the allocator holds back"
    )


class Speed(_Section):
    """Time of the run's parts, and tokens per second."""

    load_time: float | None = None
    tokenize_time: float | None = None
    warmup_time: float | None = Field(None, description="first steps, left out of train_time and throughput")
    warmup_steps: int | None = None
    eval_time: float | None = Field(None, description="all evaluations of valid and test")
    train_tokens_per_second: float | None = Field(None, description="non-padding tokens (work units) / train_time")
    samples_per_second: float | None = Field(None, description="training rows / train_time")
    step_time_median: float | None = None
    step_time_p95: float | None = None
    base_eval_time: float | None = Field(None, description="of scoring the untouched base; null where it was known")
    test_tokens_per_second: float | None = Field(
        None,
        description="generated tokens / time of the test evaluation; prompt tuning and P-tuning decode prompts of one "
        "length at a time, in smaller batches than other methods",
    )
    skipped_steps: int = Field(0, description="steps whose float16 gradients overflowed; not trained on")


class Compute(_Section):
    """Arithmetic and energy of training, from harness/measure/flops.py and energy.py."""

    flops_per_token: float | None = Field(
        None, description="of matrix products, forward and backward, per non-padding token; null for quantized bases"
    )
    flops_per_second: float | None = Field(None, description="flops_per_token x train_tokens_per_second")
    matmul_flops_per_second: float | None = Field(
        None, description="of a large matrix product on this GPU in the precision of training; null on a CPU"
    )
    matmul_share: float | None = Field(None, description="the one over the other")
    energy: float | None = Field(
        None,
        description="joules that the GPU drew from the first training step to the last evaluation on valid; "
        "null without NVML",
    )


class TokenLoss(_Section):
    """Mean loss over so many tokens, or answers."""

    loss: float
    tokens: int


class Forgetting(_Section):
    """Loss on what has nothing to do with the task: of next tokens, the share of wrong answers of the own head, or how
    far generated pictures moved from those of the base, whose own are at 0.
    """

    text: str = Field(description="where the text, or the pictures, come from")
    unit: str = Field("nats per token", description="of the losses")
    tokens: int = Field(description="tokens, or answers")
    base_loss: float = Field(description="of the untouched base model")
    loss: float | None = Field(None, description="after fine-tuning")
    forgetting: float | None = Field(None, description="loss less base_loss")


class TokenRates(_Section):
    """Of one batch: prompt tokens read, and answer tokens written after the first, per second.

    Where an answer is one forward pass, as of a picture, there is no prefill, and answers are counted instead.
    """

    prefill_tokens_per_second: float | None = None
    decode_tokens_per_second: float


class Overhead(_Section):
    """Time to answer with the adapter over time without, within a round: 1 costs nothing, 2 takes twice as long."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, ratios: list[float]) -> "Overhead":
        """The summary of one ratio per round."""
        return cls(median=statistics.median(ratios), lowest=min(ratios), highest=max(ratios))


class Inference(_Section):
    """Speed of answering fixed prompts at a fixed length, or pictures; harness/measure/inference.py measures it."""

    rows: int
    prompt_tokens: int | None = Field(None, description="null where work is not tokens")
    new_tokens: int | None = Field(None, description="null where work is not tokens")
    sampling_steps: int | None = Field(None, description="forward passes that a picture takes to be made")
    rounds: int
    base: TokenRates
    unmerged: TokenRates = Field(description="with the adapter as trained; under full fine-tuning the trained model")
    merged: TokenRates | None = Field(
        None, description="null where the method cannot be merged, or the base is quantized"
    )
    overhead_unmerged: Overhead
    overhead_merged: Overhead | None = None
    merged_logit_difference: float | None = Field(None, description="largest, merged against unmerged")


class Lengths(_Section):
    """Of generated answers, in tokens, end tokens included."""

    mean: float
    median: float
    p95: float
    longest: int
    cut: float = Field(description="share of answers that had not ended at max_new_tokens")


class SampleAnswer(_Section):
    """One test row as the model answered it; where it made a picture, `prediction` is what a judge says of that."""

    prompt: str
    reference: str
    prediction: str
    score: float
    thumbnail: str | None = Field(None, description="a picture's, as data:image/png;base64,…")
    picture: str | None = Field(None, description="file of the generated picture in the run's folder")


class Quality(_Section):
    """Scores on the test split and what they are to be read against."""

    test_score: float | None = None
    valid_score: float | None = Field(None, description="of the last evaluation")
    test_scores: list[float] = Field(default_factory=list, description="one per row, in the split's order")
    invalid_rate: float | None = None
    majority_baseline: float | None = None
    base_score: float | None = Field(None, description="the untouched base model, same prompts and decoding")
    base_invalid_rate: float | None = None
    further_scores: dict[str, float] = Field(default_factory=dict, description="what else the task reports, by name")
    lengths: Lengths | None = Field(None, description="of the test predictions")
    samples: list[SampleAnswer] = Field(default_factory=list)


class Resumed(_Section):
    """The run was killed and went on from its checkpoint. Its scores are those of a run that was never interrupted.

    Speed and memory are not of one piece: times are sums over processes, of which each warmed up, and peaks of memory
    the largest of any.
    """

    at_steps: list[int] = Field(description="steps that had been taken when a process took over")


class Provenance(_Section):
    """What decides whether two results may be compared, and how to make this one again."""

    command: str
    harness_commit: str | None
    harness_dirty: bool | None
    untracked_files: int | None
    data_fingerprint: str | None = None
    config_fingerprint: str
    base_model_fingerprint: str | None = Field(None, description="of an embedded model's weight file")
    shared_device: bool | None = Field(
        None, description="whether another process was seen on the same GPU; null where nothing tells"
    )


class Result(_Section):
    """One run. In results/ only when it succeeded unmodified; a run of any status leaves one in runs/."""

    protocol: int = PROTOCOL
    method: str
    name: str
    seed: int
    overrides: dict[str, Any] = Field(default_factory=dict, description="what --set changed; empty when unmodified")
    profile: bool = Field(False, description="random weights and tokens: speed, memory and storage only, no quality")
    run_info: RunInfo
    train_info: TrainInfo = Field(default_factory=TrainInfo)
    meta_info: MetaInfo
    task: TaskInfo
    hardware: dict[str, Any]
    memory: dict[str, PeakMemory] = Field(
        default_factory=dict, description="peaks of the phases load, train, eval, forgetting, inference"
    )
    memory_parts: MemoryParts = Field(default_factory=MemoryParts)
    speed: Speed = Field(default_factory=Speed)
    compute: Compute = Field(default_factory=Compute)
    inference: Inference | None = None
    forgetting: Forgetting | None = Field(
        None, description="null where nothing tells: encoder-decoder models, no own head"
    )
    quality: Quality = Field(default_factory=Quality)
    resumed: Resumed | None = Field(None, description="null for a run of one piece")
    provenance: Provenance


def json_schema() -> str:
    """The JSON schema of a result file."""
    return json.dumps(Result.model_json_schema(by_alias=True), indent=1) + "\n"


if __name__ == "__main__":
    print(json_schema(), end="")
