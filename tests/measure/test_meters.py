"""Memory and time against what is known."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from harness.experiment import ROOT
from harness.measure.memory import MemoryMeter, ResidentPeak
from harness.measure.timer import StepTimer
from harness.measure.training_log import TrainingLog

CPU = torch.device("cpu")
MIB = 2**20


def test_a_phase_sees_its_own_peak_only():
    # Blocks above 32 MiB always come from and go back to the system; smaller ones malloc may reuse.
    meter = MemoryMeter(CPU)
    with meter.phase("load"):
        kept = torch.ones(64 * MIB // 4)
    with meter.phase("train"):
        temporary = torch.ones(128 * MIB // 4)
        with meter.phase("eval"):
            huge = torch.ones(256 * MIB // 4)
            del huge
        del temporary
    peaks = {name: peak.reserved / MIB for name, peak in meter.peaks.items()}
    assert kept.numel()
    assert peaks["load"] == pytest.approx(64, rel=0.1)
    assert peaks["train"] == pytest.approx(64 + 128, rel=0.1)
    assert peaks["eval"] == pytest.approx(64 + 128 + 256, rel=0.1)


def test_sampling_serves_where_the_kernel_does_not(monkeypatch):
    monkeypatch.setattr(ResidentPeak, "_try_kernel_reset", staticmethod(lambda: False))
    peak = ResidentPeak()
    peak.reset()
    before = peak.read()
    block = torch.ones(128 * MIB // 4)
    time.sleep(0.1)
    del block
    assert (peak.read() - before) / MIB == pytest.approx(128, rel=0.1)


def test_known_sleeps_are_timed():
    timer, slept = StepTimer(CPU), []
    for _ in range(5):
        timer.start()
        begun = time.perf_counter()
        time.sleep(0.02)
        slept.append(time.perf_counter() - begun)  # a busy machine sleeps longer than asked
        timer.stop()
    window = timer.edge()
    assert window.seconds == pytest.approx(sum(slept), rel=0.03)
    assert window.step_seconds == pytest.approx(slept, rel=0.03)
    assert timer.edge().seconds == 0


RESIDENT = """
import sys, torch
from harness.measure.memory import MemoryMeter
meter = MemoryMeter(torch.device("cpu"))
with meter.phase("train"):
    block = torch.ones(int(sys.argv[1]) // 4)
    work = torch.ones(64 * 2**20 // 4)
    del work
with meter.phase("eval"):
    huge = torch.ones(512 * 2**20 // 4)
    del huge
print(meter.peaks["train"].reserved, meter.peaks["eval"].reserved)
"""


def test_a_known_tensor_is_the_difference_between_two_runs():
    """Two processes, as two runs are; the evaluation's huge batch is in neither training peak."""
    seen = []
    for size in (48 * MIB, 48 * MIB + 96 * MIB):
        done = subprocess.run(
            [sys.executable, "-c", RESIDENT, str(size)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        seen.append([int(word) for word in done.stdout.split()])
    assert seen[1][0] - seen[0][0] == pytest.approx(96 * MIB, rel=0.1)
    assert max(peak for peak, _ in seen) < 512 * MIB
    assert all(peak > 512 * MIB for _, peak in seen)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_known_tensor_on_a_gpu_is_exact():
    device, peaks = torch.device("cuda"), []
    for extra in (0, 512 * 12345):
        meter = MemoryMeter(device)
        with meter.phase("train"):
            kept = torch.empty(MIB, dtype=torch.uint8, device=device)
            block = torch.empty(extra, dtype=torch.uint8, device=device)
        peaks.append(meter.peaks["train"].allocated)
        del kept, block
    assert peaks[1] - peaks[0] == 512 * 12345


def test_throughput_of_steps_of_a_known_time(monkeypatch):
    """What a clock that only the steps move makes of them: work and rows per second, warm-up and evaluation aside."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("harness.measure.timer.time", SimpleNamespace(perf_counter=lambda: clock.now))
    training = TrainingLog(CPU, MemoryMeter(CPU), warmup_steps=2)
    for step in range(1, 13):
        training.timer.start()
        clock.now += 2.0 if step <= 2 else 0.5
        training.timer.stop()
        training.add(torch.tensor(1.0), work=1000, rows=8)
        if step in (2, 7, 12):
            training.close_window()
            clock.now += 30  # an evaluation
    assert training.work_per_second == 10 * 1000 / 5.0
    assert training.rows_per_second == 10 * 8 / 5.0
    assert training.warmup_time == 4.0
    assert training.step_seconds == [0.5] * 10
