"""TrainingParams: every setting of a run, validated strictly. harness/overlay.py says where the values come from."""

import math
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

# How a run is made, not what: no part of a configuration's fingerprint.
HOW = {"seed", "checkpoint_minutes"}
# A parameter that came later is left out while it has its default, so that fingerprints of older results still match.
LATER = {"checkpoint_minutes", "initialization", "sampling", "train_only"}
# And one that went stays in the fingerprint as it was in every result: tuning.json took its place.
GONE = {"untuned": False}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class GenerationKwargs(_Strict):
    """The decoding settings an experiment may choose. Decoding itself is always greedy, so nothing else is allowed."""

    max_new_tokens: PositiveInt = Field(description="longest answer, in tokens")
    min_new_tokens: NonNegativeInt = Field(0, description="shortest answer, in tokens")
    repetition_penalty: PositiveFloat = Field(1.0, description="1.0 for none")
    no_repeat_ngram_size: NonNegativeInt = Field(0, description="0 for none")


class Sampling(_Strict):
    """How a diffusion model's pictures come about; the noise that they begin with never depends on the run's seed."""

    steps: PositiveInt = Field(description="denoising steps of a picture")
    guidance: float = Field(1.0, ge=1, description="weight of the prompt against none; 1 for no guidance")
    side: PositiveInt = Field(description="pixels a side of a picture, in training too")


class Initialization(_Strict):
    """What an adapter begins with, for the methods that make their beginning from data."""

    rows: PositiveInt | None = Field(
        None, description="training rows that CPT puts before the prompt, or that EVA, CorDA and LoRA-GA look at"
    )
    text: str | None = Field(
        None, min_length=1, description="text whose keys and values a prefix (or Cartridge) begins with"
    )


