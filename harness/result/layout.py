"""The types of what a result file holds, as far as one is read: built of the columns' paths.

Every field may be missing or null but the three sections that make a file a result.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from harness.result.columns import COLUMNS

LARGEST = 1e24  # a number above it is no measurement, and sums of them would overflow
LONGEST = 1000  # characters of a name

Number = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)]
Signed = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Text = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Object = dict[str, Any]

SECTIONS = ("run_info", "train_info", "meta_info")  # without them a file is no result
_TRAIN, _PEFT = "run_info.train_config", "run_info.peft_config"
# Beside the columns.
_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("protocol", "seed"), Number),
    **dict.fromkeys(("method", "name"), Text),
    "profile": bool,
    "resumed": Object,
    "overrides": Object,
    **dict.fromkeys(("run_info.created_at", "run_info.experiment_name", "train_info.status"), Text),
    **dict.fromkeys((_TRAIN, _PEFT), Object),
    **{f"train_info.{key}": Number for key in ("accelerator_memory_max", "num_head_params", "head_file_size")},
    "train_info.metrics": list[msgspec.Raw],
    "meta_info.model_info.sha": Text,
    "meta_info.package_info": dict[str, Text | None],
    **{f"meta_info.system_info.{key}": Text for key in ("accelerator", "machine")},
    **{f"task.{key}": Text for key in ("name", "subset", "metric", "work_unit")},
    "task.higher_is_better": bool,
    "task.test_rows": Number,
    **dict.fromkeys(("hardware.slug", "hardware.accelerator", "hardware.cpu"), Text),
    **{f"hardware.{key}": Number for key in ("threads", "cpu_family", "cpu_model", "cpu_stepping")},
    **{f"inference.overhead_{how}.{end}": Number for how in ("unmerged", "merged") for end in ("lowest", "highest")},
    "quality.test_score": Share,
    "quality.test_scores": list[Share],
    "quality.base_invalid_rate": Share,
    "quality.further_scores": dict[str, Signed],
    **{f"provenance.{key}_fingerprint": Text for key in ("data", "config", "base_model")},
    "provenance.shared_device": bool,
}
_CONFIG = {"model_id": Text, "model_revision": Text, "dtype": Text, "use_amp": bool, "seed": Number}
_ADAPTER = {"peft_type": Text, "task_type": Text}


def _kind(key: str) -> Any:
    column = COLUMNS[key]
    return Share if column.unit == "share" and column.over == "mean" else Number


def _struct(name: str, fields: Mapping[str, Any]) -> type[msgspec.Struct]:
    """Nested types of fields under dotted paths."""
    tree: dict[str, dict[str, Any]] = {}
    for path, kind in fields.items():
        first, _, rest = path.partition(".")
        tree.setdefault(first, {})[rest] = kind
    members: list[tuple] = []
    for key, inner in tree.items():
        kind = inner[""] if "" in inner else _struct(key, inner)
        members.append((key, kind) if key in SECTIONS else (key, kind | None, None))
    return msgspec.defstruct(name, members, kw_only=True)


def _columns_below(prefix: str) -> dict[str, str]:
    return {
        key: column.path.removeprefix(f"{prefix}.")
        for key, column in COLUMNS.items()
        if column.path.startswith(f"{prefix}.")
    }


_IN_CONFIG, _IN_ADAPTER = _columns_below(_TRAIN), _columns_below(_PEFT)
_IN_FILE = {
    key: column.path for key, column in COLUMNS.items() if column.path and key not in (_IN_CONFIG | _IN_ADAPTER)
}

Config = _struct("Config", _CONFIG | {path: _kind(key) for key, path in _IN_CONFIG.items()})
Adapter = _struct("Adapter", _ADAPTER | {path: _kind(key) for key, path in _IN_ADAPTER.items()})
File = _struct("File", _FIELDS | {path: _kind(key) for key, path in _IN_FILE.items()})

_PATHS = {
    File: {key: tuple(path.split(".")) for key, path in _IN_FILE.items()},
    Config: {key: tuple(path.split(".")) for key, path in _IN_CONFIG.items()},
    Adapter: {key: tuple(path.split(".")) for key, path in _IN_ADAPTER.items()},
}


def numbers(data: msgspec.Struct) -> dict[str, float]:
    """The columns that this part of a file holds; NaN where one is missing."""
    found = {}
    for key, path in _PATHS[type(data)].items():
        value: Any = data
        for name in path:
            value = getattr(value, name)
            if value is None:
                break
        found[key] = math.nan if value is None else value
    return found
