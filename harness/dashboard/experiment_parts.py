"""The parts of the Experiment page that are text and tables."""

import re
from typing import Any

import pandas

from harness.dashboard import detail, markup
from harness.dashboard.constraints import is_full
from harness.dashboard.detail import ABSENT, RunFile, flat
from harness.dashboard.markup import Safe, details, join, section, setting, table, tag
from harness.dashboard.tab_results import badges
from harness.result.columns import COLUMNS, format_value

FACTS = ("score", "gain", "trainable_params", "storage", "memory_train", "train_tokens_per_second")
FACTS += ("overhead_unmerged", "overhead_merged", "forgetting")
MOST_SAMPLES = 10
MEMORY_HELP = (
    "Peak of each phase, and what the peak of training consists of. A part that was not measured is not drawn."
)
COMMIT = re.compile("[0-9a-f]{7,64}")


def title(row: pandas.Series) -> Safe:
    """Name, badges, and what was trained on what."""
    parts = [row["task"], row["subset"], row["model"], row["hardware"], f"protocol {row['protocol']}"]
    where = " · ".join(part for part in parts if part)
    name = tag("h2", row["experiment"], " ", join(badges(row.to_dict()), " "))
    return join(
        [
            name,
            tag("p", where, class_="quiet"),
            tag("p", row["tie"], class_="quiet") if row["tie"] and not row["best"] else "",
        ]
    )


def facts(row: pandas.Series) -> Safe:
    """The figures that most people come for."""
    cells = []
    for key in FACTS:
        value = format_value(COLUMNS[key], row[key])
        small = "not measured" if value == markup.MISSING else COLUMNS[key].description
        if key == "overhead_merged" and is_full(row):
            small = "nothing to merge"
        if key == "score" and row["interval"]:
            known = not pandas.isna(row["score_low"])
            bounds = f"{100 * row['score_low']:.1f} – {100 * row['score_high']:.1f}: " if known else ""
            small = f"{bounds}{row['interval']}"
        name = tag("div", COLUMNS[key].label, class_="name")
        cells.append(tag("div", name, tag("div", value, class_="value"), tag("div", small, class_="small")))
    return tag("div", *cells, class_="facts")


def problems(runs: list[RunFile]) -> list[Safe]:
    """Files that can no longer be read, and what ended runs that did not succeed."""
    found = [markup.notice(run.problem, "error") for run in runs if run.problem]
    for run in runs:
        message = run.value("run_info", "error_msg")
        if isinstance(message, str) and message.strip():
            found.append(details(f"Error message of {run.name}", tag("pre", message)))
    return found


def configuration(row: pandas.Series, run: RunFile) -> Safe:
    """What differs from the task's defaults, then everything."""
    own = flat(run.part("run_info", "train_config"))
    defaults = detail.task_defaults(row["task"])
    if defaults is None:
        differing = tag(
            "p", f"This checkout has no default parameters of {row['task']} to compare with.", class_="quiet"
        )
    else:
        rows = [(key, values) for key, values in detail.differences([own, defaults]) if key in own and key != "seed"]
        body = [[key, *(show_setting(value) for value in values)] for key, values in rows]
        differing = table(["Parameter", "This run", f"Default of {row['task']}"], body, "settings")
    adapter = flat(run.part("run_info", "peft_config"))
    chosen = [[key, setting(value)] for key, value in adapter.items() if value not in (None, False, {}, [])]
    full = [[key, setting(value)] for key, value in own.items()]
    none = tag("p", "No adapter: full fine-tuning.", class_="quiet")
    return section(
        "Configuration",
        tag("h4", "Adapter"),
        table(["Field", "Value"], chosen, "settings") if chosen else none,
        tag("h4", "Training parameters that differ from the task’s defaults"),
        differing,
        details("All training parameters", table(["Parameter", "Value"], full, "settings")),
    )  # fmt: skip


def show_setting(value: Any) -> str:
    """A setting, or that there is none."""
    return "not set" if value is ABSENT else setting(value)


