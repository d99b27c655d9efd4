"""What a kind of task needs of the machinery: a workload is one file in this folder, found by the name data.py gives.

run.py owns the loop, precision, schedule, meters and the record; they know samples, batches and work, never tokens.
A workload owns what is left: base model and processor, batches, loss, answers, speed of answering, the unit of work.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

from harness.adapter_config import Adapter
from harness.batches import Batch, epoch_order
from harness.errors import UserError, did_you_mean
from harness.experiment import Experiment
from harness.initialization import StartingData
from harness.overlay import Origin
from harness.params import TrainingParams
from harness.result.schema import Forgetting, Inference, Lengths, TokenLoss
from harness.scoring import Scores, score_predictions
from harness.task import Row, Source, Splits, Task


@dataclass(frozen=True)
class Answers:
    """What the model made of each row, in order, as text: decoded, a class's name, what a judge says of a picture.

    work: units made for all of them. lengths: statistics of the texts in tokens, where they have any. pictures:
    contents of files, where pictures were made. further: figures of all the pictures by name.
    """

    texts: list[str]
    work: int
    lengths: Lengths | None = None
    pictures: list[bytes] | None = None
    further: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class HeldOut:
    """Something the base model can do before training and may forget: where it comes from, and the loss on it.

    unit: of the loss, for people. name: what a rise is called in the log's last line.
    """

    source: str
    loss: Callable[[nn.Module], TokenLoss]
    unit: str = "nats per token"
    name: Literal["forgetting", "drift"] = "forgetting"

    def of_base(self, found: TokenLoss) -> Forgetting:
        """What a result says of the untouched base model; the trained one's part is not known yet."""
        return Forgetting(text=self.source, unit=self.unit, tokens=found.tokens, base_loss=found.loss)


