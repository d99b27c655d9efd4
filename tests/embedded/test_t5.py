"""The embedded encoder-decoder model: passages, events, news, corpus, tokenizer, shipped files."""

import random
import re
from collections import Counter
from itertools import chain

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from harness.embedded.fingerprints import digest_files, read_fingerprints
from harness.embedded.partition import PARTITIONS, partition
from harness.embedded.pretrain import FOLDER
from harness.embedded.t5 import corpus as t5_corpus
from harness.embedded.t5.recipe import MAKERS, Settings, digest_data, make_processor, probe
from harness.embedded.text.events import CHAINS
from harness.embedded.text.news import CUES, DEEDS
from harness.embedded.text.passages import make_inferences, make_questions
from harness.embedded.text.people import ATTRIBUTES, CITIES, PEOPLE

WEIGHTS = FOLDER / "t5"
DRAWERS = tuple(
    f"draw_{item}" for item in ["passage", "question", "inference", "event", "choice", "report", "article"]
)
VALUES = {value: attribute for attribute in ATTRIBUTES for value in attribute.values}


@pytest.fixture(scope="module")
def items():
    """Return many items of each kind and partition."""
    return {kind: {part: make(part, 2000) for part in PARTITIONS} for kind, make in MAKERS.items()}


@pytest.fixture(scope="module")
def corpus():
    """Return many examples of what pre-training reads."""
    mixes = (t5_corpus.SHORT, t5_corpus.LONG)
    return [example for mix in mixes for example in t5_corpus.make_examples("training/0/0", mix, 0, 8000)]


@pytest.fixture(scope="module")
def tokenizer():
    """Return the shipped tokenizer."""
    return AutoTokenizer.from_pretrained(WEIGHTS)


@pytest.fixture(scope="module")
def shipped():
    """Return the fingerprints of the shipped files."""
    return read_fingerprints(WEIGHTS)


# Downstream items


@pytest.mark.parametrize("kind", MAKERS)
def test_partitions_are_decided_by_the_source_and_share_none(items, kind):
    for part in PARTITIONS:
        assert {partition(item.source) for item in items[kind][part]} == {part}
    sources = [item.source for part in PARTITIONS for item in items[kind][part]]
    assert len(set(sources)) == len(sources)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_larger_count_only_appends(items, kind):
    assert MAKERS[kind]("test", 50) == items[kind]["test"][:50]


@pytest.mark.parametrize("kind", MAKERS)
def test_enough_items_for_training_and_testing(kind):
    assert len(MAKERS[kind]("train", 5000)) == 5000


@pytest.mark.parametrize(
    ("kind", "label"), [("questions", "answer"), ("inferences", "entailed"), ("choices", "correct")]
)
def test_labels_are_balanced(items, kind, label):
    for part in PARTITIONS:
        assert 0.46 < sum(getattr(item, label) for item in items[kind][part]) / 2000 < 0.54


@pytest.mark.parametrize("kind", MAKERS)
def test_texts_share_nothing_between_partitions(items, kind):
    field = {"questions": "passage", "inferences": "premise", "choices": "premise", "articles": "text"}[kind]
    texts = {part: {getattr(item, field) for item in items[kind][part]} for part in PARTITIONS}
    assert not texts["train"] & texts["test"]
    assert not texts["pretraining"] & (texts["train"] | texts["test"])


def test_an_unknown_partition_is_refused():
    with pytest.raises(ValueError, match="expected one of pretraining, train, test"):
        make_questions("valid", 1)


def read_fact(sentence):
    """Return the name, the value and whether they belong together, as the words of one sentence tell it."""
    words = re.findall(r"\w+", sentence)
    (name,) = [word for word in words if word in PEOPLE]
    (value,) = [word for word in words if word in VALUES]
    return name, value, "not" not in words


def holds(passage, sentence):
    """Return whether a passage says all that a sentence claims or asks; it says everything there is."""
    return all(holds_alone(passage, part) for part in sentence.split(" and "))


