"""A pinned model that exists only as .bin is loaded as weights; one that holds anything else is refused."""

import pickle

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.workloads.text import Text

EMBEDDED = ROOT / "harness" / "embedded" / "t5"
OWN = read_experiment(ROOT / "method_comparison/CNNDM/experiments/full-finetuning/embedded-t5").params
HUB = OWN.model_copy(update={"model_id": "someone/t5"})


@pytest.fixture
def only_bin(tmp_path, monkeypatch):
    """The embedded model as a hub repository of old: its weights pickled."""
    model = AutoModelForSeq2SeqLM.from_pretrained(EMBEDDED, dtype=torch.float32)
    model.config.save_pretrained(tmp_path)
    monkeypatch.setattr("harness.models.location", lambda params, where: (str(tmp_path), {}))
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    return tmp_path, model


def test_bin_weights_are_loaded(only_bin):
    loaded = Text.load(HUB, torch.device("cpu"), str)[1]
    ours, theirs = loaded.state_dict(), only_bin[1].state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_models_that_ship_are_never_loaded_from_bin(only_bin):
    with pytest.raises(OSError, match="safetensors"):
        Text.load(OWN, torch.device("cpu"), str)[1]


class Malicious:
    def __reduce__(self):
        return (print, ("this must never be printed",))


@pytest.mark.parametrize("write", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what, protocol=2))])
def test_a_bin_that_would_run_code_is_refused(only_bin, write, capsys):
    folder, model = only_bin
    write({**model.state_dict(), "extra": Malicious()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"its \.bin file holds more than weights and was not loaded"):
        Text.load(HUB, torch.device("cpu"), str)[1]
    assert "never be printed" not in capsys.readouterr().out
