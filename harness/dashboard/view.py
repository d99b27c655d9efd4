"""What a visitor has chosen, as the controls of the page and as the link that says the same: each declared once.

A link is untrusted: every value is bounded here, and data.resolve checks it against the results at hand.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode

from harness.dashboard.quantity import QUANTITIES
from harness.result.columns import COLUMNS, METRICS

# Longer than the longest expression and the longest key of a row, so that neither is cut into another one.
MOST_VALUES, LONGEST_TEXT, LONGEST_LINK, MOST_COMPARED = 100, 4000, 20_000, 4
TABS = {
    "results": "Results", "tradeoffs": "Trade-offs", "experiment": "Experiment", "compare": "Compare",
    "choose": "Choose", "findings": "Findings", "capabilities": "Capabilities",
}  # fmt: skip
FILTERED = ("results", "tradeoffs")  # tabs that the filters apply to
SCALES = {"": "as fits", "linear": "linear", "log": "log"}
METRIC_LABELS = {key: column.label for key, column in METRICS.items()}
SCOPES = {"selection": "the task and model chosen above", "all": "all results"}
FAMILIES = {
    "": "any", "causal": "causal language model", "encoder-decoder": "encoder-decoder", "vision": "vision model",
    "diffusion": "diffusion model",
}  # fmt: skip
PRIORITIES = {
    "quality": "quality", "memory": "memory in training", "speed": "training speed", "answers": "speed of answers",
    "storage": "storage",
}  # fmt: skip
INFERENCE = {
    "any": "no constraint", "fast": "answers as fast as the base model's, merging is fine",
    "adapters": "many adapters on one base model, unmerged",
}  # fmt: skip


@dataclass(frozen=True)
class Control:
    """One choice: how it is made, and which other choices it makes void, since they were among what it offered."""

    kind: Literal["choice", "text", "many", "flag", "hidden"]
    label: str = ""
    default: Any = ""
    options: dict[str, str] | None = None  # where results do not decide what there is to choose from
    hint: str = ""
    resets: tuple[str, ...] = ()


def _typed(name: str, label: str = "") -> Control:
    return Control("text", label or QUANTITIES[name].what, hint=f"such as {QUANTITIES[name].example}")


_ROWS = ("experiment", "seed", "compare")  # what names rows of a selection
CONTROLS: dict[str, Control] = {
    "tab": Control("hidden", default="results"),
    "task": Control("choice", "Task", resets=("model", "hardware", "methods", "quantization", "highlight", *_ROWS)),
    "model": Control("choice", "Base model", resets=("hardware", "methods", "quantization", "highlight", *_ROWS)),
    "hardware": Control("choice", "Hardware", resets=_ROWS),
    "text": Control("text", "Search experiments", hint="such as lora"),
    "methods": Control("many", "Methods"),
    "quantization": Control("many", "Quantization of the base"),
    "max_memory": _typed("max_memory"),
    "max_trainable": _typed("max_trainable"),
    "expression": Control("text", "Expression", hint='memory_train < 20 * GiB and (score > 0.4 or method == "ia3")'),
    "best": Control("flag", "Best run of each method only", False),
    "columns": Control("many", "Columns", options={key: one.label for key, one in COLUMNS.items()}),
    "sort": Control("hidden"),
    "ascending": Control("hidden", default=False),
    "all_rows": Control("hidden", default=False),
    "y": Control("choice", "Vertical", "score", METRIC_LABELS),
    "x": Control("choice", "Horizontal", "memory_train", METRIC_LABELS),
    "scale_y": Control("choice", "Vertical scale", options=SCALES),
    "scale_x": Control("choice", "Horizontal scale", options=SCALES),
    "no_bars": Control("flag", "Hide intervals", False),
    "experiment": Control("choice", "Experiment", resets=("seed",)),
    "seed": Control("choice", "Run for samples and provenance"),
    "compare": Control("many", "Experiments", ()),
    "priority": Control("choice", "What matters most", "quality", PRIORITIES),
    "gpu_memory": _typed("gpu_memory"),
    "model_params": _typed("model_params"),
    "scope": Control("choice", "Answer from", "selection", SCOPES),
    "family": Control("choice", "Model family", options=FAMILIES),
    "inference": Control("choice", "Inference", "any", INFERENCE),
    "dataset_rows": _typed("dataset_rows", "Training rows you have"),
    "max_train_time": _typed("max_train_time", "Training time at most"),
    "max_storage": _typed("max_storage", "Storage of one adapter at most"),
    "highlight": Control("hidden"),  # a method, for links and embedded pages
    "embed": Control("hidden", default=False),  # without header and controls, for other pages' frames
}


def _default(control: Control) -> Any:
    return () if control.kind == "many" else control.default


View = dataclasses.make_dataclass(
    "View",
    [(name, type(_default(one)), dataclasses.field(default=_default(one))) for name, one in CONTROLS.items()],
    frozen=True,
    namespace={"__doc__": "A value for each of CONTROLS; empty means no restriction, or the usual."},
)


def query_of(view: View, **changes: Any) -> str:
    """The view, with changes, as a query string without the values that are the default."""
    pairs: list[tuple[str, str]] = []
    for name, control in CONTROLS.items():
        value = changes.get(name, getattr(view, name))
        if isinstance(value, tuple):
            pairs += [(name, item) for item in value]
        elif value != control.default:
            pairs.append((name, str(int(value)) if isinstance(value, bool) else value))
    return urlencode(pairs)


def from_query(query: str | Iterable[tuple[str, str]]) -> tuple[View, list[str]]:
    """The view that a query string asks for, and what is wrong with it; unknown names are ignored, long ones cut."""
    if isinstance(query, str):
        query = parse_qsl(query[:LONGEST_LINK], errors="replace")
    values: dict[str, Any] = {}
    for name, text in query:
        kind = type(getattr(View(), name)) if name in CONTROLS else None
        text = text[:LONGEST_TEXT].strip()
        if kind is tuple and text:
            values[name] = (*values.get(name, ()), text)[:MOST_VALUES]
        elif kind is bool:
            values[name] = text == "1"
        elif kind is str:
            values[name] = text
    view, problems = View(**values), []
    for name, control in CONTROLS.items():
        given = getattr(view, name)
        known = TABS if name == "tab" else COLUMNS if name == "sort" else control.options
        if known is None or given == _default(control):
            continue
        unknown = [one for one in (given if isinstance(given, tuple) else (given,)) if one and one not in known]
        if unknown or not given:
            kept = tuple(one for one in given if one in known) if isinstance(given, tuple) else control.default
            view = dataclasses.replace(view, **{name: kept})
            problems += [f"{control.label or name.capitalize()}: there is no “{one[:80]}”." for one in unknown]
    compare = tuple(dict.fromkeys(view.compare))
    if len(compare) > MOST_COMPARED:
        problems.append(f"At most {MOST_COMPARED} experiments can be compared: the first ones were kept.")
    return dataclasses.replace(view, compare=compare[:MOST_COMPARED]), problems
