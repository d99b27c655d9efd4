"""The command line of contribute.py."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.arguments import setting
from harness.errors import UserError
from harness.experiment import CONTENT
from harness.files import ROOT, display_path
from harness.result.origin import task_of


def main(argv: Sequence[str], description: str, root: Path = ROOT) -> int:
    """Does what the arguments ask for and returns the exit code: 1 where a check found something to put right.

    Raises:
        UserError: they ask for what cannot be done.
    """
    arguments = parse(argv, description)
    return arguments.do(arguments, root)


def parse(argv: Sequence[str], description: str) -> argparse.Namespace:
    """The arguments; `do` is what they ask for."""
    parser = argparse.ArgumentParser(
        prog="contribute.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="new | check | import | new-task")
    new = commands.add_parser("new", help="write an experiment's folder")
    new.add_argument("name", help="<method>/<name>, such as lora/llama-3.2-3B-rank123")
    new.add_argument("--task", help="folder of method_comparison (default: that of --like)")
    new.add_argument("--like", help="experiment to begin from")
    new.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE", type=setting,
                     help="a key of adapter_config.json, or training.KEY of the parameters; repeatable")  # fmt: skip
    new.set_defaults(do=_new)
    check = commands.add_parser("check", help="look at folders, and say what is wrong, unusual, and what it costs")
    check.add_argument("places", nargs="*", metavar="folder", help="of experiments or tasks (default: all, or with "
                       "--base all that differ)")  # fmt: skip
    check.add_argument("--base", metavar="COMMIT", help="such as origin/main: what differs from it is looked at")
    check.add_argument("--rehearse", action="store_true", help="also train each experiment for a few steps")
    check.add_argument("--fix", action="store_true", help="leave out what PEFT or the task take anyway, first")
    check.add_argument("--json", action="store_true", help="print one JSON object instead")
    check.set_defaults(do=_check)
    take = commands.add_parser(
        "import", help="take over experiments and results of the layout that Hugging Face publishes"
    )
    take.add_argument("path", type=Path, help="of an experiment's folder, a result, or a folder of either")
    take.add_argument("--task", help="folder of method_comparison (default: the path tells)")
    take.set_defaults(do=_import)
    task = commands.add_parser("new-task", help="write a task's folder that runs, to be changed into yours")
    task.add_argument("name", help="of the folder in method_comparison")
    task.set_defaults(do=_new_task)
    return parser.parse_args(argv)


def _new(arguments: argparse.Namespace, root: Path) -> int:
    from harness.contribute.new import new_experiment  # PEFT is slow to import, and --help does without it

    files = new_experiment(arguments.name, arguments.task, arguments.like, arguments.settings, root)
    for file in files:
        print(f"{display_path(file)}\n{file.read_text(encoding='utf-8')}", end="")
    print(f"next: python contribute.py check {display_path(files[0].parent)} --rehearse")
    return 0


def _check(arguments: argparse.Namespace, root: Path) -> int:
    from harness.contribute.check import choose, reviews
    from harness.contribute.report import FEW, print_json, print_report

    choice = choose(arguments.places, arguments.base, root)
    if arguments.fix:
        _fix(choice.experiments, root)
    found = reviews(choice, arguments.rehearse, root)
    return print_json(found) if arguments.json else print_report(found, len(choice.experiments) > FEW)


def _fix(folders: Sequence[Path], root: Path) -> None:
    from harness.contribute.defaults import fix

    for folder in folders:
        try:
            lines = fix(folder, root)
        except UserError as found:  # what is wrong with the folder, the check says
            lines = [f"not stripped of defaults: {found}"]
        for line in lines:
            print(line, file=sys.stderr)


def _import(arguments: argparse.Namespace, root: Path) -> int:
    from harness.contribute.importing import import_experiment
    from harness.contribute.importing_results import import_result

    experiments, results = published(arguments.path)
    failed = 0
    for source in [*experiments, *results]:
        try:
            task = _task_of(source, arguments.task, root)
            target, lines = (import_experiment if source in experiments else import_result)(source, task, root)
            print(f"{display_path(target)}: from {display_path(source)}", *lines, sep="\n  ")
        except UserError as found:
            if len(experiments) + len(results) == 1:
                raise
            failed += 1
            print(f"error: {found}")
    return int(failed > 0)


def published(path: Path) -> tuple[list[Path], list[Path]]:
    """The experiment folders and the result files that a path of the published layout holds.

    Raises:
        UserError: it holds neither.
    """
    if not os.path.exists(path):  # False for an impossible name too
        raise UserError(f"{path}: no such file or folder")
    inside = [path, *path.rglob("*")] if path.is_dir() else [path]
    folders = [one for one in inside if one.is_dir() and one.resolve().parent.parent.name == "experiments"]
    files = [one for one in inside if one.suffix == ".json" and one.is_file() and _is_of_results(one)]
    if not folders and not files:
        raise UserError(f"{path}: holds neither experiments/<method>/<name> nor results")
    return sorted(folders), sorted(files)


def _is_of_results(path: Path) -> bool:
    return "experiments" not in path.resolve().parts and path.name != "default_training_params.json"


def _task_of(source: Path, given: str | None, root: Path) -> str:
    task = given or task_of(source.parent)
    if not (root / CONTENT / task / "data.py").is_file():
        raise UserError(f"--task: {display_path(source)} is of {task!r}, which is no task here; name one")
    return task


def _new_task(arguments: argparse.Namespace, root: Path) -> int:
    from harness.contribute.new_task import new_task

    files = new_task(arguments.name, root)
    print(*map(display_path, files), sep="\n")
    print(f"next: python contribute.py check {CONTENT}/{arguments.name}")
    return 0
