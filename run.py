"""Trains, evaluates and measures one experiment, and writes one JSON result.

    python run.py experiments/lora/embedded-llama-rank8               # the embedded model and data: runs anywhere
    python run.py experiments/lora/llama-3.2-3B-rank32 --seed 1       # needs a GPU and access to the model on the hub
    python run.py experiments/lora/llama-3.2-3B-rank32 --rehearse     # proves the folder works, on any machine
    python run.py experiments/lora/llama-3.2-3B-rank32 --profile      # memory, speed, storage; no download, no quality

A successful, unmodified run writes results/<Task>/<hardware>/<method>--<name>[--<subset>]--seed<k>.json. Every run
leaves its log, adapter, predictions and JSON in runs/, however it ended. The page reads from top to bottom: load,
train, test, save.
"""

import logging

from harness.arguments import check_output, parse_arguments

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it complains on import about kernels that nobody asked for
if __name__ == "__main__":
    parse_arguments()  # before the heavy imports below, so that --help and typing errors answer at once

import contextlib
import dataclasses
import json
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm
from transformers import set_seed

from harness import models
from harness.adapter_config import build_adapter_config
from harness.batches import Batch, Encoder, collate, effective_batches, needed_rows
from harness.devices import choose_device, is_out_of_memory
from harness.errors import UserError
from harness.experiment import Experiment, display_path, find_experiment, read_experiment
from harness.hub import hub_errors, look_up
from harness.measure import energy as nvml
from harness.measure.flops import median_sample
from harness.measure.forgetting import held_out_texts
from harness.measure.memory_parts import memory_parts, stored_parameters
from harness.measure.meters import MemoryMeter, synchronize
from harness.measure.training_log import Diverged, TrainingLog
from harness.measuring import forget, measure_costs, remember, watch_device
from harness.optimizers import build_optimizer, build_scheduler, check_optimizer
from harness.profiling import RandomEncoder, profile_of, random_base_model, random_splits
from harness.rehearsal import ROWS, check_architecture, rehearsal_of
from harness.result import provenance, store
from harness.result import schema as results
from harness.result.report import adapter_summary, new_result, record_measurements, summary, write_predictions
from harness.scoring import Scores, further_scores, majority_baseline, score_predictions
from harness.subsets import mean_over_subsets, run_subset, still_to_run
from harness.task import Row, Splits, Task, choose_subsets, load_splits, load_task
from harness.text.generation import generate

WINDOW = 10  # optimizer steps between two waits for the device, at most
WARMUP_STEPS = 5  # left out of train_time: compilation, first allocations
# What the untouched base model's score depends on, beside model, data, versions and hardware.
BASE_SETTINGS = {"model_id", "model_revision", "dtype", "use_amp", "attn_implementation", "max_seq_length",
                 "query_template", "batch_size_eval", "generation_kwargs"}  # fmt: skip
log = logging.getLogger("run")


@dataclasses.dataclass
class Run:
    """All that one run holds. `where` names the file that messages about parameters point at."""

    experiment: Experiment
    task: Task
    device: torch.device
    folder: Path
    result: results.Result
    memory: MemoryMeter
    started: float
    rehearsal: bool = False
    splits: Splits | None = None
    encoder: Encoder | None = None
    model: Any = None
    training: TrainingLog | None = None
    held_out: list[str] | None = None
    typical: Batch | None = None

    @property
    def params(self):
        """The run's TrainingParams."""
        return self.experiment.params

    @property
    def where(self) -> str:
        """The experiment's own parameter file."""
        return f"{display_path(self.experiment.folder)}/training_params.json"

    @property
    def matmul_dtype(self) -> torch.dtype:
        """The precision that most matrix products of this run are made in."""
        whole = self.params.dtype == "float32" and not self.params.use_amp
        half = torch.float16 if self.params.dtype == "float16" else torch.bfloat16
        return torch.float32 if whole else half

    def autocast(self) -> torch.autocast:
        """Mixed precision as the parameters ask for; does nothing without use_amp."""
        enabled = self.params.use_amp
        return torch.autocast(self.device.type, dtype=self.matmul_dtype if enabled else None, enabled=enabled)


