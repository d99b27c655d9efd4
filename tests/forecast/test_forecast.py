"""Forecasts of real experiments, in words and figures; nothing is downloaded and nothing needs a GPU."""

import json

import pytest
import torch
from conftest import LORA

import run
from harness.arguments import memory, parse_arguments
from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.forecast.advice import largest_batch
from harness.forecast.forecast import CONTEXT, Asked, forecast
from harness.forecast.gpus import GPUS, find_gpu, tokens_per_second
from harness.forecast.lengths import middles, since_emptied
from harness.forecast.operations import META
from harness.forecast.shapes import Followed
from harness.forecast.storages import Trace
from harness.result.forecasts import ForecastPeak, forecast_path, read_forecasts, table_of, write_forecasts
from harness.result.read import read_results

CONTENT = ROOT / "method_comparison"
FLAGSHIP = CONTENT / "MetaMathQA/experiments/lora/llama-3.2-3B-rank32"
GIB = 2**30


@pytest.fixture(scope="module")
def flagship():
    return forecast(read_experiment(FLAGSHIP), asked=Asked(gpu_memory=24 * 10**9, gpu="L40S"))


def test_parts_add_up(flagship):
    parts = flagship.parts
    assert sum(parts.model_dump().values()) == flagship.training.allocated <= flagship.training.reserved
    assert parts.base_weights == pytest.approx(2 * 3_212_749_824, rel=0.001), "bfloat16"
    assert parts.trained_weights == pytest.approx(4 * flagship.trainable, rel=0.001)
    assert parts.optimizer_state == pytest.approx(8 * flagship.trainable, rel=0.001)
    assert flagship.gradients == 4 * flagship.trainable
    assert flagship.trainable == 9_175_040
    logits = flagship.training.rows * flagship.training.length * 128_256
    assert 2 * logits < parts.logits < 15 * logits, "in bfloat16, and a few times in float32"
    assert parts.activations > parts.logits


def test_needed_fits_and_says_so(flagship):
    assert flagship.needed == CONTEXT + flagship.training.reserved > flagship.evaluation.reserved
    assert flagship.fits == (flagship.needed <= 24 * 10**9)
    assert flagship.standing.length < flagship.training.length == 768
    assert flagship.standing.reserved < flagship.training.reserved
    words = ("Forecast", "fits 22.4 GiB (L40S)", "4 rows of 768", f"trains there: {flagship.largest_batch}")
    for word in words:
        assert word in flagship.sentence
    low, high = flagship.tokens_per_second
    assert low < 20_000 / 942 * 210 < high * 1.01, "a published run's speed"


def test_arithmetic_is_that_of_the_weights(flagship):
    """2 operations a weight forward, 2 backward for the inputs; the embedding is looked up, the head multiplied."""
    assert flagship.flops_per_token == pytest.approx(4 * 3.2e9, rel=0.15)


