"""The role of each parameter of a constructed model: what it is for, in the words of `weigh.models.layers`.

A constructor says of a parameter its name, its shape and the class of the module that holds it. From these the role
follows: the class tells tables, norms, convolutions and stacks of experts from matrices, and the names of the modules
around a matrix tell which sublayer it belongs to, and what it is there.
"""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from weigh.models.layers import Shape, Weight
from weigh.models.role_names import is_head, other_role, sublayer_of, what
from weigh.models.routing import Routing, routing


class Parameter(Protocol):
    """One parameter of a constructed model."""

    @property
    def name(self) -> str:
        """Its key in the state dict."""

    @property
    def shape(self) -> Shape:
        """Its dimensions."""

    @property
    def owner(self) -> str:
        """The class of the module that holds it."""

    @property
    def tied_to(self) -> str:
        """The parameter of which this name is a second one; nothing for others."""


class Constructed(Protocol):
    """A model as its constructor made it."""

    @property
    def config(self) -> Any:
        """The config as its class completed it."""

    @property
    def parameters(self) -> Iterable[Parameter]:
        """Its parameters, in the order of the state dict."""


_LAYERS = re.compile(
    r"(?:^|_)(?:layers?|blocks?|resblocks|h|stages?|layer_groups|encoders|attentions|self_attends|ffns|mixers|conformer)$",
    re.IGNORECASE,
)
"""What lists of layers are called."""

_NO_LAYERS = re.compile(r"project|connector|merger|adapter|classif|(?:^|_)heads?$|embed", re.IGNORECASE)
"""Modules whose numbered parts are no layers, but the pieces of a head or of a connection."""

_ATTENTION = re.compile(r"(.+?\.[^.]*att[^.]*\.)")
"""An attention, by the path of its module."""

_STATES = (".A_log", ".dt_bias", ".time_decay", ".output_gate.weight")
"""Parameters that only a linear attention or a state space has, though its module be called attention."""

_LISTED = re.compile(r"(.+\bexperts)\.((?:expert_)?\d+)\.")
"""Experts that are modules in a list, and not stacked in one tensor."""

_NUMBER = re.compile(r"(?:(?<=\.)|(?<=\.expert_))\d+(?=\.)")
"""The number of a layer, an expert or another module in a list, whose parameters are like those of the others."""

_NO_MATRIX = re.compile(r"LSTM|GRU|Conv\dd|Embedding")
_CONVOLUTION = re.compile(r"Parametriz|.*Conv(?:Transpose)?\dd", re.IGNORECASE)
_CLASSIFIER = re.compile(r"classif|score|qa_outputs|discriminator|seq_relationship|(?:^|\.)cls$|logits")


def weights(constructed: Constructed, names: Container[str] | None = None) -> Iterator[Weight]:
    """The parameters of a constructed model as weights of a specification, each with its role and its layer.

    Args:
        constructed: The model.
        names: Of which parameters; all by default.
    """
    parameters = tuple(constructed.parameters)
    rules = _Rules(parameters, routing(constructed.config), _vocabularies(constructed.config))
    return (rules.weight(parameter) for parameter in parameters if names is None or parameter.name in names)


def layer_of(name: str) -> int | None:
    """The number of the layer that a parameter of that name belongs to, of a stage where layers come in those."""
    at, _ = _place(_NUMBER.sub("0", name))
    return None if at is None else int(name.split(".")[at])


@lru_cache(4096)
def _place(name: str) -> tuple[int | None, tuple[str, ...]]:
    """Where in a name the number of the layer stands, and the modules from the list of layers down; outside, all."""
    parts, least = name.split("."), 2
    for i in range(1, len(parts)):
        kind = _kind(parts[i - 1])
        if kind == "no layers":
            least = 3  # a head has no layers but of single matrices, a resampler may have some with attention
        elif kind == "layers" and parts[i].isdigit():
            inside = tuple(part for part in parts[i + 1 :] if not part.isdigit())
            if len(inside) >= least:
                return i, (parts[i - 1], *inside)
    return None, tuple(part for part in parts if not part.isdigit())


