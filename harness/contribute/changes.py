"""What an experiment changes against its task's protocol: few parameters, or it compares more than its method."""

from collections.abc import Iterator
from typing import Any

from harness.contribute.concerns import Concern, warning
from harness.experiment import Experiment, display_path
from harness.overlay import build_params, flat

WARN_FROM = 3
# What another model or full fine-tuning cannot do without is no deviation of its own.
OF_MODEL = {"model_id", "model_revision"}
OF_FULL_FINETUNING = {"full_finetuning", "train_only", "dtype", "use_amp", "autocast_adapter_dtype"}


def changed_parameters(experiment: Experiment) -> dict[str, tuple[Any, Any]]:
    """By dotted key: the value of the task's defaults (or the preset that the folder names), and the folder's own."""
    before = flat(build_params(experiment.layers[:-1]).model_dump())
    after = flat(experiment.params.model_dump())
    return {key: (before.get(key), after.get(key)) for key in [*after, *(before.keys() - after.keys())]
            if before.get(key) != after.get(key)}  # fmt: skip


def unusual_changes(experiment: Experiment, changed: dict[str, tuple[Any, Any]]) -> Iterator[Concern]:
    """A warning for another base model, and one for many changed parameters."""
    where = display_path(experiment.folder)
    if "model_id" in changed:
        usual, own = changed["model_id"]
        yield warning(f"{where}: another base model ({own}) than the task's ({usual}): its scores are compared with "
                      "those of the same model only")  # fmt: skip
    counted = set(changed) - OF_MODEL - (set() if experiment.params.has_adapter else OF_FULL_FINETUNING)
    if "optimizer_type" in counted:  # another optimizer brings arguments of its own
        counted -= {key for key in counted if key.startswith("optimizer_kwargs.") and key != "optimizer_kwargs.lr"}
    if len(counted) >= WARN_FROM:
        names = ", ".join(sorted(counted))
        yield warning(f"{where}: changes {len(counted)} parameters of the task's protocol ({names}); each needs a "
                      "reason, in the folder's README.md")  # fmt: skip
