"""The GPU's own meter, with NVIDIA's library played by a stand-in."""

import os
from types import SimpleNamespace

import pynvml
import pytest
import torch

from harness import nvml

GPU = torch.device("cuda")


@pytest.fixture
def library(monkeypatch):
    """A card that has drawn 5000 J; `pids` are on it."""
    card = SimpleNamespace(pids=[os.getpid()], millijoules=5_000_000)
    monkeypatch.setattr(nvml, "_handle", lambda device: "handle" if device.type == "cuda" else None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: card.millijoules)
    monkeypatch.setattr(
        pynvml,
        "nvmlDeviceGetComputeRunningProcesses",
        lambda handle: [SimpleNamespace(pid=pid) for pid in card.pids],
    )
    return card


@pytest.mark.parametrize(
    ("pids", "others"),
    [([os.getpid()], 0), ([os.getpid(), 1, 2], 2), ([77], 0), ([77, 78], 1), ([], 0)],
    ids=["alone", "two others", "alone in a container", "another in a container", "nobody yet"],
)
def test_other_processes_are_counted(library, pids, others):
    library.pids = pids
    assert nvml.other_processes(GPU) == others


def test_energy_is_in_joules(library):
    assert nvml.energy(GPU) == 5000


def test_without_the_library_nothing_is_claimed():
    for device in (torch.device("cpu"), GPU):
        assert nvml.energy(device) is None
        assert nvml.other_processes(device) is None


def test_a_card_that_does_not_tell(library, monkeypatch):
    def refuse(handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", refuse)
    assert nvml.energy(GPU) is None
    assert nvml.other_processes(GPU) is None


def test_a_run_says_that_it_was_not_alone(run_main, monkeypatch, capsys):
    drawn = iter([100.0, 350.0])
    others = iter([0, 2])
    monkeypatch.setattr(nvml, "energy", lambda device: next(drawn))
    monkeypatch.setattr(nvml, "other_processes", lambda device: next(others))
    outcome = run_main()
    assert outcome.json["compute"]["energy"] == 250
    assert outcome.json["provenance"]["shared_device"] is True
    assert "2 other process(es) compute on this GPU" in capsys.readouterr().err
