"""Base models with their weights: from the hub at a pinned commit, embedded, of a package, or random ones."""

import logging
import os
import pickle
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import transformers
from huggingface_hub.utils import enable_progress_bars
from peft.utils import prepare_model_for_kbit_training
from transformers import AutoConfig, BitsAndBytesConfig, GgufConfig, PretrainedConfig, PreTrainedModel

from harness.architecture import EMBEDDED, architecture
from harness.devices import notice_out_of_memory
from harness.errors import UserError, did_you_mean, one_line
from harness.overlay import Origin
from harness.packaged import packaged_file
from harness.params import TrainingParams

log = logging.getLogger("run")
# Of PEFT about transformers' or its own inner workings; nothing that a user of the harness could change.
LIBRARY_WARNINGS = (
    "The PEFT config's `base_model_name_or_path` was renamed",
    "`is_gradient_checkpointing` is deprecated",
    "`gradient_checkpointing_enable` is deprecated",
    "Unsupported layer type .*Norm",  # LN tuning knows LayerNorm by name only
    "`init_lora_weights` is '(eva|corda)' but",  # its defaults are what is meant
    "lora with eva initialization used with low_cpu_mem_usage",
    "Full backward hook is firing",  # LoRA-GA's, of weights alone
    "Position ids are not supported for parameter efficient tuning",  # harness/text/generation.py makes up for it
)
os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"  # transformers would ask a service to convert a .bin model
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def location(params: TrainingParams, origin: Origin) -> tuple[str, dict[str, Any]]:
    """What from_pretrained is given: a folder or a hub name, and the arguments that pin it.

    Raises:
        UserError: an embedded or packaged model that does not exist or is not installed, or a hub name that a local
            folder would shadow.
    """
    if params.is_embedded_model:
        known = {f"embedded/{path.parent.name}": path.parent for path in EMBEDDED.glob("*/config.json")}
        if params.model_id not in known:
            remedy = did_you_mean(params.model_id, known)
            raise UserError(f"{origin('model_id')}: model_id: unknown {params.model_id!r}; {remedy}")
        return str(known[params.model_id]), {"local_files_only": True}
    if not params.is_hub_model:
        file = packaged_file(params.model_id, origin("model_id"))
        return str(file.parent), {"gguf_file": file.name, "local_files_only": True}
    if Path(params.model_id).exists():
        raise UserError(
            f"{origin('model_id')}: model_id: a local folder {params.model_id} would be loaded instead of the hub's; "
            "start from another working directory"
        )
    return params.model_id, {"revision": params.model_revision}


def load_config(params: TrainingParams, origin: Origin) -> PretrainedConfig:
    """The base model's config, by which its class is chosen; raises as `location` does."""
    name, pinned = location(params, origin)
    if "gguf_file" in pinned:  # reading it takes as long as loading the weights, and its SHA-256 is known
        return architecture(params.model_id, origin("model_id"))
    return AutoConfig.from_pretrained(name, trust_remote_code=False, **pinned)


def load_weights(
    auto_class: type,
    config: PretrainedConfig,
    params: TrainingParams,
    device: torch.device,
    origin: Origin,
    **more: Any,
) -> PreTrainedModel:
    """Loads the base model of `params` in its dtype onto the device; `more` goes to from_pretrained.

    Raises:
        UserError: a .bin file with more than weights in it, or an attention kernel that is not to be had here.
    """
    name, pinned = location(params, origin)
    arguments, packing = _build_arguments(params), _packing(params, device)
    unpacked = "gguf_file" in pinned  # holds weights packed otherwise
    # Unpacked by torch: for weights left as they are transformers would fetch a kernel's code from the hub.
    how = {"quantization_config": GgufConfig(dequantize=True)} if unpacked else packing
    try:
        with notice_out_of_memory(device):
            model = auto_class.from_pretrained(
                name,
                config=config,
                trust_remote_code=False,
                # Some pinned models of the hub exist only as .bin; those are read without unpickling any code.
                use_safetensors=True if params.is_embedded_model else None,
                weights_only=True,
                **arguments,
                **how,
                **pinned,
                **more,
            )
            return _packed(model, packing, arguments) if unpacked and packing else model
    except pickle.UnpicklingError as error:
        raise UserError(
            f"model {name}: its .bin file holds more than weights and was not loaded ({one_line(error)[:100]}); "
            "use a revision that has safetensors"
        ) from None
    except (ImportError, ValueError) as error:
        raise _without_kernel(error, params, origin) from error


