"""Memory and time against what is known."""

import time

import pytest
import torch

from harness.meters import MemoryMeter, ResidentPeak, StepTimer

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
