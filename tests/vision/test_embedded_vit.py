"""The embedded image model: pictures made by code, shipped files, and what it reads."""

import random
from itertools import islice

import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForImageClassification

from harness.embedded.fingerprints import read_fingerprints
from harness.embedded.pretrain import FOLDER
from harness.embedded.vit.letters import SCAN, SIDE, draw_letter, pairs
from harness.embedded.vit.probe import held_out_pairs, labels_of
from harness.embedded.vit.recipe import LetterBatches, Settings, make_processor, probe

WEIGHTS = FOLDER / "vit"


def test_held_out_pictures_are_no_training_pictures():
    trained = {pair.picture.tobytes() for pair in islice(pairs("training/0"), 2000)}
    assert not trained & {pair.picture.tobytes() for pair in held_out_pairs(500)}


def test_a_stream_goes_on_where_it_stood():
    processor, settings = make_processor(Settings()), Settings(batch=4)
    stream, other = LetterBatches(processor, settings), LetterBatches(processor, settings)
    next(stream)
    other.load_state_dict(stream.state_dict())
    for mine, theirs in zip(next(stream)[0], next(other)[0], strict=True):
        assert torch.equal(mine, theirs)


def test_a_pair_shows_its_letters_side_by_side():
    pair = next(pairs("test"))
    assert pair.picture.size == (2 * SIDE, SIDE)
    assert labels_of([pair]).shape == (1, 2)
    letters = {letter: draw_letter(random.Random(0), letter) for letter in "AIW"}
    assert all(scan.size == (SCAN, SCAN) for scan in letters.values())
    ink = {letter: sum(scan.tobytes()) for letter, scan in letters.items()}
    assert ink["I"] < ink["A"] < ink["W"]


def test_shipped_model_loads_and_still_reads_what_it_did():
    model = AutoModelForImageClassification.from_pretrained(WEIGHTS, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(WEIGHTS, backend="pil")
    assert sum(parameter.numel() for parameter in model.parameters()) == 810_676
    measured = probe(model, processor, items=200)
    assert measured.pair_accuracy >= 0.8
    assert measured.letter_accuracy == pytest.approx(read_fingerprints(WEIGHTS)["probe"]["letter_accuracy"], abs=0.05)
