"""Folders and results of the layout that Hugging Face publishes, written here, become ones that run and are read here."""

import json

import peft
import pytest
from result_files import published as result

from harness.contribute import command
from harness.contribute.experiments import review_experiment
from harness.errors import UserError
from harness.experiment import read_experiment
from harness.result.comparable import FOREIGN
from harness.result.read import read_results

QV = ["q_proj", "v_proj"]


@pytest.fixture
def theirs(tmp_path):
    """Writes one of their experiment folders; an adapter is a PEFT config, or a dictionary."""

    def write(name, adapter=None, params=None):
        folder = tmp_path / "peft/method_comparison/MetaMathQA/experiments" / name
        folder.mkdir(parents=True)
        if isinstance(adapter, dict):
            (folder / "adapter_config.json").write_text(json.dumps(adapter))
        elif adapter is not None:
            adapter.save_pretrained(folder)
        if params is not None:
            (folder / "training_params.json").write_text(json.dumps(params))
        return folder

    return write


@pytest.fixture
def take(tree, capsys):
    """Calls `contribute.py import`; returns exit code and output."""

    def call(path, *arguments):
        code = command.main(["import", str(path), *arguments], "", tree.root)
        return code, capsys.readouterr().out

    return call


def content(folder, file):
    path = folder / f"{file}.json"
    return json.loads(path.read_text()) if path.exists() else None


def test_a_lora_folder(theirs, take, tree):
    config = peft.LoraConfig(r=64, lora_alpha=64, use_rslora=True, target_modules=QV, task_type="CAUSAL_LM")
    source = theirs("lora/llama-3.2-3B-rank64-rslora", config)
    code, printed = take(source)
    folder = tree.folder("lora/llama-3.2-3B-rank64-rslora")
    assert code == 0
    assert f"from {source}" in printed
    adapter = content(folder, "adapter_config")
    assert sorted(adapter.pop("target_modules")) == QV
    assert adapter == {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 64, "lora_alpha": 64, "use_rslora": True}
    assert content(folder, "training_params") is None
    assert not review_experiment(folder).has_errors


