"""Saving and loading: through PEFT's own functions, in any process that imported harness.methods."""

import json
import re
import subprocess
import sys

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from harness.experiment import ROOT
from tests.methods.conftest import METHODS, attached, inputs, logits, move, tiny_model

CASES = [*((method, {}) for method in METHODS), ("PREFIX_STACKS", {"prefix_hidden": 12})]


@pytest.fixture
def saved(tmp_path):
    def save(model):
        model.save_pretrained(tmp_path / "adapter", save_embedding_layers=False)
        return tmp_path / "adapter"

    return save


@pytest.mark.parametrize(("method", "fields"), CASES)
@pytest.mark.parametrize(
    "loading", [{}, {"adapter_name": "other"}, {"low_cpu_mem_usage": True}], ids=["plain", "renamed", "low memory"]
)
def test_what_is_loaded_answers_as_what_was_saved(method, fields, loading, kind, saved):
    model = attached(method, kind, **fields)
    loaded = PeftModel.from_pretrained(tiny_model(kind), saved(model), **loading)
    torch.testing.assert_close(logits(loaded, kind), logits(model, kind), rtol=1e-5, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize(("method", "fields"), CASES)
def test_the_files_hold_the_users_config_and_names_without_the_adapters(method, fields, kind, saved):
    folder = saved(attached(method, kind, **fields))
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["peft_type"] == method
    assert "target_modules" not in config
    assert not any("default" in name for name in load_file(folder / "adapter_model.safetensors"))


def test_a_shared_rule_is_stored_once(kind, saved):
    names = list(load_file(saved(attached("COMPACTER", kind)) / "adapter_model.safetensors"))
    assert [name for name in names if "rule" in name] == ["base_model.method_shared.rule.weight"]


@pytest.mark.parametrize("method", ["PREFIX_STACKS", "MAM"])
def test_a_prefix_is_stored_without_its_mlp(method, kind, saved):
    by_mlp, flat = (attached(method, kind, prefix_hidden=hidden) for hidden in (12, None))
    flat_names = set(load_file(saved(flat) / "adapter_model.safetensors"))
    folder = saved(by_mlp)
    assert set(load_file(folder / "adapter_model.safetensors")) == flat_names
    with pytest.raises(ValueError, match="such as a prefix's MLP, is not stored: load it without is_trainable"):
        PeftModel.from_pretrained(tiny_model(kind), folder, is_trainable=True)


@pytest.mark.parametrize(("method", "fields"), [case for case in CASES if case[0] != "MAM" and not case[1]])
def test_what_is_loaded_to_train_trains(method, fields, kind, saved):
    loaded = PeftModel.from_pretrained(tiny_model(kind), saved(attached(method, kind)), is_trainable=True)
    loaded(**inputs(kind)).loss.backward()
    trained = {name for name, parameter in loaded.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in loaded.named_parameters() if ".method_" in name}


def test_a_file_that_lacks_a_tensor_is_refused(kind, saved):
    folder = saved(attached("COMPACTER", kind))
    tensors = load_file(folder / "adapter_model.safetensors")
    del tensors["base_model.method_shared.rule.weight"]
    save_file(tensors, folder / "adapter_model.safetensors")
    with pytest.raises(ValueError, match=r"has no base_model.method_shared.default.rule.weight"):
        PeftModel.from_pretrained(tiny_model(kind), folder)


def test_only_the_named_adapter_is_saved(kind, saved, tmp_path):
    model = attached("PREFIX_STACKS", kind, prefix_hidden=12)
    model.add_adapter("second", attached("PREFIX_STACKS", kind, prefix_hidden=12).peft_config["default"])
    model.set_adapter("second")
    second = logits(move(model), kind)
    model.save_pretrained(tmp_path, selected_adapters=["second"], save_embedding_layers=False)
    loaded = PeftModel.from_pretrained(tiny_model(kind), tmp_path / "second")
    torch.testing.assert_close(logits(loaded, kind), second, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_fresh_process_loads_it_with_the_three_lines_of_the_documentation(saved, tmp_path):
    base = tiny_model("llama")
    base.save_pretrained(tmp_path / "base")
    model = attached("HOULSBY", "llama", base)
    expected = logits(model, "llama")
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## A method\n")[1].split("\n## ")[0]
    (lines,) = (block for block in re.findall(r"```py\n(.*?)```", text, re.DOTALL) if "from_pretrained" in block)
    assert len([line for line in lines.splitlines() if line and not line.startswith("from ")]) == 3
    lines = lines.replace('"the base model"', repr(str(tmp_path / "base"))).replace(
        '"its folder"', repr(str(saved(model)))
    )
    torch.save(inputs("llama"), tmp_path / "inputs.pt")
    check = f"import torch; given = torch.load({str(tmp_path / 'inputs.pt')!r})\nwith torch.no_grad(): print(model(**given).logits.double().sum().item())"
    done = subprocess.run(
        [sys.executable, "-c", f"{lines}\n{check}"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) == pytest.approx(expected.double().sum().item(), rel=1e-4)
