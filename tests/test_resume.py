"""A run that is killed and resumed equals one that was never interrupted, bit for bit; what cannot go on says why."""

import errno
import json
import os
import random
import shutil
import signal
import traceback
from contextlib import contextmanager

import pytest
import torch
from conftest import LORA
from safetensors.torch import load_file, save_file

import run
from harness import checkpoint, learner, record, resume
from harness.experiment import ROOT
from harness.result.provenance import package_info

STEPS = ("--set", "max_steps=20", "--set", "eval_steps=10", "--set", "batch_size=2",
         "--set", "generation_kwargs.max_new_tokens=4")  # fmt: skip
OFTEN = ("--checkpoint-minutes", "1e-9")  # where a window of the training log is closed: steps 2, 10 and 20
EMBEDDED = {"profile": "embedded"}
ADALORA = {"peft_type": "ADALORA", "target_modules": ["q_proj", "v_proj"], "init_r": 4, "target_r": 2, "tinit": 3,
           "tfinal": 5, "total_step": 20, "deltaT": 2, "lora_dropout": 0.1}  # fmt: skip
DROPOUT = {"peft_type": "LORA", "target_modules": ["q_proj", "v_proj"], "r": 4, "lora_dropout": 0.2}
T5 = ROOT / "method_comparison/SuperGLUE/experiments/lora/embedded-t5-qv-rank8"
FULL = ROOT / "method_comparison/MetaMathQA/experiments/full-finetuning/embedded-llama"
# Where a run dies: the function, and at which of its calls; the last is after the adapter was saved.
MOMENTS = {
    "loading": (run, "learn_of_base"),
    "training": (learner.Learner, "step"),
    "writing the checkpoint": (checkpoint, "save_file"),
    "evaluating": (run, "evaluate"),
    "saving": (run, "save"),
    "testing": (run, "test"),
    "measuring": (run, "measure"),
    "writing the result": (record, "write_result"),
}


@contextmanager
def killed_at(moment, call, after=False):
    """Inside the block the process gets SIGKILL at that call of the moment's function, or just after it."""
    place, name = MOMENTS[moment]
    real, calls = getattr(place, name), []

    def deadly(*arguments, **named):
        calls.append(name)
        if len(calls) == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **named)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(place, name, deadly)
    try:
        yield
    finally:
        setattr(place, name, real)


def killed(run_main, moment, call, after, *arguments, output):
    """Makes the run in a process of its own that dies there; says whether it did, or ended before."""
    pid = os.fork()
    if pid == 0:
        try:
            # After a fork torch renews its pool at the first call, and of two threads at once one finds none.
            torch.set_num_threads(torch.get_num_threads())
            with killed_at(moment, call, after):
                print("exit code", run_main(*arguments, fast=False, output=output).code, flush=True)
        finally:
            traceback.print_exc()
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def lasting(outcome):
    """What must not depend on whether the run was interrupted."""
    (weights,) = outcome.folder.glob("*/*.safetensors")
    lines = [{key: line[key] for key in ("step", "train loss", "valid score", "test score", "train samples",
                                         "train total tokens", "forgetting")}
             for line in outcome.json["train_info"]["metrics"]]  # fmt: skip
    return {
        "metrics": lines,
        "weights": weights.read_bytes(),
        "scores": outcome.json["quality"]["test_scores"],
        "predictions": (outcome.folder / "predictions.jsonl").read_text(),
        "forgetting": outcome.json["forgetting"],
        "config": outcome.json["provenance"]["config_fingerprint"],
    }


@pytest.fixture
def losses(monkeypatch):
    """The loss of every step, in the order in which the last run of this process took or restored them."""
    kept = []
    monkeypatch.setattr(run, "save", lambda record, *rest, save=run.save: (kept.append(record.training.losses), save(record, *rest))[1])  # fmt: skip
    return kept


def left_over(output):
    """What should not be there after a success: checkpoints, locks, temporary files."""
    return [
        path for path in output.rglob("*") if path.is_file() and ("checkpoints" in path.parts or path.name[0] == ".")
    ]


