"""What an experiment costs as far as shapes tell: trained parameters, and bytes of what it will save."""

from collections.abc import Sequence
from dataclasses import dataclass

from peft import PeftModel, get_peft_model_state_dict

from harness.adapter import parameter_counts, wrap
from harness.adapter_config import Adapter
from harness.architecture import architecture, meta_model
from harness.errors import UserError
from harness.experiment import Experiment
from harness.params import TrainingParams
from harness.rehearsal import check_architecture
from harness.workloads import Workload


@dataclass(frozen=True)
class Costs:
    """None where only real weights would tell.

    trainable, total: parameters. storage: bytes of the saved tensors.
    """

    trainable: int | None
    total: int | None
    storage: int | None


def costs_of(
    experiment: Experiment, adapter: Adapter | None, workload: type[Workload], labels: Sequence[str] = ()
) -> Costs:
    """Of the experiment on its own base model's architecture, without weights.

    Raises:
        UserError: the config does not fit the model, or the model's architecture does not ship.
    """
    params = experiment.params
    config = architecture(params.model_id, experiment.origin("model_id"))
    if adapter is None:
        trainable, total = check_architecture(experiment, adapter, workload, labels)
        return Costs(trainable, total, trainable * _bytes_each(params))  # LISA and GaLore train every weight in turn
    workload.configure(config, labels)
    model = meta_model(workload.auto_class(config), config)
    adapter.check_fits((name for name, _ in model.named_modules()), getattr(config, "vocab_size", None))
    try:
        wrapped = wrap(model, adapter, params, workload.task_type(config), on_meta=True)
        return Costs(*parameter_counts(wrapped), _stored(wrapped, params))
    except (UserError, RuntimeError):  # what needs real weights; where it is more than that, this raises
        trainable, total = check_architecture(experiment, adapter, workload, labels) or (None, None)
        return Costs(trainable, total, None)


def _stored(model: PeftModel, params: TrainingParams) -> int:
    config = model.peft_config["default"]
    if config.is_prompt_learning:  # PEFT saves what the encoder makes of its tokens, and copies it to do so
        tokens = model.prompt_tokens["default"].to("meta")[None]
        tokens = tokens[:, : config.num_virtual_tokens] if config.peft_type == "PREFIX_TUNING" else tokens
        return model.prompt_encoder["default"](tokens).numel() * _bytes_each(params)
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return sum(tensor.numel() for tensor in state.values()) * _bytes_each(params)


def _bytes_each(params: TrainingParams) -> int:
    return 4 if params.autocast_adapter_dtype or params.dtype == "float32" else 2
