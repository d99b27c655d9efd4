"""What decides the weights of the embedded encoder-decoder model."""

from dataclasses import dataclass


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
