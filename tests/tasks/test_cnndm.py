"""CNN/DailyMail: articles of the hub become prompts, ROUGE is rouge_score's, splits share no article."""

import inspect
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from harness.experiment import ROOT
from harness.rouge import Rouge, rouge
from harness.scoring import score_predictions
from harness.task import Row, load_task
from harness.task import load_splits as load_checked_splits

task = load_task(ROOT / "method_comparison" / "CNNDM")
cnndm = inspect.getmodule(task.score)
TYPES = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL"}
TEXT = "The mayor of Paris opened a new bridge on Monday , running 42 metres over water ; cars were running again ."


def articles(first, count):
    return [
        {"article": f"(CNN)Article {i}.", "highlights": f"Point {i} .\nSecond point .", "id": f"{i:040x}"}
        for i in range(first, first + count)
    ]


@pytest.fixture
def hub_rows(monkeypatch):
    held = {}

    def load_hub_split(dataset, split):
        assert dataset == task.datasets["articles"]
        return iter(held[split])

    monkeypatch.setattr(cnndm, "load_hub_split", load_hub_split)
    return held


def test_rows_of_the_hub_become_text(hub_rows):
    hub_rows["train"], hub_rows["test"] = articles(0, 500), articles(1000, 1700)
    splits = load_checked_splits(task, "hub", None)
    assert len(splits.test) == 1600, "the first 1600 articles"
    first = splits.test[0]
    assert first.prompt == "summarize: (CNN)Article 1000."
    assert first.target == first.reference == "Point 1000 . Second point ."
    assert splits.test[-1].prompt == "summarize: (CNN)Article 2599."
    assert (len(splits.train), len(splits.valid)) == (450, 50)


def test_an_article_that_is_tested_on_is_not_trained_on_under_another_id(hub_rows):
    copies = [item | {"id": "0" * 40, "highlights": "Other words ."} for item in articles(1000, 30)]
    hub_rows["train"], hub_rows["test"] = articles(0, 200) + copies + articles(0, 5), articles(1000, 40)
    splits = load_checked_splits(task, "hub", None)
    tested = {row.prompt for row in splits.test}
    assert not tested & {row.prompt for row in splits.train + splits.valid}
    assert len({row.source for row in splits.train + splits.valid}) == 200


@pytest.fixture(scope="module")
def pairs():
    rng = random.Random(0)
    words = TEXT.split()
    texts = [" ".join(rng.choices(words, k=rng.randint(1, 60))) for _ in range(400)]
    drawn = [(texts[i], texts[i + 200]) for i in range(200)]
    drawn[:10] = [("", reference) for _, reference in drawn[:10]]
    drawn[10:12] = [(" \n", drawn[10][1]), ("...", drawn[11][1])]
    drawn[12:14] = [(drawn[12][1], drawn[12][1]), (drawn[13][0], "")]
    return drawn


def test_rouge_is_that_of_rouge_score(pairs):
    expected = [RougeScorer(list(TYPES.values()), use_stemmer=True).score(target=b, prediction=a) for a, b in pairs]
    for (prediction, reference), scores in zip(pairs, expected, strict=True):
        found = rouge(prediction, reference)
        assert found == {name: scores[kind].fmeasure for name, kind in TYPES.items()}
        assert task.score(prediction, reference).value == scores["rougeL"].fmeasure
    predictions, references = zip(*pairs, strict=True)
    means = Rouge().compute(predictions=list(predictions), references=list(references))
    for name, kind in TYPES.items():
        assert means[name] == pytest.approx(sum(scores[kind].fmeasure for scores in expected) / 200, rel=1e-12)


def test_the_score_of_a_split_is_what_summarize_calls_rouge_l(pairs):
    rows = [Row("", reference, reference, "") for _, reference in pairs]
    predictions = [prediction for prediction, _ in pairs]
    scores = score_predictions(task, rows, predictions)
    further = task.summarize(predictions, [row.reference for row in rows])
    assert further["ROUGE-L"] == pytest.approx(scores.mean)
    assert set(further) == {"ROUGE-1", "ROUGE-2", "ROUGE-L", "slots found"}
    assert scores.invalid_rate == 11 / 200


@pytest.mark.parametrize("prediction", ["", " ", "\n"])
def test_an_empty_prediction_scores_nothing_and_is_invalid(prediction):
    score = task.score(prediction, "A bridge opened.")
    assert (score.value, score.valid) == (0.0, False)
    assert set(task.summarize([prediction], ["Ann ran 5 km."]).values()) == {0.0}


def test_words_are_stemmed_and_line_breaks_are_spaces():
    assert rouge("the mayors opened bridges", "The mayor opens a bridge")["ROUGE-1"] == pytest.approx(8 / 9)
    assert rouge("one two\nthree", "one two three")["ROUGE-L"] == 1
    assert rouge("three one two", "one two three")["ROUGE-L"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("Lion of Vienna is well. Nina needed 38 hours.", {"lion", "vienna", "nina", "38"}),
        ("It cost 1,200.50 dollars in New York, says O'Neil.", {"1,200.50", "york", "o", "neil"}),
        ("nothing here", set()),
        ("", set()),
    ],
)
def test_slots_are_names_and_numbers(text, slots):
    assert cnndm.slots(text) == slots


def test_slots_found_leaves_out_references_without_any():
    predictions = ["nina cared 38 days", "George ran", "a text", "all of it"]
    references = ["Nina of Vienna cared for it for 38 hours.", "Ann ran.", "no name", "Ben ran 380 miles."]
    found = task.summarize(predictions, references)["slots found"]
    assert found == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert "slots found" not in task.summarize(["a"], ["no name"])


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_gets_a_score(prediction, reference):
    score = task.score(prediction, reference)
    assert 0 <= score.value <= 1
    assert score.valid == bool(prediction.strip())


@pytest.mark.slow
def test_rouge_needs_neither_network_nor_cache_and_warns_of_nothing(tmp_path):
    code = ("from harness.rouge import Rouge\n"
            "print(Rouge().compute(predictions=['a b', ''], references=['a c', 'd']))")  # fmt: skip
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HF_HOME": str(home), "HOME": str(home), "HF_HUB_OFFLINE": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "{'ROUGE-1': 0.25, 'ROUGE-2': 0.0, 'ROUGE-L': 0.25}\n", done.stderr
    assert done.stderr == ""
    assert not list(home.iterdir())


def test_embedded_splits_share_nothing_and_highlights_are_in_the_articles():
    splits = load_checked_splits(task, "embedded", None)
    assert len(splits.test) == 500
    parts = (splits.train, splits.valid, splits.test)
    for rows in parts:
        assert all(row.prompt.startswith("summarize: ") and row.reference for row in rows)
        found = [cnndm.slots(row.reference) <= cnndm.words(row.prompt) for row in rows]
        assert sum(found) > 0.8 * len(rows), "who, where and how many must be found in the text"
    train, valid, test = ({row.prompt for row in rows} for rows in parts)
    assert not train & valid | train & test | valid & test
    assert task.load_splits("embedded", None) == splits, "made alike every time"
