"""Which optimizer does a text such as `torch:SGD:momentum=0.9` mean?

A text is `LIBRARY:NAME`, or a short name, and after a colon its options: `NAME=VALUE`, with commas between them, or the
name alone for a switch. Capitals do not matter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from weigh.dtypes import DTYPES
from weigh.errors import WeighError
from weigh.memory.optimizers.catalogue import LIBRARIES, OPTIMIZER_ALIASES, OPTIMIZERS
from weigh.memory.optimizers.entries import LARGEST, Copies, Kept, Optimizer, options_of
from weigh.tensors import Tensor

FORMATS = [name for name, each in DTYPES.items() if each.kind == "float" and each.block == 1]
"""The number formats that state may be asked for in."""


@dataclass(frozen=True)
class Chosen:
    """An optimizer with its options.

    Attributes:
        text: What was asked for.
        optimizer: The optimizer that it means.
        options: The options that were given.
    """

    text: str
    optimizer: Optimizer
    options: Mapping[str, Any]

    @cached_property
    def meant(self) -> str:
        """The full name, with the options that were given."""
        options = ",".join(f"{name}={str(value).lower()}" for name, value in self.options.items())
        return ":".join(filter(None, (self.optimizer.key, options)))

    def of(self, tensor: Tensor, dtype: str) -> list[Kept]:
        """The state of one weight: names, shapes and dtypes of its tensors."""
        return list(self.optimizer.state(tensor, dtype, **self.options))

    def kept(self, tensors: Iterable[Tensor], dtype: str, groups: int = 1) -> Iterator[Kept]:
        """All state of the weights: of each, of all together, and of the parameter groups."""
        tensors = list(tensors)
        for tensor in tensors:
            yield from self.of(tensor, dtype)
        if self.optimizer.shared and tensors:
            taken = options_of(self.optimizer.shared)
            options = {name: value for name, value in self.options.items() if name in taken}
            yield from self.optimizer.shared(tensors, dtype, **options)
        yield from self.optimizer.of_group * groups

    def copies(self, tensors: Sequence[Tensor], dtype: str) -> Copies | None:
        """What lives while it steps on these weights; `None` if that is not known."""
        known = self.optimizer.copies
        return known(tensors, dtype) if callable(known) else known

    def extremes(self) -> "tuple[Chosen, Chosen]":
        """The least and the most that it keeps, where an option was not given that no config tells; else itself."""
        unknown = {name: ends for name, ends in self.optimizer.unknown.items() if name not in self.options}
        low, high = (
            Chosen(self.text, self.optimizer, {**self.options, **{name: ends[at] for name, ends in unknown.items()}})
            for at in (0, 1)
        )
        return low, high


def find(text: "str | Chosen") -> Chosen:
    """The optimizer that a text means.

    Args:
        text: `LIBRARY:NAME` or a short name, and the options after a colon, such as `torch:RMSprop:centered`.

    Raises:
        WeighError: If there is no such library, optimizer or option, or a value does not fit.
    """
    if isinstance(text, Chosen):
        return text
    if not isinstance(text, str):
        raise WeighError(f"optimizer {text!r:.40}", "is no text, such as adamw or torch:AdamW")
    library, _, rest = text.partition(":")
    name, _, settings = rest.partition(":")
    optimizer = _named(library, name)  # first, as a library may be called as one of its optimizers is for short
    if not optimizer and (short := OPTIMIZER_ALIASES.get(library.lower())):
        library, name, *given = short.split(":")
        optimizer, settings = _named(library, name), ",".join((*given, rest))
    if not optimizer:
        raise unknown(text)
    return Chosen(text, optimizer, _options(text, optimizer, settings))


def optimizer_state(tensor: Tensor, optimizer: str, dtype: str = "float32") -> list[Kept]:
    """Optimizer state of one weight: the names, shapes and dtypes of its tensors.

    Args:
        tensor: The weight, of which the shape counts, and for some optimizers the name.
        optimizer: A key of `weigh.OPTIMIZERS` or a short name, with options if there are any.
        dtype: The number format of the weights that the optimizer updates, in which PyTorch makes the state.

    Raises:
        WeighError: If there is no such optimizer.
    """
    return find(optimizer).of(tensor, dtype)


def unknown(text: str) -> WeighError:
    """The error about a text that means no optimizer: the names that are like it, and the libraries."""
    asked = {key.lower(): key for key in OPTIMIZERS}
    names = asked | {alias: alias for alias in OPTIMIZER_ALIASES}
    bare = {lower.partition(":")[2]: key for lower, key in asked.items()}
    name = text.partition(":")[2].partition(":")[0] or text
    near = [names[each] for each in get_close_matches(text.lower(), names, 2, 0.6)]
    near += [bare[each] for each in get_close_matches(name.lower(), bare, 3, 0.75)]
    meant = f"did you mean {' or '.join(list(dict.fromkeys(near))[:4])}? " if near else ""
    return WeighError(
        f"optimizer {text!r:.60}",
        f"not known to weigh; {meant}weigh optimizers lists those of {', '.join(LIBRARIES)}",
    )


def _named(library: str, name: str) -> Optimizer | None:
    """The optimizer of a library, whatever the capitals; `None` if there is none of that name."""
    if library.lower() not in LIBRARIES:
        return None
    known = OPTIMIZERS.of(library.lower()).optimizers.values()
    return next((each for each in known if each.name.lower() == name.lower()), None)


def _options(text: str, optimizer: Optimizer, settings: str) -> dict[str, Any]:
    defaults, options = optimizer.options, {}
    for setting in filter(None, (each.strip() for each in settings.lower().split(","))):
        name, given, value = setting.partition("=")
        if name not in defaults:
            has = f"has {', '.join(defaults)}" if defaults else "has none"
            raise WeighError(f"optimizer {text!r:.60}", f"option {name!r:.40} is not known: {optimizer.key} {has}")
        limits = optimizer.limits.get(name, (0, LARGEST))
        options[name] = _value(text, name, value if given else None, defaults[name], limits)
    return options


def _value(text: str, name: str, value: str | None, default: Any, limits: tuple[float, float]) -> Any:
    """A value of the type of the default, within limits; a switch without one is on."""
    low, high = limits
    try:
        if isinstance(default, bool):
            return {None: True, "true": True, "false": False}[value]
        if isinstance(default, str):
            return FORMATS[FORMATS.index(str(value))]
        number = type(default)(value)
        if not low <= number <= high:
            raise ValueError
        return number
    except (KeyError, TypeError, ValueError, OverflowError):
        span = f"from {low:g}" + (f" to {high:g}" if high < LARGEST else " to 2⁶³ − 1")
        kinds = {
            bool: "true or false", int: f"a whole number {span}", float: f"a number {span}",
            str: f"a number format: {', '.join(FORMATS)}",
        }  # fmt: skip
        is_none = "has no value" if value is None else f"is {value!r:.40}"
        problem = f"option {name} {is_none}, and takes {kinds[type(default)]}"
        raise WeighError(f"optimizer {text!r:.60}", problem) from None
