"""Side measurements must not cost a run what it has trained and tested."""

import math

import pytest
import torch

from harness.devices import notice_out_of_memory
from harness.result.schema import TokenLoss

CPU = torch.device("cpu")


WHERE = {"flops_per_unit": "run", "matrix_product_rate": "run",
         "measure_inference": "harness.workloads.text", "token_loss": "harness.workloads.text"}  # fmt: skip


@pytest.mark.parametrize("name", WHERE)
def test_too_little_memory_beside_the_run_leaves_a_figure_null(name, run_main, monkeypatch, capsys):
    def exhaust(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(f"{WHERE[name]}.{name}", exhaust)
    outcome = run_main()
    assert outcome.code == 0
    assert outcome.json["quality"]["test_score"] is not None
    assert "not enough memory to measure it" in capsys.readouterr().err
    missing = {"flops_per_unit": outcome.json["compute"]["flops_per_token"], "token_loss": outcome.json["forgetting"],
               "measure_inference": outcome.json["inference"],
               "matrix_product_rate": outcome.json["compute"]["matmul_flops_per_second"]}  # fmt: skip
    assert missing[name] is None


def test_another_error_is_not_hidden(run_main, monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("run.flops_per_unit", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run_main()


def test_a_loss_that_is_no_number_costs_nothing_else(run_main, monkeypatch):
    losses = iter([1.0, math.nan])
    monkeypatch.setattr("harness.workloads.text.token_loss", lambda *_: TokenLoss(loss=next(losses), tokens=7))
    outcome = run_main()
    assert outcome.code == 0
    assert outcome.json["forgetting"]["base_loss"] == 1
    assert outcome.json["forgetting"]["loss"] is None
    assert outcome.json["quality"]["test_score"] is not None


def test_what_fails_after_a_failed_allocation_is_out_of_memory(monkeypatch):
    failed = iter([0, 1, 1, 1])
    monkeypatch.setattr("harness.devices._failed_allocations", lambda device: next(failed))
    with pytest.raises(torch.OutOfMemoryError), notice_out_of_memory(CPU):
        raise RuntimeError("issues during conversion")
    with pytest.raises(RuntimeError, match="a bug"), notice_out_of_memory(CPU):
        raise RuntimeError("a bug")
