"""Fingerprints of the embedded encoder-decoder model: what it was made from, and which files were shipped."""

import json
from dataclasses import astuple
from itertools import chain
from pathlib import Path

from harness.embedded import t5_corpus
from harness.embedded.events import make_choices
from harness.embedded.fingerprints import FILE_NAME, digest_file, digest_texts
from harness.embedded.news import make_articles
from harness.embedded.passages import make_inferences, make_questions
from harness.embedded.word_problems import PARTITIONS

EXAMPLES = 2000
ITEMS = 300

MAKERS = {
    "questions": make_questions,
    "inferences": make_inferences,
    "choices": make_choices,
    "articles": make_articles,
}
"""The makers of downstream items."""


def digest_corpus(seed: int, count: int = EXAMPLES) -> str:
    """Return the fingerprint of the first `count` examples of both mixes of a seed."""
    mixes = (t5_corpus.SHORT, t5_corpus.LONG)
    examples = chain.from_iterable(
        t5_corpus.make_examples(f"training/{seed}/{number}", mix, 0, count) for number, mix in enumerate(mixes)
    )
    return digest_texts(str(field) for example in examples for field in astuple(example))


def digest_items(kind: str, count: int = ITEMS) -> str:
    """Return the fingerprint of the first `count` downstream items of a kind in every partition."""
    return digest_texts(
        str(field) for part in PARTITIONS for item in MAKERS[kind](part, count) for field in astuple(item)
    )


def write_fingerprints(folder: Path, settings: dict, probe: dict) -> None:
    """Write fingerprints.json beside the shipped files of `folder`."""
    content = {
        "corpus": {"examples": EXAMPLES, "sha256": digest_corpus(settings["seed"])},
        "items": {"count": ITEMS, "sha256": {kind: digest_items(kind) for kind in MAKERS}},
        "files": {name: digest_file(folder / name) for name in ("model.safetensors", "tokenizer.json")},
        "settings": settings,
        "probe": probe,
    }
    (folder / FILE_NAME).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
