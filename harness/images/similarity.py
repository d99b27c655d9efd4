"""How alike two pictures are: the cosine of DINOv2's embeddings (arXiv 2304.07193), of the whole picture."""

import functools
import io
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

from harness.hub import hub_errors

MODEL, REVISION = "facebook/dinov2-base", "f9e44c814b77203eaa57a6bdbbd535f21ede1415"


def similarities(pictures: Sequence[bytes], others: Sequence[bytes]) -> list[float]:
    """From -1 to 1, of the first picture of both sequences, of the second, and so on; contents of files.

    Raises:
        UserError: the model cannot be had from the hub.
    """
    one, other = (_embeddings([Image.open(io.BytesIO(content)) for content in side]) for side in (pictures, others))
    return torch.nn.functional.cosine_similarity(one, other).tolist()


def _embeddings(pictures: Sequence[Image.Image]) -> torch.Tensor:
    processor, model = _loaded()
    found = []
    for picture in pictures:  # on the CPU, where they are few, so that no GPU holds a model beside the trained one
        given = processor([picture.convert("RGB")], return_tensors="pt")
        with torch.inference_mode():
            found.append(model(**given).pooler_output.float())
    return torch.cat(found)


@functools.cache
def _loaded() -> tuple[Any, torch.nn.Module]:
    with hub_errors(MODEL, REVISION, "model"):
        processor = AutoImageProcessor.from_pretrained(
            MODEL, revision=REVISION, backend="pil", trust_remote_code=False
        )
        model = AutoModel.from_pretrained(
            MODEL, revision=REVISION, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    return processor, model.eval()
