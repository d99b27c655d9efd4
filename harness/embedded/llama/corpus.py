"""The text that the embedded causal model is pre-trained on.

A mix of kinds of short documents. Downstream words, sentence shapes and arithmetic all occur in it, but never a
question with its reasoning and its final answer together, so that answering step by step is left to fine-tuning:

- sentences from the downstream families appear only shuffled, each sentence of a document from another family;
- downstream questions, of the pretraining partition only, are followed by bare equations or by a first step alone;
- reasoning of downstream problems in one piece comes without its question and without a final answer;
- "Question:", "Answer:" and "The answer is:" appear only around small talk and one-step arithmetic.

Held-out documents are told from training documents by a hash of their text, so the two never share one.
"""

import hashlib
import random
from collections.abc import Callable, Iterator

from harness.embedded.text import word_problems
from harness.embedded.text.families import FAMILIES, ITEMS
from harness.embedded.text.vocabulary import (
    CONTAINERS,
    FOODS,
    GOALS,
    JOBS,
    NAMES,
    PLACES,
    PLANTS,
    SHOPS,
    VEHICLES,
    pronouns,
)

HELD_OUT_SHARE = 64
"""One document in this many is held out."""

COLOURS = ("red", "blue", "green", "old", "new", "small", "big")
DAYS = ("Monday", "Tuesday", "Friday", "Sunday")


def documents(seed: int, start: int = 0) -> Iterator[str]:
    """Yield training documents without end, the same for the same seed, from draw `start` on."""
    return (text for _, text in numbered_documents(seed, start))


def numbered_documents(seed: int, start: int = 0) -> Iterator[tuple[int, str]]:
    """Yield (number of the draw, document) from draw `start` on, so that a reader can resume after any document."""
    number = start
    while True:
        text = _document(f"training/{seed}/{number}")
        if not _is_held_out(text):
            yield number, text
        number += 1


def held_out_documents(count: int) -> list[str]:
    """Return `count` different documents of the same mix that no seed of `documents` ever yields."""
    found: dict[str, None] = {}
    number = 0
    while len(found) < count:
        text = _document(f"held out/{number}")
        if _is_held_out(text):
            found[text] = None
        number += 1
    return list(found)


def _is_held_out(text: str) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % HELD_OUT_SHARE == 0


def _document(key: str) -> str:
    """Return the document that the key decides."""
    rng = random.Random(key)
    return rng.choices(_MAKERS, _WEIGHTS)[0](rng)


def equation(rng: random.Random) -> str:
    """Return one true equation over whole numbers, in the ranges and shapes that word problems need."""
    kind = rng.choices("+-*/3", (26, 26, 28, 12, 8))[0]
    if kind == "*":
        left, right = rng.randint(2, 15), rng.randint(2, 15)
        if rng.random() < 0.5:
            left = rng.randint(10, 60)
            right = rng.randint(2, 9)
        return f"{left} * {right} = {left * right}"
    if kind == "/":
        right = rng.randint(2, 9) if rng.random() < 0.8 else rng.randint(10, 15)
        result = rng.randint(2, rng.choice((20, 60)))
        return f"{right * result} / {right} = {result}"
    largest = rng.choice((20, 100, 100, 300))
    if kind == "+":
        left, right = rng.randint(2, largest), rng.randint(2, rng.choice((20, largest)))
        return f"{left} + {right} = {left + right}"
    if kind == "-":
        right, result = rng.randint(2, rng.choice((20, largest))), rng.randint(2, largest)
        return f"{right + result} - {right} = {result}"
    terms = [rng.randint(2, 90) for _ in range(3)]
    return f"{' + '.join(map(str, terms))} = {sum(terms)}"


def _arithmetic(rng: random.Random) -> str:
    """Return unrelated equations in a row."""
    return rng.choice(("\n", ". ", "; ", ", ")).join(equation(rng) for _ in range(rng.randint(4, 12)))


