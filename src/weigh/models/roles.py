"""The role of each parameter of a constructed model: what it is for, in the words of `weigh.models.layers`.

A constructor says of a parameter its name, its shape and the class of the module that holds it. From these the role
follows: the class tells tables, norms, convolutions and stacks of experts from matrices, and the names of the modules
around a matrix tell which sublayer it belongs to, and what it is there.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from weigh.models.layers import Shape, Weight
from weigh.models.role_names import head_of, is_head, other_role, sublayer_of, what
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


_LAYERS = re.compile(r"(?:^|_)(?:layers?|blocks?|resblocks|h|stages?|layer_groups|encoders)$")
"""What lists of layers are called."""

_NO_LAYERS = re.compile(r"project|connector|merger|adapter|classif|(?:^|_)heads?$|embed")
"""Modules whose numbered parts are no layers, but the pieces of a head or of a connection."""

_RECURRENT = re.compile(r"(.+?\.[^.]*att[^.]*\.)(?:.+\.)?(?:A_log|dt_bias|time_decay|output_gate\.weight)$")
"""Parameters that only a linear attention or a state space has, after the module that holds them."""

_LISTED = re.compile(r"(.+\bexperts)\.((?:expert_)?\d+)\.")
"""Experts that are modules in a list, and not stacked in one tensor."""


def weights(constructed: Constructed) -> Iterator[Weight]:
    """The parameters of a constructed model as weights of a specification, each with its role and its layer."""
    parameters = tuple(constructed.parameters)
    rules = _Rules(parameters, routing(constructed.config), _vocabularies(constructed.config))
    return (rules.weight(parameter) for parameter in parameters)


def layer_of(name: str) -> int | None:
    """The number of the layer that a parameter of that name belongs to, of a stage where layers come in those."""
    return _split(name)[0]


def _split(name: str) -> tuple[int | None, list[str]]:
    """The number of the layer, and the modules inside of it down to the parameter; outside the layers, all modules."""
    parts = name.split(".")
    for i in range(1, len(parts)):
        if _NO_LAYERS.search(parts[i - 1].lower()):
            break
        inside = [part for part in parts[i + 1 :] if not part.isdigit()]
        if parts[i].isdigit() and len(inside) > 1 and _LAYERS.search(parts[i - 1].lower()):
            return int(parts[i]), inside
    return None, [part for part in parts if not part.isdigit()]


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


class _Rules:
    """The rules, for the parameters of one model."""

    def __init__(self, parameters: tuple[Parameter, ...], used: Routing, vocabularies: frozenset[int]) -> None:
        self.used, self.vocabularies = used, vocabularies
        self.owners = {parameter.name: parameter.owner for parameter in parameters}
        self.shapes = {parameter.name: parameter.shape for parameter in parameters}
        self.tables = {parameter.name for parameter in parameters if "Embedding" in parameter.owner}
        self.tied = {parameter.name: parameter.tied_to for parameter in parameters if parameter.tied_to}
        self.tied |= {table: name for name, table in self.tied.items()}
        self.mixture = any("xpert" in name or "Expert" in owner for name, owner in self.owners.items())
        self.recurrent = {match[1] for name in self.owners if (match := _RECURRENT.match(name))}
        self.listed: dict[str, set[str]] = defaultdict(set)
        for name in self.owners:
            if one := _LISTED.match(name):
                self.listed[one[1]].add(one[2])

    def weight(self, parameter: Parameter) -> Weight:
        """A parameter with its role."""
        layer, inside = _split(parameter.name)
        parts = [_snake(part) for part in inside]
        role = self._role(parameter, layer, parts)
        experts = self._experts(parameter, role)
        transposed = parameter.owner == "Conv1D" and len(parameter.shape) == 2
        if experts and len(parameter.shape) == 3:
            transposed = self._is_stored_transposed(parameter)
        return Weight(
            parameter.name, parameter.shape, role, layer, transposed, parameter.tied_to, experts,
        )  # fmt: skip

    def _role(self, parameter: Parameter, layer: int | None, parts: list[str]) -> str:
        owner, shape, leaf = parameter.owner, parameter.shape, parts[-1]
        modules = parts[:-1]
        if "Embedding" in owner and leaf == "weight" and len(shape) == 2:
            return other_role(owner, [*modules, "table"], shape)
        if re.search(r"Norm|GRN", owner) and "Embedding" not in owner:
            return "norm"
        if ("bias" in leaf and not leaf.endswith("bias_table")) or leaf in ("bias_u", "bias_v"):
            return self._bias(parameter, layer, modules)
        if re.match(r"Parametriz|.*Conv(Transpose)?\dd", owner, re.IGNORECASE) and len(shape) > 2:
            return "convolution"
        is_stack = len(shape) == 3 and re.search("Expert|MoE", owner) is not None
        is_matrix = (
            ((leaf in ("weight", "in_proj_weight") and len(shape) == 2) or is_stack)
            and not re.search(r"LSTM|GRU|Conv\dd", owner)
            and not re.search(r"Embedding", owner)
        )
        if not is_matrix:
            return other_role(owner, parts, shape)
        if layer is None:
            return self._outside(parameter, modules)
        name = modules if leaf == "weight" and not (is_stack and modules[-1] == "experts") else parts
        return self._inside(parameter, name)

    def _bias(self, parameter: Parameter, layer: int | None, modules: list[str]) -> str:
        weight = f"{parameter.name.rpartition('.')[0]}.weight"
        if layer is None:
            of_head = weight in self.shapes and self._is_head(weight)
            alone = (
                re.search(r"(?:LM|MLM|Prediction)Head$", parameter.owner) and parameter.shape[0] in self.vocabularies
            )
            return "lm head bias" if of_head or alone else "bias"
        return "expert bias" if sublayer_of(modules) == "expert" or "Expert" in parameter.owner else "bias"

    def _is_head(self, name: str) -> bool:
        tied = self.tied.get(name, "") in self.tables
        return "Embed" not in self.owners[name] and (
            tied or is_head(head_of(name), self.shapes[name], self.vocabularies)
        )

    def _outside(self, parameter: Parameter, modules: list[str]) -> str:
        if self._is_head(parameter.name):
            return "lm head"
        path = ".".join(modules)
        if re.search(r"classif|score|qa_outputs|discriminator|seq_relationship|(?:^|\.)cls$|logits", path):
            return "classifier"
        return "pooler" if "pooler" in path else "projection"

    def _inside(self, parameter: Parameter, name: list[str]) -> str:
        sublayer = sublayer_of(name)
        base = name[-1] if name else ""
        routed = "Router" in parameter.owner or any("router" in part for part in name) or base == "shared_expert_gate"
        if routed or (base == "gate" and self.mixture and sublayer in ("feed-forward", "mixer", "")):
            return "router"
        if re.search(r"Expert|MoE", parameter.owner):
            sublayer = "shared-expert" if "Shared" in parameter.owner else "expert"
        elif sublayer == "attention" and self._keeps_a_state(parameter.name):
            sublayer = "mixer"
        return what(sublayer, name, gated=re.sub(r"\bw1\b", "w3", parameter.name) in self.shapes)

    def _keeps_a_state(self, name: str) -> bool:
        """Whether a matrix is of a linear attention or a state space, though its module is called attention."""
        return any(name.startswith(module) for module in self.recurrent)

    def _experts(self, parameter: Parameter, role: str) -> tuple[int, int] | None:
        if not role.startswith("expert "):
            return None
        listed = _LISTED.match(parameter.name)
        count = len(self.listed[listed[1]]) if listed else parameter.shape[0]
        return self.used.of(parameter.name, count), count

    def _is_stored_transposed(self, parameter: Parameter) -> bool:
        """Whether a stack of matrices is (experts, inputs, outputs): the two of a gated network tell."""
        stem = parameter.name.rpartition(".")[0]
        first, last = (self.shapes.get(f"{stem}.{name}") for name in ("gate_up_proj", "down_proj"))
        if first is None or last is None or len(first) != 3 or len(last) != 3:
            return False
        return first[1] == last[2] and first[2] == 2 * last[1]
