"""A checkout for each test, and a folder of it looked at in this process."""

import shutil

import pytest
from trees import EMBEDDED, LORA, Tree

from harness.contribute import copies
from harness.contribute.experiments import review_experiment
from harness.experiment import ROOT


@pytest.fixture
def tree(tmp_path):
    copies._values_of.cache_clear()
    return Tree(tmp_path / "checkout")


@pytest.fixture
def concerns(tree):
    """Levels and messages of an embedded experiment with this content, looked at in this process."""

    def look(adapter=LORA, params=EMBEDDED, name="lora/embedded-llama-k"):
        review = review_experiment(tree.write(name, adapter, params))
        return [f"{one.level}: {one.message}" for one in review.concerns]

    return look


@pytest.fixture
def copied(tmp_path):
    """A copy of the checkout that processes run in."""
    root = tmp_path / "copy"
    unwanted = shutil.ignore_patterns(
        "__pycache__", ".git", ".venv", "runs", "results", "dashboard", "CNNDM", "SuperGLUE"
    )
    root.mkdir()
    for name in ("run.py", "contribute.py", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, root)
    for name in ("harness", "method_comparison"):
        shutil.copytree(ROOT / name, root / name, ignore=unwanted)
    return root
