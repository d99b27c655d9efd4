"""Base models as architectures alone: shapes and names, from small config files, without weights or network."""

import json
from pathlib import Path

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from harness.errors import UserError
from harness.experiment import ROOT

ARCHITECTURES = ROOT / "harness" / "architectures"
EMBEDDED = ROOT / "harness" / "embedded"


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


def meta_model(auto_class: type, config: PretrainedConfig) -> PreTrainedModel:
    """The model on the meta device: shapes and names without weights or memory."""
    with torch.device("meta"):
        return auto_class.from_config(config, dtype=torch.bfloat16)


def shrunken_model(auto_class: type, config: PretrainedConfig) -> PreTrainedModel:
    """The model with two layers, a small vocabulary and random weights, for what the meta device cannot do."""
    config.num_hidden_layers = min(config.num_hidden_layers, 2)
    if hasattr(config, "vocab_size"):
        config.vocab_size = min(config.vocab_size, 1024)
    if config.is_encoder_decoder:
        config.num_decoder_layers = config.num_hidden_layers
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    return auto_class.from_config(config, dtype=torch.bfloat16)
