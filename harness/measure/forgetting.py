"""Forgetting: how much worse a causal model predicts ordinary text after fine-tuning than before.

The text has nothing to do with the task: the first paragraphs of a pinned WikiText-2 test split for models of the hub,
and for all others the held-out documents of the embedded model's pre-training. An encoder-decoder model such as T5
was never trained to continue text, so that its loss would say nothing; there forgetting is null.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from harness.params import TrainingParams
from harness.result.schema import TokenLoss
from harness.task import HubDataset, load_hub_split
from harness.text.encoding import IGNORED

WIKITEXT = HubDataset("Salesforce/wikitext", "b08601e04326c79dfdd32d625aee71d232d685c3", "wikitext-2-raw-v1")
PARAGRAPHS = 100
SHORTEST = 200  # characters; what is shorter are titles and fragments
MAX_TOKENS = 256
BATCH_ROWS = 4  # few, since the logits of a large vocabulary take more memory than a training step would


def held_out_texts(params: TrainingParams) -> list[str]:
    """PARAGRAPHS texts that a model of these parameters is not trained on.

    Raises:
        UserError: the hub refuses or fails.
    """
    if not params.is_hub_model:
        from harness.embedded.llama.corpus import held_out_documents

        return held_out_documents(PARAGRAPHS)
    texts = (row["text"].strip() for row in load_hub_split(WIKITEXT, "test"))
    return list(islice((text for text in texts if len(text) >= SHORTEST), PARAGRAPHS))


def text_source(params: TrainingParams) -> str:
    """Where the texts come from, for the result."""
    if not params.is_hub_model:
        return "held-out documents of the embedded model's pre-training"
    return f"{WIKITEXT.repo_id} {WIKITEXT.config} at {WIKITEXT.revision}, test"


@torch.inference_mode()
def token_loss(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    batch_rows: int = BATCH_ROWS,
    max_tokens: int | None = MAX_TOKENS,
) -> TokenLoss:
    """Mean next-token loss in nats; each token is predicted from those before it, the first of a text not at all.

    Args:
        model: causal, in evaluation mode; with or without adapter.
        tokenizer: the model's.
        texts: the first `max_tokens` tokens of each count.
        batch_rows: texts in a forward pass.
    """
    device = next(model.parameters()).device
    cut = {"truncation": max_tokens is not None, "max_length": max_tokens}
    texts, total, counted = sorted(texts, key=len), 0.0, 0
    for first in range(0, len(texts), batch_rows):
        part = list(texts[first : first + batch_rows])
        encoded = tokenizer(part, padding=True, padding_side="right", return_tensors="pt", **cut).to(device)
        ids, mask = encoded.input_ids, encoded.attention_mask
        labels = ids.masked_fill(mask == 0, IGNORED)[:, 1:]
        # Prompt tuning puts logits of its virtual tokens in front of those of the text.
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, -ids.shape[1] : -1]
        total += cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="sum").item()
        counted += int((labels != IGNORED).sum())
    return TokenLoss(loss=total / counted, tokens=counted)
