"""What every experiment folder must hold, whatever its method: one check, for tests, and for a sweep of all folders.

    python tests/conformance.py                  # every folder, one after the other; writes docs/conformance.md
    python tests/conformance.py lora/embedded    # those whose path has this in it; prints only

A folder of a large model is checked as a rehearsal has it: adapted to the embedded model of its kind.
"""

import contextlib
import copy
import dataclasses
import functools
import json
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn
from transformers import set_seed

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from harness import adapter as adapters
from harness.adapter_config import Adapter
from harness.checkpoint import Checkpoint
from harness.errors import UserError, one_line
from harness.experiment import ROOT, Experiment, all_experiments, read_experiment
from harness.learner import Learner
from harness.measure.flops import flops_per_unit
from harness.merging import may_merge, merged, without_adapter
from harness.models import quiet_libraries
from harness.precision import autocast
from harness.rehearsal import rehearsal_of
from harness.task import choose_subsets, load_task
from harness.workloads import find_workload

STEPS, ROWS, CPU = 3, 4, torch.device("cpu")
TOLERANCE = {"rtol": 1e-3, "atol": 1e-3}  # of logits, whose size is about 10
# The sum of base and change is rounded once more where the change is large: 0.002 was seen, FourierFT on summaries.
MERGED = {"rtol": 1e-3, "atol": 5e-3}
# Disabled is not the base: the initialization takes a part out of the base weights, or replaces them by another form.
CHANGES_BASE = {"pissa", "olora", "corda", "lora_ga", "kasa", "OSF"}
# Trained tensors that no gradient can reach, by an expression in their names: the last layer's shadow is never read.
WITHOUT_GRADIENT = r"layers\.3\.shadow_update"
FAILURES = (AssertionError, UserError, RuntimeError, ValueError, TypeError, AttributeError, LookupError)
REPORT = ROOT / "docs" / "conformance.md"


@dataclasses.dataclass
class Report:
    """What was seen of one folder, beside that it holds."""

    trainable: int
    total: int
    merges: bool
    disabled_is_base: bool
    seconds: float = 0.0


def twin(folder: Path) -> Experiment:
    """The experiment of a folder on the embedded model, cut to a few short rows."""
    experiment = read_experiment(folder)
    if not experiment.params.is_embedded_model:
        experiment, _ = rehearsal_of(experiment, find_workload(load_task(experiment.task_folder).workload, ""))
    params = experiment.params
    short = {"batch_size": ROWS, "batch_size_eval": ROWS, "gradient_accumulation_steps": 1, "compile": False}
    if params.generation_kwargs is not None:
        short["generation_kwargs"] = params.generation_kwargs.model_copy(update={"max_new_tokens": 4})
    return dataclasses.replace(experiment, params=params.model_copy(update=short))


def exactly(experiment: Experiment) -> Experiment:
    """The same in float32, where what is equal is equal; a quantized base stays as it is."""
    dtype = experiment.params.dtype if experiment.params.dtype in ("int8", "int4") else "float32"
    return dataclasses.replace(
        experiment, params=experiment.params.model_copy(update={"dtype": dtype, "use_amp": False})
    )


@functools.cache
def content(task_folder: Path):
    """Task and a few rows of it, read once."""
    task = load_task(task_folder)
    subset = choose_subsets(task, None, task_folder.name)[-1]
    return task, task.load_splits("embedded", subset).train[:256]


@functools.cache
def _loaded(task_folder: Path, model_id: str, dtype: str, experiment: "Hashable"):
    params, task = experiment.params, content(task_folder)[0]
    return find_workload(task.workload, "").load(params, CPU, experiment.origin, task.labels("embedded"))


class Hashable:
    """Carries an experiment through a cache that is to see only what decides the base model."""

    def __init__(self, experiment: Experiment) -> None:
        self.params, self.origin = experiment.params, experiment.origin

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashable)


