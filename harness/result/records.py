"""One result file as one flat record: the columns, and what else a reader needs.

A record holds the columns of harness/result/columns.py but those over seeds, numbers as floats, and
    seed              number, NaN where the file says none
    profile           random weights: speed and memory only
    modified          parameters were changed on the command line; `overrides` has them, as JSON
    shared_device     another process used the same GPU
    resumed           the run was killed and went on: its memory and speed are of several processes
    metric, higher_is_better, model_version, data: what decides comparability beside the columns
    created_at        seconds since 1970, minus infinity where unknown
    versions          "torch 2.13.0 peft 0.21.2 …"
    settings          bytes: JSON {"train": …, "peft": …, "config": fingerprint of what was asked for} without the seed
    item_scores       array of the score of every test item, of bytes where all are 0 or 1; None where unknown
    direction_known, share: of the metric (harness/result/metrics.py)
    items             number of test items that the score tells of itself; NaN where unknown
    cpu, accelerator, precision, test_rows, base_invalid_rate, overhead_*_range: what only the Markdown tables show
    further           likewise: what else the task reports of the whole test split, by name

What is absent or null is missing. What has the wrong type, or cannot be (a negative size, an accuracy of 45), makes
the whole file unreadable, since nothing else in it could be trusted then.
"""

import math
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import msgspec
import numpy

from harness.result.comparable import FOREIGN, LIBRARIES, libraries
from harness.result.files import UnreadableError, decode, explain
from harness.result.layout import Adapter, Config, File, Number, Share, Signed, numbers
from harness.result.metrics import HIGHER, LOWER, SHARES, direction, is_share
from harness.result.origin import family_of, hardware_of, processor_of
from harness.result.tuning import budget_of

MOST_ITEMS = 20_000  # test items that a score may be a whole number of
DEEPEST = 100  # levels of settings within settings
_DECODER = msgspec.json.Decoder(File)
_LINE = msgspec.json.Decoder(dict[str, Any])
_SORTED = msgspec.json.Encoder(order="sorted")
Values = dict[str, Any]


def to_record(content: bytes, task: str) -> Values:
    """The record of one file, without `source`.

    Args:
        content: JSON.
        task: the task's name where the file says none, as published results do not.

    Raises:
        UnreadableError: see the module.
    """
    data = decode(content, _DECODER)
    config = _converted(data.run_info.train_config, Config, "run_info.train_config")
    adapter = _converted(data.run_info.peft_config, Adapter, "run_info.peft_config")
    record: Values = numbers(data) | numbers(config) | numbers(adapter)
    record |= _names(data, config, adapter, task)
    record |= _machine(data)
    last = _last_line(data)
    record |= _scores(data, last, record["status"] == "success")
    record |= _settings(data)
    record |= _training(data, last)
    _add_derived(record, data)
    return record


def _converted(values: Any, kind: type[msgspec.Struct], where: str) -> Any:
    try:
        return msgspec.convert(values or {}, kind)
    except msgspec.ValidationError as error:
        raise UnreadableError(explain(error, where)) from None


def _names(data: File, config: Config, adapter: Adapter, task: str) -> Values:
    experiment = data.run_info.experiment_name
    if not experiment:
        raise UnreadableError("run_info.experiment_name: missing")
    peft_type, dtype, model = adapter.peft_type or "", config.dtype or "", config.model_id or ""
    method, slash, name = experiment.partition("/")
    if not slash:
        method, name = peft_type.lower() or "full-finetuning", experiment
    seed = config.seed if data.seed is None else data.seed
    return {
        "task": _of(data.task, "name") or task,
        "subset": _of(data.task, "subset"),
        "work_unit": _of(data.task, "work_unit") or "tokens",
        "experiment": experiment,
        "method": data.method or method,
        "name": data.name or name,
        "model": model,
        "family": family_of(adapter.task_type or "", model),
        "quantization": dtype if dtype in ("int8", "int4") else "none",
        "dtype": dtype,
        "precision": dtype + (" with autocast" if config.use_amp else ""),
        "protocol": FOREIGN if data.protocol is None else f"{data.protocol:g}",
        "budget": _budget(data, _of(data.task, "name") or task, experiment),
        "status": data.train_info.status or "unknown",
        "peft_type": peft_type,
        "seed": math.nan if seed is None else seed,
        "profile": bool(data.profile),
        "created_at": _instant(data.run_info.created_at or ""),
        "created": _day(data.run_info.created_at or ""),
        "model_version": _model_version(data, config),
        "data": _data(data),
    }


