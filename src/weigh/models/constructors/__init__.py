"""Models of any type that transformers has: the shapes that its own constructors ask for.

The constructors of the classes of configs and models were sliced to what decides shapes (`make families`), and lie as
Python in `constructors.zip`. The module of the type that is asked for is read from there and run against stand-ins of
torch that know shapes alone. A value that the stand-ins do not compute may decide nothing: if a shape or a condition
depends on one, the model is refused.
"""

from functools import cache
from typing import Any, NamedTuple

from weigh.errors import InvalidConfig, NotConstructed, UnknownArchitecture, WeighError
from weigh.models.constructors import configs, modules
from weigh.models.constructors.archive import Entry, index
from weigh.models.constructors.library import library, version
from weigh.models.meta_device import DEFAULTS

PUBLISHED = {"Qwen2_5OmniModel": "Qwen2_5OmniForConditionalGeneration"}
"""Classes that configs name as they were called before transformers had them."""


class Constructed(NamedTuple):
    """A model as its constructor makes it.

    Attributes:
        architecture: The class that was made.
        model_type: The type of its config.
        config: The config with all that its class computes, nested configs as attributes.
        parameters: Every parameter under every name it has, in the order of the state dict.
        read: The fields that the classes asked for, those of nested configs with dots.
    """

    architecture: str
    model_type: str
    config: Any
    parameters: tuple["Parameter", ...]
    read: frozenset[str]


class Parameter(NamedTuple):
    """A parameter of a model.

    Attributes:
        name: Its key in the state dict.
        shape: Its dimensions.
        owner: The class of the module that holds it, such as `Linear`, or `LlamaRMSNorm`.
        tied_to: The name of the same tensor that comes first, if this is a second one.
    """

    name: str
    shape: tuple[int, ...]
    owner: str
    tied_to: str = ""


@cache
def types() -> frozenset[str]:
    """The model types that there are constructors of."""
    return frozenset(kind for kind, found in index().types().items() if found["models"] or found["auto"])


def has(kind: Any) -> bool:
    """Whether there are constructors of a model type."""
    found = index().of(kind)
    return found is not None and bool(found["models"] or found["auto"])


def _of(kind: str) -> Entry:
    return index().of(kind) or {"models": {}, "auto": {}}


def architecture_of(kind: str) -> str:
    """The class that a config without `architectures` means."""
    named, auto = _of(kind)["models"], _of(kind)["auto"]
    encodes = "AutoModelForMaskedLM" in auto and DEFAULTS[0] not in auto
    for name in DEFAULTS[-1:] if encodes else DEFAULTS:
        if name in auto and (auto[name] in named or not named):  # else it takes the config of another type
            return str(auto[name])
    if not named:
        raise UnknownArchitecture("field model_type", f"transformers {version()} has no model of {kind!r:.40}")
    return str(min(named, key=len))


def covers(kind: str, architecture: str) -> bool:
    """Whether a class is one of a model type."""
    return architecture in _of(kind)["models"] or architecture in _of(kind)["auto"].values()


def spelled(kind: str, architecture: str) -> str:
    """A class of a model type as transformers spells it: some that were published before are spelled otherwise."""
    if architecture in PUBLISHED:
        return PUBLISHED[architecture]
    alike = [name for name in _of(kind)["models"] if name.lower() == architecture.lower()]
    return alike[0] if len(alike) == 1 else architecture


def construct(fields: dict[str, Any], architecture: str | None = None) -> Constructed:
    """A model from the fields of a config file.

    Args:
        fields: The JSON object of a `config.json`, with a `model_type`.
        architecture: The class to make; by default the one of `architectures`, or the usual one of the type.

    Raises:
        UnknownArchitecture: If the type or the class is none of transformers.
        InvalidConfig: If the constructor refuses the fields, as it does in transformers, or asks for more modules than
            anybody waits for.
        NotConstructed: If it asks for what the stand-ins do not compute.
    """
    kind = fields.get("model_type")
    if not isinstance(kind, str) or not has(kind):
        raise UnknownArchitecture("field model_type", f"{kind!r:.40} is none that transformers {version()} builds")
    if kind in index().head["refused"]:
        raise NotConstructed(kind, f"the constructors of transformers {version()} are not known to be right here")
    named = fields.get("architectures")
    if architecture is None and isinstance(named, list) and len(named) == 1 and isinstance(named[0], str):
        architecture = named[0]
    architecture = spelled(kind, architecture or architecture_of(kind))
    if not covers(kind, architecture):
        raise UnknownArchitecture("field architectures", f"{architecture!r:.60} is no class of {kind} in transformers")
    modules.Budget.reset()
    try:
        config = library().config(kind)(**{name: value for name, value in fields.items() if name != "model_type"})
        model = library().model(architecture)(config)
        if unapplied(config):
            raise NotConstructed("field per_layer_config", f"sizes of single layers are not known to weigh in {kind}")
    except WeighError:
        raise
    except RecursionError:
        raise NotConstructed(architecture, "nests its configs too deep") from None
    except (ZeroDivisionError, OverflowError) as error:  # which transformers would raise as well, in ten seconds
        raise InvalidConfig("the model's constructor", f"cannot compute with these sizes: {error}"[:200]) from None
    except Exception as error:  # whatever a constructor raises, for fields that it was not written for
        from weigh.models.constructors.refusing import refusal  # which needs no time where nothing is refused

        if why := refusal(error):
            problem = f"refuses these fields; mend what stops it: {why}"[:200]
            raise InvalidConfig("the model's constructor", problem) from None
        raise NotConstructed(
            architecture, f"cannot be made of these fields ({type(error).__name__}: {error})"[:200]
        ) from None
    return Constructed(architecture, kind, config, tuple(parameters(model)), frozenset(asked(config)))


def unapplied(config: Any) -> bool:
    """Whether single layers have sizes of their own that no constructor asked for."""
    inner = [value for value in config.__dict__.values() if isinstance(value, configs.PreTrainedConfig)]
    here = any(config.__dict__.get("overrides", {}).values()) and "per_layer_config" not in config.asked
    return here or any(map(unapplied, inner))


def parameters(model: modules.Module) -> list[Parameter]:
    """The parameters of a model under all their names."""
    first: dict[int, str] = {}
    found = []
    for prefix, module in model.named_modules():
        for name, each in module._parameters.items():
            if each is not None:
                full = f"{prefix}.{name}" if prefix else name
                tied_to = first.setdefault(id(each), full)
                found.append(Parameter(full, each.shape, type(module).__name__, "" if tied_to == full else tied_to))
    return found


def asked(config: Any, prefix: str = "") -> set[str]:
    """The fields of a config and of those in it that were asked for, by all names that they have."""
    found = {f"{prefix}{name}" for name in config.asked}
    found |= {f"{prefix}{old}" for old, new in type(config).attribute_map.items() if new in config.asked}
    for name, value in config.__dict__.items():
        if isinstance(value, configs.PreTrainedConfig):
            found |= asked(value, f"{prefix}{name}.")
    return found


__all__ = ["Constructed", "NotConstructed", "Parameter", "construct", "has", "library", "types", "version"]