def load(run: Run) -> None:
    """Text, tokenizer, base model, the untouched base's own score and loss, and the adapter, in this order."""
    params, result, started = run.params, run.result, time.perf_counter()
    set_seed(params.seed)  # the only place: adapter initialization, data order and dropout follow from it
    log.info("loading %s (%s data) and %s", run.experiment.task, params.data_source, params.model_id)
    base = load_random(run) if result.profile else load_real(run)
    if params.loss_on == "all" and base.config.is_encoder_decoder:
        raise UserError(f'{run.experiment.origin("loss_on")}: loss_on: "all" needs a causal model; use "target"')
    describe_splits(run)
    load_time = time.perf_counter() - started
    if not (run.rehearsal or result.profile):
        score_base(run, base)
        remember(run, base)
    values, config, started = run.experiment.adapter_config, None, time.perf_counter()
    if values is not None:
        steps = params.planned_steps(len(run.splits.train))
        config = build_adapter_config(values, run.experiment.adapter_config_path, params, steps)
    with run.memory.phase("load"):
        run.model = models.attach_adapter(base, config, values, params, run.experiment.adapter_config_path)
    if config is not None:
        config.base_model_name_or_path = params.model_id  # PEFT writes the folder that the model came from
    result.run_info.peft_config = adapter_summary(config)
    result.speed.load_time = load_time + time.perf_counter() - started
    watch_device(run)


def load_real(run: Run) -> Any:
    """Text, tokenizer and base model, from the hub or embedded; returns the base model."""
    params, result = run.params, run.result
    look_up_repositories(run)
    with run.memory.phase("load"):
        run.splits = load_splits(run.task, params.data_source, result.task.subset)
        if run.rehearsal:
            run.splits = Splits(run.splits.train, run.splits.valid[:ROWS], run.splits.test[:ROWS])
        with hub_errors(params.model_id, params.model_revision, "model"):
            tokenizer = models.load_tokenizer(params, run.experiment.origin("model_id"))
            base = models.load_base_model(params, tokenizer, run.device, run.experiment.origin("model_id"))
    if not (base.config.is_encoder_decoder or run.rehearsal):
        run.held_out = held_out_texts(params)
    run.encoder = Encoder(tokenizer, params, base.config.is_encoder_decoder)
    return base


def load_random(run: Run) -> Any:
    """For a profile: random tokens in the task's lengths, and the base model's architecture with random weights."""
    run.splits = random_splits(run.task, run.result.task.subset, run.params, display_path(run.experiment.task_folder))
    with run.memory.phase("load"):
        base = random_base_model(run.params, run.device, run.experiment.origin("model_id"))
    run.encoder = RandomEncoder(base.config, run.params)
    return base


def look_up_repositories(run: Run) -> None:
    """Asks the hub for model and datasets at their pinned revisions, and notes what it says."""
    origin, params = run.result.meta_info, run.params
    if not params.is_embedded_model:
        origin.model_info = look_up(params.model_id, params.model_revision, "model")
    for repo_id, info in origin.dataset_info.items():
        origin.dataset_info[repo_id] = look_up(repo_id, info.sha, "dataset")


def describe_splits(run: Run) -> None:
    """Notes sizes, fingerprint and majority baseline of the splits."""
    splits, result = run.splits, run.result
    named = {"train": splits.train, "valid": splits.valid, "test": splits.test}
    result.task.train_rows, result.task.valid_rows, result.task.test_rows = map(len, named.values())
    result.provenance.data_fingerprint = provenance.fingerprint(
        [name, row.prompt, row.target, row.reference] for name, rows in named.items() for row in rows
    )
    if not result.profile:
        result.quality.majority_baseline = majority_baseline(run.task, splits.train, splits.test)


