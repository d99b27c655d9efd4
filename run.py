"""Trains, evaluates and measures one experiment, and writes one JSON result.

    python run.py experiments/lora/embedded-llama-rank8               # the embedded model and data: runs anywhere
    python run.py experiments/lora/llama-3.2-3B-rank32 --seed 1       # needs a GPU and access to the model on the hub
    python run.py experiments/lora/llama-3.2-3B-rank32 --rehearse     # proves the folder works, on any machine
    python run.py experiments/lora/llama-3.2-3B-rank32 --profile      # memory, speed, storage; no download, no quality
    python run.py experiments/lora/llama-3.2-3B-rank32 --forecast --gpu-memory 24GB       # does it fit? No GPU needed

A successful, unmodified run writes results/<Task>/<hardware>/<method>--<name>[--<subset>]--seed<k>.json. Every run
leaves its log, adapter, predictions and JSON in runs/, however it ended. The page reads from top to bottom: load,
train, save, test, measure.
"""

import logging

from harness.arguments import check_output, parse_arguments
from harness.parent import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    ARGUMENTS = parse_arguments()  # before the heavy imports below, so that --help and typing errors answer at once

import json
import math
import shutil
import signal
import sys
import time
from argparse import Namespace
from functools import partial
from itertools import islice
from typing import Any

import torch
from torch import nn
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm
from transformers import PreTrainedModel, set_seed

from harness import adapter as adapters
from harness import modes, optimizers
from harness.adapter_config import Adapter
from harness.architecture import has_architecture
from harness.batches import Batch, effective_batches, needed_rows
from harness.devices import choose_device, hardware, null_without_memory, synchronize
from harness.errors import run_command
from harness.experiment import find_experiment, read_experiment
from harness.forecast.forecast import Asked
from harness.learner import Learner
from harness.measure.energy import joules, watch
from harness.measure.flops import compute_section, flops_per_unit, matrix_product_rate
from harness.measure.memory_parts import memory_parts, stored_bytes, stored_parameters
from harness.measure.timer import warmup_steps
from harness.measure.training_log import TrainingLog
from harness.models import quiet_libraries
from harness.modes import Mode
from harness.plan import Plan, run_each, still_to_run
from harness.precision import autocast, matmul_dtype
from harness.purpose import profile_of, tuning_of
from harness.record import Record, new_record, recording
from harness.rehearsal import check_architecture
from harness.result import schema
from harness.result.store import write_atomically
from harness.result.summary import summary
from harness.resume import go_on, keep, resumable
from harness.scoring import Scores, further_scores, majority_baseline
from harness.task import Row, Splits, Task, choose_subsets, load_task
from harness.workloads import Answers, HeldOut, Workload, find_workload, workload_of

WINDOW = 10  # optimizer steps between two waits for the device, at most
log = logging.getLogger("run")


def execute(record: Record, mode: Mode, task: Task, adapter: Adapter | None) -> None:
    """One run, from the first weight loaded to the last figure measured; `record` notes what comes out."""
    set_seed(record.params.seed)  # the only place: adapter initialization, data order and dropout follow from it
    splits, workload, base = load(record, mode, task)
    held_out = learn_of_base(record, task, workload, base, splits.test) if mode.knows_base else None
    model = attach(record, mode, base, adapter, workload, splits.train)
    sample = train(record, mode, task, workload, model, splits)
    save(record, mode, model, workload.new_head)  # before the test: hours of training survive one that fails
    if mode.tests:
        test(record, task, workload, model, splits.test)
    if mode.measures:
        measure(record, workload, model, sample, splits.test, held_out)


def load(record: Record, mode: Mode, task: Task) -> tuple[Splits, Workload, PreTrainedModel]:
    """Rows, the workload with its processor, and the untouched base model, as the mode says."""
    result, started = record.result, time.perf_counter()
    log.info("loading %s (%s data) and %s", task.name, record.params.data_source, record.params.model_id)
    splits, workload, base = mode.load(record, task, find_workload(task.workload, task.where))
    record.note_splits(splits)
    if mode.tests:
        result.quality.majority_baseline = majority_baseline(task, splits.train, splits.test)
    result.speed.load_time = time.perf_counter() - started
    return splits, workload, base


