"""A run's record survives what stops the run: signals at the worst moment, full disks, and somebody else's result."""

import errno
import os
import signal

import pytest
from conftest import LORA

from harness import record
from harness.result.schema import Result

EMBEDDED = {"profile": "embedded", "max_steps": 2, "eval_steps": 2, "batch_size": 4,
            "generation_kwargs": {"max_new_tokens": 4}}  # fmt: skip
ADAPTER = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"]}


@pytest.fixture
def handlers():
    """Signals act in this process as run.py leaves them only until the test ends."""
    before = {stop: signal.getsignal(stop) for stop in record.STOPS}
    yield
    for stop, handler in before.items():
        signal.signal(stop, handler)


@pytest.mark.parametrize("sent", record.STOPS)
@pytest.mark.parametrize("writing", [2, 3])
def test_a_signal_waits_until_what_was_begun_is_written(
    sent, writing, run_main, write_experiment, monkeypatch, handlers
):
    """The first write is that of the beginning, the second the finished run in runs/, the third the result."""
    write, writes = record.write_result, []

    def interrupted(*arguments):
        writes.append(arguments)
        if len(writes) == writing:
            os.kill(os.getpid(), sent)
        write(*arguments)

    monkeypatch.setattr(record, "write_result", interrupted)
    outcome = run_main(write_experiment(ADAPTER, EMBEDDED), fast=False)
    assert outcome.code == 0
    assert outcome.json["train_info"]["status"] == "success"
    (published,) = outcome.output.glob("results/*/*/*.json")
    assert Result.model_validate_json(published.read_text()).train_info.status == "success"
    assert len(writes) == 3


def test_a_signal_between_the_last_stage_and_the_record_leaves_a_whole_record(run_main, monkeypatch, handlers):
    finish, calls = record._finish, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        finish(*arguments)

    monkeypatch.setattr(record, "_finish", interrupted)
    outcome = run_main()
    assert outcome.code == 0
    assert outcome.json["train_info"]["status"] == "success"
    assert outcome.json["run_info"]["error_msg"] == ""


def test_a_full_disk_at_the_save_is_one_line(run_main, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("peft.PeftModel.save_pretrained", full)
    outcome = run_main()
    assert outcome.code == 2
    printed = capsys.readouterr().err
    assert "adapter: cannot be written" in printed
    assert "No space left on device; free some space or choose another --output" in printed
    assert outcome.json["train_info"]["status"] == "failed"
    assert "No space left" in outcome.json["run_info"]["error_msg"]


def test_a_full_disk_at_the_record_is_one_line(run_main, monkeypatch, capsys):
    write, writes = record.write_result, []

    def full(*arguments):
        writes.append(arguments)
        if len(writes) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(*arguments)

    monkeypatch.setattr(record, "write_result", full)
    assert run_main().code == 2
    assert "result.json: cannot be written: No space left on device" in capsys.readouterr().err


def test_a_result_that_somebody_else_wrote_meanwhile_is_kept(run_main, write_experiment, monkeypatch, capsys):
    folder, publish = write_experiment(ADAPTER, EMBEDDED), record._publish

    def too_late(current):
        path = current.plan.result_path(current.result.hardware["slug"])
        path.parent.mkdir(parents=True)
        path.write_text("theirs")
        return publish(current)

    monkeypatch.setattr(record, "_publish", too_late)
    outcome = run_main(folder, fast=False)
    assert outcome.code == 2
    assert "was written meanwhile; this run's is" in capsys.readouterr().err
    assert outcome.json["train_info"]["status"] == "success"
    assert [path.read_text() for path in outcome.output.glob("results/*/*/*.json")] == ["theirs"]


def test_an_attention_kernel_that_is_not_installed_is_one_line(run_main, capsys):
    assert run_main(LORA, "--set", "attn_implementation=flash_attention_2").code == 2
    assert "command line: attn_implementation: flash_attention_2 cannot be used here" in capsys.readouterr().err