def score_base(run: Run, base: Any) -> None:
    """The untouched base model on the test split; kept in runs/base_scores, since every method shares it."""
    result, quality = run.result, run.result.quality
    settings, origin = run.params.model_dump(include=BASE_SETTINGS), result.provenance
    scoring = provenance.file_fingerprint(run.experiment.task_folder / "data.py")
    fingerprints = [origin.data_fingerprint, origin.base_model_fingerprint, scoring]
    versions = [results.PROTOCOL, result.meta_info.package_info, result.hardware]
    identity = provenance.fingerprint([settings, fingerprints, versions])
    cache = run.folder.parents[2] / "base_scores" / f"{identity[:20]}.json"
    if cache.is_file():
        known = json.loads(cache.read_text())
    else:
        run.model = base
        scores, _, result.speed.base_eval_time = evaluate(run, run.splits.test, "untouched base model")
        known = {"score": scores.mean, "invalid_rate": scores.invalid_rate}
        store.write_atomically(cache, json.dumps(known))
    quality.base_score, quality.base_invalid_rate = known["score"], known["invalid_rate"]
    log.info("untouched base model: %s %.1f %%", run.task.metric.name, 100 * known["score"])


def evaluate(run: Run, rows: list[Row], description: str) -> tuple[Scores, Any, float]:
    """Greedy answers to the rows' prompts: their scores, what was generated, and the seconds that took."""
    prompts = [run.encoder.encode_prompt(row.prompt)[0] for row in rows]
    with run.memory.phase("eval"), run.autocast():
        synchronize(run.device)
        started = time.perf_counter()
        generated = generate(run.model, run.encoder.tokenizer, prompts, run.params, description)
        synchronize(run.device)
        seconds = time.perf_counter() - started
    return score_predictions(run.task, rows, generated.texts), generated, seconds


