"""A forecast in words, and as lines for a terminal."""

from harness.params import TrainingParams
from harness.result.forecasts import Forecast
from harness.result.units import human_bytes


def sentence_of(forecast: Forecast, params: TrainingParams) -> str:
    """One or two sentences: what is needed, whether it fits, the largest batch, what would help most."""
    if forecast.reason is not None:
        return f"No forecast: {forecast.reason.rstrip('.!')}."
    training, evaluation = forecast.training, forecast.evaluation
    length = f" of {training.length}" if forecast.work_unit == "tokens" else ""
    need = (
        f"needs {human_bytes(forecast.needed)}: training {human_bytes(training.reserved)} with {training.rows} rows"
        f"{length}, evaluation {human_bytes(evaluation.reserved)} with {evaluation.rows}"
    )
    if forecast.gpu_memory is None:
        return f"Forecast: {need}."
    card = f" ({forecast.gpu})" if forecast.gpu else ""
    words = [
        f"Forecast: {'fits' if forecast.fits else 'does not fit'} {human_bytes(forecast.gpu_memory)}{card}; {need}."
    ]
    if forecast.largest_batch is not None:
        words.append(_batch(forecast, params))
    if forecast.changes:
        first = forecast.changes[0]
        verdict = "which fits" if first.needed <= forecast.gpu_memory else "which does not fit either"
        words.append(f"What helps most: {first.what}, {human_bytes(first.needed)}, {verdict}.")
    return " ".join(words)


def _batch(forecast: Forecast, params: TrainingParams) -> str:
    if forecast.largest_batch == 0:
        return "No batch_size trains there."
    return f"Largest batch_size that trains there: {forecast.largest_batch} (now {params.batch_size})."


def lines_of(forecast: Forecast) -> str:
    """The sentence, and under it every figure."""
    if forecast.reason is not None:
        return forecast.sentence
    subset = f" on {forecast.subset}" if forecast.subset else ""
    rows = [
        ("training, longest batch", forecast.training.reserved),
        *((f"  {name.replace('_', ' ')}", size) for name, size in forecast.parts.model_dump().items()),
        ("  rounding and gaps", forecast.training.reserved - forecast.training.allocated),
        ("training, on average", forecast.standing.reserved),
        ("evaluation", forecast.evaluation.reserved),
        ("context, an allowance", forecast.context),
    ]
    text = [
        f"{forecast.experiment}{subset}, {forecast.model}, {forecast.trainable:,} of {forecast.total:,} parameters"
    ]
    text += [f"  {name:26}{human_bytes(size):>12}" for name, size in rows]
    text += [f"  instead: {change.what}: {human_bytes(change.needed)}" for change in forecast.changes]
    text.append(f"  arithmetic: {forecast.flops_per_token / 1e9:.3g} GFLOP a {forecast.work_unit.removesuffix('s')}")
    if forecast.tokens_per_second is not None:
        low, high = forecast.tokens_per_second
        text.append(f"  range of speed on {forecast.gpu}: {low:,.0f} to {high:,.0f} tokens/s")
    return "\n".join([*text, forecast.sentence])
