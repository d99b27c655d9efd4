"""Rehearsal: proves that an experiment folder works, without GPU, hub or weights."""

import dataclasses
import math
from typing import Any

from transformers import AutoConfig

from harness.adapters import build_adapter_config, check_patterns
from harness.errors import UserError
from harness.experiment import Experiment, profile_layer
from harness.layers import Layer, build_params
from harness.models import EMBEDDED, meta_model, parameter_counts, wrap_in_adapter

STEPS = 3
ROWS = 8


def check_architecture(experiment: Experiment) -> tuple[int, int]:
    """Applies the adapter config, unchanged, to its own base model on the meta device.

    Returns:
        trainable and total parameters.

    Raises:
        UserError: the config does not fit the model, or the model's architecture does not ship.
    """
    where, params = experiment.adapter_config_path, experiment.params
    model = meta_model(params.model_id, experiment.layers[-1].name)
    if experiment.adapter_config is None:
        return parameter_counts(model)
    config = build_adapter_config(experiment.adapter_config, where, params)
    check_patterns(experiment.adapter_config, (name for name, _ in model.named_modules()), where)
    return parameter_counts(wrap_in_adapter(model, config, params.autocast_adapter_dtype, where, on_meta=True))


def rehearsal_of(experiment: Experiment) -> tuple[Experiment, list[str]]:
    """The same experiment, cut to a few steps on the embedded model and data.

    Only what is bound to the model, its size or the run's length changes.

    Returns:
        the experiment to run, and a line for each change.
    """
    params = experiment.params
    real = meta_model(params.model_id, experiment.layers[-1].name).config
    embedded_id, tiny = _embedded_twin(real)
    own = {
        key: value
        for layer in experiment.layers[1:]
        for key, value in layer.values.items()
        if key not in ("model_id", "model_revision", "num_epochs", "min_steps", "max_target_length")
    }
    shortened = {
        "model_id": embedded_id,
        "data_source": "embedded",
        "dtype": params.dtype,
        "use_amp": params.use_amp,
        "compile": False,
        "max_steps": STEPS,
        "eval_steps": STEPS,
        "valid_samples": ROWS,
        "batch_size_eval": ROWS,
        "batch_size": min(params.batch_size, 4),
        "gradient_accumulation_steps": min(params.gradient_accumulation_steps, 2),
        "generation_kwargs": {"max_new_tokens": 16},
    }
    layers = [
        experiment.layers[0],
        profile_layer(experiment.task_folder, "embedded", "--rehearse"),
        Layer(experiment.layers[-1].name, own),
        Layer("--rehearse", shortened),
    ]
    changes = [
        f"{key}: {getattr(params, key)!r} -> {value!r}"
        for key, value in shortened.items()
        if key != "generation_kwargs" and getattr(params, key) != value
    ]
    adapter = experiment.adapter_config
    if adapter is not None:
        adapter, adapted = adapt(adapter, real, tiny)
        changes += [f"adapter_config.{line}" for line in adapted]
    rehearsal = dataclasses.replace(
        experiment, params=build_params(layers), adapter_config=adapter, layers=tuple(layers), overrides=shortened
    )
    return rehearsal, changes


def _embedded_twin(real: Any) -> tuple[str, Any]:
    for path in sorted(EMBEDDED.glob("*/config.json")):
        tiny = AutoConfig.from_pretrained(path.parent)
        if tiny.is_encoder_decoder == real.is_encoder_decoder:
            return f"embedded/{path.parent.name}", tiny
    kind = "encoder-decoder" if real.is_encoder_decoder else "causal"
    raise UserError(f"--rehearse: no {kind} model is embedded yet; this experiment cannot be rehearsed")


def adapt(values: dict[str, Any], real: Any, tiny: Any) -> tuple[dict[str, Any], list[str]]:
    """Changes the fields of an adapter config that are bound to one model so that they fit another.

    Args:
        values: the content of adapter_config.json.
        real: the config of the model it was written for.
        tiny: the config of the model it is rehearsed on.

    Returns:
        the new content, and a line for each change.
    """
    adapted = {key: _adapt_field(key, value, real, tiny) for key, value in values.items()}
    lines = [f"{key}: {values[key]!r} -> {adapted[key]!r}" for key in values if values[key] != adapted[key]]
    return adapted, lines


def _adapt_field(key: str, value: Any, real: Any, tiny: Any) -> Any:
    if value is None:
        return None
    layers = tiny.num_hidden_layers
    if key == "layers_to_transform":
        indices = [value] if isinstance(value, int) else value
        return sorted({index * layers // real.num_hidden_layers for index in indices})
    if key == "layer_replication":
        return [[0, layers]]
    if key in ("token_dim", "num_layers", "num_attention_heads", "encoder_hidden_size"):
        return None  # PEFT reads them from the model
    if key == "trainable_token_indices" and isinstance(value, list):
        return sorted({index % tiny.vocab_size for index in value})
    if key.endswith("block_size") and isinstance(value, int) and value > 0:
        return math.gcd(value, tiny.hidden_size)
    if key == "total_step":
        return STEPS
    if key in ("tinit", "tfinal"):
        return 0 if key == "tfinal" else min(value, 1)
    return value
