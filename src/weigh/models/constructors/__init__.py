"""Models of any type that transformers has: the shapes that its own constructors ask for.

The constructors of the classes of configs and models were sliced to what decides shapes (`make families`), and lie as
Python in `constructors.zip`. The module of the type that is asked for is read from there and run against stand-ins of
torch that know shapes alone. A value that the stand-ins do not compute may decide nothing: if a shape or a condition
depends on one, the model is refused.
"""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from weigh.errors import NotConstructed, UnknownArchitecture, WeighError
from weigh.models.constructors import configs, given, modules
from weigh.models.constructors.unknown import Unknown

ARCHIVE = Path(__file__).with_name("constructors.zip")

DEFAULTS = (
    "AutoModelForSeq2SeqLM", "AutoModelForSpeechSeq2Seq", "AutoModelForMultimodalLM", "AutoModelForImageTextToText",
    "AutoModelForCausalLM", "AutoModel",
)  # fmt: skip
"""The kinds of classes that a config without `architectures` may mean, the first that there is. An encoder that fills
in masked words means the class without a head, as those of the families here do."""


@dataclass(frozen=True, slots=True)
class Constructed:
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
    read: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Parameter:
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
def index() -> dict[str, Any]:
    """What is in the archive: the classes of configs and models, and of the Auto classes."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        found: dict[str, Any] = json.loads(archive.read("index.json"))
        return found


def version() -> str:
    """The version of transformers whose constructors these are."""
    return str(index()["transformers"])


def types() -> frozenset[str]:
    """The model types that there are constructors of."""
    made = {kind for _, kind in index()["models"].values()}
    mapped = {kind for models in index()["auto"].values() for kind, name in models.items() if name in index()["models"]}
    return frozenset((made | mapped) & index()["configs"].keys())


class Library:
    """The sliced modules, each run when a name of it is first asked for."""

    def __init__(self) -> None:
        self.loaded: dict[str, dict[str, Any]] = {}
        known = given.stand_ins(index()["activations"])
        known["AutoConfig"] = self.Configs(self)
        known["CONFIG_MAPPING"] = known["AutoConfig"]
        self.given = given.lookup(known, lambda name: Auto(self, name))

    class Configs:
        """`AutoConfig`, and the mapping from model types to classes of configs."""

        def __init__(self, library: "Library") -> None:
            self.library = library

        def __getitem__(self, kind: str) -> Any:
            return self.library.config(kind)

        def __contains__(self, kind: str) -> bool:
            return kind in index()["configs"]

        def for_model(self, kind: str, **fields: Any) -> Any:
            """A config of a type."""
            return self.library.config(kind)(**fields)

    def config(self, kind: Any) -> Any:
        """The config class of a model type."""
        if not isinstance(kind, str) or kind not in index()["configs"]:
            raise NotConstructed("field model_type", f"{kind!r:.40} is none that transformers {version()} has")
        return self.bring(*index()["configs"][kind])

    def model(self, name: str) -> Any:
        """The model class of a name."""
        if name not in index()["models"]:
            raise NotConstructed("a model class", f"{name!r:.60} is none that transformers {version()} can build here")
        path, kind = index()["models"][name]
        found = self.bring(path, name)
        found.config_class = self.config(kind)
        return found

    def bring(self, path: str, name: str) -> Any:
        """A name of a sliced module."""
        if path not in self.loaded:
            self.loaded[path] = space = {
                "__builtins__": {**given.SAFE, "range": given.limited_range},
                "__name__": path, "bring": self.bring, "given": self.given, "missing": missing,
                "repeated": given.repeated, "Buffers": modules.Buffers,
            }  # fmt: skip
            with zipfile.ZipFile(ARCHIVE) as archive:
                source = archive.read(f"{path}.py")
            try:
                exec(compile(source, f"{ARCHIVE.name}/{path}.py", "exec"), space)  # noqa: S102 — the package's own data
            except BaseException:
                del self.loaded[path]
                raise
        return self.loaded[path][name]


def missing(name: str) -> Callable[..., Any]:
    """A class of modules that was not sliced."""

    def refuse(*given: Any, **named: Any) -> Any:
        raise NotConstructed("the model's constructor", f"makes a {name}, which weigh does not know")

    return refuse


class Auto:
    """One of the Auto classes: it makes the model that belongs to a config."""

    def __init__(self, library: Library, name: str) -> None:
        self.library, self.name = library, name

    def from_config(self, config: Any, **named: Any) -> Any:
        """The model of a config."""
        models = index()["auto"].get(self.name, {})
        kind = type(config).model_type  # not the field, which a nested config may have from another one
        if kind not in models:
            raise NotConstructed(self.name, f"has no model of type {kind!r:.40}")
        passed = {name: value for name, value in named.items() if name not in ("dtype", "torch_dtype")}
        passed = {name: value for name, value in passed.items() if "implementation" not in name}
        return self.library.model(models[kind])(config, **passed)

    _from_config = from_config

    def __contains__(self, kind: str) -> bool:
        return kind in self.models()

    def __getitem__(self, kind: Any) -> Any:
        if isinstance(kind, type):
            kind = kind.model_type
        return self.library.model(self.models()[kind])

    def values(self) -> Any:
        """The names of the classes."""
        return self.models().values()

    def keys(self) -> Any:
        """The model types."""
        return self.models().keys()

    def models(self) -> dict[str, str]:
        """The class of each model type."""
        found: dict[str, str] = index()["auto"].get(self.name) or index()["mappings"].get(self.name, {})
        return found


@cache
def library() -> Library:
    """The sliced modules of the archive."""
    made = Library()
    configs.SubConfigSpec.lookup = staticmethod(made.config)
    return made


def architecture_of(kind: str) -> str:
    """The class that a config without `architectures` means."""
    auto = index()["auto"]
    encodes = kind in auto.get("AutoModelForMaskedLM", {}) and kind not in auto.get(DEFAULTS[0], {})
    for name in DEFAULTS[-1:] if encodes else DEFAULTS:
        found = auto.get(name, {}).get(kind)
        if found in index()["models"]:
            return str(found)
    named = [name for name, (_, of) in index()["models"].items() if of == kind]
    if not named:
        raise UnknownArchitecture("field model_type", f"transformers {version()} has no model of {kind!r:.40}")
    return min(named, key=len)


def covers(kind: str, architecture: str) -> bool:
    """Whether a class is one of a model type."""
    made = index()["models"].get(architecture, ("", ""))[1] == kind
    return made or any(models.get(kind) == architecture for models in index()["auto"].values())


def construct(fields: dict[str, Any], architecture: str | None = None) -> Constructed:
    """A model from the fields of a config file.

    Args:
        fields: The JSON object of a `config.json`, with a `model_type`.
        architecture: The class to make; by default the one of `architectures`, or the usual one of the type.

    Raises:
        UnknownArchitecture: If the type or the class is none of transformers.
        InvalidConfig: If the constructor asks for a size that none is, or for more modules than anybody waits for.
        NotConstructed: If it refuses the fields otherwise, or asks for what the stand-ins do not compute.
    """
    kind = fields.get("model_type")
    if not isinstance(kind, str) or kind not in types():
        raise UnknownArchitecture("field model_type", f"{kind!r:.40} is none that transformers {version()} builds")
    named = fields.get("architectures")
    if architecture is None and isinstance(named, list) and len(named) == 1 and isinstance(named[0], str):
        architecture = named[0]
    architecture = architecture or architecture_of(kind)
    if not covers(kind, architecture):
        raise UnknownArchitecture("field architectures", f"{architecture!r:.60} is no class of {kind} in transformers")
    modules.Budget.made = 0
    try:
        config = library().config(kind)(**{name: value for name, value in fields.items() if name != "model_type"})
        model = library().model(architecture)(config)
        if unapplied(config):
            raise NotConstructed("field per_layer_config", f"sizes of single layers are not known to weigh in {kind}")
    except WeighError:
        raise
    except RecursionError:
        raise NotConstructed(architecture, "nests its configs too deep") from None
    except Exception as error:  # whatever a constructor raises, for fields that it was not written for
        raise NotConstructed(architecture, f"cannot be made of these fields ({type(error).__name__}: {error})"[:200]) from None
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


__all__ = ["Constructed", "NotConstructed", "Parameter", "Unknown", "construct", "index", "types", "version"]
