"""Whether a folder's tuning.json agrees with the folder and with itself."""

from collections.abc import Iterator
from itertools import product

from harness.contribute.concerns import Concern, error
from harness.experiment import Experiment
from harness.files import named
from harness.result.schema import PROTOCOL
from harness.result.tuning import FILE, read_tuning, value_of
from harness.suite.tune import settings_of


def tuning_contradictions(experiment: Experiment) -> Iterator[Concern]:
    """An error for each way in which the record contradicts the folder; nothing where there is no record.

    Raises:
        UserError: the file is no tuning record, no value of it has a score, or the folder has no such key.
    """
    record = read_tuning(experiment.folder)
    if record is None:
        return
    where = named(experiment.folder / FILE)
    own = value_of(experiment.params.model_dump(), record.key)
    if own != record.chosen:
        yield error(f"{where}: chose {record.key} = {record.chosen}, but the folder has {own}; make it so "
                    "(suite.py tune … --apply), or tune again")  # fmt: skip
    elif record.settings != settings_of(experiment.folder, record.key):
        yield error(f"{where}: settings: was made with other parameters or another adapter config than the folder "
                    "has; tune again")  # fmt: skip
    if record.protocol != PROTOCOL:
        yield error(f"{where}: protocol: was made under {record.protocol}, now it is {PROTOCOL}; tune again")
    grid = set(product(record.values, record.subsets, record.seeds))
    if grid != {(one.value, one.subset, one.seed) for one in record.trials}:
        yield error(f"{where}: trials: expected one for each value, subset and seed, no more and no less; tune again")
    elif (found := record.best()) != record.chosen:
        yield error(f"{where}: chosen: {record.chosen} is not the best of its trials, {found} is; tune again")
