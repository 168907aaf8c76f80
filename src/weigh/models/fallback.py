"""The exact fallback: an installed transformers builds the model without memory, and is asked for its parameters.

That happens in a process of its own, without network, without code of the model's authors, and within limits of time
and memory. The answer is kept in the user's cache directory, by a digest of the config and of the versions.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from weigh.errors import WeighError
from weigh.models import meta_device
from weigh.tensors import is_shape

SECONDS = 180
"""The longest that a count may take; most take ten, nearly all of it for imports."""

_LEFT_OUT = {
    "auto_map", "trust_remote_code", "code_revision", "quantization_config", "compression_config", "dtype",
    "torch_dtype", "attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation",
    "name_or_path", "_name_or_path", "_commit_hash", "transformers_version",
}  # fmt: skip
"""Fields that no shape follows from, and that would have transformers look for code or kernels elsewhere."""

_PACKAGES = ("transformers", "torch", "timm", "torchvision")
"""What the count may depend on."""


class NotBuilt(WeighError):
    """A config of which the installed transformers builds no model, or for which there is none installed."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a model.

    Attributes:
        name: Its key in the state dict.
        shape: Its dimensions.
        owner: The class of the module that holds it, such as `Linear`.
        tied_to: The name of the parameter that it is; empty if it is its own.
    """

    name: str
    shape: tuple[int, ...]
    owner: str
    tied_to: str = ""


@dataclass(frozen=True, slots=True)
class Constructed:
    """A model as its class constructs it.

    Attributes:
        architecture: The name of the class.
        config: The config with what its class fills in, as attributes; so are those inside it.
        read: The dotted names of the fields that the class of the config, or of the model, reads.
        parameters: Its parameters, tied ones under every name.
    """

    architecture: str
    config: Any
    read: frozenset[str]
    parameters: tuple[Parameter, ...]


def installed() -> dict[str, str]:
    """The versions of the packages that build models; nothing unless transformers and torch are there."""
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found if {"transformers", "torch"} <= found.keys() else {}


def build(fields: dict[str, Any], architecture: str | None, where: str) -> Constructed:
    """The model that the installed transformers builds of a config.

    Args:
        fields: The config.
        architecture: The class; `None` for the one that transformers has for the type alone.
        where: What to call the config in an error.

    Raises:
        NotBuilt: If transformers is not installed, does not know the type, or refuses the config.
    """
    versions = installed()
    if not versions:
        raise NotBuilt(where, "transformers and torch are not installed")
    request = {"fields": _without(fields), "model_type": fields.get("model_type"), "architecture": architecture}
    asked = json.dumps(request, sort_keys=True)
    program = Path(meta_device.__file__).read_bytes()
    kept = _directory() / f"{sha256(json.dumps([versions, asked]).encode() + program).hexdigest()}.json"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        return _constructed(json.loads(kept.read_bytes()))
    answer = _ask(asked, where)
    try:
        constructed = _constructed(answer)
    except (LookupError, TypeError, ValueError):
        raise NotBuilt(where, "transformers gave no answer that could be read") from None
    _keep(kept, answer)
    return constructed


def _without(value: Any) -> Any:
    """A config without the fields that are left out, in nested objects too."""
    if isinstance(value, dict):
        return {name: _without(inner) for name, inner in value.items() if name not in _LEFT_OUT}
    return [_without(inner) for inner in value] if isinstance(value, list) else value


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
        raise NotBuilt(where, f"transformers did not build it within {SECONDS} seconds") from None
    except (OSError, ValueError):
        raise NotBuilt(where, "transformers did not come to an end, perhaps for want of memory") from None
    if not isinstance(answer, dict) or "error" in answer:
        raise NotBuilt(where, f"transformers does not build it: {_line(answer)}")
    return answer


def _line(answer: Any) -> str:
    """The first two lines of what a library says, in one and not too long."""
    said = " ".join(str(answer.get("error", "") if isinstance(answer, dict) else "").split("\n")[:2])
    return "".join(one for one in said if one.isprintable())[:200].strip()


def _constructed(answer: dict[str, Any]) -> Constructed:
    """What an answer says.

    Raises:
        LookupError, TypeError, ValueError: If it is no answer.
    """
    parameters = []
    for name, shape, owner, tied_to in answer["parameters"]:
        if not is_shape(shape) or not all(isinstance(text, str) for text in (name, owner, tied_to)):
            raise ValueError(name)
        parameters.append(Parameter(name, tuple(shape), owner, tied_to))
    if not isinstance(answer["architecture"], str) or not isinstance(answer["config"], dict):
        raise ValueError(answer["architecture"])
    return Constructed(answer["architecture"], _object(answer["config"]), frozenset(answer["read"]), tuple(parameters))


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
