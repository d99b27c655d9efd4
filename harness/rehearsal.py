"""What a rehearsal makes of an experiment: its own base model's architecture tried, then a twin on the embedded model.

Only what is bound to the model, its size or the run's length changes, and every change is told.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from harness.adapter import parameter_counts, train_names, wrap
from harness.adapter_config import Adapter, sizes_of_method
from harness.adapter_sizes import STEPS, adapt_field
from harness.architecture import EMBEDDED, architecture, meta_model, shrunken_model
from harness.errors import UserError
from harness.experiment import Experiment
from harness.initialization import kind_of
from harness.overlay import Layer, build_params
from harness.workloads import Workload

ROWS = 8
LOOKED_AT = 64  # rows, by an initialization
READ_FROM_MODEL = ("token_dim", "num_layers", "num_attention_heads")  # unless the config says them
ON_CPU = {"PagedAdamW": "AdamW", "PagedAdamW8bit": "AdamW8bit", "PagedAdamW32bit": "AdamW"}


def check_architecture(
    experiment: Experiment, adapter: Adapter | None, workload: type[Workload], labels: Sequence[str] = ()
) -> tuple[int, int] | None:
    """Applies the adapter, unchanged, to its own base model on the meta device, with a head for the task's classes.

    Returns:
        trainable and total parameters; None for the few methods that need real weights to begin with, which are tried
        on the first layers of the architecture instead, and where the training rows decide how many they are.

    Raises:
        UserError: the config does not fit the model, or the model's architecture does not ship.
    """
    params = experiment.params
    config = architecture(params.model_id, experiment.origin("model_id"))
    workload.configure(config, labels)
    kind, task_type = workload.auto_class(config), workload.task_type(config)
    model = meta_model(kind, config)
    if adapter is None:
        return parameter_counts(
            train_names(model, params.train_only, f"{experiment.origin('train_only')}: train_only")
        )
    adapter.check_fits((name for name, _ in model.named_modules()), getattr(config, "vocab_size", None))
    if kind_of(adapter.config) == "cpt":
        return None  # as many as the tokens of its rows
    try:
        return parameter_counts(wrap(model, adapter, params, task_type, on_meta=True))
    except (UserError, RuntimeError) as error:
        # Some methods compute with the weights when they attach; what fails there too is the config's fault.
        try:
            wrap(shrunken_model(kind, config), adapter, params, task_type)
        except (UserError, RuntimeError):
            raise error from None
    return None


def rehearsal_of(experiment: Experiment, workload: type[Workload]) -> tuple[Experiment, list[str]]:
    """The same experiment, cut to a few steps on the embedded model and data.

    Only what is bound to the model, its size or the run's length changes.

    Returns:
        the experiment to run, and a line for each change.
    """
    params = experiment.params
    real = architecture(params.model_id, experiment.origin("model_id"))
    embedded_id, tiny = _embedded_twin(real, workload)
    shortened = {
        "model_id": embedded_id,
        "data_source": "embedded",
        "compile": False,
        "max_steps": STEPS,
        "eval_steps": STEPS,
        "valid_samples": ROWS,
        "batch_size": min(params.batch_size, 4),
        "batch_size_eval": ROWS,
        "gradient_accumulation_steps": min(params.gradient_accumulation_steps, 2),
        **workload.shortened(params, tiny),
    }
    bounds = {"rank": tiny.hidden_size // 4, "active_layers": tiny.num_hidden_layers}  # of GaLore, of LISA
    given = params.optimizer_kwargs
    shortened["optimizer_kwargs"] = {key: min(given[key], bounds[key]) for key in bounds if key in given}
    if params.optimizer_type in ON_CPU:
        shortened["optimizer_type"] = ON_CPU[params.optimizer_type]
        shortened["optimizer_kwargs"] = params.optimizer_kwargs
    if params.initialization is not None and params.initialization.rows is not None:
        shortened["initialization"] = {"rows": min(params.initialization.rows, LOOKED_AT)}
    layers = [*experiment.layers, Layer("--rehearse", shortened)]
    rehearsed = build_params(layers)
    before, after = params.model_dump(), rehearsed.model_dump()
    changes = [f"{key}: {before[key]!r} -> {after[key]!r}" for key in before if before[key] != after[key]]
    adapter = experiment.adapter_config
    if adapter is not None:
        adapter, adapted = adapt(adapter, real, tiny)
        changes += [f"adapter_config.{line}" for line in adapted]
    rehearsal = dataclasses.replace(
        experiment, params=rehearsed, adapter_config=adapter, layers=tuple(layers), overrides=shortened
    )
    return rehearsal, changes


def _embedded_twin(real: Any, workload: type[Workload]) -> tuple[str, Any]:
    kind = workload.auto_class(real)
    for path in sorted(EMBEDDED.glob("*/config.json")):
        name = f"embedded/{path.parent.name}"
        tiny = architecture(name, name)
        if workload.auto_class(tiny) is kind and type(tiny) in kind._model_mapping:
            return name, tiny
    raise UserError(f"--rehearse: no model for {kind.__name__} is embedded yet; this experiment cannot be rehearsed")


def adapt(values: dict[str, Any], real: Any, tiny: Any) -> tuple[dict[str, Any], list[str]]:
    """Changes the fields of an adapter config that are bound to one model so that they fit another.

    Args:
        values: the content of adapter_config.json.
        real: the config of the model it was written for.
        tiny: the config of the model it is rehearsed on.

    Returns:
        the new content, and a line for each change.
    """
    kept = {key: _spelled(key, value, tiny) for key, value in values.items() if key not in READ_FROM_MODEL}
    method = values.get("peft_type")
    defaults = sizes_of_method(method)  # a size that the file leaves to PEFT may not fit either
    adapted = {key: adapt_field(key, value, real, tiny, method) for key, value in (defaults | kept).items()}
    adapted = {key: value for key, value in adapted.items() if key in kept or value != defaults[key]}
    lines = [f"{key}: {values.get(key, defaults.get(key))!r} -> {value!r}" for key, value in adapted.items()
             if value != values.get(key, defaults.get(key))]  # fmt: skip
    left_out = [f"{key}: {values[key]!r} -> left to PEFT, which reads it from the model"
                for key in READ_FROM_MODEL if values.get(key) is not None]  # fmt: skip
    return adapted, lines + left_out


def _spelled(key: str, value: Any, tiny: Any) -> Any:
    """Lists of modules as the tiny model spells them, each once; names that it has no other for stay."""
    if key not in ("target_modules", "exclude_modules", "modules_to_save") or not isinstance(value, list):
        return value
    spelled = getattr(tiny, "spelled", {})
    return list(dict.fromkeys(spelled.get(name, name) for name in value))
