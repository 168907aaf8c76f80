"""The question `weigh params` answers: how many parameters does this config describe, and how many bytes are they?"""

import os
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from weigh.errors import ContextTooLong, NotConstructed, UnknownArchitecture, UnsupportedField, WeighError
from weigh.models.config import CACHED, MAX_BYTES, Config, load
from weigh.models.counting import Counts
from weigh.models.families import FAMILIES
from weigh.models.limits import refuse_endless
from weigh.units import positive

if TYPE_CHECKING:  # what only some answers need is imported with them
    from weigh.models.caches import Caches
    from weigh.models.construction import Construction
    from weigh.models.counting import Specified
    from weigh.models.family import Family, Positions
    from weigh.models.layers import Weight
    from weigh.models.quantization import Saved

COMMON = ("float32", "bfloat16", "float16", "float8_e4m3fn", "int8")
"""The number formats in which `weigh params` states the size: one number per parameter and nothing else."""


@dataclass(frozen=True)
class Model(Counts):
    """The tensors that a config describes.

    Attributes:
        model_type: The family, as the config names it.
        architecture: The class of that family whose tensors are counted.
        dtype: The number format that the config says the weights are saved in; float32, PyTorch's own, if it says none.
        specified: The name and the shape of every tensor, tied ones included.
        of_experts: The names of those that may be of experts, so that a token passes some by.
        find_weights: Gives those of some names, or all, with what each is for, which takes longer than to count them.
        find_caches: Gives the cache of each layer while the model generates; `None` if that is not known for its type.
        positions: The rows of its tables of learned positions: those of the `context` and, where an encoder has a
            table, of the `encoder_context`. Empty if positions are computed.
        sizes: What its family read in the config, from which all else follows; `None` if it is of no family here.
        config: The fields it was read from.
        counted_by: Who says so: `weigh` by a family, or a class of transformers, constructed without memory.
        resolved: The config as its class completed it, of a constructed model.
        unread: The fields of the config that nothing read, so that no answer depends on them.
        assumed: What was taken for fields that the config leaves out, by their dotted names.
    """

    model_type: str
    architecture: str
    dtype: str
    specified: "tuple[Specified, ...]"
    of_experts: frozenset[str]
    find_weights: "Callable[[Container[str] | None], Iterable[Weight]]" = field(compare=False, repr=False)
    find_caches: "Callable[[], Caches | None]" = field(compare=False, repr=False)
    positions: "Positions"
    sizes: Any = field(compare=False, repr=False)
    config: Config = field(compare=False, repr=False)
    counted_by: str = "weigh"
    resolved: Any = field(default=None, compare=False, repr=False)
    unread: tuple[str, ...] = field(default=(), compare=False)
    assumed: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def known_caches(self) -> "Caches | None":
        """The cache of each layer while the model generates; `None` if that is not known for models of its type."""
        return self.find_caches()

    @property
    def caches(self) -> "Caches":
        """The cache of each layer while the model generates.

        Raises:
            UnsupportedField: If it is not known for models of its type.
        """
        if self.known_caches is None:
            unread = [name for name in self.unread if name in CACHED]
            raise UnsupportedField(
                f"{self.config.where}, field {', '.join(unread) or 'model_type'}",
                f"what such a {self.model_type!r:.40} keeps of the past while it generates is not known to weigh; "
                "weigh params counts it, and weigh training",
            )
        return self.known_caches

    @cached_property
    def part_of(self) -> dict[str, str]:
        """The part of each tensor of a multimodal model, such as `text` or `vision`, by its name; else empty."""
        from weigh.models.parts import part_of

        return part_of(self.specified)

    @property
    def parts(self) -> dict[str, int]:
        """The parameters of the text, vision, audio and other parts of a multimodal model; empty for others."""
        if self.sizes is not None and not self.config.has_nested:  # a family of one part
            return {}
        of, known = self.part_of, ("text", "vision", "audio", "projector", "other")
        sizes = dict.fromkeys((part for part in known if part in of.values()), 0)
        for one in self.specified if sizes else ():
            sizes[of[one.name]] += 0 if one.tied_to else prod(one.shape)
        return sizes

    @property
    def provenance(self) -> dict[str, Any]:
        """Who counted it, and the fields of its config that nobody read: what every answer about it rests on."""
        return {"counted_by": self.counted_by, "unread": list(self.unread)}

    @property
    def bytes_in_tensors(self) -> int:
        """The bytes of the weights in the config's own number format."""
        return self.bytes_as(self.dtype)

    @cached_property
    def saved(self) -> "Saved | None":
        """What it takes as its quantizer saves it; `None` if the config says nothing of a quantizer."""
        from weigh.models.quantization import saved, settings_of

        return saved(self.config.fields, self.named, self.dtype) if settings_of(self.config.fields) else None

    @property
    def longest(self) -> int | None:
        """The tokens of the longest sequence it is made for, by its positions or its config; `None` if nothing says."""
        text = self.config.fields.get("text_config")
        fields = (text if isinstance(text, dict) else {}) | self.config.fields
        said = [fields.get(name) for name in ("max_position_embeddings", "n_positions")]
        return self.positions.get("context", next((one for one in said if type(one) is int and one > 0), None))

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
            "saved": self.saved.as_dict() if self.saved else None,
            "parts": self.parts,
            **self.provenance,
            "assumed": self.assumed,
        }


