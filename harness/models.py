"""Base models: from the hub, embedded, or as an architecture alone; and what attaches an adapter to them."""

import json
import logging
import os
import pickle
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.utils import enable_progress_bars
from peft import PeftConfig, PeftModel, PromptTuningInit, get_peft_model
from peft.utils import ModulesToSaveWrapper, prepare_model_for_kbit_training
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from harness.adapter_config import check_patterns, one_line
from harness.devices import notice_out_of_memory
from harness.errors import UserError, did_you_mean
from harness.experiment import ROOT
from harness.params import TrainingParams
from harness.text.generation import neutralize_generation_config

log = logging.getLogger("run")
ARCHITECTURES = ROOT / "harness" / "architectures"
EMBEDDED = ROOT / "harness" / "embedded"
# Of PEFT about transformers' or its own inner workings; nothing that a user of the harness could change.
LIBRARY_WARNINGS = (
    "The PEFT config's `base_model_name_or_path` was renamed",
    "`is_gradient_checkpointing` is deprecated",
    "`gradient_checkpointing_enable` is deprecated",
    "Unsupported layer type .*Norm",  # LN tuning knows LayerNorm by name only
    "Position ids are not supported for parameter efficient tuning",  # harness/text/generation.py makes up for it
)
os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"  # transformers would ask a service to convert a .bin model
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def location(params: TrainingParams, where: str) -> tuple[str, dict[str, Any]]:
    """What from_pretrained is given: a folder of the project or a hub name, and the arguments that pin it.

    Raises:
        UserError: an embedded model that does not exist, or a hub name that a local folder would shadow.
    """
    if params.is_embedded_model:
        known = {f"embedded/{path.parent.name}": path.parent for path in EMBEDDED.glob("*/config.json")}
        if params.model_id not in known:
            raise UserError(f"{where}: model_id: unknown {params.model_id!r}; {did_you_mean(params.model_id, known)}")
        return str(known[params.model_id]), {"local_files_only": True}
    if Path(params.model_id).exists():
        raise UserError(
            f"{where}: model_id: a local folder {params.model_id} would be loaded instead of the hub's; "
            "start from another working directory"
        )
    return params.model_id, {"revision": params.model_revision}


def load_tokenizer(params: TrainingParams, where: str) -> PreTrainedTokenizerBase:
    """The base model's tokenizer, with a padding token (its end token where it has none: padding is always masked)."""
    name, pinned = location(params, where)
    tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **pinned)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    # The harness cuts sequences itself; the tokenizer would warn about lengths that never reach the model.
    tokenizer.model_max_length = int(1e9)
    return tokenizer


def load_base_model(
    params: TrainingParams, tokenizer: PreTrainedTokenizerBase, device: torch.device, where: str
) -> PreTrainedModel:
    """Loads the base model in `params.dtype` onto the device, in evaluation mode and with greedy decoding settings."""
    name, pinned = location(params, where)
    config = AutoConfig.from_pretrained(name, trust_remote_code=False, **pinned)
    if config.model_type == "t5" and params.dtype == "float16":
        log.warning("%s: dtype: T5's activations overflow in float16, so that steps are skipped or answers garbled; "
                    "bfloat16 does not", where)  # fmt: skip
    quantization = quantization_config(params.dtype)
    model = _load_weights(
        auto_class(config),
        name,
        device,
        config=config,
        trust_remote_code=False,
        # Some pinned models of the hub exist only as .bin; those are read without unpickling any code.
        use_safetensors=True if params.is_embedded_model else None,
        weights_only=True,
        dtype=DTYPES.get(params.dtype, torch.bfloat16),
        attn_implementation=params.attn_implementation,
        quantization_config=quantization,
        device_map={"": device} if quantization else None,
        **pinned,
    )
    return prepare_base_model(model, tokenizer, params, device)


