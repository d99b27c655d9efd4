"""Takes over experiments of the layout that Hugging Face's method_comparison publishes, and says what changes."""

from pathlib import Path
from typing import Any

import peft

from harness.adapter_config import build_adapter_config
from harness.contribute.defaults import WRITTEN_BY_PEFT, peft_defaults, strip_adapter, strip_params, write_json
from harness.contribute.new import plain_name
from harness.errors import UserError, brief
from harness.experiment import CONTENT
from harness.files import display_path, read_json
from harness.optimizers import check_optimizer
from harness.overlay import Layer, build_params, origin
from harness.params import GenerationKwargs, TrainingParams

OPTIMIZERS = {"lora-fa": "LoraFA", "lora+": "LoraPlus", "loraplus": "LoraPlus", "riemannian": "Riemannian"}
KNOWN_TO_LORA_FA = ("r", "lora_alpha")  # which reads them from the adapter
FULL = {"full_finetuning": True, "dtype": "float32", "use_amp": True}
Values = dict[str, Any]


def import_experiment(source: Path, task: str, root: Path) -> tuple[Path, list[str]]:
    """Writes the experiment into <root>/method_comparison/<task>.

    Returns:
        its folder, and a line for each change.

    Raises:
        UserError: the folder exists, or what it says cannot be said here.
    """
    folder = root / CONTENT / task / "experiments" / source.parent.name / source.name
    if not (plain_name(source.name) and plain_name(source.parent.name)):
        raise UserError(f"{display_path(source)}: no name for an experiment here; rename it")
    if folder.exists():
        raise UserError(f"{display_path(folder)}: exists; an experiment is never edited, so rename one of the two")
    adapter, params = (
        read_json(source / file) if (source / file).exists() else None
        for file in ("adapter_config.json", "training_params.json")
    )
    own, lines = translate_params(params or {}, full_finetuning=adapter is None)
    defaults = root / CONTENT / task / "default_training_params.json"
    lower = [Layer(display_path(defaults), read_json(defaults))]
    layers = [*lower, Layer(f"{display_path(source)}/training_params.json", own)]
    built = build_params(layers)
    check_optimizer(built, lambda key: origin(layers, key))
    if adapter is not None:
        adapter, dropped = translate_adapter(adapter)
        build_adapter_config(adapter, f"{display_path(source)}/adapter_config.json", built)
        lines += dropped
        write_json(folder / "adapter_config.json", strip_adapter(adapter))
    write_json(folder / "training_params.json", strip_params(own, lower))
    return folder, lines


def translate_params(params: Values, full_finetuning: bool) -> tuple[Values, list[str]]:
    """The same in this project's words, and a line for each change.

    Args:
        params: content of a published training_params.json.
        full_finetuning: whether there was no adapter_config.json beside it, which is how they say that.
    """
    own, lines = dict(params), []
    if "use_gc" in own:
        own["gradient_checkpointing"] = own.pop("use_gc")
        lines.append("use_gc: now gradient_checkpointing")
    if own.get("optimizer_type") in OPTIMIZERS:
        _translate_optimizer(own, lines)
    if own.get("lr_scheduler", "") is None:
        own["lr_scheduler"] = "none"
        lines.append('lr_scheduler: null is "none"')
    if own.get("grad_norm_clip") == 0:
        own["grad_norm_clip"] = None
        lines.append("grad_norm_clip: 0 is null, no clipping")
    if isinstance(own.get("generation_kwargs"), dict):
        _drop_unknown_decoding(own, lines)
    for key in [key for key, value in own.items() if value is None and key not in TrainingParams.model_fields]:
        del own[key]
        lines.append(f"{key}: null, dropped; there is no such parameter here")
    if full_finetuning:
        own = own | {key: value for key, value in FULL.items() if key not in own}
        lines.append('full_finetuning: true, since there is no adapter_config.json; "dtype": "float32" with '
                     '"use_amp": true, unless it said otherwise')  # fmt: skip
    return own, lines


def _translate_optimizer(own: Values, lines: list[str]) -> None:
    theirs, own["optimizer_type"] = own["optimizer_type"], OPTIMIZERS[own["optimizer_type"]]
    lines.append(f"optimizer_type: {theirs} is {own['optimizer_type']}")
    if own["optimizer_type"] == "LoraFA" and isinstance(own.get("optimizer_kwargs"), dict):
        known = [key for key in KNOWN_TO_LORA_FA if key in own["optimizer_kwargs"]]
        own["optimizer_kwargs"] = {key: value for key, value in own["optimizer_kwargs"].items() if key not in known}
        lines += [f"optimizer_kwargs.{key}: dropped; LoraFA reads it from the adapter" for key in known]


def _drop_unknown_decoding(own: Values, lines: list[str]) -> None:
    given = own["generation_kwargs"]
    own["generation_kwargs"] = {key: value for key, value in given.items() if key in GenerationKwargs.model_fields}
    lines += [f"generation_kwargs.{key}: {brief(value)} dropped; decoding is greedy, its length max_new_tokens"
              for key, value in given.items() if key not in GenerationKwargs.model_fields]  # fmt: skip
    if not own["generation_kwargs"]:
        del own["generation_kwargs"]


def translate_adapter(values: Values) -> tuple[Values, list[str]]:
    """The same for the installed PEFT, and a line for each key that it does not know."""
    known = peft_defaults(values.get("peft_type"))
    kept = {key: value for key, value in values.items() if not known or key in known}
    lines = [f"{key}: {brief(values[key])} dropped; PEFT {peft.__version__} has no such key of {values['peft_type']}"
             for key in values if key not in kept]  # fmt: skip
    for key in [key for key in WRITTEN_BY_PEFT if kept.get(key)]:
        lines.append(f"{key}: {brief(kept.pop(key))} dropped; says nothing of the method")
    return kept, lines
