"""The archive of sliced constructors: its index, and its modules, each run when a name of it is first asked for."""

import json
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from weigh.errors import NotConstructed
from weigh.models.constructors import configs, given, modules

ARCHIVE = Path(__file__).with_name("constructors.zip")


@cache
def archive() -> zipfile.ZipFile:
    """The archive, opened once: its directory alone takes as long as the modules of a model."""
    return zipfile.ZipFile(ARCHIVE)


@cache
def index() -> dict[str, Any]:
    """What is in the archive: the classes of configs and models, and of the Auto classes."""
    found: dict[str, Any] = json.loads(archive().read("index.json"))
    return found


def version() -> str:
    """The version of transformers whose constructors these are."""
    return str(index()["transformers"])


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
                "step": modules.Budget.step, "counted": modules.Budget.counted,
            }  # fmt: skip
            source = archive().read(f"{path}.py")
            try:
                exec(compile(source, f"{ARCHIVE.name}/{path}.py", "exec"), space)
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
        kind = getattr(kind, "model_type", kind)
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
