"""Fingerprints of the embedded model: what it was made from, and that its files are still the shipped ones."""

import hashlib
import json
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from harness.embedded import corpus
from harness.embedded.word_problems import PARTITIONS, make_problems

FILE_NAME = "fingerprints.json"
CORPUS_DOCUMENTS = 2000
PROBLEMS = 500


def digest_texts(texts: Iterable[str]) -> str:
    """Return the sha256 of texts in their order, their borders included."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()


def digest_file(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_corpus(seed: int, count: int = CORPUS_DOCUMENTS) -> str:
    """Return the fingerprint of the first `count` training documents of a seed."""
    return digest_texts(islice(corpus.documents(seed), count))


def digest_problems(part: str, count: int = PROBLEMS) -> str:
    """Return the fingerprint of the first `count` problems of a partition, every field included."""
    problems = make_problems(part, count)
    return digest_texts(
        field for problem in problems for field in (problem.question, problem.solution, problem.answer, problem.source)
    )


def write_fingerprints(folder: Path, settings: dict, probe: dict) -> None:
    """Write fingerprints.json beside the shipped files of `folder`."""
    content = {
        "corpus": {"documents": CORPUS_DOCUMENTS, "sha256": digest_corpus(settings["seed"])},
        "problems": {"count": PROBLEMS, "sha256": {part: digest_problems(part) for part in PARTITIONS}},
        "files": {name: digest_file(folder / name) for name in ("model.safetensors", "tokenizer.json")},
        "settings": settings,
        "probe": probe,
    }
    (folder / FILE_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_fingerprints(folder: Path) -> dict:
    """Return the content of a folder's fingerprints.json."""
    return json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
