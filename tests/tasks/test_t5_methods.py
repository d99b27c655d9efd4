"""The study's adapters on a tiny T5: gradients reach all that is trained, and decoding agrees with training."""

import pytest
import torch
from transformers import T5Config, T5ForConditionalGeneration

from harness.adapter import attach
from harness.adapter_config import Adapter
from harness.experiment import ROOT, all_experiments, read_experiment
from harness.text.encoding import Sample, collate

CONTENT = ROOT / "method_comparison"
STUDY = {"lora", "ia3", "ln_tuning", "lokr", "prompt_tuning", "prefixtuning", "full-finetuning"}
STUDY |= {path.stem for path in (ROOT / "harness" / "methods").glob("*.py")}
FOLDERS = [
    folder
    for folder in all_experiments()
    if folder.parents[2].name == "CNNDM" and folder.name.startswith("t5-") and folder.parent.name in STUDY
]
# T5-large, where heads x d_kv is d_model; and prefix tuning on T5-3b, where it is not.
TRIED = [
    folder
    for folder in FOLDERS
    if "t5-large" in folder.name or (folder.parent.name == "prefixtuning" and "3b" in folder.name)
]
# Rows of unequal length, ending as the tokenizer ends them.
SAMPLES = [Sample([5, 6, 7, 8, 9, 10, 11, 1], [12, 13, 14, 1]), Sample([15, 16, 1], [17, 1])]
pytestmark = pytest.mark.filterwarnings("ignore:Unsupported layer type .*T5LayerNorm")


def name(folder):
    return f"{folder.parent.name}/{folder.name}"


@pytest.fixture(params=TRIED, ids=name)
def model(request):
    """A random T5 with the experiment's adapter, moved away from an initialization that changes nothing."""
    torch.manual_seed(0)
    experiment = read_experiment(request.param)
    heads, d_kv = (32, 128) if "3b" in request.param.name else (4, 8)
    base = T5ForConditionalGeneration(T5Config(vocab_size=64, d_model=32, d_kv=d_kv, d_ff=64, num_layers=2, num_heads=heads,
                                               decoder_start_token_id=0, dropout_rate=0.0))  # fmt: skip
    model = attach(base, Adapter.of(experiment), experiment.params, "SEQ_2_SEQ_LM")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def test_a_gradient_reaches_everything_that_is_trained(model):
    inputs = collate(SAMPLES, 0, "target", is_encoder_decoder=True).inputs
    model.train()
    model(**inputs, use_cache=False).loss.backward()
    trained = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained
    assert not [name for name, gradient in trained.items() if gradient is None or not gradient.abs().max() > 0]


def test_the_loss_counts_every_target_token_once_and_no_padding(model):
    model.eval()
    with torch.inference_mode():
        batches = [collate(samples, 0, "target", True) for samples in (SAMPLES, SAMPLES[:1], SAMPLES[1:])]
        both, *alone = [model(**batch.inputs, use_cache=False).loss * batch.counted for batch in batches]
    assert [batch.counted for batch in batches] == [6, 4, 2]
    assert both.item() == pytest.approx(sum(alone).item(), rel=1e-4)


def test_decoding_sees_what_training_saw(model):
    """The logits of generated tokens are those of the training forward pass over the same tokens."""
    model.eval()
    inputs = collate(SAMPLES, 0, "target", is_encoder_decoder=True).inputs
    prompts = {key: inputs[key] for key in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        made = model.generate(**prompts, max_new_tokens=5, min_new_tokens=5, do_sample=False, output_logits=True,
                              return_dict_in_generate=True, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1)  # fmt: skip
        forward = model(**prompts, labels=made.sequences[:, 1:].contiguous(), use_cache=False)
    assert made.sequences[:, 0].tolist() == [0, 0], "the decoder starts with T5's padding token"
    torch.testing.assert_close(torch.stack(made.logits, dim=1), forward.logits, rtol=1e-3, atol=1e-3)
