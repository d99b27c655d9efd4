"""Reading adapter_config.json, a file that strangers write: checked key by key before PEFT sees it.

PEFT itself ignores unknown keys, does not check types, and some of its fields import a module, unpickle a file or load
another model. None of that may happen because of a pull request (DESIGN, "Untrusted input").
"""

import dataclasses
import json
import re
import subprocess
import sys
import typing
from collections.abc import Iterable
from typing import Any

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from pydantic import TypeAdapter, ValidationError

import harness.methods  # noqa: F401 (puts the project's own methods into PEFT's maps)
from harness.errors import UserError, did_you_mean
from harness.params import TrainingParams

# Methods that need more than a base model and text, with what they need.
UNSUPPORTED_METHODS = {
    "XLORA": "loads other adapters",
    "POLY": "needs task ids in every batch",
    "MULTITASK_PROMPT_TUNING": "needs task ids in every batch",
    "CPT": "needs its own training data format",
    "ADAPTION_PROMPT": "is not saved in the common format",
}
# Initializations that need data, gradients or a second copy of the weights before training.
UNSUPPORTED_INITIALIZATIONS = ("eva", "corda", "loftq", "lora_ga")
# Fields through which PEFT would import a module, unpickle a file or read a path, with the values that stay harmless.
REFUSED_FIELDS = {
    "auto_mapping": (None,),
    "megatron_config": (None,),
    "megatron_core": (None, "megatron.core"),
    "tokenizer_kwargs": (None,),
    "prompt_tuning_init_state_dict_path": (None,),
    "runtime_config": (None,),
    "arrow_config": (None,),
    "eva_config": (None,),
    "corda_config": (None, {}),
    "lora_ga_config": (None,),
    "loftq_config": (None, {}),
    "shadow_model": ("mirror",),
    "revision": (None,),
    "inference_mode": (False,),
}
PATTERN_FIELDS = ("target_modules", "exclude_modules", "layers_pattern", "feedforward_modules", "modules_to_save",
                  "target_parameters")  # fmt: skip
PATTERN_SECONDS = 5
PATTERN_CHARACTERS = 500


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
    fields = {field.name for field in dataclasses.fields(config_class) if field.init}
    for key, value in values.items():
        if key not in fields:
            raise UserError(f"{where}: {key}: unknown key of {values['peft_type']}; {did_you_mean(key, fields)}")
        _refuse_unsafe(key, value, where, params)
        _check_type(key, value, hints[key], where)
    _check_steps(values, where, steps or params.max_steps)
    try:
        return config_class(**values)
    except (ValueError, TypeError, ImportError, AttributeError) as error:
        raise UserError(f"{where}: PEFT rejects it: {one_line(error)}") from None