def prepare_base_model(
    model: PreTrainedModel, tokenizer: Any, params: TrainingParams, device: torch.device
) -> PreTrainedModel:
    """What every base model goes through once it has its weights; returns it on the device, in evaluation mode."""
    for module in model.modules():
        # bitsandbytes repacks 4-bit weights for inference on some CPUs, and a packed layer passes no gradient on when
        # training continues after an evaluation.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    if not getattr(model, "is_quantized", False):
        model.to(device)
    else:  # here rather than with the adapter, so that the untouched base is scored in the same arithmetic
        checkpointing = {"gradient_checkpointing_kwargs": {"use_reentrant": False}}
        model = prepare_model_for_kbit_training(model, params.gradient_checkpointing, **checkpointing)
    if params.gradient_checkpointing:
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
    neutralize_generation_config(model, tokenizer)
    return model.eval()


def _load_weights(kind: type, name: str, device: torch.device, **arguments: Any) -> PreTrainedModel:
    try:
        with notice_out_of_memory(device):
            return kind.from_pretrained(name, **arguments)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"model {name}: its .bin file holds more than weights and was not loaded ({one_line(error)[:100]}); "
            "use a revision that has safetensors"
        ) from None


def auto_class(config: PretrainedConfig) -> type:
    """The class of transformers that loads or builds such a base model."""
    return AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM


def quantization_config(dtype: str) -> BitsAndBytesConfig | None:
    """How bitsandbytes is to store the base model's weights; None for a dtype that is no quantization."""
    if dtype == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    if dtype == "int4":  # the settings of QLoRA (arXiv 2305.14314)
        return BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    return None


def shrunken_model(model_id: str, where: str) -> PreTrainedModel:
    """The architecture with two layers, a small vocabulary and random weights, for what the meta device cannot do."""
    config = architecture(model_id, where)
    config.num_hidden_layers, config.vocab_size = min(config.num_hidden_layers, 2), min(config.vocab_size, 1024)
    if config.is_encoder_decoder:
        config.num_decoder_layers = config.num_hidden_layers
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    return auto_class(config).from_config(config, dtype=torch.bfloat16)


def meta_model(model_id: str, where: str) -> PreTrainedModel:
    """The architecture of a base model on the meta device: shapes and names without weights, memory or network."""
    config = architecture(model_id, where)
    with torch.device("meta"):
        return auto_class(config).from_config(config, dtype=torch.bfloat16)


def architecture(model_id: str, where: str) -> PretrainedConfig:
    """The config of a base model as it ships with the project.

    Raises:
        UserError: the project ships no architecture of that name.
    """
    path = _architecture_file(model_id)
    if not path.is_file():
        known = ", ".join(sorted(path.stem.replace("--", "/") for path in ARCHITECTURES.glob("*.json")))
        raise UserError(
            f"{where}: model_id: no architecture of {model_id!r} ships with the project, so that it can "
            f"neither be rehearsed nor profiled; add its config.json as {path.name} to harness/architectures "
            f"(there: {known})"
        )
    return AutoConfig.for_model(**json.loads(path.read_text()))


def has_architecture(model_id: str) -> bool:
    """Whether the architecture of a base model ships with the project."""
    return _architecture_file(model_id).is_file()


def _architecture_file(model_id: str) -> Path:
    if model_id.startswith("embedded/"):
        return EMBEDDED / model_id.removeprefix("embedded/") / "config.json"
    return ARCHITECTURES / f"{model_id.replace('/', '--')}.json"


