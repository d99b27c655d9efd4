"""Training loops to compare: run.py's, a bare one, and transformers' Trainer, all on the same rows and model."""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from transformers import DataCollatorForSeq2Seq, Trainer, TrainerCallback, TrainingArguments, set_seed

import run as runner
from harness import modes
from harness.adapter_config import Adapter
from harness.batches import effective_batches
from harness.devices import hardware, synchronize
from harness.experiment import Experiment, find_experiment, read_experiment
from harness.measure.timer import Window
from harness.measure.training_log import TrainingLog
from harness.params import TrainingParams
from harness.plan import Plan
from harness.record import Record, new_record
from harness.result.schema import MemoryParts
from harness.task import Splits, Task
from harness.text.encoding import IGNORED
from harness.workloads import Workload

EXPERIMENT = "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"  # r 8 on every linear layer


@dataclasses.dataclass
class Stopwatch:
    """Times the steps after the warm-up; waits for the device at both ends and nowhere between."""

    device: torch.device
    warmup: int
    steps: int
    done: int = 0
    begun: float = 0.0
    seconds: float = 0.0

    def tick(self) -> None:
        """One optimizer step is complete."""
        self.done += 1
        if self.done == self.warmup:
            synchronize(self.device)
            self.begun = time.perf_counter()
        elif self.done == self.total:
            synchronize(self.device)
            self.seconds = time.perf_counter() - self.begun

    @property
    def total(self) -> int:
        """Steps that a loop must take."""
        return self.warmup + self.steps

    def rate(self, tokens_of_steps: list[int]) -> float:
        """Non-padding tokens per second of the timed steps, given those of every step in order."""
        if self.done != self.total:
            raise RuntimeError(f"expected {self.total} steps, the loop took {self.done}")
        return sum(tokens_of_steps[self.warmup : self.total]) / self.seconds


@dataclasses.dataclass
class Prepared:
    """A run up to where its training begins, of which no base model is scored and no record is written."""

    record: Record
    task: Task
    splits: Splits
    workload: Workload
    model: torch.nn.Module

    @property
    def params(self) -> TrainingParams:
        """The run's parameters."""
        return self.record.params

    @property
    def device(self) -> torch.device:
        """What it runs on."""
        return self.record.device

    def train(self) -> None:
        """run.train on it."""
        runner.train(self.record, modes.REHEARSAL, self.task, self.workload, self.model, self.splits)


def prepare(experiment: Experiment, device: torch.device, folder: Path, subset: str | None = None) -> Prepared:
    """Goes through run.py's stages up to training; `folder` is where the run's own would be made."""
    task = runner.load_task(experiment.task_folder)
    record = new_record(Plan(experiment, subset, output=folder), task, device, hardware(device))
    set_seed(record.params.seed)
    splits, workload, base = runner.load(record, modes.REHEARSAL, task)
    model = runner.attach(record, modes.REHEARSAL, base, Adapter.of(experiment), workload, splits.train)
    return Prepared(record, task, splits, workload, model)


class Arena:
    """One model and its rows; every loop starts from a copy of the same untrained adapter."""

    def __init__(self, batch_size: int, steps: int, warmup: int, device: torch.device, folder: Path) -> None:
        changes = {"batch_size": batch_size, "max_steps": warmup + steps, "eval_steps": warmup + steps}
        experiment = read_experiment(find_experiment(EXPERIMENT), changes, 0)
        self.warmup, self.steps, self.folder = warmup, steps, folder
        self.run = prepare(experiment, device, folder)
        self.samples = runner.encode(self.run.record, self.run.workload, self.run.splits.train, warmup + steps)
        stream = effective_batches(self.samples, len(self.run.splits.train), self.run.params)
        self.batches = [self.run.workload.collate(next(stream)[0]) for _ in range(warmup + steps)]

    def model(self) -> torch.nn.Module:
        """A fresh copy of the model, in training mode."""
        return copy.deepcopy(self.run.model).train()

    def stopwatch(self) -> Stopwatch:
        """A new one for one loop."""
        return Stopwatch(self.run.device, self.warmup, self.steps)

    def loops(self) -> dict[str, Callable[[], float]]:
        """Every loop by name; each call trains once and returns non-padding tokens per second."""
        return {name: partial(loop, self) for name, loop in LOOPS.items()}


