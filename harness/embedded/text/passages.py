"""Passages of facts about people, and what is asked about them downstream.

A false claim pairs a person with another person's value, so that every word of it occurs in the passage whether it is
true or not: no single word, and no bag of words, gives the answer away. Now and then a fact is denied; such denials
are placed so that the word "not" alone tells nothing either.
"""

import random
from dataclasses import dataclass

from harness.embedded.partition import Partition, collect, draw_within
from harness.embedded.text.people import ATTRIBUTES, PEOPLE, Attribute

DOWNSTREAM_FACTS = (2, 3, 4)
"""How many facts a downstream passage may have; with a single one there is nobody to confuse the person with."""

DENIAL_SHARE = 0.25
"""Share of downstream items with one denied fact; in half of the questions among them that fact is the one asked."""

CONJUNCTION_SHARE = 0.5
"""Share of downstream items that join two claims with "and". Pre-training has none: this is what keeps apart methods
that all learn single claims perfectly."""


@dataclass(frozen=True)
class Fact:
    """One person, attribute and value, affirmed or denied."""

    name: str
    attribute: Attribute
    value: str
    affirmed: bool = True

    def say(self, wording: str) -> str:
        """Return a wording filled with this name and value, with a capital first letter where it is a sentence."""
        return wording.format(n=self.name, v=self.value)


@dataclass(frozen=True)
class Passage:
    """Facts in the order of the text, each of another person and value. The source is the same in every wording."""

    facts: tuple[Fact, ...]
    text: str

    @property
    def source(self) -> str:
        """The facts in a fixed order."""
        return "|".join(sorted(f"{fact.name} {'is' if fact.affirmed else 'not'} {fact.value}" for fact in self.facts))


@dataclass(frozen=True)
class Question:
    """A passage and a question about it whose answer is yes (True) or no."""

    passage: str
    question: str
    answer: bool
    source: str


@dataclass(frozen=True)
class Entailment:
    """A premise, a hypothesis, and whether the one entails the other."""

    premise: str
    hypothesis: str
    entailed: bool
    source: str


def make_questions(part: Partition, count: int) -> list[Question]:
    """Return `count` questions of one partition, each about another passage."""
    return collect("questions", part, count, _draw_question_or_two)


def make_inferences(part: Partition, count: int) -> list[Entailment]:
    """Return `count` inferences of one partition, each from another premise."""
    return collect("entailments", part, count, _draw_inference_or_two)


def draw_passage(rng: random.Random, part: Partition, facts: int, denied: bool = False) -> Passage:
    """Return a random passage of `part` with that many facts; with `denied`, a random one of them is denied."""
    return draw_within(part, lambda: _any_passage(rng, facts, denied))


def mismatch(rng: random.Random, facts: tuple[Fact, ...]) -> Fact:
    """Return a false fact that pairs one person with the value of another, or of nobody when there is only one."""
    if len(facts) == 1:
        attribute = rng.choice(ATTRIBUTES)
        value = rng.choice([value for value in attribute.values if value != facts[0].value])
        return Fact(facts[0].name, attribute, value)
    person, other = rng.sample(facts, 2)
    return Fact(person.name, other.attribute, other.value)


def _any_passage(rng: random.Random, count: int, denied: bool) -> Passage:
    names, facts = rng.sample(PEOPLE, count), []
    denied_position = rng.randrange(count) if denied else None
    # One attribute for all is as likely as any mixture: then the values are all of one kind and harder to keep apart.
    shared = rng.choice(ATTRIBUTES) if rng.random() < 0.5 else None
    for position, name in enumerate(names):
        attribute = shared or rng.choice(ATTRIBUTES)
        value = rng.choice([value for value in attribute.values if all(value != fact.value for fact in facts)])
        facts.append(Fact(name, attribute, value, affirmed=position != denied_position))
    sentences = [
        fact.say(rng.choice(fact.attribute.facts) if fact.affirmed else fact.attribute.negated) for fact in facts
    ]
    return Passage(tuple(facts), " ".join(sentences))


def draw_question(rng: random.Random, part: Partition) -> Question:
    """Return a random question of `part` about a single fact."""
    denied = rng.random() < DENIAL_SHARE
    passage = draw_passage(rng, part, rng.choice(DOWNSTREAM_FACTS), denied)
    affirmed = tuple(fact for fact in passage.facts if fact.affirmed)
    answer = rng.random() < 0.5
    if answer:
        asked = rng.choice(affirmed)
    elif denied:
        asked = next(fact for fact in passage.facts if not fact.affirmed)
    else:
        asked = mismatch(rng, passage.facts)
    return Question(passage.text, asked.say(rng.choice(asked.attribute.questions)), answer, passage.source)


def draw_inference(rng: random.Random, part: Partition) -> Entailment:
    """Return a random inference of `part` whose hypothesis is a single fact."""
    entailed = rng.random() < 0.5
    if rng.random() >= DENIAL_SHARE:
        passage = draw_passage(rng, part, rng.choice(DOWNSTREAM_FACTS))
        claimed = rng.choice(passage.facts) if entailed else mismatch(rng, passage.facts)
        wording = rng.choice(claimed.attribute.hypotheses)
        return Entailment(passage.text, claimed.say(wording), entailed, passage.source)
    # Premise and hypothesis agree about one person and value or contradict each other: one "not" means the opposite
    # of no or two, so that neither tells anything by itself.
    denied = rng.random() < 0.5
    passage = draw_passage(rng, part, rng.choice(DOWNSTREAM_FACTS), denied)
    claimed = next(fact for fact in passage.facts if fact.affirmed != denied)
    negated = denied == entailed
    attribute = claimed.attribute
    wording = attribute.negated_hypothesis if negated else rng.choice(attribute.hypotheses)
    return Entailment(passage.text, claimed.say(wording), entailed, passage.source)


def _draw_question_or_two(rng: random.Random, part: Partition) -> Question:
    if rng.random() >= CONJUNCTION_SHARE:
        return draw_question(rng, part)
    passage, pair, answer = _draw_pair(rng, part)
    first, second = (fact.say(rng.choice(fact.attribute.questions)) for fact in pair)
    return Question(passage.text, f"{first[:-1]} and {second}", answer, passage.source)


def _draw_inference_or_two(rng: random.Random, part: Partition) -> Entailment:
    if rng.random() >= CONJUNCTION_SHARE:
        return draw_inference(rng, part)
    passage, pair, entailed = _draw_pair(rng, part)
    first, second = (fact.say(rng.choice(fact.attribute.hypotheses)) for fact in pair)
    return Entailment(passage.text, f"{first[:-1]} and {second}", entailed, passage.source)


def _draw_pair(rng: random.Random, part: Partition) -> tuple[Passage, tuple[Fact, Fact], bool]:
    """Return a passage, two claims about it, and whether both are true; when not, one of them is a mismatch."""
    passage = draw_passage(rng, part, rng.choice(DOWNSTREAM_FACTS[1:]))
    true = rng.random() < 0.5
    first, second = rng.sample(passage.facts, 2)
    if not true and rng.random() < 0.5:
        first = mismatch(rng, passage.facts)
    elif not true:
        second = mismatch(rng, passage.facts)
    return passage, (first, second), true
