"""The task and workload of image generation on the embedded model: rows, noise, loss, judge, drift, what is refused."""

import dataclasses
import io
import subprocess
import sys

import numpy
import pytest
import torch
from conftest import Outcome
from diffusers import DiTTransformer2DModel, FlowMatchEulerDiscreteScheduler
from PIL import Image
from safetensors.torch import load_file

import run
from harness import adapter as adapters
from harness.adapter_config import Adapter
from harness.architecture import EMBEDDED
from harness.arguments import parse_arguments
from harness.errors import UserError
from harness.experiment import ROOT, read_experiment
from harness.images.denoising import file_of, generator_of
from harness.images.flow import Noisy, flow_loss, make_noisy, sample_pictures
from harness.result.schema import Result
from harness.task import Judgement, Row, Splits, load_splits, load_task
from harness.workloads import workload_of
from harness.workloads.image_generation import Generation

CPU = torch.device("cpu")
FOLDER = ROOT / "method_comparison" / "ImageGeneration"
EXPERIMENTS = FOLDER / "experiments"
LORA, TABLE = (EXPERIMENTS / "lora" / f"embedded-dit-attention-rank8{end}" for end in ("", "-table"))
TASK = load_task(FOLDER)
PARAMS = read_experiment(LORA).params
DIGITS = TASK.labels("embedded")


@pytest.fixture(scope="module")
def splits():
    return load_splits(TASK, "embedded", None)


@pytest.fixture
def loaded():
    torch.manual_seed(0)
    return Generation.load(PARAMS, CPU, str, DIGITS)


def test_no_scan_is_in_two_splits(splits):
    sources = [{row.source for row in rows} for rows in vars(splits).values()]
    assert [len(rows) for rows in sources] == [1000, 297, 500]
    assert len(set().union(*sources)) == 1797
    assert {row.target for row in splits.train} == set(DIGITS)


def test_the_judge_reads_real_scans_it_was_not_fitted_to(splits):
    found = TASK.judge("embedded", [row.image for row in splits.test], splits.test)
    scores = [TASK.score(text, row.reference).value for text, row in zip(found.texts, splits.test, strict=True)]
    assert sum(scores) / len(scores) >= 0.97
    assert found.further["Fréchet distance"] == pytest.approx(0, abs=1e-6), "of the same pictures"
    other = TASK.judge("embedded", [row.image for row in splits.valid], splits.test[: len(splits.valid)])
    noise = [file_of(Image.effect_noise((8, 8), 100)) for _ in splits.valid]
    far = TASK.judge("embedded", noise, splits.test[: len(splits.valid)])
    assert 10 * other.further["Fréchet distance"] < far.further["Fréchet distance"]


def test_metrics_by_source():
    assert (TASK.metric_of("hub").name, TASK.metric_of("embedded").name) == ("dino_similarity", "accuracy")
    assert TASK.score("0.71", "picture 3, noise 1").value == 0.71
    assert TASK.score("-0.1", "picture 3, noise 1").value == 0
    assert not TASK.score("", "3").valid


def test_a_training_steps_loss_is_diffusers_own_in_double_precision(splits, loaded):
    workload, base = loaded
    torch.manual_seed(5)
    batch = workload.collate([workload.encode(row) for row in splits.train[:6]])
    with torch.no_grad():
        loss = workload.loss(base, batch.inputs).item()

    model = DiTTransformer2DModel.from_pretrained(EMBEDDED / "dit", local_files_only=True).double().eval()
    scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(EMBEDDED / "dit", local_files_only=True)
    pixels = torch.stack([
        torch.tensor(numpy.asarray(Image.open(io.BytesIO(row.image))), dtype=torch.float64)[None] / 127.5 - 1
        for row in splits.train[:6]
    ])  # fmt: skip
    torch.manual_seed(5)
    timesteps, noise = [], []
    for _ in range(6):
        timesteps.append(scheduler.timesteps[torch.randint(1000, (1,))])
        noise.append(torch.randn(1, 8, 8))
    timesteps, noise = torch.cat(timesteps), torch.stack(noise).double()
    noisy = scheduler.scale_noise(pixels, timesteps, noise)
    numbers = torch.tensor([36 + int(row.target) for row in splits.train[:6]])
    with torch.no_grad():
        predicted = model(noisy, timestep=timesteps.double(), class_labels=numbers).sample
    expected = ((predicted - (noise - pixels)) ** 2).mean().item()
    assert loss == pytest.approx(expected, rel=1e-5)
    assert (batch.rows, batch.counted, batch.work) == (6, 6, 6)


