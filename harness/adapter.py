"""Attaches an adapter to a base model, counts what it trains, and saves it."""

import dataclasses
import math
from collections.abc import Sequence
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel, PromptTuningInit, get_peft_model
from peft.utils import ModulesToSaveWrapper
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from harness.adapter_config import Adapter
from harness.devices import is_out_of_memory
from harness.errors import UserError, did_you_mean, one_line
from harness.experiment import display_path
from harness.initialization import (
    StartingData,
    after_attaching,
    before_attaching,
    for_untouched_base,
    keep_beginning,
    without_data,
)
from harness.models import location
from harness.params import TrainingParams


def attach(
    model: PreTrainedModel,
    adapter: Adapter | None,
    params: TrainingParams,
    task_type: str | None,
    data: StartingData | None = None,
) -> nn.Module:
    """Wraps the base model in its adapter, or, without one, makes every weight of it trainable.

    Args:
        model: the untouched base model; changed in place by most methods.
        adapter: the checked adapter_config.json, None for full fine-tuning.
        params: decide the trained weights' dtype, and what the adapter begins with.
        task_type: PEFT's name for what the model does, None where it has none.
        data: what the beginning is made from, where the parameters ask for that.

    Raises:
        UserError: PEFT refuses the config for this model, for example because no module matches.
    """
    if adapter is None:
        return train_names(model, params.train_only, "train_only")
    adapter.check_fits((name for name, _ in model.named_modules()), getattr(model.config, "vocab_size", None))
    wrapped = wrap(model, adapter, params, task_type, data=data)
    wrapped.peft_config["default"].base_model_name_or_path = params.model_id  # not the folder that it came from
    if params.autocast_adapter_dtype:
        _train_in_float32(wrapped)
        _refuse_mixed_dtypes(wrapped, params, adapter.where)
    keep_beginning(wrapped)
    return wrapped


def wrap(
    model: PreTrainedModel,
    adapter: Adapter,
    params: TrainingParams,
    task_type: str | None,
    on_meta: bool = False,
    data: StartingData | None = None,
) -> PeftModel:
    """get_peft_model with its many kinds of complaint turned into one line.

    `on_meta` makes no real weights; without `data`, a beginning that is made from data is left out.

    Raises:
        UserError: the config does not fit the model.
    """
    config, where = adapter.fresh(), adapter.where
    config.task_type = config.task_type or task_type
    if str(getattr(config.task_type, "value", config.task_type)) != str(task_type):
        raise UserError(f"{where}: task_type: expected {task_type} for this base model, got {config.task_type!r}")
    _name_tokenizer(config, model, params)
    if data is None:
        config = without_data(config)
    else:
        before_attaching(config, model, params, data, where)
    try:
        with torch.device("meta") if on_meta else nullcontext():
            wrapped = get_peft_model(model, config, autocast_adapter_dtype=params.autocast_adapter_dtype)
    except (ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError) as error:
        hollow = on_meta or model.device.type == "meta"
        if is_out_of_memory(error) or hollow and isinstance(error, RuntimeError):
            raise  # some methods need real weights to begin with, which only the caller has or does without
        raise UserError(
            f"{where}: {_key_of(error)}PEFT cannot apply it to {model.config.model_type}: {one_line(error)[:300]}"
        ) from None
    if not any(parameter.requires_grad for parameter in wrapped.parameters()):
        raise UserError(f"{where}: nothing is trainable with this config; check its target modules")
    if data is not None:
        after_attaching(wrapped, params, data, where)
    return wrapped


def _name_tokenizer(config: PeftConfig, model: PreTrainedModel, params: TrainingParams) -> None:
    """Prompt tuning that begins with a text loads a tokenizer: the base model's own, as it is pinned."""
    if getattr(config, "tokenizer_name_or_path", None) and model.name_or_path:
        config.tokenizer_name_or_path, pinned = location(params, lambda _: "adapter_config.json")
        config.tokenizer_kwargs = pinned
    elif getattr(config, "tokenizer_name_or_path", None):  # an architecture alone has no tokenizer
        config.prompt_tuning_init, config.tokenizer_name_or_path = PromptTuningInit.RANDOM, None


def _key_of(error: BaseException) -> str:
    return "target_modules: " if "target modules" in str(error).lower() or "target_modules" in str(error) else ""