def params(config: str | os.PathLike[str], *, strict: bool = False, fallback: bool = True) -> Model:
    """Parameters of a Hugging Face config, counted exactly without allocating one.

    Args:
        config: A `config.json`, or a directory that holds one.
        strict: Whether to refuse a config with fields that nothing reads.
        fallback: Whether an installed transformers may build, without memory and in a process of its own, what `weigh`
            itself does not know. That takes ten seconds for each new config.

    Raises:
        NotFound, InvalidConfig: If there is no config there, or a field has a value from which no size follows.
        UnknownArchitecture: If its `model_type` or `architectures` is none that can be counted.
        UnsupportedField: If a field changes the answer in a way that is not known here, or, if `strict`, is not read.
    """
    source = load(config, MAX_BYTES)
    refuse_endless(source)
    model = _counted(source, source.text("model_type", ""), fallback)
    if strict and model.unread:
        raise UnsupportedField(
            f"{source.where}, field {model.unread[0]}",
            "is read by nothing here, and might change the answer; remove it, or do without --strict",
        )
    return model


def _counted(source: Config, model_type: str, fallback: bool) -> Model:
    """The model of a config: of a family, or constructed where there is none, or where it does not know a field."""
    if not model_type:
        raise UnknownArchitecture(f"{source.where}, field model_type", "is missing; say what it is")
    named = source.fields.get("architectures")
    if named is not None and not (isinstance(named, list) and named and all(isinstance(one, str) for one in named)):
        raise UnknownArchitecture(f"{source.where}, field architectures", f"must name a class, not {named!r:.60}")
    architecture = named[0] if named else None
    family = FAMILIES.get(model_type)
    refused: WeighError | None = None
    if family and architecture in (*family.architectures, None):
        try:
            model = _of_family(source, family, architecture or family.architectures[0])
        except UnsupportedField as error:
            refused = error
        else:
            return (_differing(source, model) if model.unread else None) or model
    from weigh.models.construction import construct  # which no family needs

    try:
        found = construct(source, model_type, architecture, by_transformers=fallback)
    except (UnknownArchitecture, NotConstructed) as error:
        raise refused or error from None
    model = _of_constructors(source, model_type, found)
    if refused is None:
        return model
    if refused.where.rpartition(", field ")[2] not in {name.rpartition(".")[2] for name in found.constructed.read}:
        raise refused  # its class has forgotten the field, and the files that state it have not
    return replace(model, find_caches=lambda: None)


def _differing(source: Config, model: Model) -> Model | None:
    """The model as its class constructs it, if a field that the family does not read makes it another one."""
    from weigh.models.construction import construct_otherwise

    found = construct_otherwise(source, model.model_type, model.architecture, model.unread, model.specified)
    return _of_constructors(source, model.model_type, found) if found else None


def _of_family(source: Config, family: "Family[Any]", architecture: str) -> Model:
    """The model of a config as a family describes it."""
    saved, sizes = source.dtype(), family.read(source)
    weights = tuple(family.tensors(sizes, architecture))
    known_caches = None if CACHED.intersection(source.unread) else family.caches(sizes)
    assumed = source.assumed | ({} if source.fields.get("architectures") else {"architectures": [architecture]})
    return Model(
        family.model_type, architecture, saved.name, weights,
        frozenset(one.name for one in weights if one.experts), lambda names: weights, lambda: known_caches,
        family.positions(sizes), sizes, source, unread=source.unread, assumed=assumed,
    )  # fmt: skip


def _of_constructors(source: Config, model_type: str, found: "Construction") -> Model:
    """The model of a config as its own class constructs it."""
    from weigh.models.construction import of_experts

    def find_weights(names: Container[str] | None) -> "Iterable[Weight]":
        from weigh.models.roles import weights

        return weights(built, names)

    def find_caches() -> "Caches | None":
        from weigh.models.derived_caches import caches

        return caches(built.config, model_type)

    saved, built = source.dtype(), found.constructed
    return Model(
        model_type, built.architecture, saved.name, built.parameters, of_experts(built), find_weights,
        find_caches, {}, None, source,
        counted_by=found.counted_by, resolved=built.config, unread=found.unread,
        assumed=source.assumed | found.assumed,
    )  # fmt: skip