def random_weights(
    auto_class: type, config: PretrainedConfig, params: TrainingParams, device: torch.device, origin: Origin
) -> PreTrainedModel:
    """The same model with random weights, through the same quantization as a real one; nothing is downloaded.

    On the meta device shapes alone, packed ones too.

    Raises:
        UserError: an attention kernel that is not to be had here, or int8 on the meta device.
    """
    arguments, packing = _build_arguments(params), _packing(params, device)
    hollow = device.type == "meta"
    try:
        with device if hollow or not packing else torch.device("cpu"):  # need not hold what is to be packed
            model = auto_class.from_config(config, **arguments)
    except (ImportError, ValueError) as error:
        raise _without_kernel(error, params, origin) from error
    if packing and hollow:
        return _packed_shapes(model, packing["quantization_config"], origin)
    if packing:
        with notice_out_of_memory(device):
            return _packed(model, packing, arguments)
    return model


def _packed(model: PreTrainedModel, packing: dict[str, Any], arguments: dict[str, Any]) -> PreTrainedModel:
    """A model in memory, its linear layers packed as those of one that is loaded."""
    model = type(model).from_pretrained(
        None, config=model.config, state_dict=model.state_dict(), **packing, **arguments
    )
    model.name_or_path = model.config.name_or_path = ""  # it came from nowhere; PEFT would look for a tokenizer
    return model


def _packed_shapes(model: PreTrainedModel, quantization: BitsAndBytesConfig, origin: Origin) -> PreTrainedModel:
    """A model on the meta device with its linear layers packed as bitsandbytes packs those of a real one."""
    from bitsandbytes.functional import name2qmap  # only where asked for: its import probes the platform
    from transformers.integrations import replace_with_bnb_linear
    from transformers.quantizers.base import get_keys_to_not_convert

    if quantization.load_in_8bit:
        raise UserError(f"{origin('dtype')}: dtype: which columns an int8 base multiplies apart depends on its "
                        "values, so that shapes alone do not tell its memory; forecast int4 or bfloat16")  # fmt: skip
    whole = list(model._keep_in_fp32_modules or ())  # as loading weights keeps them
    model = replace_with_bnb_linear(model, [*get_keys_to_not_convert(model), *whole], quantization)
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in whole:
            module.float()
    # Its code books are real, and one made here must not be what a real model is packed with later.
    with patch.dict(name2qmap, clear=True), torch.device("cpu"):
        for module in model.modules():
            weight = getattr(module, "weight", None)
            if type(weight).__name__ == "Params4bit":
                values = torch.empty(weight.shape, dtype=model.dtype, device="meta")
                kind = {"quant_type": weight.quant_type, "compress_statistics": weight.compress_statistics}
                module.weight = type(weight)(values, **kind)._quantize(values.device)
    model.is_quantized = model.is_loaded_in_4bit = True
    model.quantization_method = quantization.quant_method
    return model


def _build_arguments(params: TrainingParams) -> dict[str, Any]:
    return {
        "dtype": DTYPES.get(params.dtype, torch.bfloat16),
        "attn_implementation": params.attn_implementation,
    }


def _packing(params: TrainingParams, device: torch.device) -> dict[str, Any]:
    """What from_pretrained is told of packing; nothing for a dtype that is no quantization."""
    quantization = quantization_config(params.dtype)
    return {} if quantization is None else {"quantization_config": quantization, "device_map": {"": device}}


def _without_kernel(error: Exception, params: TrainingParams, origin: Origin) -> Exception:
    """What transformers says of an attention kernel that is not installed or does not fit, as one line."""
    wanted = params.attn_implementation
    if wanted is None or not ("attention" in str(error).lower() or "attn" in str(error).lower()):
        return error
    named = f"{origin('attn_implementation')}: attn_implementation"
    return UserError(f"{named}: {wanted} cannot be used here: {one_line(error)[:150]}; use sdpa")


def prepare_base_model(model: PreTrainedModel, params: TrainingParams, device: torch.device) -> PreTrainedModel:
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
    return model.eval()


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


def quiet_libraries() -> None:
    """Keeps off the screen what the libraries report about loading; the harness says itself what it is doing."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    enable_progress_bars()  # of downloads, which transformers has just switched off with its own
    for message in LIBRARY_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