def _of(section: Any, key: str) -> Any:
    """A text of a section; empty where either is missing."""
    return (section and getattr(section, key)) or ""


def _budget(data: File, task: str, experiment: str) -> str:
    return "" if data.protocol is None else budget_of(task, experiment, data.run_info.train_config or {})


def _model_version(data: File, config: Config) -> str:
    own = _of(data.provenance, "base_model_fingerprint") or _of(data.meta_info.model_info, "sha")
    return (own or config.model_revision or "")[:12]


def _data(data: File) -> str:
    """What was trained and tested on: our fingerprint of it. The commit of a published result's data set says nothing,
    since most of them change its description only."""
    rows = data.task and data.task.test_rows
    own = _of(data.provenance, "data_fingerprint")[:12]
    return " ".join(filter(None, (own, "" if rows is None else f"{rows:g} test rows")))


def _machine(data: File) -> Values:
    system, packages = data.meta_info.system_info, data.meta_info.package_info or {}
    versions = {name: packages.get(f"{name}-version") for name in LIBRARIES}
    return {
        "hardware": hardware_of(_of(data.hardware, "slug"), _of(system, "accelerator"), _of(system, "machine")),
        "processor": processor_of(data.hardware),
        "libraries": libraries(packages),
        "versions": " ".join(f"{name} {version}" for name, version in versions.items() if version),
        "cpu": _of(data.hardware, "cpu"),
        "accelerator": _of(data.hardware, "accelerator"),
        "shared_device": bool(data.provenance and data.provenance.shared_device),
        "resumed": data.resumed is not None,
    }


def _scores(data: File, last: dict[str, Any], success: bool) -> Values:
    """Test score, its metric and direction, and the scores by item; a run without success has no score."""
    quality, ours = data.quality, data.protocol is not None
    score, metric = quality and quality.test_score, _of(data.task, "metric")
    if score is None:
        score, named = _named_score(last)
        metric = metric or named
    items = _items(quality.test_scores) if success and quality and quality.test_scores else None
    if items is not None and (score is None or not abs(items.mean() - score) < 1e-3):
        raise UnreadableError(f"quality.test_score: {score} is not the mean of test_scores, {items.mean():g}")
    known = data.task.higher_is_better if data.task else None
    higher = direction(metric) if known is None else known
    known_score = success and score is not None
    return {
        "score": score if known_score else math.nan,
        "metric": metric,
        "higher_is_better": higher is not False,
        "direction_known": ours or higher is not None or not metric,
        "share": is_share(metric, ours or not metric),
        "forgetting": _figure(last, "forgetting", Signed),
        "drift": _figure(last, "drift", Signed),
        "item_scores": items,
        "items": _whole_of(score) if known_score and items is None and is_share(metric, ours) else math.nan,
    }


def _named_score(line: dict[str, Any]) -> tuple[float | None, str]:
    """The figure under "test <metric>" and the metric, one whose meaning is known where there are several."""
    found = [key.removeprefix("test ") for key, value in line.items() if key.startswith("test ") and value is not None]
    if not found:
        return None, ""
    metric = next((name for name in (*HIGHER, *LOWER) if name in found), found[0])
    return _checked(line, f"test {metric}", Share if metric in SHARES else Signed), metric


def _whole_of(score: float) -> float:
    """The fewest items of which the score is a whole number; NaN where it may have been rounded instead.

    The true number is this or a multiple of it, so that an interval from it is too wide rather than too narrow.
    """
    share = Fraction(score).limit_denominator(MOST_ITEMS)
    items = share.denominator
    exact = share.numerator / items == score
    return math.nan if not exact or 10**6 % items == 0 else items


