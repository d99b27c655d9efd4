"""What the embedded encoder-decoder model is pre-trained on: short exercises, and text to restore.

Only the pretraining partition of passages, events and reports occurs. The exercises ask for the abilities that the
downstream tasks need, but in formats, phrasings and answers of their own; downstream phrasings occur only in text to
restore, without their answers, so that their words are familiar and fine-tuning has the rest to teach:

- claims about passages, answered yes or no; which value a person has, which person has a value;
- the event before or after another, told or picked as left or right;
- who a report is about, who did what where and for how long, and that of one person on a card.
"""

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.embedded.partition import Partition
from harness.embedded.text.events import draw_choice, draw_event, neighbours
from harness.embedded.text.news import Story, draw_article, draw_report
from harness.embedded.text.passages import Fact, draw_inference, draw_passage, draw_question, mismatch

LABELS = ("true", "false", "entailment", "not_entailment", "choice1", "choice2")
"""Downstream answers. Pre-training shows them in random order only."""

CLAIM_ANSWERS = ("yes", "no")
"""What pre-training answers to a true and to a false claim."""

PREFIX_SHARE = 0.2
"""Share of the sources that begin with a meaningless word, as the unknown name of a task is one to the model."""


@dataclass(frozen=True)
class Example:
    """A source text and the target text to write; without a target the source is to be restored from a part of it."""

    source: str
    target: str | None = None


def claim(rng: random.Random, facts: int, part: Partition = "pretraining") -> Example:
    """Return a claim about a passage of that many facts; every second one is false."""
    stated, passage, answer = _judged(rng, facts, part)
    return Example(f"claim: {stated.say(stated.attribute.claim)} text: {passage}", answer)


def _judged(rng: random.Random, facts: int, part: Partition) -> tuple[Fact, str, str]:
    """Return a fact to claim, the text of a passage, and the answer."""
    passage = draw_passage(rng, part, facts)
    true = rng.random() < 0.5
    stated = rng.choice(passage.facts) if true else mismatch(rng, passage.facts)
    return stated, passage.text, CLAIM_ANSWERS[0 if true else 1]


def extraction(rng: random.Random, facts: int, part: Partition = "pretraining") -> Example:
    """Return a question about a passage that one word of it answers: a value or a name."""
    passage = draw_passage(rng, part, facts)
    fact = rng.choice(passage.facts)
    if rng.random() < 0.5:
        return Example(f"ask: {fact.say(fact.attribute.ask)} text: {passage.text}", fact.value)
    return Example(f"ask: who fits {fact.value} text: {passage.text}", fact.name)


def checking(rng: random.Random, facts: int) -> Example:
    """Return what the first stage of pre-training consists of: three claims to one extraction."""
    return extraction(rng, facts) if rng.random() < 0.25 else claim(rng, facts)


def _claim(rng: random.Random) -> Example:
    """Return a claim in one of many formats, so that the ability is not tied to one."""
    stated, passage, answer = _judged(rng, rng.choice((2, 2, 3, 4)), "pretraining")
    wording = "{v} fits {n}" if rng.random() < 0.25 else stated.attribute.claim
    said = stated.say(wording) + rng.choice(("", "."))
    ask, text = rng.choice((("claim", "text"), ("check", "story"), ("statement", "facts")))
    fields = [f"{ask}: {said}", f"{text}: {passage}"]
    rng.shuffle(fields)
    return Example(" ".join(fields), answer)


def _extraction(rng: random.Random) -> Example:
    return extraction(rng, rng.choice((2, 3, 4)))


def _neighbour(rng: random.Random) -> Example:
    """Return the task to tell the event before or after another."""
    event = draw_event(rng, "pretraining")
    word, right, _ = neighbours(rng, event)
    return Example(f"{'next' if word == 'effect' else 'previous'}: {event.text}", right)


def _pick(rng: random.Random) -> Example:
    """Return the task to pick the event before or after another, in one of several formats."""
    choice = draw_choice(rng, "pretraining")
    word = "next" if choice.question == "effect" else "previous"
    names = rng.choice((("left", "right"), ("one", "two"), ("up", "down")))
    choices = f"{names[0]}: {choice.choice1} {names[1]}: {choice.choice2}"
    opening = rng.choice((f"pick {word}: {choice.premise}", f"event: {choice.premise} pick: {word}"))
    return Example(f"{opening} {choices}", names[choice.correct])


def _ask_report(rng: random.Random) -> Example:
    """Return a question about a report that a few words of it answer."""
    report = draw_report(rng, "pretraining")
    story = rng.choice(report.stories)
    question, answer = rng.choice(
        (
            ("who is it about", report.stories[0].name),
            (f"who was in {story.place}", story.name),
            (f"where was {story.name}", story.place),
            (f"how long for {story.name}", f"{story.number} {story.unit}"),
            (f"what of {story.name}", story.deed.told),
        )
    )
    return Example(f"ask: {question} text: {report.text}", answer)


def _card(rng: random.Random) -> Example:
    """Return the task to put what one person of a report did on a card: the main person or a given one."""
    report = draw_report(rng, "pretraining")
    if rng.random() < 0.5:
        return Example(f"card: text: {report.text}", _card_of(report.stories[0]))
    story = rng.choice(report.stories)
    return Example(f"card: {story.name} text: {report.text}", _card_of(story))


def _card_of(story: Story) -> str:
    return story.say("who: {n} where: {place} long: {number} {unit} what: {told}")


def _short_text(rng: random.Random) -> Example:
    """Return text to restore: a passage, a downstream item without its answer, a highlight without its article."""
    part: Partition = "pretraining"
    kind = rng.randrange(6)
    if kind == 0:
        return Example(draw_passage(rng, part, rng.choice((2, 3, 4))).text)
    if kind == 1:
        question = draw_question(rng, part)
        return Example(f"passage: {question.passage} question: {question.question}")
    if kind == 2:
        inference = draw_inference(rng, part)
        return Example(f"premise: {inference.premise} hypothesis: {inference.hypothesis}")
    if kind == 3:
        choice = draw_choice(rng, part)
        choices = f"choice1: {choice.choice1} choice2: {choice.choice2}"
        return Example(f"premise: {choice.premise} question: {choice.question} {choices}")
    if kind == 4:
        return Example(draw_article(rng, part).highlights)
    return Example(" ".join(rng.sample(LABELS, len(LABELS))))


def _long_text(rng: random.Random) -> Example:
    return Example(f"summarize: {draw_report(rng, 'pretraining').text}")


Maker = Callable[[random.Random], Example]

SHORT: dict[Maker, int] = {_claim: 24, _extraction: 8, _neighbour: 16, _pick: 30, _short_text: 22}
"""How many in a hundred of the short examples are of each kind."""

LONG: dict[Maker, int] = {_ask_report: 40, _card: 40, _long_text: 20}
"""How many in a hundred of the examples with a whole report are of each kind."""


def make_examples(
    key: str, mix: dict[Maker, int], first: int, count: int, prefix_share: float = PREFIX_SHARE
) -> list[Example]:
    """Return `count` examples of a mix from number `first` on; key and number decide each."""
    drawn = []
    for number in range(first, first + count):
        rng = random.Random(f"{key}/{number}")
        example = rng.choices(list(mix), list(mix.values()))[0](rng)
        if rng.random() < prefix_share:
            word = "".join(rng.choices(string.ascii_lowercase, k=rng.randint(3, 7)))
            example = replace(example, source=f"{word} {example.source}")
        drawn.append(example)
    return drawn
