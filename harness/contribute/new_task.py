"""Writes a task's folder that runs as it is: something to change, not something to fill in."""

import shutil
from pathlib import Path

from harness.contribute.new import plain_name
from harness.errors import UserError
from harness.experiment import CONTENT
from harness.files import display_path

TEMPLATE = Path(__file__).parent / "template"


def new_task(name: str, root: Path) -> list[Path]:
    """Writes method_comparison/<name> and returns its files; sums of two numbers, until somebody changes that.

    Raises:
        UserError: the folder exists, or cannot be called so.
    """
    folder = root / CONTENT / name
    if not plain_name(name):
        raise UserError(f"{name}: expected letters, digits, dots, _ and single hyphens")
    if folder.exists():
        raise UserError(f"{display_path(folder)}: exists; choose another name")
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    readme = folder / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("NAME", name), encoding="utf-8")
    return sorted(path for path in folder.rglob("*") if path.is_file())
