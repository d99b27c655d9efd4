"""The Experiment page: everything that was recorded about one row of the results."""

import re
from typing import Any

import pandas

from harness.dashboard import files, plots
from harness.dashboard.data import column_of_row
from harness.dashboard.files import RunFile, runs_of_row, setting
from harness.dashboard.methods import links
from harness.dashboard.needs import is_full
from harness.dashboard.results import badges
from harness.experiment import CONTENT, ROOT
from harness.overlay import flat
from harness.result.columns import COLUMNS, format_value
from harness.result.tuning import UNTUNED, read_tuning

FACTS = ("score", "gain", "valid_score", "train_loss", "trainable_params", "storage", "memory_train")
FACTS += ("train_tokens_per_second", "train_time", "overhead_unmerged", "overhead_merged", "forgetting", "drift")
MOST_SAMPLES, MOST_PICTURES = 10, 24
COMMIT = re.compile("[0-9a-f]{7,64}")
FINGERPRINTS = {
    "harness_commit": "Commit of the harness", "harness_dirty": "Uncommitted changes",
    "data_fingerprint": "Fingerprint of the data", "config_fingerprint": "Fingerprint of the configuration",
    "base_model_fingerprint": "Fingerprint of the base model", "shared_device": "Another process on the GPU",
}  # fmt: skip


def context(row: pandas.Series | None, seed: str) -> dict[str, Any]:
    """What the page's template needs; nothing but `row` where there is none."""
    if row is None:
        return {"row": None}
    runs = runs_of_row(row)
    run = next((one for one in runs if str(one.seed) == seed), runs[0])
    messages = [(one.name, one.value("run_info", "error_msg")) for one in runs]
    samples = [
        one for one in run.rows("quality", "samples") if one.get("prediction") is not None or not one.get("image")
    ]
    return {
        "row": row, "run": run, "badges": badges(row.to_dict()), "links": links(row["method"], row["peft_type"]),
        "facts": facts(row), "unreadable": [one.problem for one in runs if one.problem],
        "errors": [(name, text) for name, text in messages if isinstance(text, str) and text.strip()],
        **tuning(row), "curves": plots.curves([(one.name, one) for one in runs]), "memory": plots.memory([("", row)]),
        "inference": inference(row), "samples": samples[:MOST_SAMPLES], "pictures": run.pictures()[:MOST_PICTURES],
        "provenance": provenance(row, run), "command": command(run), **configuration(row, run),
    }  # fmt: skip


def facts(row: pandas.Series) -> list[tuple[str, str, str]]:
    """Name, figure and remark of what most people come for."""
    found = []
    for key in FACTS:
        column = column_of_row(COLUMNS[key], row)
        missing = pandas.isna(row[key])
        if missing and key in ("drift", "valid_score", "train_loss", "train_time"):
            continue
        small = "not measured" if missing else column.description
        if key == "overhead_merged" and is_full(row):
            small = "nothing to merge"
        if key == "score" and row["interval"]:
            ends = [format_value(column, row[end]) for end in ("score_low", "score_high") if not pandas.isna(row[end])]
            small = f"{' – '.join(ends)}: {row['interval']}" if ends else row["interval"]
        if key == "score" and row["budget"]:
            small = f"{small}; {row['budget']}"
        found.append((column.label, format_value(column, row[key]), small))
    return found


def configuration(row: pandas.Series, run: RunFile) -> dict[str, Any]:
    """The adapter, what differs from the task's defaults (None where these are unknown), then everything."""
    own, adapter = (flat(run.part("run_info", part)) for part in ("train_config", "peft_config"))
    defaults, differing = files.task_defaults(row["task"]), None
    if defaults is not None:
        rows = [pair for pair in files.differences([own, defaults]) if pair[0] in own and pair[0] != "seed"]
        differing = [(key, *map(setting, values)) for key, values in rows]
    chosen = [(key, setting(value)) for key, value in adapter.items() if value not in (None, False, {}, [])]
    return {
        "adapter": chosen,
        "differing": differing,
        "settings": [(key, setting(value)) for key, value in own.items()],
    }


def tuning(row: pandas.Series) -> dict[str, Any]:
    """The record that the row's budget is of, its response curve where values are numbers, and its trials."""
    if row["budget"] in ("", UNTUNED):
        return {"record": None}
    record = read_tuning(ROOT / CONTENT / row["task"] / "experiments" / row["experiment"])
    curve = plots.response(record)
    trials = [
        (f"{one.value}{' (chosen)' if one.value == record.chosen else ''}{f', {one.subset}' if one.subset else ''}",
         one.seed, one.status,
         None if one.score is None else format_value(COLUMNS["score"], one.score)) for one in record.trials
    ]  # fmt: skip
    return {"record": record, "response": curve if curve["series"][0]["points"] else None, "trials": trials}


def inference(row: pandas.Series) -> list[tuple[str, str, str]]:
    """Decoding speed of the base model, with the adapter beside it and merged into it; empty where none is known."""
    full = is_full(row)
    lines = [("Base model", "base_decode", "")]
    lines += [("Trained model" if full else "Adapter as trained (unmerged)", "unmerged_decode", "overhead_unmerged")]
    lines += [] if full else [("Adapter merged into the base", "merged_decode", "overhead_merged")]
    found = []
    for name, rate, cost in lines:
        speed = "not measured" if pandas.isna(row[rate]) else format_value(COLUMNS[rate], row[rate])
        found.append((name, speed, format_value(COLUMNS[cost], row[cost]) if cost else "1.00× (reference)"))
    return [] if all(pandas.isna(row[rate]) for _, rate, _ in lines) else found


def provenance(row: pandas.Series, run: RunFile) -> list[tuple[str, str]]:
    """What decides whether two results may be compared."""
    lines = [("File", run.source), ("Created", run.value("run_info", "created_at")), ("Protocol", row["protocol"])]
    for key, name in FINGERPRINTS.items():
        value = run.value("provenance", key)
        lines.append((name, "not recorded" if value is None else setting(value)))
    lines.append(("Base model’s revision", run.value("meta_info", "model_info", "sha")))
    packages = run.part("meta_info", "package_info").items()
    lines += [(name.removesuffix("-version"), version) for name, version in packages if name.endswith("-version")]
    machine = {key: value for key, value in run.part("hardware").items() if value is not None}
    machine = machine or run.part("meta_info", "system_info")
    return [*lines, *((f"Machine: {key}", _machine(key, value)) for key, value in machine.items())]


def _machine(key: str, value: Any) -> str:
    bytes_ = key.endswith("memory") and isinstance(value, int)
    return format_value(COLUMNS["memory_train"], value) if bytes_ else setting(value)


def command(run: RunFile) -> str:
    """How to run it again, as it was recorded; empty where the file does not say."""
    recorded, commit = run.value("provenance", "command"), run.value("provenance", "harness_commit")
    if not isinstance(recorded, str) or not recorded:
        return ""
    checkout = f"git checkout {commit}\n" if isinstance(commit, str) and COMMIT.fullmatch(commit) else ""
    return checkout + recorded
