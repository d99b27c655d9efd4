"""What training moves, and how a resumed run gets it back: weights, optimizer, schedule, scaler, generators."""

import random
from typing import Any

import numpy
import torch
from peft.tuners.lora.monteclora import MontecloraSampler
from torch import nn

from harness import optimizers
from harness.devices import accelerator_module
from harness.overlay import Origin
from harness.params import TrainingParams

_ALLOCATOR = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # AdaLoRA's, which no state_dict holds


class Learner:
    """The model that is trained, its optimizer, its schedule and its gradient scaler.

    Args:
        model: what is trainable in it is trained, though an optimizer may freeze a part.
        params: of the run.
        origin: what messages call the place that a parameter comes from.
        steps: of the whole run.
        device: of the model.

    Raises:
        UserError: the optimizer refuses its arguments.
    """

    def __init__(
        self, model: nn.Module, params: TrainingParams, origin: Origin, steps: int, device: torch.device
    ) -> None:
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.model, self.device = model, device
        self._moving = sorted(trained | {name for name, _ in model.named_buffers()})
        self.optimizer = optimizers.build_optimizer(model, params, origin)
        self.scheduler = optimizers.build_scheduler(self.optimizer, params, steps)
        self.scaler = torch.amp.GradScaler(device.type, enabled=params.dtype == "float16")
        self._tuner = getattr(model, "base_model", None)
        self._allocator = getattr(self._tuner, "rankallocator", None)
        self._clip = params.grad_norm_clip

    def step(self, number: int) -> bool:
        """Clips the gradients and steps; says whether it did: float16 gradients that overflowed are not trained on."""
        self.scaler.unscale_(self.optimizer)
        optimizers.clip(self.optimizer, self._clip)
        stepped = optimizers.step(self.scaler, self.optimizer)
        if stepped:
            self.scheduler.step()
        if hasattr(self._tuner, "update_and_allocate"):  # AdaLoRA and its kin
            self._tuner.update_and_allocate(number)
        return stepped

    def state(self) -> dict[str, Any]:
        """Everything that moved, and the generators: tensors, numbers, texts, and lists and dictionaries of them.

        Frozen weights are not in it: loaded with the same seed they come out the same.
        """
        name, values, *place = numpy.random.get_state()
        module, allocator = accelerator_module(self.device), self._allocator
        return {
            "weights": self._tensors(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "allocator": allocator and {key: getattr(allocator, key) for key in _ALLOCATOR},
            "rank_pattern": allocator and allocator.peft_config.rank_pattern,
            "drawn": {key: sampler.buffer[sampler.index :] for key, sampler in self._samplers().items()},
            "python": random.getstate(),
            "numpy": (name, torch.from_numpy(values.astype("int64")), *place),
            "torch": torch.get_rng_state(),
            "accelerator": module and module.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave, the generators last, since all the rest may draw from them."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(state["weights"][name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.scaler.load_state_dict(state["scaler"])
        if self._allocator is not None:
            vars(self._allocator).update(state["allocator"])
            self._allocator.peft_config.rank_pattern = state["rank_pattern"]
        for key, sampler in self._samplers().items():
            unused = state["drawn"][key]
            sampler.index = sampler.buffer_size - len(unused)
            sampler.buffer = [{}] * sampler.index + unused
        random.setstate(state["python"])
        name, values, *place = state["numpy"]
        numpy.random.set_state((name, values.numpy().astype("uint32"), *place))
        torch.set_rng_state(state["torch"])
        if state["accelerator"] is not None:
            accelerator_module(self.device).set_rng_state(state["accelerator"])

    def _samplers(self) -> dict[str, Any]:
        """MonteCLoRA's, which draw ahead into lists that no state_dict holds."""
        modules = self.model.named_modules()
        return {name: module.sampler for name, module in modules if isinstance(module, MontecloraSampler)}

    def _tensors(self) -> dict[str, torch.Tensor]:
        found = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        return {name: found[name] for name in self._moving}
