"""The image task and its workload: rows, pixels, the new head, selected names, forgetting, what is refused."""

import dataclasses
import io

import pytest
import torch
from conftest import Outcome
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoConfig, AutoImageProcessor

import run
from harness import adapter as adapters
from harness.adapter_config import Adapter
from harness.architecture import EMBEDDED, meta_model
from harness.arguments import parse_arguments
from harness.errors import UserError
from harness.experiment import ROOT, all_experiments, read_experiment
from harness.images.pictures import Pictures
from harness.result.schema import Result
from harness.task import Row, Splits, load_splits, load_task
from harness.workloads import workload_of
from harness.workloads.image_classification import HEAD, KNOWN, Images
from harness.workloads.text import Text

CPU = torch.device("cpu")
FOLDER = ROOT / "method_comparison" / "ImageClassification"
EXPERIMENTS = FOLDER / "experiments"
PROBE, LORA = EXPERIMENTS / "linear_probe" / "embedded-vit", EXPERIMENTS / "lora" / "embedded-vit-qv-rank16"
TASK = load_task(FOLDER)


@pytest.fixture(scope="module")
def splits():
    return load_splits(TASK, "embedded", None)


@pytest.fixture(scope="module")
def loaded():
    torch.manual_seed(0)
    params = read_experiment(PROBE).params
    return Images.load(params, CPU, str, TASK.classes["embedded"])


def scans_of(rows):
    return {scan for row in rows for scan in row.source.removeprefix("scans ").split(" and ")}


def test_no_scan_is_in_two_splits_and_sums_are_right(splits):
    from sklearn.datasets import load_digits

    digits = load_digits().target
    parts = [scans_of(rows) for rows in vars(splits).values()]
    assert 1700 < sum(map(len, parts)) == len(set().union(*parts)) <= len(digits)
    for row in splits.test[:200]:
        left, right = (int(scan) for scan in row.source.removeprefix("scans ").split(" and "))
        assert row.reference == row.target == str(digits[left] + digits[right])
        with Image.open(io.BytesIO(row.image)) as picture:
            assert picture.size == (32, 16)
    assert {row.target for row in splits.train} == set(TASK.classes["embedded"])


def test_the_fingerprint_is_of_the_pixels(splits):
    row = splits.test[0]
    other = dataclasses.replace(row, image=row.image[:-1] + bytes([row.image[-1] ^ 1]))
    one, two = (Splits([], [], [each]).fingerprint for each in (row, other))
    assert one != two
    assert "image" not in row.written()


def test_macro_f1_counts_every_class_alike():
    assert TASK.summarize(["1", "1", "1", "2"], ["1", "1", "1", "2"]) == {"macro-F1": 1.0}
    assert TASK.summarize(["1", "1", "1", "1"], ["1", "1", "1", "2"])["macro-F1"] == pytest.approx(3 / 7)
    assert TASK.score("beagle", "pug") == TASK.score("pug", "beagle")
    assert not TASK.score("a dog", "pug").valid


def test_pixels_are_those_of_the_base_models_processor(splits, loaded):
    row = splits.train[0]
    batch = loaded[0].collate([loaded[0].encode(row)])
    with Image.open(io.BytesIO(row.image)) as picture:
        processor = AutoImageProcessor.from_pretrained(EMBEDDED / "vit", backend="pil")
        expected = processor([picture.convert("RGB")], return_tensors="pt").pixel_values
    torch.testing.assert_close(batch.inputs["pixel_values"], expected)
    assert (batch.rows, batch.counted, batch.work) == (1, 1, 1)


@pytest.mark.parametrize(("image", "said"), [(None, "has no image"), (b"no picture", "its image cannot be read")])
def test_a_row_without_a_picture_is_named(image, said, loaded):
    with pytest.raises(UserError, match=f"row 7: {said}"):
        loaded[0].encode(Row("row 7", "3", "3", "7", image))


def test_a_target_that_is_no_class_is_named(splits, loaded):
    with pytest.raises(UserError, match="'19' is the target of a row"):
        loaded[0].encode(dataclasses.replace(splits.train[0], target="19"))


