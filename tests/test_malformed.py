"""Malformed experiment folders: one line that names file, key and remedy, exit code 2, no traceback."""

import json

import pytest
from conftest import FAST

from harness.arguments import parse_arguments
from harness.experiment import ROOT

LORA = {"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}
OK = {"profile": "embedded", "optimizer_kwargs": {"lr": 1e-3}}
ADAPTER, PARAMS = "adapter_config.json", "training_params.json"

# adapter_config.json, training_params.json, the file the message names, what else it must say
MALFORMED = {
    "unknown key": (LORA, OK | {"banana": 1}, PARAMS, "banana: unknown key; expected one of"),
    "typo of a key": (LORA, OK | {"max_step": 1}, PARAMS, 'max_step: unknown key; did you mean "max_steps"?'),
    "typo in optimizer_kwargs": (LORA, OK | {"optimizer_kwargs": {"lr": 1e-3, "weight_decai": 0}}, PARAMS,
                                 'optimizer_kwargs.weight_decai: unknown argument of AdamW; did you mean "weight_decay"'),
    "wrong type": (LORA, OK | {"max_seq_length": "long"}, PARAMS, "max_seq_length: input should be a valid integer"),
    "negative steps": (LORA, OK | {"max_steps": -5}, PARAMS, "max_steps: input should be greater than 0, got -5"),
    "eval_steps > max_steps": (LORA, OK | {"max_steps": 5, "eval_steps": 6}, PARAMS, "eval_steps: expected at most"),
    "custom_generate": (LORA, OK | {"generation_kwargs": {"max_new_tokens": 5, "custom_generate": "a/b"}}, PARAMS,
                        "generation_kwargs.custom_generate: unknown key"),
    "kernel from the hub": (LORA, OK | {"attn_implementation": "someone/kernel"}, PARAMS, "attn_implementation: input"),
    "unknown preset": (LORA, {"profile": "embeded"}, PARAMS, "profile: unknown 'embeded', no preset of"),
    "preset that is no name": (LORA, {"profile": {"lr": 1}}, PARAMS, "profile: unknown {'lr': 1}, no preset of"),
    "unknown optimizer": (LORA, OK | {"optimizer_type": "AdamX", "optimizer_kwargs": {"lr": 1}}, PARAMS,
                          'optimizer_type: unknown \'AdamX\'; did you mean "Adam'),
    "optimizer refuses": (LORA, OK | {"optimizer_kwargs": {"lr": 1e-3, "betas": [2.0, 0.9]}}, PARAMS,
                          "optimizer_kwargs: AdamW refuses them: Invalid beta"),
    "fused and foreach": (LORA, OK | {"optimizer_kwargs": {"lr": 1e-3, "fused": True, "foreach": True}}, PARAMS,
                          "optimizer_kwargs: AdamW refuses them: `fused` and `foreach` cannot be `True` together"),
    "optimizer in lower case": (LORA, OK | {"optimizer_type": "adamw", "optimizer_kwargs": {"lr": 1}}, PARAMS,
                                "optimizer_type: unknown 'adamw'; did you mean \"AdamW\"?"),
    "local model": (LORA, OK | {"model_id": "/models/llama"}, PARAMS, "model_id: expected a hub name"),
    "unknown embedded model": (LORA, OK | {"model_id": "embedded/lama"}, PARAMS, "model_id: unknown 'embedded/lama'"),
    "unknown packaged model": (LORA, OK | {"model_id": "package/smolm"}, PARAMS,
                               'model_id: unknown \'package/smolm\'; did you mean "package/smollm2-135m-instruct"?'),
    "pinned package": (LORA, OK | {"model_id": "package/smollm2-135m-instruct", "model_revision": "0" * 40}, PARAMS,
                       "model_revision: package/smollm2-135m-instruct has none; remove it"),
    "unpinned model": (LORA, {"model_id": "other/model"}, PARAMS, "model_revision: pin the commit of other/model"),
    "broken JSON": ("{", OK, ADAPTER, "line 1, column 2: not JSON"),
    "broken params": (LORA, '{"profile": "embedded",}', PARAMS, "not JSON"),
    "duplicate key": ('{"peft_type": "LORA", "r": 4, "r": 8}', OK, ADAPTER, "r: given twice"),
    "NaN": ('{"peft_type": "LORA", "lora_dropout": NaN}', OK, ADAPTER, "NaN is not a JSON number"),
    "list instead of object": ("[]", OK, ADAPTER, "expected one JSON object"),
    "missing adapter_config": (None, OK, ADAPTER, '"full_finetuning": true'),
    "adapter beside full fine-tuning": (LORA, OK | {"full_finetuning": True}, ADAPTER, "full_finetuning"),
    "no peft_type": ({"r": 4}, OK, ADAPTER, "peft_type: missing"),
    "method not in PEFT": ({"peft_type": "LORAX"}, OK, ADAPTER, "peft_type: PEFT has no 'LORAX'; did you mean"),
    "unknown adapter key": (LORA | {"rank": 4}, OK, ADAPTER, "rank: unknown key of LORA"),
    "adapter type": (LORA | {"r": "4"}, OK, ADAPTER, "r: expected int, got '4'"),
    "PEFT refuses": (LORA | {"layers_pattern": "h"}, OK, ADAPTER, "PEFT rejects it: When `layers_pattern` is specified"),
    "rank of nothing": (LORA | {"r": 0}, OK, ADAPTER, "r: expected more than 0, got 0"),
    "negative dropout": (LORA | {"lora_dropout": -1.0}, OK, ADAPTER, "lora_dropout: expected a share from 0 to below 1"),
    "alpha of nothing": (LORA | {"lora_alpha": 0}, OK, ADAPTER, "lora_alpha: expected more than 0, got 0"),
    "negative token": (LORA | {"trainable_token_indices": [5, -1]}, OK, ADAPTER, "trainable_token_indices: expected from 0"),
    "DoRA on int8": (LORA | {"use_dora": True}, OK | {"dtype": "int8"}, ADAPTER, "use_dora: impossible on an int8 base"),
    "alpha of 400 digits": (f'{{"peft_type": "LORA", "lora_alpha": {"9" * 400}}}', OK, ADAPTER, "too large for a number"),
    "number of 5000 digits": (f'{{"peft_type": "LORA", "r": {"9" * 5000}}}', OK, ADAPTER, "too large for a number"),
    "nesting without end": (LORA, '{"optimizer_kwargs": ' + "[" * 100_000 + "]" * 100_000 + "}", PARAMS, "nested more than 20"),
    "nesting": (LORA, OK | {"optimizer_kwargs": {"lr": 1, "betas": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}}, PARAMS, "nested more"),
    "half of a surrogate pair": ('{"peft_type": "LORA", "target_modules": "\\ud800"}', OK, ADAPTER, "half of a surrogate pair"),
    "a megabyte": (LORA, '{"query_template": "' + "x" * 1_000_000 + '"}', PARAMS, "expected at most 1,000,000 bytes"),
    "key that steers the terminal": (LORA, OK | {"a\x1b[31m\nb": 1}, PARAMS, "a\\x1b[31m b: unknown key"),
    "long value": (LORA, OK | {"dtype": "x" * 100_000}, PARAMS, "(100002 characters)"),
    "modules that match nothing": (LORA | {"target_modules": ["query"]}, OK, ADAPTER, "target_modules: "),
    "other task type": (LORA | {"task_type": "SEQ_2_SEQ_LM"}, OK, ADAPTER, "task_type: expected CAUSAL_LM"),
    "other base model": (LORA | {"base_model_name_or_path": "x/y"}, OK, ADAPTER, "base_model_name_or_path: expected"),
    "module to import": (LORA | {"auto_mapping": {"parent_library": "os"}}, OK, ADAPTER, "auto_mapping: not allowed"),
    "megatron module": (LORA | {"megatron_config": {}, "megatron_core": "evil"}, OK, ADAPTER, "not allowed"),
    "path as initialization": (LORA | {"init_lora_weights": "../weights"}, OK, ADAPTER, "init_lora_weights: a path"),
    "pickled prompt": ({"peft_type": "MULTITASK_PROMPT_TUNING", "num_virtual_tokens": 4}, OK, ADAPTER, "peft_type: "),
    "foreign tokenizer": ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "tokenizer_name_or_path": "x/y"}, OK,
                          ADAPTER, "tokenizer_name_or_path: expected null"),
    "expression without end": (LORA | {"target_modules": "(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*X"}, OK, ADAPTER, "to match"),
    "broken expression": (LORA | {"target_modules": "q_proj("}, OK, ADAPTER, "target_modules: not a regular expression"),
    "slow layers_pattern": (LORA | {"layers_to_transform": [0], "layers_pattern": "([\\w.]+)+(?<!s)"}, OK, ADAPTER, "to match"),
    "long expression": (LORA | {"target_modules": "(" * 3000 + ")" * 3000}, OK, ADAPTER, "at most 500 characters"),
    "number too large": ('{"peft_type": "FOURIERFT", "scaling": 1e999}', OK, ADAPTER, "1e999 is too large"),
    "key that is no name": (LORA, OK | {"max-steps": 5}, PARAMS, 'max-steps: unknown key; did you mean "max_steps"?'),
    "nested key that is no name": (LORA, OK | {"generation_kwargs": {"max-new": 5}}, PARAMS, "generation_kwargs.max-new: unknown"),
    "whole modules in float32": (LORA | {"modules_to_save": ["norm"]}, OK | {"dtype": "bfloat16"}, ADAPTER, '"use_amp": true'),
    "bfloat16 full fine-tuning": (None, OK | {"full_finetuning": True, "dtype": "bfloat16"}, PARAMS, '"dtype": "float32"'),
    "LoRA-FA of IA3": ({"peft_type": "IA3", "target_modules": ["k_proj"], "feedforward_modules": []},
                       OK | {"optimizer_type": "LoraFA", "optimizer_kwargs": {"lr": 1}}, PARAMS, "LoraFA is made for LoRA"),
    "prefix with checkpointing": ({"peft_type": "PREFIX_TUNING", "num_virtual_tokens": 4}, OK | {"gradient_checkpointing": True},
                                  ADAPTER, "gradient checkpointing"),
    "seed too large": (LORA, OK | {"seed": 2**32}, PARAMS, "seed: input should be less than"),
    "AdaLoRA's epochs": ({"peft_type": "ADALORA", "total_step": 7, "tinit": 1, "tfinal": 1},
                         OK | {"num_epochs": 0.5, "eval_steps": 1}, ADAPTER, "total_step: expected the run's"),
    "AdaLoRA's length": ({"peft_type": "ADALORA", "total_step": 7, "tinit": 1, "tfinal": 1}, OK, ADAPTER, "total_step: "),
    "full fine-tuning with LoRA+": (None, OK | {"full_finetuning": True, "optimizer_type": "LoraPlus"}, PARAMS,
                                    "optimizer_type: LoraPlus is made for LoRA"),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_folder(case, write_experiment, run_main, capsys):
    adapter, params, file, message = MALFORMED[case]
    folder = write_experiment(adapter, params)
    outcome = run_main(folder, fast=False)
    captured = capsys.readouterr()
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert outcome.code == 2
    assert file in line
    assert message in line
    assert "Traceback" not in captured.err + captured.out


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("experiments/lora/embedded-lama-rank8", 'did you mean "experiments/lora/embedded-llama-rank8"?'),
        ("experiments/lora", "not an experiment folder"),
        ("/", "not an experiment folder"),
        ("no/such/folder", "no such experiment folder"),
        ("harness", "not an experiment folder"),
        ("~nobody2/x", "no such experiment folder"),
        ("x" * 300, "no such experiment folder"),
    ],
)
def test_paths_that_are_no_experiment(path, message, run_main, capsys):
    assert run_main(path).code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path}: ")
    assert message in error