def _config_class(peft_type: Any, where: str) -> type[PeftConfig]:
    known = {str(getattr(kind, "value", kind)): cls for kind, cls in PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if peft_type is None:
        raise UserError(f'{where}: peft_type: missing; name the method, for example "LORA"')
    if not isinstance(peft_type, str) or peft_type not in known:
        raise UserError(f"{where}: peft_type: PEFT has no {peft_type!r}; {did_you_mean(str(peft_type), known)}")
    if peft_type in UNSUPPORTED_METHODS:
        raise UserError(
            f"{where}: peft_type: {peft_type} {UNSUPPORTED_METHODS[peft_type]}, "
            "which the harness does not offer; choose another method"
        )
    return known[peft_type]


def _refuse_unsafe(key: str, value: Any, where: str, params: TrainingParams) -> None:
    if key in REFUSED_FIELDS and value not in REFUSED_FIELDS[key]:
        raise UserError(f"{where}: {key}: not allowed in an experiment (it could load code or files); remove it")
    names_model = key in ("base_model_name_or_path", "tokenizer_name_or_path")
    if names_model and value not in (None, params.model_id):
        raise UserError(f"{where}: {key}: expected null or the run's model_id {params.model_id!r}, got {value!r}")
    if key.startswith("init_") and isinstance(value, str):
        if value in UNSUPPORTED_INITIALIZATIONS:
            raise UserError(
                f"{where}: {key}: {value!r} needs data before training, which the harness does not offer; "
                "choose another initialization"
            )
        if re.search(r"[/\\~]|\.\w", value):
            raise UserError(f"{where}: {key}: a path is not allowed as initialization; name one of PEFT's own")


def _check_type(key: str, value: Any, hint: Any, where: str) -> None:
    if key == "init_lora_weights" and isinstance(value, str) and re.fullmatch(r"pissa_niter_\d{1,3}", value):
        return  # PEFT's type hint spells this family with a placeholder
    if key in REFUSED_FIELDS:
        return  # its few harmless values have been checked, and some of the types are not for pydantic
    try:
        TypeAdapter(hint, config={"arbitrary_types_allowed": True}).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise UserError(
            f"{where}: {key}: expected {_readable(hint)}, got {value!r}; {error.errors()[0]['msg']}"
        ) from None


def _readable(hint: Any) -> str:
    text = getattr(hint, "__name__", None) if isinstance(hint, type) else str(hint)
    return re.sub(r"typing\.|NoneType", lambda match: "None" if match[0] == "NoneType" else "", text)


def _check_steps(values: dict[str, Any], where: str, steps: int | None) -> None:
    if values.get("peft_type") == "ADALORA" and steps is not None and values.get("total_step") != steps:
        raise UserError(f"{where}: total_step: expected the run's {steps} steps, got {values.get('total_step')}")


def check_patterns(values: dict[str, Any], module_names: Iterable[str], where: str) -> None:
    """Bounds the time of every regular expression in an adapter config over the model's module names.

    PEFT matches target_modules and its kin with `re`, whose backtracking can take exponential time. Each expression is
    compiled and tried, in the ways PEFT uses it, in a child process that is killed after PATTERN_SECONDS.

    Raises:
        UserError: an expression that is malformed, too long or too slow.
    """
    names = "\n".join(module_names)
    for key in values:
        for pattern in _patterns(key, values[key]):
            if len(pattern) > PATTERN_CHARACTERS or "\0" in pattern:
                raise UserError(f"{where}: {key}: expected an expression of at most {PATTERN_CHARACTERS} characters; "
                                "shorten it or list the modules")  # fmt: skip
            try:
                subprocess.run([sys.executable, "-I", "-c", _TRY_PATTERN, pattern], input=names, text=True, check=True,
                               timeout=PATTERN_SECONDS, capture_output=True)  # fmt: skip
            except subprocess.TimeoutExpired:
                raise UserError(f"{where}: {key}: {pattern!r} takes more than {PATTERN_SECONDS} s to match; "
                                "use a list of module names or a simpler expression") from None  # fmt: skip
            except subprocess.CalledProcessError as error:
                reason = error.stderr.strip().splitlines()[-1]
                raise UserError(f"{where}: {key}: not a regular expression: {reason}; correct {pattern!r}") from None


def check_modules(values: dict[str, Any], module_names: Iterable[str], where: str) -> None:
    """Every name in a list of modules must be a module's; PEFT is content when one of them is.

    Raises:
        UserError: an entry that is the last part of no module's name, with the nearest one that is.
    """
    names = list(module_names)
    for key in ("target_modules", "feedforward_modules", "modules_to_save"):
        entries = values.get(key)
        for entry in entries if isinstance(entries, list) else ():
            if not any(name == entry or name.endswith(f".{entry}") for name in names):
                last_parts = {part for name in names if not (part := name.rpartition(".")[2]).isdigit() and part}
                hint = did_you_mean(entry, last_parts)
                raise UserError(f"{where}: {key}: {entry!r} matches no module of the model; {hint}")


def _patterns(key: str, value: Any) -> Iterable[str]:
    """The strings of a field that PEFT puts into a regular expression, but those without any special character."""
    if key.endswith("_pattern") and isinstance(value, dict) or key in PATTERN_FIELDS:
        entries = [value] if isinstance(value, str) else list(value or ())
        yield from (entry for entry in entries if isinstance(entry, str) and not re.fullmatch(r"[\w.-]*", entry))


# As PEFT spells them: whole match of target_modules, suffix match of its entries and of *_pattern keys, layer indices,
# modules_to_save. A global flag such as (?i) is valid only where the expression stands alone.
_TRY_PATTERN = r"""
import re, sys
pattern, names = sys.argv[1], sys.stdin.read().split("\n")
re.compile(pattern)
forms = [pattern, rf"(.*\.)?({pattern})$", rf".*\.{pattern}$", rf"(?:^|.*?\.){pattern}\.(?P<idx>\d+)\.",
         rf"(^|.*\.){pattern}($|\..*)", rf".*\.[^.]*{pattern}\.(\d+)\."]
for form in forms:
    try:
        compiled = re.compile(form)
    except re.error:
        continue
    for name in names:
        compiled.match(name), compiled.fullmatch(name)
"""


def one_line(error: BaseException) -> str:
    """The message of an exception without line breaks, or its type where it has none."""
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
