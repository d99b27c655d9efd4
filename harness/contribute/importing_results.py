"""Takes over results of the layout that Hugging Face publishes, in a place of their own, measured as they are."""

from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.files import display_path, named
from harness.result.files import UnreadableError, read_object
from harness.result.records import to_record
from harness.result.store import file_name, write_atomically

PUBLISHED = Path("results") / "published"
# What files of before July 2025 call it, by section.
OLDER = {
    "train_info": {
        f"cuda_memory_{name}": f"accelerator_memory_{name}" for name in ("reserved_avg", "max", "reserved_99th")
    },
    "meta_info.system_info": {"gpu": "accelerator"},
}


def import_result(source: Path, task: str, root: Path) -> tuple[Path, list[str]]:
    """Writes results/published/<task>/<hardware>/<method>--<name>--seed<k>.json, where pages find it.

    Values stay as they are; names of an older version of the layout become today's.

    Returns:
        the file, and a line for each change.

    Raises:
        UserError: it is no result that the reader takes, or another one is in its place.
    """
    try:
        values = read_object(source)
        lines = [line for path, names in OLDER.items() for line in _rename(values, path, names)]
        record = to_record(msgspec.json.encode(values), task)
    except UnreadableError as found:
        raise UserError(f"{named(source)}: {found}") from None
    parts = [record["task"], record["hardware"], record["method"], record["name"], record["subset"]]
    if any("/" in part or part.startswith(".") or not part.isprintable() for part in parts):
        raise UserError(f"{named(source)}: run_info.experiment_name: no name for a file: {record['experiment']}")
    seed = int(record["seed"]) if record["seed"] == record["seed"] else 0  # NaN, unknown, differs from itself
    stem = file_name(record["method"], record["name"], record["subset"] or None, seed)
    target = root / PUBLISHED / record["task"] / record["hardware"] / f"{stem}.json"
    text = msgspec.json.format(msgspec.json.encode(values), indent=1).decode() + "\n"
    if target.exists() and target.read_text(encoding="utf-8") != text:
        raise UserError(f"{display_path(target)}: another result of this run is there; remove one of them")
    write_atomically(target, text)
    return target, lines


def _rename(values: dict, path: str, names: dict[str, str]) -> list[str]:
    for part in path.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    found = {
        old: new for old, new in names.items() if isinstance(values, dict) and old in values and new not in values
    }
    for old, new in found.items():
        values[new] = values.pop(old)
    return [f"{path}.{old}: now {new}" for old, new in found.items()]
