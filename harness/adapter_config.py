"""Reading adapter_config.json, a file that strangers write: checked key by key before PEFT sees it.

PEFT itself ignores unknown keys, does not check types, and some of its fields import a module, unpickle a file or load
another model. None of that may happen because of a pull request (DESIGN, "Untrusted input").
"""

import copy
import dataclasses
import typing
from collections.abc import Iterable
from typing import Any

import peft
import torch
from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

import harness.methods  # noqa: F401 (puts the project's own methods into PEFT's maps)
from harness import refusals
from harness.adapter_fit import check_modules, check_patterns, check_token_ids
from harness.adapter_values import check_value
from harness.errors import UserError, brief, did_you_mean, one_line
from harness.experiment import Experiment
from harness.initialization import check_initialization
from harness.params import TrainingParams


class Adapter:
    """An experiment's adapter config: built once, its expressions tried once, copied for each model it is attached to.

    Attributes:
        values: the content of adapter_config.json.
        where: the path of that file, for messages.
        config: PEFT's config; attach `fresh()` instead, since PEFT changes what it is given.
    """

    def __init__(self, values: dict[str, Any], where: str, params: TrainingParams) -> None:
        """Builds the config; raises what `build_adapter_config` does."""
        self.values, self.where = values, where
        self.config = build_adapter_config(values, where, params)
        self._fits: set[tuple[tuple[str, ...], int | None]] = set()

    @classmethod
    def of(cls, experiment: Experiment) -> "Adapter | None":
        """That of an experiment; None under full fine-tuning."""
        values = experiment.adapter_config
        return None if values is None else cls(values, experiment.adapter_config_path, experiment.params)

    def fresh(self) -> PeftConfig:
        """A copy of the config for one model."""
        return copy.deepcopy(self.config)

    def check_fits(self, module_names: Iterable[str], vocab_size: int | None = None) -> None:
        """Checks the config against a model, once for each set of names.

        Args:
            module_names: of all modules of the base model.
            vocab_size: tokens that the model knows, where that is known.

        Raises:
            UserError: an expression that is malformed or takes too long, a listed module that the model has not, the
                number of a token that the model has not.
        """
        model = tuple(module_names), vocab_size
        if model not in self._fits:
            check_patterns(self.values, model[0], self.where)
            check_modules(self.values, model[0], self.where)
            check_token_ids(self.values, vocab_size, self.where)
            self._fits.add(model)

    def check_steps(self, steps: int) -> None:
        """AdaLoRA must be told how long the run is, in optimizer steps.

        Raises:
            UserError: it is told another length.
        """
        _check_steps(self.values, self.where, steps)


def build_adapter_config(
    values: dict[str, Any], where: str, params: TrainingParams, steps: int | None = None
) -> PeftConfig:
    """Checks the content of an adapter_config.json and makes the PEFT config of it.

    Args:
        values: the parsed file.
        where: what messages call it.
        params: of the same experiment; names the base model.
        steps: optimizer steps of the run, where they are known already.

    Raises:
        UserError: a method PEFT does not have, an unknown or refused key, a wrong type, a value PEFT rejects.
    """
    config_class = _config_class(values.get("peft_type"), where)
    hints = typing.get_type_hints(config_class)
    fields = {field.name: field for field in dataclasses.fields(config_class) if field.init}
    for key, value in values.items():
        if key not in fields:
            raise UserError(f"{where}: {key}: unknown key of {values['peft_type']}; {_remedy(key, values, fields)}")
        check_value(key, value, fields[key], hints[key], where)
    _check_against(params, values, where)
    _check_steps(values, where, steps or params.max_steps)
    try:
        config = config_class(**values)
    except (ValueError, TypeError, ImportError, AttributeError, LookupError, ArithmeticError, AssertionError) as error:
        raise UserError(f"{where}: PEFT rejects it: {one_line(error)}") from None
    check_initialization(config, params, where)
    return config


def sizes_of_method(peft_type: str) -> dict[str, int]:
    """The defaults of a method's fields that are whole numbers, none of them zero."""
    fields = dataclasses.fields(_config_class(peft_type, "peft_type"))
    return {field.name: field.default for field in fields if type(field.default) is int and field.default > 0}


def _config_class(peft_type: Any, where: str) -> type[PeftConfig]:
    known = {str(getattr(kind, "value", kind)): cls for kind, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if peft_type is None:
        raise UserError(f'{where}: peft_type: missing; name the method, for example "LORA"')
    if not isinstance(peft_type, str) or peft_type not in known:
        remedy = _remedy(str(peft_type), {}, known)
        raise UserError(f"{where}: peft_type: PEFT has no {brief(peft_type)}; {remedy}")
    if peft_type in refusals.METHODS:
        raise UserError(
            f"{where}: peft_type: {peft_type} {refusals.METHODS[peft_type]}, so that it is not offered; "
            "choose another method"
        )
    return known[peft_type]


def _remedy(name: str, values: dict[str, Any], known: Iterable[str]) -> str:
    """What to do about a name that the installed PEFT does not know: another version may have written it."""
    written, knows = values.get("peft_version"), refusals.OTHER_VERSIONS.get(name)
    if knows is None and written in (None, peft.__version__):
        return did_you_mean(name, known)
    knows = f"{knows} does" if knows else f"the file was written by PEFT {written}"
    return f"the installed PEFT {peft.__version__} does not know it, {knows}; remove it, or install that version"


def _check_against(params: TrainingParams, values: dict[str, Any], where: str) -> None:
    for key in ("base_model_name_or_path", "tokenizer_name_or_path"):
        if values.get(key) not in (None, params.model_id):
            raise UserError(
                f"{where}: {key}: expected null or the run's model_id {params.model_id!r}, got {brief(values[key])}"
            )
    if values.get("init_lora_weights") == "loftq" and not torch.cuda.is_available():
        raise UserError(f"{where}: init_lora_weights: {refusals.LOFTQ}; choose another initialization")
    lost = [key for key in refusals.LOST_ON_QUANTIZED if values.get(key) is not None]
    if lost and params.dtype in ("int8", "int4"):
        raise UserError(f"{where}: {lost[0]}: on an {params.dtype} base PEFT trains plain LoRA and says nothing; "
                        "choose another dtype, or remove it")  # fmt: skip
    if values.get("monteclora_config") is not None and params.gradient_checkpointing:
        raise UserError(f"{where}: monteclora_config: a pass that is computed again draws other noise, so that "
                        'gradients would be wrong; choose "gradient_checkpointing": false')  # fmt: skip
    if values.get("use_dora") and params.dtype == "int8":
        raise UserError(
            f"{where}: use_dora: impossible on an int8 base, whose layers lose their scale in bitsandbytes once DoRA "
            "has read them; choose another dtype, such as int4"
        )


def _check_steps(values: dict[str, Any], where: str, steps: int | None) -> None:
    if values.get("peft_type") == "ADALORA" and steps is not None and values.get("total_step") != steps:
        raise UserError(f"{where}: total_step: expected the run's {steps} steps, got {values.get('total_step')}")
