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
# Most of the larger T5's differ from t5-large's in numbers only, which tests/test_t5_architectures.py checks.
LARGER = [folder for folder in REAL if folder.name.startswith(("t5-3b", "t5-11b"))]
REHEARSED = [folder for folder in REAL if folder not in LARGER]
REHEARSED += [folder for folder in LARGER if folder.parent.name == "prefixtuning" and "CNNDM" in folder.parts]
REHEARSED += [folder for folder in LARGER if folder.parent.name == "full-finetuning" and "SuperGLUE" in folder.parts]
# T5 tasks share their adapter configs; those of harness/methods are rehearsed in one of them.
OWN = [path.stem for path in (ROOT / "harness" / "methods").glob("*.py")]
REHEARSED = [folder for folder in REHEARSED if not (folder.parent.name in OWN and "CNNDM" in folder.parts)]
FIRST = {
    folder.parent.name: folder for folder in reversed(REHEARSED)
}.values()  # of each method; `make test` has these
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
    embedded = experiment.params.is_embedded_model
    assert embedded == folder.name.startswith("embedded-") == (experiment.params.data_source == "embedded"), (
        "a folder named embedded-… uses the embedded model and data, and only such a folder may"
    )


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


QV = {"target_modules": ["q_proj", "v_proj"]}
METHODS = {
    "ADALORA": {**QV, "init_r": 8, "target_r": 4, "tinit": 200, "tfinal": 500, "total_step": 5000},
    "BOFT": {**QV, "boft_block_size": 8},
    "FOURIERFT": {**QV, "n_frequency": 64},
    "HRA": QV,
    "IA3": {"target_modules": ["k_proj"], "feedforward_modules": []},
    "LOHA": {**QV, "r": 4},
    "LOKR": {**QV, "r": 4},
    "MISS": {**QV, "r": 8},
    "OFT": {**QV, "oft_block_size": 32},
    "P_TUNING": {"num_virtual_tokens": 8, "encoder_hidden_size": 64},
    "PROMPT_TUNING": {
        "num_virtual_tokens": 8, "prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "Solve (step by step):",
        "tokenizer_name_or_path": "meta-llama/Llama-3.2-3B",
    },
    "ROAD": QV,
    "SHIRA": {**QV, "r": 4},
    "VERA": {**QV, "r": 16},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of the methods' own implementations, about extensions they do without
@pytest.mark.parametrize("method", METHODS)
def test_methods_of_peft_can_be_rehearsed(method, write_experiment, run_main, capsys):
    folder = write_experiment({"peft_type": method, **METHODS[method]}, path=f"{method.lower()}/new")
    code = run_main(folder, "--rehearse", fast=False).code
    captured = capsys.readouterr()
    assert code == 0, captured.err
    assert "rehearsal passed" in captured.out


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
