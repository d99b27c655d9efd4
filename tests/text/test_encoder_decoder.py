"""What is peculiar to encoder-decoder models, and that tasks do not care which kind of model they meet."""

import pytest
import torch

from harness.experiment import ROOT, read_experiment
from harness.models import location
from harness.task import Row
from harness.text.encoding import IGNORED, Encoder, collate, load_tokenizer
from harness.workloads.text import Text

SUMMARIES = ROOT / "method_comparison" / "CNNDM" / "experiments"
LABELS = ROOT / "method_comparison" / "SuperGLUE" / "experiments"
PARAMS = read_experiment(SUMMARIES / "full-finetuning" / "embedded-t5").params


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(*location(PARAMS, str))


def test_prompt_and_target_end_and_are_cut_where_the_params_say(tokenizer):
    encoder = Encoder(tokenizer, PARAMS.model_copy(update={"max_seq_length": 20, "max_target_length": 6}), True)
    sample = encoder.encode(Row("one two three " * 30, "four five six " * 30, "", ""))
    assert sample.truncated
    assert (len(sample.prompt), len(sample.target)) == (20, 6)
    assert sample.prompt[-1] == sample.target[-1] == tokenizer.eos_token_id
    short = encoder.encode(Row("one", "four", "", ""))
    assert short.prompt == tokenizer("one").input_ids
    assert short.target == tokenizer("four").input_ids


def test_the_decoder_starts_with_its_own_token_and_padding_is_no_label(tokenizer):
    model = Text.load(PARAMS, torch.device("cpu"), str)[1]
    encoder = Encoder(tokenizer, PARAMS, True)
    samples = [encoder.encode(Row("a passage of some words", target, "", "")) for target in ("one two three", "four")]
    batch = collate(samples, tokenizer.pad_token_id, "target", True)
    labels = batch.inputs["labels"]
    assert (labels[1, len(samples[1].target) :] == IGNORED).all()
    assert batch.counted == sum(len(sample.target) for sample in samples)
    shifted = model._shift_right(labels)
    assert shifted[:, 0].tolist() == [model.generation_config.decoder_start_token_id] * 2
    with torch.inference_mode():
        logits = model(**batch.inputs).logits
        loss = model(**batch.inputs).loss
    # each row alone, without any padding, in float64
    total = 0.0
    for sample in samples:
        decoder = torch.tensor([[model.config.decoder_start_token_id, *sample.target[:-1]]])
        alone = model(input_ids=torch.tensor([sample.prompt]), decoder_input_ids=decoder).logits[0].double()
        total -= alone.log_softmax(-1)[range(len(sample.target)), sample.target].sum().item()
    assert logits.shape[:2] == labels.shape
    assert loss.item() == pytest.approx(total / batch.counted, rel=1e-4)


@pytest.mark.parametrize(("content", "subset"), [(SUMMARIES, None), (LABELS, "boolq"), (LABELS, "copa")])
@pytest.mark.parametrize("model_id", ["embedded/llama", "embedded/t5"])
def test_a_task_runs_with_either_kind_of_model(content, subset, model_id, run_main, capsys):
    only = [] if subset is None else ["--subset", subset]
    causal = ["--set", "max_seq_length=256"] if model_id == "embedded/llama" else []
    outcome = run_main(content / "full-finetuning" / "embedded-t5", *only, *causal, "--set", f"model_id={model_id}")
    assert outcome.code == 0
    assert outcome.json["run_info"]["train_config"]["model_id"] == model_id
    assert outcome.json["task"]["subset"] == subset
    assert outcome.json["quality"]["lengths"]["longest"] <= 4
    assert "tokens on average, median" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_losses(run_main):
    first, again = (run_main(LABELS / "lora" / "embedded-t5-qv-rank8", "--subset", "rte") for _ in range(2))
    other = run_main(LABELS / "lora" / "embedded-t5-qv-rank8", "--subset", "rte", "--seed", "1")
    assert first.losses == again.losses != other.losses


@pytest.mark.parametrize(("dtype", "warned"), [("float16", True), ("bfloat16", False)])
def test_float16_on_t5_is_warned_about(dtype, warned, run_main, capsys):
    run_main(LABELS / "lora" / "embedded-t5-qv-rank8", "--subset", "rte", "--set", f"dtype={dtype}")
    assert ("T5's activations overflow in float16" in capsys.readouterr().err) == warned
