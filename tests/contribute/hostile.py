"""Folders of somebody who means harm, each with a canary that sings when what it names is imported, run or read."""

import json
import os
import pickle
from pathlib import Path

from trees import EMBEDDED, LORA

SING = "import pathlib; pathlib.Path({canary!r}).touch()\n"
SECRET = "what lies outside of the checkout"


class Singer:
    """Unpickled, it sings."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (Path(self.canary),)


def _adapter(**changes):
    return lambda folder: _write(folder, LORA | changes)


def _params(**changes):
    return lambda folder: _write(folder, LORA, EMBEDDED | changes)


def _write(folder, adapter=None, params=None):
    contents = {"adapter_config.json": adapter or LORA, "training_params.json": params or EMBEDDED}
    for file, content in contents.items():
        (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))


def _linked(folder):
    _write(folder)
    (folder / "adapter_config.json").unlink()
    (folder / "adapter_config.json").symlink_to(folder.parents[5] / "outside" / "adapter_config.json")


def _pipe(folder):
    _write(folder)
    (folder / "training_params.json").unlink()
    os.mkfifo(folder / "training_params.json")


def _gigabyte(folder):
    _write(folder)
    os.truncate(folder / "adapter_config.json", 2**30)  # of which no block is on the disk


def _nested(folder):
    _write(folder, '{"rank_pattern": ' + '{"a": ' * 100_000 + "1" + "}" * 100_001)


def _pickled(folder):
    _write(folder, LORA | {"init_lora_weights": "./adapter_model.bin"})
    (folder / "adapter_model.bin").write_bytes(pickle.dumps(Singer(folder.parents[4] / "canary")))


def _code(folder):
    _write(folder, params=EMBEDDED | {"generation_kwargs": {"max_new_tokens": 4, "custom_generate": str(folder)}})
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(SING.format(canary=str(folder.parents[4] / "canary")))


PROMPT = {"peft_type": "MULTITASK_PROMPT_TUNING", "num_virtual_tokens": 4, "num_tasks": 2}
HOSTILE = {
    "module to import": _adapter(megatron_config={"a": 1}, megatron_core="evil"),
    "module to import, alone": _adapter(megatron_core="evil"),
    "class to import": _adapter(auto_mapping={"base_model_class": "Model", "parent_library": "evil"}),
    "runtime config": _adapter(runtime_config={"ephemeral_gpu_offload": True}),
    "cache file": _adapter(init_lora_weights="corda", corda_config={"cache_file": "/srv/secret.bin", "covariance_file": "x.bin"}),
    "another cache file": _adapter(init_lora_weights="lora_ga", lora_ga_config={"cache_file": "x.pt"}),
    "absolute path": _adapter(init_lora_weights="/srv/secret.bin"),
    "path upward": _adapter(init_lora_weights="../../../../../../outside/adapter_model.bin"),
    "path as base model": _params(model_id="../outside"),
    "absolute base model": _params(model_id="/srv/secret.bin"),
    "foreign base model": _adapter(base_model_name_or_path="somebody/else"),
    "foreign tokenizer": lambda folder: _write(folder, {
        "peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4, "prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "a",
        "tokenizer_name_or_path": "somebody/else", "tokenizer_kwargs": {"trust_remote_code": True}}),
    "pickled prompt": lambda folder: _write(folder, PROMPT | {"prompt_tuning_init_state_dict_path": "adapter_model.bin"}),
    "pickle": _pickled,
    "preset upward": _params(profile="../../../../outside/adapter_config"),
    "link": _linked,
    "named pipe": _pipe,
    "gigabyte": _gigabyte,
    "deep nesting": _nested,
    "expression without end": _adapter(target_modules="(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*(.*)*X"),
    "keys without end": _adapter(rank_pattern={"([\\w.]+)+(?<!s)": 4}),
    "code that generates": _code,
    "kernel of the hub": _params(attn_implementation="somebody/kernel"),
    "kernel by revision": _params(attn_implementation="flash_attention_2@main:kernel"),
    "template with code": _params(query_template="{query.__class__.__init__.__globals__}"),
    "optimizer to import": _params(optimizer_type="evil.Optimizer"),
    "terminal": _adapter(**{"\x1b]0;title\x07\x1b[2J": 1}),
}  # fmt: skip


def prepare(root):
    """What hostile folders reach for: beside the checkout's tree a module and weights, all of which sing."""
    outside = root.parent / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "evil.py").write_text(SING.format(canary=str(root / "canary")))
    (outside / "adapter_config.json").write_text(json.dumps(LORA | {"comment": SECRET}))
    (outside / "adapter_model.bin").write_bytes(pickle.dumps(Singer(root / "canary")))
    return outside


def has_sung(root):
    return (root / "canary").exists()
