"""Optimizers by name, with their arguments checked before anything is loaded, and learning-rate schedules."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from harness.errors import UserError, did_you_mean
from harness.optim import OPTIMIZERS
from harness.params import TrainingParams

_TORCH = {
    name: cls
    for name, cls in vars(torch.optim).items()
    if inspect.isclass(cls) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
}
_UNSUITABLE = {
    "LBFGS": "needs a closure that evaluates the loss several times per step",
    "SparseAdam": "handles sparse gradients only",
    "Muon": "handles matrices only",
}
BITSANDBYTES = ("AdamW8bit", "PagedAdamW", "PagedAdamW8bit", "PagedAdamW32bit")
TORCHAO = ("AdamW4bit",)
PEFT = {"LoraPlus": ("loraplus_lr_ratio",), "LoraFA": ("weight_decay",), "Riemannian": ("reg",)}


def optimizer_names() -> list[str]:
    """Every value that optimizer_type may have."""
    return sorted({*_TORCH, *BITSANDBYTES, *TORCHAO, *PEFT, *OPTIMIZERS} - set(_UNSUITABLE))


def check_optimizer(params: TrainingParams, where: str) -> None:
    """Checks optimizer_type and the names in optimizer_kwargs against the optimizer's own signature.

    Args:
        params: of the run.
        where: the file to name in messages.

    Raises:
        UserError: unknown optimizer, unsuitable optimizer, unknown argument.
    """
    name = params.optimizer_type
    if name in _UNSUITABLE:
        raise UserError(f"{where}: optimizer_type: {name} {_UNSUITABLE[name]}; use AdamW")
    if name not in optimizer_names():
        raise UserError(f"{where}: optimizer_type: unknown {name!r}; {did_you_mean(name, optimizer_names())}")
    valid = _argument_names(name, where)
    for key in params.optimizer_kwargs:
        if key not in valid:
            raise UserError(f"{where}: optimizer_kwargs.{key}: unknown argument of {name}; {did_you_mean(key, valid)}")
    if name in PEFT and params.full_finetuning:
        raise UserError(f"{where}: optimizer_type: {name} is made for LoRA, not for full fine-tuning; use AdamW")
    if name in OPTIMIZERS and not params.full_finetuning:
        raise UserError(f'{where}: optimizer_type: {name} trains the base model itself; say "full_finetuning": true')
    complaint = getattr(OPTIMIZERS.get(name), "complaint", lambda _: None)(params)
    if complaint is not None:
        raise UserError(f"{where}: {complaint}")


def _argument_names(name: str, where: str) -> set[str]:
    if name in PEFT:
        base = set() if name == "LoraFA" else _argument_names("AdamW", where)
        return base | {"lr", *PEFT[name]}
    return set(inspect.signature(_class(name, where)).parameters) - {"params", "self", "model"}


def _class(name: str, where: str) -> type[torch.optim.Optimizer]:
    if name in BITSANDBYTES:
        import bitsandbytes  # only where asked for: its import probes the platform

        return getattr(bitsandbytes.optim, name)
    if name in TORCHAO:
        try:
            import torchao.optim
        except ImportError:
            raise UserError(f"{where}: optimizer_type: {name} needs another package: pip install torchao") from None
        return getattr(torchao.optim, name)
    return OPTIMIZERS.get(name) or _TORCH[name]


def build_optimizer(model: nn.Module, params: TrainingParams, where: str) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable parameters.

    Raises:
        UserError: the optimizer refuses its arguments, or needs a LoRA model and has another.
    """
    kwargs = {
        key: tuple(value) if isinstance(value, list) else value for key, value in params.optimizer_kwargs.items()
    }
    device = next(model.parameters()).device.type
    if params.optimizer_type.startswith("Paged") and device not in ("cuda", "xpu"):
        raise UserError(
            f"{where}: optimizer_type: {params.optimizer_type} needs a CUDA or XPU device, not {device}; "
            f"use {params.optimizer_type.removeprefix('Paged')}"
        )
    if params.optimizer_type in PEFT and model.peft_config["default"].peft_type != "LORA":
        raise UserError(f"{where}: optimizer_type: {params.optimizer_type} is made for LoRA; use AdamW")
    try:
        return _construct(model, params.optimizer_type, kwargs, where)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{where}: optimizer_kwargs: {params.optimizer_type} refuses them: {error}") from None


def _construct(model: nn.Module, name: str, kwargs: dict[str, Any], where: str) -> torch.optim.Optimizer:
    if name == "LoraPlus":
        from peft.optimizers import create_loraplus_optimizer

        ratio = {"loraplus_lr_ratio": 16.0} | kwargs  # the ratio that the LoRA+ paper (arXiv 2402.12354) recommends
        return create_loraplus_optimizer(model, torch.optim.AdamW, **ratio)
    if name == "LoraFA":
        from peft.optimizers import create_lorafa_optimizer

        config = model.peft_config["default"]
        return create_lorafa_optimizer(model, r=config.r, lora_alpha=config.lora_alpha, **kwargs)
    if name == "Riemannian":
        from peft.optimizers import create_riemannian_optimizer

        return create_riemannian_optimizer(model, torch.optim.AdamW, **kwargs)
    if name in OPTIMIZERS:
        return OPTIMIZERS[name](model, **kwargs)
    return _class(name, where)([parameter for parameter in model.parameters() if parameter.requires_grad], **kwargs)


def build_scheduler(optimizer: torch.optim.Optimizer, params: TrainingParams, steps: int) -> LambdaLR:
    """The schedule over `steps` optimizer steps: linear warm-up, then cosine or linear decay to zero, or constant."""
    return LambdaLR(optimizer, lr_multiplier(params.lr_scheduler, math.ceil(params.warmup_ratio * steps), steps))


def lr_multiplier(kind: str, warmup_steps: int, steps: int) -> Callable[[int], float]:
    """The factor on the learning rate as a function of the optimizer steps already taken.

    The same formulas as transformers' schedules: step k of w warm-up steps has k / w, the cosine is half a period.
    """

    def multiplier(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        progress = min((step - warmup_steps) / max(steps - warmup_steps, 1), 1.0)
        if kind == "cosine":
            return 0.5 * (1 + math.cos(math.pi * progress))
        return 1.0 - progress if kind == "linear" else 1.0

    return multiplier
