"""Seeds taken together: means, intervals and ties against independent calculations, and never across groups."""

import itertools
import math

import numpy
import pytest
from dashboard_files import load, ours, published, write
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.dashboard.notices import notices
from harness.result import intervals
from harness.result.experiments import by_experiment, fill_intervals
from harness.result.pareto import front
from harness.result.ties import Entry, compare_with_best
from harness.result.uncertainty import compare_items, mcnemar_p_values

ITEMS = 40


def answers(right, items=ITEMS):
    """Scores with so many right ones, first."""
    return [1.0] * right + [0.0] * (items - right)


def experiments_of(folder, *results):
    write(folder, *results)
    loaded = load([folder])
    assert not loaded.skipped
    return by_experiment(loaded.runs)


def seeds_of(experiment, rights, **changes):
    return [ours(experiment, seed, answers(right), **changes) for seed, right in enumerate(rights)]


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


# Ties ----------------------------------------------------------------------------------------------------------------


def test_ties_over_seeds_are_welchs(tmp_path):
    rights = {"lora/a": (30, 32, 34), "lora/b": (28, 31, 33), "lora/c": (10, 12, 11)}
    frame = experiments_of(tmp_path, *itertools.chain(*(seeds_of(name, values) for name, values in rights.items())))
    assert frame["experiment"].tolist() == ["lora/a", "lora/b", "lora/c"]
    assert frame["tied"].tolist() == [True, True, False]
    p_value = stats.ttest_ind(
        [right / ITEMS for right in rights["lora/a"]], [right / ITEMS for right in rights["lora/b"]], equal_var=False
    ).pvalue
    assert frame["tie"].tolist() == [
        "best",
        f"tied with the best (p = {p_value:.3f}, Welch's t-test)",
        "behind the best (p < 0.001, Welch's t-test)",
    ]


def test_ties_of_single_seeds_compare_two_models_and_say_so(tmp_path):
    frame = experiments_of(
        tmp_path,
        ours("lora/a", scores=answers(30)),
        ours("lora/b", scores=answers(27)),
        ours("lora/c", scores=answers(9)),
    )
    assert frame["tied"].tolist() == [True, True, False]
    assert frame["tie"].tolist()[1] == "tied with the best (p = 0.250, exact McNemar test, of two trained models only)"


def test_one_seed_against_several_uses_the_shared_seed(tmp_path):
    frame = experiments_of(tmp_path, *seeds_of("lora/a", (10, 40, 40)), ours("lora/b", 1, answers(20)))
    assert frame["tied"].tolist() == [True, False]
    frame = experiments_of(tmp_path / "other", *seeds_of("lora/a", (10, 40, 40)), ours("lora/b", 0, answers(20)))
    # the one model beats the best one's model of that seed: nothing shows that its method is behind
    assert frame["tied"].tolist() == [True, True]


def test_graded_scores_of_single_seeds(tmp_path):
    scores = numpy.random.default_rng(2).random(60)
    worse = [
        ours(f"lora/{name}", scores=numpy.clip(scores - less, 0, 1).tolist())
        for name, less in (("b", 0.2), ("c", 1e-9))
    ]
    frame = experiments_of(tmp_path, ours("lora/a", scores=scores.tolist()), *worse).set_index("name")
    assert not frame.loc["b", "tied"]
    assert "paired t-test, of two trained models only" in frame.loc["b", "tie"]


def test_untested_experiments_are_not_called_ties(tmp_path):
    frame = experiments_of(tmp_path, published("lora/a", 0.5), published("lora/b", 0.4), published("lora/c", 0.5))
    assert frame["tied"].tolist() == [True, True, False]
    assert frame["tie"].tolist()[2] == "not tested: one seed, no scores of the same items"


def test_the_best_of_a_loss_is_the_lowest(tmp_path):
    results = [*seeds_of("lora/a", (30, 32)), *seeds_of("lora/b", (3, 4))]
    for result in results:
        result["task"]["higher_is_better"] = False
    frame = experiments_of(tmp_path, *results)
    assert frame["experiment"].tolist() == ["lora/b", "lora/a"]
    assert frame["tie"].tolist()[0] == "best"
    assert not frame["tied"].tolist()[1]
    assert frame.loc[0, "gain"] == pytest.approx(0.25 - 3.5 / 40)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=20))
@settings(deadline=None)
def test_many_mcnemar_tests_at_once_are_those_of_statistics(pairs):
    fast = mcnemar_p_values(*numpy.array(pairs).T)
    for (wins, losses), p_value in zip(pairs, fast, strict=True):
        one, two = numpy.zeros((2, 130))
        one[:wins], two[wins : wins + losses] = 1, 1
        assert p_value == pytest.approx(compare_items(one, two).p_value, abs=1e-9)


