"""An experiment as shapes alone: its model, adapter and optimizer on the meta device, and steps that are followed.

Loading, attaching, loss, clipping and optimizer are a run's own; only the tensors hold nothing. So what a step
allocates is what the method's own code asks for, and no formula of ours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx.experimental import _config
from transformers import set_seed

from harness import adapter as adapters
from harness.adapter_config import Adapter
from harness.batches import Batch
from harness.errors import UserError, one_line
from harness.experiment import Experiment
from harness.forecast.accelerator import Accelerator
from harness.forecast.allocator import CachingAllocator, rounded
from harness.forecast.operations import META
from harness.forecast.storages import Trace
from harness.learner import Learner
from harness.measure.memory_parts import memory_parts
from harness.precision import matmul_dtype
from harness.rehearsal import ON_CPU, check_architecture
from harness.result.forecasts import ForecastPeak, Parts
from harness.result.schema import MemoryParts
from harness.task import Row
from harness.workloads import Workload

# How methods and torch say that they need values, which only real weights have.
_REFUSALS = (NotImplementedError, RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
Loss = Callable[[nn.Module, Mapping[str, torch.Tensor]], torch.Tensor]


class UnknownShapesError(Exception):
    """The method's own code needs more than shapes; the message says what, in one line."""


@dataclass(frozen=True)
class Followed:
    """What one training step or one answer took.

    peak: the most memory. parts: what that was made of; None for an answer. kept: what training keeps between steps.
    flops: of matrix products.
    """

    peak: ForecastPeak
    parts: Parts | None = None
    kept: MemoryParts | None = None
    flops: int = 0


class Shapes:
    """One experiment's model and learner.

    Args:
        experiment: with its parameters.
        adapter: its adapter config, None under full fine-tuning.
        kind: the task's workload.
        labels: the task's classes, where it has any.
        loss: what is trained on, in place of the workload's own loss.

    Raises:
        UserError: the config does not fit the model, or its architecture does not ship.
        UnknownShapesError: the method attaches itself by values; its steps raise the same.
    """

    def __init__(
        self,
        experiment: Experiment,
        adapter: Adapter | None,
        kind: type[Workload],
        labels: Sequence[str] = (),
        loss: Loss | None = None,
    ) -> None:
        self.params = params = experiment.params
        self.trace = Trace()
        self._accelerator = Accelerator(matmul_dtype(params) if params.use_amp else None)
        self._steps = 0
        set_seed(params.seed)
        with _refusals(), self.trace, META:
            self.workload, base = kind.build(params, META, experiment.origin, labels)
            if params.gradient_checkpointing:
                # The backward pass leaves function modes behind; what it computes again is to be as it was.
                kind.recompute(base, context_fn=lambda: (nullcontext(), self._accelerator))
        try:
            with _refusals(), self.trace, META:
                self.model = adapters.attach(base, adapter, params, kind.task_type(base.config))
        except UserError:
            check_architecture(experiment, adapter, kind, labels)  # raises what is the folder's own fault
            raise UnknownShapesError("the method's own code needs values to begin with, not only shapes") from None
        self._vocabulary = getattr(base.config, "vocab_size", None)
        self._loss = loss or self.workload.loss
        self._origin = experiment.origin
        self.learner = self._learn()
        self._allocator = CachingAllocator()

    def _learn(self) -> Learner:
        """The run's own, but for a paged optimizer: its state is that of the plain one, wherever it lies."""
        kind = self.params.optimizer_type
        params = self.params.model_copy(update={"optimizer_type": ON_CPU.get(kind, kind)})
        learner = Learner(self.model, params, self._origin, params.planned_steps(0), META)
        for group in learner.optimizer.param_groups:
            if "foreach" in group and group["foreach"] is None:
                group["foreach"] = kind not in ON_CPU  # torch's choice on a GPU: faster, with copies of a whole group
        self.trace.watch(self._weights())
        return learner

    def _weights(self) -> list[torch.Tensor]:
        return [*self.model.parameters(), *self.model.buffers()]

    @property
    def counts(self) -> tuple[int, int]:
        """Trainable and total parameters."""
        trainable, total = adapters.parameter_counts(self.model)
        return (total if self.params.full_finetuning else trainable), total

    def train(self, batch: Batch, empties: bool = True) -> Followed:
        """One optimizer step on a batch; the first one makes the optimizer's state.

        It `empties` the allocator's cache before, or goes on with what the step before left, as a run does.
        Under gradient accumulation the batch is its last one: the gradients of those before it are there throughout.
        """
        self._steps += 1
        self.model.train()
        with self._following(empties) as follow:
            inputs = {name: torch.empty_like(tensor, device=META) for name, tensor in batch.inputs.items()}
            self.trace.stage, before = "forward", len(self._weights())
            with self._accelerator.forward_pass():
                loss = self._loss(self.model, inputs)
            if len(self._weights()) > before:  # a method that waits for the device before it makes a part of its own
                self.learner = self._learn()
                self.trace.born |= dict.fromkeys(map(self.trace.number_of, self._weights()), "load")
            follow.mark()
            self.trace.stage = "backward"
            self.learner.scaler.scale(loss).backward()
            del inputs, loss
            self.trace.stage = "optimizer"
            self.learner.step(self._steps)
            kept = memory_parts(self.model, self.learner.optimizer, META)
            owners = self._owners()
            if self.params.gradient_accumulation_steps == 1:
                self.learner.optimizer.zero_grad(set_to_none=True)
        peak, parts = follow.result(batch.rows, _length(batch), owners, self._vocabulary)
        return Followed(peak, parts, kept, follow.flops)

    def answer(self, rows: Sequence[Row]) -> Followed:
        """One pass as large as answering so many rows takes; a run that answers has dropped its gradients."""
        self.model.eval()
        held = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        for parameter in held:
            parameter.grad = None
        with self._following() as follow, torch.no_grad(), self._accelerator.forward_pass():
            self.trace.stage = "forward"
            length = self.workload.longest_answer(self.model, rows, META)
        peak, _ = follow.result(len(rows), length, {}, self._vocabulary)
        with self.trace:
            for parameter in held:  # under accumulation a step begins with those of the batches before it
                parameter.grad = torch.empty_like(parameter)
        return Followed(peak)

    @contextmanager
    def _following(self, empties: bool = True) -> Iterator["_Follow"]:
        follow = _Follow(self.trace, self._allocator, empties)
        with _refusals(), self.trace, self._accelerator:
            yield follow
        follow.flops = self.trace.flops

    def _owners(self) -> dict[int, str]:
        """Which part of memory a storage belongs to, by number; as memory_parts tells them apart."""
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        groups = {
            "optimizer_state": [value for state in self.learner.optimizer.state.values() for value in _tensors(state)],
            "gradients": [parameter.grad for parameter in trained if parameter.grad is not None],
            "trained_weights": trained,
        }
        return {self.trace.number_of(tensor): name for name, group in groups.items() for tensor in group}


