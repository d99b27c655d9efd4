"""GaLore: AdamW whose moments live in a low-rank projection of each matrix's gradient (arXiv 2403.03507)."""

from functools import partial
from typing import Any

import torch
from torch import nn

from harness.params import TrainingParams


class GaLore(torch.optim.Optimizer):
    """Matrices are projected; embeddings, the head, norms and biases, and what is no larger than the rank, get AdamW.

    A gradient is projected on its own leading singular vectors, on the smaller side of the matrix. The moments stay as
    they are when the projection is renewed.

    Args:
        model: whose trainable parameters are optimized.
        lr: learning rate.
        rank: of the projection.
        interval: steps between two projections.
        scale: of the projected matrices' learning rate.
        betas, eps, weight_decay: AdamW's.
        in_backward: each parameter is updated as soon as its gradient is there, and the gradient freed: no two
            gradients are in memory at once. `detach` ends that.

    Raises:
        ValueError: an argument out of range, or no matrix larger than the rank.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float,
        rank: int = 128,
        interval: int = 200,
        scale: float = 0.25,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        in_backward: bool = False,
    ) -> None:
        if min(rank, interval) < 1 or scale <= 0:
            raise ValueError(f"rank {rank}, interval {interval} and scale {scale} must be positive")
        apart = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        apart.add(id(getattr(model.get_output_embeddings(), "weight", None)))
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        low = [p for p in trained if p.ndim == 2 and min(p.shape) > rank and id(p) not in apart]
        if not low:
            raise ValueError(f"rank: {rank} is as large as every matrix; nothing would be projected")
        rest = [p for p in trained if not any(p is other for other in low)]
        defaults = {"lr": lr, "rank": 0, "interval": interval, "scale": 1.0, "betas": betas, "eps": eps,
                    "weight_decay": weight_decay}  # fmt: skip
        super().__init__([{"params": low, "rank": rank, "scale": scale}, {"params": rest}], defaults)
        self._hooks = []
        for group in self.param_groups if in_backward else ():
            update = partial(self._update_and_free, group)
            self._hooks += [parameter.register_post_accumulate_grad_hook(update) for parameter in group["params"]]

    @staticmethod
    def complaint(params: TrainingParams) -> str | None:
        """What about a run's parameters rules this optimizer out, beginning with the key; None if nothing does."""
        if not params.optimizer_kwargs.get("in_backward"):
            return None
        if params.grad_norm_clip is not None:
            return "grad_norm_clip: GaLore's in_backward never has all gradients at once to clip; use null"
        if params.gradient_accumulation_steps > 1:
            return "gradient_accumulation_steps: GaLore's in_backward updates at every backward pass; use 1"
        if params.dtype == "float16":
            return "dtype: GaLore's in_backward cannot take back an update whose gradients overflowed; use bfloat16"
        return None

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Updates every parameter that has a gradient; with in_backward none has."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def detach(self) -> None:
        """Ends the updates in backward: from here on a backward pass leaves weights as they are."""
        for hook in self._hooks:
            hook.remove()

    def _update_and_free(self, group: dict[str, Any], parameter: nn.Parameter) -> None:
        self._update(parameter, group)
        parameter.grad = None

    @torch.no_grad()
    def _update(self, parameter: nn.Parameter, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        state["step"] = state.get("step", 0) + 1
        wide = parameter.ndim == 2 and parameter.shape[0] < parameter.shape[1]
        if group["rank"]:
            if (state["step"] - 1) % group["interval"] == 0:
                state["basis"] = _leading_vectors(gradient, group["rank"], wide)
            gradient = state["basis"].T @ gradient if wide else gradient @ state["basis"]
        if "mean" not in state:
            state["mean"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        (first, second), step = group["betas"], state["step"]
        state["mean"].lerp_(gradient, 1 - first)
        state["square"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        deviation = (state["square"] / (1 - second**step)).sqrt() + group["eps"]
        change = state["mean"] / (1 - first**step) / deviation
        if group["rank"]:
            change = state["basis"] @ change if wide else change @ state["basis"].T
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.add_(change, alpha=-group["lr"] * group["scale"])


def _leading_vectors(gradient: torch.Tensor, rank: int, wide: bool) -> torch.Tensor:
    """Singular vectors of the smaller side, (side, rank)."""
    finite = torch.nan_to_num(
        gradient.float()
    )  # the loop finds a loss that is none; the decomposition would fail first
    left, _, right = torch.linalg.svd(finite, full_matrices=False)
    # Cloned, since a slice would keep the whole basis in memory.
    return (left[:, :rank] if wide else right[:rank].T).to(gradient.dtype).clone(memory_format=torch.contiguous_format)
