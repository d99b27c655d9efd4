"""Flow matching: noise on a picture in training, and the way back in sampling, as diffusers' scheduler has them.

A model predicts the velocity from picture to noise, noise less picture, at a point on the straight line between them.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from diffusers import FlowMatchEulerDiscreteScheduler


class Noisy(NamedTuple):
    """Pictures or latents on their way to noise, one a row.

    sample: between picture and noise, as the model is given it. timestep: where, from 0 (picture) to 1000 (noise).
    velocity: noise less picture, what the model is to say.
    """

    sample: torch.Tensor
    timestep: torch.Tensor
    velocity: torch.Tensor


def make_noisy(
    pictures: torch.Tensor, scheduler: FlowMatchEulerDiscreteScheduler, generator: torch.Generator | None = None
) -> Noisy:
    """Adds noise to pictures (rows, …), each at a timestep of its own that is drawn uniformly from the scheduler's.

    Rows are drawn one after the other, so that how a step's rows are cut into batches does not matter.

    Args:
        pictures: on the CPU.
        scheduler: before `set_timesteps`.
        generator: of noise and timesteps; None for torch's own, which the run's seed has set.
    """
    timesteps, noise = [], []
    for picture in pictures:
        index = torch.randint(len(scheduler.timesteps), (1,), generator=generator)
        timesteps.append(scheduler.timesteps[index])
        noise.append(torch.randn(picture.shape, generator=generator))
    timestep, drawn = torch.cat(timesteps), torch.stack(noise)
    return Noisy(scheduler.scale_noise(pictures, timestep, drawn), timestep, drawn - pictures)


def flow_loss(predicted: torch.Tensor, noisy: Noisy) -> torch.Tensor:
    """Scalar, mean squared error of the velocity; every timestep weighs the same."""
    return torch.nn.functional.mse_loss(predicted.float(), noisy.velocity.float())


def sample_pictures(
    velocity: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    noise: torch.Tensor,
    scheduler: FlowMatchEulerDiscreteScheduler,
    steps: int,
    **more: object,
) -> torch.Tensor:
    """From noise to pictures in so many steps of Euler's method.

    Args:
        velocity: the model's, of a sample and a timestep for each row.
        noise: of the pictures' shape.
        scheduler: its state is changed; hand in a copy.
        steps: evaluations of `velocity`.
        more: to the scheduler's `set_timesteps`.
    """
    scheduler.set_timesteps(steps, device=noise.device, **more)
    sample = noise
    for timestep in scheduler.timesteps:
        sample = scheduler.step(velocity(sample, timestep.expand(len(sample))), timestep, sample).prev_sample
    return sample
