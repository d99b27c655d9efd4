"""Takes over results of the layout that Hugging Face publishes: unchanged, in a place of their own."""

import shutil
from pathlib import Path

from harness.errors import UserError
from harness.files import display_path, named
from harness.result.read import read_results
from harness.result.store import file_name

PUBLISHED = Path("results") / "published"


def import_result(source: Path, task: str, root: Path) -> Path:
    """Copies one file to results/published/<task>/<hardware>/<method>--<name>--seed<k>.json, where pages find it.

    Its bytes stay as they are: what a stranger measured is not edited, and the reader takes it so.

    Raises:
        UserError: it is no result that the reader takes, or another one is in its place.
    """
    found = read_results([source], task=task)
    for skipped in found.skipped:
        raise UserError(f"{named(source)}: {skipped.reason}")
    (record,) = found.records
    seed = int(record["seed"]) if record["seed"] == record["seed"] else 0
    parts = [record["method"], record["name"], record["hardware"], record["task"]]
    if any("/" in part or part.startswith(".") or not part.isprintable() for part in parts):
        raise UserError(
            f"{named(source)}: run_info.experiment_name: no name for an experiment: {record['experiment']}"
        )
    stem = file_name(record["method"], record["name"], record["subset"] or None, seed)
    target = root / PUBLISHED / record["task"] / record["hardware"] / f"{stem}.json"
    if target.exists() and target.read_bytes() != source.read_bytes():
        raise UserError(f"{display_path(target)}: another result of this run is there; remove one of them")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target