def learn_of_base(
    record: Record, task: Task, workload: Workload, base: PreTrainedModel, rows: list[Row]
) -> HeldOut | None:
    """What the untouched base model can do: its own score, and its loss on what the task has nothing to do with.

    The score is kept in runs/base_scores, since every method shares it.
    """
    held_out, result, quality = workload.held_out(), record.result, record.result.quality
    if workload.answers_untouched:
        cache = record.base_score_file(workload.base_settings, task.fingerprint)
        if not cache.is_file():
            scores, _, result.speed.base_eval_time = evaluate(record, task, workload, base, rows, "untouched base")
            known = {"score": scores.mean, "invalid_rate": scores.invalid_rate}
            write_atomically(cache, json.dumps(known))
        known = json.loads(cache.read_text())
        quality.base_score, quality.base_invalid_rate = known["score"], known["invalid_rate"]
        log.info("untouched base model: %s %.1f %%", record.result.task.metric, 100 * known["score"])
    lost = None if held_out is None else held_out_loss(record, held_out, base)
    if lost is None:
        return None
    result.forgetting = held_out.of_base(lost)
    return held_out


def held_out_loss(record: Record, held_out: HeldOut, model: nn.Module) -> schema.TokenLoss | None:
    """How well the model still predicts what it was never fine-tuned on; None where nothing tells."""
    model.eval()
    with null_without_memory("forgetting"), record.memory.phase("forgetting"), autocast(record.params, record.device):
        found = held_out.loss(model)
        if math.isfinite(found.loss):
            return found
        log.warning("forgetting: the loss on what is held out is no finite number; it stays null")
    return None


def evaluate(
    record: Record, task: Task, workload: Workload, model: nn.Module, rows: list[Row], description: str
) -> tuple[Scores, Answers, float]:
    """Deterministic answers to the rows: their scores, what was answered, and the seconds that took."""
    with record.memory.phase("eval"), autocast(record.params, record.device):
        synchronize(record.device)
        started = time.perf_counter()
        answers = workload.answer(model, rows, description)
        synchronize(record.device)
        seconds = time.perf_counter() - started
        answers = workload.judged(task, record.params.data_source, rows, answers)
    return workload.score(task, rows, answers), answers, seconds


def attach(
    record: Record, mode: Mode, base: PreTrainedModel, adapter: Adapter | None, workload: Workload, rows: list[Row]
) -> nn.Module:
    """The model that is trained: the base in its adapter, or with every weight to be trained."""
    started, params, result = time.perf_counter(), record.params, record.result
    if adapter is not None and mode.scores:  # a profile is too short for a schedule of ranks to matter
        adapter.check_steps(params.planned_steps(len(rows)))
    with record.memory.phase("load"):
        data = workload.data(rows, record.device)
        model = adapters.attach(base, adapter, params, workload.task_type(base.config), data)
    result.run_info.peft_config = adapters.config_summary(model)
    result.speed.load_time += time.perf_counter() - started
    result.provenance.shared_device = watch(record.device)
    return model