def test_noise_of_training_does_not_depend_on_how_a_step_is_cut():
    scheduler, pictures = FlowMatchEulerDiscreteScheduler(), torch.zeros(4, 1, 8, 8)
    torch.manual_seed(0)
    whole = make_noisy(pictures, scheduler)
    torch.manual_seed(0)
    parts = [make_noisy(pictures[:3], scheduler), make_noisy(pictures[3:], scheduler)]
    assert all(
        torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts])) for name in Noisy._fields
    )


def test_sampling_undoes_noise_where_the_velocity_is_known():
    picture, noise = torch.rand(2, 1, 8, 8), torch.randn(2, 1, 8, 8)
    found = sample_pictures(lambda sample, timestep: noise - picture, noise, FlowMatchEulerDiscreteScheduler(), 7)
    torch.testing.assert_close(found, picture, atol=2e-3, rtol=0)
    assert flow_loss(noise - picture, Noisy(noise, torch.ones(2), noise - picture)) == 0


def test_pictures_begin_with_the_same_noise_in_every_run_and_batch(splits, loaded):
    workload, base = loaded
    rows = splits.test[:5]
    one = workload.answer(base, rows, "")
    workload.params = PARAMS.model_copy(update={"batch_size_eval": 2, "seed": 7})
    torch.manual_seed(9)
    two = workload.answer(base, rows, "")
    pairs = [[numpy.asarray(Image.open(io.BytesIO(content)), dtype=int) for content in both]
             for both in zip(one.pictures, two.pictures, strict=True)]  # fmt: skip
    assert max(abs(mine - theirs).max() for mine, theirs in pairs) <= 1, "but for how a batch is summed up"
    assert one.texts == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert torch.equal(torch.randn(3, generator=generator_of("a")), torch.randn(3, generator=generator_of("a")))


def test_the_untouched_base_has_not_moved(loaded):
    workload, base = loaded
    held_out = workload.held_out()
    before = held_out.loss(base)
    assert before.loss == 0
    assert before.tokens == 2 * 36
    assert held_out.loss(base).loss == 0
    with torch.no_grad():
        base.proj_out_2.bias += 0.2
    moved = held_out.loss(base).loss
    assert 0.005 < moved < 0.5


def test_new_classes_take_the_last_rows_of_the_table(splits, loaded):
    workload = loaded[0]
    for row in splits.train[:20]:
        assert workload.encode(row).condition == 36 + int(row.target)
    with pytest.raises(UserError, match="'11' is the target of a row"):
        workload.encode(dataclasses.replace(splits.train[0], target="11"))
    with pytest.raises(UserError, match="row 7: has no image"):
        workload.encode(Row("row 7", "3", "3", "7"))


def test_what_judges_must_be_there(splits, loaded):
    rows, answers = splits.test[:2], loaded[0].answer(loaded[1], splits.test[:2], "")
    with pytest.raises(UserError, match="judge: missing"):
        loaded[0].judged(dataclasses.replace(TASK, judge=None), "embedded", rows, answers)
    with pytest.raises(UserError, match="judge: expected harness.task.Judgement with a text on each of 2 pictures"):
        loaded[0].judged(dataclasses.replace(TASK, judge=lambda *_: Judgement(["1"])), "embedded", rows, answers)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampling": None}, "sampling: missing; add it"),
        ({"dtype": "int8"}, "dtype: no int8 base for image generation yet; use bfloat16"),
        ({"model_id": "embedded/llama"}, "model_id: embedded/llama is a llama; expected one of DiTTransformer2DModel"),
        ({"sampling": PARAMS.sampling.model_copy(update={"side": 16})}, "expected one that draws 16 pixels a side"),
        ({"sampling": PARAMS.sampling.model_copy(update={"guidance": 2.0})}, "guidance: expected 1"),
    ],
)
def test_what_cannot_be_generated_is_refused(changes, said):
    with pytest.raises(UserError, match=said):
        Generation.load(PARAMS.model_copy(update=changes), CPU, str, DIGITS)


def test_classes_must_fit_the_table():
    with pytest.raises(UserError, match=r"CLASSES\['embedded'\]: expected 2 to 45 classes, got 0"):
        Generation.load(PARAMS, CPU, str)


@pytest.mark.parametrize("key", ["attn_implementation", "query_template"])
def test_what_means_nothing_here_is_refused(key):
    value = {"attn_implementation": "sdpa", "query_template": "{query}!"}[key]
    experiment = read_experiment(LORA, {key: value})
    with pytest.raises(UserError, match=f"{key}: means nothing where work is images; remove it"):
        workload_of(TASK, experiment, Adapter.of(experiment))


