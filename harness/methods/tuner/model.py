"""The PEFT tuner of all methods: puts parts around the sites of a base model, and takes them out again."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from harness.methods.tuner.places import Place, find_sites


class MethodModel(BaseTuner):
    """Attaches what a MethodConfig says. What the sites share is kept here, once for each adapter.

    Raises:
        ValueError: the base model has none of the config's places, or a part does not fit it.
    """

    prefix = "method_"
    tuner_layer_cls = Place
    target_module_mapping: dict[str, list[str]] = {}
    uses_shared_state = True

    def _prepare_adapter_config(self, config: PeftConfig, model_config: dict[str, Any]) -> PeftConfig:
        return config  # nothing to infer

    def _prepare_model(self, config: PeftConfig, model: nn.Module) -> None:
        self.sites = find_sites(model, config.used_places())
        if "method_shared" not in self._modules:
            self.method_shared = nn.ModuleDict()
        adapter = next(name for name, known in self.peft_config.items() if known is config)
        shared = nn.ModuleDict(config.shared([site for sites in self.sites.values() for site in sites]))
        self.method_shared[adapter] = self._fitted(shared, model)

    def _check_target_module_exists(self, config: PeftConfig, key: str) -> bool:
        return key in self.sites

    def _create_and_replace(
        self,
        config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        for site in self.sites[current_key]:
            parts = nn.ModuleDict(config.parts(site, self.method_shared[adapter_name]))
            if any(adapter_name in name.split(".") for name, _ in parts.named_parameters()):
                raise ValueError(f"adapter name {adapter_name!r} is the name of a part; choose another")
            self._place(site.name).method_parts[adapter_name] = self._fitted(parts, site.module)

    def _fitted(self, modules: nn.ModuleDict, beside: nn.Module) -> nn.ModuleDict:
        """On the device of what they stand beside, and in the base model's precision: PEFT casts up where asked to."""
        if not any(parameter.is_meta for parameter in modules.parameters()):  # weights that are still to be loaded
            modules.to(next(beside.parameters()).device)
        return modules.to(self.model.dtype)

    def _place(self, name: str) -> Place:
        """What surrounds the module of that name, made where nothing does yet."""
        parent_name, _, child_name = name.rpartition(".")
        parent = self.model.get_submodule(parent_name)
        while isinstance(parent, Place):  # assigning to it would put the child beside the base model
            parent = parent.base_layer
        child = getattr(parent, child_name)
        if not isinstance(child, Place):
            child = Place(child)
            setattr(parent, child_name, child)
        return child

    def set_adapter(self, adapter_name: str | list[str], inference_mode: bool = False) -> None:
        """Makes one adapter the active one, and trainable unless `inference_mode`.

        Raises:
            ValueError: several are named.
        """
        names = [adapter_name] if isinstance(adapter_name, str) else adapter_name
        if len(names) > 1:
            raise ValueError(f"one adapter at a time can be active, not {len(names)}: {', '.join(names)}")
        super().set_adapter(adapter_name, inference_mode)
        for name, shared in self.method_shared.items():
            shared.requires_grad_(name in names and not inference_mode)

    def set_requires_grad(self, adapter_names: str | Sequence[str], requires_grad: bool = True) -> None:
        """Freezes adapters, or trains them."""
        super().set_requires_grad(adapter_names, requires_grad)
        for name in [adapter_names] if isinstance(adapter_names, str) else adapter_names:
            self.method_shared[name].requires_grad_(requires_grad)

    def delete_adapter(self, adapter_name: str) -> None:
        """Forgets an adapter; another one, if there is any, becomes active in its stead."""
        was_active = adapter_name in self.active_adapters
        super().delete_adapter(adapter_name)
        del self.method_shared[adapter_name]
        if was_active:
            for name, shared in self.method_shared.items():
                shared.requires_grad_(name in self.active_adapters)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype)
        if autocast_adapter_dtype and self.model.dtype in (torch.float16, torch.bfloat16):
            self.method_shared[adapter_name].float()

    def _check_merge_allowed(self) -> None:  # asked before the first module is merged: no model stays half merged
        name = self.peft_config[self.active_adapters[0]].peft_type
        raise NotImplementedError(f"{name} computes beside the base model's weights and cannot be merged into them")

    def _unload_and_optionally_merge(self, merge: bool = True, **_: Any) -> nn.Module:
        if merge:
            self._check_merge_allowed()
        for name, module in reversed(list(self.model.named_modules())):  # the inner ones first: PEFT leaves those
            if isinstance(module, Place):
                parent_name, _, child_name = name.rpartition(".")
                setattr(self.model.get_submodule(parent_name), child_name, module.bare())
        del self.model.peft_config
        return self.model

    @classmethod
    def _remove_adapter_name_from_key(cls, key: str, adapter_name: str) -> str:
        return re.sub(rf"\.(method_parts|method_shared)\.{re.escape(adapter_name)}\.", r".\1.", key, count=1)

    @classmethod
    def _get_adapter_state_dict(
        cls,
        model: nn.Module,
        config: PeftConfig,
        adapter_name: str,
        state_dict: dict[str, torch.Tensor],
        unwanted_adapter_names: list[str],
    ) -> dict[str, torch.Tensor]:
        kept = super()._get_adapter_state_dict(model, config, adapter_name, state_dict, unwanted_adapter_names)
        for name, module in model.named_modules():
            if hasattr(module, "stored") and re.search(rf"\.method_(parts|shared)\.{re.escape(adapter_name)}\.", name):
                kept = {key: value for key, value in kept.items() if not key.startswith(f"{name}.")}
                kept |= {f"{name}.{key}": value for key, value in module.stored().items()}
        return kept

    @classmethod
    def _remap_adapter_state_dict_for_load(
        cls, model: nn.Module, config: PeftConfig, adapter_name: str, state_dict: dict[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        remapped = super()._remap_adapter_state_dict_for_load(model, config, adapter_name, state_dict)
        owned = re.compile(rf"\.method_(parts|shared)\.{re.escape(adapter_name)}\.")
        missing = [key for key in model.state_dict() if owned.search(key) and key not in remapped]
        if missing:  # PEFT would warn and leave it random
            raise ValueError(
                f"the stored adapter has no {missing[0]}; what only served to train it, such as a prefix's MLP, is "
                "not stored: load it without is_trainable"
            )
        return remapped
