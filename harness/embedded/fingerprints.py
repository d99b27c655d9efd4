"""fingerprints.json beside the shipped weights: what they were made from, and that they are still the shipped ones."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from harness.result.provenance import file_fingerprint

FILE_NAME = "fingerprints.json"
SHIPPED = ("model.safetensors", "diffusion_pytorch_model.safetensors", "tokenizer.json", "preprocessor_config.json",
           "scheduler_config.json")  # fmt: skip
"""Files that are fingerprinted, of which a model has those that it needs."""


def digest_texts(texts: Iterable[str]) -> str:
    """Return the sha256 of texts in their order, their borders included."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()


def digest_items(items: Iterable[Any]) -> str:
    """Return the sha256 of dataclasses in their order, every field included."""
    return digest_texts(str(field) for item in items for field in astuple(item))


def digest_files(folder: Path) -> dict[str, str]:
    """Return the fingerprint of each shipped file of a folder by its name."""
    return {name: file_fingerprint(folder / name) for name in SHIPPED if (folder / name).is_file()}


def weights_of(folder: Path) -> Path:
    """Return the one file of weights in a folder."""
    (weights,) = folder.glob("*.safetensors")
    return weights


def write_fingerprints(folder: Path, data: dict, settings: dict, probe: dict) -> None:
    """Write fingerprints.json beside the shipped files of `folder`; `data` is what the generators' texts amount to."""
    content = {**data, "files": digest_files(folder), "settings": settings, "probe": probe}
    (folder / FILE_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_fingerprints(folder: Path) -> dict:
    """Return the content of a folder's fingerprints.json."""
    return json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