def _running_sum(rng: random.Random) -> str:
    """Return a chain of sums and differences, each going on from the last result."""
    total = rng.randint(5, 100)
    links = []
    for _ in range(rng.randint(3, 7)):
        change = rng.randint(2, 40)
        if rng.random() < 0.5 and total - change >= 2:
            links.append(f"{total} - {change} = {total - change}")
            total -= change
        else:
            links.append(f"{total} + {change} = {total + change}")
            total += change
    return rng.choice((", then ", "; ", "\n", ". Next ")).join(links)


def _number_facts(rng: random.Random) -> str:
    """Return facts about numbers in words."""
    return " ".join(_number_fact(rng) for _ in range(rng.randint(3, 6)))


def _number_fact(rng: random.Random) -> str:
    small, number, item = rng.randint(2, 9), rng.randint(2, 40), rng.choice(ITEMS)
    return rng.choice(
        (
            f"Half of {2 * number} is {number}.",
            f"{number + small} is {small} more than {number}.",
            f"{number} is {small} fewer than {number + small}.",
            f"{small} times {number} is {small * number}.",
            f"{small * number} split in {small} equal parts gives {number} each.",
            f"{small} {rng.choice(CONTAINERS)} of {number} {item} hold {small * number} {item}.",
            f"{small} {item} for {number} dollars each cost {small * number} dollars.",
            f"{number} {item} and {small} more are {number + small} {item}.",
            f"From {number + small} {item} take {small} away, and {number} are left.",
            f"In {small} hours at {number} miles per hour one goes {small * number} miles.",
        )
    )


def _plain_story(rng: random.Random) -> str:
    """Return a story without numbers."""
    name, other = rng.sample(NAMES, 2)
    words = pronouns(name)
    item, place, shop = rng.choice(ITEMS), rng.choice(PLACES), rng.choice(SHOPS)
    sentences = (
        f"{name} works as a {rng.choice(JOBS)} near the {place}.",
        f"On {rng.choice(DAYS)} {words['he']} meets {other} at the {shop}.",
        f"{other} likes {rng.choice(COLOURS)} {item}, but {name} wants a {rng.choice(GOALS)}.",
        f"{words['He']} takes the {rng.choice(VEHICLES)} to the {place}.",
        f"In the garden {words['he']} sees {rng.choice(PLANTS)} and {rng.choice(PLANTS)}.",
        f"{name} gives {words['his']} {item} to {other}.",
        f"Then {other} goes home and eats {rng.choice(FOODS)}.",
        f"{name} and {other} are friends and share all their {item}.",
    )
    return " ".join(rng.sample(sentences, rng.randint(3, 6)))


def _counting_story(rng: random.Random) -> str:
    """Return a story that keeps count of one kind of thing, in words rather than equations."""
    name, other = rng.sample(NAMES, 2)
    words, item, total = pronouns(name), rng.choice(ITEMS), rng.randint(5, 60)
    sentences = [f"{name} has {total} {item}."]
    for _ in range(rng.randint(2, 4)):
        change = rng.randint(2, 20)
        if rng.random() < 0.5 and total - change >= 2:
            total -= change
            cause = rng.choice((f"{words['He']} loses {change}", f"{other} takes {change}", f"{change} break"))
            sentences.append(f"{cause}, so {total} are left.")
        else:
            total += change
            cause = rng.choice((f"{words['He']} finds {change}", f"{other} gives {words['him']} {change}"))
            sentences.append(f"{cause} more, so now there are {total}.")
    return " ".join(sentences)


def _exchange(rng: random.Random) -> str:
    """Return small one-step questions in a format of their own."""
    ask, reply = rng.choice((("Q:", "A:"), ("ask:", "reply:"), ("-", "->"), ("Teacher:", "Child:")))
    lines = []
    for _ in range(rng.randint(2, 5)):
        left, right = equation(rng).split(" = ")
        name, item = rng.choice(NAMES), rng.choice(ITEMS)
        small, number = rng.randint(2, 12), rng.randint(2, 30)
        question, answer = rng.choice(
            (
                (f"What is {left}?", right),
                (f"How much is {left}?", right),
                (f"{name} has {number} {item} and gets {small} more. How many now?", str(number + small)),
                (f"{name} had {number + small} {item} and gave {small} away. How many are left?", str(number)),
                (f"{number} {item} cost {small} dollars each. How much is that?", str(number * small)),
                (f"{name} shares {number * small} {item} among {small} friends. How many each?", str(number)),
            )
        )
        lines.append(f"{ask} {question} {reply} {answer}")
    return "\n".join(lines)


