"""The record of a run: its folder in runs/ with log and JSON, whatever becomes of it; its result when it succeeded."""

import contextlib
import json
import logging
import signal
import time
import traceback
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy
import torch
from torch import nn

from harness.adapter import parameter_counts
from harness.checkpoint import Checkpoint
from harness.devices import is_out_of_memory
from harness.errors import UserError
from harness.experiment import display_path
from harness.images.pictures import thumbnail
from harness.measure.memory import MemoryMeter
from harness.measure.training_log import Diverged, TrainingLog
from harness.new_result import new_result
from harness.params import TrainingParams
from harness.plan import Plan
from harness.result import provenance, schema
from harness.result.store import is_kept, write_result
from harness.scoring import Scores
from harness.task import Row, Splits, Task
from harness.workloads import Answers

log = logging.getLogger("run")
SHOWN = 10  # test rows that a result quotes
PICTURES = "samples"  # folder of generated ones
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@dataclass
class Record:
    """What a run notes about itself: `result` fills up from stage to stage, `memory` meters their phases.

    checkpoint: what the run goes on from when it is killed; `resumes` says that one has been.
    drawn: joules that the device had drawn before the first step.
    """

    plan: Plan
    device: torch.device
    result: schema.Result
    folder: Path
    memory: MemoryMeter
    overwrite: bool = False
    started: float = field(default_factory=time.perf_counter)
    training: TrainingLog | None = None
    checkpoint: Checkpoint | None = None
    resumes: bool = False
    drawn: float | None = None
    written: Path | None = None

    @property
    def params(self) -> TrainingParams:
        """The run's parameters."""
        return self.plan.experiment.params

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.started

    def note_splits(self, splits: Splits) -> None:
        """Notes sizes and fingerprint of the data."""
        info = self.result.task
        info.train_rows, info.valid_rows, info.test_rows = len(splits.train), len(splits.valid), len(splits.test)
        self.result.provenance.data_fingerprint = splits.fingerprint

    def note_parameters(self, model: nn.Module, head: str | None) -> None:
        """Notes how much is trained; after the optimizer is made, since LoRA-FA freezes half of what PEFT would train.

        Args:
            model: as it is trained.
            head: name of the module that is new to the base model, where there is one.

        Raises:
            UserError: nothing is.
        """
        info, where = self.result.train_info, self.plan.experiment.adapter_config_path
        trainable, total = parameter_counts(model)
        trainable = total if self.params.full_finetuning else trainable  # LISA trains all layers, a few at a time
        if trainable == 0:
            raise UserError(f"{where}: trains no parameter; check target_modules and sizes")
        info.num_trainable_params, info.num_total_params = trainable, total
        if head is not None:
            info.num_head_params = parameter_counts(model, head)[0]
        log.info("training %s of %s parameters (%.3g %%)", f"{trainable:,}", f"{total:,}", 100 * trainable / total)

    def base_score_file(self, settings: Collection[str], scoring: str) -> Path:
        """Where the untouched base model's score is kept, which every method shares.

        Args:
            settings: names of the parameters that it depends on.
            scoring: fingerprint of the code that scores.
        """
        result, values = self.result, self.params.model_dump(include=set(settings))
        origin = [result.provenance.data_fingerprint, result.provenance.base_model_fingerprint, scoring]
        versions = [schema.PROTOCOL, result.meta_info.package_info, result.hardware]
        identity = provenance.fingerprint([values, origin, versions])
        return self.plan.output / "runs" / "base_scores" / f"{identity[:20]}.json"

    def note_test(self, rows: Sequence[Row], answers: Answers, scores: Scores, seconds: float) -> None:
        """Notes the answers to the test split, their scores, and the seconds that answering took."""
        info, quality, speed = self.result.train_info, self.result.quality, self.result.speed
        quality.test_score, quality.invalid_rate, quality.test_scores = scores.mean, scores.invalid_rate, scores.values
        quality.lengths = answers.lengths
        quality.samples = [
            schema.SampleAnswer(
                prompt=row.prompt,
                reference=row.reference,
                prediction=text,
                score=value,
                thumbnail=None if shown is None else thumbnail(shown),
                picture=None if answers.pictures is None else f"{PICTURES}/{number}.png",
            )
            for number, row, text, value, shown in self._shown(rows, answers, scores)
        ]
        self._keep(answers.pictures or ())
        write_predictions(self.folder / "predictions.jsonl", rows, answers.texts, scores.values)
        speed.test_tokens_per_second = answers.work / seconds
        speed.eval_time = seconds + sum(line.eval_time for line in info.metrics)
        info.metrics.append(
            schema.Metrics(
                step=len(self.training.losses),
                test_score=scores.mean,
                eval_time=seconds,
                test_accuracy=scores.mean if self.result.task.metric == "accuracy" else None,
                train_loss=info.metrics[-1].train_loss,
                train_samples=self.training.rows,
                train_total_tokens=self.training.total_work,
                elapsed_time=self.elapsed,
            )
        )

    def _shown(self, rows: Sequence[Row], answers: Answers, scores: Scores) -> list[tuple]:
        """What a result quotes: numbers, rows, texts, scores and pictures.

        The first rows; of generated pictures the first of each reference, then the second ones.
        """
        made = answers.pictures
        items = list(
            zip(range(len(rows)), rows, answers.texts, scores.values, made or [row.image for row in rows], strict=True)
        )
        if made is None:
            return items[:SHOWN]
        seen: Counter[str] = Counter()
        turns = [seen.update([row.reference]) or seen[row.reference] for row in rows]
        first = sorted(items, key=lambda item: turns[item[0]])[:SHOWN]
        return sorted(first, key=lambda item: item[1].reference)

    def _keep(self, pictures: Sequence[bytes]) -> None:
        """Writes generated pictures beside the run's other files."""
        if pictures:
            (self.folder / PICTURES).mkdir()
        for number, content in enumerate(pictures):
            (self.folder / PICTURES / f"{number}.png").write_bytes(content)