def train(run: Run) -> None:
    """The training loop: forward, backward, clip, step; evaluates on valid every eval_steps and at the end."""
    params, model, rows = run.params, run.model, run.splits.train
    steps = params.planned_steps(len(rows))
    samples = tokenize(run, steps)
    run.typical = median_sample(samples, run.encoder, params.loss_on)
    optimizer = build_optimizer(model, params, run.where, run.experiment.layers)
    describe_parameters(run)  # only now: LoRA-FA freezes half of what PEFT made trainable
    scheduler = build_scheduler(optimizer, params, steps)
    scaler = torch.amp.GradScaler(run.device.type, enabled=params.dtype == "float16")
    forward = torch.compile(model) if params.compile else model
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    allocate = getattr(getattr(model, "base_model", None), "update_and_allocate", None)  # AdaLoRA and its kin
    tokenizer, is_encoder_decoder = run.encoder.tokenizer, run.encoder.is_encoder_decoder
    training = run.training = TrainingLog(run.device, run.memory, warmup_steps=min(WARMUP_STEPS, steps // 10))
    stream = effective_batches(samples, len(rows), params)
    model.train()
    with run.memory.phase("train"), tqdm(total=steps, desc="training", unit="step", dynamic_ncols=True) as bar:
        for step in range(1, steps + 1):
            training.timer.start()
            batches = [
                collate(part, tokenizer.pad_token_id, params.loss_on, is_encoder_decoder) for part in next(stream)
            ]
            counted = sum(batch.counted for batch in batches)
            step_loss = torch.zeros((), device=run.device)
            for batch in batches:
                with run.autocast():
                    # The model's own mean, weighted so that every counted token of the step counts once.
                    loss = forward(**batch.to(run.device), use_cache=False).loss * (batch.counted / counted)
                scaler.scale(loss).backward()
                step_loss += loss.detach()
            scaler.unscale_(optimizer)
            if params.grad_norm_clip is not None:
                torch.nn.utils.clip_grad_norm_(trainable, params.grad_norm_clip)
            stepped = optimizer_step(scaler, optimizer)
            if stepped:
                scheduler.step()
            else:
                training.skipped_steps += 1
            if allocate is not None:
                allocate(step)
            if stepped and run.result.memory_parts.gradients is None:  # everything that training keeps is there now
                run.result.memory_parts = memory_parts(model, optimizer, run.device)
            optimizer.zero_grad(set_to_none=True)
            training.timer.stop()
            training.add(step_loss, sum(batch.tokens for batch in batches), sum(batch.samples for batch in batches))

            bar.update()
            evaluating = step % params.eval_steps == 0 or step == steps
            if evaluating or step % WINDOW == 0 or step == training.warmup_steps:
                mean_loss = training.close_window(tolerate=scaler.is_enabled())
                bar.set_postfix(
                    loss=f"{mean_loss:.3f}",
                    lr=f"{scheduler.get_last_lr()[0]:.2e}",
                    **{"tok/s": f"{training.tokens_per_second or 0:.0f}"},
                )
            if evaluating:
                validate(run)
                model.train()


def describe_parameters(run: Run) -> None:
    """Notes how much is trained."""
    trainable, total = models.parameter_counts(run.model)
    if trainable == 0:
        raise UserError(f"{run.experiment.adapter_config_path}: trains no parameter; check target_modules and sizes")
    run.result.train_info.num_trainable_params, run.result.train_info.num_total_params = trainable, total
    log.info("training %s of %s parameters (%.3g %%)", f"{trainable:,}", f"{total:,}", 100 * trainable / total)


def tokenize(run: Run, steps: int) -> dict:
    """Tokenizes the training rows that the run will see."""
    params, rows, started = run.params, run.splits.train, time.perf_counter()
    wanted = needed_rows(len(rows), params.seed, steps * params.batch_size * params.gradient_accumulation_steps)
    samples = {
        index: run.encoder.encode(rows[index])
        for index in tqdm(wanted, desc="tokenizing", unit="row", leave=False, dynamic_ncols=True)
    }
    run.result.task.truncated_rows = sum(sample.truncated for sample in samples.values())
    run.result.speed.tokenize_time = time.perf_counter() - started
    return samples


def optimizer_step(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer) -> bool:
    """Steps, and says whether the optimizer did: float16 gradients that overflowed are not trained on."""
    before = scaler.get_scale() if scaler.is_enabled() else None
    scaler.step(optimizer)
    scaler.update()
    return before is None or scaler.get_scale() >= before


def validate(run: Run) -> None:
    """Scores the valid split and adds a line to the result's metrics."""
    training, line = run.training, run.training.line()
    if run.result.profile:
        run.result.train_info.metrics.append(line)
        return
    scores, _, line.eval_time = evaluate(run, run.splits.valid[: run.params.valid_samples], "valid")
    line.valid_score = run.result.quality.valid_score = scores.mean
    line.valid_accuracy = scores.mean if run.task.metric.name == "accuracy" else None
    line.elapsed_time = time.perf_counter() - run.started
    run.result.train_info.metrics.append(line)
    run.result.train_info.train_time = training.train_time
    log.info(
        "step %d: train loss %.3f, valid %s %.1f %%, %.0f tokens/s",
        line.step,
        line.train_loss,
        run.task.metric.name,
        100 * scores.mean,
        line.tokens_per_second or 0,
    )


def test(run: Run) -> None:
    """Scores the test split, once, and fills in the result."""
    scores, generated, seconds = evaluate(run, run.splits.test, "test")
    result, quality, speed = run.result, run.result.quality, run.result.speed
    rows, training = run.splits.test, run.training
    quality.test_score, quality.invalid_rate, quality.test_scores = scores.mean, scores.invalid_rate, scores.values
    quality.lengths = generated.lengths()
    quality.further_scores = further_scores(run.task, generated.texts, [row.reference for row in rows])
    quality.samples = [
        results.Sample(prompt=row.prompt, reference=row.reference, prediction=text, score=value)
        for row, text, value in list(zip(rows, generated.texts, scores.values, strict=True))[:10]
    ]
    write_predictions(run.folder / "predictions.jsonl", rows, generated.texts, scores.values)
    speed.test_tokens_per_second = generated.tokens / seconds
    speed.eval_time = seconds + sum(line.eval_time for line in result.train_info.metrics)
    result.train_info.metrics.append(
        results.Metrics(
            step=len(training.losses),
            test_score=scores.mean,
            eval_time=seconds,
            test_accuracy=scores.mean if run.task.metric.name == "accuracy" else None,
            train_loss=result.train_info.metrics[-1].train_loss,
            train_samples=training.samples,
            train_total_tokens=training.total_tokens,
            elapsed_time=time.perf_counter() - run.started,
        )
    )


def save(run: Run) -> None:
    """Saves what was trained, as a user would, and weighs it."""
    target = run.folder / ("adapter" if run.experiment.adapter_config is not None else "model")
    # No resized embeddings here; PEFT's default would ask the hub about them.
    extra = {"save_embedding_layers": False} if run.experiment.adapter_config is not None else {}
    try:
        run.model.save_pretrained(target, **extra)
        files, info = list(target.glob("*.safetensors")), run.result.train_info
        info.file_size = sum(path.stat().st_size for path in files)
        info.num_stored_params = stored_parameters(files)
    finally:
        if run.result.profile:  # random numbers, many gigabytes of them under full fine-tuning
            shutil.rmtree(target, ignore_errors=True)


def execute(run: Run) -> results.Status:
    """The whole run. Whatever happens, its JSON is in the run's folder when this returns or raises."""
    status: results.Status = "failed"
    error_msg, result_file = "", run.folder / "result.json"
    run.result.run_info.error_msg = "ended without a word: killed, or the machine stopped"
    store.write_result(result_file, run.result)
    try:
        load(run)
        drawn_before = nvml.energy(run.device)
        train(run)
        drawn_after = nvml.energy(run.device)
        if None not in (drawn_before, drawn_after):
            run.result.compute.energy = drawn_after - drawn_before
        save(run)  # before the test: what hours of training made survives an evaluation that fails
        if not run.result.profile:
            test(run)
            forget(run)
        measure_costs(run)
        status = "success"
    except KeyboardInterrupt:
        status, error_msg = "cancelled", traceback.format_exc()
        log.error("cancelled")
    except Diverged as error:
        status, error_msg = "diverged", traceback.format_exc()
        log.error("diverged: %s", error)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        status, error_msg = "out_of_memory", traceback.format_exc()
        log.error("out of memory: lower batch_size (with more gradient_accumulation_steps) or max_seq_length, "
                  "or use gradient_checkpointing or an int8 or int4 base")  # fmt: skip
    finally:
        if status == "failed":
            error_msg = traceback.format_exc()
        run.result.train_info.status, run.result.run_info.error_msg = status, error_msg
        run.result.run_info.total_time = time.perf_counter() - run.started
        record_measurements(run.result, run.memory, run.training)
        store.write_result(result_file, run.result)
    return status


def prepare(
    experiment: Experiment,
    subset: str | None,
    device: torch.device,
    output: Path,
    command: str = "",
    rehearsal: bool = False,
    profile: bool = False,
) -> Run:
    """Checks what can be checked before anything loads."""
    check_optimizer(experiment.params, f"{display_path(experiment.folder)}/training_params.json", experiment.layers)
    if experiment.adapter_config is not None:
        build_adapter_config(experiment.adapter_config, experiment.adapter_config_path, experiment.params)
    task = load_task(experiment.task_folder)
    result = new_result(experiment, task, subset, device, command)
    if profile:
        result.profile, result.meta_info.dataset_info, result.provenance.base_model_fingerprint = True, {}, None
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
    folder = output / "runs" / experiment.task / store.file_name(result) / stamp
    return Run(experiment, task, device, folder, result, MemoryMeter(device), time.perf_counter(), rehearsal)


def rehearse(experiment: Experiment, subsets: tuple[str | None, ...]) -> None:
    """Proves that the folder works: on its own model's architecture, then a few steps on the embedded model."""
    model_id, counts = experiment.params.model_id, check_architecture(experiment)
    if counts is None:
        print(f"{model_id}: the config fits; how many parameters would be trained shows only with real weights")
    else:
        trainable, total = counts
        print(f"{model_id}: {trainable:,} of {total:,} parameters would be trained ({100 * trainable / total:.3g} %)")
    shortened, changes = rehearsal_of(experiment)
    print("rehearsing on the embedded model; changed for that:", *changes, sep="\n  ")
    for subset in subsets:
        with tempfile.TemporaryDirectory() as folder:
            run = prepare(shortened, subset, torch.device("cpu"), Path(folder), rehearsal=True)
            run.folder.mkdir(parents=True)
            load(run)
            train(run)
            test(run)
            measure_costs(run)
            save(run)
    over = f" on each of {', '.join(subsets)}" if subsets != (None,) else ""
    print(f"rehearsal passed: {display_path(experiment.folder)} loads, trains, generates and saves{over}")


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Copies what is logged inside the block to a file."""
    handler = logging.FileHandler(path)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def start(arguments: Any) -> int:
    """All that the parsed arguments ask for: a rehearsal, one run, or one for each subset. Returns the exit code."""
    experiment = read_experiment(find_experiment(arguments.experiment), arguments.overrides, arguments.seed)
    if not arguments.verbose:
        models.quiet_libraries()
    subsets = choose_subsets(load_task(experiment.task_folder), arguments.subset, experiment.task)
    if arguments.rehearse:
        rehearse(experiment, subsets)
        return 0
    if experiment.adapter_config is not None and models.has_architecture(experiment.params.model_id):
        check_architecture(experiment)  # a config that does not fit should fail before anything is downloaded
    if arguments.profile:
        experiment = profile_of(experiment)
    command, output = " ".join(["python run.py", *arguments.given]), check_output(arguments.output)
    device = choose_device(arguments.device, touch=len(subsets) == 1)
    profile = {"profile": arguments.profile}
    runs = [prepare(experiment, subset, device, output, command, **profile) for subset in subsets]
    todo, codes = still_to_run(runs, output, arguments.overwrite, arguments.skip_existing), []
    if len(runs) == len(todo) == 1:
        return run_one(runs[0], output, arguments.overwrite)
    for run in todo:
        codes.append(run_subset(run, arguments.given))
        if codes[-1] in (2, results.EXIT_CODES["cancelled"]):
            break
    if len(runs) > 1 and not arguments.profile:
        failed = [run for index, run in enumerate(todo) if index >= len(codes) or codes[index]]
        print(mean_over_subsets(runs, failed, output))
    return next((code for code in codes if code), 0)


def run_one(run: Run, output: Path, overwrite: bool) -> int:
    """One prepared run: its log, its JSON, its summary on the screen, its exit code."""
    run.folder.mkdir(parents=True)
    with log_to(run.folder / "log.txt"):
        status = execute(run)
    written, target = run.folder / "result.json", store.result_path(output, run.result)
    kept = ("success", "out_of_memory") if run.result.profile else ("success",)
    if status in kept and not run.experiment.overrides:
        try:
            store.write_result(target, run.result, overwrite)
        except FileExistsError:
            raise UserError(
                f"{display_path(target)}: was written meanwhile; this run's is {display_path(written)}"
            ) from None
        written = target
    print(summary(run.result, written))
    return results.EXIT_CODES[status]


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code; a bug raises after its JSON has been written."""
    arguments = parse_arguments(argv)
    logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="%(message)s", force=True)
    log.setLevel(logging.INFO)
    for kill in ("SIGTERM", "SIGHUP"):  # a cluster's kill and a closed terminal leave a JSON like Ctrl-C does
        if hasattr(signal, kill):
            signal.signal(getattr(signal, kill), signal.default_int_handler)
    try:
        with logging_redirect_tqdm():
            return start(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