def _shuffled_sentences(rng: random.Random) -> str:
    """Return downstream sentences, each of another family, so that no question or solution is ever whole."""
    sentences = []
    for family in rng.sample(FAMILIES, rng.randint(3, 6)):
        draft = word_problems.draw(rng, "pretraining", family)
        sentences.append(rng.choice((rng.choice(draft.facts), rng.choice(draft.steps), draft.ask)))
    return " ".join(sentences)


def _bare_equations(rng: random.Random) -> str:
    """Return a downstream question followed by its equations without words."""
    draft = word_problems.draw(rng, "pretraining")
    label = rng.choice(("Equations:", "Sums:", "In numbers:", "="))
    opening = rng.choice(("Question: ", "", "Problem: "))
    return f"{opening}{draft.question}\n{label} {rng.choice(('; ', ', ')).join(draft.equations)}"


def _reasoning(rng: random.Random) -> str:
    """Return the reasoning of a downstream problem without its question and without a closing line."""
    return " ".join(word_problems.draw(rng, "pretraining").steps)


def _first_step(rng: random.Random) -> str:
    """Return a downstream question with the first step only, in words, as an answer that stops short."""
    draft = word_problems.draw(rng, "pretraining")
    label = rng.choice(("First step:", "Step one:", "To begin:"))
    return f"{rng.choice(('Question: ', '', 'Problem: '))}{draft.question}\n{label} {draft.steps[0]}"


def _last_number(rng: random.Random) -> str:
    """Return unrelated equations and, on a line of its own, the last number once more."""
    equations = [equation(rng) for _ in range(rng.randint(2, 4))]
    name, item = rng.choice(NAMES), rng.choice(ITEMS)
    row = rng.choice(
        (
            ". ".join(equations) + ".",
            " ".join(f"{name} writes {equation}." for equation in equations),
            " ".join(f"There are {equation} {item}." for equation in equations),
        )
    )
    label = rng.choice(("The last number is:", "The last result is:", "Last:"))
    return f"{row}\n{label} {equations[-1].split(' = ')[1]}"


def _fragment(rng: random.Random) -> str:
    """Return a question and an answer that need no reasoning, under the labels that fine-tuning uses."""
    name, other = rng.sample(NAMES, 2)
    item, place = rng.choice(ITEMS), rng.choice(PLACES)
    question, answer = rng.choice(
        (
            (f"{name} is at the {place}. Where is {name}?", f"{name} is at the {place}."),
            (f"{name} gives {item} to {other}. Who has the {item}?", f"{other} has the {item}."),
            (f"{name} likes {item}. What does {name} like?", f"{item}."),
            (f"{name} is older than {other}. Who is older?", f"{name}."),
            (f"Does {name} sell {item} at the {place}?", f"No, {name} buys them."),
        )
    )
    if rng.random() < 0.4:
        left, right = equation(rng).split(" = ")
        return f"Question: What is {left}?\nThe answer is: {right}"
    return f"Question: {question}\nAnswer: {answer}"


_MIX: dict[Callable[[random.Random], str], int] = {
    _arithmetic: 20,
    _running_sum: 5,
    _number_facts: 6,
    _plain_story: 3,
    _counting_story: 5,
    _exchange: 8,
    _shuffled_sentences: 14,
    _bare_equations: 18,
    _reasoning: 5,
    _first_step: 6,
    _last_number: 5,
    _fragment: 5,
}
"""How many documents in a hundred are of each kind."""

_MAKERS, _WEIGHTS = list(_MIX), list(_MIX.values())
