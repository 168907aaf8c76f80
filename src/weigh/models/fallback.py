"""The exact fallback: an installed transformers builds the model without memory, and is asked for its parameters.

That happens in a process of its own, without network, without code of the model's authors, and within limits of time
and memory. The answer is kept in the user's cache directory, by a digest of the config and of the versions.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from weigh.errors import NotConstructed
from weigh.models import meta_device
from weigh.models.constructors import Constructed, Parameter
from weigh.models.constructors.archive import index
from weigh.tensors import is_shape

SECONDS = 180
"""The longest that a count may take; most take ten, nearly all of it for imports."""

_PACKAGES = ("transformers", "torch", "timm", "torchvision")
"""What the count may depend on."""


def installed() -> dict[str, str]:
    """The versions of the packages that build models; nothing unless transformers and torch are there."""
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found if {"transformers", "torch"} <= found.keys() else {}


def building() -> str:
    """What builds models: transformers with its version; nothing if it is not installed."""
    found = installed()
    return f"transformers {found['transformers']}" if found else ""


def _has(fields: dict[str, Any], architecture: str | None) -> bool:
    """Whether the installed transformers may have the class, and the types of all configs, by the text of its files.

    It names all types in a few of them, with the classes that its Auto classes make; and a class is written in the
    folder of its config. To import them would take seconds.
    """
    found = find_spec("transformers")
    models = Path(*(found and found.submodule_search_locations) or ("",), "models")
    texts = {file.name: file.read_text(errors="replace") for file in models.glob("auto/*.py")}
    if not texts:
        return True
    if not all(any(f'"{name}"' in text for text in texts.values()) for name in _types(fields)):
        return False
    kind, mapped = str(fields.get("model_type")), texts.get("modeling_auto.py", "")
    if architecture is None:
        return f'"{kind}"' in mapped
    known = index().of(kind)
    if known is None or re.search(rf'"{re.escape(kind)}",\s*\(?[^()]*"{re.escape(architecture)}"', mapped):
        return True
    home = models / known["config"][0].split(".")[1]
    return any(f"class {architecture}(" in file.read_text(errors="replace") for file in home.glob("*.py"))


def _types(value: Any) -> Iterator[str]:
    """The model types that a config and the configs in it name."""
    if isinstance(value, dict):
        if isinstance(named := value.get("model_type"), str):
            yield named
        for inner in value.values():
            yield from _types(inner)


def build(fields: dict[str, Any], architecture: str | None, where: str) -> Constructed:
    """The model that the installed transformers builds of a config.

    Args:
        fields: The config, without what has transformers look for code or kernels.
        architecture: The class; `None` for the one that transformers has for the type alone.
        where: What to call the config in an error.

    Raises:
        NotConstructed: If transformers is not installed, does not know the type, or refuses the config.
    """
    versions = installed()
    if not versions:
        raise NotConstructed(where, "transformers and torch are not installed")
    if not _has(fields, architecture):
        raise NotConstructed(where, f"transformers {versions['transformers']} does not know it either")
    request = {"fields": fields, "model_type": fields.get("model_type"), "architecture": architecture}
    asked = json.dumps(request, sort_keys=True)
    program = Path(meta_device.__file__).read_bytes()
    kept = _directory() / f"{sha256(json.dumps([versions, asked]).encode() + program).hexdigest()}.json"
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _constructed(json.loads(kept.read_bytes()))
    answer = _ask(asked, where)
    try:
        constructed = _constructed(answer)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise NotConstructed(where, "transformers gave no answer that could be read") from None
    _keep(kept, answer)
    return constructed


def _ask(request: str, where: str) -> dict[str, Any]:
    """Start the program and read its answer."""
    silent = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    small = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
    try:
        # By its path and with -P, so that no file of the current directory is taken for a package.
        done = subprocess.run(
            [sys.executable, "-P", meta_device.__file__], input=request.encode(), env={**os.environ, **silent, **small},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=SECONDS, check=False,
        )  # fmt: skip
        answer = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise NotConstructed(where, f"transformers did not build it within {SECONDS} seconds") from None
    except (OSError, ValueError):
        raise NotConstructed(where, "transformers did not come to an end, perhaps for want of memory") from None
    if not isinstance(answer, dict) or "error" in answer:
        raise NotConstructed(where, f"transformers does not build it: {_line(answer)}")
    return answer


def _line(answer: Any) -> str:
    """The first two lines of what a library says, in one and not too long."""
    said = " ".join(str(answer.get("error", "") if isinstance(answer, dict) else "").split("\n")[:2])
    return "".join(one for one in said if one.isprintable())[:200].strip()


def _constructed(answer: dict[str, Any]) -> Constructed:
    """What an answer says.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: If it is no answer.
    """
    parameters = []
    for name, shape, owner, tied_to in answer["parameters"]:
        if not is_shape(shape) or not all(isinstance(text, str) for text in (name, owner, tied_to)):
            raise ValueError(name)
        parameters.append(Parameter(name, tuple(shape), owner, tied_to))
    if not isinstance(answer["architecture"], str) or not isinstance(answer["config"], dict):
        raise ValueError(answer["architecture"])
    config = _object(answer["config"])
    return Constructed(answer["architecture"], config.model_type, config, tuple(parameters), frozenset(answer["read"]))


def _object(value: Any) -> Any:
    """A config, and each inside it, as an object with attributes."""
    if isinstance(value, dict):
        fields = {name: _object(inner) for name, inner in value.items()}
        return SimpleNamespace(**fields) if "model_type" in fields else fields
    return [_object(inner) for inner in value] if isinstance(value, list) else value


def _directory() -> Path:
    """Where answers are kept: the user's cache directory, which the XDG specification lets a variable name."""
    usual = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    return Path(usual if os.path.isabs(usual) else os.path.expanduser("~/.cache"), "weigh", "meta-device")


def _keep(path: Path, answer: dict[str, Any]) -> None:
    """Write an answer, whole or not at all. Where nothing can be written, nothing is kept."""
    half = path.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(json.dumps(answer))
        half.replace(path)