def train(record: Record, mode: Mode, task: Task, workload: Workload, model: nn.Module, splits: Splits) -> Batch:
    """The training loop: forward, backward, clip, step; evaluates on valid every eval_steps and at the end.

    Returns:
        a batch of the one sample that is as long as half of them.
    """
    params, device, result = record.params, record.device, record.result
    steps = params.planned_steps(len(splits.train))
    samples = encode(record, workload, splits.train, steps)
    learner = Learner(model, params, record.plan.experiment.origin, steps, device)
    record.note_parameters(model, workload.new_head)
    optimizer, scaler, forward = learner.optimizer, learner.scaler, torch.compile(model) if params.compile else model
    training = TrainingLog(device, record.memory, warmup_steps=warmup_steps(steps))
    record.training, record.drawn = training, joules(device)
    done = go_on(record, learner)
    stream = islice(effective_batches(samples, len(splits.train), params), done, None)
    bar = tqdm(total=steps, initial=done, desc="training", unit="step", dynamic_ncols=True)
    model.train()
    with record.memory.phase("train"), bar:
        for step in range(done + 1, steps + 1):
            training.timer.start()
            batches = [workload.collate(part) for part in next(stream)]
            step_loss = forward_backward(record, workload, forward, scaler, batches)
            stepped = learner.step(step)
            training.skipped_steps += not stepped
            if stepped and result.memory_parts.gradients is None:  # all that training keeps is there now
                result.memory_parts = memory_parts(model, optimizer, device)
            optimizer.zero_grad(set_to_none=True)
            training.timer.stop()
            training.add(step_loss, sum(batch.work for batch in batches), sum(batch.rows for batch in batches))

            bar.update()
            evaluating = step % params.eval_steps == 0 or step == steps
            closing = evaluating or step % WINDOW == 0 or step == training.warm_after
            if closing:
                mean_loss = training.close_window(tolerate=scaler.is_enabled())
                speed = {f"{workload.unit}/s": f"{training.work_per_second or 0:.0f}"}
                bar.set_postfix(loss=f"{mean_loss:.3f}", lr=f"{learner.scheduler.get_last_lr()[0]:.2e}", **speed)
            if evaluating:
                validate(record, mode, task, workload, model, splits.valid)
                model.train()
            if closing:
                keep(record, learner, finished=step == steps)
    optimizers.detach(optimizer)  # what is measured from here on is no training
    result.compute.energy = None if record.drawn is None else joules(device) - record.drawn
    return workload.collate([sorted(samples.values(), key=len)[len(samples) // 2]])


def forward_backward(
    record: Record, workload: Workload, forward: nn.Module, scaler: torch.amp.GradScaler, batches: list[Batch]
) -> torch.Tensor:
    """Gradients of one optimizer step over its micro-batches; returns the step's mean loss, still on the device."""
    counted, step_loss = sum(batch.counted for batch in batches), torch.zeros((), device=record.device)
    for batch in batches:
        with autocast(record.params, record.device):
            # The model's own mean, weighted so that everything counted in the step counts once.
            loss = workload.loss(forward, batch.to(record.device)) * (batch.counted / counted)
        scaler.scale(loss).backward()
        step_loss += loss.detach()
    return step_loss


def encode(record: Record, workload: Workload, rows: list[Row], steps: int) -> dict[int, Any]:
    """The samples of the training rows that the run will see, by the rows' indices."""
    params, started = record.params, time.perf_counter()
    wanted = needed_rows(len(rows), params.seed, steps * params.batch_size * params.gradient_accumulation_steps)
    bar = tqdm(wanted, desc="encoding", unit="row", leave=False, dynamic_ncols=True)
    samples = {index: workload.encode(rows[index]) for index in bar}
    record.result.task.truncated_rows = sum(getattr(sample, "truncated", False) for sample in samples.values())
    record.result.speed.tokenize_time = time.perf_counter() - started
    return samples


def validate(record: Record, mode: Mode, task: Task, workload: Workload, model: nn.Module, rows: list[Row]) -> None:
    """Scores the valid split, where the mode scores anything, and adds a line to the result's metrics."""
    line, info = record.training.line(), record.result.train_info
    info.metrics.append(line)
    if not mode.scores:
        return
    scores, _, line.eval_time = evaluate(record, task, workload, model, rows[: record.params.valid_samples], "valid")
    line.valid_score = record.result.quality.valid_score = scores.mean
    line.valid_accuracy = scores.mean if record.result.task.metric == "accuracy" else None
    line.elapsed_time, info.train_time = record.elapsed, record.training.train_time
    log.info("step %d: train loss %.3f, valid %s %.1f %%, %.0f %s/s", line.step, line.train_loss,
             record.result.task.metric, 100 * scores.mean, line.tokens_per_second or 0, workload.unit)  # fmt: skip


def save(record: Record, mode: Mode, model: nn.Module, head: str | None) -> None:
    """Saves what was trained, as a user would, and weighs it, a new head apart."""
    info, whole = record.result.train_info, record.plan.experiment.adapter_config is None
    target = record.folder / ("model" if whole else "adapter")
    try:
        files = adapters.save(model, target, record.params.train_only)
        info.file_size = sum(path.stat().st_size for path in files)
        info.num_stored_params, info.head_file_size = stored_parameters(files), stored_bytes(files, head)
    finally:
        if not mode.keeps_weights:  # random numbers, many gigabytes of them under full fine-tuning
            shutil.rmtree(target, ignore_errors=True)


def test(record: Record, task: Task, workload: Workload, model: nn.Module, rows: list[Row]) -> None:
    """Scores the test split, once."""
    scores, answers, seconds = evaluate(record, task, workload, model, rows, "test")
    further = further_scores(task, answers.texts, [row.reference for row in rows])
    record.result.quality.further_scores = further | answers.further
    record.note_test(rows, answers, scores, seconds)


def measure(
    record: Record, workload: Workload, model: nn.Module, sample: Batch, rows: list[Row], held_out: HeldOut | None
) -> None:
    """What was lost of the base, how fast the model answers beside it, and what arithmetic a step takes."""
    params, device, result = record.params, record.device, record.result
    lost = None if held_out is None else held_out_loss(record, held_out, model)
    if lost is not None:
        result.forgetting.loss, result.forgetting.forgetting = lost.loss, lost.loss - result.forgetting.base_loss
        setattr(result.train_info.metrics[-1], held_out.name, result.forgetting.forgetting)
    with null_without_memory("inference"), record.memory.phase("inference"), autocast(params, device):
        result.inference = workload.measure_inference(model, rows, device)
    flops = rate = None
    with null_without_memory("compute.flops_per_token"):
        precision = partial(autocast, params, device)
        flops = flops_per_unit(model, workload.loss, sample, params.batch_size, device, precision)
    with null_without_memory("compute.matmul_flops_per_second"):
        rate = matrix_product_rate(device, matmul_dtype(params))
    result.compute = compute_section(flops, record.training.work_per_second, rate, result.compute.energy)
    result.provenance.shared_device = watch(device, result.provenance.shared_device)


def start(arguments: Namespace) -> int:
    """All that the parsed arguments ask for: a rehearsal, one run, or one for each subset. Returns the exit code."""
    experiment = read_experiment(
        find_experiment(arguments.experiment), arguments.overrides, arguments.seed, arguments.checkpoint_minutes
    )
    if not arguments.verbose:
        quiet_libraries()
    optimizers.check_optimizer(experiment.params, experiment.origin)
    adapter, task = Adapter.of(experiment), load_task(experiment.task_folder)
    subsets = choose_subsets(task, arguments.subset, experiment.task)
    workload = workload_of(task, experiment, adapter)
    if arguments.forecast:
        return modes.tell_forecast(experiment, subsets, Asked(arguments.gpu_memory, arguments.gpu))
    output = check_output(arguments.output)
    if arguments.rehearse:
        return modes.rehearse(experiment, adapter, task, subsets, execute)
    if adapter is not None and has_architecture(experiment.params.model_id):
        # A config that does not fit should fail before anything is downloaded.
        check_architecture(experiment, adapter, workload, task.labels(experiment.params.data_source))
    if arguments.profile or arguments.tune:
        experiment = (profile_of if arguments.profile else tuning_of)(experiment)
    device = choose_device(arguments.device, touch=len(subsets) == 1)
    machine = hardware(device)
    asked = (arguments.profile, arguments.tune, output, arguments.flags)
    plans = [Plan(experiment, subset, *asked) for subset in subsets]
    todo = still_to_run(plans, machine["slug"], arguments.overwrite, arguments.skip_existing)
    if len(plans) == len(todo) == 1:
        mode = modes.PROFILE if arguments.profile else modes.TUNING if arguments.tune else modes.REAL
        record = new_record(plans[0], task, device, machine, arguments.overwrite)
        return run_one(record, mode, task, adapter, arguments.resume)
    return run_each(plans, todo, machine["slug"])


def run_one(record: Record, mode: Mode, task: Task, adapter: Adapter | None, resume: bool) -> int:
    """One run in this process, and its summary on the screen."""
    with resumable(record, resume), recording(record):
        execute(record, mode, task, adapter)
    print(summary(record.result, record.written))
    return schema.EXIT_CODES[record.result.train_info.status]


def main(arguments: Namespace) -> int:
    """Does what the parsed command line asks for and returns the exit code; a bug raises after its JSON is written."""
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s", force=True)
    log.setLevel(logging.INFO)
    for kill in ("SIGTERM", "SIGHUP"):  # a cluster's kill and a closed terminal leave a JSON like Ctrl-C does
        if hasattr(signal, kill):
            signal.signal(getattr(signal, kill), signal.default_int_handler)
    try:
        with logging_redirect_tqdm():
            return run_command(start, arguments)
    except KeyboardInterrupt:
        return schema.EXIT_CODES["cancelled"]


if __name__ == "__main__":
    sys.exit(main(ARGUMENTS))
