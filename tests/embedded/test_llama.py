"""The embedded causal model: sentence families, corpus, tokenizer, shipped files."""

import re
from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness.embedded.fingerprints import digest_files, read_fingerprints
from harness.embedded.llama import corpus
from harness.embedded.llama.recipe import Settings, digest_data, make_processor, probe
from harness.embedded.partition import PARTITIONS, partition
from harness.embedded.pretrain import FOLDER
from harness.embedded.text import word_problems
from harness.embedded.text.families import FAMILIES
from harness.embedded.text.word_problems import make_problems, read_equations

WEIGHTS = FOLDER / "llama"
SHIPPED = read_fingerprints(WEIGHTS)
DOCUMENTS = 30_000


@pytest.fixture(scope="module")
def problems():
    """Return many problems of each partition."""
    return {part: make_problems(part, 4000) for part in PARTITIONS}


@pytest.fixture(scope="module")
def sample():
    """Return a large sample of the text that pre-training reads."""
    return list(islice(corpus.documents(SHIPPED["settings"]["seed"]), DOCUMENTS))


@pytest.fixture(scope="module")
def tokenizer():
    """Return the shipped tokenizer."""
    return AutoTokenizer.from_pretrained(WEIGHTS)


# Sentence families


def test_partitions_share_no_source_and_no_question(problems):
    for field in ("source", "question"):
        values = [getattr(problem, field) for part in PARTITIONS for problem in problems[part]]
        assert len(set(values)) == len(values)


def test_partition_is_decided_by_the_source(problems):
    for part in PARTITIONS:
        assert {partition(problem.source) for problem in problems[part]} == {part}


def test_problems_are_deterministic_and_a_larger_count_only_appends(problems):
    assert make_problems("test", 50) == problems["test"][:50]
    assert make_problems("test", 50, seed=1) != problems["test"][:50]


def test_every_equation_is_true_and_the_last_gives_the_answer(problems):
    for problem in problems["train"] + problems["test"]:
        equations = read_equations(problem.solution)
        assert 2 <= len(equations) <= 4
        for left, right in equations:
            assert eval(left) == right, problem  # digits and operators only, by the pattern of read_equations
        assert str(equations[-1][1]) == problem.answer


def test_every_number_of_a_solution_is_given_or_derived(problems):
    known = {"half": {"2"}, "legs": {"2", "4", "8"}}
    for problem in problems["test"]:
        given_numbers = set(re.findall(r"\d+", problem.question)) | known.get(problem.source.split("|")[0], set())
        for left, right in read_equations(problem.solution):
            assert set(re.findall(r"\d+", left)) <= given_numbers, problem
            given_numbers.add(str(right))


def test_texts_are_finished_sentences(problems):
    for problem in problems["test"]:
        for text in (problem.question, problem.solution):
            assert not re.search(r"[{}]|  |\n", text)
            assert text[0].isupper() or text[0].isdigit()
        assert problem.question.endswith("?")
        assert problem.solution.endswith(".")


def test_every_family_occurs_and_every_wording_differs(problems):
    assert {problem.source.split("|")[0] for problem in problems["test"]} == {family.name for family in FAMILIES}
    for family in FAMILIES:
        for wordings in (*family.facts, family.asks):
            assert len(set(wordings)) == len(wordings) >= 2


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_wording_of_a_question_names_every_slot(family):
    for slot in family.slots:
        pattern = re.compile(r"\{" + slot + r"\}")
        asked_always = all(pattern.search(ask) for ask in family.asks)
        told_always = any(all(pattern.search(wording) for wording in wordings) for wordings in family.facts)
        assert asked_always or told_always, f"{slot} may go unmentioned, so two sources could share a question"


def test_an_unknown_partition_is_refused():
    with pytest.raises(ValueError, match="expected one of pretraining, train, test"):
        make_problems("valid", 1)


# Corpus


def test_no_downstream_question_is_in_the_corpus(problems, sample):
    questions = {problem.question for part in ("train", "test") for problem in problems[part]}
    for text in sample:
        for line in text.split("\n"):
            assert line not in questions
            assert re.sub("^(Question|Problem): ", "", line) not in questions


def test_no_document_joins_question_reasoning_and_answer(sample):
    for text in sample:
        if "The answer is" in text:
            assert re.fullmatch(r"Question: What is [-+*/ \d]+\?\nThe answer is: \d+", text)
        if "Answer:" in text:
            assert not read_equations(text)


def test_corpus_draws_problems_of_the_pretraining_partition_only(monkeypatch):
    parts, draw = set(), word_problems.draw
    monkeypatch.setattr(
        word_problems, "draw", lambda rng, part, family=None: parts.add(part) or draw(rng, part, family)
    )
    list(islice(corpus.documents(0), 500))
    assert parts == {"pretraining"}


def test_whole_questions_get_bare_equations_or_one_step_only(sample):
    bare = steps = 0
    for text in sample:
        question, _, rest = text.partition("\n")
        if not question.endswith("?") or "\n" in rest or rest.startswith(("Answer:", "The answer is:")):
            continue
        label = re.match(r"(Equations:|Sums:|In numbers:|=|First step:|Step one:|To begin:) ", rest)
        if label is None:
            continue
        if label[1] in ("First step:", "Step one:", "To begin:"):
            steps += 1
            assert len(read_equations(rest)) == 1
        else:
            bare += 1
            assert re.fullmatch(r"[-+*/=;, \d]+", rest.removeprefix(label[1]))
    assert bare > DOCUMENTS / 10
    assert steps > DOCUMENTS / 40


