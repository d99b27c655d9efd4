"""The output of commands that the documentation quotes.

    python -m harness.quoted             # brings every quotation up to date
    python -m harness.quoted --check     # names those that are not, and exits 1

A quotation lies between `<!-- output of: python -m harness.table … -->` and `<!-- end of output -->`. These commands
should have `--committed`, so that what they print is the same on every machine.
"""

import argparse
import contextlib
import importlib
import io
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError, run_command
from harness.files import ROOT, display_path

DOCUMENTS = ("README.md", "docs/*.md", "method_comparison/*/README.md")
QUOTED = re.compile(
    r"(<!-- output of: (python -m (harness\.\w+)([^\n>]*)) -->\n)(.*?)(<!-- end of output -->)", re.DOTALL
)
COMMANDS = ("harness.table", "harness.compare", "harness.findings")


def documents() -> list[Path]:
    """The Markdown files that may quote."""
    return [path for pattern in DOCUMENTS for path in sorted(ROOT.glob(pattern))]


def renewed(text: str) -> str:
    """The document with today's output in each of its quotations.

    Raises:
        UserError: a command is not one of COMMANDS, or cannot be carried out.
    """
    return QUOTED.sub(lambda found: f"{found[1]}{_output(found[2], found[3], found[4])}\n{found[6]}", text)


def _output(command: str, module: str, arguments: str) -> str:
    if module not in COMMANDS:
        raise UserError(f"{command}: expected one of {', '.join(COMMANDS)}")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        importlib.import_module(module).start(shlex.split(arguments))
    output = printed.getvalue().strip()
    return f"```text\n$ {command}\n{output}\n```" if module == "harness.compare" else output


def start(argv: Sequence[str] | None) -> int:
    """Writes or checks; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.quoted", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a quotation is old")
    check, code = parser.parse_args(argv).check, 0
    for path in documents():
        old = path.read_text()
        new = renewed(old)
        if new == old:
            continue
        print(f"{display_path(path)}: {'is not today’s output; run python -m harness.quoted' if check else 'renewed'}")
        code = code or int(check)
        if not check:
            path.write_text(new)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
