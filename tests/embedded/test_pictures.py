"""The embedded models of pictures: what code draws for them, and that their files are the ones that were made."""

import pytest

from harness.embedded.dit import recipe as dit
from harness.embedded.fingerprints import digest_files, read_fingerprints
from harness.embedded.pretrain import FOLDER
from harness.embedded.vit import recipe as vit

RECIPES = {"vit": vit, "dit": dit}
FILES = {"vit": ("model.safetensors", "preprocessor_config.json"),
         "dit": ("diffusion_pytorch_model.safetensors", "scheduler_config.json")}  # fmt: skip


@pytest.fixture(params=RECIPES)
def name(request):
    return request.param


def test_generators_reproduce_their_fingerprint(name):
    recipe = RECIPES[name]
    assert recipe.digest_data(recipe.Settings())["pictures"] == read_fingerprints(FOLDER / name)["pictures"]


def test_files_match_their_fingerprints(name):
    shipped, settings = read_fingerprints(FOLDER / name), RECIPES[name].Settings
    assert digest_files(FOLDER / name) == shipped["files"]
    assert shipped["files"].keys() == set(FILES[name])
    assert settings(**shipped["settings"]) == settings()


def test_remaking_the_processor_gives_the_shipped_one(name, tmp_path):
    recipe, processor = RECIPES[name], FILES[name][1]
    recipe.make_processor(recipe.Settings()).save_pretrained(tmp_path)
    assert digest_files(tmp_path)[processor] == read_fingerprints(FOLDER / name)["files"][processor]
