"""Base models as architectures alone: shapes and names, from small config files, without weights or network."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from harness.errors import UserError
from harness.experiment import ROOT

ARCHITECTURES = ROOT / "harness" / "architectures"
EMBEDDED = ROOT / "harness" / "embedded"


class DenoiserConfig:
    """What the config.json of one of diffusers' models says, its sizes under the names that transformers has for them.

    values: the file's content; model_type: the class of diffusers. Needs no diffusers, whose import takes seconds.
    """

    is_encoder_decoder = False

    def __init__(self, **values: Any) -> None:
        self.values, self.model_type = values, values["_class_name"]
        self.num_attention_heads, self.head_dim = values["num_attention_heads"], values["attention_head_dim"]
        self.hidden_size = self.num_attention_heads * self.head_dim
        self.intermediate_size = math.floor(self.hidden_size * values.get("mlp_ratio", 4))

    @property
    def num_hidden_layers(self) -> int:
        """Blocks of each kind, of which a model may have two."""
        return self.values["num_layers"]

    @num_hidden_layers.setter
    def num_hidden_layers(self, count: int) -> None:
        self.values |= {name: count for name in ("num_layers", "num_single_layers") if name in self.values}

    @property
    def spelled(self) -> dict[str, str]:
        """The names of this model's modules for those that other ones have in their place."""
        return SPELLED.get(self.model_type, {})


SPELLED = {
    "DiTTransformer2DModel": {
        "add_q_proj": "to_q", "add_k_proj": "to_k", "add_v_proj": "to_v", "to_add_out": "to_out.0",
        "linear_in": "net.0.proj", "to_qkv_mlp_proj": "net.0.proj", "linear_out": "net.2",
    }
}  # fmt: skip


def architecture(model_id: str, where: str) -> PretrainedConfig | DenoiserConfig:
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
    values = json.loads(path.read_text())
    return DenoiserConfig(**values) if "_class_name" in values else AutoConfig.for_model(**values)


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