class Workload(ABC):
    """One kind of task with its processor loaded. The class methods need nothing loaded.

    unit: what throughput counts, in the plural. base_settings: the parameters that the untouched base model's score
    depends on, beside model, data and versions. answers_untouched: whether the base model can answer before training.
    new_head: the module that every method must train, since it begins at random; None where there is none.
    without: the parameters that mean nothing to this kind of task. params: of the run, where something is loaded.
    """

    params: TrainingParams
    unit: ClassVar[str]
    base_settings: ClassVar[frozenset[str]]
    answers_untouched: ClassVar[bool] = True
    new_head: ClassVar[str | None] = None
    without: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @abstractmethod
    def auto_class(cls, config: PretrainedConfig) -> type:
        """The class of transformers that loads or builds such a base model."""

    @classmethod
    @abstractmethod
    def task_type(cls, config: PretrainedConfig) -> str | None:
        """PEFT's name for what the model does; None where PEFT has none."""

    @classmethod
    def configure(cls, config: PretrainedConfig, labels: Sequence[str]) -> None:
        """Fits a base model's config to the task's classes; nothing is done where answers are text."""
        return

    @classmethod
    def shortened(cls, params: TrainingParams, tiny: PretrainedConfig) -> dict[str, Any]:
        """Parameters that a rehearsal changes for this kind of task, on the embedded model of that config."""
        return {}

    @classmethod
    @abstractmethod
    def random_splits(cls, task: Task, subset: str | None, params: TrainingParams) -> Splits:
        """Rows as long as the task's, of random content, for a profile: enough to train, a few to answer."""

    @classmethod
    @abstractmethod
    def load(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Workload", PreTrainedModel]:
        """The workload with its processor, and the untouched base model on the device, in evaluation mode.

        Args:
            params: name the model.
            device: to load it onto.
            origin: what messages call the place that a parameter comes from.
            labels: the task's classes, where it has any.
        """

    @classmethod
    @abstractmethod
    def build(
        cls, params: TrainingParams, device: torch.device, origin: Origin, labels: Sequence[str] = ()
    ) -> tuple["Workload", PreTrainedModel]:
        """The same with random weights and without a processor, for rows of `random_splits`."""

    @classmethod
    def recompute(cls, model: nn.Module, **how: Any) -> None:
        """Makes the model forget activations, and compute them again in the backward pass; `how` goes to torch."""
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False, **how})

    def read_ahead(self, task: Task, splits: Splits, base: nn.Module) -> None:
        """Does with the rows what needs a model that training and answering do without; nothing for most."""
        return

    @abstractmethod
    def encode(self, row: Row) -> Sized:
        """One training sample; samples of similar length share a batch. May have an attribute `truncated`."""

    @abstractmethod
    def collate(self, samples: Sequence[Any]) -> Batch:
        """Samples as one batch on the CPU."""

    @abstractmethod
    def loss(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Scalar, the mean over what the batch counts, with whatever terms the method adds."""

    def data(self, rows: Sequence[Row], device: torch.device) -> StartingData:
        """What initializations may ask for, of the training rows in the order of the run; here of no text."""

        def batches(count: int, size: int) -> list[Batch]:
            samples = [self.encode(row) for row in first_rows(rows, count, self.params.seed)]
            parts = [self.collate(samples[start : start + size]) for start in range(0, count, size)]
            return [Batch(part.to(device), part.rows, part.counted, part.work) for part in parts]

        def no_text(*_: Any) -> Any:
            raise UserError("initialization: begins with text, and an image model reads none; choose another")

        return StartingData(batches, no_text, no_text, self.loss)

    @abstractmethod
    def answer(self, model: nn.Module, rows: Sequence[Row], description: str) -> Answers:
        """Deterministic answers to the rows, behind a progress bar; leaves the model in evaluation mode."""

    def judged(self, task: Task, source: Source, rows: Sequence[Row], answers: Answers) -> Answers:
        """The answers with texts that the task can score, where the model makes something else."""
        return answers

    def score(self, task: Task, rows: Sequence[Row], answers: Answers) -> Scores:
        """The answers against the rows' references, as the task scores text."""
        return score_predictions(task, rows, answers.texts)

    def measure_inference(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> Inference | None:
        """How fast the model answers; None where the workload has no such measurement."""
        return None

    def longest_answer(self, model: nn.Module, rows: Sequence[Row], device: torch.device) -> int:
        """One pass as large as answering the rows at once takes, for a forecast; returns the length of a row."""
        raise NotImplementedError(f"{type(self).__name__} tells no length of an answer")

    def held_out(self) -> HeldOut | None:
        """What forgetting is measured on; None where there is nothing to forget."""
        return None


def first_rows(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """The first rows that a run of that seed trains on.

    Raises:
        UserError: there are not so many.
    """
    if count > len(rows):
        raise UserError(f"initialization.rows: expected at most the {len(rows)} rows to train on, got {count}")
    return [rows[index] for index in epoch_order(len(rows), seed, 0)[:count]]


def workload_of(task: Task, experiment: Experiment, adapter: Adapter | None) -> type[Workload]:
    """The workload of a task, for an experiment that fits it.

    Raises:
        UserError: there is no such workload; a parameter means nothing to it; its new head would stay as random as it
            begins.
    """
    workload, params = find_workload(task.workload, task.where), experiment.params
    for name in sorted(workload.without):
        if getattr(params, name) != TrainingParams.model_fields[name].default:
            where = experiment.origin(name)
            raise UserError(f"{where}: {name}: means nothing where work is {workload.unit}; remove it")
    head = workload.new_head
    if head is None or params.full_finetuning:
        return workload
    key = "train_only" if adapter is None else "modules_to_save"
    trained = params.train_only if adapter is None else adapter.values.get(key)
    if head not in (trained or ()):
        where = experiment.origin(key) if adapter is None else adapter.where
        raise UserError(f'{where}: {key}: the head is new and must be trained; add "{head}" to this list')
    return workload


def find_workload(name: str, where: str) -> type[Workload]:
    """The workload of a name: the class WORKLOAD of the file of that name in this folder.

    Raises:
        UserError: there is no such file.
    """
    known = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    if name not in known:
        raise UserError(f"{where}: workload: unknown {name!r}; {did_you_mean(name, known)}")
    return import_module(f"{__name__}.{name}").WORKLOAD