def fresh_base(experiment: Experiment) -> tuple:
    """The workload of an experiment, and an untouched copy of its base model."""
    params = experiment.params
    checkpointed = f"{params.dtype}/{params.gradient_checkpointing}/{params.attn_implementation}"
    loaded, base = _loaded(experiment.task_folder, params.model_id, checkpointed, Hashable(experiment))
    workload = copy.copy(loaded)
    workload.params = params
    if hasattr(loaded, "encoder"):
        workload.encoder = type(loaded.encoder)(loaded.encoder.tokenizer, params, loaded.encoder.is_encoder_decoder)
    return workload, copy.deepcopy(base)


def logits_of(model: nn.Module, inputs: dict[str, torch.Tensor], experiment: Experiment) -> torch.Tensor:
    """Of a batch, in evaluation mode, the added tokens of a method left out."""
    model.eval()
    given = {name: tensor for name, tensor in inputs.items() if name != "labels"}
    if "velocity" in inputs:  # what is predicted where a picture is half noise
        given["hidden_states"], given["class_labels"] = given.pop("sample"), given.pop("condition")
        del given["velocity"]
        with torch.no_grad(), autocast(experiment.params, CPU):
            return model(**given, return_dict=False)[0].float()
    if "pixel_values" in inputs:
        with torch.no_grad(), autocast(experiment.params, CPU):
            return model(**given).logits.float()
    if model.config.is_encoder_decoder:
        base = model.get_base_model() if isinstance(model, PeftModel) else model
        given["decoder_input_ids"] = base.prepare_decoder_input_ids_from_labels(inputs["labels"])
    with torch.no_grad(), autocast(experiment.params, CPU):
        found = model(**given, use_cache=False).logits.float()
    return found[:, -inputs["labels"].shape[1] :]


def changes_base(adapter: Adapter | None) -> bool:
    """Whether an experiment is on the list of those whose base model is another one while they are attached."""
    if adapter is None:
        return True
    values = adapter.values
    named = {values["peft_type"], str(values.get("init_lora_weights")).partition("_niter")[0]}
    named |= {"kasa"} if values.get("kasa_config") is not None else set()
    return bool(named & CHANGES_BASE)


def conform(folder: Path) -> Report:
    """Checks one folder; raises AssertionError or UserError where it does not hold."""
    started, own = time.perf_counter(), twin(folder)
    experiment = exactly(own)
    if own.params != experiment.params:
        runs_in_its_own_precision(own)
    adapter, params = Adapter.of(experiment), experiment.params
    _, rows = content(experiment.task_folder)
    workload, base = fresh_base(experiment)
    task_type = workload.task_type(base.config)
    batch = workload.collate([workload.encode(row) for row in rows[:ROWS]])
    untouched = logits_of(base, batch.inputs, experiment)

    set_seed(0)
    model = adapters.attach(base, adapter, params, task_type, workload.data(rows, CPU))
    trainable, total = adapters.parameter_counts(model)
    train(model, experiment, workload, batch)
    answers = workload.answer(model, rows[:ROWS], "conformance").texts
    assert len(answers) == ROWS
    trained = logits_of(model, batch.inputs, experiment)
    assert trained.isfinite().all(), "logits are finite"
    assert not torch.equal(trained, untouched), "training changes the answers"
    saved_is_loaded(model, experiment, batch, trained)
    if not isinstance(model, PeftModel):
        return Report(trainable, total, False, False, time.perf_counter() - started)
    merges = merged_is_unmerged(model, experiment, batch, trained)
    bare = logits_of(without_adapter(model), batch.inputs, experiment)
    with model.disable_adapter():
        disabled = logits_of(model, batch.inputs, experiment)
    still_trains(model, workload, workload.collate([workload.encode(rows[0])]))
    if not changes_base(adapter):
        torch.testing.assert_close(disabled, untouched, **TOLERANCE, msg="disabled is the base")
        torch.testing.assert_close(bare, untouched, **TOLERANCE, msg="without its adapter it is the base")
    torch.testing.assert_close(logits_of(model, batch.inputs, experiment), trained, **TOLERANCE)
    return Report(
        trainable, total, merges, torch.allclose(disabled, untouched, **TOLERANCE), time.perf_counter() - started
    )