def new_record(plan: Plan, task: Task, device: torch.device, hardware: dict, overwrite: bool = False) -> Record:
    """The record of a run before it begins, with all that is known of it.

    Args:
        plan: what is run.
        task: the loaded task.
        device: to run on; `hardware` describes it.
        hardware: as harness.devices.hardware tells.
        overwrite: whether its result may replace one that is there.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    result = new_result(plan, task, device, hardware)
    return Record(plan, device, result, plan.runs_folder / stamp, MemoryMeter(device), overwrite)


@contextlib.contextmanager
def recording(record: Record) -> Iterator[Record]:
    """The run happens inside the block. Whatever happens, its folder holds log and JSON when the block is left.

    A run that was cancelled, diverged or ran out of memory ends the block quietly; its status tells. A bug and what
    the user can put right (UserError) go on upwards, as status "failed".

    Raises:
        UserError: the folder cannot be written, or somebody else wrote the same result meanwhile.
    """
    info = record.result.train_info
    _make(record.folder)
    record.result.run_info.error_msg = "ended without a word: killed, or the machine stopped"
    _write(record.folder / "result.json", record.result)
    info.status, error_msg = "cancelled", ""
    with _log_to(record.folder / "log.txt"):
        try:
            try:
                yield record
                info.status = "success"
            except BaseException as error:
                error_msg = traceback.format_exc()
                info.status = _status_of(error)
                if info.status == "failed":
                    raise
        finally:
            while record.written is None:
                with contextlib.suppress(KeyboardInterrupt):  # one may come before signals wait
                    _finish(record, error_msg)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{display_path(folder)}: cannot be made: {error.strerror}; choose another --output") from None


def _status_of(error: BaseException) -> schema.Status:
    if isinstance(error, KeyboardInterrupt):
        log.error("cancelled")
        return "cancelled"
    if isinstance(error, Diverged):
        log.error("diverged: %s", error)
        return "diverged"
    if isinstance(error, MemoryError | RuntimeError) and is_out_of_memory(error):
        log.error("out of memory: lower batch_size (with more gradient_accumulation_steps) or max_seq_length, "
                  "or use gradient_checkpointing or an int8 or int4 base")  # fmt: skip
        return "out_of_memory"
    return "failed"


def _finish(record: Record, error_msg: str) -> None:
    """Writes what the run came to; a signal that arrives meanwhile waits, since half a record is none."""
    result, path = record.result, record.folder / "result.json"
    with _signals_wait():
        result.run_info.error_msg = error_msg
        result.run_info.total_time = record.elapsed
        _record_measurements(result, record.memory, record.training)
        _write(path, result)
        kept = not (record.plan.is_modified or record.plan.tuning) and is_kept(result)
        record.written = _publish(record) if kept else path


def _write(path: Path, result: schema.Result, overwrite: bool = True) -> None:
    try:
        write_result(path, result, overwrite)
    except FileExistsError:
        raise
    except OSError as error:
        raise UserError(
            f"{display_path(path)}: cannot be written: {error.strerror}; free some space or choose another --output"
        ) from error


def _publish(record: Record) -> Path:
    target = record.plan.result_path(record.result.hardware["slug"])
    try:
        _write(target, record.result, record.overwrite)
    except FileExistsError:
        record.written = record.folder / "result.json"
        raise UserError(
            f"{display_path(target)}: was written meanwhile; this run's is {display_path(record.written)}"
        ) from None
    return target


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Inside the block, what asks the process to stop is noted and nothing else; the run is over by then."""
    before = {stop: signal.signal(stop, lambda *_: log.error("finishing what was begun")) for stop in STOPS}
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Copies what is logged inside the block to a file."""
    handler = logging.FileHandler(path)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _record_measurements(result: schema.Result, memory: MemoryMeter, training: TrainingLog | None) -> None:
    """Fills in what is known of memory and speed, also of a run that broke off, with or without a training log."""
    info, speed = result.train_info, result.speed
    result.memory = {name: schema.PeakMemory(**vars(peak)) for name, peak in memory.peaks.items()}
    if "train" in memory.peaks:
        info.accelerator_memory_max = memory.peaks["train"].reserved
        _fill_remainder(result, memory.peaks["train"].reserved)
    if training is None or not training.reserved:
        return
    info.train_time = training.train_time
    info.accelerator_memory_reserved_avg = round(numpy.mean(training.reserved))
    info.accelerator_memory_reserved_99th = round(numpy.percentile(training.reserved, 99))
    speed.warmup_time, speed.warmup_steps = training.warmup_time, training.warmup_steps
    speed.train_tokens_per_second, speed.skipped_steps = training.work_per_second, training.skipped_steps
    speed.samples_per_second = training.rows_per_second
    if training.step_seconds:
        speed.step_time_median = float(numpy.median(training.step_seconds))
        speed.step_time_p95 = float(numpy.percentile(training.step_seconds, 95))


def _fill_remainder(result: schema.Result, peak: int | None) -> None:
    parts = result.memory_parts.model_dump(exclude={"remainder"})
    if peak is not None and None not in parts.values():
        result.memory_parts.remainder = max(peak - sum(parts.values()), 0)


def write_predictions(path: Path, rows: Sequence[Row], texts: Sequence[str], scores: Sequence[float]) -> None:
    """One JSON line per row: the row, what the model wrote, and its score."""
    with path.open("w", encoding="utf-8") as file:
        for row, text, score in zip(rows, texts, scores, strict=True):
            file.write(json.dumps({**row.written(), "prediction": text, "score": score}) + "\n")
