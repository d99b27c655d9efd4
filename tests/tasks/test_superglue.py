"""SuperGLUE: rows of the hub become text, labels are scored, splits share nothing."""

import inspect
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from harness.experiment import ROOT
from harness.scoring import majority_baseline, score_predictions
from harness.task import Row, Splits, load_task
from harness.task import load_splits as load_checked_splits

task = load_task(ROOT / "method_comparison" / "SuperGLUE")
superglue = inspect.getmodule(task.score)
LABELS = {"boolq": ["false", "true"], "rte": ["entailment", "not_entailment"], "copa": ["choice1", "choice2"]}
# Rows as the hub's parquet files have them, with what they must become.
HUB_ROWS = {
    "boolq": (
        {"question": "is tea a drink", "passage": "Tea -- Tea is a drink.", "idx": 3, "label": 1},
        Row("boolq passage: Tea -- Tea is a drink. question: is tea a drink", "true", "true", "Tea -- Tea is a drink."),
    ),
    "rte": (
        {"premise": "Ann lives in Bonn.", "hypothesis": "Ann lives in Rome.", "idx": 0, "label": 1},
        Row("rte premise: Ann lives in Bonn. hypothesis: Ann lives in Rome.", "not_entailment", "not_entailment", "Ann lives in Bonn."),
    ),
    "copa": (
        {"premise": "It rained.", "choice1": "I got wet.", "choice2": "I sang.", "question": "effect", "idx": 7, "label": 0},
        Row("copa premise: It rained. question: effect choice1: I got wet. choice2: I sang.", "choice1", "choice1", "It rained."),
    ),
}  # fmt: skip


@pytest.fixture
def hub_rows(monkeypatch):
    """What the hub holds, by split; every config must be the subset that is asked for."""
    held = {}

    def load_hub_split(dataset, split):
        assert dataset == task.datasets[dataset.config]
        return held[dataset.config, split]

    monkeypatch.setattr(superglue, "load_hub_split", load_hub_split)
    return held


def many(subset, first, count, label=None):
    """Rows of distinct sources, numbered from `first`."""
    field = superglue.FIELDS[subset][0]
    return [
        HUB_ROWS[subset][0] | {field: f"Text {i}.", "label": i % 2 if label is None else label}
        for i in range(first, first + count)
    ]


@pytest.mark.parametrize("subset", task.subsets)
def test_rows_of_the_hub_become_text(hub_rows, subset):
    item, row = HUB_ROWS[subset]
    hub_rows[subset, "train"], hub_rows[subset, "validation"] = many(subset, 0, 400), [item]
    splits = load_checked_splits(task, "hub", subset)
    assert splits.test == [row]
    assert (len(splits.train), len(splits.valid)) == (350, 50), "COPA's size: 400 rows, of which 50 are held out"


@pytest.mark.parametrize("subset", task.subsets)
@pytest.mark.parametrize("number", [0, 1])
def test_numbers_of_the_hub_become_labels(hub_rows, subset, number):
    hub_rows[subset, "train"], hub_rows[subset, "validation"] = many(subset, 0, 60), many(subset, 90, 2, number)
    assert [row.target for row in task.load_splits("hub", subset).test] == [LABELS[subset][number]] * 2


@pytest.mark.parametrize("subset", task.subsets)
def test_what_is_tested_on_is_not_trained_on(hub_rows, subset):
    train = many(subset, 0, 200) + many(subset, 0, 100)  # several rows about one source
    hub_rows[subset, "train"], hub_rows[subset, "validation"] = train, many(subset, 180, 40)
    splits = load_checked_splits(task, "hub", subset)
    assert {row.source for row in splits.test} == {f"Text {i}." for i in range(180, 220)}
    assert {row.source for row in splits.train + splits.valid} == {f"Text {i}." for i in range(180)}


def test_the_question_of_a_long_passage_remains_in_the_prompt(hub_rows):
    hub_rows["boolq", "train"] = many("boolq", 0, 60)
    long = "word " * 2000
    hub_rows["boolq", "validation"] = [HUB_ROWS["boolq"][0] | {"passage": long}]
    (row,) = task.load_splits("hub", "boolq").test
    assert row.prompt.endswith("question: is tea a drink")
    assert len(row.prompt) < 2000
    assert row.source == long, "two long passages that begin alike are two sources"


@pytest.mark.parametrize("subset", task.subsets)
def test_an_output_that_is_no_label_is_wrong_and_invalid(subset):
    for reference in LABELS[subset]:
        for label in LABELS[subset]:
            for text in (label, f" {label}\n"):
                score = task.score(text, reference)
                assert (score.value, score.valid) == (float(label == reference), True)
        others = [label for other in LABELS if other != subset for label in LABELS[other]]
        for text in ["", "  ", "maybe", f"{reference}.", f"{reference} {reference}", reference.upper(), *others]:
            assert (task.score(text, reference).value, task.score(text, reference).valid) == (0.0, False)


@given(st.text(max_size=40), st.sampled_from(sum(LABELS.values(), [])))
def test_any_text_gets_a_score(text, reference):
    score = task.score(text, reference)
    assert score.value == float(text.strip() == reference)


@pytest.mark.parametrize("subset", task.subsets)
def test_accuracy_is_that_of_scikit_learn(subset):
    rng = random.Random(subset)
    references = rng.choices(LABELS[subset], k=500)
    predictions = rng.choices([*LABELS[subset], "no label"], weights=[4, 4, 1], k=500)
    rows = [Row("", reference, reference, "") for reference in references]
    scores = score_predictions(task, rows, predictions)
    assert scores.mean == accuracy_score(references, predictions)
    assert scores.invalid_rate == predictions.count("no label") / 500


def test_majority_baseline_answers_the_most_frequent_label():
    rows = {label: Row("", label, label, "") for label in LABELS["rte"]}
    train = [rows["entailment"]] * 3 + [rows["not_entailment"]] * 2
    test = [rows["entailment"]] * 1 + [rows["not_entailment"]] * 3
    assert majority_baseline(task, train, test) == 0.25


@pytest.mark.parametrize("subset", task.subsets)
def test_embedded_splits_share_nothing_and_both_labels_occur(subset):
    splits: Splits = load_checked_splits(task, "embedded", subset)
    assert len(splits.train) + len(splits.valid) >= 2500
    assert len(splits.test) == 500
    for rows in (splits.train, splits.valid, splits.test):
        share = sum(row.target == LABELS[subset][0] for row in rows) / len(rows)
        assert 0.4 < share < 0.6
        assert all(task.score(row.target, row.reference).value == 1 for row in rows)
        assert all(row.prompt.startswith(f"{subset} {superglue.FIELDS[subset][0]}: ") for row in rows)
    train, valid, test = ({row.prompt for row in rows} for rows in (splits.train, splits.valid, splits.test))
    assert not train & valid | train & test | valid & test
    assert task.load_splits("embedded", subset) == splits, "made alike every time"
