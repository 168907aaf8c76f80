"""What transformers builds of a config, without memory: a program of its own, which `weigh.models.fallback` starts.

It reads a request as JSON from standard input: the `fields` of a config, its `model_type`, and an `architecture`. It
answers with one JSON object on standard output. It imports nothing of `weigh`, so that it runs by its path.
"""

import json
import os
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

MEMORY = 2_000_000_000
"""The most bytes that the program may ask the system for, where a system can be told so. The imports and the largest
models take a quarter."""

MAX_PARAMETERS = 1_000_000
"""The most tensors that are listed, a hundred times as many as a large model has."""

FORBIDDEN = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
"""What no count needs, by the names of Python's audit events."""

DEFAULTS = (
    "AutoModelForSeq2SeqLM", "AutoModelForSpeechSeq2Seq", "AutoModelForMultimodalLM", "AutoModelForImageTextToText",
    "AutoModelForCausalLM", "AutoModel",
)  # fmt: skip
"""The kinds of classes that a config without `architectures` may mean, the first that there is. An encoder that fills
in masked words means the class without a head, as those of the families of `weigh` do."""


class Refused(Exception):
    """What cannot be built, in words for the reader."""


def main() -> None:
    """Answer one request. What libraries print goes to standard error."""
    request, answer = json.load(sys.stdin), os.dup(1)
    os.dup2(2, 1)
    try:
        found = describe(**request)
    except BaseException as error:
        found = {"error": str(error) if isinstance(error, Refused) else f"{type(error).__name__}: {error}"}
    with os.fdopen(answer, "w") as writer:
        json.dump(found, writer)


def describe(fields: dict[str, Any], model_type: str, architecture: str | None) -> dict[str, Any]:
    """The parameters of a model, its config as its class fills it in, and the fields that were read."""
    import torch
    import transformers

    _confine()
    if model_type not in transformers.CONFIG_MAPPING:
        raise Refused(f"transformers {transformers.__version__} has no model type {model_type!r:.60}")
    config = transformers.CONFIG_MAPPING[model_type].from_dict(fields)
    model_class = _model_class(config, architecture)
    filled_in, declared = _plain(config), list(_declared(config, fields))
    read = _note_reads(transformers.PreTrainedConfig)
    with torch.device("meta"):
        model = model_class(config)
    paths = {id(config): "", **{id(inner): path for path, inner in _nested(config, "")}}
    fields_of = {id(inner): vars(inner) for inner in (config, *(inner for _, inner in _nested(config, "")))}
    noted = [f"{paths[at]}{name}" for at, name in list(read) if name in fields_of.get(at, ())]
    return {
        "architecture": model_class.__name__,
        "parameters": list(islice(parameters(model), MAX_PARAMETERS)),
        "config": filled_in,
        "read": sorted({*declared, *noted}),
    }


def _confine() -> None:
    """Take away what a count needs not: other programs, the network, and more memory than any config takes."""

    def refuse(event: str, arguments: Any) -> None:
        if event in FORBIDDEN:
            raise Refused(f"its class asks for more than memory ({event}), and weigh gives it no more")

    sys.addaudithook(refuse)
    try:
        import resource
    except ImportError:  # on Windows
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY if most < 0 else min(MEMORY, most), most))


def _model_class(config: Any, architecture: str | None) -> Any:
    """The class of that name, which must be one of transformers' own for such a config."""
    import transformers
    from transformers.models.auto import modeling_auto

    if architecture is None:
        kind = type(config)
        auto = {name: getattr(modeling_auto, name)._model_mapping for name in ("AutoModelForMaskedLM", *DEFAULTS)}
        encodes = kind in auto["AutoModelForMaskedLM"] and kind not in auto[DEFAULTS[0]]
        for name in DEFAULTS[-1:] if encodes else DEFAULTS:
            if kind in auto[name]:
                return auto[name][kind][0] if isinstance(auto[name][kind], tuple) else auto[name][kind]
        raise Refused(f"transformers {transformers.__version__} has no class for {config.model_type!r:.60} alone")
    found: Any = getattr(transformers, architecture, None)
    ours = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
    if not ours or not isinstance(config, found.config_class or ()):
        raise Refused(
            f"transformers {transformers.__version__} has no {architecture!r:.60} for {config.model_type!r:.60}"
        )
    return found


def parameters(model: Any) -> Iterator[tuple[str, list[int], str, str]]:
    """The parameters of a module under every name that they have, in the order of the state dict.

    Of each its name, its shape, the class of the module that holds it, and the first name of the same tensor if this is
    another.
    """
    first: dict[int, str] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        for name, parameter in module._parameters.items():
            if parameter is not None:
                full = f"{path}.{name}" if path else name
                tied_to = first.setdefault(id(parameter), full)
                yield full, list(parameter.shape), type(module).__name__, "" if tied_to == full else tied_to


def _note_reads(base: Any) -> set[tuple[int, str]]:
    """What is read of configs from here on: each config by its identity, and the attribute."""
    get, read = base.__getattribute__, set()

    def noting(config: Any, name: str) -> Any:
        if not name.startswith("_"):
            read.add((id(config), name if name == "attribute_map" else get(config, "attribute_map").get(name, name)))
        return get(config, name)

    base.__getattribute__ = noting
    return read


def _nested(config: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The configs in a config, each with its dotted path and a dot."""
    for name, value in vars(config).items():
        if hasattr(type(value), "attribute_map"):
            yield f"{path}{name}.", value
            yield from _nested(value, f"{path}{name}.")


def _declared(config: Any, fields: Any, path: str = "") -> Iterator[str]:
    """The dotted names of the fields that the class of a config knows: its own, and those that it takes for others."""
    if not isinstance(fields, dict):
        return
    kind = type(config)
    own = {*getattr(kind, "__dataclass_fields__", ()), *getattr(kind, "attribute_map", ())}
    for name, value in fields.items():
        inner = vars(config).get(name)
        if name in own or name not in vars(config):
            yield f"{path}{name}"
        if hasattr(type(inner), "attribute_map"):
            yield from _declared(inner, value, f"{path}{name}.")


def _plain(value: Any) -> Any:
    """A config as JSON: its fields, its properties, and the other names of both."""
    if hasattr(type(value), "attribute_map"):
        properties = [name for name in dir(type(value)) if isinstance(getattr(type(value), name, None), property)]
        fields = {"model_type": type(value).model_type}
        fields |= {name: inner for name, inner in vars(value).items() if not name.startswith("_")}
        for name in (*properties, *type(value).attribute_map):
            try:
                fields[name] = getattr(value, name)
            except Exception:  # a property of another kind of config
                continue
        return {name: _plain(inner) for name, inner in fields.items()}
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)


if __name__ == "__main__":
    main()