IMAGES = ROOT / "method_comparison/ImageClassification/experiments/bitfit/embedded-vit"
EXPERIMENTS = {
    "lora with dropout": lambda request: (request.getfixturevalue("write_experiment")(DROPOUT, EMBEDDED),),
    "adalora": lambda request: (request.getfixturevalue("write_experiment")(ADALORA, EMBEDDED, "adalora/some"),),
    "t5 subset": lambda request: (T5, "--subset", "copa"),
    "full": lambda request: (FULL,),
    "selected names of an image model": lambda request: (IMAGES,),
}


def steps_of(arguments):
    """Of text, or without its keys."""
    return STEPS[:-2] if IMAGES in arguments else STEPS


LONG = pytest.mark.slow


@pytest.mark.parametrize("name", ["lora with dropout", *(pytest.param(name, marks=LONG) for name in (
    "adalora", "t5 subset", "selected names of an image model"))])  # fmt: skip
def test_killed_three_times_and_resumed_it_is_the_same_run(name, run_main, request, losses, tmp_path, monkeypatch):
    arguments = EXPERIMENTS[name](request)
    arguments = (*arguments, *steps_of(arguments))
    whole, output = run_main(*arguments, fast=False), tmp_path / "killed"
    again = (*arguments, *OFTEN, "--resume")
    assert killed(run_main, "training", 7, False, *again, output=output)
    assert killed(run_main, "writing the checkpoint", 1, False, *again, output=output)
    assert killed(run_main, "testing", 1, False, *again, output=output)
    monkeypatch.setattr(learner.Learner, "step", None)  # a training that is finished is not made again
    resumed = run_main(*again, fast=False, output=output)
    assert whole.code == resumed.code == 0
    assert lasting(resumed) == lasting(whole)
    assert losses[0] == losses[1]
    assert len(losses[0]) == 20
    assert resumed.json["resumed"] == {"at_steps": [2, 20]}, "the second process left nothing behind"
    assert whole.json["resumed"] is None
    assert resumed.json["speed"]["warmup_steps"] == 4, "two in each process that trained beyond its checkpoint"
    assert not left_over(output)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_killed_at_a_random_moment(number, run_main, request, losses, tmp_path):
    draw = random.Random(number)
    moment = list(MOMENTS)[number % len(MOMENTS)]
    most = {"training": 20, "writing the checkpoint": 3, "evaluating": 3, "writing the result": 2}.get(moment, 1)
    call, after = draw.randint(1, most), draw.random() < 0.5
    name = draw.choice(list(EXPERIMENTS))
    arguments, output = EXPERIMENTS[name](request), tmp_path / "killed"
    arguments = (*arguments, *steps_of(arguments))
    whole = run_main(*arguments, fast=False)
    again = (*arguments, *OFTEN, "--resume")
    assert killed(run_main, moment, call, after, *again, output=output), f"{name}, {moment} {call} {after}"
    resumed = run_main(*again, fast=False, output=output)
    assert lasting(resumed) == lasting(whole), f"{name}, {moment} {call} {after}"
    assert losses[0] == losses[-1]
    assert not left_over(output)


@pytest.fixture(scope="module")
def remains(tmp_path_factory):
    """What one killed run leaves; made by the first test that asks for it."""
    return tmp_path_factory.mktemp("remains") / "killed"


@pytest.fixture
def interrupted(run_main, tmp_path, remains):
    """A run that was killed in training; what resumes it, and its checkpoint."""
    arguments, output = (LORA, *STEPS, *OFTEN), tmp_path / "killed"
    if not remains.exists():
        assert killed(run_main, "training", 15, False, *arguments, output=remains)
    shutil.copytree(remains, output)
    (path,) = (output / "runs" / "checkpoints").rglob("*.safetensors")
    return lambda *more: run_main(*arguments, "--resume", *more, fast=False, output=output), path


def test_a_checkpoint_holds_no_frozen_weights(interrupted):
    _, path = interrupted
    assert path.stat().st_size < 4 * 108_544 * 4, "three times the adapter and little else"


