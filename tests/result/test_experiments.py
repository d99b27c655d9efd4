"""Seeds taken together: means and intervals against independent calculations, and never across groups."""

import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_files import ITEMS, answers, experiments_of, load, ours, published, seeds_of
from scipy import stats

from harness.dashboard.notices import notices
from harness.result import intervals
from harness.result.experiments import fill_intervals
from harness.result.pareto import front

# Means and intervals -------------------------------------------------------------------------------------------------


def test_quality_is_a_mean_and_memory_a_median(tmp_path):
    results = seeds_of("lora/a", (20, 30, 37))
    for result, memory, rate in zip(results, (100, 900, 200), (0.1, 0.2, 0.6), strict=True):
        result["memory"]["train"]["reserved"] = memory
        result["quality"]["invalid_rate"] = rate
    row = experiments_of(tmp_path, *results).iloc[0]
    assert row["score"] == pytest.approx(29 / 40)
    assert row["invalid_rate"] == pytest.approx(0.3)
    assert row["memory_train"] == 200
    assert row["gain"] == pytest.approx(29 / 40 - 0.25)
    assert row["seeds"] == 3
    assert [seed for _, seed in row["runs"]] == [0, 1, 2]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, ITEMS), min_size=2, max_size=6))
def test_interval_over_seeds_is_students(tmp_path_factory, rights):
    row = experiments_of(tmp_path_factory.mktemp("results"), *seeds_of("lora/a", rights)).iloc[0]
    scores = [right / ITEMS for right in rights]
    mean, spread = math.fsum(scores) / len(scores), numpy.std(scores, ddof=1)
    assert row["score_std"] == pytest.approx(spread, abs=1e-12)
    if len(set(rights)) == 1:
        assert math.isnan(row["score_low"])
        assert row["interval"] == f"no interval: {len(rights)} seeds with one score"
        return
    low, high = stats.t.interval(0.95, len(scores) - 1, mean, spread / math.sqrt(len(scores)))
    assert (row["score_low"], row["score_high"]) == pytest.approx((max(low, 0), min(high, 1)), abs=1e-12)
    assert row["interval"] == f"{len(rights)} seeds, Student's t"


@settings(deadline=None, max_examples=40)
@given(st.integers(0, ITEMS))
def test_interval_of_one_seed_is_wilsons_and_says_so(tmp_path_factory, right):
    row = experiments_of(tmp_path_factory.mktemp("results"), ours(scores=answers(right))).iloc[0]
    wilson = stats.binomtest(right, ITEMS).proportion_ci(0.95, method="wilson")
    assert (row["score_low"], row["score_high"]) == pytest.approx((wilson.low, wilson.high), abs=1e-12)
    assert row["interval"] == f"one seed, Wilson over {ITEMS} items"


def test_interval_of_graded_scores_comes_on_demand(tmp_path):
    scores = numpy.random.default_rng(1).random(60)
    frame = experiments_of(tmp_path, ours("lora/a", scores=scores.tolist()), *seeds_of("lora/b", (3, 5)))
    row = frame[frame["name"] == "a"].iloc[0]
    assert math.isnan(row["score_low"])
    assert row["interval"] == "one seed, BCa bootstrap over 60 items"
    filled = fill_intervals(frame)
    row = filled[filled["name"] == "a"].iloc[0]
    bca = stats.bootstrap((scores,), numpy.mean, method="BCa", rng=numpy.random.default_rng(7)).confidence_interval
    assert (row["score_low"], row["score_high"]) == pytest.approx((bca.low, bca.high), abs=0.01)  # other resamples
    assert row["interval"] == "one seed, BCa over 60 items"
    assert filled.drop(index=row.name).equals(frame.drop(index=row.name))
    assert fill_intervals(filled) is filled


def test_only_so_many_bootstraps_are_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(intervals, "MOST", 2)
    rows = [ours(f"lora/{name}", scores=[0.1 * place, 0.5, 0.7, 0.2] * 5) for place, name in enumerate("abcd")]
    filled = fill_intervals(experiments_of(tmp_path, *rows))
    assert list(filled["score_low"].notna()) == [True, True, False, False]
    assert filled["score"].is_monotonic_decreasing
    assert filled["interval"].str.startswith("no interval computed").tolist() == [False, False, True, True]
    assert fill_intervals(filled) is filled


def test_no_interval_without_scores_by_item(tmp_path):
    row = experiments_of(tmp_path, published()).iloc[0]
    assert math.isnan(row["score_low"])
    assert row["interval"] == "no interval: one seed, and no scores by item"


