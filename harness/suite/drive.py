"""From plans to results: shows what would run, runs it, says how it goes and what came of it."""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from harness.files import display_path
from harness.plan import Plan
from harness.result.schema import EXIT_CODES
from harness.result.store import write_atomically
from harness.result.units import plural
from harness.suite.pools import Job, Outcome, Pool

WORDS = {1: "a bug", 2: "refused", 3: "out of memory", 4: "diverged", 70: "its worker was lost", 130: "cancelled"}


def describe(plans: Sequence[Plan], seconds: Sequence[float | None]) -> str:
    """One line for each run with its estimated time, and their sum."""
    if not plans:
        return "nothing to be made"
    lines = [f"{duration(known):>8}  {shown(plan)}" for plan, known in zip(plans, seconds, strict=True)]
    known = [one for one in seconds if one is not None]
    sums = [f"{len(known)} {plural(len(known), 'run')}: {duration(sum(known))} one after the other"] if known else []
    unknown = len(seconds) - len(known)
    sums += (
        [f"{unknown} {plural(unknown, 'run')} of which no result at hand tells how long they take"] if unknown else []
    )
    return "\n".join([*lines, *sums])


def duration(seconds: float | None) -> str:
    """'40 s', '12 min', '3.5 h'; '?' for None."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def shown(plan: Plan) -> str:
    """The run's arguments, as a person names it."""
    return " ".join(plan.arguments)


def succeeded(outcome: Outcome) -> bool:
    """A profile that ran out of memory is a result as well."""
    return outcome.code == 0 or (outcome.code == EXIT_CODES["out_of_memory"] and outcome.job.plan.profile)


def drive(jobs: Sequence[Job], pool: Pool, seconds: Sequence[float | None]) -> tuple[list[Outcome], bool]:
    """Runs the jobs and keeps what each of them left.

    Args:
        jobs: to be run.
        pool: where.
        seconds: estimated, of each.

    Returns:
        an outcome for each job that ended, and whether Ctrl-C, SIGTERM or SIGHUP stopped the suite before its end.
    """
    outcomes: list[Outcome] = []
    expected = {job.name: known for job, known in zip(jobs, seconds, strict=True)}
    before = {kill: signal.signal(kill, signal.default_int_handler) for kill in (signal.SIGTERM, signal.SIGHUP)}
    shape = "{desc}: {n_fmt}/{total_fmt} runs |{bar}| {elapsed}{postfix}"  # tqdm's own estimate knows of no others
    with tqdm(total=len(jobs), desc="suite", bar_format=shape, dynamic_ncols=True) as bar, ticking(bar):
        _progress(bar, outcomes, seconds, pool.slots)
        try:
            for outcome in pool.run(jobs):
                bring_back(outcome)
                outcomes.append(outcome)
                del expected[outcome.job.name]
                bar.update()
                _progress(bar, outcomes, list(expected.values()), pool.slots)
                word = "done" if succeeded(outcome) else f"FAILED ({reason(outcome)})"
                place = f" on {outcome.where}" if outcome.where else ""
                bar.write(f"{outcome.job.name}: {word} in {outcome.seconds:.0f} s{place}")
        except KeyboardInterrupt:
            bar.write("stopping: runs that have begun write their JSON; a second call goes on from there")
            return outcomes, True
        finally:
            pool.stop()
            for kill, handler in before.items():
                signal.signal(kill, handler)
    return outcomes, False


def _progress(bar: tqdm, outcomes: Sequence[Outcome], left: Sequence[float | None], slots: int) -> None:
    mean = sum(one.seconds for one in outcomes) / len(outcomes) if outcomes else None
    each = [mean if known is None else known for known in left]
    time_left = None if None in each else sum(filter(None, each)) / slots
    failed = sum(not succeeded(one) for one in outcomes)
    bar.set_postfix_str(f"{min(slots, len(left))} running, {failed} failed, {duration(time_left)} left")


@contextlib.contextmanager
def ticking(bar: tqdm, every: float = 5.0) -> Iterator[None]:
    """Draws the bar anew while nothing ends, so that its clock goes on."""
    ended = threading.Event()

    def draw() -> None:
        while not ended.wait(every):
            bar.refresh()

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def bring_back(outcome: Outcome) -> None:
    """Writes what a run left on a node whose disk the head does not see; a result that is there already stays."""
    output = outcome.job.plan.output
    for name, content in outcome.files.items():
        path = (output / name).resolve()
        inside = path.is_relative_to(output.resolve())
        if inside and not (path.exists() and name.startswith("results/")):
            write_atomically(path, content.decode(errors="replace"))
    if not outcome.job.log.exists():
        write_atomically(outcome.job.log, outcome.log)


def reason(outcome: Outcome) -> str:
    """Why it failed, in one line."""
    lines = [line.strip() for line in outcome.log.replace("\r", "\n").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("error:", "diverged:", "out of memory:"))]
    if outcome.code < 0:
        word = f"killed by {signal.Signals(-outcome.code).name}"
    else:
        word = WORDS.get(outcome.code, f"exit code {outcome.code}")
    return f"{word}: {(told or lines or ['it said nothing'])[-1][:300]}"


def summary(outcomes: Sequence[Outcome], planned: int, output: Path) -> str:
    """What came of it: how many, and of each failure why, and where its log is."""
    failed = [one for one in outcomes if not succeeded(one)]
    done, left = len(outcomes) - len(failed), planned - len(outcomes)
    lines = [f"{done} done, {len(failed)} failed" + (f", {left} stopped or not begun" if left else "")]
    lines += [f"  {one.job.name}: {reason(one)}\n    log: {display_path(one.job.log)}" for one in failed]
    return "\n".join([*lines, *([f"results below {display_path(output)}"] if done else [])])


def run_all(jobs: Sequence[Job], pool: Pool, seconds: Sequence[float | None], output: Path) -> int:
    """Runs the jobs, prints the summary and returns the exit code: 0, 1 where a run failed, 130 when stopped."""
    outcomes, stopped = drive(jobs, pool, seconds)
    print(summary(outcomes, len(jobs), output), file=sys.stdout)
    if stopped:
        return EXIT_CODES["cancelled"]
    return int(any(not succeeded(one) for one in outcomes))
