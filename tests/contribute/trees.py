"""A checkout of one task with three experiments, in which tests write more."""

import json
import shutil
import subprocess

from harness.experiment import ROOT

TASK = "MetaMathQA"
KEPT = ("lora/llama-3.2-3B-rank32", "lora/embedded-llama-rank8", "full-finetuning/llama-3.2-3B")
LORA = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 99, "target_modules": ["k_proj"]}
EMBEDDED = {"profile": "embedded", "optimizer_kwargs": {"lr": 0.007}}


class Tree:
    """The checkout; the names of folders are <method>/<name>."""

    def __init__(self, root):
        self.root, self.task = root, root / "method_comparison" / TASK
        source = ROOT / "method_comparison" / TASK
        shutil.copytree(source, self.task, ignore=shutil.ignore_patterns("experiments", "__pycache__"))
        for name in KEPT:
            shutil.copytree(source / "experiments" / name, self.folder(name))

    def folder(self, name):
        return self.task / "experiments" / name

    def write(self, name, adapter=None, params=None):
        """Writes a folder: dictionaries as JSON, texts as they are."""
        folder = self.folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in (("adapter_config.json", adapter), ("training_params.json", params)):
            if content is not None:
                (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
        return folder

    def git(self, *arguments):
        identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        return subprocess.run(
            ["git", *identity, "-C", str(self.root), *arguments], check=True, capture_output=True, text=True
        )


def only(messages, *parts):
    """There is one message, and it has these parts."""
    assert len(messages) == 1, messages
    for part in parts:
        assert part in messages[0]