def test_what_is_not_the_same_run_is_refused_in_one_line_and_kept(interrupted, capsys, monkeypatch):
    again, path = interrupted
    before = path.read_bytes()

    def refused(expected, *more):
        assert again(*more).code == 2
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
        assert expected in line
        assert "run without --resume to begin anew" in line
        assert path.read_bytes() == before
        assert not list(path.parent.glob("*.lock"))

    cases = [("version.peft-version: was", ("package_info", lambda: package_info() | {"peft-version": "9.9"})),
             ("code: was", ("code_fingerprint", lambda *_: "other"))]  # fmt: skip
    for expected, (name, other) in cases:
        with monkeypatch.context() as changed:
            changed.setattr(f"harness.result.provenance.{name}", other)
            refused(expected)
    with monkeypatch.context() as changed:
        real = run.hardware
        changed.setattr(run, "hardware", lambda device: real(device) | {"threads": 64})
        refused("hardware.threads: was 1, is 64")
    with monkeypatch.context() as changed:
        real_experiment = run.read_experiment
        changed.setattr(run, "read_experiment", lambda *given: real_experiment(*given).__class__(
            **vars(real_experiment(*given)) | {"params": real_experiment(*given).params.model_copy(update={"warmup_ratio": 0.5})}))  # fmt: skip
        refused("configuration.warmup_ratio: was 0.06, is 0.5")


@pytest.mark.parametrize("size", [0, 5, 200, -1])
def test_a_truncated_checkpoint_is_refused_and_kept(size, interrupted, capsys):
    again, path = interrupted
    path.write_bytes(path.read_bytes()[:size])
    before = path.read_bytes()
    assert again().code == 2
    assert "no whole checkpoint (" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_some_other_safetensors_file_is_refused(interrupted, capsys):
    again, path = interrupted
    save_file(dict(load_file(path)), path)
    assert again().code == 2
    assert "no whole checkpoint (" in capsys.readouterr().err


def test_a_full_disk_costs_the_checkpoint_but_not_the_run(run_main, monkeypatch, capsys):
    def full(tensors, path, metadata, calls=[]):  # noqa: B006
        calls.append(path)
        if len(calls) == 1:
            return save_file(tensors, path, metadata)
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = []
    monkeypatch.setattr(checkpoint, "save_file", full)
    write = checkpoint.Checkpoint.write
    monkeypatch.setattr(checkpoint.Checkpoint, "write",
                        lambda self, state: (write(self, state), kept.append(self.path.read_bytes())))  # fmt: skip
    outcome = run_main(LORA, *STEPS, *OFTEN, fast=False)
    assert outcome.code == 0
    assert "cannot be written: [Errno 28] No space left on device; free some space" in capsys.readouterr().err
    assert len(kept) == 3
    assert kept[0] == kept[1] == kept[2], "the first one stays"
    assert not left_over(outcome.output)


def test_two_processes_do_not_make_one_run(interrupted, capsys):
    again, path = interrupted
    with resume.locked(path.with_suffix(".lock")):
        assert again().code == 2
    assert "another process makes this run" in capsys.readouterr().err
    assert again().code == 0


def test_what_a_killed_process_left_half_written_is_removed(interrupted):
    again, path = interrupted
    half = path.with_name(f".{path.name}.12345")
    half.write_bytes(b"half")
    assert again().code == 0
    assert not half.exists()
    assert not path.exists()


def test_without_resume_it_begins_anew(run_main, interrupted):
    _, path = interrupted
    outcome = run_main(LORA, *STEPS, fast=False, output=path.parents[3])
    assert outcome.json["resumed"] is None
    assert not path.exists(), "no run would want it after this one succeeded"


@pytest.mark.slow
def test_checkpoints_change_no_result_and_no_configuration(run_main, write_experiment):
    folder = write_experiment(
        DROPOUT, EMBEDDED | {"max_steps": 4, "eval_steps": 2, "generation_kwargs": {"max_new_tokens": 4}}
    )
    plain, careful = run_main(folder, fast=False), run_main(folder, *OFTEN, fast=False)
    assert lasting(plain) == lasting(careful)
    assert careful.json["overrides"] == {}
    (published,) = careful.output.glob("results/*/*/*.json")
    assert json.loads(published.read_text())["run_info"]["train_config"]["checkpoint_minutes"] == 1e-9
    assert "checkpoint_minutes" not in plain.json["run_info"]["train_config"]
    assert run_main(folder, "--resume", fast=False, output=careful.output).code == 0, "there is nothing left to do"
