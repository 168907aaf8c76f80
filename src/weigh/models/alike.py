"""Types whose layers do what those of a family do: the tensors are the same, and so is what a forward pass saves."""

from collections.abc import Iterator
from typing import Any

from weigh.errors import WeighError
from weigh.models.config import Config
from weigh.models.families import FAMILIES
from weigh.models.family import Family
from weigh.models.parameters import Model
from weigh.models.saved import SavedActivations

ALIKE = {
    "camembert": "roberta",
    "cohere2": "cohere",
    "cwm": "llama",
    "data2vec-text": "roberta",
    "ernie": "bert",
    "granite": "llama",
    "helium": "gemma",
    "internlm3": "llama",
    "iquestcoder": "llama",
    "mellum": "qwen3_moe",
    "ministral3": "llama",
    "olmo3": "olmo2",
    "plbart": "bart",
    "smollm3": "llama",
    "xlm-roberta": "roberta",
}
"""The family that a type is like. Each was measured: what real forward passes of it save is what is predicted."""


def saved_like(model: Model) -> tuple[str, SavedActivations] | None:
    """The family that a constructed model is like, and the saved tensors of a forward pass; `None` if it is like none.

    It is, if its type is one of `ALIKE`, and the family has the same tensors for the same fields.
    """
    name = ALIKE.get(model.model_type)
    if name is None or model.resolved is None:
        return None
    family, shapes = FAMILIES[name], {tensor.name: tensor.shape for tensor in model.named}
    for architecture, sizes in _read(family, model):
        if family.saves and {one.name: one.shape for one in family.tensors(sizes, architecture)} == shapes:
            return name, family.saves(sizes, architecture)
    return None


def _read(family: Family[Any], model: Model) -> Iterator[tuple[str, Any]]:
    """The sizes that a family reads in the fields of a config as its class completed them, for each architecture."""
    fields = {
        name: value
        for name, value in vars(model.resolved).items()
        if isinstance(value, bool | int | float | str | list) and not name.startswith("_")
    }
    for architecture in family.architectures:
        try:
            yield architecture, family.read(Config(model.config.where, fields))
        except WeighError:  # a field means something else there, so it is not alike
            continue
