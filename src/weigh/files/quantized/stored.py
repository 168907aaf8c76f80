"""The tensors of a file with what is known about how they were quantized."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from weigh.errors import WeighError
from weigh.sources import File, Source, opening
from weigh.tensors import Contents, Tensor

SETTINGS = ("quantize_config.json", "quant_config.json", "hf_quant_config.json")
"""The files in which quantizers lay their settings beside config.json."""

CACHE = (".k_scale", ".v_scale", ".q_scale", ".kv_scale", ".prob_scale", ".k_zero_point", ".v_zero_point")
"""The ends of the names of a quantized cache's scales, which stand beside weights of any kind."""

_MOST_BYTES = 10**7  # of a file of settings


@dataclass(frozen=True)
class Stored:
    """The tensors of a file or directory that are left to explain, and the settings of the quantizer.

    Attributes:
        tensors: The weights by name.
        settings: What the quantizer wrote about itself: `quantization_config` of config.json and its like. Empty where
            nothing says it.
        metadata: The metadata of the file's header.
        config: The fields of config.json.
        storages: Where the bytes are; empty where reading single tensors would cost a request each.
    """

    tensors: Mapping[str, Tensor]
    settings: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    storages: Mapping[str, Source] = field(default_factory=dict)

    @classmethod
    def of(cls, contents: Contents, config: Mapping[str, Any], taken: Iterable[str] = ()) -> "Stored":
        """The weights of a file but those that are explained already."""
        weights = {tensor.name: tensor for tensor in contents.named if tensor.component == "weights"}
        storages = {} if "://" in contents.path else contents.storages
        stored = cls(weights, _settings(config), contents.metadata, config, storages)
        return stored.without(taken)

    def without(self, names: Iterable[str]) -> "Stored":
        """The same, but for these tensors."""
        gone = set(names)
        if not gone:
            return self
        return replace(self, tensors={name: one for name, one in self.tensors.items() if name not in gone})

    def ending(self, *ends: str) -> Iterator[tuple[str, Tensor]]:
        """The tensors whose name ends so, each with what stands before the end."""
        for name, tensor in self.tensors.items():
            for end in ends:
                if name.endswith(end):
                    yield name[: -len(end)], tensor
                    break

    def side(self, base: str, **ends: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """The tensors `base` + end that are there, by kind; an underscore in a kind stands for a space."""
        found = {
            kind.replace("_", " "): tuple(base + end for end in each if base + end in self.tensors)
            for kind, each in ends.items()
        }
        return {kind: names for kind, names in found.items() if names}

    def read(self, name: str, most: int = 4096) -> bytes | None:
        """The bytes of a small tensor; `None` where there is none of that name, it is large, or the file is remote."""
        tensor = self.tensors.get(name)
        if tensor is None or tensor.nbytes > most or tensor.storage not in self.storages:
            return None
        return bytes(self.storages[tensor.storage].read(tensor.begin, tensor.begin + tensor.nbytes))

    def integers(self, name: str) -> tuple[int, ...] | None:
        """The values of a small tensor of integers, such as a shape, as far as `read` gives them."""
        raw, tensor = self.read(name), self.tensors.get(name)
        if raw is None or tensor is None or not tensor.dtype.lstrip("u").startswith("int"):
            return None
        width = max(1, tensor.nbytes // max(1, tensor.numel))
        signed = tensor.dtype.startswith("int")
        return tuple(int.from_bytes(raw[at : at + width], "little", signed=signed) for at in range(0, len(raw), width))


def settings_beside(directory: Path) -> dict[str, Any]:
    """The fields of the config.json of a directory, with those of the files that quantizers lay beside it.

    What cannot be read says nothing: the tensors are counted all the same.
    """
    config = _fields(directory / "config.json")
    if not _settings(config):
        for name in SETTINGS:
            if found := _fields(directory / name):
                inner = found.get("quantization")
                return {**config, "quantization_config": inner if isinstance(inner, dict) else found}
    return config


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json says of quantization, of the model or of the text model in it."""
    for holder in (config, config.get("text_config")):
        if isinstance(holder, dict):
            for key in ("quantization_config", "quantization", "compression_config"):
                if isinstance(holder.get(key), dict):
                    return dict(holder[key])
    return {}


def _fields(path: Path) -> dict[str, Any]:
    try:
        with opening(path):
            if not path.is_file():
                return {}
        with File(path).open() as reader:
            found = json.loads(reader.read(_MOST_BYTES))
    except (WeighError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def on_right(shape: tuple[int, ...], inputs: int) -> tuple[int, ...]:
    """A shape with so many inputs, its last dimension."""
    return (*shape[:-1], inputs)
