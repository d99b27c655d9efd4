"""What a check has to say of a folder or file, and the review that collects it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.errors import UserError, blame
from harness.files import named


@dataclass(frozen=True)
class Concern:
    """One line. An error has to be put right; a warning is something for a reviewer to look at."""

    level: Literal["error", "warning"]
    message: str


def error(message: str) -> Concern:
    """Something that has to be put right; parts of the message may come from strangers (see UserError)."""
    return Concern("error", str(UserError(message)))


def warning(message: str) -> Concern:
    """Something unusual."""
    return Concern("warning", str(UserError(message)))


@dataclass
class Review:
    """What was found out about one folder or file.

    place: its path, for people. facts: by name, as JSON values: what will be measured, what it costs, what it changes.
    """

    place: str
    facts: dict[str, Any] = field(default_factory=dict)
    concerns: list[Concern] = field(default_factory=list)

    @contextmanager
    def collecting(self, file: Path) -> Iterator[None]:
        """What the block raises becomes an error, a bug in a library that a folder provoked included."""
        try:
            with blame(named(file), file):
                yield
        except UserError as found:
            self.concerns.append(Concern("error", str(found)))

    @property
    def has_errors(self) -> bool:
        """Whether something has to be put right."""
        return any(one.level == "error" for one in self.concerns)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Review":
        """The review that `to_json` gave."""
        return cls(values["place"], values["facts"], [Concern(**one) for one in values["concerns"]])
