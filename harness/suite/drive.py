"""From plans to results: shows what would run, runs it, says how it goes and what came of it."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from harness.files import display_path
from harness.plan import Plan
from harness.result.schema import EXIT_CODES
from harness.result.store import write_atomically
from harness.suite.pools import Job, Outcome, Pool

WORDS = {1: "a bug", 2: "refused", 3: "out of memory", 4: "diverged", 70: "its worker was lost", 130: "cancelled"}


def describe(plans: Sequence[Plan], seconds: Sequence[float | None]) -> str:
    """One line for each run with its estimated hours, and their sum."""
    lines = [f"{hours(known):>8}  {shown(plan)}" for plan, known in zip(plans, seconds, strict=True)]
    known = [one for one in seconds if one is not None]
    unknown = f", {len(seconds) - len(known)} of which no result at hand tells" if len(known) < len(seconds) else ""
    return "\n".join([*lines, f"{len(plans)} runs, {hours(sum(known))} one after the other{unknown}"])


def hours(seconds: float | None) -> str:
    """'0.35 h', '?' for None."""
    return "?" if seconds is None else f"{seconds / 3600:.2f} h"


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
    with tqdm(total=len(jobs), desc="suite", unit="run", dynamic_ncols=True) as bar:
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
    mean = sum(one.seconds for one in outcomes) / len(outcomes)
    time_left = sum(mean if known is None else known for known in left) / slots
    failed = sum(not succeeded(one) for one in outcomes)
    bar.set_postfix_str(f"{min(slots, len(left))} running, {failed} failed, {hours(time_left)} left")


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
    lines = [f"{len(outcomes) - len(failed)} done, {len(failed)} failed, {planned - len(outcomes)} not run"]
    lines += [f"  {one.job.name}: {reason(one)}\n    log: {display_path(one.job.log)}" for one in failed]
    return "\n".join([*lines, f"results in {display_path(output)}" if output else ""]).rstrip()


def run_all(jobs: Sequence[Job], pool: Pool, seconds: Sequence[float | None], output: Path) -> int:
    """Runs the jobs, prints the summary and returns the exit code: 0, 1 where a run failed, 130 when stopped."""
    outcomes, stopped = drive(jobs, pool, seconds)
    print(summary(outcomes, len(jobs), output), file=sys.stdout)
    if stopped:
        return EXIT_CODES["cancelled"]
    return int(any(not succeeded(one) for one in outcomes))
