"""Nothing that reads results needs torch, nor do the tests of it."""

import subprocess
import sys

import pytest

from harness.experiment import ROOT

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "peft", "datasets", "accelerate", "bitsandbytes", "pyarrow"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
"""
READ = """
from harness.dashboard import export, notices, selection
from harness.dashboard.view import View
from harness.experiment import ROOT
from harness.result import experiments, pareto
from harness.result.frame import to_frame
from harness.result.read import read_results

frame = experiments.fill_intervals(experiments.by_experiment(to_frame(read_results([ROOT / "results" / "MetaMathQA"]).records)))
shown = selection.apply(frame, View(text="LoRA", expression='method == "lora" and score > 50 * percent'))
assert 0 < len(shown) < len(frame)
assert pareto.front(frame, "storage", "score").any()
notices.notices(frame)
"""
COMMANDS = """
import app, harness.compare, harness.table
harness.table.main(["MetaMathQA", "embedded"])
sys.exit(harness.compare.main(["lora/embedded-llama-rank8", "ia3/embedded-llama"]))
"""
COLLECT = """
import pytest
sys.exit(pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", "tests/result", "tests/dashboard"]))
"""


@pytest.mark.parametrize("code", [READ, COMMANDS, pytest.param(COLLECT, marks=pytest.mark.slow)],
                         ids=["read", "commands", "collect the tests"])  # fmt: skip
def test_no_torch_is_needed(code):
    """Nor pyarrow, which the requirements of a run bring along. That modules import is held by tests/test_arrows.py."""
    done = subprocess.run([sys.executable, "-c", BLOCKED + code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
