"""A result belongs to its folder as long as the folder says the same, whatever parameters the harness learns or drops."""

import json

import pytest

from harness.experiment import ROOT, read_experiment
from harness.result.provenance import fingerprint

RESULTS = sorted((ROOT / "results").glob("*/*/*.json"))


@pytest.mark.parametrize("task", sorted({path.parents[1].name for path in RESULTS} - {"profiles"}))
def test_committed_results_are_those_of_their_folders(task):
    for path in (path for path in RESULTS if path.parents[1].name == task):
        result = json.loads(path.read_text())
        folder = ROOT / "method_comparison" / task / "experiments" / result["method"] / result["name"]
        experiment = read_experiment(folder, seed=result["seed"])
        now = fingerprint([experiment.params.fingerprinted(), experiment.adapter_config])
        assert now == result["provenance"]["config_fingerprint"], path.name


def test_how_a_run_is_made_is_no_part_of_it_but_all_else_is():
    folder = ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"
    plain = read_experiment(folder).params.fingerprinted()
    assert read_experiment(folder, seed=3, checkpoint_minutes=5).params.fingerprinted() == plain
    assert read_experiment(folder, {"warmup_ratio": 0.2}).params.fingerprinted() != plain
