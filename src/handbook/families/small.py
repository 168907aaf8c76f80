"""The small configs that changes begin with: a type's default with few layers, few experts and what else it needs."""

from __future__ import annotations

import copy
import re
from typing import Any

from handbook.families import reference
from handbook.families.starts import Fields, start

_COUNTED = re.compile(r"(layers?|depth|blocks|num_stacks|repeats)$")
_EXPERTS = re.compile(r"(num|n|routed|local).*expert|moe_num_experts")
_PLAIN = {
    "return_dict", "output_hidden_states", "output_attentions", "dtype", "torch_dtype",
    "chunk_size_feed_forward", "is_encoder_decoder", "architectures", "transformers_version", "problem_type",
    "_name_or_path", "id2label", "label2id", "use_cache", "initializer_range", "layer_norm_eps", "rms_norm_eps",
    "attention_dropout", "hidden_dropout",
}  # fmt: skip
"""Fields of every config that say nothing of sizes."""


def written(fields: Fields) -> Fields:
    """Every field that a config has once it is resolved, without those of every config that say nothing of sizes."""
    return _sizes(_plain(reference.resolved(fields).to_dict()))


def _plain(value: Any) -> Any:
    """The value as JSON would have it."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _sizes(fields: Fields) -> Fields:
    return {
        name: _sizes(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if name not in _PLAIN
    }


def leaves(fields: Fields, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Every field that is no nested config, with its path."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in fields.items():
        if isinstance(value, dict) and value and not name.endswith(("parameters", "scaling")):
            found += leaves(value, (*path, name))
        else:
            found.append(((*path, name), value))
    return found


def put(fields: Fields, path: tuple[str, ...], value: Any) -> None:
    """Set a field, and make the nested configs on the way to it."""
    for name in path[:-1]:
        if not isinstance(fields.get(name), dict):
            fields[name] = {}
        fields = fields[name]
    fields[path[-1]] = value


def small(model_type: str, architecture: str) -> Fields:
    """A config of few layers and experts that transformers builds, with no more fields than that takes.

    Args:
        model_type: The type.
        architecture: The class to be built.

    Raises:
        NotBuildable: If not even the least config can be built.
    """
    least = start(model_type)
    full = written(least)
    shrunk: list[tuple[tuple[str, ...], Any]] = []
    for path, value in leaves(full):
        if type(value) is int and value > 4 and (_COUNTED.search(path[-1]) or _EXPERTS.search(path[-1])):
            shrunk.append((path, 8 if _EXPERTS.search(path[-1]) else 4))
    config = copy.deepcopy(least)
    for path, value in shrunk:
        _nest(config, path, full)
        put(config, path, value)
    try:
        reference.build(config, architecture)
        return config
    except reference.NotBuildable:
        pass
    config = copy.deepcopy(least)
    reference.build(config, architecture)
    for path, value in shrunk[:12]:
        trial = copy.deepcopy(config)
        _nest(trial, path, full)
        put(trial, path, value)
        try:
            reference.build(trial, architecture)
            config = trial
        except reference.NotBuildable:
            continue
    return config


def _nest(config: Fields, path: tuple[str, ...], full: Fields) -> None:
    """Name the type of each nested config on the way to a field, where the whole config names one."""
    for name in path[:-1]:
        full = full[name]
        config = config.setdefault(name, {})
        if isinstance(full.get("model_type"), str):
            config.setdefault("model_type", full["model_type"])
