"""What the source of a model type says of fields: words that they are compared with, names that are looked for."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from handbook.families import reference

_COMPARED = re.compile(r"(\w+)\s*(?:==|!=)\s*[\"']([\w./-]+)[\"']")
_LISTED = re.compile(r"(\w+)\s*(?:not )?in\s*[\[({]((?:\s*[\"'][\w./-]+[\"'],?)+)\s*[\])}]")
_LITERAL = re.compile(r"^    (\w+): [^=\n]*Literal\[([^\]]*)\]", re.MULTILINE)
_WORD = re.compile(r"[\"']([\w./-]+)[\"']")
_POPPED = re.compile(r"kwargs\.(?:pop|get)\(\s*[\"'](\w+)[\"']")
_LOOKED_FOR = re.compile(r"(?:getattr|hasattr)\(\s*(?:self\.)?\w*config\w*,\s*[\"'](\w+)[\"']")

ACTIVATIONS = ("gelu", "relu", "silu", "gelu_new", "quick_gelu", "tanh", "prelu")
"""Activations that a field may name; the last has a parameter."""


@dataclass(frozen=True)
class Hints:
    """What the source of a model type says.

    Attributes:
        words: The words that each field is compared with, by its name.
        old: Names that the config class takes beside its own fields.
        sought: Names that the models look for, and take a default where they are absent.
    """

    words: dict[str, tuple[str, ...]]
    old: tuple[str, ...]
    sought: tuple[str, ...]


@cache
def hints(model_type: str) -> Hints:
    """What the source of a type says.

    Args:
        model_type: The type.
    """
    config = _source(inspect.getmodule(reference.config_class(model_type)))
    models = _source(reference.modeling(model_type))
    words: dict[str, list[str]] = {}
    for name, word in _COMPARED.findall(config + models):
        words.setdefault(name, []).append(word)
    for name, listed in _LISTED.findall(config + models) + _LITERAL.findall(config):
        words.setdefault(name, []).extend(_WORD.findall(listed))
    return Hints(
        {name: tuple(sorted(set(found))) for name, found in words.items()},
        tuple(sorted(set(_POPPED.findall(config)))),
        tuple(sorted(set(_LOOKED_FOR.findall(models)))),
    )


def _source(module: ModuleType | Any | None) -> str:
    """The text of a module."""
    try:
        return inspect.getsource(module) if module is not None else ""
    except (OSError, TypeError):
        return ""