def holds_alone(passage, sentence):
    """Return whether a passage says the one fact of a sentence."""
    name, value, affirmed = read_fact(sentence)
    told = {read_fact(fact) for fact in re.findall(r"[^.]+\.", passage)}
    assert len({fact[0] for fact in told}) == len({fact[1] for fact in told}) == len(told)
    return ((name, value, True) in told) == affirmed


def test_answers_follow_from_the_passages(items):
    for item in items["questions"]["train"] + items["questions"]["test"]:
        assert item.answer == holds(item.passage, item.question), item


def test_entailments_follow_from_the_premises(items):
    for item in items["inferences"]["train"] + items["inferences"]["test"]:
        assert item.entailed == holds(item.premise, item.hypothesis), item


def test_every_word_that_decides_occurs_in_the_passage(items):
    for item in items["questions"]["test"]:
        for part in item.question.split(" and "):
            name, value, _ = read_fact(part)
            assert name in item.passage
            assert re.search(rf"\b{value}\b", item.passage)


def bag_of_words_accuracy(rows):
    """Return the accuracy of a linear model over word counts on the last quarter of (text, label) rows."""
    words = {
        word: i for i, word in enumerate(sorted(set(chain.from_iterable(re.findall(r"\w+", t) for t, _ in rows))))
    }
    counts = torch.zeros(len(rows), len(words))
    for row, (text, _) in enumerate(rows):
        for word, count in Counter(re.findall(r"\w+", text)).items():
            counts[row, words[word]] = count
    labels = torch.tensor([float(label) for _, label in rows]) * 2 - 1
    cut = len(rows) * 3 // 4
    ridge = counts[:cut].T @ counts[:cut] + 10 * torch.eye(len(words))
    weights = torch.linalg.solve(ridge, counts[:cut].T @ labels[:cut])
    return ((counts[cut:] @ weights > 0) == (labels[cut:] > 0)).float().mean().item()


def test_a_bag_of_words_cannot_tell_the_answer():
    questions = [(f"{i.passage} {i.question}", i.answer) for i in make_questions("train", 4000)]
    inferences = [(f"{i.premise} {i.hypothesis}", i.entailed) for i in make_inferences("train", 4000)]
    assert 0.44 < bag_of_words_accuracy(questions) < 0.56
    assert 0.44 < bag_of_words_accuracy(inferences) < 0.56


def test_choices_are_neighbours_in_their_chain(items):
    events = {event: (i, j) for i, events in enumerate(CHAINS) for j, event in enumerate(events)}
    assert len(events) == 3 * len(CHAINS)
    opposite = 0
    for item in items["choices"]["test"]:
        name, premise = re.fullmatch(r"On \w+day (\w+) (.+)\.", item.premise).groups()
        chain_number, place = events[premise]
        found = [events[choice.removeprefix(f"{name} ").removesuffix(".")] for choice in (item.choice1, item.choice2)]
        wanted = (chain_number, place + (1 if item.question == "effect" else -1))
        assert found[item.correct] == wanted
        assert found[1 - item.correct] != wanted
        opposite += found[1 - item.correct][0] == chain_number
    assert opposite > 200


def test_highlights_are_found_in_the_articles(items):
    for item in items["articles"]["train"] + items["articles"]["test"]:
        sentences = re.findall(r"[^.]+\.", item.text)
        assert 4 <= len(sentences) <= 9
        cues = [re.escape(cue).replace(r"\{n\}", r"(\w+)") for cue in CUES]
        (main,) = [m[1] for m in (re.fullmatch(rf" ?(?:{c})", s) for s in sentences for c in cues) if m]
        own = " ".join(s for s in sentences if main in s)
        place = re.search("|".join(CITIES), own)[0]
        number, unit = re.search(r"(\d+) (\w+)\.", own).groups()
        deed = next(deed for deed in DEEDS if deed.told in own)
        assert item.highlights == deed.highlight.format(n=main, place=place, number=number, unit=unit)
        assert item.highlights not in item.text
        assert len(re.findall("|".join(CITIES), item.text)) >= 2


# Corpus


