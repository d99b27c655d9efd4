"""What a run is for changes its parameters: a profile is short, a tuning trial is scored once, on all of valid."""

import dataclasses
from typing import Any

from harness.experiment import Experiment
from harness.overlay import Layer, build_params

PROFILE_STEPS = 50  # the first five warm up
_NEVER = 10**9  # optimizer steps


def profile_of(experiment: Experiment) -> Experiment:
    """The same experiment, cut to so many steps that its speed shows; only the command line may say otherwise."""
    return _below_command_line(
        experiment, Layer("--profile", {"max_steps": PROFILE_STEPS, "eval_steps": PROFILE_STEPS})
    )


def tuning_of(experiment: Experiment) -> Experiment:
    """The same experiment, scored on all of valid after its last step; only the command line may say otherwise."""
    once: dict[str, Any] = {"valid_samples": None, "eval_steps": experiment.params.max_steps or _NEVER}
    return _below_command_line(experiment, Layer("--tune", once))


def _below_command_line(experiment: Experiment, layer: Layer) -> Experiment:
    layers = list(experiment.layers)
    given = sum(other.name.startswith("command line") for other in layers)
    layers.insert(len(layers) - given, layer)
    return dataclasses.replace(experiment, params=build_params(layers), layers=tuple(layers))
