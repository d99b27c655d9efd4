"""suite.py tune: a grid over one hyper-parameter, scored on valid, written down in the experiment's folder."""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.arguments import natural, nest
from harness.errors import UserError
from harness.experiment import find_experiment, read_experiment
from harness.files import ROOT, display_path, read_json
from harness.plan import Plan
from harness.result.provenance import fingerprint, git_state
from harness.result.schema import PROTOCOL
from harness.result.store import write_atomically
from harness.result.tuning import FILE, Trial, Tuning, rates_table, read_tuning, value_of
from harness.suite.command import add_place, flags_of, pool_of, values_of
from harness.suite.drive import describe, run_all
from harness.suite.plans import Wanted, current_result, estimate, last_status, plans_of, state_of
from harness.suite.pools import Job
from harness.task import load_task


def main(argv: Sequence[str]) -> int:
    """Runs the grid, writes the record and returns the exit code; a trial that failed is a part of the record.

    Raises:
        UserError: the arguments ask for what cannot be done, or no value has a score.
    """
    arguments = parse(argv)
    short = len(Path(arguments.experiment).parts) == 2  # <method>/<name>
    folder = find_experiment(f"experiments/{arguments.experiment}" if short else arguments.experiment)
    values = values_of(arguments.values)
    if len(set(map(repr, values))) < len(values):
        raise UserError("--values: gives a value twice; each is tried once")
    before = compatible(read_tuning(folder), folder, arguments.key)
    if before is not None:  # a budget is all that was ever tried
        values = [*before.values, *(value for value in values if value not in before.values)]
    seeds = tuple(sorted({*arguments.seeds, *(before.seeds if before else ())}))
    grid = tuple(nest([(arguments.key.split("."), value)]) for value in values)
    output = arguments.output.resolve()
    plans = plans_of(folder, Wanted(seeds=seeds, grid=grid, tuning=True, output=output))
    ended = [trial for trial in (before.trials if before else ()) if trial.status in ("success", "diverged")]
    known = {_identity(trial): trial for trial in ended}  # what failed otherwise is tried again
    todo = [plan for plan in plans if _key(plan, arguments.key) not in known and state_of(plan) != "done"]
    seconds = estimate(todo, output)
    if arguments.dry_run:
        print(describe(todo, seconds))
        return 0
    code = (
        run_all([Job(plan, flags_of(arguments)) for plan in todo], pool_of(arguments, output), seconds, output)
        if todo
        else 0
    )
    if code not in (0, 1):
        return code
    record = record_of(plans, arguments.key, values, seeds, known, folder)
    write_atomically(folder / FILE, record.model_dump_json(indent=2) + "\n")
    print(rates_table([(f"{folder.parent.name}/{folder.name}", record)]))
    tell(record, folder, arguments.apply, output)
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of suite.py tune."""
    parser = argparse.ArgumentParser(prog="suite.py tune", description=__doc__)
    parser.add_argument("experiment", help="its folder, <Task>/experiments/<method>/<name>, or "
                        "<method>/<name> where no other task has the same")  # fmt: skip
    parser.add_argument("--key", required=True, help="of the parameters, such as optimizer_kwargs.lr")
    parser.add_argument("--values", required=True, metavar="V1,V2", help="to try, such as 3e-5,1e-4,3e-4,1e-3")
    parser.add_argument("--seeds", nargs="+", type=natural, default=[0], metavar="SEED", help="of each (default: 0)")
    parser.add_argument("--apply", action="store_true", help="write the chosen value into the folder, where it has no "
                        "result yet")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show the trials, with hours by the results at hand")
    add_place(parser)
    return parser.parse_args(argv)


def settings_of(folder: Path, key: str) -> str:
    """Fingerprint of what the folder says, the tuned key left out."""
    experiment = read_experiment(folder)
    values = json.loads(json.dumps(experiment.params.fingerprinted()))
    *parents, last = key.split(".")
    inner = value_of(values, ".".join(parents)) if parents else values
    if not isinstance(inner, dict) or last not in inner:
        raise UserError(f"--key: {key}: the folder's parameters have no such key; give the whole dotted name")
    del inner[last]
    return fingerprint([values, experiment.adapter_config])


def compatible(record: Tuning | None, folder: Path, key: str) -> Tuning | None:
    """The record at hand, to be continued; None where it is of another protocol, key or state of the folder."""
    same = (PROTOCOL, key, settings_of(folder, key))
    return record if record and (record.protocol, record.key, record.settings) == same else None


def _identity(trial: Trial) -> tuple:
    return trial.value, trial.subset, trial.seed


def _key(plan: Plan, key: str) -> tuple:
    return value_of(plan.experiment.overrides, key), plan.subset, plan.experiment.params.seed


def record_of(
    plans: Sequence[Plan], key: str, values: list[Any], seeds: Sequence[int], known: dict[tuple, Trial], folder: Path
) -> Tuning:
    """The record of a grid whose trials have all ended.

    Raises:
        UserError: no value has a score for every subset and seed.
    """
    before = read_tuning(folder) if known else None
    trials, rows = [], dict(before.valid_rows) if before else {}
    hardware, versions = set(before.hardware) if before else set(), dict(before.versions) if before else {}
    for plan in plans:
        identity, found = _key(plan, key), current_result(plan)
        if identity in known:
            trials.append(known[identity])
            continue
        score = found["quality"]["valid_score"] if found else None
        value, subset, seed = identity
        trials.append(Trial(value=value, subset=subset, seed=seed, status=last_status(plan), score=score))
        if found:
            rows[subset or ""] = found["task"]["valid_rows"]
            hardware.add(found["hardware"]["slug"])
            packages = found["meta_info"]["package_info"]
            versions |= {name.removesuffix("-version"): packages[name] for name in
                         ("torch-version", "transformers-version", "peft-version")}  # fmt: skip
    params = plans[0].experiment.params
    metric = load_task(folder.parents[2]).metric_of(params.data_source)
    record = Tuning(
        protocol=PROTOCOL,
        key=key,
        values=values,
        chosen=values[0],
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        subsets=list(dict.fromkeys(plan.subset for plan in plans)),
        seeds=list(seeds),
        steps=params.max_steps,
        valid_rows=rows,
        trials=trials,
        settings=settings_of(folder, key),
        hardware=sorted(hardware),
        versions=versions,
        harness_commit=git_state(ROOT)["commit"],
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return record.model_copy(update={"chosen": record.best()})


def tell(record: Tuning, folder: Path, apply: bool, output: Path) -> None:
    """Says whether the folder has the chosen value, and writes it there where that was asked for.

    Raises:
        UserError: it was asked for, and the folder has results that were made with another value.
    """
    own, shown = value_of(read_experiment(folder).params.model_dump(), record.key), display_path(folder)
    if own == record.chosen:
        print(f"{shown}: has the chosen value, {record.key} = {own}")
        return
    print(f"{shown}: has {record.key} = {own}, chosen was {record.chosen}")
    if not apply:
        print("--apply writes it there, as long as the folder has no result")
        return
    results = list(
        (output / "results" / folder.parents[2].name).glob(f"*/{folder.parent.name}--{folder.name}--*.json")
    )
    if results:
        raise UserError(
            f"--apply: {display_path(results[0])} was made with {own}; remove such results, or make a new folder"
        )
    path = folder / "training_params.json"
    content = read_json(path) if path.exists() else {}
    *parents, last = record.key.split(".")
    inner = content
    for part in parents:
        inner = inner.setdefault(part, {})
    inner[last] = record.chosen
    write_atomically(path, json.dumps(content, indent=2) + "\n")
    print(f"{display_path(path)}: now has it")
