"""The words that the sentence families of `word_problems` fill their slots with.

Every list is kept short on purpose: each word has to become familiar to a base model of about two million
parameters within a few minutes of pre-training.
"""

FEMALE_NAMES: tuple[str, ...] = (
    "Anna", "Bella", "Clara", "Dora", "Emma", "Fiona", "Grace", "Hanna", "Iris", "Julia", "Karen", "Lucy",
)  # fmt: skip
MALE_NAMES: tuple[str, ...] = (
    "Adam", "Ben", "Carl", "David", "Eric", "Frank", "George", "Henry", "Ivan", "Jack", "Leo", "Mark",
)  # fmt: skip
NAMES: tuple[str, ...] = FEMALE_NAMES + MALE_NAMES
"""First names; `pronouns` knows how to refer back to each."""

THINGS: tuple[str, ...] = (
    "pens", "books", "cups", "toys", "balls", "cards", "stamps", "coins", "shells", "beads", "marbles", "stickers",
    "candles", "buttons",
)  # fmt: skip
"""Countable things to own, buy and give away, in the plural."""

FOODS: tuple[str, ...] = (
    "apples", "pears", "plums", "lemons", "eggs", "cookies", "muffins", "cakes", "rolls", "peaches",
)  # fmt: skip
"""Countable food, in the plural."""

PLANTS: tuple[str, ...] = ("roses", "tulips", "trees", "bushes", "carrots", "onions", "beans", "melons")
"""Plants that stand in rows, in the plural."""

CONTAINERS: tuple[str, ...] = ("boxes", "bags", "jars", "crates", "packs", "baskets")
"""Containers, in the plural."""

SHOPS: tuple[str, ...] = ("market", "shop", "mall", "fair", "store", "kiosk")
"""Places where something is sold."""

PLACES: tuple[str, ...] = ("park", "school", "farm", "beach", "library", "garden", "station", "museum")
"""Places to go to."""

VEHICLES: tuple[str, ...] = ("bus", "train", "boat", "van", "truck", "tram")
"""Vehicles."""

GOALS: tuple[str, ...] = ("bike", "camera", "guitar", "phone", "tent", "desk", "lamp", "coat")
"""Single things that somebody saves money for."""

JOBS: tuple[str, ...] = ("baker", "painter", "driver", "waiter", "gardener", "teacher")
"""Jobs."""


def pronouns(name: str) -> dict[str, str]:
    """Return the pronouns that refer back to `name`, under the keys he, He, his, His and him."""
    he, his, him = ("she", "her", "her") if name in FEMALE_NAMES else ("he", "his", "him")
    return {"he": he, "He": he.capitalize(), "his": his, "His": his.capitalize(), "him": him}
