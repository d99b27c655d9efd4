"""The people of the embedded passages and articles: their names and what can be said about each of them.

Data only. Every value is one word, so that it becomes one token, and belongs to one attribute alone.
"""

from dataclasses import dataclass

from harness.embedded.text.vocabulary import NAMES

PEOPLE: tuple[str, ...] = NAMES + ("Nina", "Olga", "Paula", "Rosa", "Oscar", "Simon", "Tom", "Victor")
"""First names."""

CITIES: tuple[str, ...] = (
    "Paris", "Rome", "Oslo", "Lima", "Cairo", "Delhi", "Tokyo", "Boston", "Madrid", "Berlin", "Vienna", "Dublin",
)  # fmt: skip
"""Places to live in and to be in the news from."""


@dataclass(frozen=True)
class Attribute:
    """Something that a person may have one of, and how to say so.

    `facts` and `negated` state it in a passage; `claim` and `ask` belong to pre-training, `questions`, `hypotheses`
    and `negated_hypothesis` to the downstream tasks. {n} stands for the name and {v} for the value.
    """

    name: str
    values: tuple[str, ...]
    facts: tuple[str, ...]
    negated: str
    claim: str
    ask: str
    questions: tuple[str, ...]
    hypotheses: tuple[str, ...]
    negated_hypothesis: str


ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute(
        name="home",
        values=CITIES,
        facts=("{n} lives in {v}.", "The home of {n} is in {v}."),
        negated="{n} does not live in {v}.",
        claim="{n} is from {v}",
        ask="which town has {n}",
        questions=("is {n} a resident of {v}?", "could one visit {n} in {v}?"),
        hypotheses=("{n} is a citizen of {v}.", "A letter to {n} must go to {v}."),
        negated_hypothesis="{n} is not a citizen of {v}.",
    ),
    Attribute(
        name="job",
        values=(
            "baker",
            "painter",
            "driver",
            "waiter",
            "gardener",
            "teacher",
            "doctor",
            "lawyer",
            "farmer",
            "pilot",
            "singer",
            "nurse",
        ),
        facts=("{n} works as a {v}.", "By trade {n} is a {v}."),
        negated="{n} does not work as a {v}.",
        claim="{n} is a {v}",
        ask="which job has {n}",
        questions=("does {n} earn money as a {v}?", "is the job of {n} that of a {v}?"),
        hypotheses=("{n} was hired as a {v}.", "The job of {n} is that of a {v}."),
        negated_hypothesis="{n} was not hired as a {v}.",
    ),
    Attribute(
        name="pet",
        values=(
            "dog",
            "cat",
            "horse",
            "rabbit",
            "parrot",
            "hamster",
            "turtle",
            "goat",
            "donkey",
            "pony",
            "duck",
            "mouse",
        ),
        facts=("{n} owns a {v}.", "{n} keeps a {v} at home."),
        negated="{n} does not own a {v}.",
        claim="{n} has a {v}",
        ask="which pet has {n}",
        questions=("does {n} feed a {v} each day?", "is a {v} the pet of {n}?"),
        hypotheses=("The pet of {n} is a {v}.", "A {v} belongs to {n}."),
        negated_hypothesis="The pet of {n} is not a {v}.",
    ),
    Attribute(
        name="food",
        values=(
            "pizza",
            "pasta",
            "rice",
            "soup",
            "bread",
            "cheese",
            "honey",
            "salad",
            "fish",
            "cake",
            "fruit",
            "chocolate",
        ),
        facts=("{n} likes {v}.", "{n} often eats {v}."),
        negated="{n} does not like {v}.",
        claim="{n} wants {v}",
        ask="which food has {n}",
        questions=("would {n} be glad about {v}?", "does {n} choose {v} for lunch?"),
        hypotheses=("{n} enjoys {v}.", "A plate of {v} makes {n} happy."),
        negated_hypothesis="{n} does not enjoy {v}.",
    ),
    Attribute(
        name="sport",
        values=(
            "chess",
            "tennis",
            "football",
            "golf",
            "hockey",
            "rugby",
            "darts",
            "cricket",
            "squash",
            "polo",
            "handball",
            "judo",
        ),
        facts=("{n} plays {v}.", "{n} trains for {v}."),
        negated="{n} does not play {v}.",
        claim="{n} does {v}",
        ask="which sport has {n}",
        questions=("is {n} in a club for {v}?", "does {n} know the rules of {v}?"),
        hypotheses=("{n} is a player of {v}.", "One may meet {n} at {v}."),
        negated_hypothesis="{n} is not a player of {v}.",
    ),
    Attribute(
        name="study",
        values=(
            "history",
            "music",
            "physics",
            "biology",
            "chemistry",
            "geography",
            "poetry",
            "drama",
            "logic",
            "law",
            "art",
            "maths",
        ),
        facts=("{n} studies {v}.", "{n} takes lessons in {v}."),
        negated="{n} does not study {v}.",
        claim="{n} learns {v}",
        ask="which subject has {n}",
        questions=("does {n} read books on {v}?", "is {v} a subject of {n}?"),
        hypotheses=("{n} is a student of {v}.", "{n} must write a paper on {v}."),
        negated_hypothesis="{n} is not a student of {v}.",
    ),
)
