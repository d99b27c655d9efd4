"""Greedy decoding of one batch that stops paying for answers that have ended.

transformers' own loop carries a row along until the last row of its batch has ended. Answers differ in length, and a
model that was badly tuned may never end some of them, so here the rows that have ended leave the batch on the way.
`generate` calls this loop in place of its own, and does everything around it as ever: cache, encoder, virtual tokens.
"""

from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel

CHECK_EVERY = 4  # tokens between two looks at which rows have ended: on an accelerator, each waits for the device
LEAVE_AT = 0.75  # rows leave when at most this share of them goes on: every departure copies the cache of those left


def decode_greedily(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    logits_processor: LogitsProcessorList,
    generation_config: GenerationConfig,
    **model_kwargs: Any,
) -> torch.Tensor:
    """The most likely next token, again and again; a value for the argument `custom_generate` of `generate`.

    Args:
        model: the model, as `generate` prepared it.
        input_ids: (rows, tokens) that the answer follows.
        logits_processor: changes the scores, for example by a repetition penalty.
        generation_config: says how long an answer may be, and which tokens end one.
        model_kwargs: what `generate` prepared for the model's forward pass.

    Returns:
        (rows, at most max_new_tokens) new tokens. What follows a row's first end token means nothing.
    """
    ends = torch.tensor(generation_config.eos_token_id, device=input_ids.device)
    answers = input_ids.new_zeros(len(input_ids), generation_config.max_new_tokens)
    rows = torch.arange(len(input_ids), device=input_ids.device)  # which answer each row of the batch belongs to
    ended = torch.zeros_like(rows, dtype=torch.bool)
    outputs = model._prefill(input_ids, generation_config, model_kwargs)
    for position in range(generation_config.max_new_tokens):
        if position > 0:
            inputs = model.prepare_inputs_for_generation(input_ids, next_sequence_length=1, **model_kwargs)
            outputs = model(**inputs, return_dict=True)
        model_kwargs = model._update_model_kwargs_for_generation(
            outputs, model_kwargs, is_encoder_decoder=model.config.is_encoder_decoder
        )
        tokens = logits_processor(input_ids, outputs.logits[:, -1].float()).argmax(-1)
        answers[rows, position] = tokens
        input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
        ended |= torch.isin(tokens, ends)
        if (position + 1) % CHECK_EVERY == 0:
            going = torch.nonzero(~ended).flatten()
            if len(going) == 0:
                return answers[:, : position + 1]
            if len(going) <= LEAVE_AT * len(rows):
                model_kwargs = _only(going, model_kwargs, len(rows))
                input_ids, rows, ended = input_ids[going], rows[going], ended[going]
    return answers


def _only(going: torch.Tensor, model_kwargs: dict[str, Any], rows: int) -> dict[str, Any]:
    """The arguments of the forward pass for some of the rows: cache, masks, positions and encoder outputs."""
    model_kwargs["past_key_values"].batch_select_indices(going)
    kept = {}
    for name, value in model_kwargs.items():
        if isinstance(value, torch.Tensor) and value.dim() > 0 and len(value) == rows:
            kept[name] = value[going]
        elif name == "encoder_outputs":
            kept[name] = type(value)(last_hidden_state=value.last_hidden_state[going])
        else:
            kept[name] = value
    return kept