def runs_in_its_own_precision(experiment: Experiment) -> None:
    """One step in the dtypes that the folder says, and answers."""
    _, rows = content(experiment.task_folder)
    workload, base = fresh_base(experiment)
    data, task_type = workload.data(rows, CPU), workload.task_type(base.config)
    model = adapters.attach(base, Adapter.of(experiment), experiment.params, task_type, data)
    with autocast(experiment.params, CPU):
        loss = workload.loss(model.train(), workload.collate([workload.encode(row) for row in rows[:ROWS]]).inputs)
    loss.backward()
    assert loss.isfinite(), "the loss is finite"
    with autocast(experiment.params, CPU):
        workload.answer(model, rows[:1], "conformance")


def train(model: nn.Module, experiment: Experiment, workload, batch) -> None:
    """A few steps on one batch: the loss is finite, and a gradient reaches everything that is trained."""
    learner = Learner(model, experiment.params, experiment.origin, STEPS, CPU)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    held = {id(parameter) for group in learner.optimizer.param_groups for parameter in group["params"]}
    assert {id(parameter) for parameter in trained.values()} <= held, "the optimizer has all that is trained"
    reached: set[str] = set()
    model.train()
    for step in range(1, STEPS + 1):
        with autocast(experiment.params, CPU):
            loss = workload.loss(model, batch.inputs)
        assert loss.isfinite(), "the loss is finite"
        loss.backward()
        gradients = {name: parameter.grad for name, parameter in trained.items() if parameter.grad is not None}
        assert all(gradient.isfinite().all() for gradient in gradients.values()), "gradients are finite"
        reached |= {name for name, gradient in gradients.items() if gradient.abs().max() > 0}
        learner.step(step)
        learner.optimizer.zero_grad(set_to_none=True)
    missed = sorted(name for name in trained.keys() - reached if not re.search(WITHOUT_GRADIENT, name))
    assert not missed, f"no gradient reaches {len(missed)} of {len(trained)}, such as {missed[:3]}"


def resumes(folder: Path) -> None:
    """What is trained from a checkpoint of step 2 on, in a model made anew, equals what was trained without one."""
    experiment = exactly(twin(folder))
    _, rows = content(experiment.task_folder)

    def begun() -> tuple:
        workload, base = fresh_base(experiment)
        set_seed(0)
        data, adapter = workload.data(rows, CPU), Adapter.of(experiment)
        model = adapters.attach(base, adapter, experiment.params, workload.task_type(base.config), data)
        batch = workload.collate([workload.encode(row) for row in rows[:ROWS]])
        return workload, batch, Learner(model.train(), experiment.params, experiment.origin, 4, CPU)

    def steps(workload, batch, learner: Learner, *numbers: int) -> list[float]:
        losses = []
        for number in numbers:
            loss = workload.loss(learner.model, batch.inputs)
            loss.backward()
            losses.append(loss.item())
            learner.step(number)
            learner.optimizer.zero_grad(set_to_none=True)
        return losses

    whole, fresh = begun(), begun()
    steps(*whole, 1, 2)
    with tempfile.TemporaryDirectory() as place:
        file = Checkpoint(Path(place) / "state.safetensors", {}, 1.0)
        file.write(whole[2].state())
        expected = steps(*whole, 3, 4)
        fresh[2].restore(file.read())
        assert steps(*fresh, 3, 4) == expected, "resumed is uninterrupted"