@settings(deadline=None)
@given(st.data())
def test_every_experiment_gets_a_verdict_and_one_is_best(data):
    share = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    entries = []
    for position in range(data.draw(st.integers(1, 5))):
        scores = data.draw(st.lists(share, min_size=1, max_size=3))
        items = [
            data.draw(st.sampled_from([None, numpy.uint8([1, 0, 1, 1]), numpy.array([0.5, 0, 1, 0.25])]))
            for _ in scores
        ]
        entries.append(Entry(f"e{position}", list(range(len(scores))), numpy.array(scores), items))
    higher = data.draw(st.booleans())
    verdicts = compare_with_best(entries, higher)
    means = [entry.scores.mean() for entry in entries]
    best = [position for position, (_, why) in enumerate(verdicts) if why in ("best", "the only one")]
    assert len(verdicts) == len(entries)
    assert len(best) == 1
    assert verdicts[best[0]][0]
    assert means[best[0]] == (max(means) if higher else min(means))


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


# Notices -------------------------------------------------------------------------------------------------------------


def test_nothing_to_say_of_one_clean_group(tmp_path):
    assert notices(experiments_of(tmp_path, *seeds_of("lora/a", (20, 22)), *seeds_of("lora/b", (20, 25)))) == []


SAID = {
    "protocol": ({"protocol": 2}, "Protocols 1 and 2 are mixed"),
    "hardware": ({"hardware.slug": "nvidia-l40s"}, "cpu-x86-64 and nvidia-l40s"),
    "model": ({"run_info.train_config.model_id": "embedded/t5"}, "Base models are mixed"),
    "metric": ({"task.metric": "ROUGE-L"}, "different metrics"),
    "data": ({"provenance.data_fingerprint": "e" * 64}, "MetaMathQA has results of different versions"),
    "torch": ({"meta_info.package_info": {"torch-version": "3.0.1"}}, "Major versions of libraries are mixed (torch 2, peft 0.21 and torch 3)"),
    "peft": ({"meta_info.package_info": {"peft-version": "0.22.0"}}, "Major versions of libraries are mixed (peft 0.22 and torch 2, peft 0.21)"),
    "shared": ({"provenance.shared_device": True}, "1 row is measured while another process used the same GPU"),
    "failed": ({"train_info.status": "diverged"}, "Runs without success are shown, not ranked: 1 diverged"),
    "profile": ({"profile": True}, "1 row is of profiles"),
    "modified": ({"overrides": {"max_steps": 3}}, "1 row is with parameters changed"),
}  # fmt: skip


@pytest.mark.parametrize("what", SAID)
def test_notices_name_what_is_mixed(tmp_path, what):
    changes, said = SAID[what]
    found = notices(experiments_of(tmp_path, *seeds_of("lora/a", (20, 22)), ours("lora/b", 0, answers(20), **changes)))
    assert len(found) == 1
    assert said in found[0]


def test_seeds_on_other_processors_are_rows_of_their_own_and_said(tmp_path):
    processors = [{"slug": "cpu-amd-epyc", "cpu": "EPYC", "threads": threads} for threads in (1, 2)]
    results = [ours("lora/a", seed, answers(20), hardware=one) for seed, one in enumerate(processors)]
    frame = experiments_of(tmp_path, *results)
    assert sorted(frame["processor"]) == ["EPYC, 1 thread", "EPYC, 2 threads"]
    said = "Processors or threads are mixed (EPYC, 1 thread and EPYC, 2 threads): scores are ranked together, "
    assert notices(frame) == [f"{said}but memory and speed are not comparable."]
    alike = experiments_of(tmp_path / "alike", *(one | {"hardware": processors[0]} for one in results))
    assert (alike["processor"].tolist(), notices(alike)) == (["EPYC, 1 thread"], [])


def test_notice_of_profiles_of_different_hardware(tmp_path):
    profiles = [
        ours("lora/a", 0, (), profile=True, **{"hardware.slug": slug}) for slug in ("nvidia-l40s", "nvidia-h100")
    ]
    assert "Hardware is mixed (nvidia-h100 and nvidia-l40s)" in notices(experiments_of(tmp_path, *profiles))[0]


def test_notice_of_foreign_results(tmp_path):
    found = notices(experiments_of(tmp_path, ours(), published()))
    assert any("never ranked with ours" in line for line in found)
