"""Grade-school word problems with step-by-step solutions, made from the sentence families.

A problem's `source` names its family and slot values, whatever the wording. Its sha256 alone decides the partition, so
pre-training, downstream training and test problems can never meet. Everything is deterministic in the seed.

    >>> make_problems("train", 1)[0].answer.isdigit()
    True
"""

import operator
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.embedded.partition import PARTITIONS, Partition, partition
from harness.embedded.text.families import FAMILIES, Family
from harness.embedded.text.vocabulary import pronouns

LARGEST_NUMBER = 999
"""No quantity in a problem exceeds this, so that numbers have at most three digits."""

_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.floordiv,
}


@dataclass(frozen=True)
class Problem:
    """A word problem. `solution` is the reasoning without the line that states the final `answer`, an integer."""

    question: str
    solution: str
    answer: str
    source: str


@dataclass(frozen=True)
class Draft:
    """A problem still in its sentences: facts and ask make the question, steps the solution, equations their core."""

    facts: tuple[str, ...]
    ask: str
    steps: tuple[str, ...]
    equations: tuple[str, ...]
    answer: str
    source: str

    @property
    def question(self) -> str:
        """The whole question as one line of text."""
        return " ".join((*self.facts, self.ask))


def draw(rng: random.Random, part: Partition, family: Family | None = None) -> Draft:
    """Return a random problem of the partition `part`, from `family` or from a family chosen by `rng`."""
    family = rng.choice(FAMILIES) if family is None else family
    for _ in range(10_000):
        slots: dict[str, str | int] = {name: rng.choice(values) for name, values in family.slots.items()}
        words = [value for value in slots.values() if isinstance(value, str)]
        if len(set(words)) < len(words):
            continue
        solved = _solve(family, slots)
        if solved is None:
            continue
        source = "|".join([family.name, *(f"{name}={value}" for name, value in slots.items())])
        if partition(source) == part:
            return _word(rng, family, slots, solved, source)
    raise ValueError(f"family {family.name!r} yields no problem for partition {part!r}; widen its slots")


def make_problems(part: Partition, count: int, seed: int = 0) -> list[Problem]:
    """Return `count` problems of one partition, no two of which share a source or a question.

    The same arguments always give the same list, and a larger `count` only appends to it.
    """
    if part not in PARTITIONS:
        raise ValueError(f"unknown partition {part!r}; expected one of {', '.join(PARTITIONS)}")
    rng = random.Random(f"problems/{part}/{seed}")
    problems: list[Problem] = []
    seen: set[str] = set()
    for _ in range(100 + 20 * count):
        if len(problems) >= count:
            return problems
        draft = draw(rng, part)
        if draft.source in seen or draft.question in seen:
            continue
        seen.update((draft.source, draft.question))
        problems.append(Problem(draft.question, " ".join(draft.steps), draft.answer, draft.source))
    raise ValueError(f"cannot find {count} different problems in partition {part!r}")


def _solve(family: Family, slots: dict[str, str | int]) -> dict[str, tuple[str, int]] | None:
    """Return the equation and value of each step by its result; None when one is not a whole number within range."""
    values = dict(slots)
    solved: dict[str, tuple[str, int]] = {}
    for step in family.steps:
        terms = [values.get(term, term) for term in step.expression.split()]
        value = int(terms[0])
        for sign, operand in zip(terms[1::2], terms[2::2], strict=True):
            if sign == "/" and value % int(operand):
                return None
            value = _OPERATORS[str(sign)](value, int(operand))
        if not 2 <= value <= LARGEST_NUMBER:
            return None
        values[step.result] = value
        solved[step.result] = (f"{' '.join(map(str, terms))} = {value}", value)
    return solved


def _word(
    rng: random.Random,
    family: Family,
    slots: dict[str, str | int],
    solved: dict[str, tuple[str, int]],
    source: str,
) -> Draft:
    """Put a solved problem into words, with a random wording of each sentence of its question."""
    fillers = {**slots, **pronouns(str(slots.get("name", "")))}
    steps = []
    for step in family.steps:
        equation, value = solved[step.result]
        steps.append(_capitalize(step.sentence.format(**fillers, equation=equation)))
    return Draft(
        facts=tuple(_capitalize(rng.choice(wordings).format(**fillers)) for wordings in family.facts),
        ask=rng.choice(family.asks).format(**fillers),
        steps=tuple(steps),
        equations=tuple(solved[step.result][0] for step in family.steps),
        answer=str(solved[family.steps[-1].result][1]),
        source=source,
    )


def _capitalize(sentence: str) -> str:
    """Return the sentence with a capital first letter and the rest untouched (unlike str.capitalize)."""
    return sentence[:1].upper() + sentence[1:]


def read_equations(text: str) -> list[tuple[str, int]]:
    """Return every equation in `text` as its left side and the stated result, for example ("3 * 4", 12)."""
    found = re.findall(r"(\d+(?: [-+*/] \d+)+) = (\d+)", text)
    return [(left, int(right)) for left, right in found]
