"""Chains of everyday events, each the cause of the next, and the choice between two possible neighbours of one.

Which events belong together is learned by heart; whether the cause or the effect is asked decides where both choices
are neighbours of the premise. A premise varies in its person and day, which makes the space large enough to split.
"""

import random
from dataclasses import dataclass
from typing import Literal

from harness.embedded.partition import Partition, collect, draw_within
from harness.embedded.text.people import PEOPLE

DAYS: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

CHAINS: tuple[tuple[str, str, str], ...] = (
    ("dropped a glass", "cut a finger", "put on a bandage"),
    ("missed the bus", "came late to work", "said sorry to the boss"),
    ("worked all night", "fell asleep at noon", "missed a phone call"),
    ("ate too much", "had a sore stomach", "lay on the sofa"),
    ("lost the key", "stood at a locked door", "climbed through the window"),
    ("forgot the umbrella", "got wet in the rain", "caught a cold"),
    ("trained every day", "won the medal", "held a party"),
    ("left the oven on", "burned the dinner", "ordered a meal"),
    ("fell off a ladder", "broke a leg", "walked on crutches"),
    ("saved some money", "bought a car", "drove to the sea"),
    ("watered the seeds", "grew tall flowers", "filled every vase"),
    ("stole a bike", "met the police", "paid a fine"),
    ("read the whole book", "knew every answer", "passed the test"),
    ("left the gate open", "lost the sheep", "searched the hills"),
    ("stayed in the sun", "got a red face", "used some cream"),
    ("spilled the ink", "stained the shirt", "washed the shirt"),
    ("heard a strange noise", "felt afraid", "hid under the bed"),
    ("told a joke", "made them all laugh", "became popular"),
    ("skipped breakfast", "felt hungry", "bought a sandwich"),
    ("rode over a nail", "had a flat tire", "changed the wheel"),
    ("sang too loud", "woke the baby", "rocked the cradle"),
    ("found a wallet", "looked for the owner", "got a reward"),
    ("moved far away", "felt lonely", "joined a club"),
    ("painted a picture", "sent it to a museum", "became famous"),
)
"""Each event causes the one after it."""

OPPOSITE_SHARE = 0.5
"""How often the wrong choice is the premise's other neighbour, where it has two."""


@dataclass(frozen=True)
class Event:
    """One event of a chain, happening to a person on a day."""

    chain: int
    place: int
    name: str
    day: str

    @property
    def source(self) -> str:
        """The event in fixed words."""
        return f"{CHAINS[self.chain][self.place]}|{self.name}|{self.day}"

    @property
    def text(self) -> str:
        """The event as a sentence with its day."""
        return f"On {self.day} {self.name} {CHAINS[self.chain][self.place]}."

    def tell(self, chain: int, place: int) -> str:
        """Return another event of the same person as a sentence."""
        return f"{self.name} {CHAINS[chain][place]}."


@dataclass(frozen=True)
class Choice:
    """A premise and two sentences, of which `correct` (0 or 1) is its cause or its effect, as `question` says."""

    premise: str
    question: Literal["cause", "effect"]
    choice1: str
    choice2: str
    correct: int
    source: str


def make_choices(part: Partition, count: int) -> list[Choice]:
    """Return `count` choices of one partition, each from another premise."""
    return collect("choices", part, count, draw_choice)


def draw_event(rng: random.Random, part: Partition) -> Event:
    """Return a random event of `part`."""
    return draw_within(
        part,
        lambda: Event(rng.randrange(len(CHAINS)), rng.randrange(3), rng.choice(PEOPLE), rng.choice(DAYS)),
    )


def neighbours(rng: random.Random, event: Event) -> tuple[Literal["cause", "effect"], str, str]:
    """Return what to ask about an event, a sentence that answers it, and one that does not."""
    question: Literal["cause", "effect"] = {0: "effect", 2: "cause"}.get(event.place) or rng.choice(
        ("cause", "effect")
    )
    step = 1 if question == "effect" else -1
    right = event.tell(event.chain, event.place + step)
    if event.place == 1 and rng.random() < OPPOSITE_SHARE:
        return question, right, event.tell(event.chain, event.place - step)
    other = rng.choice([chain for chain in range(len(CHAINS)) if chain != event.chain])
    return question, right, event.tell(other, rng.randrange(3))


def draw_choice(rng: random.Random, part: Partition) -> Choice:
    """Return a random choice of `part`."""
    event = draw_event(rng, part)
    question, right, wrong = neighbours(rng, event)
    correct = rng.randrange(2)
    first, second = (right, wrong) if correct == 0 else (wrong, right)
    return Choice(event.text, question, first, second, correct, event.source)
