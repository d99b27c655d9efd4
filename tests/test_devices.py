"""What a run says of the machine it runs on."""

import torch

from harness.devices import hardware, system_info
from harness.result.provenance import cpu_slug, processor


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
