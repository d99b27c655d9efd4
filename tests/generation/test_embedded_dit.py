"""The embedded image generator: pictures made by code, shipped files, and what it draws."""

from itertools import islice

import pytest
import torch
from diffusers import DiTTransformer2DModel

from harness.embedded.dit.pictures import CLASSES, SCAN, SHAPES, drawn
from harness.embedded.dit.probe import SMALLEST_ACCURACY, probe, reader
from harness.embedded.dit.recipe import NoisyPictures, Settings, digest_data, make_processor
from harness.embedded.fingerprints import digest_files, read_fingerprints
from harness.embedded.pretrain import FOLDER
from harness.embedded.vit.letters import LETTERS

WEIGHTS = FOLDER / "dit"


@pytest.fixture(scope="module")
def shipped():
    return read_fingerprints(WEIGHTS)


def test_generators_reproduce_their_fingerprint(shipped):
    assert digest_data(Settings())["pictures"] == shipped["pictures"]


def test_files_match_their_fingerprints(shipped):
    assert digest_files(WEIGHTS) == shipped["files"]
    assert shipped["files"].keys() == {"diffusion_pytorch_model.safetensors", "scheduler_config.json"}
    assert Settings(**shipped["settings"]) == Settings()


def test_remaking_the_scheduler_gives_the_shipped_one(shipped, tmp_path):
    make_processor(Settings()).save_pretrained(tmp_path)
    assert digest_files(tmp_path)["scheduler_config.json"] == shipped["files"]["scheduler_config.json"]


def test_a_stream_goes_on_where_it_stood():
    scheduler, settings = make_processor(Settings()), Settings(batch=4)
    stream, other = NoisyPictures(scheduler, settings), NoisyPictures(scheduler, settings)
    next(stream)
    other.load_state_dict(stream.state_dict())
    ((mine, numbers),), ((theirs, others),) = next(stream), next(other)
    assert torch.equal(numbers, others)
    assert all(torch.equal(one, two) for one, two in zip(mine, theirs, strict=True))


def test_pictures_are_letters_and_shapes():
    pictures = list(islice(drawn("test"), 400))
    assert {one.name for one in pictures} == set(CLASSES) == {*LETTERS, *SHAPES}
    assert {one.picture.size for one in pictures} == {(SCAN, SCAN)}
    assert all(one.picture.getextrema()[1] > 100 for one in pictures)


@pytest.mark.slow  # a reader is fitted to 7200 pictures
def test_it_draws_what_it_is_told(shipped):
    model = DiTTransformer2DModel.from_pretrained(WEIGHTS, local_files_only=True).eval()
    found = probe(model, make_processor(Settings()), items=2 * len(CLASSES))
    assert found.accuracy > SMALLEST_ACCURACY - 0.05
    assert found.accuracy_on_real > 0.95
    assert shipped["probe"]["accuracy"] > SMALLEST_ACCURACY
    assert set(reader().classes_) == set(CLASSES)