def test_downstream_texts_come_without_answers(corpus):
    for example in corpus:
        if any(field in example.source for field in ("question:", "hypothesis:", "choice1:", "summarize:")):
            assert example.target is None
        if example.target is None and "entailment" in example.source:
            assert set(t5_corpus.LABELS) <= set(example.source.split())


def test_corpus_draws_from_the_pretraining_partition_only(monkeypatch, corpus):
    parts = set()
    for name in DRAWERS:
        draw = getattr(t5_corpus, name)

        def recorded(rng, part, *rest, draw=draw):
            parts.add(part)
            return draw(rng, part, *rest)

        monkeypatch.setattr(t5_corpus, name, recorded)
    for mix in (t5_corpus.SHORT, t5_corpus.LONG):
        t5_corpus.make_examples("training/0/0", mix, 0, 500)
    assert parts == {"pretraining"}


def test_claims_are_balanced_and_true_as_labelled():
    rng, right = random.Random(0), 0
    for _ in range(500):
        example = t5_corpus.claim(rng, 3)
        stated, passage = re.fullmatch(r"claim: (.*) text: (.*)", example.source).groups()
        assert holds(passage, stated) == (example.target == "yes")
        right += example.target == "yes"
    assert 200 < right < 300


# Tokenizer and shipped files


@settings(max_examples=300)
@given(text=st.text())
def test_any_text_round_trips(tokenizer, text):
    assume(not any(token in text for token in tokenizer.all_special_tokens))  # hypothesis tries them, having read them
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_downstream_items_round_trip_in_few_tokens(tokenizer, items):
    for kind in MAKERS:
        for item in items[kind]["test"][:200]:
            text = next(iter(vars(item).values()))
            ids = tokenizer(text).input_ids
            assert tokenizer.decode(ids, skip_special_tokens=True) == text
            assert len(ids) == len(re.findall(r"[^\W\d]\w*|\d|[^\w\s]", text)) + 1


def test_tokenizer_looks_like_that_of_t5(tokenizer):
    assert tokenizer.is_fast
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<pad>", "</s>")
    assert tokenizer("true").input_ids[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id not in tokenizer("true", add_special_tokens=False).input_ids
    for label in t5_corpus.LABELS:
        assert len(tokenizer(label).input_ids) == 2
    assert len({tokenizer.convert_tokens_to_ids(f"<extra_id_{n}>") for n in range(20)}) == 20
    assert len(tokenizer) <= 1024


def test_offsets_point_into_the_text(tokenizer):
    text = "Anna owns 12 dogs."
    encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
    assert "".join(text[start:end] for start, end in encoded.offset_mapping if end > start).startswith("Anna owns 12")
    assert encoded.offset_mapping[-1] == (len(text) - 1, len(text))


def test_generators_reproduce_their_fingerprints(shipped):
    assert digest_data(Settings()) == {name: shipped[name] for name in ("corpus", "items")}


def test_files_match_their_fingerprints(shipped):
    assert digest_files(WEIGHTS) == shipped["files"]
    assert shipped["files"].keys() == {"model.safetensors", "tokenizer.json"}


def test_remaking_the_tokenizer_gives_the_shipped_one(shipped, tmp_path):
    make_processor(Settings()).save_pretrained(tmp_path)
    assert digest_files(tmp_path)["tokenizer.json"] == shipped["files"]["tokenizer.json"]


def test_shipped_settings_are_those_of_the_script(shipped):
    assert Settings(**shipped["settings"]) == Settings()


def test_shipped_model_loads_and_still_measures_what_it_did(tokenizer, shipped):
    model = AutoModelForSeq2SeqLM.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.decoder_start_token_id == tokenizer.pad_token_id
    assert not model.config.is_gated_act
    measured = probe(model, tokenizer, items=120)
    assert measured.claim_accuracy >= 0.85
    assert measured.extraction_accuracy == pytest.approx(shipped["probe"]["extraction_accuracy"], abs=0.1)
    assert measured.denoising_loss == pytest.approx(shipped["probe"]["denoising_loss"], rel=0.3)
