"""FLUX.2 models: latents of an autoencoder, conditioned on a prompt that a language model has read.

How latents are laid out, prompts read and timesteps shifted is diffusers' pipeline's to know. Training needs neither
the language model, dropped when all prompts are read, nor the autoencoder, which waits on the CPU.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from PIL import Image, ImageOps
from torch import nn
from tqdm import tqdm
from transformers import AutoTokenizer, Qwen3ForCausalLM

from harness.architecture import DenoiserConfig
from harness.errors import UserError, one_line
from harness.images.denoising import Denoising, file_of, generator_of
from harness.images.pictures import picture_of
from harness.images.similarity import similarities
from harness.params import TrainingParams
from harness.task import Row, Splits, Task

SCALE = 16  # pixels a side that one position of the latents stands for
PROMPT_TOKENS = 512  # to which the pipeline fills every prompt


class Flux2(Denoising):
    """Latents, conditioned on the embeddings of a prompt's tokens."""

    unit = "1 less the cosine of DINOv2's embeddings"
    unrelated = "pictures of prompts that training has nothing to do with, from the same noise"

    def __init__(self, config: DenoiserConfig, params: TrainingParams, *more: Any, **how: bool) -> None:
        super().__init__(config, params, *more, **how)
        side = self.sampling.side
        if side % SCALE:
            raise UserError(f"sampling.side: expected a multiple of {SCALE}, got {side}")
        self.shape = (config.values["in_channels"], side // SCALE, side // SCALE)
        self._width, self._read = config.values["joint_attention_dim"], {}
        self._device = torch.device("cpu")

    @classmethod
    def load(
        cls, config: DenoiserConfig, params: TrainingParams, labels: Sequence[str], name: str, pinned: dict
    ) -> "Flux2":
        scheduler = FlowMatchEulerDiscreteScheduler.from_pretrained(name, subfolder="scheduler", **pinned)
        made = cls(config, params, labels, scheduler, hollow=False)
        made._name, made._pinned = name, pinned
        vae = AutoencoderKLFlux2.from_pretrained(
            name, subfolder="vae", use_safetensors=True, dtype=torch.float32, **pinned
        )
        made._pipeline = Flux2KleinPipeline(scheduler, vae.eval().requires_grad_(False), None, None, None)
        return made

    @classmethod
    def random_scheduler(cls) -> FlowMatchEulerDiscreteScheduler:
        return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)

    def read_ahead(self, task: Task, splits: Splits, base: nn.Module) -> None:
        """Reads all prompts; the base model makes room on the device meanwhile."""
        rows = [*splits.train, *splits.valid, *splits.test]
        for row in rows:
            picture_of(row, "RGB")  # a file that is no picture is told before anything is computed
        self._device, self._unrelated = base.device, task.unrelated
        base.to("cpu")
        tokenizer = self._tokenizer()
        reader = Qwen3ForCausalLM.from_pretrained(
            self._name, subfolder="text_encoder", dtype=self.dtype, use_safetensors=True, **self._pinned
        ).to(self._device)
        prompts = dict.fromkeys([*(row.prompt for row in rows), *task.unrelated, ""])
        for prompt in tqdm(prompts, desc="reading prompts", unit="prompt", leave=False, dynamic_ncols=True):
            with torch.inference_mode():
                found = Flux2KleinPipeline._get_qwen3_prompt_embeds(
                    reader, tokenizer, prompt, max_sequence_length=PROMPT_TOKENS
                )
            self._read[prompt] = found[0].to("cpu", copy=True)
        del reader
        base.to(self._device)

    def _tokenizer(self) -> Any:
        try:
            return AutoTokenizer.from_pretrained(
                self._name, subfolder="tokenizer", trust_remote_code=False, **self._pinned
            )
        except ValueError as error:  # how transformers says that files are missing
            raise UserError(f"model {self._name}: its tokenizer cannot be loaded ({one_line(error)[:100]}); "
                            "use a revision that has one") from None  # fmt: skip

    def sample_of(self, row: Row) -> torch.Tensor:
        if self.hollow:
            return torch.randn(self.shape, generator=generator_of(row.source))
        side = self.sampling.side
        picture = ImageOps.fit(picture_of(row, "RGB"), (side, side), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(numpy.asarray(picture, dtype=numpy.float32)).permute(2, 0, 1)[None] / 127.5 - 1
        with self._autoencoder() as pipeline, torch.no_grad():
            return pipeline._encode_vae_image(pixels.to(self._device), None)[0].cpu()

    def condition_of(self, row: Row) -> torch.Tensor:
        return torch.zeros(PROMPT_TOKENS, self._width, dtype=self.dtype) if self.hollow else self._read[row.prompt]

    def unrelated_conditions(self) -> list[torch.Tensor]:
        return [self._read[prompt] for prompt in self._unrelated]

    def no_condition(self) -> torch.Tensor:
        return torch.zeros(PROMPT_TOKENS, self._width, dtype=self.dtype) if self.hollow else self._read[""]

    def velocity(
        self, model: nn.Module, sample: torch.Tensor, timestep: torch.Tensor, condition: torch.Tensor
    ) -> torch.Tensor:
        places = Flux2KleinPipeline._prepare_latent_ids(sample[:1]).to(sample.device)
        words = Flux2KleinPipeline._prepare_text_ids(condition[:1]).to(sample.device)
        packed = model(
            hidden_states=Flux2KleinPipeline._pack_latents(sample.to(self.dtype)),
            timestep=timestep / 1000,
            encoder_hidden_states=condition.to(self.dtype),
            img_ids=places,
            txt_ids=words,
            return_dict=False,
        )[0]
        return packed.transpose(1, 2).reshape(sample.shape).float()

    def schedule(self) -> dict[str, Any]:
        steps = self.sampling.steps
        shift = compute_empirical_mu(self.shape[1] * self.shape[2], steps)
        return {"mu": shift, "sigmas": numpy.linspace(1.0, 1 / steps, steps)}

    def pictures(self, samples: torch.Tensor) -> list[Image.Image]:
        with self._autoencoder() as pipeline, torch.no_grad():
            vae, norm = pipeline.vae, pipeline.vae.bn
            spread = torch.sqrt(norm.running_var + vae.config.batch_norm_eps).view(1, -1, 1, 1)
            latents = Flux2KleinPipeline._unpatchify_latents(samples * spread + norm.running_mean.view(1, -1, 1, 1))
            return [
                picture
                for one in latents.split(1)  # one after the other, since the autoencoder takes more than the denoiser
                for picture in pipeline.image_processor.postprocess(vae.decode(one, return_dict=False)[0])
            ]

    def distances(self, before: Sequence[Image.Image], after: Sequence[Image.Image]) -> list[float]:
        contents = [[file_of(picture) for picture in pictures] for pictures in (before, after)]
        return [1 - alike for alike in similarities(*contents)]

    @contextmanager
    def _autoencoder(self) -> Iterator[Flux2KleinPipeline]:
        """The pipeline's parts around the denoiser, on the device inside the block only."""
        self._pipeline.vae.to(self._device)
        try:
            yield self._pipeline
        finally:
            self._pipeline.vae.to("cpu")
