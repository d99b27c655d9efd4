"""Make the embedded causal model from nothing: tokenizer, pre-training, probe, shipped files.

    python -m harness.embedded.pretrain --output harness/embedded/llama

Takes about 20 minutes on two CPU cores and depends on nothing but this repository. The number of steps is fixed, never
the time, so the same machine and library versions give the same weights. A run that was interrupted goes on from its
last checkpoint when started again. Nothing is shipped unless the probe passes.
"""

import argparse
import math
import sys
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import torch
from tqdm import tqdm
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from harness.embedded import corpus
from harness.embedded.blocks import Blocks
from harness.embedded.checkpoints import read_checkpoint, write_checkpoint
from harness.embedded.fingerprints import write_fingerprints
from harness.embedded.probe import Probe, probe
from harness.embedded.tokenizer import train_tokenizer

DEFAULT_OUTPUT = Path(__file__).parent / "llama"
DEFAULT_CHECKPOINT = Path(__file__).parents[2] / "runs" / "embedded-llama" / "checkpoint.pt"

LARGEST_LOSS = 1.3
SMALLEST_ACCURACY = 0.7
"""The probe fails above this held-out loss (nats per token) or below this share of right sums."""


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights. Lengths are in tokens; a step trains `batch` blocks of `block` tokens."""

    seed: int = 0
    vocabulary: int = 1024
    tokenizer_documents: int = 20_000
    hidden: int = 192
    layers: int = 4
    heads: int = 6
    key_value_heads: int = 2
    head_size: int = 32
    feed_forward: int = 512
    max_positions: int = 1024
    steps: int = 3200
    batch: int = 16
    block: int = 256
    learning_rate: float = 2.5e-3
    final_learning_rate: float = 1e-4
    warm_up_steps: int = 100
    beta2: float = 0.98
    weight_decay: float = 0.05
    gradient_norm: float = 1.0


def make_tokenizer(settings: Settings) -> PreTrainedTokenizerFast:
    """Return the tokenizer that these settings train on the first documents of the corpus."""
    texts = islice(corpus.documents(settings.seed), settings.tokenizer_documents)
    return train_tokenizer(texts, settings.vocabulary, settings.max_positions)


def make_model(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return the untrained model, its initial weights decided by the seed."""
    torch.manual_seed(settings.seed)
    config = LlamaConfig(
        vocab_size=settings.vocabulary,
        hidden_size=settings.hidden,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        num_key_value_heads=settings.key_value_heads,
        head_dim=settings.head_size,
        intermediate_size=settings.feed_forward,
        max_position_embeddings=settings.max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)


def learning_rate(step: int, settings: Settings) -> float:
    """Return the rate of a step counted from 0: linear warm-up, then half a cosine to the final rate."""
    if step < settings.warm_up_steps:
        return settings.learning_rate * (step + 1) / settings.warm_up_steps
    done = (step - settings.warm_up_steps) / max(1, settings.steps - settings.warm_up_steps)
    span = settings.learning_rate - settings.final_learning_rate
    return settings.final_learning_rate + span * (1 + math.cos(math.pi * done)) / 2


def pretrain(
    settings: Settings,
    tokenizer: PreTrainedTokenizerFast,
    checkpoint: Path,
    checkpoint_every: int = 200,
    stop_after: int | None = None,
) -> LlamaForCausalLM:
    """Return the trained model, going on from `checkpoint` where that exists.

    `stop_after` interrupts the run after that step, as a crash would, once its checkpoint is written.
    """
    model = make_model(settings, tokenizer).train()
    optimizer = make_optimizer(model, settings)
    blocks = Blocks(tokenizer, settings.seed, settings.block)
    first = _load(checkpoint, settings, model, optimizer, blocks) if checkpoint.exists() else 0
    progress = tqdm(range(first, settings.steps), initial=first, total=settings.steps, unit="step", mininterval=5)
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        tokens = blocks.take(settings.batch)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_norm, error_if_nonfinite=True)
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0:
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        done = step + 1
        if done % checkpoint_every == 0 or done in (stop_after, settings.steps):
            _save(checkpoint, settings, done, model, optimizer, blocks)
        if done == stop_after:
            break
    return model.eval()


def make_optimizer(model: LlamaForCausalLM, settings: Settings) -> torch.optim.AdamW:
    """Return AdamW with weight decay on matrices and none on the layer norms."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, settings.beta2), eps=1e-8)


def _save(path: Path, settings: Settings, step: int, model, optimizer, blocks: Blocks) -> None:
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    write_checkpoint(path, settings, step=step, blocks=blocks.state(), **state)


def _load(path: Path, settings: Settings, model, optimizer, blocks: Blocks) -> int:
    """Restore a checkpoint and return the number of steps done; refuse one that other settings made."""
    state = read_checkpoint(path, settings)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    blocks.restore(state["blocks"])
    return state["step"]


def ship(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, output: Path, settings: Settings, measured: Probe
) -> None:
    """Write model (in float16), tokenizer and fingerprints to the folder `output`."""
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.half().save_pretrained(output)
    tokenizer.save_pretrained(output)
    for path in output.iterdir():
        path.chmod(0o644)  # safetensors files come readable by their owner only
    write_fingerprints(output, asdict(settings), asdict(measured))


def main(arguments: list[str] | None = None) -> int:
    """Run the script; return 0 when a model was shipped and 1 when the probe rejected it."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.embedded.pretrain",
        description="Pre-train the embedded causal model on the CPU and ship it when its probe passes.",
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
    print(f"held-out loss {measured.held_out_loss:.3f}, sums right {measured.arithmetic_accuracy:.1%}")
    if measured.held_out_loss > LARGEST_LOSS or measured.arithmetic_accuracy < SMALLEST_ACCURACY:
        limits = f"loss at most {LARGEST_LOSS}, accuracy at least {SMALLEST_ACCURACY:.0%}"
        print(f"probe failed, nothing shipped; wanted: {limits}", file=sys.stderr)
        return 1
    ship(model, tokenizer, options.output, settings, measured)
    print(f"shipped to {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