class TrainingParams(_Strict):
    """All settings of one run. Lengths are in tokens, rates per optimizer step.

    The defaults here are neutral; each task's default_training_params.json sets its protocol.
    """

    model_id: str = Field(
        description="hub name owner/model, embedded/<name> for a model that ships with the project, or package/<name> "
        "for one that comes in a package (harness/packaged.py)"
    )
    model_revision: str | None = Field(None, description="commit of the hub model, 40 hexadecimal digits")
    data_source: Literal["hub", "embedded"] = Field("hub", description="where the dataset comes from")
    full_finetuning: bool = Field(False, description="train every weight; the folder then has no adapter_config.json")
    train_only: list[str] | None = Field(
        None,
        min_length=1,
        description='parts of the names of the parameters that train, such as ["bias"], the others frozen; the folder '
        "then has no adapter_config.json",
    )
    dtype: Literal["float32", "float16", "bfloat16", "int8", "int4"] = Field(
        "bfloat16", description="of the base model's weights; int8 and int4 (nf4) through bitsandbytes"
    )
    use_amp: bool = Field(False, description="autocast to dtype where that is float16 or bfloat16, else to bfloat16")
    autocast_adapter_dtype: bool = Field(True, description="keep trained adapter weights in float32")
    attn_implementation: Literal["eager", "sdpa", "flash_attention_2", "flex_attention"] | None = Field(
        None, description="attention kernel; null lets transformers choose"
    )
    max_seq_length: int | None = Field(
        None, ge=8, description="prompt and target (causal) or prompt (encoder-decoder); text only, which needs it"
    )
    max_target_length: PositiveInt | None = Field(
        None, description="target; a causal model's prompt then has max_seq_length less this"
    )
    query_template: str = Field("{query}", description="text around a row's prompt; {query} stands for the prompt")
    batch_size: PositiveInt = Field(description="samples per forward pass in training")
    gradient_accumulation_steps: PositiveInt = Field(1, description="forward passes per optimizer step")
    batch_size_eval: PositiveInt = Field(description="samples per batch in evaluation")
    max_steps: PositiveInt | None = Field(None, description="optimizer steps; or give num_epochs")
    num_epochs: PositiveFloat | None = Field(None, description="passes over the training split; or give max_steps")
    min_steps: NonNegativeInt | None = Field(None, description="with num_epochs: at least so many optimizer steps")
    eval_steps: PositiveInt = Field(description="evaluate on valid every so many optimizer steps")
    valid_samples: PositiveInt | None = Field(None, description="rows of valid used by each evaluation; null for all")
    compile: bool = Field(False, description="torch.compile the training forward pass")
    gradient_checkpointing: bool = Field(False, description="recompute activations: less memory, slower")
    seed: NonNegativeInt = Field(0, lt=2**32, description="decides adapter initialization, data order and dropout")
    grad_norm_clip: PositiveFloat | None = Field(1.0, description="largest gradient norm; null for no clipping")
    optimizer_type: str = Field("AdamW", description="see harness/optimizers.py for the names")
    optimizer_kwargs: dict[str, float | int | bool | str | list[float] | None] = Field(
        description="arguments of the optimizer, lr among them"
    )
    lr_scheduler: Literal["cosine", "linear", "none"] = Field("cosine", description="after warm-up")
    warmup_ratio: NonNegativeFloat = Field(0.1, le=1, description="share of the steps that warm up linearly")
    loss_on: Literal["target", "all"] = Field("target", description="tokens the loss counts: target, or prompt too")
    generation_kwargs: GenerationKwargs | None = Field(
        None, description="greedy decoding in evaluation; text only, which needs it"
    )
    sampling: Sampling | None = Field(
        None, description="denoising in evaluation; image generation only, which needs it"
    )
    initialization: Initialization | None = Field(
        None, description="data that the adapter's beginning is made from: rows, or text"
    )
    checkpoint_minutes: PositiveFloat | None = Field(
        None, description="minutes between two checkpoints, from which --resume goes on; null for none"
    )

    @field_validator("model_id")
    @classmethod
    def _model_id_is_no_path(cls, value: str) -> str:
        owner, slash, name = value.partition("/")
        plain = all(
            part and part[0] != "." and part.replace("-", "").replace("_", "").replace(".", "").isalnum()
            for part in (owner, name)
        )
        if not (slash and plain):
            raise ValueError(
                "expected a hub name owner/model, embedded/<name> or package/<name>; a local path is not allowed"
            )
        return value

    @field_validator("model_revision")
    @classmethod
    def _revision_is_a_commit(cls, value: str | None) -> str | None:
        if value is not None and (len(value) != 40 or set(value) - set("0123456789abcdef")):
            raise ValueError("expected a commit of 40 hexadecimal digits; a branch moves and cannot be reproduced")
        return value

    @field_validator("query_template")
    @classmethod
    def _template_has_query(cls, value: str) -> str:
        if value.count("{query}") != 1:
            raise ValueError("expected the placeholder {query} exactly once")
        return value

    @field_validator("optimizer_kwargs")
    @classmethod
    def _has_learning_rate(cls, value: dict[str, Any]) -> dict[str, Any]:
        rate = value.get("lr")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or rate <= 0:
            raise ValueError('expected "lr" with a positive number')
        return value

    @model_validator(mode="after")
    def _combination_is_possible(self) -> "TrainingParams":
        for complaint in _impossible_combinations(self):
            raise ValueError(complaint)
        return self

    @property
    def is_embedded_model(self) -> bool:
        """Whether the base model ships with the project."""
        return self.model_id.startswith("embedded/")

    @property
    def is_hub_model(self) -> bool:
        """Whether the base model comes from the hub, rather than with the project or in a package."""
        return not self.model_id.startswith(("embedded/", "package/"))

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter is trained, rather than weights of the base model itself."""
        return not self.full_finetuning and self.train_only is None

    def recorded(self) -> dict[str, Any]:
        """What a result says of the parameters."""
        untouched = {name for name in LATER if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(exclude=untouched)

    def fingerprinted(self) -> dict[str, Any]:
        """What makes a configuration the same, as JSON values."""
        return GONE | {name: value for name, value in self.recorded().items() if name not in HOW}

    def planned_steps(self, train_rows: int) -> int:
        """Optimizer steps of a run over `train_rows` samples."""
        if self.max_steps is not None:
            return self.max_steps
        per_epoch = -(-train_rows // (self.batch_size * self.gradient_accumulation_steps))
        return max(round(per_epoch * self.num_epochs), self.min_steps or 0, 1)


def _impossible_combinations(params: TrainingParams):
    if (params.max_steps is None) == (params.num_epochs is None):
        yield "max_steps: give exactly one of max_steps and num_epochs"
    if params.min_steps is not None and params.num_epochs is None:
        yield "min_steps: needs num_epochs; with max_steps leave it out"
    if params.max_steps is not None and params.eval_steps > params.max_steps:
        yield f"eval_steps: expected at most max_steps ({params.max_steps}), got {params.eval_steps}"
    yield from _impossible_dtypes(params)
    if params.is_hub_model and params.model_revision is None:
        yield (
            f"model_revision: pin the commit of {params.model_id}; "
            f"its history is at https://huggingface.co/{params.model_id}/commits/main"
        )
    if not params.is_hub_model and params.model_revision is not None:
        yield f"model_revision: {params.model_id} has none; remove it"
    if params.full_finetuning and params.train_only is not None:
        yield "train_only: full_finetuning trains every weight; give one of them"
    longest = math.inf if params.max_seq_length is None else params.max_seq_length
    if params.max_target_length is not None and not 2 <= params.max_target_length < longest:
        yield "max_target_length: expected at least 2, a token and the end of sequence, and less than max_seq_length"


def _impossible_dtypes(params: TrainingParams):
    kind = "train_only" if params.train_only else "full fine-tuning"
    if not params.has_adapter and params.dtype in ("int8", "int4"):
        yield f"dtype: {kind} cannot train {params.dtype} weights; use float32"
    elif not params.has_adapter and params.dtype == "float16":
        yield f'dtype: {kind} in float16 loses its updates; use "dtype": "float32" with "use_amp": true'
    elif not params.has_adapter and params.dtype == "bfloat16" and params.autocast_adapter_dtype:
        yield (
            f'dtype: {kind} trains float32 weights; use "dtype": "float32" with "use_amp": true, '
            'or say "autocast_adapter_dtype": false to train bfloat16 weights'
        )
    if params.dtype == "float16" and not params.autocast_adapter_dtype:
        yield "autocast_adapter_dtype: must be true with float16, whose gradients cannot be unscaled"
