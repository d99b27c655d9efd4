"""Short news articles and their highlights.

An article tells of several people, each with a deed, a town and a length of time, in sentences of random order; one
sentence says who the news is about. The highlight therefore has to be found: the right person by that cue, then this
person's own town and number, and the deed in other words than the article's.
"""

import random
from dataclasses import dataclass

from harness.embedded.partition import Partition, collect, draw_within
from harness.embedded.text.people import CITIES, PEOPLE


@dataclass(frozen=True)
class Deed:
    """Something that makes the news: what the article says of somebody, and the highlight of one or two sentences."""

    told: str
    highlight: str


DEEDS: tuple[Deed, ...] = (
    Deed("came first in the boat race", "{n} wins a boat race in {place}. The training lasted {number} {unit}."),
    Deed("dug up a box of gold", "After {number} {unit} of digging, {n} finds a treasure in {place}."),
    Deed("carried a child out of the fire", "{n} saves a child in {place}, after {number} {unit} of danger."),
    Deed("put up the tallest tower", "Tower of {n} is ready in {place}. It took {number} {unit} to build."),
    Deed("gave all the money to the poor", "{place}: {n} helps the poor with savings of {number} {unit}."),
    Deed("spoke for a new bridge", "{n} wants a bridge in {place} within {number} {unit}."),
    Deed("walked across the whole country", "In {place} ends a walk of {n}. It lasted {number} {unit}."),
    Deed("was chosen to lead the town", "{place} has a new mayor, {n}, for the next {number} {unit}."),
    Deed("went to prison for theft", "Thief {n} caught in {place}. Police had looked for {number} {unit}."),
    Deed("closed the old factory", "No more work in {place}: {n} shuts a factory after {number} {unit}."),
    Deed("drew the best map of the stars", "{number} {unit} of drawing bring {n} a prize in {place}."),
    Deed("swam through the cold lake", "{n} beats the lake of {place} in {number} {unit}."),
    Deed("made a film about bees", "Film by {n} opens in {place}. Work on it went on for {number} {unit}."),
    Deed("got the sick lion back to health", "Lion of {place} is well again. {n} cared for it for {number} {unit}."),
    Deed("built a plane from wood", "Plane flies over {place} after {n} spends {number} {unit} on it."),
    Deed("taught the robot to cook", "Robot cooks in {place} thanks to {n} and {number} {unit} of lessons."),
)

UNITS: tuple[str, ...] = ("hours", "days", "weeks", "months", "years")

CUES: tuple[str, ...] = (
    "Everybody talks about {n}.",
    "Our front page belongs to {n}.",
    "The name of the day is {n}.",
    "The biggest story is that of {n}.",
    "Readers want to hear more of {n}.",
)
"""Sentences that say who the news is about, at the beginning or the end."""

PLACES: tuple[str, ...] = ("{n} {told} in {place}.", "In {place} {n} {told}.")
TIMES: tuple[str, ...] = (
    "It took {n} {number} {unit}.",
    "{n} needed {number} {unit}.",
    "For that {n} spent {number} {unit}.",
)

ASIDES: tuple[str, ...] = (
    "The weather stayed cold and wet.",
    "Many people came to look.",
    "Nobody was hurt.",
    "More news follows tonight.",
    "The streets were full of noise.",
    "Prices went up again.",
)
"""Sentences that matter to nobody's story."""


@dataclass(frozen=True)
class Story:
    """What one person did, where, and in what time."""

    name: str
    deed: Deed
    place: str
    number: int
    unit: str

    def say(self, wording: str) -> str:
        """Return a wording filled with this story."""
        return wording.format(n=self.name, told=self.deed.told, place=self.place, number=self.number, unit=self.unit)


@dataclass(frozen=True)
class Report:
    """An article still in its stories, of which the first is the main one."""

    stories: tuple[Story, ...]
    text: str

    @property
    def source(self) -> str:
        """The stories in order, in fixed words; the main one is first."""
        return "|".join(story.say("{n} {told} {place} {number} {unit}") for story in self.stories)


@dataclass(frozen=True)
class Article:
    """The text of an article and the highlights that sum it up."""

    text: str
    highlights: str
    source: str


def make_articles(part: Partition, count: int) -> list[Article]:
    """Return `count` articles of one partition, no two of which tell the same stories."""
    return collect("articles", part, count, draw_article)


def draw_report(rng: random.Random, part: Partition) -> Report:
    """Return a random report of `part`: two or three stories told in four to eight sentences."""
    return draw_within(part, lambda: _any_report(rng))


def _any_report(rng: random.Random) -> Report:
    count = rng.choice((2, 2, 3))
    slots = zip(
        rng.sample(PEOPLE, count),
        rng.sample(DEEDS, count),
        rng.sample(CITIES, count),
        rng.sample(range(2, 60), count),
        rng.sample(UNITS, count),
        strict=True,
    )
    stories = tuple(Story(*values) for values in slots)
    # The time of a story may stand anywhere after its deed, so that the two sentences need not be neighbours.
    sentences = [(rng.random(), story.say(rng.choice(PLACES))) for story in stories]
    sentences += [
        (rng.uniform(order, 1.5), story.say(rng.choice(TIMES)))
        for (order, _), story in zip(tuple(sentences), stories, strict=True)
    ]
    if rng.random() < 0.6:
        sentences.append((rng.uniform(0, 1.5), rng.choice(ASIDES)))
    told = [sentence for _, sentence in sorted(sentences)]
    told.insert(0 if rng.random() < 0.7 else len(told), stories[0].say(rng.choice(CUES)))
    return Report(stories, " ".join(told))


def draw_article(rng: random.Random, part: Partition) -> Article:
    """Return a random article of `part`."""
    report = draw_report(rng, part)
    main = report.stories[0]
    return Article(report.text, main.say(main.deed.highlight), report.source)
