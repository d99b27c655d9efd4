"""Make a base model that ships with the project from nothing: tokenizer, pre-training, probe, files.

    python -m harness.embedded.pretrain llama     # about 20 minutes on two CPU cores
    python -m harness.embedded.pretrain t5        # about 7 minutes on one
    python -m harness.embedded.pretrain vit       # about 6 minutes on one
    python -m harness.embedded.pretrain dit       # about 4 minutes on one

Depends on nothing but this repository; the number of steps never depends on the time, so that the same machine and
library versions give the same weights. A run that was interrupted goes on from its last checkpoint when started again.
Nothing is shipped unless the probe passes.

Each model has a folder: its weights, and a recipe.py that makes them. A recipe has

- Settings, a dataclass of everything that decides the weights;
- make_processor(settings), the tokenizer, image processor or scheduler that is saved beside the model;
- make_course(settings, processor), what loop.py trains, a model of transformers or diffusers;
- probe(model, processor), a dataclass of what the model can do, and shortcoming(probe), "" where that is enough;
- digest_data(settings), fingerprints of what the generators make.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.embedded import loop
from harness.embedded.dit import recipe as dit
from harness.embedded.fingerprints import weights_of, write_fingerprints
from harness.embedded.llama import recipe as llama
from harness.embedded.t5 import recipe as t5
from harness.embedded.vit import recipe as vit

RECIPES: dict[str, ModuleType] = {"llama": llama, "t5": t5, "vit": vit, "dit": dit}
FOLDER = Path(__file__).parent
RUNS = FOLDER.parents[1] / "runs"


def make(recipe: ModuleType, settings: Any, output: Path, checkpoint: Path) -> bool:
    """Pre-train as the settings say, probe, and ship to the folder `output`; False where the probe failed."""
    processor = recipe.make_processor(settings)
    model = loop.pretrain(recipe.make_course(settings, processor), settings, checkpoint)
    model = model.half().float()  # what is probed is what is shipped: float16 weights
    measured = recipe.probe(model, processor)
    print(", ".join(f"{name} {value:.3g}" for name, value in asdict(measured).items()))
    shortcoming = recipe.shortcoming(measured)
    if shortcoming:
        print(f"probe failed, nothing shipped: {shortcoming}", file=sys.stderr)
        return False
    model.half().save_pretrained(output)
    weights_of(output).chmod(0o644)  # it comes readable by its owner only
    processor.save_pretrained(output)
    write_fingerprints(output, recipe.digest_data(settings), asdict(settings), asdict(measured))
    print(f"shipped to {output}")
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return 0 when a model was shipped and 1 when the probe rejected it."""
    parser = argparse.ArgumentParser(
        prog="python -m harness.embedded.pretrain",
        description="Pre-train an embedded base model on the CPU and ship it when its probe passes.",
    )
    parser.add_argument("model", choices=RECIPES)
    parser.add_argument("--output", type=Path, help="folder of the shipped files (default: the model's, here)")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="file to resume from, if it exists, and to write on the way (default: in runs/, which git ignores)",
    )
    options = parser.parse_args(argv)
    output = options.output or FOLDER / options.model
    checkpoint = options.checkpoint or RUNS / f"embedded-{options.model}" / "checkpoint.pt"
    recipe = RECIPES[options.model]
    return 0 if make(recipe, recipe.Settings(), output, checkpoint) else 1


if __name__ == "__main__":
    sys.exit(main())