def test_no_question_meets_its_reasoning_or_answer(monkeypatch):
    drafts, draw = [], word_problems.draw

    def recorded_draw(rng, part, family=None):
        drafts.append(draw(rng, part, family))
        return drafts[-1]

    monkeypatch.setattr(word_problems, "draw", recorded_draw)
    for text in islice(corpus.documents(0), 4000):
        for draft in drafts:
            told = sum(step in text for step in draft.steps)
            if draft.question in text:
                assert told <= 1
                assert "answer is" not in text.lower()
            if told == len(draft.steps):
                assert draft.ask not in text
                assert not any(fact in text for fact in draft.facts)
        drafts.clear()


def test_shuffled_sentences_each_come_from_another_family(monkeypatch):
    drawn, draw = [], word_problems.draw

    def recorded_draw(rng, part, family=None):
        draft = draw(rng, part, family)
        if family is not None:  # only shuffled sentences ask for one
            drawn.append((family.name, draft))
        return draft

    monkeypatch.setattr(word_problems, "draw", recorded_draw)
    monkeypatch.setattr(corpus, "_is_held_out", lambda text: False)  # or its drafts would count for the next text
    shuffled = 0
    for text in islice(corpus.documents(0), 2000):
        names = [name for name, _ in drawn]
        assert len(set(names)) == len(names)
        for _, draft in drawn:
            sentences = [sentence for sentence in (*draft.facts, *draft.steps, draft.ask) if text.startswith(sentence)]
            assert sentences, f"{text!r} does not go on with a sentence of {draft}"
            text = text.removeprefix(max(sentences, key=len)).removeprefix(" ")
        assert not drawn or text == "", "more than one sentence of a family"
        shuffled += bool(drawn)
        drawn.clear()
    assert shuffled > 200
    # so that one sentence is never a whole question or solution
    assert all(len(family.facts) >= 2 and len(family.steps) >= 2 for family in FAMILIES)


def test_every_equation_of_the_corpus_is_true(sample):
    for text in sample[:5000]:
        for left, right in read_equations(text):
            assert eval(left) == right, text


def test_held_out_documents_are_new(sample):
    held_out = corpus.held_out_documents(200)
    assert len(set(held_out)) == 200
    assert not set(held_out) & set(sample)
    assert held_out == corpus.held_out_documents(200)


def test_numbered_documents_resume():
    numbered = list(islice(corpus.numbered_documents(3), 200))
    number, _ = numbered[99]
    assert list(islice(corpus.numbered_documents(3, number + 1), 100)) == numbered[100:]


# Tokenizer and shipped files


@settings(max_examples=300)
@given(text=st.text())
def test_any_text_round_trips(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids) == text


@settings(max_examples=200)
@given(
    parts=st.lists(st.sampled_from(["12", " ", "\n", " * ", " = ", "Tom", " has", "?", "  ", "-", "\t"]), max_size=12)
)
def test_equations_and_white_space_round_trip(tokenizer, parts):
    text = "".join(parts)
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_prompt_and_target_tokenize_alike_apart_and_together(tokenizer, problems):
    for problem in problems["train"][:300]:
        prompt = f"Question: {problem.question}\nAnswer:"
        target = f" {problem.solution}\nThe answer is: {problem.answer}"
        assert tokenizer(prompt).input_ids + tokenizer(target).input_ids == tokenizer(prompt + target).input_ids


def test_digits_are_single_tokens(tokenizer):
    assert tokenizer.tokenize("3 * 14 = 42") == ["3", "Ġ*Ġ", "1", "4", "Ġ=Ġ", "4", "2"]


def test_generators_reproduce_their_fingerprints():
    assert digest_data(Settings()) == {name: SHIPPED[name] for name in ("corpus", "problems")}


def test_files_match_their_fingerprints():
    assert digest_files(WEIGHTS) == SHIPPED["files"]
    assert SHIPPED["files"].keys() == {"model.safetensors", "tokenizer.json"}


def test_retraining_the_tokenizer_gives_the_shipped_one(tmp_path):
    make_processor(Settings()).save_pretrained(tmp_path)
    assert digest_files(tmp_path)["tokenizer.json"] == SHIPPED["files"]["tokenizer.json"]


def test_shipped_model_loads_and_still_measures_what_it_did(tokenizer):
    model = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    assert model.config.num_key_value_heads < model.config.num_attention_heads
    assert len(tokenizer) <= model.config.vocab_size
    measured = probe(model, tokenizer, documents=64, equations=100)
    assert measured.held_out_loss == pytest.approx(SHIPPED["probe"]["held_out_loss"], rel=0.15)
    assert measured.arithmetic_accuracy == pytest.approx(SHIPPED["probe"]["arithmetic_accuracy"], abs=0.15)


def test_shipped_settings_are_those_of_the_script():
    assert Settings(**SHIPPED["settings"]) == Settings()
