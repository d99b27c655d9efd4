"""Every status is reached by its real cause, leaves a valid JSON in runs/ and the right exit code."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from conftest import LORA, Outcome

import run
from harness import optimizers
from harness.devices import is_out_of_memory
from harness.experiment import ROOT
from harness.result.schema import Result


def check(outcome, status, code):
    assert outcome.code == code
    assert outcome.json["train_info"]["status"] == status
    Result.model_validate(outcome.json)
    assert not list(outcome.output.glob("results/**/*.json"))
    return outcome.json["run_info"]["error_msg"]


def test_success_is_the_only_status_that_leaves_a_result(run_main, write_experiment):
    folder = write_experiment(
        {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]},
        {"profile": "embedded", "max_steps": 2, "eval_steps": 2, "batch_size": 4,
         "generation_kwargs": {"max_new_tokens": 4}},
    )  # fmt: skip
    outcome = run_main(folder, fast=False)
    assert outcome.code == 0
    (written,) = outcome.output.glob("results/MetaMathQA/cpu-*/lora--made-by-test--seed0.json")
    result = Result.model_validate_json(written.read_text())
    assert result.train_info.status == "success"
    assert result.run_info.error_msg == ""
    again = run_main(folder, fast=False, output=outcome.output)
    assert again.code == 2
    assert len(list(outcome.output.glob("runs/*/*/*"))) == 1, "stops before anything runs"
    assert run_main(folder, "--overwrite", fast=False, output=outcome.output).code == 0


def test_a_modified_run_stays_in_runs(run_main):
    outcome = run_main()
    assert outcome.code == 0
    assert outcome.json["train_info"]["status"] == "success"
    assert outcome.json["overrides"]["max_steps"] == 4
    assert not (outcome.output / "results").exists()


@pytest.mark.parametrize("step", [1, 3])
def test_out_of_memory_in_a_step(run_main, monkeypatch, step):
    optimizer_step, calls = optimizers.step, []

    def exhausted(*arguments):
        calls.append(None)
        if len(calls) == step:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return optimizer_step(*arguments)

    monkeypatch.setattr(optimizers, "step", exhausted)
    outcome = run_main()
    assert "Tried to allocate 20.00 GiB" in check(outcome, "out_of_memory", 3)
    assert outcome.json["memory"]["train"]["reserved"] is not None
    assert outcome.json["memory"]["load"]["reserved"] is not None


def test_a_cpu_that_cannot_allocate_is_out_of_memory(run_main, monkeypatch):
    def exhausted(*_):
        torch.empty(2**50)

    monkeypatch.setattr(optimizers, "step", exhausted)
    assert "allocate" in check(run_main(), "out_of_memory", 3)


def test_a_rate_that_diverges(run_main, capsys):
    outcome = run_main(LORA, "--set", "optimizer_kwargs.lr=1e30", "--set", "grad_norm_clip=null",
                       "--set", "warmup_ratio=0", "--set", "optimizer_type=SGD")  # fmt: skip
    assert "Diverged: loss is nan at step" in check(outcome, "diverged", 4)


def test_a_bug_raises_and_leaves_its_traceback(run_main, monkeypatch, tmp_path):
    def bug(*_):
        return [][0]

    monkeypatch.setattr(optimizers, "step", bug)
    output = tmp_path / "output-of-bug"
    with pytest.raises(IndexError):
        run_main(output=output)
    message = check(Outcome(1, output), "failed", 1)
    assert "IndexError" in message
    assert "return [][0]" in message


@pytest.mark.parametrize("sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_ctrl_c_during_training(tmp_path, sent):
    command = [sys.executable, str(ROOT / "run.py"), LORA, "--device", "cpu", "--output", str(tmp_path),
               "--set", "max_steps=100000"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT
    ) as process:
        seen = b""
        deadline = time.monotonic() + 240
        while b"training:" not in seen and time.monotonic() < deadline:
            received = process.stderr.read1(4096)
            assert received, f"ended early: {seen.decode()}"
            seen += received
        process.send_signal(sent)
        process.communicate(timeout=120)
    check(Outcome(process.returncode, tmp_path), "cancelled", 130)


@pytest.mark.slow
def test_a_killed_process_leaves_a_json_too(tmp_path):
    command = [sys.executable, str(ROOT / "run.py"), LORA, "--device", "cpu", "--output", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        while b"untouched base" not in process.stderr.read1(4096):
            assert process.poll() is None
        process.kill()
    assert "ended without a word" in check(Outcome(-signal.SIGKILL, tmp_path), "failed", -signal.SIGKILL)


def test_an_evaluation_that_fails_does_not_lose_the_adapter(run_main, monkeypatch):
    def exhausted(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(run, "test", exhausted)
    outcome = run_main()
    check(outcome, "out_of_memory", 3)
    assert (outcome.folder / "adapter" / "adapter_model.safetensors").stat().st_size == (
        outcome.json["train_info"]["file_size"]
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("MPS backend out of memory (MPS allocated: 1 GB)", True),
        ("CUDA error: out of memory", True),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", True),
        ("mat1 and mat2 shapes cannot be multiplied", False),
    ],
)
def test_out_of_memory_has_many_words(message, expected):
    assert is_out_of_memory(RuntimeError(message)) is expected
