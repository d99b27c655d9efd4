"""What a result does not say outright: its task, its hardware, the family of its base model."""

import functools
from pathlib import Path
from typing import Any

import msgspec

from harness.experiment import CONTENT, ROOT
from harness.result.provenance import slug
from harness.result.units import plural

ELSEWHERE = "published_as.json"  # in a task's folder: a list of names that other harnesses have for the task


def hardware_of(own: str, accelerator: str, machine: str) -> str:
    """The slug that ours name; of a published result it is made of the accelerator's name, or the machine's."""
    if own:
        return own
    if slug(accelerator) not in ("", "n-a"):
        return slug(accelerator)
    return f"cpu-{slug(machine)}" if slug(machine) else "unknown"


def processor_of(hardware: Any) -> str:
    """The CPU and how many threads worked on it: 'AMD EPYC (family 25, model 17, stepping 1), 2 threads'.

    Args:
        hardware: that section of a result; None or missing values where the file does not say.
    """
    if hardware is None:
        return ""
    kind = {"family": hardware.cpu_family, "model": hardware.cpu_model, "stepping": hardware.cpu_stepping}
    known = ", ".join(f"{name} {value:g}" for name, value in kind.items() if value is not None)
    parts = [f"{hardware.cpu or 'unknown'} ({known})" if known else hardware.cpu]
    if hardware.threads is not None:
        parts.append(f"{hardware.threads:g} {plural(hardware.threads, 'thread')}")
    return ", ".join(filter(None, parts))


def family_of(task_type: str, model: str) -> str:
    """causal, encoder-decoder, vision, diffusion: by PEFT's task_type or a model that the project has, else empty."""
    known = {"CAUSAL_LM": "causal", "SEQ_2_SEQ_LM": "encoder-decoder"}
    return known.get(task_type) or _families().get(model, "")


@functools.cache
def _families() -> dict[str, str]:
    """Of the models whose configurations ship with the project."""
    harness = ROOT / "harness"
    files = {path.stem.replace("--", "/", 1): path for path in (harness / "architectures").glob("*.json")}
    files |= {f"embedded/{path.parent.name}": path for path in (harness / "embedded").glob("*/config.json")}
    configs = {name: msgspec.json.decode(path.read_bytes()) for name, path in files.items()}
    return {name: _family(config) for name, config in configs.items()}


def _family(config: dict[str, Any]) -> str:
    if "_class_name" in config:  # as diffusers writes it
        return "diffusion"
    if "patch_size" in config:
        return "vision"
    return "encoder-decoder" if config.get("is_encoder_decoder") else "causal"


@functools.cache
def known_tasks() -> dict[str, str]:
    """The folders of method_comparison/ by their names, and by those that other harnesses have for them."""
    folders = [path for path in (ROOT / CONTENT).iterdir() if path.is_dir()]
    elsewhere = {
        name: path.name for path in folders if (path / ELSEWHERE).is_file()
        for name in msgspec.json.decode((path / ELSEWHERE).read_bytes(), type=list[str])
    }  # fmt: skip
    return elsewhere | {path.name: path.name for path in folders}


def task_of(folder: Path) -> str:
    """The task that the folder of a published result names: a known task in its path, nearest first, else the folder
    above the nearest one called results, else the folder itself."""
    folders = folder.resolve().parts
    for folder in reversed(folders):
        if folder in known_tasks():
            return known_tasks()[folder]
    for above, folder in reversed(list(zip(folders, folders[1:], strict=False))):
        if folder == "results":
            return above
    return folders[-1]
