"""What stands in for the names that sliced constructors take from outside of transformers' models."""

import builtins
import collections
import collections.abc
import copy
import enum
import functools
import itertools
import math
import re
import types
import typing
from collections.abc import Callable
from typing import Any

from weigh.errors import InvalidConfig
from weigh.models.constructors import configs, containers, creating, layers, modules, pretrained, shapes, single_layers
from weigh.models.constructors.sizes import sized
from weigh.models.constructors.unknown import Unknown

MOST_ITEMS = 100_000
"""The longest list and the longest loop of a constructor."""

STANDARD = {each.__name__: each for each in (collections, copy, enum, functools, itertools, math, re)}

SAFE = {
    name: getattr(builtins, name)
    for name in (
        "__build_class__", "abs", "all", "any", "bool", "bytes", "callable", "classmethod", "dict", "divmod",
        "enumerate", "filter", "float", "frozenset", "getattr", "hasattr", "id", "int", "isinstance",
        "issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "pow",
        "property", "repr", "reversed", "round", "set",
        "setattr", "slice", "sorted", "staticmethod", "str", "sum", "super", "tuple", "type", "vars", "zip", "delattr",
        "AttributeError", "AssertionError", "Exception", "ImportError", "IndexError", "KeyError", "NotImplementedError",
        "RuntimeError", "StopIteration", "TypeError", "ValueError", "NotImplemented", "Ellipsis", "OSError",
    )
}  # fmt: skip
"""The builtins that constructors may use: none that imports, opens or runs anything."""


def limited_range(*bounds: Any) -> range:
    """A range of a length that somebody would wait for."""
    for bound in bounds:
        if isinstance(bound, Unknown):
            bound._refuse()
    found = range(*bounds)
    shapes.bounded(len(found), MOST_ITEMS, "steps of a loop")
    return found


def repeated(one: Any, other: Any) -> Any:
    """A list so many times."""
    if isinstance(one, int) or isinstance(other, int):
        count = one if isinstance(one, int) else other
        shapes.bounded(count * len(other if count is one else one), MOST_ITEMS, "items of a list")
    return one * other


class Named:
    """A module of which some names are known, and all others are unknown."""

    def __init__(self, name: str, **known: Any) -> None:
        self.__dict__.update(known)
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Unknown(f"{self.name}.{name}")


