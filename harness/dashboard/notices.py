"""What a reader must know before comparing the rows that are shown."""

from collections.abc import Iterable

import pandas

from harness.result.comparable import FOREIGN, MACHINE, SCORES


def notices(experiments: pandas.DataFrame) -> list[str]:
    """Warnings, one sentence each: what the rows mix, and which of them are not ranked and why."""
    comparable = experiments[(experiments["status"] == "success") & ~experiments["modified"]]
    found = [*_mixtures(comparable), *_data(experiments[experiments["ranked"]])]
    found += [*_budgets(experiments[experiments["ranked"]]), *_seeds_that_differ(experiments)]
    found += _left_out(experiments)
    shared = int(experiments["shared_device"].sum())
    if shared:
        found.append(f"{_rows(shared)} measured while another process used the same GPU: do not trust their speed.")
    return found


def _mixtures(rows: pandas.DataFrame) -> Iterable[str]:
    protocols = sorted(set(rows["protocol"]))
    if FOREIGN in protocols:
        yield (
            "Results published elsewhere are shown: how they were trained and tested is not known here, so they are "
            "never ranked with ours."
        )
    ours = [protocol for protocol in protocols if protocol != FOREIGN]
    if len(ours) > 1:
        yield f"Protocols {_listed(ours)} are mixed: results of different protocols are not comparable."
    for key, name in MACHINE.items():
        mixed = sorted(set(rows[key]) - {""})
        if len(mixed) > 1:
            verb = "are" if name.endswith("s") else "is"
            yield (
                f"{name[0].upper()}{name[1:]} {verb} mixed ({_listed(mixed)}): scores are ranked together, but memory "
                "and speed are not comparable."
            )
    models = sorted(set(rows["model"]))
    if len(models) > 1:
        yield f"Base models are mixed ({_listed(models)}): ranks are within each."
    metrics = sorted(set(rows["metric"]) - {""})
    if len(metrics) > 1:
        yield f"Scores are of different metrics ({_listed(metrics)}): they are not comparable."


def _data(ranked: pandas.DataFrame) -> Iterable[str]:
    named = [key for key in SCORES if key not in ("model_version", "data")]
    several = ranked.groupby(named)["score_group"].nunique()
    if (several > 1).any():
        task, subset = several.index[several.argmax()][:2]
        name = "/".join(filter(None, (task, subset)))
        yield f"{name} has results of different versions of data or base model: they are ranked apart."


def _budgets(ranked: pandas.DataFrame) -> Iterable[str]:
    distinct = sorted(set(ranked["budget"]) - {""})
    if len(distinct) > 1:
        more = f" and {len(distinct) - 3} more" if len(distinct) > 3 else ""
        yield (
            f"Tuning budgets are unequal ({'; '.join(distinct[:3])}{more}): a part of a difference may be the tuning."
        )


def _seeds_that_differ(experiments: pandas.DataFrame) -> Iterable[str]:
    rows = experiments[experiments["differs"] != ""]
    if len(rows):
        named = [f"{row.experiment} in {row.differs}" for row in rows.head(3).itertuples()]
        more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
        yield f"Seeds of one experiment were run with different settings, and are not ranked: {_listed(named)}{more}."


def _left_out(experiments: pandas.DataFrame) -> Iterable[str]:
    failed = experiments[experiments["status"] != "success"]
    if len(failed):
        runs = failed.groupby("status")["seeds"].sum()
        counts = _listed([f"{count} {status}" for status, count in runs.items()])
        yield f"Runs without success are shown, not ranked: {counts}."
    success = experiments[experiments["status"] == "success"]
    profiles = int(success["profile"].sum())
    if profiles:
        yield f"{_rows(profiles)} of profiles: random weights, speed and memory only, no quality."
    modified = int((success["modified"] & ~success["profile"]).sum())
    if modified:
        yield f"{_rows(modified)} with parameters changed on the command line: not ranked."
    missing = success[~success["profile"] & ~success["modified"] & success["score"].isna()]
    if len(missing):
        yield f"{_rows(len(missing))} without a test score: not ranked."


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
