"""Make the embedded encoder-decoder model from nothing: tokenizer, pre-training, probe, shipped files.

    python -m harness.embedded.t5_pretrain --output harness/embedded/t5

Takes about seven minutes on one CPU core and depends on nothing but this repository; same machine and libraries, same
weights. `t5_settings` says what the two stages are. A run that was interrupted goes on from its last
checkpoint when started again. Nothing is shipped unless the probe passes.
"""

import argparse
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import GenerationConfig, PreTrainedTokenizerFast, T5ForConditionalGeneration

from harness.embedded import t5_corpus
from harness.embedded.checkpoints import read_checkpoint, write_checkpoint
from harness.embedded.t5_batches import encode
from harness.embedded.t5_fingerprints import write_fingerprints
from harness.embedded.t5_model import make_model
from harness.embedded.t5_probe import Probe, probe
from harness.embedded.t5_settings import Progress, Settings, make_config, make_tokenizer

DEFAULT_OUTPUT = Path(__file__).parent / "t5"
DEFAULT_CHECKPOINT = Path(__file__).parents[2] / "runs" / "embedded-t5" / "checkpoint.pt"

SMALLEST_CLAIM_ACCURACY = 0.85
"""The probe fails below this share of right claims about held-out passages."""


def pretrain(
    settings: Settings,
    tokenizer: PreTrainedTokenizerFast,
    checkpoint: Path,
    checkpoint_every: int = 200,
    stop_after: int | None = None,
) -> T5ForConditionalGeneration:
    """Return the trained model, going on from `checkpoint` where that exists.

    `stop_after` interrupts the run after that step, as a crash would, once its checkpoint is written.
    """
    model = make_model(make_config(settings, tokenizer), settings.seed).train()
    optimizer = make_optimizer(model, settings)
    progress = _load(checkpoint, settings, model, optimizer) if checkpoint.exists() else Progress()
    bar = tqdm(initial=progress.step, unit="step", mininterval=10)
    while not progress.finished(settings):
        for group in optimizer.param_groups:
            group["lr"] = group["factor"] * progress.learning_rate(settings)
        loss, right = _step_losses(model, tokenizer, settings, progress)
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm, error_if_nonfinite=True)
        optimizer.step()
        optimizer.zero_grad()
        progress.note(right, settings)
        bar.update()
        bar.set_postfix(loss=loss, facts=progress.facts, right=f"{progress.accuracy:.2f}", refresh=False)
        if progress.step % checkpoint_every == 0 or progress.step == stop_after or progress.finished(settings):
            _save(checkpoint, settings, progress, model, optimizer)
        if progress.step == stop_after:
            break
    return model.eval()


def _step_losses(
    model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, settings: Settings, progress: Progress
) -> tuple[str, float]:
    """Backpropagate one step's examples; return the losses in words and the share of claims that were right."""
    step, key = progress.step, f"{settings.seed}/{progress.step}"
    if progress.second_from < 0:
        mixes = [({partial(t5_corpus.checking, facts=progress.facts): 1}, settings.batch)]
    else:
        mixes = [(t5_corpus.SHORT, settings.batch), (t5_corpus.LONG, settings.long_batch)]
    losses, right = [], 0.0
    for number, (mix, batch) in enumerate(mixes):
        # Meaningless prefixes would only slow down the first stage.
        prefixes = 0.0 if progress.second_from < 0 else t5_corpus.PREFIX_SHARE
        examples = t5_corpus.make_examples(f"training/{settings.seed}/{number}", mix, step * batch, batch, prefixes)
        encoded = encode(tokenizer, examples, key)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(**encoded)
        output.loss.backward()
        losses.append(output.loss.item())
        claims = torch.tensor([example.target in t5_corpus.CLAIM_ANSWERS for example in examples])
        hits = output.logits[:, 0].argmax(-1) == encoded["labels"][:, 0]
        right = hits[claims].float().mean().item() if claims.any() else right
    return " ".join(f"{loss:.3f}" for loss in losses), right


def make_optimizer(model: T5ForConditionalGeneration, settings: Settings) -> torch.optim.AdamW:
    """Return AdamW in which the relative bias, a few numbers that must move far, learns at a higher rate."""
    bias = [parameter for name, parameter in model.named_parameters() if "relative_attention_bias" in name]
    rest = [parameter for name, parameter in model.named_parameters() if "relative_attention_bias" not in name]
    groups = [{"params": rest, "factor": 1.0}, {"params": bias, "factor": settings.bias_rate_factor}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, settings.beta2), weight_decay=0.0)


def _save(path: Path, settings: Settings, progress: Progress, model, optimizer) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    write_checkpoint(path, settings, progress=asdict(progress), **state)


def _load(path: Path, settings: Settings, model, optimizer) -> Progress:
    """Restore a checkpoint and return its progress; refuse one that other settings made."""
    state = read_checkpoint(path, settings)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])


def ship(
    model: T5ForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    output: Path,
    settings: Settings,
    measured: Probe,
) -> None:
    """Write model (in float16), tokenizer and fingerprints to the folder `output`."""
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    model.half().save_pretrained(output)
    tokenizer.save_pretrained(output)
    for path in output.iterdir():
        path.chmod(0o644)  # safetensors files come readable by their owner only
    write_fingerprints(output, asdict(settings), asdict(measured))


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return 0 when a model was shipped and 1 when the probe rejected it."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.embedded.t5_pretrain",
        description="Pre-train the embedded encoder-decoder model on the CPU and ship it when its probe passes.",
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="folder of the shipped files")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=DEFAULT_CHECKPOINT,
        help="file to resume from, if it exists, and to write on the way (default: in runs/, which git ignores)",
    )
    options = parser.parse_args(arguments)
    settings = Settings()
    tokenizer = make_tokenizer(settings)
    model = pretrain(settings, tokenizer, options.checkpoint)
    # What is probed is what is shipped: float16 weights.
    model = model.half().float()
    measured = probe(model, tokenizer)
    print(", ".join(f"{name} {value:.3f}" for name, value in asdict(measured).items()))
    if measured.claim_accuracy < SMALLEST_CLAIM_ACCURACY:
        wanted = f"claim accuracy of at least {SMALLEST_CLAIM_ACCURACY}"
        print(f"probe failed, nothing shipped; wanted: {wanted}", file=sys.stderr)
        return 1
    ship(model, tokenizer, options.output, settings, measured)
    print(f"shipped to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