def saved_is_loaded(model: nn.Module, experiment: Experiment, batch, expected: torch.Tensor) -> None:
    """What is saved answers, loaded into a fresh base model, as what was trained."""
    with tempfile.TemporaryDirectory() as saved:
        files = adapters.save(model, Path(saved), experiment.params.train_only)
        assert files, "there is something to save"
        if isinstance(model, PeftModel):
            loaded = PeftModel.from_pretrained(fresh_base(experiment)[1], saved)
        elif experiment.params.train_only:
            loaded = fresh_base(experiment)[1]
            assert not loaded.load_state_dict(load_file(files[0]), strict=False).unexpected_keys
        else:
            loaded = type(model).from_pretrained(saved).eval()
    torch.testing.assert_close(
        logits_of(loaded, batch.inputs, experiment), expected, **TOLERANCE, msg="loaded is saved"
    )
    again = logits_of(model, batch.inputs, experiment)
    torch.testing.assert_close(again, expected, **TOLERANCE, msg="saving changes nothing")


def merged_is_unmerged(model: PeftModel, experiment: Experiment, batch, expected: torch.Tensor) -> bool:
    """Whether it merges at all; where it does, the answers stay."""
    if not may_merge(model):
        return False
    try:
        with merged(model) as bare:
            found = logits_of(bare, batch.inputs, experiment)
    except (NotImplementedError, ValueError, AttributeError, TypeError):  # how PEFT's methods say that they cannot
        return False
    torch.testing.assert_close(found, expected, **MERGED, msg="merged is unmerged")
    return True


def still_trains(model: PeftModel, workload, sample) -> None:
    """Merging, switching off and what is measured in between leave what is trained trainable."""
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    counted = flops_per_unit(model, workload.loss, sample, ROWS, CPU, contextlib.nullcontext)
    assert counted is None or counted > 0, "its arithmetic is counted"
    assert trained, "something is still trained"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what the libraries say of their own workings."""
    quiet_libraries()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def name_of(folder: Path) -> str:
    """MetaMathQA/lora/llama-3.2-3B-rank32"""
    return folder.relative_to(ROOT / "method_comparison").as_posix().replace("/experiments", "")


def report_of(folder: Path) -> dict[str, Any]:
    """What is said of one folder: what was seen, or why it does not hold."""
    found: dict[str, Any] = {"folder": name_of(folder)}
    try:
        with quiet():
            return found | dataclasses.asdict(conform(folder))
    except FAILURES as error:
        return found | {"error": f"{type(error).__name__}: {one_line(error)[:200]}"}


def page(reports: list[dict[str, Any]]) -> str:
    """The committed report of a sweep over all folders."""
    failed = [report for report in reports if "error" in report]
    minutes = sum(report.get("seconds", 0) for report in reports) / 60
    lines = [
        "# Conformance",
        "",
        "Made by `make conformance`: every experiment folder, adapted to the embedded model where it is for a larger one, attached,",
        "trained for three steps, evaluated, saved, loaded, merged and switched off; [tests/conformance.py](../tests/conformance.py)",
        f"says what must hold. {len(reports)} folders on {datetime.now(UTC):%Y-%m-%d} with PEFT {peft.__version__}, transformers",
        f"{transformers.__version__}, torch {torch.__version__}, in {minutes:.0f} minutes: {len(reports) - len(failed)} hold, {len(failed)} do not.",
        "The parameters are those on the embedded model.",
        "",
        "| folder | trained parameters | merges | switched off it is the base |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for report in reports:
        if "error" in report:
            lines.append(f"| {report['folder']} | **{report['error'].replace('|', '/')}** | | |")
        else:
            yes = {True: "yes", False: "no"}
            merges, off = yes[report["merges"]], yes[report["disabled_is_base"]]
            lines.append(f"| {report['folder']} | {report['trainable']:,} | {merges} | {off} |")
    return "\n".join(lines) + "\n"


def main(parts: list[str]) -> int:
    torch.set_num_threads(1)
    folders = [folder for folder in all_experiments() if all(part in name_of(folder) for part in parts)]
    reports = []
    for folder in folders:
        reports.append(report_of(folder))
        print(json.dumps(reports[-1]), flush=True)
    if not parts:
        REPORT.write_text(page(reports))
    failed = [report["folder"] for report in reports if "error" in report]
    print(f"{len(reports) - len(failed)} of {len(reports)} folders hold", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
