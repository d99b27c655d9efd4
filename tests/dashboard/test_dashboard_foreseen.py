"""Forecasts on Choose: only of what was never measured, apart from measurements, and by name."""

import pytest
from dashboard_results import frames, seeds

from harness.dashboard.data import read_data, state_of
from harness.dashboard.foreseen import foreseen, reasons
from harness.dashboard.needs import Needs
from harness.experiment import ROOT
from harness.result.forecasts import Forecast, ForecastPeak, Parts, forecast_path, write_forecasts

GIB = 2**30
LLAMA, T5 = "meta-llama/Llama-3.2-3B", "google-t5/t5-large"


def made(experiment, gib=None, model=LLAMA, total=3 * 10**9, task="Task", subset=None):
    known = {"task": task, "subset": subset, "experiment": experiment, "model": model, "config_fingerprint": "",
             "overrides": {}, "versions": {}, "sentence": ""}  # fmt: skip
    if gib is None:
        return Forecast(**known, reason="the method's own code needs values")
    peak = ForecastPeak(rows=4, length=768, allocated=gib * GIB, reserved=gib * GIB)
    parts = Parts(**dict.fromkeys(Parts.model_fields, 0))
    return Forecast(**known, trainable=1, total=total, parts=parts, training=peak, standing=peak, evaluation=peak,
                    context=0, needed=gib * GIB)  # fmt: skip


@pytest.fixture
def forecasts():
    return [made("lora/c", 30), made("lora/a", 20), made("ia3/b", 10), made("odd/d"), made("lora/e", 5, T5, 7 * 10**8)]


def ask(forecasts, results=(), **needs):
    return foreseen(forecasts, frames(results or seeds("full/z", [0.1], memory=GIB))[1], Needs(**needs))


def names(some):
    return [one.experiment for one in some]


def test_a_card_divides_them(forecasts):
    llama, t5 = ask(forecasts, gpu_memory=24 * GIB)
    assert llama.title == f"Task, {LLAMA}"
    assert (names(llama.fits), names(llama.larger), names(llama.untold)) == (
        ["ia3/b", "lora/a"],
        ["lora/c"],
        ["odd/d"],
    )
    assert names(t5.fits) == ["lora/e"]
    assert reasons(llama.larger[0], Needs(gpu_memory=24 * GIB))[0] == "more than the 24.0 GiB given"
    assert reasons(llama.fits[0], Needs())[0].startswith(
        "training takes 10.0 GiB with its longest batch, 4 rows of 768"
    )


def test_what_was_measured_has_no_forecast(forecasts):
    measured = seeds("lora/a", [0.8], memory=GIB, model=LLAMA)
    llama, _ = ask(forecasts, measured)
    assert names(llama.fits) == ["ia3/b", "lora/c"]
    (other_subset,) = ask([made("lora/a", 20), made("lora/a", 20, subset="part")], measured)
    assert other_subset.title == f"Task · part, {LLAMA}"


@pytest.mark.parametrize(
    ("needs", "models"),
    [
        ({"model_params": 3.2e9}, {LLAMA}),
        ({"model_params": 7e9}, set()),
        ({"family": "encoder-decoder"}, {T5}),
        ({"task": "Other"}, set()),
        ({"model": T5, "hardware": "nvidia-l40s"}, {T5}),
    ],
)
def test_only_what_was_asked_for(forecasts, needs, models):
    assert {one.model for group in ask(forecasts, **needs) for one in group.fits} == models


def test_files_are_read_beside_results_and_looked_at_again(tmp_path):
    before = state_of([tmp_path / "results"])
    path = forecast_path(tmp_path, LLAMA, None)
    path.parent.mkdir(parents=True)
    write_forecasts(path, [made("lora/a", 20)])
    assert state_of([tmp_path / "results"]) != before
    data = read_data([tmp_path / "results"])
    assert (names(data.forecasts), len(data.runs), data.skipped) == (["lora/a"], 0, ())
    path.write_text("{}")
    assert "forecast it anew" in str(read_data([tmp_path / "results"]).skipped[0])


def test_committed_forecasts_are_there():
    assert any(one.model == LLAMA for one in read_data([ROOT / "results"]).forecasts)
