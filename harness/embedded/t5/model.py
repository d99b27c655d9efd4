"""The untrained embedded encoder-decoder model: original T5 layers, with three initializations that let it learn fast.

From T5's own initialization a model of this size does not find out within minutes how to compare a claim with a
passage: claims about two facts stay at chance. It needs abilities that are useless one without the other: to find the
same word elsewhere, to look at that word's neighbours, and to say what it looks at. They are given as a start; all
else is learned.
"""

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration
from transformers.models.t5.modeling_t5 import T5Attention

from harness.embedded.t5.settings import Settings

MATCHING_HEADS = 2
"""How many heads, the first ones, look for the same word; the others look at neighbours."""

NEIGHBOURS = 4
"""How many tokens before and after a token its neighbour heads see at the start."""

FAR = -6.0
"""Relative bias of what a head should not see at the start."""


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


def make_model(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    """Return the untrained model, its initial weights decided by the seed."""
    torch.manual_seed(settings.seed)
    model = T5ForConditionalGeneration(make_config(settings, tokenizer))
    model.generation_config = GenerationConfig(
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    with torch.no_grad():
        for block in model.encoder.block:
            _match_same_words(block.layer[0].SelfAttention)
        for block in model.decoder.block:
            _match_same_words(block.layer[1].EncDecAttention)
            _copy_what_is_seen(block.layer[1].EncDecAttention)
        _look_at_neighbours(model.encoder.block[0].layer[0].SelfAttention)
    return model


def _match_same_words(attention: T5Attention) -> None:
    """Let the matching heads attend to whatever resembles the token itself.

    With k = q * sqrt(d_kv) the score of two equal tokens is sqrt(d_kv) and that of two others is near 0.
    """
    rows = MATCHING_HEADS * attention.key_value_proj_dim
    attention.k.weight[:rows] = attention.q.weight[:rows] * attention.key_value_proj_dim**0.5


def _copy_what_is_seen(attention: T5Attention) -> None:
    """Let a head write what it attends to as it was read (o = v transposed, nearly a projection).

    Output and input embeddings are one, so the decoder then says words that it looks at, and only has to learn where
    to look. In one pair of runs that differed in nothing else, two-fact claims were still at chance after 500 steps
    without it, and with it the whole first stage was over after 462.
    """
    attention.o.weight.copy_(attention.v.weight.T)


def _look_at_neighbours(attention: T5Attention) -> None:
    """Set the relative bias, which all encoder layers share.

    The first half of its buckets are the token itself and those before it, the second half those after it; small
    distances have a bucket each.
    """
    bias = attention.relative_attention_bias.weight
    half = bias.shape[0] // 2
    # The best match of a token is the token itself, and useless.
    bias[:, :MATCHING_HEADS] = 0.0
    bias[0, :MATCHING_HEADS] = FAR
    bias[:, MATCHING_HEADS:] = FAR
    bias[1 : NEIGHBOURS + 1, MATCHING_HEADS::2] = 0.0
    bias[half + 1 : half + NEIGHBOURS + 1, MATCHING_HEADS + 1 :: 2] = 0.0
