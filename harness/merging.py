"""One model three ways: as trained, its bare base, and with the adapter merged into the weights."""

import contextlib
import copy
import warnings
from collections.abc import Iterator

import torch
from peft import PeftModel
from peft.tuners.adaption_prompt.layer import AdaptedAttention
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils import AuxiliaryTrainingWrapper, ModulesToSaveWrapper
from torch import nn

MERGED_FOR_GOOD = ("OSF",)  # it merges, and refuses only afterwards, when it is to be taken out again


def without_adapter(model: nn.Module, saved_modules: bool = False) -> nn.Module:
    """The bare base model: the same weights, none copied, without any of PEFT's layers around them.

    `saved_modules` keeps the modules that were trained whole, such as a new head, in the base's own one's stead.
    """
    if not isinstance(model, PeftModel):
        return model
    base = model.base_model if model.active_peft_config.is_prompt_learning else model.get_base_model()
    return _bare(base, saved_modules)


def _bare(module: nn.Module, saved: bool) -> nn.Module:
    if isinstance(module, BaseTunerLayer):
        return _bare(module.get_base_layer(), saved)
    if saved and isinstance(module, ModulesToSaveWrapper):
        return module.modules_to_save[module.active_adapter]
    if isinstance(module, AuxiliaryTrainingWrapper):
        return _bare(module.original_module, saved)
    if isinstance(module, AdaptedAttention):
        return _bare(module.model, saved)
    bare = copy.copy(module)
    bare._modules = {name: None if child is None else _bare(child, saved) for name, child in module._modules.items()}
    return bare


def may_merge(model: nn.Module) -> bool:
    """Whether merging is worth a try: PEFT offers it and can undo it, and the base is not quantized.

    A quantized base would round the adapter into a few bits, and its own weights again when it is taken out.
    """
    if not isinstance(model, PeftModel) or not hasattr(model.base_model, "merge_adapter"):
        return False
    if model.active_peft_config.peft_type in MERGED_FOR_GOOD:
        return False
    return not getattr(model.get_base_model(), "is_quantized", False)


@contextlib.contextmanager
def merged(model: PeftModel) -> Iterator[nn.Module]:
    """Inside the block, the model with its adapter merged, as a bare base model; afterwards it is taken out again."""
    # Outside of mixed precision, which would round what is merged.
    exactly = torch.autocast(next(model.parameters()).device.type, enabled=False)
    with warnings.catch_warnings(), exactly:
        warnings.simplefilter("ignore")  # about rounding, when weights are scaled back
        model.base_model.merge_adapter()
    try:
        yield without_adapter(model, saved_modules=True)
    finally:
        with warnings.catch_warnings(), exactly:
            warnings.simplefilter("ignore")
            model.base_model.unmerge_adapter()