def inference(row: pandas.Series) -> Safe:
    """Decoding speed of the base model, with the adapter beside it and merged into it."""
    full = is_full(row)
    lines = [
        ["Base model", "base_decode", None],
        ["Trained model" if full else "Adapter as trained (unmerged)", "unmerged_decode", "overhead_unmerged"],
    ]
    lines += [] if full else [["Adapter merged into the base", "merged_decode", "overhead_merged"]]
    body = []
    for name, rate, overhead in lines:
        speed = format_value(COLUMNS[rate], row[rate])
        cost = "1.00× (reference)" if overhead is None else format_value(COLUMNS[overhead], row[overhead])
        body.append([name, "not measured" if speed == markup.MISSING else speed, cost])
    if all(pandas.isna(row[rate]) for _, rate, _ in lines):
        content = tag("p", "Not measured in these runs.", class_="quiet")
    else:
        content = table(["", "Answer tokens per second", "Decoding time over the base’s"], body)
    return section("Inference speed", content)


def samples(run: RunFile) -> Safe:
    """Some test rows and what the model answered."""
    found = []
    for sample in run.rows("quality", "samples")[:MOST_SAMPLES]:
        score = sample.get("score")
        kind = "right" if score == 1 else "wrong" if score == 0 else ""
        lines = [(name, sample.get(name.lower())) for name in ("Prompt", "Reference", "Prediction")]
        body = join([join([tag("div", name, class_="small quiet"), tag("pre", text)]) for name, text in lines])
        shown = f"score {score:.2f}" if isinstance(score, int | float) else "no score"
        found.append(tag("div", body, tag("div", shown, class_="small quiet"), class_=f"sample {kind}"))
    if not found:
        content = tag("p", "None were recorded.", class_="quiet")
    else:
        content = details(
            f"{len(found)} test row{'' if len(found) == 1 else 's'} as the model answered ({run.name})", *found
        )
    return section("Sample predictions", content)


def provenance(row: pandas.Series, run: RunFile) -> Safe:
    """What decides whether two results may be compared."""
    lines = [["File", run.source], ["Created", run.value("run_info", "created_at")], ["Protocol", row["protocol"]]]
    names = {"harness_commit": "Commit of the harness", "harness_dirty": "Uncommitted changes"}
    names |= {"data_fingerprint": "Fingerprint of the data", "config_fingerprint": "Fingerprint of the configuration"}
    names |= {"base_model_fingerprint": "Fingerprint of the base model", "shared_device": "Another process on the GPU"}
    for key, name in names.items():
        value = run.value("provenance", key)
        lines.append([name, "not recorded" if value is None else setting(value)])
    lines.append(["Base model’s revision", run.value("meta_info", "model_info", "sha")])
    packages = run.part("meta_info", "package_info")
    lines += [
        [name.removesuffix("-version"), version] for name, version in packages.items() if name.endswith("-version")
    ]
    machine = {key: value for key, value in run.part("hardware").items() if value is not None}
    machine = machine or run.part("meta_info", "system_info")
    lines += [[f"Machine: {key}", _machine(key, value)] for key, value in machine.items()]
    return section(
        "Provenance", details(f"Versions, fingerprints, machine ({run.name})", table(["", "Value"], lines, "settings"))
    )


def _machine(key: str, value: Any) -> str:
    bytes_ = key.endswith("memory") and isinstance(value, int)
    return format_value(COLUMNS["memory_train"], value) if bytes_ else setting(value)


def command(row: pandas.Series, run: RunFile) -> Safe:
    """How to run it again."""
    recorded = run.value("provenance", "command")
    if not isinstance(recorded, str) or not recorded:
        text = "The file does not say: another harness made it."
        return section("Reproduce", tag("p", text, class_="quiet"))
    commit = run.value("provenance", "harness_commit")
    checkout = f"git checkout {commit}\n" if isinstance(commit, str) and COMMIT.fullmatch(commit) else ""
    return section(
        "Reproduce", tag("pre", checkout + recorded), help="As it was recorded by the run. Read before you run it."
    )
