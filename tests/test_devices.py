"""Devices that cannot be used, what a run says of its machine, and code that no library may fetch."""

import subprocess
import sys

import pytest
import torch

from harness.devices import choose_device, hardware, system_info
from harness.errors import UserError
from harness.experiment import ROOT
from harness.result.provenance import cpu_slug, processor


@pytest.mark.parametrize("touch", [True, False])
@pytest.mark.parametrize("name", ["meta", "gpu", "cpu:-1", "hpu", "opencl", "vulkan", "privateuseone"])
@pytest.mark.filterwarnings("ignore:.*no longer used as device type")
def test_what_holds_no_numbers_is_no_device(name, touch):
    with pytest.raises(UserError, match=f"^--device: {name} cannot be used here: "):
        choose_device(name, touch)


def test_the_processor_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device(None, touch=False).type in ("cpu", "cuda", "xpu", "mps")


KERNELS = """
def get_kernel(*arguments, **options):
    open({canary!r}, "w").write(repr(arguments))
    raise RuntimeError

def __getattr__(name):
    return lambda *arguments, **options: lambda decorated: decorated
"""
CODE = """
import importlib.util
import {module}
import bitsandbytes  # asks for a kernel on a processor with AVX512-BF16
from transformers.utils import is_kernels_available
print(importlib.util.find_spec("kernels"), is_kernels_available())
"""


@pytest.mark.parametrize("module", ["run", "harness.optimizers"])
@pytest.mark.slow
def test_no_library_fetches_code(module, tmp_path):
    """A package `kernels` is installed that notes what it is asked for."""
    package, canary = tmp_path / "kernels", tmp_path / "canary"
    package.mkdir()
    (package / "__init__.py").write_text(KERNELS.format(canary=str(canary)))
    (tmp_path / "kernels-0.18.5.dist-info").mkdir()
    (tmp_path / "kernels-0.18.5.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: kernels\nVersion: 0.18.5\n"
    )
    done = subprocess.run([sys.executable, "-c", CODE.format(module=module)], env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "HF_HUB_OFFLINE": "1"},
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "None False\n"
    assert not canary.exists(), canary.read_text()


def test_hardware_of_the_cpu_names_its_processor():
    found, cpu = hardware(torch.device("cpu")), processor()
    assert found["slug"] == cpu_slug(cpu["name"])
    assert {key: found[f"cpu_{key}"] for key in ("family", "model", "stepping")} == {
        key: cpu[key] for key in ("family", "model", "stepping")
    }
    assert found["cpu"] == cpu["name"]
    assert found["accelerator"] is None
    assert found["threads"] == torch.get_num_threads()
    assert system_info(torch.device("cpu"))["accelerator"] == "N/A"
