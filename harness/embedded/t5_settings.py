"""What decides the weights of the embedded encoder-decoder model: settings, tokenizer, shape, course of training.

Pre-training has two stages. The first teaches to check claims, of one fact, then two, then three, and goes on as soon
as enough of the last claims were right; the second is a fixed number of steps of everything.
"""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast, T5Config

from harness.embedded import t5_corpus
from harness.embedded.tokenizer import make_word_tokenizer


@dataclass(frozen=True)
class Settings:
    """Everything that decides the weights. A step trains `batch` short examples and, later, `long_batch` reports."""

    seed: int = 0
    sentinels: int = 24
    tokenizer_examples: int = 5000
    max_length: int = 512
    width: int = 128
    head_size: int = 32
    heads: int = 4
    feed_forward: int = 512
    feed_forward_kind: str = "relu"
    encoder_layers: int = 3
    decoder_layers: int = 1
    hardest_facts: int = 3
    advance_at: float = 0.9
    memory: float = 0.95
    longest_first_stage: int = 1500
    second_stage: int = 2500
    batch: int = 64
    long_batch: int = 16
    learning_rate: float = 1e-3
    bias_rate_factor: float = 10.0
    warm_up_steps: int = 100
    beta2: float = 0.98
    gradient_norm: float = 1.0


def make_tokenizer(settings: Settings) -> PreTrainedTokenizerFast:
    """Return the tokenizer that knows every word of the corpus."""
    texts = [*"0123456789", *t5_corpus.LABELS]
    for mix in (t5_corpus.SHORT, t5_corpus.LONG):
        for example in t5_corpus.make_examples("tokenizer", mix, 0, settings.tokenizer_examples, prefix_share=0.0):
            texts += [example.source, example.target or ""]
    return make_word_tokenizer(texts, settings.sentinels, settings.max_length)


def make_config(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> T5Config:
    """Return the configuration of a small T5 of the first version: relu layers, tied embeddings, no dropout."""
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=settings.width,
        d_kv=settings.head_size,
        d_ff=settings.feed_forward,
        num_heads=settings.heads,
        num_layers=settings.encoder_layers,
        num_decoder_layers=settings.decoder_layers,
        feed_forward_proj=settings.feed_forward_kind,
        dropout_rate=0.0,
        tie_word_embeddings=True,
        n_positions=settings.max_length,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )


@dataclass
class Progress:
    """Where a run stands: steps done, facts per passage, running accuracy, and the step that began the second part."""

    step: int = 0
    facts: int = 1
    accuracy: float = 0.0
    second_from: int = -1

    def finished(self, settings: Settings) -> bool:
        """Whether no step is left."""
        return self.second_from >= 0 and self.step >= self.second_from + settings.second_stage

    def note(self, right: float, settings: Settings) -> None:
        """Count a step, and in the first stage advance once enough claims were right."""
        self.step += 1
        if self.second_from >= 0:
            return
        self.accuracy = settings.memory * self.accuracy + (1 - settings.memory) * right
        if self.accuracy >= settings.advance_at:
            self.facts, self.accuracy = self.facts + 1, 0.0
        if self.facts > settings.hardest_facts:
            self.second_from = self.step
        elif self.step >= settings.longest_first_stage:
            raise RuntimeError(f"claims about {self.facts} facts were not learned in {self.step} steps")

    def learning_rate(self, settings: Settings) -> float:
        """Return the rate of the next step: warm-up, constant, and in the second stage linearly to zero."""
        rate = settings.learning_rate * min(1.0, (self.step + 1) / settings.warm_up_steps)
        if self.second_from < 0:
            return rate
        return rate * (1 - (self.step - self.second_from) / settings.second_stage)