def _training(data: File, last: dict[str, Any]) -> Values:
    """What only the lines of the log say, and the speeds that their totals give where no better ones were measured."""
    seconds = data.train_info.train_time or math.nan
    tokens, samples = (_figure(last, f"train {name}", Number) for name in ("total tokens", "samples"))
    found = {"train_loss": _figure(last, "train loss", Signed), "train_tokens": tokens}
    if data.protocol is None:
        rates = {"train_tokens_per_second": tokens / seconds, "samples_per_second": samples / seconds}
        found |= rates | {"valid_score": _valid_score(data)}
    return found


def _valid_score(data: File) -> float:
    """Of the last line that has one."""
    for raw in reversed(data.train_info.metrics or []):
        line = decode(bytes(raw), _LINE) if b'"valid ' in bytes(raw) else {}
        for key in line:
            if key.startswith("valid ") and (
                key in ("valid accuracy", "valid score") or direction(key[6:]) is not None
            ):
                return _figure(line, key, Share if key[6:] in SHARES else Signed)
    return math.nan


def _figure(line: dict[str, Any], key: str, kind: Any) -> float:
    value = _checked(line, key, kind)
    return math.nan if value is None else value


def _last_line(data: File) -> dict[str, Any]:
    lines = data.train_info.metrics
    if not lines:
        return {}
    try:
        return decode(bytes(lines[-1]), _LINE)
    except UnreadableError as error:
        raise UnreadableError(f"last of train_info.metrics: {error}") from None


def _checked(line: dict[str, Any], key: str, kind: Any) -> float | None:
    try:
        return msgspec.convert(line.get(key), kind | None)
    except msgspec.ValidationError as error:
        raise UnreadableError(explain(error, f"last of train_info.metrics, {key}")) from None


def _items(scores: list[float]) -> numpy.ndarray:
    values = numpy.array(scores)
    whole = values.astype(numpy.uint8)
    return whole if (whole == values).all() else values


def _settings(data: File) -> Values:
    """Training and PEFT configuration without the seed, and what the command line changed."""
    train, overrides = dict(data.run_info.train_config or {}), data.overrides or {}
    for how in ("seed", "checkpoint_minutes"):
        train.pop(how, None)
    config = _of(data.provenance, "config_fingerprint")
    settings = _SORTED.encode({"train": train, "peft": data.run_info.peft_config or {}, "config": config})
    changed = _SORTED.encode(overrides)
    for name, text in (("run_info", settings), ("overrides", changed)):
        if text.count(b"{") + text.count(b"[") > DEEPEST and _depth(msgspec.json.decode(text)) > DEEPEST:
            raise UnreadableError(f"{name}: nested more than {DEEPEST} levels deep")
    return {"settings": settings, "overrides": changed, "modified": bool(overrides)}


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _add_derived(record: Values, data: File) -> None:
    """What is made of several values."""
    if math.isnan(record["memory_train"]) and data.train_info.accelerator_memory_max is not None:
        record["memory_train"] = data.train_info.accelerator_memory_max
    record["trainable_share"] = record["trainable_params"] / (record["total_params"] or math.nan)
    info = data.train_info
    for key, whole, head in (
        ("headless_params", "trainable_params", info.num_head_params),
        ("headless_storage", "storage", info.head_file_size),
    ):
        record[key] = math.nan if head is None else record[whole] - head
    record["gain"] = (record["score"] - record["base_score"]) * (1 if record["higher_is_better"] else -1)
    record["test_rows"] = data.task and data.task.test_rows
    record["base_invalid_rate"] = data.quality and data.quality.base_invalid_rate
    record["further"] = (data.quality and data.quality.further_scores) or {}
    for key in ("overhead_unmerged", "overhead_merged"):
        one = data.inference and getattr(data.inference, key)
        record[f"{key}_range"] = one and (one.lowest, one.highest)


def _instant(created_at: str) -> float:
    """Seconds since 1970, UTC where no zone is given; minus infinity where it is missing or no time."""
    try:
        instant = datetime.fromisoformat(created_at)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return -math.inf


def _day(created_at: str) -> str:
    """'2026-11-22'; empty where it is no time."""
    return created_at[:10] if _instant(created_at) > -math.inf else ""
