"""One picture of a task's board: each method's best experiment, its score against its memory, and the Pareto front.

    python -m harness.plot <Task> --committed --output docs/board.svg

draws what `python -m harness.table <Task> --committed --best` prints, a panel for each base model. The front is
what no other experiment beats in both; its points and full fine-tuning have numbers, with names beside the panel.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from harness.errors import UserError, run_command
from harness.result.board import Board
from harness.result.pareto import front
from harness.table import boards_of, ranked

MIB = 2**20
INK, QUIET = "#1f4e79", "#9aa5b1"
# Text as text and no random names, so that a picture of the same results is the same file.
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "board", "font.size": 9, "axes.spines.top": False,
         "axes.spines.right": False}  # fmt: skip


def draw(shown: Sequence[Board], path: Path) -> None:
    """Writes the picture, a panel for each board; an experiment of several seeds has the interval of its score."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9, 4.2 * len(shown)), layout="constrained")
        for axes, board in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
            _panel(axes, board)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def frame_of(board: Board) -> pandas.DataFrame:
    """A row for each line: name, score and its interval, memory in bytes, whether it is on the front."""
    first = board.lines[0].runs[0]
    frame = pandas.DataFrame(
        {"name": line.name, "score": line.score, "low": line.low, "high": line.high,
         "memory_train": pandas.Series([run["memory_train"] for run in line.costs]).median(),
         "higher_is_better": first["higher_is_better"]}
        for line in board.lines
    )  # fmt: skip
    return frame.assign(front=front(frame, "memory_train", "score"))


def _panel(axes: Axes, board: Board) -> None:
    frame, first = frame_of(board), board.lines[0].runs[0]
    memory, score = frame["memory_train"] / MIB, 100 * frame["score"]
    known = frame["low"].notna()
    bars = [score - 100 * frame["low"], 100 * frame["high"] - score]
    axes.errorbar(memory[known], score[known], [bar[known] for bar in bars], fmt="none", ecolor=QUIET, elinewidth=0.6)
    axes.scatter(memory, score, 14, [INK if is_best else QUIET for is_best in frame["front"]], zorder=3)
    best = frame[frame["front"]].sort_values("memory_train")
    axes.step(best["memory_train"] / MIB, 100 * best["score"], where="post", color=INK, linewidth=0.8)
    named = frame[frame["front"] | frame["name"].str.startswith("full-finetuning/")].sort_values("memory_train")
    for number, row in enumerate(named.itertuples(), start=1):
        place = (row.memory_train / MIB, 100 * row.score)
        axes.annotate(str(number), place, (3, 4), textcoords="offset points", fontsize=8, color=INK)
    names = [f"{number}  {name}" for number, name in enumerate(named["name"], start=1)]
    axes.text(1.02, 1, "\n".join(names), transform=axes.transAxes, fontsize=8, va="top", linespacing=1.5)
    axes.set_ylim(bottom=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"peak memory of training, MiB ({board.lines[0].costs[0]['hardware']})")
    axes.set_ylabel(f"{first['metric']} on test, %")
    axes.set_title(f"{first['task']}, {first['model']}: {len(frame)} methods", fontsize=10, loc="left")


def start(argv: Sequence[str] | None) -> None:
    """Writes the picture.

    Raises:
        UserError: nothing matches, or memory was measured on several machines.
    """
    parser = argparse.ArgumentParser(prog="python -m harness.plot", description=__doc__.splitlines()[0])
    parser.add_argument("task")
    parser.add_argument("pattern", nargs="?", default="", help="part of the experiment's name")
    parser.add_argument("--committed", action="store_true", help="only results that git tracks")
    parser.add_argument("--output", type=Path, required=True, help="the SVG to write")
    arguments = parser.parse_args(argv)
    records = ranked(arguments.task, arguments.pattern, only_committed=arguments.committed)
    found = boards_of(arguments.task, records)
    if apart := [board.lines[0].runs[0]["model"] for board in found if board.machine is None]:
        raise UserError(f"{', '.join(apart)}: measured on several machines, so that memory cannot be compared")
    draw(found, arguments.output)


if __name__ == "__main__":
    sys.exit(run_command(start, sys.argv[1:]))