@contextmanager
def _refusals() -> Iterator[None]:
    """What a mask chooses has as many elements as it can have; a method that takes that badly has no forecast."""
    try:
        with _config.patch(meta_nonzero_assume_all_nonzero=True):
            yield
    except _REFUSALS as error:
        told = one_line(error).partition(". ")[0].removesuffix(".")[:200]
        raise UnknownShapesError(f"the method's own code needs values, not only shapes: {told}") from error


class _Follow:
    """The events of one step, and what they amount to."""

    def __init__(self, trace: Trace, allocator: CachingAllocator, empties: bool) -> None:
        self.flops = 0
        self._trace, self._allocator, self._before = trace, allocator, dict(trace.live)
        allocator.play(trace.events)  # loading and attaching, or what followed the step before
        if empties:
            allocator.empty()
        trace.events.clear()
        trace.flops = 0
        self._after_forward: set[int] = set()

    def mark(self) -> None:
        """The forward pass ends: what it made and still lives is kept for the backward pass."""
        self._after_forward = self._trace.live.keys() - self._before.keys()

    def result(
        self, rows: int, length: int, owners: Mapping[int, str], vocabulary: int | None
    ) -> tuple[ForecastPeak, Parts]:
        """The peak, and its parts."""
        events = list(self._trace.events)
        reserved = self._allocator.play(events)
        self._trace.events.clear()
        live = self._live_at(_highest(self._before, events), events)
        sizes = dict.fromkeys(Parts.model_fields, 0)
        for number, size in live.items():
            sizes[owners.get(number) or self._part(number, vocabulary)] += rounded(size)
        peak = ForecastPeak(rows=rows, length=length, allocated=sum(sizes.values()), reserved=reserved)
        return peak, Parts(**sizes)

    def _part(self, number: int, vocabulary: int | None) -> str:
        if self._trace.born[number] == "load":
            return "base_weights"
        if vocabulary is not None and self._trace.widths[number] == vocabulary:
            return "logits"
        return "activations" if number in self._after_forward else "workspace"

    def _live_at(self, end: int, events: Sequence[tuple[int, int]]) -> dict[int, int]:
        live = dict(self._before)
        for number, size in events[:end]:
            if size > 0:
                live[number] = size
            else:
                del live[number]
        return live


def _highest(before: Mapping[int, int], events: Sequence[tuple[int, int]]) -> int:
    """How many events there are up to the highest sum of live bytes."""
    now = peak = sum(map(rounded, before.values()))
    place = 0
    for index, (_, size) in enumerate(events, 1):
        now += rounded(size) if size > 0 else -rounded(-size)
        if now > peak:
            peak, place = now, index
    return place


def _length(batch: Batch) -> int:
    return max(tensor.shape[-1] for tensor in batch.inputs.values())


def _tensors(values: Mapping[str, Any]) -> list[torch.Tensor]:
    return [value for value in values.values() if isinstance(value, torch.Tensor) and value.is_meta]
