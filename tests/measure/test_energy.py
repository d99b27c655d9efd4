"""The GPU's own meter, with NVIDIA's library played by a stand-in."""

import os
from types import SimpleNamespace

import pynvml
import pytest
import torch

from harness.measure import energy as nvml

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
    [([os.getpid()], 0), ([os.getpid(), 1, 2], 2), ([77], 0), ([77, 78], 1), ([], None)],
    ids=["alone", "two others", "alone in a container", "another in a container", "hidden"],
)
def test_other_processes_are_counted(library, pids, others):
    library.pids = pids
    assert nvml.other_processes(GPU) == others


def test_energy_is_in_joules(library):
    assert nvml.joules(GPU) == 5000


def test_without_the_library_nothing_is_claimed(monkeypatch):
    def missing():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    for device in (torch.device("cpu"), GPU):
        assert nvml.joules(device) is None
        assert nvml.other_processes(device) is None


def test_the_card_is_found_by_its_uuid(monkeypatch):
    asked = []
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", lambda uuid: asked.append(uuid) or "handle")
    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", lambda handle: 1000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="0123-45"))
    assert nvml.joules(GPU) == 1
    assert asked == ["GPU-0123-45"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_real_card_is_found():
    torch.ones(1, device=GPU)
    assert nvml.joules(GPU) > 0


def test_a_card_that_does_not_tell(library, monkeypatch):
    def refuse(handle):
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", refuse)
    assert nvml.joules(GPU) is None
    assert nvml.other_processes(GPU) is None


def test_a_run_says_that_it_was_not_alone(run_main, monkeypatch, capsys):
    drawn = iter([100.0, 350.0])
    others = iter([0, 2])
    monkeypatch.setattr("run.joules", lambda device: next(drawn))
    monkeypatch.setattr(nvml, "other_processes", lambda device: next(others))
    outcome = run_main()
    assert outcome.json["compute"]["energy"] == 250
    assert outcome.json["provenance"]["shared_device"] is True
    assert "2 other process(es) compute on this GPU" in capsys.readouterr().err
