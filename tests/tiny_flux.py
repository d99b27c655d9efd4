"""A tiny FLUX.2 pipeline, a tiny DINOv2 and a few pictures: the classes, files and folders of the real repositories."""

import io
import json
import tempfile
from pathlib import Path

import datasets
import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2Transformer2DModel
from hub import Repo, parquet_repo
from PIL import Image
from transformers import Dinov2Config, Dinov2Model, Qwen3Config, Qwen3ForCausalLM

from harness.architecture import EMBEDDED
from harness.images import similarity

TEMPLATE = (
    "{% for message in messages %}<|user|>{{ message.content }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% if enable_thinking %}hm{% endif %}{% endif %}"
)
SHAPE = {"num_attention_heads": 2, "attention_head_dim": 32, "num_layers": 1, "num_single_layers": 2}


def parts() -> dict[str, torch.nn.Module]:
    """The pipeline's models by their subfolders, with random weights."""
    torch.manual_seed(0)
    transformer = Flux2Transformer2DModel(
        in_channels=16, joint_attention_dim=48, guidance_embeds=False, axes_dims_rope=(8, 8, 8, 8), **SHAPE
    )
    vae = AutoencoderKLFlux2(block_out_channels=(8, 8, 8, 8), up_block_types=("UpDecoderBlock2D",) * 4,
                             latent_channels=4, layers_per_block=1, norm_num_groups=4)  # fmt: skip
    vae.bn.running_mean.uniform_(-0.2, 0.2)
    vae.bn.running_var.uniform_(0.5, 2)
    reader = Qwen3ForCausalLM(Qwen3Config(  # its layers 9, 18 and 27 are what a prompt is read by
        vocab_size=1100, hidden_size=16, intermediate_size=16, num_hidden_layers=27, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    ))  # fmt: skip
    return {"transformer": transformer.eval(), "vae": vae.eval(), "text_encoder": reader.eval()}


def write_pipeline(folder: Path) -> None:
    """All files of the repository."""
    for name, model in parts().items():
        model.save_pretrained(folder / name)
    FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True).save_pretrained(folder / "scheduler")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "tokenizer.json").write_bytes((EMBEDDED / "llama" / "tokenizer.json").read_bytes())
    known = json.loads((EMBEDDED / "llama" / "tokenizer_config.json").read_text())
    tokens = {"pad_token": known["eos_token"], "eos_token": known["eos_token"]}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE, "model_max_length": 512} | tokens
        )
    )
    classes = {"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"], "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
               "transformer": ["diffusers", "Flux2Transformer2DModel"], "vae": ["diffusers", "AutoencoderKLFlux2"],
               "text_encoder": ["transformers", "Qwen3ForCausalLM"]}  # fmt: skip
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "Flux2KleinPipeline", "is_distilled": False} | classes)
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pipeline_repo(name: str, revision: str, without: str = "") -> Repo:
    """The repository of the base model."""
    with tempfile.TemporaryDirectory() as folder:
        write_pipeline(Path(folder))
        files = files_of(Path(folder))
    files.pop(without, None)
    return Repo("models", name, revision, files)


def dino_repo() -> Repo:
    """The repository of the model that says how alike pictures are."""
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=224, patch_size=56)
    with tempfile.TemporaryDirectory() as folder:
        Dinov2Model(config).save_pretrained(folder)
        files = files_of(Path(folder))
    files["preprocessor_config.json"] = json.dumps(
        {"crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True,
         "do_rescale": True, "do_resize": True, "image_mean": [0.485, 0.456, 0.406], "image_processor_type": "BitImageProcessor",
         "image_std": [0.229, 0.224, 0.225], "resample": 3, "rescale_factor": 1 / 255, "size": {"shortest_edge": 256}}
    ).encode()  # fmt: skip
    return Repo("models", similarity.MODEL, similarity.REVISION, files)


def photograph(number: int) -> bytes:
    """Colored noise in the formats and sizes that photographs come in."""
    generator = torch.Generator().manual_seed(number)
    size = (90 + number, 80)
    picture = Image.frombytes(
        "RGB", size, bytes(torch.randint(256, (3 * size[0] * size[1],), generator=generator).tolist())
    )
    written = io.BytesIO()
    picture.save(written, "PNG" if number % 2 else "JPEG")
    return written.getvalue()


def pictures_repo(name: str, revision: str, count: int, broken: bool = False) -> Repo:
    """The dataset: one column of pictures."""
    contents = [b"no picture" + bytes([number]) if broken else photograph(number) for number in range(count)]
    items = [{"bytes": content, "path": f"{number}.jpg"} for number, content in enumerate(contents)]
    shard = datasets.Dataset.from_dict({"image": items}).cast(datasets.Features({"image": datasets.Image()}))
    return parquet_repo(name, revision, {"default": {"train": [shard]}})
