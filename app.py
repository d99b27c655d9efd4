"""The dashboard over all results.

python app.py
python app.py --results results --results ../elsewhere/results --port 8000
python app.py --static site/index.html
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError, run_command
from harness.experiment import ROOT


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        prog="python app.py",
        description="Opens a dashboard over all results.",
        epilog="exit codes: 0 stopped by you, 2 something you can put right, such as a folder that does not exist",
    )
    parser.add_argument(
        "--results",
        action="append",
        type=Path,
        metavar="PATH",
        help="folder or file of results, searched recursively (default: the checkout's results/); repeatable",
    )
    parser.add_argument("--task", help="task of result files that do not name theirs (default: their folder's name)")
    parser.add_argument(
        "--host",
        default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        help="address to listen on (default: GRADIO_SERVER_NAME, which Spaces set, else 127.0.0.1, this machine)",
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
    parser.add_argument(
        "--static", type=Path, metavar="OUT", help="write one page that needs no server to this file or folder instead"
    )
    return parser.parse_args(argv)


def start(argv: Sequence[str] | None) -> None:
    """Reads the results and serves the dashboard until it is interrupted.

    Raises:
        UserError: a path does not exist, or the port is taken.
    """
    arguments = parse_arguments(argv)
    paths = arguments.results or [ROOT / "results"]
    for path in arguments.results or []:
        if not path.exists():
            raise UserError(f"--results {path}: no such file or folder; expected one that holds *.json results")
    if not 0 < arguments.port < 65536:
        raise UserError(f"--port {arguments.port}: expected a number from 1 to 65535")
    try:
        if arguments.static:  # needs no Gradio, which takes seconds to import
            from harness.dashboard.static import write_page
        else:
            from harness.dashboard.page import Dashboard
            from harness.dashboard.server import serve
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; pip install -r requirements-app.txt") from None
    try:
        if arguments.static:
            print(write_page(paths, arguments.task, arguments.static))
        else:
            serve(Dashboard(paths, arguments.task), arguments.host, arguments.port)
    except OSError as error:
        where = (
            f"--static {arguments.static}" if arguments.static else f"--host {arguments.host} --port {arguments.port}"
        )
        remedy = "give a file or folder that can be written" if arguments.static else "try another --port"
        raise UserError(f"{where}: {error}; {remedy}") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Serves the dashboard and returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