@lru_cache(4096)
def _kind(module: str) -> str:
    """Whether the numbered parts of a module are `layers`, or `no layers` though they are numbered, or neither."""
    return "no layers" if _NO_LAYERS.search(module) else "layers" if _LAYERS.search(module) else ""


def _vocabularies(config: Any, depth: int = 3) -> frozenset[int]:
    """The sizes of all vocabularies that a config and the configs in it name."""
    found: set[int] = set()
    for name, value in list(getattr(config, "__dict__", {}).items()):
        if type(value) is int and name.endswith("vocab_size") and value > 1:
            found.add(value)
        elif depth and name.endswith("config") and hasattr(value, "__dict__"):
            found |= _vocabularies(value, depth - 1)
    return frozenset(found)


def _snake(part: str) -> str:
    """`SelfAttention` as `self_attention`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part).lower()


class _Held(NamedTuple):
    """What decides the role of a parameter in a layer, whatever the number of that layer.

    Attributes:
        owner: The class of the module that holds it.
        inside: The list of layers, the modules around it inside the layer, and its own name.
        dimensions: How many there are.
        recurrent: Whether it belongs to a linear attention or a state space.
        gated: Whether there is a `w3` beside it.
    """

    owner: str
    inside: tuple[str, ...]
    dimensions: int
    recurrent: bool
    gated: bool


class _Rules:
    """The rules, for the parameters of one model."""

    def __init__(self, parameters: tuple[Parameter, ...], used: Routing, vocabularies: frozenset[int]) -> None:
        self.used, self.vocabularies = used, vocabularies
        self.owners = {parameter.name: parameter.owner for parameter in parameters}
        self.shapes = {parameter.name: parameter.shape for parameter in parameters}
        self.tables = {parameter.name for parameter in parameters if "Embedding" in parameter.owner}
        self.tied = {parameter.name: parameter.tied_to for parameter in parameters if parameter.tied_to}
        self.tied |= {table: name for name, table in self.tied.items()}
        self.mixture = any("Expert" in owner for owner in set(self.owners.values()))
        states = (_ATTENTION.match(name) for name in self.owners if name.endswith(_STATES))
        self.recurrent = {match[1] for match in states if match}
        self.listed: dict[str, set[str]] = defaultdict(set)
        self.list_of: dict[str, str] = {}
        self.experts: dict[str, tuple[int, int]] = {}
        for name in self.owners:
            if "experts." in name and (one := _LISTED.match(name)):
                self.listed[one[1]].add(one[2])
                self.list_of[name] = one[1]
        self.mixture = self.mixture or bool(self.listed)
        self.known: dict[tuple[str, str, int, bool, bool], str] = {}

    def weight(self, parameter: Parameter) -> Weight:
        """A parameter with its role."""
        name, shape = parameter.name, parameter.shape
        alike = _NUMBER.sub("0", name)
        at, inside = _place(alike)
        if at is None:
            layer, role = None, self._outside(parameter, [_snake(part) for part in inside])
        else:
            layer, gated = int(name.split(".")[at]), ".w1." in name and name.replace(".w1.", ".w3.") in self.shapes
            key = alike, parameter.owner, len(shape), bool(self.recurrent) and self._keeps_a_state(name), gated
            if key not in self.known:
                self.known[key] = self._inside(_Held(parameter.owner, inside, *key[2:]))
            role = self.known[key]
        experts = self._experts(parameter, role) if role.startswith("expert ") else None
        transposed = parameter.owner == "Conv1D" and len(shape) == 2
        if experts and len(shape) == 3:
            transposed = self._is_stored_transposed(name)
        return Weight(name, shape, role, layer, transposed, parameter.tied_to, experts)

    def _outside(self, parameter: Parameter, parts: list[str]) -> str:
        """The role of a parameter outside the layers."""
        name, shape = parameter.name, parameter.shape
        found = _by_owner(parameter.owner, parts, len(shape))
        if found == "bias":
            of_head = self._is_head(f"{name.rpartition('.')[0]}.weight")
            alone = re.search(r"(?:LM|Prediction)Head$", parameter.owner) is not None
            return "lm head bias" if of_head or (alone and shape[0] in self.vocabularies) else "bias"
        if found != "matrix":
            return found
        if self._is_head(name):
            return "lm head"
        path = ".".join(parts[:-1])
        return "classifier" if _CLASSIFIER.search(path) else "pooler" if "pooler" in path else "projection"

    def _is_head(self, name: str) -> bool:
        """Whether a matrix outside the layers scores a vocabulary."""
        if "Embed" in self.owners.get(name, "Embed"):
            return False
        tied = self.tied.get(name, "") in self.tables
        return tied or is_head(name.rpartition(".")[0], self.shapes[name], self.vocabularies)

    def _inside(self, held: _Held) -> str:
        """The role of a parameter in a layer."""
        parts = [_snake(part) for part in held.inside[1:]]
        found = _by_owner(held.owner, parts, held.dimensions)
        if found == "bias":
            # One for each expert: of a stack, or of experts in a list; what all add up to may have a bias as well.
            of_each = "Expert" in held.owner if held.dimensions > 1 else "experts" in parts[:-2]
            return "expert bias" if of_each else "bias"
        if found != "matrix":
            return found
        name = parts if held.dimensions == 3 and parts[-2] == "experts" else parts[:-1]
        name = name if parts[-1] == "weight" or name is parts else parts
        sublayer, base = sublayer_of([held.inside[0], *name]), name[-1]
        routed = "Router" in held.owner or any("router" in part for part in name) or base == "shared_expert_gate"
        if routed or (base == "gate" and self.mixture and sublayer in ("feed-forward", "mixer", "")):
            return "router"
        if re.search(r"Expert|MoE", held.owner):
            sublayer = sublayer if sublayer == "shared-expert" else "expert"
        elif sublayer == "attention" and held.recurrent:
            sublayer = "mixer"
        return what(sublayer, name, gated=held.gated)

    def _keeps_a_state(self, name: str) -> bool:
        """Whether a parameter is of a linear attention or a state space, though its module is called attention."""
        module = _ATTENTION.match(name)
        return module is not None and module[1] in self.recurrent

    def _experts(self, parameter: Parameter, role: str) -> tuple[int, int]:
        """How many experts a token passes through, 0 if nobody says, and how many there are."""
        listed = self.list_of.get(parameter.name, parameter.name)
        if listed not in self.experts:
            count = len(self.listed[listed]) if listed in self.listed else parameter.shape[0]
            self.experts[listed] = self.used.of(parameter.name, count), count
        return self.experts[listed]

    def _is_stored_transposed(self, name: str) -> bool:
        """Whether a stack of matrices is (experts, inputs, outputs): the two of a gated network tell."""
        stem = name.rpartition(".")[0]
        first, last = (self.shapes.get(f"{stem}.{one}") for one in ("gate_up_proj", "down_proj"))
        if first is None or last is None or len(first) != 3 or len(last) != 3:
            return False
        return first[1] == last[2] and first[2] == 2 * last[1]


def _by_owner(owner: str, parts: list[str], dimensions: int) -> str:
    """The role of a parameter as far as its owner tells: `matrix` for one that the modules around it say more of."""
    leaf = parts[-1]
    if "Embedding" in owner and leaf == "weight" and dimensions == 2:
        return other_role(owner, [*parts[:-1], "table"], dimensions)
    if ("Norm" in owner or "GRN" in owner) and "Embedding" not in owner:
        return "norm"
    if ("bias" in leaf and not leaf.endswith("bias_table")) or leaf in ("bias_u", "bias_v"):
        return "bias"
    if dimensions > 2 and _CONVOLUTION.match(owner):
        return "convolution"
    is_stack = dimensions == 3 and ("Expert" in owner or "MoE" in owner)
    is_matrix = is_stack or (dimensions == 2 and leaf in ("weight", "in_proj_weight"))
    return "matrix" if is_matrix and not _NO_MATRIX.search(owner) else other_role(owner, parts, dimensions)
