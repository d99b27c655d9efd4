"""Quantized bases, float16 with its scaler, and the dtype of what is trained."""

import functools
import math

import pytest
import torch
from conftest import LORA
from peft import PeftModel

import run
from harness import optimizers
from harness.merging import without_adapter
from harness.text.encoding import IGNORED

LONGER = ["--set", "max_steps=24", "--set", "eval_steps=8", "--set", "batch_size=8"]


@pytest.fixture
def seen(monkeypatch):
    """The model of the last run, as it was when training ended."""
    runs = []
    save = run.save

    def kept(record, mode, model, head):
        runs.append(model)
        save(record, mode, model, head)

    monkeypatch.setattr(run, "save", kept)
    return runs


def trained_dtypes(model):
    return {parameter.dtype for parameter in model.parameters() if parameter.requires_grad}


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_quantized_base_trains_saves_and_loads(run_main, seen, dtype):
    outcome = run_main(LORA, *LONGER, "--set", f"dtype={dtype}")
    assert outcome.code == 0
    assert outcome.losses[2] < outcome.losses[0]
    model = seen[0]
    layers = {type(module).__name__ for module in model.modules()}
    assert {"int8": "Linear8bitLt", "int4": "Linear4bit"}[dtype] in layers
    if dtype == "int4":
        state = next(p.quant_state for p in model.parameters() if type(p).__name__ == "Params4bit")
        assert (state.quant_type, state.nested) == ("nf4", True)
    assert trained_dtypes(model) == {torch.float32}
    trainable, total = (outcome.json["train_info"][f"num_{kind}_params"] for kind in ("trainable", "total"))
    assert (trainable, total) == (108_544, 1_879_744), "packed weights count as many as they stand for"

    base = without_adapter(model)
    del base.peft_config  # else PEFT warns of a second adapter
    if dtype == "int4":  # int8 also multiplies in few bits, and how exactly depends on the processor
        base = base.dequantize().float()
    loaded = PeftModel.from_pretrained(base, outcome.folder / "adapter")
    ids = torch.arange(5, 40)[None]
    with torch.inference_mode():
        trained, complete = model.eval()(ids).logits, loaded(ids).logits
        with loaded.disable_adapter():
            effect = (complete - loaded(ids).logits).abs().mean()
        for name, weight in loaded.named_parameters():
            if "q_proj.lora_B" in name:
                weight.zero_()
        incomplete = loaded(ids).logits
    assert (complete - trained).abs().mean() < 0.1 * effect, "the saved adapter does what the trained one does"
    assert (incomplete - trained).abs().mean() > 0.1 * effect, "the bound notices that a part is missing"


def test_eight_bit_optimizer(run_main):
    outcome = run_main(LORA, *LONGER, "--set", "optimizer_type=AdamW8bit", "--set", "optimizer_kwargs.lr=1e-3")
    assert outcome.code == 0
    assert outcome.losses[2] < outcome.losses[0]


@pytest.mark.parametrize("name", ["PagedAdamW8bit", "PagedAdamW"])
def test_a_paged_optimizer_needs_a_gpu_and_says_so(run_main, capsys, name):
    assert run_main(LORA, "--set", f"optimizer_type={name}", "--set", "optimizer_kwargs.lr=1e-3").code == 2
    expected = f"optimizer_type: {name} needs a CUDA or XPU device, not cpu; use {name.removeprefix('Paged')}"
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"dtype": "bfloat16"}, torch.float32),
        ({"dtype": "bfloat16", "autocast_adapter_dtype": "false"}, torch.bfloat16),
        ({"dtype": "float16", "use_amp": "true"}, torch.float32),
        ({"dtype": "float32", "use_amp": "true"}, torch.float32),
    ],
)
def test_dtype_of_what_is_trained(run_main, seen, settings, expected):
    outcome = run_main(LORA, *[word for key, value in settings.items() for word in ("--set", f"{key}={value}")])
    assert outcome.code == 0
    assert trained_dtypes(seen[0]) == {expected}
    frozen = {p.dtype for p in seen[0].parameters() if not p.requires_grad}
    assert frozen == {getattr(torch, settings["dtype"])}
    assert all(math.isfinite(loss) for loss in outcome.losses)


@pytest.mark.slow
def test_float16_overflow_is_skipped_and_counted(run_main, monkeypatch):
    """Scaled far too high, gradients overflow in float16: those steps must change nothing and be counted."""
    monkeypatch.setattr(torch.amp, "GradScaler", functools.partial(torch.amp.GradScaler, init_scale=2.0**22))
    observed = []
    optimizer_step = optimizers.step

    def watched(scaler, optimizer):
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        before = [weight.detach().clone() for weight in weights]
        overflowed = any(not weight.grad.isfinite().all() for weight in weights)
        stepped = optimizer_step(scaler, optimizer)
        changed = any(not torch.equal(a, b) for a, b in zip(before, weights, strict=True))
        observed.append((overflowed, stepped, changed))
        return stepped

    monkeypatch.setattr(optimizers, "step", watched)
    # float16 is slow on a CPU
    short = ["--set", "max_steps=12", "--set", "eval_steps=4", "--set", "batch_size=2"]
    outcome = run_main(LORA, *short, "--set", "dtype=float16", "--set", "use_amp=true", "--set", "warmup_ratio=0")
    assert outcome.code == 0
    assert set(observed) == {(True, False, False), (False, True, True)}
    assert observed[0][0]
    assert outcome.json["speed"]["skipped_steps"] == sum(overflowed for overflowed, *_ in observed)
    assert outcome.losses[2] < outcome.losses[0]


def test_ignored_labels_are_what_transformers_ignores():
    from transformers.loss.loss_utils import ForCausalLMLoss

    logits = torch.randn(1, 4, 7)
    labels = torch.tensor([[IGNORED, 2, IGNORED, 3]])
    expected = torch.nn.functional.cross_entropy(logits[0, [0, 2]], torch.tensor([2, 3]))
    assert torch.allclose(ForCausalLMLoss(logits, labels, vocab_size=7), expected)
