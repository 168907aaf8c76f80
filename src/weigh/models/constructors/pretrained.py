"""Pretrained models: modules made of a config, which tie some of their parameters in the end."""

import re
from collections.abc import Callable
from functools import cache
from itertools import cycle
from typing import Any

from weigh.errors import NotConstructed
from weigh.models.constructors.modules import Module
from weigh.models.constructors.unknown import Unknown


class PreTrainedModel(Module):
    """A model made of a config, which ties some of its parameters in the end."""

    config_class: Any = None
    base_model_prefix = ""
    _tied_weights_keys: Any = None

    def __init__(self, config: Any, *given: Any, **named: Any) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def _from_config(cls, config: Any, **named: Any) -> "PreTrainedModel":
        return cls(config)

    from_config = _from_config

    def get_input_embeddings(self) -> Any:
        """The table of word embeddings, under one of its usual names."""
        for name in ("embed_tokens", "word_embeddings", "wte", "shared"):
            if name in self._modules:
                return self._modules[name]
        inner = self._modules.get(self.base_model_prefix or "model") or self._modules.get("language_model")
        if isinstance(inner, PreTrainedModel) and inner is not self:
            return inner.get_input_embeddings()
        raise NotConstructed(type(self).__name__, "asks for its embedding, which weigh does not find")

    def get_output_embeddings(self) -> Any:
        """The head, if there is one."""
        return self._modules.get("lm_head")

    def post_init(self) -> None:
        """Tie the parameters of this model and of those in it."""
        self.__dict__["tied"] = tied = dict(self._expanded())
        for name, module in self.named_children():
            tied |= {f"{name}.{one}": f"{name}.{other}" for one, other in module.__dict__.get("tied", {}).items()}

        @cache
        def found(path: str) -> Any:
            above, _, last = path.rpartition(".")
            return getattr(found(above), last) if path else self

        for target, source in tied.items():
            parent, _, last = target.rpartition(".")
            home, _, name = source.rpartition(".")
            shared, module = getattr(found(home), name), found(parent)
            if module._parameters.get(last) is shared:  # by a model inside
                continue
            setattr(module, last, shared)
            bias = module._parameters.get("bias")
            if bias is not None and last == "weight" and len(bias.shape) == 1:
                bias.shape = (shared.shape[0],)

    def _expanded(self) -> dict[str, str]:
        """The names to tie, each with the name of what it is tied to; patterns are matched with all names."""
        mapping = self._tied_weights_keys
        if not getattr(self.config, "tie_word_embeddings", False) or not mapping:
            return {}
        plain = re.compile(r"^[A-Za-z0-9_\.]+(weight)|(bias)$")
        if all(plain.match(name) for name in mapping.keys() | mapping.values()):
            return dict(mapping)
        names = sorted({name for name, _ in self.named_parameters()})
        found: dict[str, str] = {}
        for target, source in mapping.items():
            sources, targets = (list(filter(_beginning(each), names)) for each in (source, target))
            if not sources or not targets or len(targets) % len(sources):
                raise NotConstructed(type(self).__name__, f"ties {target} to {source}, which do not match")
            for one, other in zip(targets, cycle(sources), strict=False):
                found[one] = found.get(other, other)
        return found

    def __getattr__(self, name: str) -> Any:
        if name in ("dtype", "device", "forward"):
            return Unknown(f"the {name}")
        if name.startswith(("_can_", "_supports_", "supports_")):
            return False
        return super().__getattr__(name)


def _beginning(pattern: str) -> Callable[[str], Any]:
    """What finds a pattern at the beginning of a name: as `re.search` does behind `^`, which tries every place."""
    compiled = re.compile(f"^{pattern}")
    return compiled.search if "|" in pattern else compiled.match
