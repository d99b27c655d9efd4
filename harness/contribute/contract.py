"""What a task's folder promises, tried: splits apart, scores in range, embedded rows made by code, without network."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.contribute.concerns import Concern, Review, error, warning
from harness.errors import UserError, brief
from harness.files import display_path, read_json
from harness.overlay import Layer, build_params
from harness.scoring import score_predictions
from harness.task import Row, Task, load_splits, load_task
from harness.workloads import find_workload

GARBAGE = ("", " ", "?!", "answer " * 50)
LEAST_SCORE = 0.9  # of the rows' own targets


def review_task(folder: Path) -> Review:
    """Facts and concerns of a task, all but the training run (see spread.py); executes its data.py."""
    review = Review(str(UserError(display_path(folder))))
    with review.collecting(folder / "data.py"):
        task = load_task(folder)
        find_workload(task.workload, task.where)
        review.facts |= {"metric": task.metric_of("embedded").name, "subsets": list(task.subsets), "rows": {}}
        for subset in task.subsets or (None,):
            with review.collecting(folder / "data.py"):
                review.concerns += _subset(task, subset, review)
    defaults = folder / "default_training_params.json"
    with review.collecting(defaults):
        build_params([Layer(display_path(defaults), read_json(defaults))])
    if not (folder / "README.md").is_file():
        review.concerns.append(
            error(f"{review.place}/README.md: missing; say what is trained and tested on, and how it is scored")
        )
    if not list(folder.glob("experiments/*/embedded-*")):
        review.concerns.append(
            error(f"{review.place}/experiments: no folder named embedded-…; rehearsals and tests need one")
        )
    return review


def _subset(task: Task, subset: str | None, review: Review) -> Iterator[Concern]:
    where = f"{task.where}: load_splits" + (f" ({subset})" if subset else "")
    with no_network(where):
        splits = load_splits(task, "embedded", subset)  # checks that they are apart, and made of rows
        again = load_splits(task, "embedded", subset)
    review.facts["rows"][subset or ""] = {name: len(rows) for name, rows in vars(splits).items()}
    if again != splits:
        yield error(f"{where}: makes other rows when it is called again; seed its generator by a constant")
    yield from _scores(task, [*splits.valid, *splits.test])


def _scores(task: Task, rows: list[Row]) -> Iterator[Concern]:
    higher = task.metric_of("embedded").higher_is_better
    sign = 1 if higher else -1
    garbage = {text: score_predictions(task, rows, [text] * len(rows)).mean for text in GARBAGE}
    best = max(garbage, key=lambda text: sign * garbage[text])
    targets = score_predictions(task, rows, [row.target for row in rows]).mean
    if sign * (targets - garbage[best]) <= 0:
        yield error(f"{task.where}: score: the rows' own targets score {targets:.3g}, and the answer {brief(best)} "
                    f"scores {garbage[best]:.3g}; a target has to score better")  # fmt: skip
    elif higher and targets < LEAST_SCORE:
        yield warning(
            f"{task.where}: score: the rows' own targets score {targets:.3g} only; compare target and reference"
        )


@contextmanager
def no_network(where: str) -> Iterator[None]:
    """Whoever connects inside the block, or asks for an address, is told that embedded rows need no network.

    Raises:
        UserError: somebody did, even where the caller caught it.
    """
    reached: list[str] = []

    def refuse(*address: object) -> None:
        reached.append(str(address[-1])[:80])
        raise OSError("embedded rows are made without network")

    kept = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect, socket.getaddrinfo = refuse, lambda host, *_, **__: refuse(host)
    try:
        yield
    finally:
        socket.socket.connect, socket.getaddrinfo = kept
        if reached:
            raise UserError(f"{where}: asks the network for {reached[0]}; embedded rows are made by code, without it")