def test_sampling_means_nothing_to_text():
    folder = ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8"
    experiment = read_experiment(folder, {"sampling": {"steps": 2, "side": 8}})
    with pytest.raises(UserError, match="sampling: means nothing where work is tokens; remove it"):
        workload_of(load_task(folder.parents[2]), experiment, Adapter.of(experiment))


def test_what_is_computed_again_has_the_same_gradient(splits):
    gradients = []
    for again in (False, True):
        torch.manual_seed(0)
        workload, base = Generation.load(PARAMS.model_copy(update={"gradient_checkpointing": again}), CPU, str, DIGITS)
        assert base.is_gradient_checkpointing == again
        model = adapters.attach(base, Adapter.of(read_experiment(LORA)), PARAMS, None)
        torch.manual_seed(1)
        batch = workload.collate([workload.encode(row) for row in splits.train[:4]])
        workload.loss(model.train(), batch.inputs).backward()
        gradients.append({name: one.grad for name, one in model.named_parameters() if one.requires_grad})
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


@pytest.fixture
def run_generation(tmp_path, monkeypatch, splits, quick_measurements):
    """Short runs on the first rows, each with an output of its own; returns outcome and result."""
    few = Splits(splits.train[:64], splits.valid[:8], splits.test[:12])
    monkeypatch.setattr(run, "load_task", lambda folder: dataclasses.replace(TASK, load_splits=lambda *_: few))

    def call(folder, *arguments, name="output"):
        given = ["--device", "cpu", "--output", str(tmp_path / name)]
        if "--rehearse" not in arguments:
            for setting in ("max_steps=3", "eval_steps=3", "batch_size=8", "sampling.steps=3"):
                given += ["--set", setting]
        outcome = Outcome(run.main(parse_arguments([str(folder), *given, *arguments])), tmp_path / name)
        return outcome, outcome.json and Result.model_validate(outcome.json)

    return call


def test_a_run_generates_judges_and_keeps_its_pictures(run_generation, capsys):
    outcome, result = run_generation(TABLE)
    assert outcome.code == 0
    assert (result.task.work_unit, result.task.metric) == ("images", "accuracy")
    assert result.train_info.metrics[-1].train_total_tokens == 3 * 8
    assert result.quality.base_score is not None
    assert set(result.quality.further_scores) == {"Fréchet distance"}
    assert result.forgetting.base_loss == 0 < result.forgetting.forgetting < 1
    assert result.forgetting.unit == "mean difference of pixels, 1 from black to white"
    assert result.inference.sampling_steps == 3
    assert result.inference.merged.decode_tokens_per_second > 0
    assert result.compute.flops_per_token > 2 * 800_000
    assert result.meta_info.package_info["diffusers-version"]
    shown = [sample.reference for sample in result.quality.samples]
    assert len(shown) == 10
    assert shown == sorted(shown)
    assert len(set(shown)) >= 7, "one of each digit, as far as there are"
    for sample in result.quality.samples:
        assert sample.thumbnail.startswith("data:image/png;base64,")
        with Image.open(outcome.folder / sample.picture) as picture:
            assert picture.size == (8, 8)
    assert len(list((outcome.folder / "samples").iterdir())) == 12
    stored = load_file(outcome.folder / "adapter" / "adapter_model.safetensors")
    assert sum("embedding_table" in name for name in stored) == 4
    printed = capsys.readouterr().out
    assert "images/s" in printed
    assert "Fréchet distance" in printed
    assert "tokens" not in printed


@pytest.mark.slow
def test_two_runs_of_one_seed_are_bit_identical(run_generation):
    first, second = (run_generation(LORA, name=name)[0] for name in ("one", "two"))
    other = run_generation(LORA, "--seed", "1", name="three")[0]
    assert first.losses == second.losses != other.losses
    for file in (
        "adapter/adapter_model.safetensors",
        "predictions.jsonl",
        *(f"samples/{number}.png" for number in range(12)),
    ):
        assert (first.folder / file).read_bytes() == (second.folder / file).read_bytes(), file


def test_a_profile_needs_no_pictures(run_generation):
    outcome, result = run_generation(LORA, "--profile")
    assert outcome.code == 0
    assert result.profile
    assert result.quality.test_score is None


@pytest.mark.slow
def test_text_and_classification_import_no_diffusers():
    tried = "import sys, run, harness.workloads.text, harness.workloads.image_classification; sys.exit('diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", tried], cwd=ROOT, check=False).returncode == 0