def _train_in_float32(model: nn.Module) -> None:
    """Small updates vanish in bfloat16 weights, so whatever is trained is kept in float32."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.float16, torch.bfloat16):
            parameter.data = parameter.data.float()


def _refuse_mixed_dtypes(model: PeftModel, params: TrainingParams, where: str) -> None:
    """Most of PEFT's adapter layers convert between dtypes, whole modules that are trained do not: autocast must."""
    whole = model.active_peft_config.peft_type in ("LN_TUNING", "ADAPTION_PROMPT", "SHADOW")
    whole = whole or any(isinstance(module, ModulesToSaveWrapper) for module in model.modules())
    if whole and not params.use_amp and params.dtype != "float32":
        raise UserError(f'{where}: trains modules in float32 inside a {params.dtype} model; add "use_amp": true '
                        "to training_params.json")  # fmt: skip


def train_names(model: nn.Module, only: Sequence[str] | None, where: str) -> nn.Module:
    """Makes the parameters trainable that have one of the parts in their names, and freezes the others; all for None.

    Raises:
        UserError: a part is in no name.
    """
    model.requires_grad_(only is None)
    for part in only or ():
        found = [parameter for name, parameter in model.named_parameters() if part in name.split(".")]
        if not found:
            known = {piece for name, _ in model.named_parameters() for piece in name.split(".") if not piece.isdigit()}
            raise UserError(f"{where}: {part!r} is in no name of the model's parameters; {did_you_mean(part, known)}")
        for parameter in found:
            parameter.requires_grad_(True)
    return model


def parameter_counts(model: nn.Module, module: str | None = None) -> tuple[int, int]:
    """Trainable and total parameters; 4-bit weights count as many as they stand for, shared ones once.

    `module` counts those that have it in their names only.
    """
    trainable = total = 0
    for name, parameter in model.named_parameters():
        if module is not None and module not in name.split("."):
            continue
        packed = parameter.__class__.__name__ == "Params4bit"
        count = parameter.quant_state.shape.numel() if packed and parameter.quant_state else parameter.numel()
        total += count
        trainable += count if parameter.requires_grad else 0
    return trainable, total


def save(model: nn.Module, folder: Path, only: Sequence[str] | None = None) -> Sequence[Path]:
    """Saves what was trained, as a user would; returns the weight files.

    `only` are the parts of names whose parameters were trained, where that is not the whole base model: these tensors
    are stored, for `load_state_dict(…, strict=False)`.

    Raises:
        UserError: the folder cannot be written, for example because the disk is full.
    """
    # No resized embeddings here; PEFT's default would ask the hub about them.
    extra = {"save_embedding_layers": False} if isinstance(model, PeftModel) else {}
    plain = for_untouched_base(model)
    try:
        if only is not None:
            folder.mkdir(parents=True, exist_ok=True)
            trained = {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}
            save_file(trained, folder / "trained.safetensors", metadata={"format": "pt"})
        elif plain is None:
            model.save_pretrained(folder, **extra)
        else:
            plain[1].save_pretrained(folder)
            save_file(plain[0], folder / "adapter_model.safetensors", metadata={"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{display_path(folder)}: cannot be written: {one_line(error)}; free some space or choose another --output"
        ) from error
    return sorted(folder.glob("*.safetensors"))


def with_own_terms(loss: torch.Tensor, model: nn.Module) -> torch.Tensor:
    """A loss and what the method adds to it; the same tensor where that is nothing."""
    terms = own_terms(model)
    return loss if isinstance(terms, float) else loss + terms


def own_terms(model: nn.Module) -> torch.Tensor | float:
    """What a method adds to the loss by the hand of whoever trains it: KaSA's and MonteCLoRA's regularization."""
    config = getattr(model, "peft_config", {}).get("default")
    terms: torch.Tensor | float = 0.0
    if getattr(config, "kasa_config", None) is not None:
        terms = terms + model.base_model._get_kasa_loss()
    if getattr(config, "monteclora_config", None) is not None:
        terms = terms + model.base_model._get_monteclora_loss()
    return terms


def config_summary(model: nn.Module) -> dict[str, Any] | None:
    """The complete PEFT config, its defaults included, as JSON values; None for full fine-tuning."""
    return _plain(model.peft_config["default"].to_dict()) if isinstance(model, PeftModel) else None


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
