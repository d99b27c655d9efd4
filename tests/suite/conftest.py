"""A stand-in for run.py that takes no time: real plans and arguments, results that say what is needed, a trace."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.experiment import ROOT

FAKE = f"""
import json, os, signal, sys, time
sys.path.insert(0, {str(ROOT)!r})
from harness.parent import end_with_parent
end_with_parent()
from harness.arguments import parse_arguments
from harness.experiment import find_experiment, read_experiment
from harness.plan import Plan
from harness.purpose import profile_of, tuning_of
from pathlib import Path
arguments = parse_arguments()
folder = find_experiment(arguments.experiment, Path(os.environ.get("CHECKOUT", {str(ROOT)!r})))
experiment = read_experiment(folder, arguments.overrides, arguments.seed)
purpose = tuning_of if arguments.tune else profile_of if arguments.profile else lambda unchanged: unchanged
plan = Plan(purpose(experiment), arguments.subset, arguments.profile, arguments.tune, arguments.output)
trace = open(os.environ["TRACE"], "a", buffering=1)
facts = {{name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")}}
trace.write(json.dumps({{"begins": plan.name, "pid": os.getpid(), "parent": os.getppid(), **facts}}) + "\\n")
behaviour = json.loads(os.environ.get("BEHAVIOUR", "{{}}")).get(experiment.method, "")
if behaviour == "refuse":
    print("error: it cannot be done")
    sys.exit(2)
if behaviour == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if behaviour == "wait":
    time.sleep(600)
time.sleep(float(os.environ.get("SECONDS", "0.1")))
result = {{"protocol": 1, "train_info": {{"status": "success"}}, "overrides": experiment.overrides,
          "provenance": {{"config_fingerprint": plan.config_fingerprint}}}}
rate = experiment.params.optimizer_kwargs["lr"]
result["quality"] = {{"valid_score": round(1 / (1 + abs(rate - 0.005)) - len(arguments.subset or "") / 100, 6)}}
result["task"] = {{"valid_rows": 50}}
result["hardware"] = {{"slug": "fake"}}
result["meta_info"] = {{"package_info": {{f"{{name}}-version": "1" for name in ("torch", "transformers", "peft")}}}}
if rate > 1:
    result["train_info"]["status"] = "diverged"
path = plan.runs_folder / str(os.getpid()) / "result.json" if plan.is_modified or plan.tuning else plan.result_path("fake")
path.parent.mkdir(parents=True, exist_ok=True)
path.write_text(json.dumps(result))
if rate > 1:
    sys.exit(4)
trace.write(json.dumps({{"ends": plan.name}}) + "\\n")
"""


class Trace:
    """What the stand-in noted."""

    def __init__(self, path):
        self.path = path

    def lines(self, key):
        text = self.path.read_text() if self.path.exists() else ""
        return [line for line in map(json.loads, text.splitlines()) if key in line]

    def begun(self):
        return [line["begins"] for line in self.lines("begins")]

    def ended(self):
        return [line["ends"] for line in self.lines("ends")]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Suites run the stand-in, from a checkout of its own; returns its trace. BEHAVIOUR says by method what it does."""
    root = tmp_path / "stand-in"
    root.mkdir()
    (root / "run.py").write_text(FAKE)
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    monkeypatch.setattr("harness.suite.pools.ROOT", root)
    if "harness.suite.ray_pool" in sys.modules:
        monkeypatch.setattr("harness.suite.ray_pool.ROOT", root)
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return Trace(Path(tmp_path / "trace"))
