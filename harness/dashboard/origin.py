"""What a result does not say outright: its task, its hardware, the family of its base model."""

import functools
import math
from pathlib import Path
from typing import Any

import orjson

from harness.dashboard.values import number, text
from harness.experiment import CONTENT, ROOT
from harness.result.provenance import slug


def hardware_of(data: dict[str, Any]) -> str:
    """The slug that ours name; of a published result it is made of the accelerator's name, or the machine's."""
    own = text(data, ("hardware", "slug"))
    if own:
        return own
    accelerator = text(data, ("meta_info", "system_info", "accelerator"))
    if slug(accelerator) not in ("", "n-a"):
        return slug(accelerator)
    machine = slug(text(data, ("meta_info", "system_info", "machine")))
    return f"cpu-{machine}" if machine else "unknown"


def processor_of(data: dict[str, Any]) -> str:
    """The CPU and how many threads worked on it: 'AMD EPYC, 2 threads'; empty where the file does not say."""
    threads = number(data, ("hardware", "threads"))
    parts = [text(data, ("hardware", "cpu"))]
    parts += [] if math.isnan(threads) else [f"{threads:g} thread{'' if threads == 1 else 's'}"]
    return ", ".join(filter(None, parts))


def family_of(task_type: str, model: str) -> str:
    """causal or encoder-decoder, by PEFT's task_type or a model that the project knows; empty where neither tells."""
    known = {"CAUSAL_LM": "causal", "SEQ_2_SEQ_LM": "encoder-decoder"}
    return known.get(task_type) or _families().get(model, "")


@functools.cache
def _families() -> dict[str, str]:
    """Of the models whose configurations ship with the project."""
    harness = ROOT / "harness"
    files = {path.stem.replace("--", "/", 1): path for path in (harness / "architectures").glob("*.json")}
    files |= {f"embedded/{path.parent.name}": path for path in (harness / "embedded").glob("*/config.json")}
    both = {name: orjson.loads(path.read_bytes()).get("is_encoder_decoder", False) for name, path in files.items()}
    return {name: "encoder-decoder" if is_both else "causal" for name, is_both in both.items()}


@functools.cache
def known_tasks() -> frozenset[str]:
    """Names of the folders of method_comparison/."""
    return frozenset(path.name for path in (ROOT / CONTENT).iterdir() if path.is_dir())


def task_of(folder: Path) -> str:
    """The task that the folder of a published result names: a known task in its path, nearest first, else the folder
    above the nearest one called results, else the folder itself."""
    folders = folder.resolve().parts
    for folder in reversed(folders):
        if folder in known_tasks():
            return folder
    for above, folder in reversed(list(zip(folders, folders[1:], strict=False))):
        if folder == "results":
            return above
    return folders[-1]
