"""How the embedded causal model is made: a small Llama on arithmetic, stories and fragments of word problems."""

from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from harness.embedded.fingerprints import digest_items, digest_texts
from harness.embedded.llama import corpus
from harness.embedded.llama.blocks import Blocks
from harness.embedded.llama.probe import probe, shortcoming
from harness.embedded.llama.tokenizer import train_tokenizer
from harness.embedded.loop import Course, cosine
from harness.embedded.partition import PARTITIONS
from harness.embedded.text.word_problems import make_problems

__all__ = ["Settings", "digest_data", "make_course", "make_processor", "probe", "shortcoming"]

DIGESTED_DOCUMENTS = 2000
DIGESTED_PROBLEMS = 500


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


def make_processor(settings: Settings) -> PreTrainedTokenizerFast:
    """Return the tokenizer that these settings train on the first documents of the corpus."""
    texts = islice(corpus.documents(settings.seed), settings.tokenizer_documents)
    return train_tokenizer(texts, settings.vocabulary, settings.max_positions)


def make_course(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> Course:
    """Return what is to be trained, on what and how: weight decay on matrices, none on layer norms."""
    model = make_model(settings, tokenizer)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    return Course(
        model=model,
        groups=[{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}],
        stream=Blocks(tokenizer, settings.seed, settings.batch, settings.block),
        loss=lambda model, tokens: model(input_ids=tokens, labels=tokens).loss,
        learning_rate=partial(cosine, settings=settings),
        steps=settings.steps,
    )


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
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    return model


def digest_data(settings: Settings) -> dict:
    """Return the fingerprints of the first documents of the corpus, and of the first problems of each partition."""
    documents = islice(corpus.documents(settings.seed), DIGESTED_DOCUMENTS)
    problems = {part: digest_items(make_problems(part, DIGESTED_PROBLEMS)) for part in PARTITIONS}
    return {
        "corpus": {"documents": DIGESTED_DOCUMENTS, "sha256": digest_texts(documents)},
        "problems": {"count": DIGESTED_PROBLEMS, "sha256": problems},
    }
