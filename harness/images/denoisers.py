"""Diffusion transformers of diffusers as base models: loaded, or built with random weights, for transformers' callers.

A model stays diffusers' own, so that what is trained on it loads there too. It gets what PEFT and the harness read of
a base model's config and diffusers' configs do not say.
"""

from functools import partial
from typing import Any

import torch
from diffusers import DiTTransformer2DModel, Flux2Transformer2DModel, ModelMixin
from diffusers.configuration_utils import FrozenDict
from torch import nn
from torch.utils.checkpoint import checkpoint

from harness import models
from harness.architecture import DenoiserConfig, architecture
from harness.devices import notice_out_of_memory
from harness.errors import UserError
from harness.overlay import Origin
from harness.params import TrainingParams

CLASSES: dict[str, type[ModelMixin]] = {one.__name__: one for one in (DiTTransformer2DModel, Flux2Transformer2DModel)}
SUBFOLDER = "transformer"  # of a pipeline's repository


class _Described(FrozenDict):
    """A config that answers what is asked of transformers' configs."""

    is_encoder_decoder = False
    model_type = "a diffusion transformer"


class Denoisers:
    """Stands where one of transformers' auto classes does: makes a model of a config."""

    _model_mapping = {DenoiserConfig: CLASSES}

    @classmethod
    def from_config(cls, config: DenoiserConfig, dtype: torch.dtype = torch.float32, **_: Any) -> ModelMixin:
        """The model with random weights, on the device that torch is told to make tensors on."""
        model = CLASSES[config.model_type].from_config(config.values)
        return _described(nn.Module.to(model, dtype))  # diffusers' own warns of modules to keep, though there are none


def config_of(params: TrainingParams, origin: Origin) -> DenoiserConfig:
    """The config of the base model that the parameters name, of a kind that is known.

    Raises:
        UserError: it is another kind of model.
    """
    name, pinned = models.location(params, origin)
    if params.is_embedded_model:
        config = architecture(params.model_id, origin("model_id"))
    else:
        config = DenoiserConfig(**Flux2Transformer2DModel.load_config(name, subfolder=SUBFOLDER, **pinned))
    return check_kind(config, params, origin)


def check_kind(config: Any, params: TrainingParams, origin: Origin) -> DenoiserConfig:
    """The config, where it is one of a kind that is known.

    Raises:
        UserError: it is another kind of model.
    """
    if not isinstance(config, DenoiserConfig) or config.model_type not in CLASSES:
        raise UserError(f"{origin('model_id')}: model_id: {params.model_id} is a {config.model_type}; expected one of "
                        f"{', '.join(sorted(CLASSES))}")  # fmt: skip
    return config


def load_denoiser(config: DenoiserConfig, params: TrainingParams, device: torch.device, origin: Origin) -> ModelMixin:
    """The base model with its weights, in its dtype, on the device and in evaluation mode."""
    name, pinned = models.location(params, origin)
    where = pinned if params.is_embedded_model else pinned | {"subfolder": SUBFOLDER}
    with notice_out_of_memory(device):
        model = CLASSES[config.model_type].from_pretrained(
            name, dtype=models.DTYPES[params.dtype], use_safetensors=True, **where
        )
        return _prepared(_described(model), params, device)


def build_denoiser(config: DenoiserConfig, params: TrainingParams, device: torch.device, origin: Origin) -> ModelMixin:
    """The same with random weights; on the meta device shapes alone."""
    return _prepared(models.random_weights(Denoisers, config, params, device, origin), params, device)


def recompute(model: ModelMixin, **how: Any) -> None:
    """Makes the model forget activations, and compute them again in the backward pass."""
    model.enable_gradient_checkpointing(partial(_again, use_reentrant=False, **how))


def _again(module: Any, *arguments: Any, **how: Any) -> Any:
    return checkpoint(module.__call__, *arguments, **how)


def _prepared(model: ModelMixin, params: TrainingParams, device: torch.device) -> ModelMixin:
    if params.gradient_checkpointing:
        recompute(model)
    return model.to(device).eval()


def _described(model: ModelMixin) -> ModelMixin:
    model._internal_dict = _Described(model._internal_dict)
    return model