PARAMS = [
    ({"optimizer_type": "lora-fa", "optimizer_kwargs": {"r": 32, "lora_alpha": 64, "lr": 1e-4, "weight_decay": 0.1}},
     {"optimizer_type": "LoraFA", "optimizer_kwargs": {"lr": 1e-4, "weight_decay": 0.1}},
     ["optimizer_type: lora-fa is LoraFA", "optimizer_kwargs.r: dropped", "optimizer_kwargs.lora_alpha: dropped"]),
    ({"optimizer_type": "riemannian", "optimizer_kwargs": {"lr": 1e-4, "weight_decay": 0.1, "reg": 1e-2}},
     {"optimizer_type": "Riemannian", "optimizer_kwargs": {"lr": 1e-4, "weight_decay": 0.1, "reg": 1e-2}},
     ["optimizer_type: riemannian is Riemannian"]),
    ({"optimizer_type": "lora+", "optimizer_kwargs": {"lr": 1e-4, "loraplus_lr_ratio": 16}},
     {"optimizer_type": "LoraPlus", "optimizer_kwargs": {"lr": 1e-4, "loraplus_lr_ratio": 16}},
     ["optimizer_type: lora+ is LoraPlus"]),
    ({"use_gc": True, "lr_scheduler": None, "grad_norm_clip": 0, "init_kv_cache_prefix": None, "batch_size": 4},
     {"gradient_checkpointing": True, "lr_scheduler": "none", "grad_norm_clip": None},
     ["use_gc: now gradient_checkpointing", 'lr_scheduler: null is "none"', "grad_norm_clip: 0 is null",
      "init_kv_cache_prefix: null, dropped"]),
    ({"generation_kwargs": {"cache_implementation": "static", "max_length": 768, "max_new_tokens": 200}},
     {"generation_kwargs": {"max_new_tokens": 200}},
     ["generation_kwargs.max_length: 768 dropped", "generation_kwargs.cache_implementation: 'static' dropped"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("params", "expected", "said"), PARAMS, ids=["lora-fa", "riemannian", "lora+", "others", "decoding"]
)
def test_parameters_by_other_names(params, expected, said, theirs, take, tree):
    adapter = {"peft_type": "LORA", "r": 32, "lora_alpha": 64, "target_modules": QV}
    _, printed = take(theirs("lora/llama-3.2-3B-other", adapter, params))
    folder = tree.folder("lora/llama-3.2-3B-other")
    assert content(folder, "training_params") == expected
    assert all(f"\n  {line}" in printed for line in said)
    assert read_experiment(folder).adapter_config == adapter


def test_full_finetuning_is_a_folder_without_adapter(theirs, take, tree):
    _, printed = take(theirs("full-finetuning/llama-3.2-3B-lr_0.00001", params={"optimizer_kwargs": {"lr": 1e-5}}))
    folder = tree.folder("full-finetuning/llama-3.2-3B-lr_0.00001")
    expected = {"optimizer_kwargs": {"lr": 1e-5}, "full_finetuning": True, "dtype": "float32", "use_amp": True}
    assert content(folder, "training_params") == expected
    assert content(folder, "adapter_config") is None
    assert "full_finetuning: true" in printed
    assert [one.level for one in review_experiment(folder).concerns] == ["warning"], "nearly the folder that is there"


def test_keys_of_another_peft(theirs, take, tree):
    adapter = {"peft_type": "LORA", "r": 20, "target_modules": QV, "eva_config": None, "never_heard_of": {"a": 1}, "peft_version": "9.9",
               "inference_mode": True}  # fmt: skip
    _, printed = take(theirs("lora/llama-3.2-3B-rank20", adapter))
    assert content(tree.folder("lora/llama-3.2-3B-rank20"), "adapter_config") == {
        "peft_type": "LORA",
        "r": 20,
        "target_modules": QV,
    }
    assert f"never_heard_of: {{'a': 1}} dropped; PEFT {peft.__version__} has no such key of LORA" in printed
    assert "inference_mode: True dropped" in printed


@pytest.mark.parametrize(
    ("adapter", "params", "said"),
    [
        ({"peft_type": "NEVER"}, None, "peft_type: PEFT has no 'NEVER'"),
        ({"peft_type": "LORA", "megatron_config": {}, "megatron_core": "evil"}, None, "not allowed in an experiment"),
        ({"peft_type": "LORA"}, {"model_id": "../weights"}, "model_id: expected a hub name"),
        ({"peft_type": "LORA"}, {"banana": 1}, "banana: unknown key"),
    ],
)
def test_what_cannot_be_taken_over_leaves_nothing(adapter, params, said, theirs, take, tree):
    source = theirs("lora/llama-3.2-3B-new", adapter, params)
    with pytest.raises(UserError, match=said):
        take(source)
    assert not tree.folder("lora/llama-3.2-3B-new").exists()


def test_many_at_once_and_one_that_is_there(theirs, take, tree):
    folder = theirs("lora/llama-3.2-3B-rank20", {"peft_type": "LORA", "r": 20, "target_modules": QV})
    theirs("lora/llama-3.2-3B-rank32", {"peft_type": "LORA", "r": 32})
    code, printed = take(folder.parents[1])
    assert code == 1
    assert "lora/llama-3.2-3B-rank32: exists; an experiment is never edited" in printed
    assert tree.folder("lora/llama-3.2-3B-rank20").is_dir()


def test_neither_folders_nor_results(tmp_path, take):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds neither"):
        take(tmp_path / "empty")
    with pytest.raises(UserError, match="no such file or folder"):
        take(tmp_path / "never")
    with pytest.raises(UserError, match="no such file or folder"):
        take(tmp_path / ("x" * 300))


def older(values):
    """The layout of the first half of 2025."""
    info, system = values["train_info"], values["meta_info"]["system_info"]
    for name in ("memory_reserved_avg", "memory_max", "memory_reserved_99th"):
        info[f"cuda_{name}"] = info.pop(f"accelerator_{name}")
    system["gpu"] = system.pop("accelerator")
    return values


@pytest.mark.parametrize("version", [older, lambda values: values], ids=["older", "today"])
def test_results_are_read_as_what_was_measured(version, tmp_path, tree, take):
    source = tmp_path / "peft/method_comparison/MetaMathQA/results/lora--llama-3.2-3B-rank32.json"
    source.parent.mkdir(parents=True)
    source.write_text(json.dumps(version(result(accuracy=0.478))))
    code, printed = take(source.parent)
    assert code == 0
    assert ("meta_info.system_info.gpu: now accelerator" in printed) == (version is older)
    (written,) = tree.root.glob("results/published/MetaMathQA/nvidia-*/lora--llama-3.2-3B-rank32--seed0.json")
    found = read_results([tree.root / "results"])
    assert found.skipped == []
    (record,) = found.records
    expected = {"task": "MetaMathQA", "experiment": "lora/llama-3.2-3B-rank32", "score": 0.478, "trainable_params": 9175040.0,
                "storage": 36715216.0, "memory_train": 22273855488.0, "protocol": FOREIGN, "status": "success"}  # fmt: skip
    assert {key: record[key] for key in expected} == expected
    assert json.loads(written.read_text()) == result(accuracy=0.478)
    assert take(source.parent)[0] == 0, "the same once more"
    source.write_text(json.dumps(result(accuracy=0.5)))
    with pytest.raises(UserError, match="another result of this run is there"):
        take(source)


def test_a_result_that_is_none(tmp_path, take):
    (tmp_path / "broken.json").write_text('{"run_info": {}}')
    with pytest.raises(UserError, match="broken.json: "):
        take(tmp_path / "broken.json", "--task", "MetaMathQA")
