"""Whether a folder's name agrees with its content: tables show names only, so that rank32 has to have rank 32."""

import re
from collections.abc import Iterator
from typing import Any

from peft import PeftConfig

from harness.architecture import ARCHITECTURES
from harness.contribute.concerns import Concern, error, warning
from harness.experiment import Experiment, display_path

# What names call a number, as an expression over the fields that may hold it.
NUMBERS = {
    "rank": r"r|.*rank.*|.*_r", "alpha": r".*alpha", "tokens": r"num_virtual_tokens", "mlp": r".*hidden_size",
    "layers": r"active_layers|num_layers", "lr": r"lr", "steps": r"max_steps", "epochs": r"num_epochs",
}  # fmt: skip
INITIALIZATIONS = ("pissa", "olora", "eva", "corda", "loftq", "gaussian", "orthogonal")
# "rank32", "lr_0.001", "n_frequency-5000", "lr5e-4": a word and a number between hyphens.
_NUMBERED = re.compile(r"(?:^|(?<=-))([A-Za-z][A-Za-z_]*?)[_-]?(\d+(?:\.\d+)?(?:e-?\d+)?)(?=-|$)")


def name_and_content(experiment: Experiment, config: PeftConfig | None) -> Iterator[Concern]:
    """What the name says and the folder does not."""
    where = display_path(experiment.folder)
    yield from _embedded(experiment, where)
    yield from _model(experiment, where)
    fields = _fields(experiment, config)
    for word, number in _NUMBERED.findall(experiment.name):
        pattern = NUMBERS.get(word) or (re.escape(word) if word in fields else None)
        values = {} if pattern is None else {
            key: value for key, value in fields.items()
            if re.fullmatch(pattern, key) and isinstance(value, int | float) and not isinstance(value, bool)
        }  # fmt: skip
        if values and float(number) not in values.values():
            found = ", ".join(f"{key} is {value}" for key, value in values.items())
            yield error(f"{where}: the name says {word} {number}, but {found}; rename the folder or change the value")
    for word in experiment.name.lower().split("-"):
        yield from _flag(word, experiment, fields, where)
    yield from _method(experiment, config, where)


def _fields(experiment: Experiment, config: PeftConfig | None) -> dict[str, Any]:
    params = experiment.params.model_dump()
    return params | params["optimizer_kwargs"] | (vars(config) if config else {})


def _embedded(experiment: Experiment, where: str) -> Iterator[Concern]:
    params, named = experiment.params, experiment.name.startswith("embedded-")
    if params.is_embedded_model != named or (params.data_source == "embedded") == params.is_hub_model:
        yield error(f"{where}: a folder named embedded-… uses the embedded model, and only such a folder may; models "
                    "of the hub take data of the hub, all others embedded data; rename it, or change model_id and "
                    "data_source")  # fmt: skip


def _model(experiment: Experiment, where: str) -> Iterator[Concern]:
    known = {
        path.stem.partition("--")[2].lower(): path.stem.replace("--", "/", 1) for path in ARCHITECTURES.glob("*.json")
    }
    named = [short for short in known if f"{experiment.name.lower()}-".startswith(f"{short}-")]
    if named and known[named[0]] != experiment.params.model_id:
        yield error(f"{where}: the name says {named[0]}, but model_id is {experiment.params.model_id}; "
                    "rename the folder or change the model")  # fmt: skip


def _flag(word: str, experiment: Experiment, fields: dict[str, Any], where: str) -> Iterator[Concern]:
    if f"use_{word}" in fields and not fields[f"use_{word}"]:
        yield error(f"{where}: the name says {word}, but use_{word} is not set; rename the folder or set it")
    begins = str(fields.get("init_lora_weights", word))
    if word in INITIALIZATIONS and not begins.startswith(word):
        yield error(f"{where}: the name says {word}, but init_lora_weights is {begins}; rename the folder or set it")
    if word in ("int8", "int4", "float16") and experiment.params.dtype != word:
        yield error(
            f"{where}: the name says {word}, but dtype is {experiment.params.dtype}; rename the folder or set it"
        )


def _method(experiment: Experiment, config: PeftConfig | None, where: str) -> Iterator[Concern]:
    if experiment.params.train_only:  # which names train is what the folder's name says in a word
        return
    kind = str(getattr(config.peft_type, "value", config.peft_type)) if config else "full-finetuning"
    names = [kind] if config else [kind, experiment.params.optimizer_type]
    if _letters(experiment.method) not in map(_letters, names):
        yield warning(f"{where}: lies in {experiment.method}/, but is {names[-1]}; results are listed by that folder")


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