def attach_adapter(
    model: PreTrainedModel,
    config: PeftConfig | None,
    values: dict[str, Any] | None,
    params: TrainingParams,
    where: str,
) -> nn.Module:
    """Wraps the base model in its adapter, or, without one, makes every weight of it trainable.

    Args:
        model: the untouched base model; changed in place by most methods.
        config: PEFT's config, None for full fine-tuning.
        values: the file that `config` was made of, whose expressions are bounded in time first.
        params: decide the trained weights' dtype, checkpointing and quantized preparation.
        where: the adapter config's path for messages.

    Raises:
        UserError: PEFT refuses the config for this model, for example because no module matches.
    """
    if config is None:
        model.requires_grad_(True)
        wrapped: nn.Module = model
    else:
        check_patterns(values, (name for name, _ in model.named_modules()), where)
        wrapped = wrap_in_adapter(model, config, params.autocast_adapter_dtype, where, revision=params.model_revision)
        if params.autocast_adapter_dtype:
            _train_in_float32(wrapped)
            _refuse_mixed_dtypes(wrapped, params, where)
    return wrapped


def wrap_in_adapter(
    model: PreTrainedModel,
    config: PeftConfig,
    autocast_adapter_dtype: bool,
    where: str,
    *,
    revision: str | None = None,
    on_meta: bool = False,
) -> PeftModel:
    """get_peft_model with its many kinds of complaint turned into one line; `on_meta` makes no real weights.

    Raises:
        UserError: the config does not fit the model.
    """
    config.task_type = config.task_type or ("SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM")
    expected = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    if str(getattr(config.task_type, "value", config.task_type)) != expected:
        raise UserError(f"{where}: task_type: expected {expected} for this base model, got {config.task_type!r}")
    if getattr(config, "tokenizer_name_or_path", None) and model.name_or_path:
        config.tokenizer_name_or_path = model.name_or_path
        config.tokenizer_kwargs = {"revision": revision} if revision else None
    elif getattr(config, "tokenizer_name_or_path", None):  # an architecture alone has no tokenizer
        config.prompt_tuning_init, config.tokenizer_name_or_path = PromptTuningInit.RANDOM, None
    try:
        with torch.device("meta") if on_meta else nullcontext():
            wrapped = get_peft_model(model, config, autocast_adapter_dtype=autocast_adapter_dtype)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError, AssertionError) as error:
        raise UserError(
            f"{where}: {_key_of(error)}PEFT cannot apply it to {model.config.model_type}: {one_line(error)[:300]}"
        ) from None
    if not any(parameter.requires_grad for parameter in wrapped.parameters()):
        raise UserError(f"{where}: nothing is trainable with this config; check its target modules")
    return wrapped


def _key_of(error: BaseException) -> str:
    return "target_modules: " if "target modules" in str(error).lower() or "target_modules" in str(error) else ""


def _train_in_float32(model: nn.Module) -> None:
    """Small updates vanish in bfloat16 weights, so whatever is trained is kept in float32 (DESIGN, "Precision")."""
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.dtype in (torch.float16, torch.bfloat16):
            parameter.data = parameter.data.float()


def _refuse_mixed_dtypes(model: PeftModel, params: TrainingParams, where: str) -> None:
    """PEFT's adapter layers convert between dtypes, whole modules that are trained do not: autocast must."""
    whole = model.active_peft_config.peft_type == "LN_TUNING"
    whole = whole or any(isinstance(module, ModulesToSaveWrapper) for module in model.modules())
    if whole and not params.use_amp and params.dtype != "float32":
        raise UserError(f'{where}: trains whole modules in float32 inside a {params.dtype} model; add "use_amp": true '
                        "to training_params.json")  # fmt: skip


def parameter_counts(model: nn.Module) -> tuple[int, int]:
    """Trainable and total parameters; 4-bit weights count as many as they stand for, shared ones once."""
    trainable = total = 0
    for parameter in model.parameters():
        packed = parameter.__class__.__name__ == "Params4bit"
        count = parameter.quant_state.shape.numel() if packed and parameter.quant_state else parameter.numel()
        total += count
        trainable += count if parameter.requires_grad else 0
    return trainable, total


def quiet_libraries() -> None:
    """Keeps off the screen what the libraries report about loading; the harness says itself what it is doing."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    enable_progress_bars()  # of downloads, which transformers has just switched off with its own
    for message in LIBRARY_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
