"""Nothing of harness.result, harness.dashboard and the command lines over results needs torch, or what comes with it."""

import subprocess
import sys

import pytest

from harness.experiment import ROOT

# report.py is the runner's.
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("result", "dashboard")
    for path in (ROOT / "harness" / folder).glob("*.py")
    if path.stem not in ("__init__", "report")
)
BLOCKED = """
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "peft", "datasets", "accelerate", "bitsandbytes", "pyarrow"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


@pytest.mark.parametrize(
    "modules", [MODULES, ["harness.table", "harness.compare", "app"]], ids=["packages", "commands"]
)
def test_modules_import_without_torch(modules):
    assert modules
    subprocess.run([sys.executable, "-c", BLOCKED, *modules], cwd=ROOT, check=True)