def test_a_link_out_of_the_folder_is_not_followed(write_experiment, run_main, capsys, tmp_path):
    folder = write_experiment(None, OK)
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(LORA))
    (folder / ADAPTER).symlink_to(secret)
    assert run_main(folder).code == 2
    assert "is a link that leads out of its folder" in capsys.readouterr().err


def test_a_folder_outside_the_tree(tmp_path, run_main, capsys):
    folder = tmp_path / "experiments" / "lora" / "mine"
    folder.mkdir(parents=True)
    assert run_main(folder).code == 2
    assert "expected method_comparison/<Task>/experiments/<method>/<name>" in capsys.readouterr().err


def test_two_dashes_in_a_name(write_experiment, run_main, capsys):
    folder = write_experiment(LORA, OK, path="lora/a--b")
    assert run_main(folder).code == 2
    assert '"--" is not allowed' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "bath_size=3"], 'command line: bath_size: unknown key; did you mean "batch_size"?'),
        (["--device", "cuda:99"], "--device: cuda:99 cannot be used here"),
        (["--device", "gpu"], "--device: gpu cannot be used here"),
        (["--device", "meta"], "--device: meta cannot be used here: expected cpu"),
        (["--set", "profile=embedded"], "command line: profile: only an experiment's own training_params.json"),
        (
            ["--set", "optimizer_type=adamw", "--set", "optimizer_kwargs.lr=1"],
            "command line: optimizer_type: unknown 'adamw'; did you mean \"AdamW\"?",
        ),
        (
            ["--set", "optimizer_kwargs.momentum=1"],
            "command line: optimizer_kwargs.momentum: unknown argument of AdamW",
        ),
        (
            ["--set", "optimizer_kwargs.eps=-1"],
            "command line: optimizer_kwargs: AdamW refuses them: Invalid epsilon",
        ),
        (["--set", "model_id=embedded/lama"], "command line: model_id: unknown 'embedded/lama'"),
        (["--output", "~nobody2/x"], "--output: ~nobody2/x: there is no such user"),
        (["--output", str(ROOT / "run.py")], "run.py: cannot be written to (Not a directory)"),
    ],
)
def test_mistakes_on_the_command_line(arguments, message, run_main, capsys):
    import run

    folder = ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"
    code = run.main(parse_arguments([str(folder), *FAST, *arguments]))
    assert code == 2
    assert message in capsys.readouterr().err


def test_a_missing_architecture_blames_the_file_that_named_the_model(write_experiment, run_main, capsys):
    folder = write_experiment(LORA, {"model_id": "other/model", "model_revision": "0" * 40})
    for seed in ([], ["--seed", "3"]):
        assert run_main(folder, "--rehearse", *seed, fast=False).code == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert line.startswith(f"error: {folder}/{PARAMS}: model_id: no architecture of 'other/model'")


def test_a_score_that_is_none_is_no_result(checkout, write_experiment, run_main, capsys):
    folder = write_experiment(LORA, OK)
    data = folder.parents[2] / "data.py"
    data.write_text(f"{data.read_text()}\n\ndef score(prediction, reference):\n    return Score(float('nan'))\n")
    outcome = run_main(folder)
    assert outcome.code == 2
    assert outcome.json["train_info"]["status"] == "failed"
    assert not list(outcome.output.glob("results/**/*.json"))
    assert "MetaMathQA/data.py: score: expected harness.task.Score(value from 0 to 1" in capsys.readouterr().err
