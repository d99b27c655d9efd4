"""What has to be said beside a ranking, and which rows a person asked for."""

from dataclasses import replace

import pandas

from harness.dashboard.advice import Candidate
from harness.dashboard.needs import FAMILIES, OUT_OF_SCOPE, PRIORITIES, Needs
from harness.result.comparable import FOREIGN

SELECTIONS = ("family", "task", "subset", "model", "hardware")


def asked(experiments: pandas.DataFrame, needs: Needs) -> pandas.DataFrame:
    """The rows of what was asked for, without those whose settings were changed on the command line."""
    rows = ~experiments["modified"]
    for key in SELECTIONS:
        wanted = getattr(needs, key)
        if wanted:
            rows &= experiments[key].eq(wanted)
    return experiments[rows]


def on_group(row: pandas.Series, kept: tuple[Candidate, ...], needs: Needs) -> list[str]:
    """Of one ranking; `row` is any of its rows."""
    notes = []
    if row["profile"]:
        notes.append("Random weights: memory and speed are measured here, quality is not.")
        if needs.priority == "quality":
            notes.append("Listed by memory, not ranked: which of them is best was not measured.")
    if row["protocol"] == FOREIGN:
        notes.append("Published elsewhere: its protocol is unknown, so that it is never ranked with ours.")
    if needs.gpu_memory is not None and row["hardware"].startswith("cpu"):
        notes.append("Measured on a CPU: memory is that of the process, and a GPU will need another amount.")
    if needs.gpu_memory is not None:
        notes.append("Memory holds for the batch size and the lengths that were measured; others need more or less.")
    if not kept:
        notes.append("Measured, but nothing is known to meet what you need.")
    if any(one.tied for one in kept):
        notes.append("Not distinguishable is not equal: more seeds could tell them apart.")
    return notes


def on_all(experiments: pandas.DataFrame, rows: pandas.DataFrame, needs: Needs, answered: bool) -> list[str]:
    """Of all rankings together; `rows` are the ones that were asked for, of all experiments."""
    return [*_notes(rows, needs, answered), *_elsewhere(experiments, rows, needs)]


def _notes(rows: pandas.DataFrame, needs: Needs, answered: bool) -> list[str]:
    notes = []
    if needs.family in OUT_OF_SCOPE:
        notes.append(f"A {FAMILIES[needs.family]} is out of this benchmark's scope: nothing is measured on any.")
    elif rows.empty:
        named = [getattr(needs, key) for key in SELECTIONS]
        what = ", ".join(filter(None, named)) or "anything"
        notes.append(f"Nothing was measured on {what}: what follows is no measurement.")
    elif not answered:
        notes.append(f"No measurement here answers with an order by {PRIORITIES[needs.priority]}.")
    if needs.dataset_rows is not None and not rows.empty:
        notes.append("Scores were measured with each task's own number of training rows; yours may give others.")
    return notes


def _elsewhere(experiments: pandas.DataFrame, rows: pandas.DataFrame, needs: Needs) -> list[str]:
    """Where the same was measured, if only the hardware is another."""
    if not needs.hardware or not rows.empty:
        return []
    others = asked(experiments, replace(needs, hardware=""))["hardware"].unique()
    if not len(others):
        return []
    return [f"Measured on {', '.join(sorted(others))}: memory and speed there are no measurement of {needs.hardware}."]
