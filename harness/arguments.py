"""The command line of run.py, kept free of heavy imports so that --help and typing errors answer at once."""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.errors import UserError, one_line
from harness.files import ROOT, parse_json

EPILOG = """\
exit codes: 0 success, 1 failed (a bug), 2 something you can put right: the folder, a flag, the hub,
            3 out of memory, 4 diverged (non-finite loss), 130 cancelled
"""


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Parses run.py's arguments; `overrides` is the nested dictionary that all --set make together."""
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Train, evaluate and measure one experiment, and write its result.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "experiment", help="folder of the experiment, for example experiments/lora/llama-3.2-3B-rank32"
    )
    parser.add_argument(
        "--seed", type=natural, help="adapter initialization, data order and dropout (default: params)"
    )
    parser.add_argument("--subset", help="run one subset of the task (default: all, one after the other)")
    parser.add_argument("--device", help="cuda, cuda:1, xpu, mps or cpu (default: the accelerator, if there is one)")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=setting,
        help="change a training parameter, for example optimizer_kwargs.lr=1e-3; repeatable (the adapter config "
        "is changed in a folder of its own). "
        "The result of such a modified run stays in runs/",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--rehearse",
        action="store_true",
        help="prove without GPU or hub that the folder works: apply it to its own model's architecture, "
        "then train a few steps on the embedded model",
    )
    instead.add_argument(
        "--profile",
        action="store_true",
        help="measure memory, speed and storage on random weights, made from the base model's architecture: "
        "no download, no quality; writes results/profiles/",
    )
    instead.add_argument(
        "--tune",
        action="store_true",
        help="train, and score valid only: a trial of `suite.py tune`, which never looks at test; stays in runs/",
    )
    instead.add_argument(
        "--forecast",
        action="store_true",
        help="tell from shapes alone, in seconds and without GPU or download, how much memory it would take and why",
    )
    forecast = parser.add_argument_group("with --forecast")
    add_gpu(forecast)
    forecast.add_argument("--batch-size", type=natural, metavar="N", help="as with --set batch_size=N")
    parser.add_argument(
        "--checkpoint-minutes",
        type=float,
        metavar="M",
        help="write a checkpoint every so many minutes, and after training",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint of a run that was killed, where there is one; "
        "succeeds where the result exists",
    )
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--overwrite", action="store_true", help="run although the result exists, and replace it")
    existing.add_argument(
        "--skip-existing", action="store_true", help="do nothing, and succeed, where the result exists"
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT, metavar="DIR", help="where results/ and runs/ are (default: the checkout)"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show what the libraries have to say")
    arguments = parser.parse_args(argv)
    arguments.skip_existing |= arguments.resume and not arguments.overwrite
    arguments.flags = _flags(arguments)
    given = sys.argv[1:] if argv is None else argv
    if any(word != word.encode(errors="replace").decode() for word in given):
        parser.error("expected UTF-8 text, which every result records its command in")
    arguments.overrides = nest(arguments.settings)
    for name in ("gpu", "gpu_memory", "batch_size"):
        if getattr(arguments, name) is not None and not arguments.forecast:
            parser.error(f"--{name.replace('_', '-')}: only with --forecast")
    if arguments.batch_size is not None:
        arguments.overrides["batch_size"] = arguments.batch_size
    return arguments


def _flags(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What does not say which run it is, and is passed on to the process of each subset."""
    device = ["--device", arguments.device] if arguments.device else []
    minutes = arguments.checkpoint_minutes
    device += [] if minutes is None else ["--checkpoint-minutes", str(minutes)]
    switches = {"--overwrite": arguments.overwrite, "--skip-existing": arguments.skip_existing,
                "--resume": arguments.resume, "--verbose": arguments.verbose}  # fmt: skip
    return (*device, *(name for name, given in switches.items() if given))


def add_gpu(parser: argparse._ArgumentGroup) -> None:
    """The GPU that a forecast is made for; suite.py has the same."""
    parser.add_argument("--gpu-memory", type=memory, metavar="24GB", help="whether it fits, the largest batch, and "
                        "what would help; GB are 10**9 bytes, GiB 2**30")  # fmt: skip
    parser.add_argument("--gpu", metavar="NAME", help="for a range of its speed, and its memory: L40S, H100, A100, "
                        "RTX4090 … (harness/forecast/gpus.py)")  # fmt: skip


def memory(text: str) -> int:
    """Bytes, of '24GB', '22.5GiB' or '24'; for argparse."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(GiB|GB|)", text)
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"expected a size such as 24GB or 22.5GiB, got {text!r}")
    return int(float(match[1]) * (2**30 if match[2] == "GiB" else 10**9))


def natural(text: str) -> int:
    """A number of the command line, for argparse: whole and not negative."""
    value = int(text) if text.isdecimal() else -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a whole number that is not negative, got {text!r}")
    return value


def setting(text: str) -> tuple[list[str], Any]:
    """KEY=VALUE of the command line, for argparse: the key's parts between dots, and the value, JSON or a text."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    try:
        return key.split("."), parse_json(value, key)
    except UserError:  # a text needs no quotes
        return key.split("."), value


def nest(settings: Iterable[tuple[list[str], Any]]) -> dict[str, Any]:
    """One nested dictionary of dotted keys, given as their parts, and their values."""
    nested: dict[str, Any] = {}
    for path, value in settings:
        inner = nested
        for part in path[:-1]:
            if not isinstance(inner.get(part), dict):
                inner[part] = {}
            inner = inner[part]
        inner[path[-1]] = value
    return nested


def check_output(path: Path) -> Path:
    """The folder that --output names, tried by writing into it, so that no run is made whose result has no place.

    Returns:
        the folder, absolute; its runs/ is there afterwards.

    Raises:
        UserError: it cannot be made, or not be written to.
    """
    home = os.path.expanduser(path)
    if home.startswith("~"):
        raise UserError(f"--output: {path}: there is no such user; name a folder, or ./{path} if it is called so")
    try:
        folder = Path(os.path.realpath(home))
        for part in ("runs", "results"):
            _try_to_write(folder / part, make=part == "runs")  # a modified run has no results/
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise UserError(f"--output: {path}: cannot be written to ({reason}); name a folder that can be") from None
    return folder


def _try_to_write(folder: Path, make: bool) -> None:
    if make:
        folder.mkdir(parents=True, exist_ok=True)
    elif not os.path.lexists(folder):
        return
    # The name is as long as the longest of a run's own paths; the text finds a disk that is full.
    with tempfile.NamedTemporaryFile(prefix="x" * 200, dir=folder) as file:
        file.write(b"x" * 4096)
        file.flush()
