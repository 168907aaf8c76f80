"""The library of sliced constructors: the modules of the archive, each run when a name of it is first asked for."""

from collections.abc import Callable
from functools import cache
from typing import Any

from weigh.errors import InvalidConfig, NotConstructed
from weigh.models.constructors import archive, configs, given, modules
from weigh.models.constructors.archive import index


def version() -> str:
    """The version of transformers whose constructors these are."""
    return str(index().head["transformers"])


class Library:
    """The sliced modules, each run when a name of it is first asked for."""

    def __init__(self) -> None:
        self.loaded: dict[str, dict[str, Any]] = {}
        known = given.stand_ins(index().head["activations"])
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
            return index().of(kind) is not None

        def for_model(self, kind: str, **fields: Any) -> Any:
            """A config of a type."""
            return self.library.config(kind)(**fields)

    def config(self, kind: Any) -> Any:
        """The config class of a model type."""
        if not isinstance(kind, str):
            raise InvalidConfig("field model_type", f"must be text, not {kind!r:.40}")
        found = index().of(kind)
        if found is None:
            raise NotConstructed("field model_type", f"{kind!r:.40} is none that transformers {version()} has")
        return self.bring(*found["config"])

    def model(self, name: str) -> Any:
        """The model class of a name."""
        owner = index().owner(name)
        if owner is None:
            raise NotConstructed("a model class", f"{name!r:.60} is none that transformers {version()} can build here")
        path, kind = owner
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
                "step": modules.Budget.step, "counted": modules.Budget.counted,
            }  # fmt: skip
            try:
                exec(compile(index().module(path), f"{archive.PATH.name}/{path}.py", "exec"), space)
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
    """One of the Auto classes, or a mapping of its name: it has, and makes, the model that belongs to a config."""

    def __init__(self, library: Library, name: str) -> None:
        self.library, self.name = library, index().head["mappings"].get(name, name)

    def from_config(self, config: Any, **named: Any) -> Any:
        """The model of a config."""
        kind = type(config).model_type  # not the field, which a nested config may have from another one
        if kind not in self:
            raise InvalidConfig(self.name, f"has no model of type {kind!r:.40}")
        passed = {name: value for name, value in named.items() if name not in ("dtype", "torch_dtype")}
        passed = {name: value for name, value in passed.items() if "implementation" not in name}
        return self[kind](config, **passed)

    _from_config = from_config

    def __contains__(self, kind: Any) -> bool:
        found = index().of(kind)
        return found is not None and self.name in found["auto"]

    def __getitem__(self, kind: Any) -> Any:
        found = index().of(getattr(kind, "model_type", kind))
        if found is None or self.name not in found["auto"]:
            raise KeyError(kind)
        return self.library.model(found["auto"][self.name])


@cache
def library() -> Library:
    """The sliced modules of the archive."""
    made = Library()
    configs.SubConfigSpec.lookup = staticmethod(made.config)
    return made