class Layers(Named):
    """`torch.nn`: its layers by name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return layers.layer(name)


@functools.cache
def activation(name: str) -> type[modules.Module]:
    """The class of an activation function."""
    return type(name, (modules.Module,), {})


class Activations(dict[str, Any]):
    """Activation functions by name, with the parameters that a few of them learn."""

    def __missing__(self, name: Any) -> Any:
        raise InvalidConfig("an activation", f"{name!r:.40} is none that transformers has")

    def __getitem__(self, name: Any) -> Any:
        found = super().__getitem__(name)
        module = activation(found["class"])()
        for each, shape in found["parameters"]:
            module.register_parameter(each, sized(*shape))
        return module


def buffer(data: Any = None, persistent: bool = True) -> Any:
    """A tensor that is no parameter."""
    return data


def validated(**limits: Any) -> Callable[..., configs.Field]:
    """A field whose values transformers checks."""
    return configs.Field


class Classes(Named):
    """Activation functions by name, as the classes that make them."""

    def __init__(self, functions: Activations) -> None:
        super().__init__("ACT2CLS", functions=functions)

    def __getitem__(self, name: Any) -> Any:
        return lambda *given, **named: self.functions[name]


def unchanged(given: Any = None, *rest: Any, **named: Any) -> Any:
    """A decorator that leaves what it is given."""
    return given if given is not None else unchanged


def product(values: Any, *rest: Any, **named: Any) -> Any:
    """The product of numbers, as `numpy.prod` and `math.prod` give it."""
    found = 1
    for value in values if isinstance(values, list | tuple) else [values]:
        found = found * value
    return found


def signature(function: Any) -> types.SimpleNamespace:
    """The fields that a config takes; or what a decoder is asked for before it is put together with an encoder.

    That is whether it reads the encoder's states.
    """
    fields = getattr(function, "fields", None) if isinstance(function, types.FunctionType) else None
    return types.SimpleNamespace(parameters=fields or {"encoder_hidden_states": None})


def torch_modules() -> dict[str, Any]:
    """The stand-ins of torch, by the names of its modules."""
    norms = Named("parametrizations", weight_norm=layers.weight_norm)
    utils = Named("torch.nn.utils", weight_norm=layers.old_weight_norm, parametrizations=norms)
    functional = Named("torch.nn.functional")
    nn = Layers(
        "torch.nn", Module=modules.Module, Parameter=modules.Parameter, ModuleList=containers.ModuleList,
        ModuleDict=containers.ModuleDict, Sequential=containers.Sequential, ParameterList=containers.ParameterList,
        ParameterDict=containers.ParameterDict, functional=functional, utils=utils, init=Named("torch.nn.init"),
        Buffer=buffer, parameter=Named("torch.nn.parameter", Parameter=modules.Parameter),
    )  # fmt: skip
    torch = Named("torch", nn=nn, Size=tuple, **creating.CREATED)
    return {
        "torch": torch, "torch.nn": nn, "torch.nn.functional": functional, "torch.nn.utils": utils,
        "torch.nn.utils.parametrizations": norms, "torch.nn.init": nn.init,
    }  # fmt: skip


def stand_ins(activations: dict[str, Any]) -> dict[str, Any]:
    """Every name that has a stand-in of its own."""
    torch = torch_modules()
    acting = Activations(activations)
    return {
        **STANDARD, **torch,
        "remap_legacy_layer_types": single_layers.renamed,
        "numpy": Named(
            "numpy", linspace=creating.linspace, prod=product, ceil=math.ceil, floor=math.floor, log2=math.log2,
            sqrt=math.sqrt,
        ),
        "PreTrainedConfig": configs.PreTrainedConfig, "PretrainedConfig": configs.PreTrainedConfig,
        "SubConfigSpec": configs.SubConfigSpec, "PreTrainedModel": pretrained.PreTrainedModel,
        "GradientCheckpointingLayer": modules.Module, "ACT2FN": acting, "ACT2CLS": Classes(acting),
        "get_activation": acting.__getitem__, "logger": Named("logger"), "strict": unchanged,
        "is_torch_available": lambda: True, "classproperty": property,
        "huggingface_hub.dataclasses.as_validated_field.<locals>._inner": configs.Field,
        "transformers.utils.generic.torch_int": int, "_functools.reduce": functools.reduce,
        "collections.abc": collections.abc, "typing": typing, "interval": validated,
        "dataclasses.field": configs.Field, "functools.partial": functools.partial, "partial": functools.partial,
        "collections.OrderedDict": dict, "copy.deepcopy": copy.deepcopy, "copy.copy": copy.copy,
        "types.SimpleNamespace": types.SimpleNamespace, "functools.cached_property": functools.cached_property,
        "functools.lru_cache": unchanged, "enum.Enum": enum.Enum, "math.prod": product, "prod": product,
        "inspect.signature": signature, "inspect": Named("inspect", signature=signature),
        "operator.attrgetter": Unknown("attrgetter"),
    }  # fmt: skip


ABSENT = {
    "is_deepspeed_zero3_enabled", "is_flash_attention_requested", "is_fsdp_managed_module", "is_torchdynamo_compiling",
}  # fmt: skip
"""What transformers asks for with a function, and which is not there when a model is built on the meta device."""


def no(*given: Any, **named: Any) -> bool:
    """That something is not there."""
    return False


MIXINS = {
    "GenerationMixin", "PushToHubMixin", "EmbeddingAccessMixin", "RotaryEmbeddingConfigMixin", "ModelOutput",
    "BackboneMixin", "ABC", "Mixin",
}  # fmt: skip


class BackboneMixin:
    """A model that gives the features of some of its stages."""

    config: Any

    def __init__(self, config: Any, *given: Any, **named: Any) -> None:
        super().__init__(config, *given, **named)  # type: ignore[call-arg]
        self.stage_names: Any = getattr(config, "stage_names", None)
        self.num_features: Any = None

    @property
    def out_features(self) -> Any:
        """The stages whose features it gives."""
        return self.config._out_features

    @property
    def out_indices(self) -> Any:
        """Their numbers."""
        return self.config._out_indices

    @property
    def out_feature_channels(self) -> Any:
        """The channels of each stage."""
        return {stage: self.num_features[i] for i, stage in enumerate(self.stage_names)}

    @property
    def channels(self) -> Any:
        """The channels of the stages whose features it gives."""
        return [self.out_feature_channels[name] for name in self.out_features]


def lookup(known: dict[str, Any], auto: Callable[[str], Any]) -> Callable[[str], Any]:
    """What gives a stand-in by its name; a dotted one may be the name of something in a module that has one."""

    def given(name: str) -> Any:
        if name == "BackboneMixin":
            return BackboneMixin
        if name.split(".")[-1] in MIXINS:
            return modules.Mixin
        if name in known:
            return known[name]
        if name.startswith(("Auto", "MODEL_", "CONFIG_MAPPING")):
            return auto(name)
        if name.startswith("torch.nn.modules.") or name.startswith("torch.nn.parameter"):
            return getattr(known["torch.nn"], name.split(".")[-1])
        home, _, last = name.rpartition(".")
        if home.startswith("transformers") and (last in ABSENT or last.endswith("_available")):
            return no
        return getattr(known[home], last) if home in known else Unknown(name)

    return given
