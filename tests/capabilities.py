"""What each method can do, tried on the embedded models on a CPU; writes docs/methods.json and docs/methods.md.

python tests/capabilities.py                 # every method: about a quarter of an hour
python tests/capabilities.py lora oft        # those whose experiment has one of these in its name; keeps the rest
python tests/capabilities.py --write         # docs/methods.md again from docs/methods.json
"""

import copy
import dataclasses
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peft
import torch
from torch import nn
from transformers import set_seed

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1])]

from conformance import CPU, content, exactly, fresh_base, logits_of, quiet, train, twin

from harness import adapter as adapters
from harness.adapter_config import Adapter
from harness.architecture import architecture, meta_model, shrunken_model
from harness.catalogue import ENTRIES, OPTIMIZER, WITHOUT_T5, Method
from harness.errors import UserError, one_line
from harness.experiment import ROOT, Experiment, read_experiment
from harness.files import read_json
from harness.initialization import without_data
from harness.merging import may_merge, merged
from harness.rehearsal import check_architecture
from harness.workloads.text import Text

EXPERIMENTS = ROOT / "method_comparison" / "MetaMathQA" / "experiments"
T5_TASK = ROOT / "method_comparison" / "SuperGLUE"
JSON, MARKDOWN = ROOT / "docs" / "methods.json", ROOT / "docs" / "methods.md"
T5_NAMES = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "o_proj": "o", "gate_proj": "wi", "up_proj": "wi",
            "down_proj": "wo", "input_layernorm": "layer_norm", "post_attention_layernorm": "layer_norm",
            "norm": "final_layer_norm"}  # fmt: skip
EQUAL = {"rtol": 1e-3, "atol": 2e-3}  # of logits, whose size is about 10
REFUSALS = (
    UserError,
    AssertionError,
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
)


class Trial:
    """One experiment on an embedded model, with some of its parameters or of its adapter config changed."""

    def __init__(self, experiment: Experiment, adapter_config: dict[str, Any] | None = None, **changes: Any) -> None:
        params = experiment.params.model_copy(update=changes)
        values = experiment.adapter_config if adapter_config is None else adapter_config
        self.experiment = dataclasses.replace(experiment, params=params, adapter_config=values)
        self.adapter = Adapter.of(self.experiment)
        _, self.rows = content(self.experiment.task_folder)
        self.workload, self.base = fresh_base(self.experiment)
        self.batch = self.workload.collate([self.workload.encode(row) for row in self.rows[:4]])
        self.untouched = logits_of(self.base, self.batch.inputs, self.experiment)

    def attached(self) -> nn.Module:
        """The model with its adapter, begun with one seed."""
        set_seed(0)
        params, task_type = self.experiment.params, self.workload.task_type(self.base.config)
        return adapters.attach(self.base, self.adapter, params, task_type, self.workload.data(self.rows, CPU))

    def moved(self) -> nn.Module:
        """The same, what is trained moved away from a beginning at which it changes nothing."""
        model = self.attached()
        for parameter in model.parameters():
            if parameter.requires_grad:
                generator = torch.Generator().manual_seed(parameter.numel())
                parameter.data += 0.01 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype)
        return model

    def logits(self, model: nn.Module) -> torch.Tensor:
        return logits_of(model, self.batch.inputs, self.experiment)


def share(entry: Method) -> dict[str, Any]:
    """Trainable parameters on Llama-3.2-3B and their share of all; from two and three layers where it needs weights."""
    if entry.real is None:
        return {"trainable": None, "share": None}
    experiment = read_experiment(EXPERIMENTS / entry.real)
    adapter = Adapter.of(experiment)
    counted = check_architecture(experiment, adapter, Text)
    if counted is None and adapter.values["peft_type"] != "CPT":
        counted = by_layers(experiment, adapter)
    if counted is None:
        return {"trainable": None, "share": None}
    return {"trainable": counted[0], "share": counted[0] / counted[1]}


def by_layers(experiment: Experiment, adapter: Adapter) -> tuple[int, int]:
    """Counts that grow by the same number with every layer, from models of one layer and of two."""
    counts = []
    for layers in (1, 2):
        config = architecture(experiment.params.model_id, "")
        wanted, config.num_hidden_layers = config.num_hidden_layers, layers
        model = shrunken_model(Text.auto_class(config), config)
        counts.append(adapters.parameter_counts(adapters.wrap(model, adapter, experiment.params, "CAUSAL_LM"))[0])
    trainable = counts[0] + (wanted - 1) * (counts[1] - counts[0])
    config = architecture(experiment.params.model_id, "")
    return trainable, trainable + sum(p.numel() for p in meta_model(Text.auto_class(config), config).parameters())


def starts_as_base(trial: Trial) -> bool:
    """Whether it answers at the start exactly as the base does."""
    return torch.allclose(trial.logits(trial.attached()), trial.untouched, **EQUAL)