def test_a_larger_picture_is_resized_and_cut_as_the_processor_says():
    pictures = Pictures.of(str(EMBEDDED / "vit"), {})
    content = io.BytesIO()
    Image.effect_noise((300, 200), 80).convert("RGBA").save(content, "PNG")
    pixels = pictures.pixels(Row("noise", "0", "0", "0", content.getvalue()))
    assert (pixels.shape, pixels.dtype) == ((3, 16, 32), torch.uint8)


def test_the_head_is_new_and_the_seeds(loaded):
    params = read_experiment(PROBE).params
    heads = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        heads.append(Images.load(params, CPU, str, TASK.classes["embedded"])[1].classifier.weight)
    assert heads[0].shape == (19, 128)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_the_untouched_base_has_forgotten_nothing(loaded):
    workload, base = loaded
    held_out = workload.held_out()
    before = held_out.loss(base)
    assert before.loss < 0.2
    base = adapters.train_names(base, ["classifier"], "")
    with torch.no_grad():
        base.classifier.weight += 1.0
    assert held_out.loss(base) == before, "only the own head reads, on what the base makes of a picture"
    assert not base.classifier._forward_pre_hooks


def test_text_is_asked_for_nowhere(loaded):
    data = loaded[0].data([], CPU)
    with pytest.raises(UserError, match="an image model reads none"):
        data.tokens("a text", 3)


def fits(folder, changes, adapter=None):
    experiment = read_experiment(folder, changes)
    if adapter is not None:
        experiment = dataclasses.replace(experiment, adapter_config=adapter(experiment.adapter_config))
    return workload_of(TASK, experiment, Adapter.of(experiment))


@pytest.mark.parametrize(
    ("folder", "changes", "said"),
    [
        (PROBE, {"max_seq_length": 64}, "max_seq_length: means nothing where work is images; remove it"),
        (PROBE, {"generation_kwargs": {"max_new_tokens": 3}}, "generation_kwargs: means nothing"),
        (PROBE, {"train_only": ["bias"]}, 'train_only: the head is new and must be trained; add "classifier"'),
    ],
)
def test_what_means_nothing_here_is_refused(folder, changes, said):
    with pytest.raises(UserError, match=said):
        fits(folder, changes)


def test_a_frozen_new_head_is_refused():
    without = lambda values: {key: value for key, value in values.items() if key != "modules_to_save"}  # noqa: E731
    with pytest.raises(UserError, match='modules_to_save: the head is new and must be trained; add "classifier"'):
        fits(LORA, {}, without)
    assert fits(LORA, {}) is Images


def test_guides_for_older_transformers_are_told_the_new_names(loaded):
    experiment = read_experiment(LORA)
    values = experiment.adapter_config | {"target_modules": ["query", "value"]}
    adapter = Adapter(values, "adapter_config.json", experiment.params)
    with pytest.raises(UserError, match="'query' matches no module of the model; transformers 5 calls it \"q_proj\""):
        adapter.check_fits(name for name, _ in loaded[1].named_modules())


def test_text_needs_its_own_keys():
    params = read_experiment(ROOT / "method_comparison/SuperGLUE/experiments/ia3/embedded-t5").params
    with pytest.raises(UserError, match="max_seq_length: missing; add it"):
        Text.load(params.model_copy(update={"max_seq_length": None}), CPU, str)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"full_finetuning": True}, "train_only: full_finetuning trains every weight; give one of them"),
        ({"dtype": "int8"}, "dtype: train_only cannot train int8 weights"),
        ({"train_only": []}, "train_only"),
    ],
)
def test_impossible_selections_are_refused(changes, said):
    with pytest.raises(UserError, match=said):
        read_experiment(PROBE, changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dtype": "int4"}, "dtype: int4 would pack the new head"),
        ({"dtype": "bfloat16"}, 'dtype: pixels are float32, .* add "use_amp": true'),
        ({"model_id": "embedded/llama"}, "model_id: embedded/llama is a llama; expected one of vit"),
    ],
)
def test_models_that_cannot_read_pictures_are_refused(changes, said):
    params = read_experiment(LORA).params.model_copy(update=changes)
    with pytest.raises(UserError, match=said):
        Images.load(params, CPU, str, TASK.classes["embedded"])


def test_a_task_without_classes_is_refused():
    with pytest.raises(UserError, match=r"CLASSES\['embedded'\]: expected at least two classes"):
        Images.load(read_experiment(LORA).params, CPU, str)
    assert (
        len(Images.random_splits(dataclasses.replace(TASK, classes={}), None, read_experiment(LORA).params).test) == 8
    )


