"""Experiments and tasks by the names that people type."""

from pathlib import Path

from harness.experiment import CONTENT, find_experiment


def locate(text: str, task: str | None, root: Path) -> Path:
    """The experiment folder that `text` names, as run.py takes it, or short: <method>/<name>, of that task or of any.

    Raises:
        UserError: there is none, or several.
    """
    short = text.count("/") == 1 and not text.startswith(("experiments/", "/", "."))
    if short:
        text = f"{CONTENT}/{task}/experiments/{text}" if task else f"experiments/{text}"
    return find_experiment(text, root)