def merges(trial: Trial) -> bool:
    """Whether its weights can become the base's, with the same answers."""
    model = trial.moved()
    before = trial.logits(model)
    if not may_merge(model):
        raise NotImplementedError("there is nothing to merge" if trial.experiment.params.dtype == "float32" else
                                  "a quantized base is not merged into")  # fmt: skip
    with merged(model) as bare:
        return torch.allclose(trial.logits(bare), before, **EQUAL)


def learns(trial: Trial) -> bool:
    """Trains, so that a gradient reaches all that is trained, answers, and could train on."""
    model = trial.attached()
    train(model, trial.experiment, trial.workload, trial.batch)
    trial.workload.answer(model, trial.rows[:2], "probe")
    loss = trial.workload.loss(model.train(), trial.batch.inputs)
    loss.backward()
    return bool(loss.isfinite())


def gradients_of(trial: Trial, forward: Callable[[nn.Module], nn.Module] = lambda model: model) -> list[torch.Tensor]:
    model = trial.moved()
    set_seed(0)  # dropout, where a method has it
    trial.workload.loss(forward(model.train()), trial.batch.inputs).backward()
    return [
        parameter.grad for parameter in model.parameters() if parameter.requires_grad and parameter.grad is not None
    ]


def same_gradients(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Whether two ways to compute the gradients give the same, up to a thousandth of the largest."""
    scale = max(gradient.abs().max() for gradient in one)
    return len(one) == len(other) and all((a - b).abs().max() <= 1e-3 * scale for a, b in zip(one, other, strict=True))


def two_adapters(trial: Trial) -> bool:
    """A second adapter can be added and taken in turn, and the first answers as before."""
    model = trial.moved()
    before = trial.logits(model)
    config = without_data(copy.deepcopy(trial.adapter.config))
    config.task_type = model.peft_config["default"].task_type
    made = ("cpt_token_ids", "cpt_mask", "cpt_tokens_type_mask", "num_virtual_tokens")
    for key in (*made, "tokenizer_name_or_path", "tokenizer_kwargs"):
        if hasattr(config, key):
            setattr(config, key, getattr(model.peft_config["default"], key))
    model.add_adapter("second", config)
    model.set_adapter("second")
    second = trial.logits(model)
    model.set_adapter("default")
    return torch.allclose(trial.logits(model), before, **EQUAL) and not torch.allclose(second, before, **EQUAL)


def on_t5(experiment: Experiment) -> Trial:
    """The same adapter on the embedded encoder-decoder: its own experiment there, or this one with T5's module names."""
    own = T5_TASK / "experiments" / experiment.method / experiment.name.replace("llama", "t5")
    if own.is_dir():
        return Trial(exactly(twin(own)))
    values = {key: _t5_value(key, value) for key, value in experiment.adapter_config.items()}
    shown = exactly(twin(T5_TASK / "experiments" / "lora" / "embedded-t5-all-rank8"))
    keep = {
        name: getattr(experiment.params, name) for name in ("initialization", "optimizer_type", "optimizer_kwargs")
    }
    return Trial(shown, values, **keep)


def _t5_value(key: str, value: Any) -> Any:
    if key == "task_type":
        return "SEQ_2_SEQ_LM"
    if isinstance(value, dict):
        return {inner: _t5_value(inner, given) for inner, given in value.items()}
    if key.startswith("target_modules_bd"):  # parts of names, and "o" is one of "encoder" too
        return [f".{T5_NAMES.get(name, name)}" for name in value]
    if isinstance(value, list):
        return list(dict.fromkeys(T5_NAMES.get(name, name) if isinstance(name, str) else name for name in value))
    return value.replace("embedded/llama", "embedded/t5") if isinstance(value, str) else value


def row_of(entry: Method) -> dict[str, Any]:
    """All that is tried of one method: each cell true, false, or the reason why it cannot be."""
    experiment = exactly(twin(EXPERIMENTS / entry.embedded))
    own = experiment.params.dtype
    whole = entry.family == OPTIMIZER
    row: dict[str, Any] = {"title": entry.title, "family": entry.family, "source": entry.link,
                           "embedded": entry.embedded, "real": entry.real}  # fmt: skip
    row |= share(entry)
    none, plain = "it has no adapter", gradients_of(Trial(experiment))
    cells: dict[str, Callable[[], bool] | str] = {
        "starts_as_base": none if whole else lambda: starts_as_base(Trial(experiment)),
        "merges": none if whole else lambda: merges(Trial(experiment)),
        "int8": "full fine-tuning" if whole else lambda: learns(Trial(experiment, dtype="int8")),
        "int4": "full fine-tuning" if whole else lambda: learns(Trial(experiment, dtype="int4")),
        "checkpointing": lambda: same_gradients(plain, gradients_of(Trial(experiment, gradient_checkpointing=True))),
        "compile": lambda: same_gradients(
            plain, gradients_of(Trial(experiment), lambda model: torch.compile(model, backend="aot_eager"))
        ),
        "encoder_decoder": WITHOUT_T5.get(experiment.method, lambda: learns(on_t5(experiment)))
        if not whole
        else lambda: learns(Trial(exactly(twin(T5_TASK / "experiments" / "full-finetuning" / "embedded-t5")))),
        "several_adapters": none if whole else lambda: two_adapters(Trial(experiment)),
    }
    if own in ("int8", "int4"):  # the base is part of the method
        cells["int4" if own == "int8" else "int8"] = f"its base is {own}"
    for name, cell in cells.items():
        row[name] = cell if isinstance(cell, str) else answer_of(cell)
        torch.compiler.reset()
    return row


def answer_of(cell: Callable[[], bool]) -> bool | str:
    """What a trial says, or the first line of why it failed."""
    try:
        return cell()
    except REFUSALS as error:
        text = re.sub(r"^\S*adapter_config\.json: ", "", one_line(error))
        return f"{type(error).__name__}: {text}"[:160] if not isinstance(error, UserError) else text[:160]


HEADINGS = {
    "starts_as_base": "starts as the base", "merges": "merges", "int8": "int8 base", "int4": "int4 base",
    "checkpointing": "checkpointing", "compile": "compile", "encoder_decoder": "encoder-decoder",
    "several_adapters": "several adapters",
}  # fmt: skip


def markdown(found: dict[str, Any], explained: str) -> str:
    """The page: a table of marks, the reasons below it, and what was looked into."""
    reasons: dict[str, int] = {}
    lines = [
        "# What each method can do",
        "",
        "Made by `python tests/capabilities.py` from what happened, not from what is claimed: every cell was tried on the embedded",
        f"models on a CPU, with PEFT {found['peft']}, on {found['date']}. A number is a note below the table. The share is what is trained",
        "of Llama-3.2-3B by the experiment that stands in the tree; the families are those of arXiv 2303.15647.",
        "",
        "- *starts as the base*: at the start it answers as the base model does. *merges*: afterwards the weights can become the base's,",
        "  with the same answers. *int8*, *int4*: it trains, answers and trains on over a base that bitsandbytes has quantized.",
        "- *checkpointing*, *compile* (backend aot_eager): the gradients are the same. *encoder-decoder*: it trains and answers on T5.",
        "- *several adapters*: a second one can be added and taken in turn. *?*: not tried yet.",
        "",
        "| method | family | trained, of Llama-3.2-3B | " + " | ".join(HEADINGS.values()) + " |",
        "|---|---|---|" + "---|" * len(HEADINGS),
    ]
    for row in found["methods"]:
        cells = [_mark(row[name], reasons) for name in HEADINGS]
        lines.append(
            f"| [{row['title']}]({row['source']}) | {row['family']} | {_share(row)} | " + " | ".join(cells) + " |"
        )
    lines += [
        "",
        "## Notes",
        "",
        *(f"{number}. {reason}" for reason, number in reasons.items()),
        "",
        explained.strip(),
        "",
    ]
    return "\n".join(lines)


def _share(row: dict[str, Any]) -> str:
    return "" if row["share"] is None else f"{100 * row['share']:.3g} %"


def _mark(cell: bool | str | None, reasons: dict[str, int]) -> str:
    if cell is None:
        return "?"
    if isinstance(cell, bool):
        return "yes" if cell else "**no**"
    reason = cell.replace("|", "\\|").replace("<", "&lt;")
    return f"no ({reasons.setdefault(reason, len(reasons) + 1)})"


def write(found: dict[str, Any]) -> None:
    """Both files, the second from the first; what was looked into is kept."""
    JSON.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    MARKDOWN.write_text(markdown(found, found["explained"]))


def untried(method: Method) -> dict[str, Any]:
    """The row of a method until it is tried."""
    row = {"title": method.title, "family": method.family, "source": method.link, "embedded": method.embedded}
    return row | {"real": method.real, "trainable": None, "share": None} | dict.fromkeys(HEADINGS)


def main(words: list[str]) -> int:
    torch.set_num_threads(1)
    found = read_json(JSON) if JSON.is_file() else {"explained": "", "methods": []}
    found |= {"peft": peft.__version__, "torch": torch.__version__, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
    known = {row["embedded"]: row for row in found["methods"]}
    names = [word for word in words if not word.startswith("--")]
    for method in ENTRIES:
        row = known.setdefault(method.embedded, untried(method))
        tried = row["merges"] is not None
        wanted = not tried if "--missing" in words else not words or any(name in method.embedded for name in names)
        if wanted:
            with quiet():
                known[method.embedded] = row_of(method)
            print(json.dumps(known[method.embedded]), flush=True)
        found["methods"] = [known[each.embedded] for each in ENTRIES if each.embedded in known]
        write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
