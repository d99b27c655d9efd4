"""The forecasts that are committed: one for every experiment folder, of what the folder and the code say now."""

import pytest

from harness.experiment import ROOT, all_experiments, read_experiment
from harness.forecast.forecast import Asked, forecast, versions
from harness.plan import Plan
from harness.result.forecasts import read_forecasts

FORECASTS, SKIPPED = read_forecasts([ROOT / "results"])
QUICK = ("MetaMathQA/lora/embedded-llama-rank8", "SuperGLUE/boolq/lora/embedded-t5-qv-rank8",
         "ImageClassification/lora/embedded-vit-qv-rank16")  # fmt: skip
SLOW = ("MetaMathQA/lora/llama-3.2-3B-rank32", "MetaMathQA/full-finetuning/llama-3.2-3B",
        "MetaMathQA/lora/llama-3.2-3B-rank64-qlora", "MetaMathQA/prefixtuning/llama-3.2-3B-tokens100",
        "CNNDM/compacter/t5-large", "SuperGLUE/boolq/lora/t5-3b-qv-rank8",
        "ImageClassification/lora/vit-base-patch16-224-in21k-qv-rank16")  # fmt: skip


def name(one):
    return "/".join(filter(None, (one.task, one.subset, one.experiment)))


def remedy(model, task, subset, memory=24 * 10**9):
    part = f" --subset {subset}" if subset else ""
    return f"python suite.py --forecast --model {model} --task {task}{part} --gpu-memory {memory / 10**9:g}GB"


def test_files_can_be_read_and_add_up():
    assert not SKIPPED
    for one in FORECASTS:
        assert "\n" not in one.sentence
        assert one.versions == versions(), remedy(one.model, one.task, one.subset, one.gpu_memory)
        if one.reason is None:
            assert sum(one.parts.model_dump().values()) == one.training.allocated <= one.training.reserved < one.needed


def test_every_folder_has_one_of_what_it_says_now():
    made = {(one.task, one.experiment, one.config_fingerprint) for one in FORECASTS}
    subsets = {one.task: one.subset for one in FORECASTS}
    wanting = set()
    for folder in all_experiments():
        experiment = read_experiment(folder)
        subset = subsets.get(experiment.task)
        fingerprint = Plan(experiment, subset).config_fingerprint
        if (experiment.task, f"{experiment.method}/{experiment.name}", fingerprint) not in made:
            wanting.add(remedy(experiment.params.model_id, experiment.task, subset))
    assert not wanting, "\n".join(sorted(wanting))


def assert_is_what_is_forecast_now(wanted):
    (one,) = [one for one in FORECASTS if name(one) == wanted]
    folder = ROOT / "method_comparison" / one.task / "experiments" / one.experiment
    again = forecast(
        read_experiment(folder), one.subset, Asked(one.gpu_memory, one.gpu, one.largest_batch is not None)
    )
    flops = {"flops_per_token": pytest.approx(one.flops_per_token)}
    assert again.model_dump() == one.model_dump() | flops, remedy(one.model, one.task, one.subset, one.gpu_memory)


@pytest.mark.parametrize("wanted", QUICK)
def test_it_is_what_is_forecast_now(wanted):
    assert_is_what_is_forecast_now(wanted)


@pytest.mark.slow
@pytest.mark.parametrize("wanted", SLOW)
def test_it_is_what_is_forecast_now_of_large_models(wanted):
    assert_is_what_is_forecast_now(wanted)
