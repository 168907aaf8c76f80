"""Single layers of a model that have sizes of their own, and the names of their types."""

import copy
from typing import Any

from weigh.errors import NotConstructed


class Layers:
    """The configs of single layers, by number or by type of layer: what they change, and else that of the model."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def __len__(self) -> int:
        return int(self.config.num_hidden_layers)

    def __getitem__(self, layer: Any) -> Any:
        if isinstance(layer, slice):
            return [self[i] for i in range(*layer.indices(len(self)))]
        if isinstance(layer, str):
            layer = list(self.config.layer_types).index(layer)
        if not -len(self) <= layer < len(self):
            raise IndexError(layer)
        changed = self.config.__dict__.get("overrides", {}).get(layer % len(self), {})
        if not changed:
            return self.config
        if changed.get("skip"):
            raise NotConstructed("field per_layer_config", "parts of layers that are left out are not known to weigh")
        copied = copy.copy(self.config)
        for name, value in changed.items():
            setattr(copied, name, value)
        return copied


LAYER_TYPES = {
    "mamba": "linear_attention", "attention": "full_attention", "deepseek_sparse_attention": "indexed_attention",
    "qwen_sparse_attention": "indexed_attention",
}  # fmt: skip
"""Types of layers as files called them before (transformers 5.23)."""


def renamed(layer_types: Any = None, config: Any = None) -> Any:
    """Types of layers by their names of today."""
    if layer_types is None:
        layer_types = getattr(config, "layer_types", None) or []
    return [LAYER_TYPES.get(each, each) if isinstance(each, str) else each for each in layer_types]
