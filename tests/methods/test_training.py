"""Training with what a run may switch on: checkpointing, mixed precision, half-precision and packed bases, compilation."""

import bitsandbytes
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from harness.adapter import attach
from harness.adapter_config import Adapter
from harness.experiment import ROOT, read_experiment
from harness.models import prepare_base_model, quantization_config
from tests.methods.conftest import METHODS, TASK_TYPES, attached, inputs, logits, move, tiny_model

every_method = pytest.mark.parametrize("method", METHODS)
PARAMS = read_experiment(ROOT / "method_comparison/MetaMathQA/experiments/lora/embedded-llama-rank8").params


def gradients(model, kind):
    model.train()
    model.zero_grad()
    loss = model(**inputs(kind), use_cache=False).loss
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.requires_grad}


@every_method
def test_checkpointing_gives_the_same_gradients(method, kind):
    model = attached(method, kind)
    plain = gradients(model, kind)
    model.get_base_model().gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    checkpointed = gradients(model, kind)
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, msg=name)


@every_method
def test_mixed_precision_trains_float32_parts_to_nearly_the_same_gradients(method, kind):
    model = attached(method, kind)
    plain = gradients(model, kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = gradients(model, kind)
    assert {gradient.dtype for gradient in mixed.values()} == {torch.float32}
    both = [torch.cat([gradient.flatten() for gradient in found.values()]) for found in (plain, mixed)]
    assert torch.nn.functional.cosine_similarity(*both, dim=0) > 0.98


@every_method
@pytest.mark.parametrize("in_float32", [True, False])
def test_on_a_bfloat16_base_parts_have_the_dtype_that_was_asked_for(method, in_float32, kind):
    base = tiny_model(kind, dtype=torch.bfloat16)
    params = PARAMS.model_copy(update={"dtype": "bfloat16", "autocast_adapter_dtype": in_float32})
    torch.manual_seed(0)
    model = move(attach(base, Adapter({"peft_type": method}, "test", PARAMS), params, TASK_TYPES[kind]))
    trained = {parameter.dtype for parameter in model.parameters() if parameter.requires_grad}
    assert trained == {torch.float32 if in_float32 else torch.bfloat16}
    assert all(gradient.isfinite().all() for gradient in gradients(model, kind).values())
    answers, plain = logits(model.eval(), kind), logits(attached(method, kind), kind)
    assert answers.dtype == torch.bfloat16
    if in_float32:  # else other random numbers moved it
        assert torch.nn.functional.cosine_similarity(answers.float().flatten(), plain.flatten(), dim=0) > 0.99


@every_method
def test_peft_alone_trains_in_float32_on_a_bfloat16_base(method, kind):
    model = attached(method, kind, tiny_model(kind, dtype=torch.bfloat16), moved=False)
    assert {parameter.dtype for parameter in model.parameters() if parameter.requires_grad} == {torch.float32}


def unpacked(packed, kind):
    """A plain model of the numbers that the packed weights stand for."""
    plain = tiny_model(kind)
    for name, module in packed.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(module, bitsandbytes.nn.Linear4bit):
            whole = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)
        elif isinstance(module, bitsandbytes.nn.Linear8bitLt):
            whole = bitsandbytes.functional.int8_vectorwise_dequant(weight.data, weight.SCB)
        else:
            continue
        plain.get_submodule(name).weight.data = whole.float()
    return plain


@every_method
@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_a_packed_base_trains_and_answers_as_the_numbers_do_that_it_stands_for(method, dtype, kind, tmp_path):
    tiny_model(kind).save_pretrained(tmp_path)
    loader = AutoModelForCausalLM if kind == "llama" else AutoModelForSeq2SeqLM
    packed = loader.from_pretrained(tmp_path, quantization_config=quantization_config(dtype), dtype=torch.float32)
    plain = unpacked(packed, kind)
    params = PARAMS.model_copy(update={"dtype": dtype, "gradient_checkpointing": True})
    packed = prepare_base_model(packed, params, torch.device("cpu"))
    torch.manual_seed(0)
    model = move(attach(packed, Adapter({"peft_type": method}, "test", PARAMS), params, TASK_TYPES[kind]))
    found = gradients(model, kind)
    assert all(gradient.isfinite().all() and gradient.abs().max() > 0 for gradient in found.values())
    expected = logits(attached(method, kind, plain), kind).flatten()
    assert torch.nn.functional.cosine_similarity(logits(model.eval(), kind).flatten(), expected, dim=0) > 0.98


@pytest.mark.slow
@pytest.mark.parametrize("method", ["COMPACTER", "MAM", "UNIPELT"])
def test_a_compiled_step_is_one_graph_with_the_same_loss(method, kind):
    model = attached(method, kind)
    model.train()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    given = inputs(kind)
    plain = gradients(model, kind)
    model.zero_grad()
    loss = compiled(**given, use_cache=False).loss
    loss.backward()
    assert loss.item() == pytest.approx(model(**given, use_cache=False).loss.item(), rel=1e-4)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, plain[name], rtol=1e-3, atol=1e-4, msg=name)
