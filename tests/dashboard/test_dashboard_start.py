"""What the dashboard needs to be installed, and how fast it is."""

from benchmarks.dashboard import WANTED, benchmark
from harness.experiment import ROOT


def test_the_dashboards_requirements_agree_with_those_of_runs():
    def pins(name):
        lines = (ROOT / name).read_text().splitlines()
        return dict(line.split("==") for line in lines if "==" in line)

    app, run = pins("requirements-app.txt"), pins("requirements.txt")
    assert {name: run[name] for name in app.keys() & run.keys()} == {
        name: app[name] for name in app.keys() & run.keys()
    }
    assert "torch" not in app


def test_the_benchmark_runs():
    """A hundredth of it; its figures are for a quiet machine, but a hundredth taking as long as the whole may is a bug."""
    seconds = benchmark(100, seeds=3, rounds=1)
    assert set(WANTED) <= set(seconds)
    assert all(seconds[step].process < limit for step, limit in WANTED.items())