@pytest.mark.parametrize("kind", KNOWN)
def test_the_kinds_of_model_that_are_known_have_such_a_head(kind):
    config = AutoConfig.for_model(kind)
    Images.configure(config, ("a", "b", "c"))
    model = meta_model(Images.auto_class(config), config)
    assert isinstance(model.get_submodule(HEAD), torch.nn.Linear)
    assert model.get_submodule(HEAD).out_features == 3
    assert config.initializer_range > 0


def test_a_part_that_is_in_no_name_is_refused(loaded):
    with pytest.raises(UserError, match="'biases' is in no name of the model's parameters; did you mean \"bias\""):
        adapters.train_names(loaded[1], ["biases"], "train_only")


@pytest.fixture
def run_images(tmp_path, monkeypatch, splits, quick_measurements):
    """One short run on the first rows; returns its outcome and result."""
    few = Splits(splits.train[:64], splits.valid[:8], splits.test[:20])
    monkeypatch.setattr(run, "load_task", lambda folder: dataclasses.replace(TASK, load_splits=lambda *_: few))

    def call(folder, *arguments):
        given = ["--device", "cpu", "--output", str(tmp_path)]
        given += [] if "--rehearse" in arguments else ["--set", "max_steps=3", "--set", "eval_steps=3"]
        outcome = Outcome(run.main(parse_arguments([str(folder), *given, *arguments])), tmp_path)
        return outcome, outcome.json and Result.model_validate(outcome.json)

    return call


def test_a_run_counts_images_and_the_new_head_apart(run_images, capsys):
    outcome, result = run_images(LORA, "--set", "batch_size=8")
    assert outcome.code == 0
    assert result.task.work_unit == "images"
    assert result.train_info.metrics[-1].train_total_tokens == 3 * 8
    assert result.train_info.num_head_params == 19 * 128 + 19
    assert result.train_info.num_trainable_params - result.train_info.num_head_params == 4 * 2 * 2 * 16 * 128
    assert result.train_info.head_file_size == 4 * result.train_info.num_head_params
    assert result.quality.base_score is None
    assert result.forgetting.unit == "share of letters misread"
    assert result.forgetting.forgetting == pytest.approx(result.forgetting.loss - result.forgetting.base_loss)
    assert result.inference.base.prefill_tokens_per_second is None
    assert result.inference.merged.decode_tokens_per_second > 0
    assert result.inference.merged_logit_difference < 1e-3, "the new head is merged too"
    assert result.compute.flops_per_token > 6 * 33 * 500_000
    assert set(result.quality.further_scores) == {"macro-F1"}
    printed = capsys.readouterr().out
    assert "images/s" in printed
    assert "2,451 of them the new head's" in printed
    assert "tokens" not in printed


def test_selected_names_are_trained_and_stored_alone(run_images):
    outcome, result = run_images(EXPERIMENTS / "bitfit" / "embedded-vit")
    stored = load_file(outcome.folder / "model" / "trained.safetensors")
    assert all("bias" in name or "classifier" in name for name in stored)
    assert sum(tensor.numel() for tensor in stored.values()) == result.train_info.num_trainable_params
    assert result.train_info.num_stored_params == result.train_info.num_trainable_params == 8339
    assert result.run_info.train_config["train_only"] == ["bias", "classifier"]


def test_a_profile_draws_pixels(run_images):
    outcome, result = run_images(EXPERIMENTS / "bitfit" / "embedded-vit", "--profile")
    assert outcome.code == 0
    assert result.profile
    assert result.quality.test_score is None
    assert result.speed.train_tokens_per_second is None or result.speed.train_tokens_per_second > 0


@pytest.mark.slow  # all of them
@pytest.mark.parametrize(
    "folder", [folder for folder in all_experiments() if FOLDER in folder.parents and "vit-base" in folder.name],
    ids=lambda folder: f"{folder.parent.name}/{folder.name}",
)  # fmt: skip
def test_every_real_experiment_is_rehearsed(folder, run_images, capsys):
    outcome, _ = run_images(folder, "--rehearse")
    assert outcome.code == 0
    assert "rehearsal passed" in capsys.readouterr().out