def test_seeds_with_other_settings_are_no_one_experiment(tmp_path):
    results = seeds_of("lora/a", (20, 30))
    results[1]["run_info"]["train_config"]["max_steps"] = 5
    frame = experiments_of(tmp_path, *results, *seeds_of("lora/b", (3, 5)))
    row = frame[frame["name"] == "a"].iloc[0]
    assert (row["differs"], row["ranked"], row["tie"]) == ("max_steps", False, "")
    assert row["interval"] == "no interval: the seeds differ in max_steps"
    assert math.isnan(row["score_low"])
    assert frame.loc[frame["name"] == "b", "tie"].tolist() == ["the only one"]
    assert "lora/a in max_steps" in " ".join(notices(frame))


def test_a_setting_that_only_newer_runs_have_tells_nothing(tmp_path):
    results = seeds_of("lora/a", (20, 30))
    results[1]["run_info"]["train_config"]["untuned"] = False
    assert experiments_of(tmp_path, *results).iloc[0]["differs"] == ""


def test_the_runs_of_an_experiment(tmp_path):
    frame = experiments_of(tmp_path, *reversed(seeds_of("lora/a", (20, 30, 25))), *seeds_of("lora/b", (3, 5)))
    assert [seed for _, seed in frame["runs"][0]] == [0, 1, 2]
    scores = load([tmp_path]).runs.set_index("source")["score"]
    assert [scores[source] for source, _ in frame["runs"][0]] == [0.5, 0.75, 0.625]


# Groups --------------------------------------------------------------------------------------------------------------

APART = {
    "protocol": {"protocol": 2}, "model": {"run_info.train_config.model_id": "embedded/t5"},
    "task": {"task.name": "CNNDM"}, "subset": {"task.subset": "copa"}, "metric": {"task.metric": "ROUGE-L"},
    "data": {"provenance.data_fingerprint": "e" * 64}, "base model": {"provenance.base_model_fingerprint": "f" * 64},
}  # fmt: skip


@pytest.mark.parametrize("what", APART)
def test_nothing_is_ranked_across(tmp_path, what):
    """Neither a mean over seeds nor a rank mixes them, whatever the scores."""
    results = [*seeds_of("lora/a", (39, 40)), *seeds_of("lora/b", (3, 4))]
    results += [
        result for seed, right in ((2, 5), (3, 6)) for result in [ours("lora/b", seed, answers(right), **APART[what])]
    ]
    frame = experiments_of(tmp_path, *results)
    assert len(frame) == 3
    other = frame[frame["score"].between(0.12, 0.16)].iloc[0]
    assert (other["tie"], other["tied"], other["seeds"]) == ("the only one", True, 2)
    same = frame[frame["score_group"] != other["score_group"]]
    assert same["tie"].str.startswith("behind").sum() == 1
    assert same["score_group"].nunique() == 1


MACHINES = {
    "hardware": {"hardware.slug": "nvidia-l40s"}, "processor": {"hardware.cpu": "Xeon"}, "threads": {"hardware.threads": 8},
    "stepping": {"hardware.cpu_stepping": 3}, "libraries": {"meta_info.package_info": {"torch-version": "3.0"}},
}  # fmt: skip


@pytest.mark.parametrize("what", MACHINES)
def test_scores_of_other_machines_are_ranked_together_and_costs_are_not(tmp_path, what):
    """Each machine has a row of its own; the better score is the best of both, and both lie on a front of costs."""
    changes = MACHINES[what] | {"memory.train.reserved": 10**9}
    elsewhere = [ours("lora/a", seed, answers(right), **changes) for seed, right in ((2, 10), (3, 12))]
    frame = experiments_of(tmp_path, *seeds_of("lora/a", (36, 38)), *elsewhere)
    assert len(frame) == 2
    assert frame["tie"].str.startswith("behind").tolist() == [False, True]
    assert frame["score_group"].nunique() == 1
    assert frame["cost_group"].nunique() == 2
    assert front(frame, "storage", "score").tolist() == [True, False]
    assert front(frame, "memory_train", "score").tolist() == [True, True]


def test_what_is_not_ranked_has_rows_of_its_own(tmp_path):
    frame = experiments_of(
        tmp_path, *seeds_of("lora/a", (20, 22)), ours("lora/a", 2, (), **{"train_info.status": "failed"}),
        ours("lora/a", 3, answers(40), overrides={"max_steps": 9}), ours("lora/a", 0, (), profile=True),
    )  # fmt: skip
    assert len(frame) == 4
    assert frame["ranked"].sum() == 1
    assert frame.loc[frame["ranked"], "seeds"].tolist() == [2]
    assert frame.loc[~frame["ranked"], "tie"].tolist() == ["", "", ""]
    assert not frame.loc[~frame["ranked"], "tied"].any()
