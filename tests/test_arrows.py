"""Imports point downward: no circle anywhere, not even for types or inside functions, and no layer reaches above it."""

import ast
import subprocess
import sys
from functools import cache

import pytest

from harness.experiment import ROOT

# From the bottom up; a module may import from lower layers and from its own. A name stands for a module or a folder.
LAYERS = [
    {"errors", "parent"},
    {"files"},
    {"params"},
    {"overlay"},
    {"experiment"},
    {"arguments", "result"},
    {"methods", "optim", "adapter_values", "adapter_fit", "adapter_config", "adapter_sizes", "catalogue", "initialization", "refusals", "devices", "hub", "batches", "merging",
     "precision", "optimizers", "architecture", "packaged"},
    {"task", "models", "adapter", "scoring", "rouge", "checkpoint", "learner"},
    {"text", "images", "measure"},
    {"workloads"},
    {"plan", "new_result", "record", "resume", "purpose"},
    {"rehearsal", "forecast"},
    {"modes"},
    {"run"},
]  # fmt: skip
BESIDE = {"dashboard": {"result", "experiment", "params", "overlay", "errors", "files", "dashboard"},
          "suite": {"suite", "plan", "purpose", "task", "result", "arguments", "experiment", "files", "errors"},
          "contribute": {"contribute", "suite", "rehearsal", "forecast", "purpose", "plan", "workloads", "adapter", "adapter_config", "architecture",
                         "optimizers", "scoring", "task", "result", "arguments", "experiment", "overlay", "params", "parent",
                         "files", "errors", "methods"},
          "app": {"dashboard", "result", "experiment", "errors", "files"}}  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules():
    files = [
        ROOT / "run.py",
        ROOT / "app.py",
        ROOT / "suite.py",
        ROOT / "contribute.py",
        *(ROOT / "harness").glob("**/*.py"),
    ]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(files)
    }


@cache
def imports_of(path):
    """Names of all project modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & modules().keys()


def part(module):
    """errors, result, …: the name that stands in LAYERS."""
    return module.removeprefix("harness.").split(".")[0]


def test_no_circle():
    graph = {name: imports_of(path) - {name} for name, path in modules().items()}
    while leaves := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"these import each other in a circle: {sorted(graph)}"


@pytest.mark.parametrize("module", [name for name in modules() if part(name) in LEVEL])
def test_arrows_point_downward(module):
    above = [other for other in imports_of(modules()[module]) if other != "harness" and _is_above(other, part(module))]
    assert not above, f"{module} reaches upward"


def _is_above(other, own):
    return part(other) in LEVEL and LEVEL[part(other)] > LEVEL[own] or part(other) in BESIDE


@pytest.mark.parametrize("module", [name for name in modules() if part(name) in BESIDE])
def test_pages_and_suites_stand_beside(module):
    needed = {part(other) for other in imports_of(modules()[module]) if other != "harness"}
    assert needed <= BESIDE[part(module)]


def test_every_module_has_a_layer():
    tools = {
        "harness",
        "table",
        "plot",
        "contact_sheet",
        "compare",
        "quoted",
        "findings",
        "profiles",
        "embedded",
    }  # command lines, and what only data.py files need
    assert {part(name) for name in modules()} - LEVEL.keys() - BESIDE.keys() <= tools


def test_two_classes_never_share_a_name():
    alike = {"Settings", "Probe"}  # what every recipe of an embedded model defines
    places = {}
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name not in alike:
                places.setdefault(node.name, []).append(name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_shadows_the_standard_library():
    names = {name.rsplit(".", 1)[-1] for name in modules() if not name.startswith("harness.embedded")}
    assert not names & set(sys.stdlib_module_names)


def test_result_and_dashboard_need_no_torch():
    names = [name for name in modules() if part(name) in ("result", "dashboard", "app", "suite", "plan")]
    code = f"""
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "peft", "datasets", "bitsandbytes"):
            raise ImportError(f"{{name}} is not installed")
sys.meta_path.insert(0, Refuse())
for name in {names!r}:
    importlib.import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
