"""FLUX.2 with tiny models of the real classes: its loss and its pictures against diffusers' own, in this process."""

import io

import numpy
import pytest
import torch
from diffusers import Flux2KleinPipeline, Flux2Transformer2DModel
from PIL import Image
from tiny_flux import photograph, write_pipeline

from harness.architecture import architecture
from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.task import Row, Splits, load_task
from harness.workloads.image_generation import Generation

CPU = torch.device("cpu")
FOLDER = ROOT / "method_comparison" / "ImageGeneration"
REAL = read_experiment(FOLDER / "experiments" / "lora" / "flux.2-klein-base-4B-rank32").params
SAMPLING = REAL.sampling.model_copy(update={"steps": 3, "side": 64})
PARAMS = REAL.model_copy(update={"dtype": "float32", "sampling": SAMPLING, "batch_size_eval": 2})
ROWS = [Row(prompt, prompt, f"picture {number}, noise 0", f"picture {number}", photograph(number))
        for number, prompt in enumerate(["a cat on a chair", "a cat asleep"])]  # fmt: skip
TASK = load_task(FOLDER)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    write_pipeline(folder)
    return folder


@pytest.fixture
def loaded(place, monkeypatch):
    monkeypatch.setattr("harness.models.location", lambda params, origin: (str(place), {}))
    workload, base = Generation.load(PARAMS, CPU, str)
    workload.read_ahead(TASK, Splits(ROWS, ROWS[:1], ROWS[:1]), base)
    return workload, base


@pytest.fixture
def pipeline(place):
    made = Flux2KleinPipeline.from_pretrained(place, dtype=torch.float32)
    made.set_progress_bar_config(disable=True)
    return made


def test_the_architecture_has_the_published_runs_parameters():
    config = architecture(REAL.model_id, "")
    with torch.device("meta"):
        model = Flux2Transformer2DModel.from_config(config.values)
    assert sum(parameter.numel() for parameter in model.parameters()) == 3_913_883_136 - 38_338_560


def test_prompts_are_read_as_the_pipeline_reads_them(loaded, pipeline):
    expected, _ = pipeline.encode_prompt(ROWS[0].prompt, device=CPU)
    assert torch.equal(loaded[0].encode(ROWS[0]).condition, expected[0])
    assert loaded[0].encode(ROWS[0]).condition.shape == (512, 48)
    assert not torch.equal(loaded[0].encode(ROWS[1]).condition, expected[0])


def test_pictures_are_those_of_the_pipeline(loaded, pipeline):
    workload, base = loaded
    mine = workload.answer(base, ROWS, "").pictures
    noise = torch.stack([workload.denoising.noise_of(f"{row.source}/{row.reference}") for row in ROWS])
    theirs = pipeline(prompt=[row.prompt for row in ROWS], height=64, width=64, num_inference_steps=3, guidance_scale=3.5,
                      latents=noise).images  # fmt: skip
    for one, other in zip(mine, theirs, strict=True):
        with Image.open(io.BytesIO(one)) as picture:
            apart = numpy.abs(numpy.asarray(picture, dtype=int) - numpy.asarray(other, dtype=int))
        assert picture.size == (64, 64)
        assert apart.max() <= 1, "but for rounding"


def test_a_training_steps_loss_is_diffusers_own_in_double_precision(loaded, pipeline):
    workload, base = loaded
    torch.manual_seed(3)
    batch = workload.collate([workload.encode(row) for row in ROWS])
    with torch.no_grad():
        loss = workload.loss(base, batch.inputs).item()

    model = pipeline.transformer.double()
    pipeline.vae.double()
    with torch.no_grad():
        latents = pipeline._encode_vae_image(torch.stack([cut(row) for row in ROWS]), None)
    torch.manual_seed(3)
    timesteps, noise = [], []
    for latent in latents:
        timesteps.append(pipeline.scheduler.timesteps[torch.randint(1000, (1,))])
        noise.append(torch.randn(latent.shape))
    timesteps, noise = torch.cat(timesteps), torch.stack(noise).double()
    noisy = pipeline.scheduler.scale_noise(latents, timesteps, noise)
    read, words = pipeline.encode_prompt([row.prompt for row in ROWS], device=CPU)
    packed, places = pipeline.prepare_latents(2, 4, 64, 64, torch.float64, CPU, None, noisy)
    with torch.no_grad():
        found = model(hidden_states=packed, timestep=timesteps.double() / 1000, encoder_hidden_states=read.double(),
                      txt_ids=words, img_ids=places).sample  # fmt: skip
    expected = ((found - pipeline._pack_latents(noise - latents)) ** 2).mean().item()
    assert loss == pytest.approx(expected, rel=1e-4)
    assert batch.work == 2


def cut(row):
    """The middle square of a picture, 64 pixels a side, from -1 to 1."""
    with Image.open(io.BytesIO(row.image)) as picture:
        width, height = picture.size
        side, left = min(width, height), (width - min(width, height)) / 2
        small = picture.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR, box=(left, 0, left + side, side))
    return torch.tensor(numpy.asarray(small), dtype=torch.float64).permute(2, 0, 1) / 127.5 - 1


def test_nothing_of_the_language_model_stays(loaded):
    workload, base = loaded
    assert not any("Qwen" in type(value).__name__ for value in vars(workload.denoising).values())
    assert workload.denoising._pipeline.text_encoder is None
    assert len(workload.denoising.unrelated_conditions()) == len(TASK.unrelated) == 10
    assert base.device == CPU


def test_a_side_that_no_latent_has_is_refused(loaded):
    odd = PARAMS.model_copy(update={"sampling": SAMPLING.model_copy(update={"side": 100})})
    with pytest.raises(UserError, match="side: expected a multiple of 16, got 100"):
        Generation.load(odd, CPU, str)
