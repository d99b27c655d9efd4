"""Every experiment folder in the tree, those of a pull request included, is checked the same way."""

import pytest

from harness.adapter_config import Adapter, build_adapter_config
from harness.experiment import ROOT, all_experiments, read_experiment
from harness.optimizers import check_optimizer
from harness.rehearsal import check_architecture
from harness.task import load_task
from harness.workloads.text import Text

FOLDERS = all_experiments()
REAL = [folder for folder in FOLDERS if not folder.name.startswith("embedded-")]
# Whole rehearsals, by path: `make test` has these, `make test-all` the first folder of every other method. All folders
# are adapted and trained in the same way by tests/conformance.py.
SHORT = (
    "full-finetuning/llama-3.2-3B",
    "lora/llama-3.2-3B-rank32",
    "lora/llama-3.2-3B-rank32-corda",
    "lora/llama-3.2-3B-rank64-qlora",
    "cpt/llama-3.2-3B-rows2",
    "prefixtuning/llama-3.2-3B-tokens50-text",
    "prompt_tuning/llama-3.2-3B-tokens100-text",
    "psoft/llama-3.2-3B-rank256",
    "osf/llama-3.2-3B-rank128",
    "houlsby/t5-large",
    "ia3/t5-large",
    "prefixtuning/t5-11b-tokens30",
)
FIRST = [
    folder for folder in REAL if f"{folder.parent.name}/{folder.name}" in SHORT and "SuperGLUE" not in folder.parts
]
REHEARSED = FIRST + [
    folder
    for method, folder in {folder.parent.name: folder for folder in reversed(REAL)}.items()
    if method not in {first.parent.name for first in FIRST}
]
# published trainable parameters of Hugging Face's method_comparison and what follows from the shapes
TRAINABLE = {"lora/llama-3.2-3B-rank32": 9_175_040, "full-finetuning/llama-3.2-3B": 3_212_749_824}


def name(folder):
    return folder.relative_to(ROOT / "method_comparison").as_posix().replace("/experiments", "")


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_folder_is_valid(folder):
    experiment = read_experiment(folder)
    check_optimizer(experiment.params, experiment.origin)
    if experiment.adapter_config is not None:
        build_adapter_config(experiment.adapter_config, experiment.adapter_config_path, experiment.params)
    assert {path.name for path in folder.iterdir()} <= {
        "adapter_config.json",
        "training_params.json",
        "tuning.json",
        "README.md",
    }
    assert experiment.params.is_embedded_model == folder.name.startswith("embedded-")
    assert experiment.params.is_hub_model == (experiment.params.data_source == "hub")


@pytest.mark.filterwarnings("ignore")  # of the methods' own implementations, as in a rehearsal by hand
@pytest.mark.parametrize(
    "folder",
    [folder if folder in FIRST else pytest.param(folder, marks=pytest.mark.slow) for folder in REHEARSED],
    ids=name,
)
def test_rehearsal_passes(folder, run_main, capsys):
    subsets = load_task(folder.parents[2]).subsets
    one_subset = ["--subset", subsets[-1]] if subsets else []
    assert run_main(folder, "--rehearse", *one_subset, fast=False).code == 0
    printed = capsys.readouterr().out
    assert "rehearsal passed" in printed
    assert f"max_steps: {read_experiment(folder).params.max_steps} -> 3" in printed


@pytest.mark.parametrize("path", TRAINABLE)
def test_trainable_parameters_on_the_real_architecture(path):
    experiment = read_experiment(ROOT / "method_comparison" / "MetaMathQA" / "experiments" / path)
    assert check_architecture(experiment, Adapter.of(experiment), Text)[0] == TRAINABLE[path]


def test_rehearsal_adapts_what_is_bound_to_the_model_and_says_so(write_experiment, run_main, capsys):
    folder = write_experiment(
        {"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"], "layers_to_transform": [0, 27]}
    )
    assert run_main(folder, "--rehearse", fast=False).code == 0
    assert "adapter_config.layers_to_transform: [0, 27] -> [0, 3]" in capsys.readouterr().out


def test_rehearsal_finds_what_does_not_fit_the_real_model(write_experiment, run_main, capsys):
    folder = write_experiment({"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"], "layers_to_transform": [28]})
    assert run_main(folder, "--rehearse", fast=False).code == 2
    assert "adapter_config.json: target_modules: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (
            {"peft_type": "LOHA", "r": 8, "target_modules": ["q_porj", "v_proj"]},
            "target_modules: 'q_porj' matches no module of the model; did you mean \"q_proj\"?",
        ),
        (
            {"peft_type": "LORA", "target_modules": ["v_proj"], "modules_to_save": ["lm_haed"]},
            "modules_to_save: 'lm_haed' matches no module of the model; did you mean \"lm_head\"?",
        ),
    ],
)
def test_one_misspelled_module_among_right_ones_is_found(adapter, message, write_experiment, run_main, capsys):
    assert run_main(write_experiment(adapter), "--rehearse", fast=False).code == 2
    assert message in capsys.readouterr().err


def test_training_nothing_is_an_error(run_main, monkeypatch, capsys):
    monkeypatch.setattr("harness.record.parameter_counts", lambda model: (0, 10))
    assert run_main().code == 2
    assert "trains no parameter" in capsys.readouterr().err


def test_rehearsal_goes_through_all_subsets(run_main, capsys):
    folder = ROOT / "method_comparison" / "SuperGLUE" / "experiments" / "lora" / "t5-large-qv-rank8"
    assert run_main(folder, "--rehearse", fast=False).code == 0
    assert "on each of boolq, rte, copa" in capsys.readouterr().out
