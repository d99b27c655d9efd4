"""Pre-training: the loop, whatever it trains, and what ships a model, for every recipe."""

import json
from dataclasses import dataclass, replace
from functools import partial

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors import safe_open
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import AutoImageProcessor, AutoTokenizer

from harness.embedded import pretrain
from harness.embedded.dit import recipe as dit
from harness.embedded.fingerprints import digest_files, read_fingerprints, weights_of
from harness.embedded.llama import recipe as llama
from harness.embedded.loop import Course, cosine
from harness.embedded.loop import pretrain as train
from harness.embedded.t5 import recipe as t5
from harness.embedded.vit import recipe as vit

TINY = {
    "llama": llama.Settings(
        steps=8, warm_up_steps=2, hidden=32, heads=2, key_value_heads=1, head_size=16, layers=1, feed_forward=32,
        block=64,
    ),
    # the first stage lasts one step for each number of facts here
    "t5": t5.Settings(
        width=32, heads=4, head_size=8, feed_forward=32, encoder_layers=1, second_stage=3, batch=8, long_batch=4,
        advance_at=0.0, warm_up_steps=2,
    ),
    "vit": vit.Settings(steps=8, batch=4, hidden=16, heads=2, layers=1, feed_forward=32, warm_up_steps=2),
    "dit": dit.Settings(steps=8, batch=4, head=8, heads=2, layers=1, warm_up_steps=2),
}  # fmt: skip
QUICK_PROBES = {
    "llama": {"documents": 4, "equations": 4},
    "t5": {"items": 3},
    "vit": {"items": 4},
    "dit": {"items": 4},
}
PROCESSORS = {"vit": AutoImageProcessor, "dit": FlowMatchEulerDiscreteScheduler}


@pytest.fixture(params=pretrain.RECIPES)
def name(request):
    """The name of each recipe."""
    return request.param


@pytest.fixture
def recipe(name, monkeypatch):
    """Each recipe with its tiny settings, its shipped tokenizer or image processor, and a quick probe."""
    found = pretrain.RECIPES[name]
    processor = PROCESSORS.get(name, AutoTokenizer).from_pretrained(pretrain.FOLDER / name)
    monkeypatch.setattr(found, "Settings", lambda: TINY[name])
    monkeypatch.setattr(found, "make_processor", lambda settings: processor)
    monkeypatch.setattr(found, "probe", partial(found.probe, **QUICK_PROBES[name]))
    monkeypatch.setattr("harness.embedded.dit.probe.EXAMPLES", 2)
    return found


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def equal(one, other):
    return all(torch.equal(one[name], other[name]) for name in one.keys() | other.keys())


def test_every_folder_of_weights_has_its_recipe():
    assert {path.parent.name for path in pretrain.FOLDER.glob("*/config.json")} == set(pretrain.RECIPES)


def test_a_resumed_run_gives_the_weights_of_an_uninterrupted_one(recipe, tmp_path):
    settings = recipe.Settings()

    def course():
        return recipe.make_course(settings, recipe.make_processor(settings))

    whole = weights(train(course(), settings, tmp_path / "whole.pt"))
    assert not equal(whole, weights(course().model))
    for stop in (2, 2, 5, None):  # the second time there is nothing left to do before the stop
        resumed = weights(train(course(), settings, tmp_path / "parts.pt", checkpoint_every=100, stop_after=stop))
        assert equal(whole, resumed) == (stop is None)


def test_a_checkpoint_of_other_settings_is_refused(recipe, tmp_path):
    settings = recipe.Settings()
    course = recipe.make_course(settings, recipe.make_processor(settings))
    train(course, settings, tmp_path / "checkpoint.pt", stop_after=1)
    with pytest.raises(ValueError, match="other settings"):
        train(course, replace(settings, seed=1), tmp_path / "checkpoint.pt")


