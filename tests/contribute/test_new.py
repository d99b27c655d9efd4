"""contribute.py new and check --fix: folders that say only what differs."""

import json

import peft
import pytest

from harness.contribute import command
from harness.contribute.defaults import fix, strip_adapter
from harness.errors import UserError
from harness.experiment import read_experiment

LIKE = ["--like", "lora/llama-3.2-3B-rank32"]


@pytest.fixture
def new(tree):
    """Calls `contribute.py new` in the checkout and returns the folder."""

    def call(name, *arguments):
        assert command.main(["new", name, *arguments], "", tree.root) == 0
        return tree.folder(name)

    return call


def test_a_folder_like_another(new, capsys):
    folder = new("lora/llama-3.2-3B-rank123", "--task", "MetaMathQA", *LIKE, "--set", "r=123")
    assert [path.name for path in folder.iterdir()] == ["adapter_config.json"]
    assert json.loads((folder / "adapter_config.json").read_text()) == {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 123, "lora_alpha": 64, "target_modules": ["q_proj", "v_proj"],
    }  # fmt: skip
    assert "next: python contribute.py check" in capsys.readouterr().out


def test_parameters_and_nested_keys(new):
    settings = [
        "--set",
        "training.optimizer_kwargs.lr=3e-4",
        "--set",
        "training.max_steps=5000",
        "--set",
        'rank_pattern={"q_proj": 4}',
    ]
    folder = new("lora/llama-3.2-3B-rank32-lr3e-4", *LIKE, *settings, "--set", "use_dora=false")
    assert json.loads((folder / "training_params.json").read_text()) == {"optimizer_kwargs": {"lr": 3e-4}}, (
        "the rest are defaults"
    )
    adapter = json.loads((folder / "adapter_config.json").read_text())
    assert adapter["rank_pattern"] == {"q_proj": 4}
    assert "use_dora" not in adapter


def test_a_preset_and_a_method_without_a_model(new):
    folder = new("loha/embedded-llama-rank4", "--task", "MetaMathQA", "--set", "training.profile=embedded", "--set", "r=4",
                 "--set", 'target_modules=["q_proj"]')  # fmt: skip
    assert json.loads((folder / "training_params.json").read_text()) == {"profile": "embedded"}
    assert read_experiment(folder).adapter_config == {"peft_type": "LOHA", "r": 4, "target_modules": ["q_proj"]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lora/x", "--like", "lora/llama-3.2-3B-rank32", "--set", "rr=1"], "rr: unknown key of LORA"),
        (
            ["lora/x", "--like", "lora/llama-3.2-3B-rank32", "--set", "training.max_step=1"],
            'did you mean "max_steps"?',
        ),
        (
            ["lora/x", "--like", "lora/llama-3.2-3B-rank32", "--set", "training=1"],
            "--set: training: name a parameter after it",
        ),
        (
            ["lora/x", "--like", "full-finetuning/llama-3.2-3B", "--set", "r=1"],
            "full fine-tuning has no adapter config",
        ),
        (["lora/llama-3.2-3B-rank32", "--like", "lora/llama-3.2-3B-rank32"], "exists; choose another name"),
        (["lora/x", "--like", "lora/llama-3.2-3B-rank33"], "no such experiment folder; did you mean"),
        (["lora/x"], "--task: missing"),
        (["lora/x", "--task", "MetaMath"], "--task: there is no 'MetaMath'; did you mean \"MetaMathQA\"?"),
        (["lora/../../x", "--like", "lora/llama-3.2-3B-rank32"], "expected <method>/<name>"),
        (["lora/a--b", "--like", "lora/llama-3.2-3B-rank32"], "expected <method>/<name>"),
    ],
)
def test_mistakes_write_nothing(arguments, said, tree):
    before = sorted(tree.root.rglob("*"))
    with pytest.raises(UserError) as found:
        command.main(["new", *arguments], "", tree.root)
    assert said in str(found.value)
    assert sorted(tree.root.rglob("*")) == before


def test_what_save_pretrained_wrote_is_welcome_and_stripped(tree):
    folder = tree.folder("lora/llama-3.2-3B-saved")
    peft.LoraConfig(r=20, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM").save_pretrained(folder)
    tree.write(
        "lora/llama-3.2-3B-saved", params={"max_steps": 5000, "optimizer_kwargs": {"lr": 2e-4, "weight_decay": 0.1}}
    )
    before = read_experiment(folder).params
    assert len(fix(folder, tree.root)) == 2
    adapter = json.loads((folder / "adapter_config.json").read_text())
    assert adapter["target_modules"] in (["q_proj", "v_proj"], ["v_proj", "q_proj"])
    assert {key: adapter[key] for key in adapter if key != "target_modules"} == {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 20,
    }
    assert json.loads((folder / "training_params.json").read_text()) == {"optimizer_kwargs": {"lr": 2e-4}}
    assert read_experiment(folder).params == before
    assert fix(folder, tree.root) == []


def test_a_trained_models_config_is_stripped_too():
    assert strip_adapter({"peft_type": "LORA", "inference_mode": True, "peft_version": "0.1", "r_": 1}) == {
        "peft_type": "LORA",
        "r_": 1,
    }


def test_nothing_is_stripped_under_a_result(tree):
    folder = tree.write(
        "lora/embedded-llama-rank8",
        params={"profile": "embedded", "max_steps": 160, "optimizer_kwargs": {"lr": 0.005}},
    )
    result = tree.root / "results/MetaMathQA/cpu/lora--embedded-llama-rank8--seed0.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}")
    with pytest.raises(UserError, match="is of these files as they are; nothing was changed"):
        fix(folder, tree.root)
    result.unlink()
    assert len(fix(folder, tree.root)) == 1
