"""Optimizers by name, with their arguments checked before anything is loaded, and learning-rate schedules."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler

from harness.devices import is_out_of_memory
from harness.errors import UserError, brief, did_you_mean, one_line
from harness.optim import OPTIMIZERS
from harness.overlay import Origin
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
# Names of the layout that Hugging Face publishes, with the lines that say the same here.
PUBLISHED = {
    "lora-fa": '"optimizer_type": "LoraFA", and optimizer_kwargs without "r" and "lora_alpha", which it knows',
    "lora+": '"optimizer_type": "LoraPlus", with "loraplus_lr_ratio" in optimizer_kwargs',
    "loraplus": '"optimizer_type": "LoraPlus", with "loraplus_lr_ratio" in optimizer_kwargs',
    "riemannian": '"optimizer_type": "Riemannian"',
}


def optimizer_names() -> list[str]:
    """Every value that optimizer_type may have."""
    return sorted({*_TORCH, *BITSANDBYTES, *TORCHAO, *PEFT, *OPTIMIZERS} - set(_UNSUITABLE))


def check_optimizer(params: TrainingParams, origin: Origin) -> None:
    """Checks optimizer_type and optimizer_kwargs, by making the optimizer of one number where that needs no model.

    Args:
        params: of the run.
        origin: what messages call the place that a parameter comes from.

    Raises:
        UserError: unknown optimizer, unsuitable optimizer, unknown argument, arguments that the optimizer refuses.
    """
    name, kind = params.optimizer_type, f"{origin('optimizer_type')}: optimizer_type"
    if name in _UNSUITABLE:
        raise UserError(f"{kind}: {name} {_UNSUITABLE[name]}; use AdamW")
    if name in PUBLISHED:
        raise UserError(f"{kind}: unknown {brief(name)}; write {PUBLISHED[name]}")
    if name not in optimizer_names():
        raise UserError(f"{kind}: unknown {brief(name)}; {did_you_mean(name, optimizer_names())}")
    valid = _argument_names(name, origin)
    for key in params.optimizer_kwargs:
        if key not in valid:
            named = f"{origin(f'optimizer_kwargs.{key}')}: optimizer_kwargs.{key}"
            raise UserError(f"{named}: unknown argument of {name}; {did_you_mean(key, valid)}")
    if name in PEFT and not params.has_adapter:
        whole = "full fine-tuning" if params.full_finetuning else "train_only"
        raise UserError(f"{kind}: {name} is made for LoRA, not for {whole}; use AdamW")
    if name in OPTIMIZERS and not params.full_finetuning:
        raise UserError(f'{kind}: {name} trains the base model itself; say "full_finetuning": true')
    complaint = getattr(OPTIMIZERS.get(name), "complaint", lambda _: None)(params)
    if complaint is not None:
        raise UserError(f"{origin(complaint.partition(':')[0])}: {complaint}")
    if name not in PEFT and name not in OPTIMIZERS:
        with _refusals(params, origin):
            _construct(nn.LayerNorm(1), name, _arguments(params), origin)


def _arguments(params: TrainingParams) -> dict[str, Any]:
    """optimizer_kwargs, with tuples for JSON's lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in params.optimizer_kwargs.items()}


@contextmanager
def _refusals(params: TrainingParams, origin: Origin) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        named = f"{origin('optimizer_kwargs')}: optimizer_kwargs"
        raise UserError(f"{named}: {params.optimizer_type} refuses them: {one_line(error)}") from None


def _argument_names(name: str, origin: Origin) -> set[str]:
    if name in PEFT:
        base = set() if name == "LoraFA" else _argument_names("AdamW", origin)
        return base | {"lr", *PEFT[name]}
    # Those last two are for CUDA graphs and for gradients through the optimizer, which no run has.
    unused = {"params", "self", "model", "capturable", "differentiable"}
    return set(inspect.signature(_class(name, origin)).parameters) - unused


def _class(name: str, origin: Origin) -> type[torch.optim.Optimizer]:
    if name in BITSANDBYTES:
        import bitsandbytes  # only where asked for: its import probes the platform

        return getattr(bitsandbytes.optim, name)
    if name in TORCHAO:
        try:
            import torchao.optim
        except ImportError:
            named = f"{origin('optimizer_type')}: optimizer_type"
            raise UserError(f"{named}: {name} needs another package: pip install torchao") from None
        return getattr(torchao.optim, name)
    return OPTIMIZERS.get(name) or _TORCH[name]


def build_optimizer(model: nn.Module, params: TrainingParams, origin: Origin) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable parameters; `origin` as in `check_optimizer`.

    Raises:
        UserError: the optimizer refuses its arguments, or needs a LoRA model and has another.
    """
    kind = f"{origin('optimizer_type')}: optimizer_type"
    device = next(model.parameters()).device.type
    if params.optimizer_type.startswith("Paged") and device not in ("cuda", "xpu"):
        raise UserError(
            f"{kind}: {params.optimizer_type} needs a CUDA or XPU device, not {device}; "
            f"use {params.optimizer_type.removeprefix('Paged')}"
        )
    if params.optimizer_type in PEFT and model.peft_config["default"].peft_type != "LORA":
        raise UserError(f"{kind}: {params.optimizer_type} is made for LoRA; use AdamW")
    with _refusals(params, origin):
        return _construct(model, params.optimizer_type, _arguments(params), origin)


def _construct(model: nn.Module, name: str, kwargs: dict[str, Any], origin: Origin) -> torch.optim.Optimizer:
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
    return _class(name, origin)([parameter for parameter in model.parameters() if parameter.requires_grad], **kwargs)


def build_scheduler(optimizer: torch.optim.Optimizer, params: TrainingParams, steps: int) -> LambdaLR:
    """The schedule over `steps` optimizer steps: linear warm-up, then cosine or linear decay to zero, or constant."""
    warmup_steps = math.ceil(params.warmup_ratio * steps)
    if params.lr_scheduler == "linear":
        return LambdaLR(optimizer, linear_multiplier(warmup_steps, steps))
    kind = {"cosine": "cosine", "none": "constant_with_warmup"}[params.lr_scheduler]
    return get_scheduler(kind, optimizer, warmup_steps, steps)


def linear_multiplier(warmup_steps: int, steps: int) -> Callable[[int], float]:
    """The factor on the learning rate as a function of the optimizer steps already taken.

    transformers' own linear schedule differs in the last bit, which would move the results of this protocol.
    """

    def multiplier(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        return 1.0 - min((step - warmup_steps) / max(steps - warmup_steps, 1), 1.0)

    return multiplier


def clip(optimizer: torch.optim.Optimizer, largest: float | None) -> None:
    """Scales the gradients down to the largest norm; None for no clipping."""
    if largest is not None:
        # What the optimizer holds now: what is trained may change from step to step.
        trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(trained, largest)


def step(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer) -> bool:
    """Steps, and says whether the optimizer did: float16 gradients that overflowed are not trained on."""
    scale = scaler.get_scale() if scaler.is_enabled() else None
    scaler.step(optimizer)
    scaler.update()
    return scale is None or scaler.get_scale() >= scale


def detach(optimizer: torch.optim.Optimizer) -> None:
    """Takes away what an optimizer hung into the model to act during the backward pass."""
    if hasattr(optimizer, "detach"):
        optimizer.detach()
