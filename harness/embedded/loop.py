"""The pre-training loop of the embedded models, whatever they are: on the CPU, to be interrupted and resumed."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from tqdm import tqdm


class Stream(Protocol):
    """Batches without end; read on from its state, it yields what it would have yielded. str() of it is shown."""

    def __next__(self) -> Sequence[Any]:
        """The batches of the next step; their losses add up."""

    def state_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists of them that say where the stream stands."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


@dataclass
class Course:
    """What there is to a pre-training beside the loop.

    groups: AdamW's parameter groups; one with a "factor" learns at that multiple of the rate.
    loss: of the model on one batch of the stream; called under bfloat16 autocast.
    learning_rate: of a step counted from 0; None where no step is left.
    steps: how many there will be, where that is known beforehand.
    """

    model: nn.Module
    groups: list[dict[str, Any]]
    stream: Stream
    loss: Callable[[nn.Module, Any], torch.Tensor]
    learning_rate: Callable[[int], float | None]
    steps: int | None = None


def pretrain(
    course: Course, settings: Any, checkpoint: Path, checkpoint_every: int = 200, stop_after: int | None = None
) -> nn.Module:
    """Return the trained model, going on from `checkpoint` where that exists.

    Args:
        course: as its settings describe it, not yet begun.
        settings: a dataclass of all that decides the weights; the loop reads learning_rate, beta2 and gradient_norm.
        checkpoint: file that is written every `checkpoint_every` steps and at the end.
        checkpoint_every: in steps.
        stop_after: stop when so many steps are done, as if interrupted.

    Raises:
        ValueError: other settings made the checkpoint.
        RuntimeError: a gradient is not finite.
    """
    model, stream = course.model.train(), course.stream
    optimizer = torch.optim.AdamW(course.groups, lr=settings.learning_rate, betas=(0.9, settings.beta2))
    stateful = {"model": model, "optimizer": optimizer, "stream": stream}
    step = _load(checkpoint, settings, stateful) if checkpoint.exists() else 0
    with tqdm(initial=step, total=course.steps, unit="step", mininterval=5, dynamic_ncols=True) as bar:
        while step != stop_after and (rate := course.learning_rate(step)) is not None:
            for group in optimizer.param_groups:
                group["lr"] = group.get("factor", 1.0) * rate
            losses = []
            for batch in next(stream):
                with torch.autocast("cpu", torch.bfloat16):
                    loss = course.loss(model, batch)
                loss.backward()
                losses.append(f"{loss.item():.3f}")
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm, error_if_nonfinite=True)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            bar.set_postfix_str(f"loss {' '.join(losses)}, {stream}", refresh=False)
            bar.update()
            if step % checkpoint_every == 0:
                _save(checkpoint, settings, step, stateful)
    _save(checkpoint, settings, step, stateful)
    return model.eval()


def cosine(step: int, settings: Any) -> float | None:
    """The rate of a step counted from 0: linear warm-up, then half a cosine to the final rate; None after `steps`."""
    if step >= settings.steps:
        return None
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    done = (step - settings.warm_up_steps) / max(1, settings.steps - settings.warm_up_steps)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + span * (1 + math.cos(math.pi * done)) / 2


def _save(path: Path, settings: Any, step: int, stateful: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    states = {name: thing.state_dict() for name, thing in stateful.items()}
    torch.save({"settings": asdict(settings), "step": step, **states}, part)
    os.replace(part, path)


def _load(path: Path, settings: Any, stateful: dict[str, Any]) -> int:
    """Restore a checkpoint and return the number of steps done."""
    state = torch.load(path, weights_only=True)
    if state["settings"] != asdict(settings):
        raise ValueError(f"checkpoint {path} was made with other settings; delete it or restore them")
    for name, thing in stateful.items():
        thing.load_state_dict(state[name])
    return state["step"]
