"""Items for pre-training, for training downstream and for testing: no two parts share what an item was made from."""

import hashlib
import random
from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

Partition = Literal["pretraining", "train", "test"]
PARTITIONS: tuple[Partition, ...] = ("pretraining", "train", "test")


def partition(source: str) -> Partition:
    """Return the partition of an item: 40 % pretraining, 40 % train, 20 % test, decided by `source` alone."""
    bucket = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big") % 10
    return "pretraining" if bucket < 4 else "train" if bucket < 8 else "test"


class Sourced(Protocol):
    """Anything that names what it was made from."""

    @property
    def source(self) -> str:
        """The text whose hash decides the partition."""


Item = TypeVar("Item", bound=Sourced)


def collect(kind: str, part: Partition, count: int, draw: Callable[[random.Random, Partition], Item]) -> list[Item]:
    """Return `count` items of `draw`, no two of the same source.

    The same arguments always give the same list, and a larger `count` only appends to it.
    """
    if part not in PARTITIONS:
        raise ValueError(f"unknown partition {part!r}; expected one of {', '.join(PARTITIONS)}")
    rng = random.Random(f"{kind}/{part}")
    found: dict[str, Item] = {}
    for _ in range(100 + 20 * count):
        if len(found) >= count:
            return list(found.values())
        item = draw(rng, part)
        found.setdefault(item.source, item)
    raise ValueError(f"cannot find {count} different {kind} in partition {part!r}")


def draw_within(part: Partition, draw: Callable[[], Item]) -> Item:
    """Return the first item of `draw` whose source belongs to `part`."""
    for _ in range(10_000):
        item = draw()
        if partition(item.source) == part:
            return item
    raise ValueError(f"nothing can be drawn for partition {part!r}")
