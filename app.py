"""The dashboard over all results.

python app.py
python app.py --results results --results ../elsewhere/results --port 8000
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
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: 7860)")
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
    # Read by the framework while it is imported, which is why the import stands here.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        from harness.dashboard.build import build
        from harness.dashboard.theme import launch_settings
    except ModuleNotFoundError as error:
        raise UserError(f"{error.name} is not installed; pip install -r requirements-app.txt") from None
    page = build(paths, arguments.task)
    try:
        page.launch(server_name=arguments.host, server_port=arguments.port, **launch_settings())
    except OSError as error:
        raise UserError(f"--host {arguments.host} --port {arguments.port}: {error}; try another --port") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Serves the dashboard and returns the exit code."""
    return run_command(start, argv)


if __name__ == "__main__":
    sys.exit(main())
