"""The question `weigh params` answers: how many parameters does this config describe, and how many bytes are they?"""

import os
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from weigh.dtypes import bytes_of, dtype
from weigh.errors import ContextTooLong, UnknownArchitecture
from weigh.models.caches import Caches
from weigh.models.config import Config, load
from weigh.models.families import FAMILIES
from weigh.models.family import Positions
from weigh.tensors import Tensor
from weigh.units import positive

COMMON = ("float32", "bfloat16", "float16", "float8_e4m3fn", "int8")
"""The number formats in which `weigh params` states the size: one number per parameter and nothing else."""


@dataclass(frozen=True)
class Model:
    """The tensors that a config describes.

    Attributes:
        model_type: The family, as the config names it.
        architecture: The class of that family whose tensors are counted.
        dtype: The number format that the config says the weights are saved in; float32, PyTorch's own, if it says none.
        named: Every tensor under every name it has, tied ones included, in `dtype`.
        active_parameters: The parameters that one token passes through: all of them, except in a mixture of experts.
        experts: Of how many experts of a layer a token passes through how many: `(used, count)`; `None` without.
        caches: The cache of each layer while the model generates.
        positions: The rows of its tables of learned positions: those of the `context` and, where an encoder has a
            table, of the `encoder_context`. Empty if positions are computed.
        sizes: What its family read in the config, from which all else follows.
        config: The fields it was read from.
    """

    model_type: str
    architecture: str
    dtype: str
    named: tuple[Tensor, ...]
    active_parameters: int
    experts: tuple[int, int] | None
    caches: Caches
    positions: Positions
    sizes: Any = field(compare=False, repr=False)
    config: Config = field(compare=False, repr=False)

    @cached_property
    def distinct(self) -> list[Tensor]:
        """The tensors, tied ones once."""
        return [tensor for tensor in self.named if tensor.name == tensor.storage]

    @property
    def tensors(self) -> int:
        """The number of tensors, tied ones counted once."""
        return len(self.distinct)

    @property
    def parameters(self) -> int:
        """The number of parameters, tied ones counted once."""
        return sum(tensor.numel for tensor in self.distinct)

    @property
    def bytes_in_tensors(self) -> int:
        """The bytes of the weights in the config's own number format."""
        return self.bytes_as(self.dtype)

    def bytes_as(self, name: str) -> int:
        """The bytes of the weights in the number format of that name.

        Raises:
            UnknownDtype: If there is none of that name.
        """
        return sum(bytes_of(tensor.numel, dtype(name)) for tensor in self.distinct)

    @property
    def longest(self) -> int | None:
        """The tokens of the longest sequence it is made for, by its positions or its config; `None` if nothing says."""
        named = self.config.get("max_position_embeddings", self.config.get("n_positions"))
        said = named if type(named) is int and named > 0 else None
        return self.positions.get("context", said)

    def tokens(self, name: str, given: int | None, usual: int) -> int:
        """The tokens of a sequence: those given, or else the usual number, but no more than the model is made for.

        Args:
            name: What to call them in an error.
            given: How many there are, if anybody says.
            usual: How many there are usually.

        Raises:
            ContextTooLong: If more are given than its table of learned positions has rows for.
            WeighError: If the number given is not a whole number from 1.
        """
        if given is None:
            return min(usual, self.longest or usual)
        self.refuse_beyond(name, positive(name, given))
        return given

    def refuse_beyond(self, name: str, tokens: int, table: str = "context") -> None:
        """Refuse more tokens than a table of learned positions has rows for.

        Args:
            name: What to call them in an error.
            tokens: How many there are.
            table: A key of `positions`.

        Raises:
            ContextTooLong: If there are more.
        """
        rows = self.positions.get(table, tokens)
        if tokens > rows:
            raise ContextTooLong(
                name,
                f"{tokens:,} tokens, and {self.model_type} has learned {rows:,} positions; ask for at most {rows:,}",
            )

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain integers and strings, under the names that `weigh params --json` promises."""
        return {
            "model_type": self.model_type,
            "architecture": self.architecture,
            "parameters": self.parameters,
            "active_parameters": self.active_parameters,
            "tensors": self.tensors,
            "dtype": self.dtype,
            "bytes_in_tensors": self.bytes_in_tensors,
            "by_dtype": {self.dtype: self.bytes_in_tensors},
            "bytes": {name: self.bytes_as(name) for name in COMMON},
        }


def params(config: str | os.PathLike[str]) -> Model:
    """Parameters of a Hugging Face config, counted exactly without allocating one.

    Args:
        config: A `config.json`, or a directory that holds one.

    Raises:
        NotFound, InvalidConfig: If there is no config there, or a field has a value from which no size follows.
        UnknownArchitecture: If its `model_type` or `architectures` is none that `weigh` has a specification of.
        UnsupportedField: If a field changes the answer, or might, in a way that the specification does not know.
    """
    source = load(config)
    model_type = source.text("model_type", "")
    if model_type not in FAMILIES:
        raise UnknownArchitecture(
            f"{source.where}, field model_type",
            f"{model_type!r:.40} is not known to weigh, which knows {', '.join(FAMILIES)}",
        )
    family = FAMILIES[model_type]
    named = source.fields.get("architectures") or family.architectures[:1]
    if not isinstance(named, list | tuple) or len(named) != 1 or named[0] not in family.architectures:
        raise UnknownArchitecture(
            f"{source.where}, field architectures",
            f"{named!r:.60} is not known to weigh, which knows {', '.join(family.architectures)} for {model_type}",
        )
    source.only("quantization_config", {})
    saved, sizes = source.dtype(), family.read(source)
    source.refuse_unread()
    tensors: list[Tensor] = []
    active, experts = 0, None
    for weight in family.tensors(sizes, named[0]):
        numel = prod(weight.shape)
        if weight.experts:
            experts, (used, count) = weight.experts, weight.experts
            active += numel * used // count
        elif not weight.tied_to:
            active += numel
        tensors.append(Tensor(
            weight.name, weight.shape, saved.name, weight.tied_to or weight.name, 0, bytes_of(numel, saved),
            "weights", None, weight.role, weight.layer, weight.transposed,
        ))  # fmt: skip
    return Model(
        model_type, named[0], saved.name, tuple(tensors), active, experts,
        family.caches(sizes), family.positions(sizes), sizes, source,
    )  # fmt: skip
