"""The embedded image generator: pictures made by code, shipped files, and what it draws."""

from itertools import islice

import pytest
import torch
from diffusers import DiTTransformer2DModel

from harness.embedded.dit.pictures import CLASSES, SCAN, SHAPES, drawn
from harness.embedded.dit.probe import SMALLEST_ACCURACY, probe, reader
from harness.embedded.dit.recipe import NoisyPictures, Settings, make_processor
from harness.embedded.fingerprints import read_fingerprints
from harness.embedded.pretrain import FOLDER
from harness.embedded.vit.letters import LETTERS

WEIGHTS = FOLDER / "dit"


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
def test_it_draws_what_it_is_told():
    model = DiTTransformer2DModel.from_pretrained(WEIGHTS, local_files_only=True).eval()
    found = probe(model, make_processor(Settings()), items=2 * len(CLASSES))
    assert found.accuracy > SMALLEST_ACCURACY - 0.05
    assert found.accuracy_on_real > 0.95
    assert read_fingerprints(WEIGHTS)["probe"]["accuracy"] > SMALLEST_ACCURACY
    assert set(reader().classes_) == set(CLASSES)