def train_ours(arena: Arena, compiled: bool = False) -> float:
    """run.train itself, progress bar and log included; only the evaluation at its end is left out."""
    watch, record = arena.stopwatch(), arena.run.record
    params = record.params.model_copy(update={"compile": compiled})
    plan = dataclasses.replace(record.plan, experiment=dataclasses.replace(record.plan.experiment, params=params))
    current = dataclasses.replace(
        arena.run, record=new_record(plan, arena.run.task, arena.run.device, hardware(arena.run.device)),
        model=arena.model(),
    )  # fmt: skip

    def watched(*arguments: Any) -> Iterator[list]:
        stream = effective_batches(*arguments)
        while True:
            yield next(stream)
            watch.tick()  # runs when the loop asks for the next step's batches

    with (
        patch.object(runner, "effective_batches", watched),
        patch.object(runner, "validate", lambda *_: watch.tick()),  # follows the last step
    ):
        current.train()
    return watch.rate([batch.work for batch in arena.batches])


class _NoMeter:
    """In the place of timer and memory meter: measures nothing, as cheaply as possible."""

    def start(self) -> None:
        """A step begins."""

    def stop(self) -> None:
        """A step ends."""

    def edge(self) -> Window:
        """No window."""
        return Window(0.0)

    def now(self) -> tuple[int, int]:
        """No memory."""
        return 0, 0


class _Unmeasured(TrainingLog):
    """Keeps the losses, and neither times nor weighs anything."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.timer = self.memory = _NoMeter()


def train_unmeasured(arena: Arena) -> float:
    """run.train without its meters: what is left of it when no step is timed and no memory is read."""
    with (
        patch.object(runner, "TrainingLog", _Unmeasured),
        patch.object(runner, "memory_parts", lambda *_: MemoryParts()),
    ):
        return train_ours(arena)


def train_bare(arena: Arena) -> float:
    """Forward, backward, step over ready-made batches and nothing else: no clipping, no schedule, no loss is read."""
    watch, model, device = arena.stopwatch(), arena.model(), arena.run.device
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, **arena.run.params.optimizer_kwargs)
    for batch in arena.batches:
        model(**batch.to(device), use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        watch.tick()
    return watch.rate([batch.work for batch in arena.batches])


class _Ticker(TrainerCallback):
    def __init__(self, watch: Stopwatch) -> None:
        self.watch = watch

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.watch.tick()


def train_trainer(arena: Arena, **options: Any) -> float:
    """Transformers' Trainer with its defaults on the same rows, set to the same optimizer, schedule and clipping."""
    watch, params, tokenizer = arena.stopwatch(), arena.run.params, arena.run.workload.encoder.tokenizer
    pad, tokens = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=IGNORED), []

    def counting(items: list[dict]) -> dict[str, torch.Tensor]:
        tokens.append(sum(len(item["input_ids"]) for item in items))
        return pad(items)

    arguments = TrainingArguments(
        output_dir=str(arena.folder / "trainer"),
        use_cpu=arena.run.device.type == "cpu",
        report_to="none",
        save_strategy="no",
        max_steps=watch.total,
        per_device_train_batch_size=params.batch_size,
        learning_rate=params.optimizer_kwargs["lr"],
        weight_decay=params.optimizer_kwargs["weight_decay"],
        lr_scheduler_type=params.lr_scheduler,
        warmup_steps=params.warmup_ratio,
        max_grad_norm=params.grad_norm_clip,
        **options,
    )
    rows = [
        {
            "input_ids": sample.prompt + sample.target,
            "labels": [IGNORED] * len(sample.prompt) + sample.target,
            "attention_mask": [1] * len(sample),
        }
        for sample in arena.samples.values()
    ]
    Trainer(arena.model(), arguments, counting, rows, callbacks=[_Ticker(watch)]).train()
    return watch.rate(tokens)


LOOPS: dict[str, Callable[[Arena], float]] = {
    "run.py": train_ours,
    "run.py, compiled": partial(train_ours, compiled=True),
    "run.py, unmeasured": train_unmeasured,
    "bare": train_bare,
    "Trainer": train_trainer,
    "Trainer, group_by_length": partial(train_trainer, train_sampling_strategy="group_by_length"),
}
