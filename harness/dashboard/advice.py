"""What the Choose page answers with: experiments with reasons, in one ranking per comparable group."""

from dataclasses import dataclass

import pandas

from harness.dashboard.rules import Rule


@dataclass(frozen=True)
class RowPlace:
    """Part of a task, base model, hardware, and key of a row, as links name them (harness/dashboard/choices.py)."""

    task: str
    model: str
    hardware: str
    key: str

    @classmethod
    def of(cls, row: pandas.Series) -> "RowPlace | None":
        """None where the frame was made without the keys of links."""
        return cls(row["part"], row["model"], row["hardware"], row["key"]) if "key" in row else None


@dataclass(frozen=True)
class Candidate:
    """One experiment: `rank` None where it is not ranked, `tied` None where nothing tells it from the best or not.

    `headline` has the figure that decides the order, `reasons` a sentence for each need and for the tie, `place` says
    where the experiment's page is.
    """

    experiment: str
    verdict: str
    reasons: tuple[str, ...]
    headline: str = ""
    rank: int | None = None
    tied: bool | None = None
    place: RowPlace | None = None


@dataclass(frozen=True)
class Ranking:
    """One comparable group. `unknown` are experiments of which a figure that is needed was not measured."""

    title: str
    group: str
    kept: tuple[Candidate, ...]
    unknown: tuple[Candidate, ...]
    dropped: tuple[Candidate, ...]
    notes: tuple[str, ...]

    def table(self) -> pandas.DataFrame:
        """One row per experiment, the kept ones first: rank, experiment, verdict, figure, why."""
        rows = [
            (one.rank, one.experiment, one.verdict, one.headline, "; ".join(one.reasons))
            for one in (*self.kept, *self.unknown, *self.dropped)
        ]
        table = pandas.DataFrame(rows, columns=["rank", "experiment", "verdict", "figure", "why"])
        return table.astype({"rank": "Int64"})


@dataclass(frozen=True)
class Advice:
    """Rankings, one per group; `rules` of thumb, which are no measurements, only where these do not answer."""

    rankings: tuple[Ranking, ...]
    rules: tuple[Rule, ...]
    notes: tuple[str, ...]
