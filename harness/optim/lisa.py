"""LISA: full fine-tuning of a few random layers at a time (arXiv 2403.17919)."""

from typing import Any

import torch
from torch import nn


class LISA(torch.optim.AdamW):
    """AdamW over embeddings, head and final norm always, and over a few layers, drawn anew at every interval.

    What sleeps has no gradient, no optimizer state and no backward pass of its own weights.

    Args:
        model: to train; its repeated layers are found, those of encoder and decoder alike.
        lr: learning rate.
        active_layers: how many layers train at a time.
        interval: optimizer steps between two draws; the run's seed decides what is drawn.
        betas, eps, weight_decay: AdamW's.

    Raises:
        ValueError: an argument out of range, or a model without repeated layers.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        active_layers: int = 2,
        interval: int = 20,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.layers = repeated_layers(model)
        if not 1 <= active_layers <= len(self.layers):
            raise ValueError(f"active_layers: expected 1 to {len(self.layers)} layers, got {active_layers}")
        if interval < 1:
            raise ValueError(f"interval: expected at least 1 step, got {interval}")
        self.active_layers, self.interval = active_layers, interval
        # All parameters: a layer that is not registered would never learn.
        super().__init__(model.parameters(), lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.param_groups[0]["steps_taken"] = 0  # in a group, so that it is part of state_dict
        self._draw()

    def step(self, closure: None = None) -> None:
        """AdamW's step; at the end of an interval other layers take their turn."""
        super().step()
        group = self.param_groups[0]
        group["steps_taken"] += 1
        if group["steps_taken"] % self.interval == 0:
            self._draw()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores moments, and which layers are awake."""
        super().load_state_dict(state_dict)
        self._wake(self.param_groups[0]["awake"])

    def _draw(self) -> None:
        self._wake(torch.randperm(len(self.layers))[: self.active_layers].tolist())

    def _wake(self, awake: list[int]) -> None:
        self.param_groups[0]["awake"] = awake
        for index, layer in enumerate(self.layers):
            layer.requires_grad_(index in awake)
            for parameter in layer.parameters() if index not in awake else ():
                parameter.grad = None
                self.state.pop(parameter, None)


def repeated_layers(model: nn.Module) -> list[nn.Module]:
    """The transformer layers of every stack, in order.

    Raises:
        ValueError: there are none.
    """
    kinds = set(getattr(model, "_no_split_modules", None) or ())  # transformers' own list of what a layer is
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    layers = [layer for stack in stacks for layer in stack if type(layer).__name__ in kinds]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no repeated layers that LISA could draw from")
    return layers
