"""The one reader of results: ours and those of the layout that Hugging Face publishes, thousands of them quickly.

A run becomes one flat record (harness/result/records.py). A file that cannot be read, or not be believed, is named and
left out, and costs no other file anything.
"""

import contextlib
import gc
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.experiment import display_path
from harness.result.files import Skipped, UnreadableError, find_files, read_bytes
from harness.result.origin import task_of
from harness.result.records import Values, to_record

# What makes two files the same run.
IDENTITY = ("task", "subset", "experiment", "hardware", "model", "protocol", "seed", "profile", "overrides")


@dataclass(frozen=True)
class Results:
    """What was read: a record for each run, what was left out, and how long it took in seconds."""

    records: list[Values]
    skipped: list[Skipped]
    seconds: float


def read_results(paths: Sequence[Path], task: str | None = None) -> Results:
    """Reads every *.json below `paths`, which are folders or single files. Nothing in a file makes it raise.

    Hidden folders and files are passed over. Of several files of one run the successful one counts, then the newest.

    Args:
        paths: where to look, recursively.
        task: of the files that name none themselves; by default the folder's name tells (`task_of`).
    """
    started = time.perf_counter()
    skipped: list[Skipped] = []
    records: dict[tuple, Values] = {}
    with _no_collection():
        for folder, names in find_files(paths, skipped):
            shown, of_folder = display_path(folder), task or task_of(folder)
            for name in names:
                source = os.path.join(shown, name)
                try:
                    if not _is_text(source):
                        raise UnreadableError("the name is no text in UTF-8")
                    record = to_record(read_bytes(os.path.join(folder, name)), of_folder)
                except UnreadableError as error:
                    skipped.append(Skipped(source.encode(errors="backslashreplace").decode(), str(error)))
                    continue
                record["source"] = source
                _keep_newest(records, record, skipped)
    found = list(records.values())
    _share_families(found)
    return Results(found, skipped, time.perf_counter() - started)


def _is_text(name: str) -> bool:
    """A file's name is bytes; those that are not UTF-8 stand in it as half characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _keep_newest(records: dict[tuple, Values], record: Values, skipped: list[Skipped]) -> None:
    """Notes the run, or which of two files of one run is left out."""
    key = tuple(None if record[name] != record[name] else record[name] for name in IDENTITY)  # NaN differs from itself
    other = records.get(key)
    if other is None:
        records[key] = record
        return
    order = [(one["status"] == "success", one["created_at"]) for one in (other, record)]
    kept, left = (record, other) if order[1] > order[0] else (other, record)
    records[key] = kept
    why = "successful" if kept["status"] != left["status"] == "success" else "newer or the first read"
    skipped.append(Skipped(left["source"], f"the same run as {kept['source']}, which is {why}"))


def _share_families(records: Sequence[Values]) -> None:
    """A base model has the family that any of its runs tells."""
    families = {record["model"]: record["family"] for record in records if record["family"]}
    for record in records:
        record["family"] = record["family"] or families.get(record["model"], "")


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Parsed files hold no cycles, and looking for some takes as long as reading."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
