"""Forgetting of the embedded image model: letters that it reads off pictures of its pre-training with its own head."""

from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import linear

from harness.architecture import EMBEDDED
from harness.images.pictures import Pictures
from harness.params import TrainingParams
from harness.result.schema import TokenLoss

PICTURES = "held-out pictures of the embedded model's pre-training, two letters each, read by its own head"
COUNT = 200


def misread_letters(model: nn.Module, head: str, params: TrainingParams, pictures: Pictures) -> TokenLoss:
    """Share of misread letters when the head of pre-training stands on what the model makes of a picture now.

    Args:
        model: in evaluation mode; with or without adapter. What its head is given is read off beside it.
        head: name of that module.
        params: name the embedded model, whose file has the head of pre-training.
        pictures: make pixels of pictures.
    """
    from harness.embedded.vit.probe import held_out_pairs, right_letters

    stored = load_file(EMBEDDED / params.model_id.removeprefix("embedded/") / "model.safetensors")
    device = next(model.parameters()).device
    weight, bias = (stored[f"{head}.{name}"].to(device).float() for name in ("weight", "bias"))
    seen: list[torch.Tensor] = []
    base = model.get_base_model() if hasattr(model, "get_base_model") else model

    def keep(_: nn.Module, given: tuple[Any, ...]) -> None:
        seen[:] = given[:1]

    def logits_of(pixel_values: torch.Tensor) -> torch.Tensor:
        model(pixel_values=pixel_values.to(device))
        return linear(seen[0].float(), weight, bias)

    def pixel_values(pairs: list) -> torch.Tensor:
        return pictures.scaled([pictures.resized(pair.picture.convert("RGB")) for pair in pairs])

    hook = base.get_submodule(head).register_forward_pre_hook(keep)
    try:
        right = right_letters(logits_of, pixel_values, held_out_pairs(COUNT))
    finally:
        hook.remove()
    return TokenLoss(loss=1 - right.float().mean().item(), tokens=right.numel())
