"""Quantized matrices: what each stands for, and the stored tensors that hold it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any


@dataclass(frozen=True)
class Group:
    """A matrix that a quantizer replaced by several tensors.

    Attributes:
        name: The matrix, under the name that it has in the model that is not quantized.
        scheme: The name of the scheme that wrote it.
        shape: Its dimensions before it was quantized; `None` where the file does not say them.
        bits: The bits of a code, without scales; `None` where the file does not say them.
        data: The tensors that hold its codes.
        side: The tensors beside these, by what they hold: `scales`, `zero points`, `codebooks`, `order` (of the inputs)
            or `settings`.
        count: Its numbers where they are known though its shape is not.
        unknown: Why its numbers are not known, and what to do about it, where they are not.
    """

    name: str
    scheme: str
    shape: tuple[int, ...] | None
    bits: int | Fraction | None
    data: tuple[str, ...]
    side: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    count: int | None = None
    unknown: str = ""

    @property
    def parameters(self) -> int | None:
        """The numbers of the matrix before it was quantized; `None` where they cannot be known from the file."""
        return self.count if self.shape is None else prod(self.shape)

    @property
    def names(self) -> tuple[str, ...]:
        """Every tensor that it is made of."""
        return (*self.data, *(name for names in self.side.values() for name in names))

    def below(self, prefix: str) -> "Group":
        """The same group where all names have something in front of them."""
        side = {kind: tuple(f"{prefix}{name}" for name in names) for kind, names in self.side.items()}
        data = tuple(f"{prefix}{name}" for name in self.data)
        return replace(self, name=f"{prefix}{self.name}", data=data, side=side)


def held(groups: Iterable[Group], own: Mapping[str, int]) -> int:
    """The parameters behind groups, each counted once, and those of an unknown number of parameters as none.

    Args:
        groups: The groups of a file.
        own: The bytes of each tensor that no tensor before it covers.
    """
    return sum(group.parameters or 0 for group in groups if any(own.get(name) for name in group.data))


def totals(groups: Iterable[Group], own: Mapping[str, int]) -> dict[str, Any]:
    """What the groups of a file add up to, as `weigh inspect --json` says it.

    Args:
        groups: The groups of a file, at least one.
        own: The bytes of each tensor that no tensor before it covers.
    """
    groups = list(groups)
    parameters, sizes, seen = held(groups, own), {"data": 0}, set[str]()
    for group in groups:
        for kind, names in {"data": group.data, **group.side}.items():
            key = kind.replace(" ", "_")
            sizes[key] = sizes.get(key, 0) + sum(own.get(name, 0) for name in names if name not in seen)
            seen.update(names)
    known = parameters and all(group.parameters is not None for group in groups)
    return {
        "scheme": " and ".join(dict.fromkeys(group.scheme for group in groups)),
        "groups": sum(bool(group.data) for group in groups),
        "parameters": parameters,
        "bits_per_weight": round(8 * sum(sizes.values()) / parameters, 4) if known else None,
        "bytes": sizes,
    }