@pytest.mark.slow
def test_what_does_not_fit_is_told_what_would_help():
    short = read_experiment(ROOT / LORA, {"batch_size_eval": 2, "generation_kwargs": {"max_new_tokens": 8}})
    alone = forecast(short)
    made = forecast(short, asked=Asked(gpu_memory=alone.needed - alone.parts.activations // 2))
    assert not made.fits
    needs = {change.what: change.needed for change in made.changes}
    assert list(needs.values()) == sorted(needs.values())
    assert all(need < made.needed for need in needs.values())
    assert {"gradient_checkpointing", "batch_size 1 with gradient_accumulation_steps 32"} <= needs.keys()
    assert 0 < made.largest_batch < made.training.rows
    assert made.changes[0].what in made.sentence


def test_the_command_line_prints_it_and_leaves_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [LORA, "--forecast", "--gpu-memory", "1GB", "--batch-size", "3", "--set", "max_seq_length=64"]
    assert run.main(parse_arguments(arguments)) == 0
    shown = capsys.readouterr().out
    assert "3 rows of 64" in shown
    assert "fits 953.7 MiB" in shown
    assert not list(tmp_path.iterdir())


def test_gpu_without_forecast_is_refused(capsys):
    with pytest.raises(SystemExit):
        parse_arguments([LORA, "--gpu", "L40S"])
    assert "--gpu: only with --forecast" in capsys.readouterr().err


def test_why_there_is_none():
    made = forecast(read_experiment(ROOT / LORA, {"dtype": "int8"}))
    assert made.needed is None
    assert "int8" in made.reason
    assert made.sentence.startswith("No forecast: ")
    assert "\n" not in made.sentence


@pytest.mark.parametrize(("text", "size"), [("24GB", 24 * 10**9), ("22.5GiB", 22.5 * GIB), ("24", 24 * 10**9)])
def test_sizes(text, size):
    assert memory(text) == size


def test_gpus():
    assert find_gpu("rtx 4090") == find_gpu("RTX4090") == GPUS["RTX4090"]
    with pytest.raises(UserError, match="did you mean"):
        find_gpu("L40")
    slow, fast = tokens_per_second(GPUS["L4"], 1e10), tokens_per_second(GPUS["H100"], 1e10)
    assert slow[0] < slow[1] < fast[1]


class StraightLine:
    """Steps that need a number of bytes for each row, and some that all share."""

    def __init__(self, shared, each):
        self.shared, self.each, self.asked = shared, each, []

    def step(self, rows):
        self.asked.append(rows)
        return Followed(self.peak(rows))

    def peak(self, rows):
        return ForecastPeak(rows=rows, length=1, allocated=0, reserved=self.shared + self.each * rows)


@pytest.mark.parametrize(("shared", "each", "room", "largest"), [
    (100, 10, 139, 3), (100, 10, 140, 4), (100, 10, 141, 4), (100, 10, 109, 0), (100, 10, 110, 1), (100, 10, 555, 45),
    (100, 10, 10**9, 1024)])  # fmt: skip
def test_the_largest_batch(shared, each, room, largest):
    run = StraightLine(shared, each)
    assert largest_batch(run, run.peak(4), room) == largest
    assert len(run.asked) <= 6


def test_lengths_since_the_cache_was_emptied():
    batches = [[[0] * size] for size in (3, 1, 5, 2, 9, 1)]
    held = [len(batch[0]) for batch in since_emptied(batches, 3)]
    assert held == [3, 3, 5, 2, 9, 9]
    assert [len(batch[0]) for batch in middles(batches, 2)] == [1, 5]


def test_trace_follows_storages_not_tensors():
    trace = Trace()
    with trace:
        one = torch.empty(1000, device=META)
        view, other = one[3:], torch.empty(10, device=META)
        del one
    assert sorted(trace.live.values()) == [40, 4000]
    del view, other
    assert trace.live == {}
    assert sum(size for _, size in trace.events) == 0


def test_files_are_read_as_written_and_are_no_results(flagship, tmp_path):
    path = forecast_path(tmp_path, flagship.model, flagship.gpu_memory)
    write_forecasts(path, [flagship])
    assert path.name == "meta-llama-llama-3-2-3b--24GB.json"
    assert read_forecasts([tmp_path / "results"]) == ([flagship], [])
    assert flagship.experiment in table_of([flagship])
    found = read_results([tmp_path / "results"])
    assert not found.records
    assert not found.skipped
    path.write_text(json.dumps({"forecasts": [{"task": 3}]}))
    _, (skipped,) = read_forecasts([tmp_path / "results"])
    assert "forecast it anew" in str(skipped)


LARGE = ("MetaMathQA/experiments/lora/llama-3.2-3B-rank64-qlora", "CNNDM/experiments/full-finetuning/t5-large")


@pytest.mark.slow
@pytest.mark.parametrize("folder", LARGE)
def test_large_models(folder):
    made = forecast(read_experiment(CONTENT / folder), asked=Asked(advise=False))
    assert made.needed > made.parts.base_weights + made.parts.trained_weights + made.parts.optimizer_state


def test_evaluation_has_no_gradients_and_training_has_those_of_the_batches_before():
    folder = CONTENT / "MetaMathQA/experiments/full-finetuning/embedded-llama"
    at_once = forecast(read_experiment(folder, {"batch_size": 8, "gradient_accumulation_steps": 1}))
    in_parts = forecast(read_experiment(folder, {"batch_size": 8, "gradient_accumulation_steps": 4}))
    assert in_parts.evaluation.allocated == at_once.evaluation.allocated
    assert in_parts.training.allocated >= at_once.training.allocated + in_parts.gradients // 2
