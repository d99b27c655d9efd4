"""Which experiments cannot be told from the best, against independent calculations."""

import itertools

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_files import ITEMS, answers, experiments_of, ours, published, seeds_of
from scipy import stats

from harness.result.ties import Entry, compare_with_best
from harness.result.uncertainty import compare_items, mcnemar_p_values


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
    best = [position for position, (_, why, _) in enumerate(verdicts) if why in ("best", "the only one")]
    assert len(verdicts) == len(entries)
    assert len(best) == 1
    assert verdicts[best[0]][0]
    assert means[best[0]] == (max(means) if higher else min(means))