def test_what_passes_its_probe_is_shipped(name, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "shortcoming", lambda measured: "")
    output = tmp_path / "output"
    assert pretrain.main([name, "--output", str(output), "--checkpoint", str(tmp_path / "checkpoint.pt")]) == 0
    shipped, fingerprints = pretrain.FOLDER / name, read_fingerprints(output)
    assert {path.name for path in output.iterdir()} == {
        path.name for path in shipped.glob("*.*") if path.suffix != ".py"
    }
    assert fingerprints.keys() == read_fingerprints(shipped).keys()
    assert fingerprints["files"] == digest_files(output)
    known, made = (json.loads((folder / "config.json").read_text()) for folder in (shipped, output))
    kind = "_class_name" if name == "dit" else "model_type"
    assert made[kind] == known[kind]
    with safe_open(weights_of(output), "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118


def test_what_fails_its_probe_is_not(name, recipe, tmp_path, capsys):
    output = tmp_path / "output"
    assert pretrain.main([name, "--output", str(output), "--checkpoint", str(tmp_path / "checkpoint.pt")]) == 1
    assert "probe failed, nothing shipped: wanted" in capsys.readouterr().err
    assert not output.exists()


def test_claims_that_are_not_learned_stop_the_run(tmp_path):
    hopeless = replace(TINY["t5"], advance_at=1.1, longest_first_stage=2)
    course = t5.make_course(hopeless, AutoTokenizer.from_pretrained(pretrain.FOLDER / "t5"))
    with pytest.raises(RuntimeError, match="claims about 1 facts were not learned in 2 steps"):
        train(course, hopeless, tmp_path / "checkpoint.pt")


# The loop with a model and data of another kind


@dataclass(frozen=True)
class Images:
    """Settings of a linear classifier of noisy images."""

    steps: int = 30
    warm_up_steps: int = 5
    learning_rate: float = 0.05
    final_learning_rate: float = 0.01
    beta2: float = 0.99
    gradient_norm: float = 1.0


class ImageStream:
    """Two batches a step, of images (8, 4, 4) whose class is the row that is brightest."""

    def __init__(self):
        self.step = 0

    def state_dict(self):
        return {"step": self.step}

    def load_state_dict(self, state):
        self.step = state["step"]

    def __next__(self):
        self.step += 1
        generator = torch.Generator().manual_seed(self.step)
        images = torch.rand(2, 8, 4, 4, generator=generator)
        return list(zip(images, images.mean(-1).argmax(-1), strict=True))


def image_course(settings):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    weight, bias = model[1].weight, model[1].bias
    return Course(
        model=model,
        groups=[{"params": [weight], "weight_decay": 0.0}, {"params": [bias], "weight_decay": 0.0, "factor": 0.0}],
        stream=ImageStream(),
        loss=lambda model, batch: cross_entropy(model(batch[0]).float(), batch[1]),
        learning_rate=partial(cosine, settings=settings),
        steps=settings.steps,
    )


def test_the_loop_trains_any_model(tmp_path):
    settings = Images()
    course = image_course(settings)
    before, held_out = weights(course.model), next(ImageStream())
    loss = course.loss(course.model, held_out[0]).item()
    trained = train(course, settings, tmp_path / "whole.pt")
    assert course.loss(trained, held_out[0]).item() < 0.8 * loss
    assert torch.equal(trained[1].bias, before["1.bias"]), "a factor of 0 is a rate of 0"
    train(image_course(settings), settings, tmp_path / "parts.pt", checkpoint_every=7, stop_after=11)
    resumed = train(image_course(settings), settings, tmp_path / "parts.pt")
    assert equal(weights(trained), weights(resumed))


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path):
    settings, broken = Images(), image_course(Images())
    course_loss, seen = broken.loss, []

    def failing(model, batch):
        seen.append(batch)
        if len(seen) > 2 * 16:
            raise KeyboardInterrupt
        return course_loss(model, batch)

    broken.loss = failing
    with pytest.raises(KeyboardInterrupt):
        train(broken, settings, tmp_path / "parts.pt", checkpoint_every=5)
    assert torch.load(tmp_path / "parts.pt", weights_only=True)["step"] == 15
    resumed = train(image_course(settings), settings, tmp_path / "parts.pt")
    assert equal(weights(train(image_course(settings), settings, tmp_path / "whole.pt")), weights(resumed))


def test_the_rate_warms_up_falls_and_ends():
    settings = Images()
    rates = [cosine(step, settings) for step in range(settings.steps)]
    assert rates[0] == pytest.approx(settings.learning_rate / 5)
    assert max(rates) == rates[4] == rates[5] == settings.learning_rate
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert settings.final_learning_rate < rates[-1] < 1.1 * settings.final_learning_rate
    assert cosine(settings.steps, settings) is None
