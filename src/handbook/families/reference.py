"""What the installed transformers builds: every model type, its classes, and the parameters of a class."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a config names backbones that transformers would fetch

import torch
import transformers
from transformers import initialization
from transformers.models.auto import configuration_auto, modeling_auto

from weigh.models import meta_device
from weigh.models.constructors import Parameter

VERSION: str = transformers.__version__

FIRST = (
    "CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "MASKED_LM", "CTC",
    "TEXT_TO_WAVEFORM", "TEXT_TO_SPECTROGRAM", "IMAGE_CLASSIFICATION", "OBJECT_DETECTION", "UNIVERSAL_SEGMENTATION",
    "MASK_GENERATION", "ZERO_SHOT_OBJECT_DETECTION", "DEPTH_ESTIMATION", "SEMANTIC_SEGMENTATION", "PRETRAINING",
)  # fmt: skip
"""The tasks of a type whose class stands for it in the register, first come first; then its base class."""


class NotBuildable(Exception):
    """Transformers cannot build it, and says why."""


def types() -> list[str]:
    """Every model type that transformers knows, by name."""
    return sorted(vars(configuration_auto)["CONFIG_MAPPING_NAMES"])


@cache
def config_class(model_type: str) -> Any:
    """The config class of a model type."""
    return configuration_auto.CONFIG_MAPPING[model_type]


def modeling(model_type: str) -> Any:
    """The module that holds the model classes of a type, or None.

    Raises:
        NotBuildable: If it cannot be imported.
    """
    path = config_class(model_type).__module__
    package, _, name = path.rpartition(".")
    try:
        return import_module(f"{package}.{name.replace('configuration_', 'modeling_')}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith(package):
            return None
        raise NotBuildable(f"needs a package: {error.name}") from None
    except (ImportError, RuntimeError, OSError) as error:
        raise NotBuildable(f"cannot be imported: {first_line(error)}") from None


@cache
def architectures(model_type: str) -> tuple[str, ...]:
    """The classes that take the config of a type: those of `FIRST` in that order, the base class, then others.

    Args:
        model_type: The type.
    """
    tasks = {name: getattr(modeling_auto, name) for name in dir(modeling_auto) if name.endswith("_MAPPING_NAMES")}
    named: list[str] = []
    order = [f"MODEL_FOR_{task}_MAPPING_NAMES" for task in FIRST] + ["MODEL_MAPPING_NAMES"]
    for task in [*order, *sorted(tasks)]:
        classes = tasks.get(task, {}).get(model_type, ())
        named += [classes] if isinstance(classes, str) else classes
    module = modeling(model_type)
    wanted = config_class(model_type)
    if module is not None:
        public = set(getattr(module, "__all__", ()))
        named += [
            name
            for name, value in vars(module).items()
            if name in public
            and inspect.isclass(value)
            and issubclass(value, transformers.PreTrainedModel)
            and value.config_class is wanted
            and not name.endswith(("PreTrainedModel", "PretrainedModel"))
        ]
    known = [name for name in dict.fromkeys(named) if model_class(model_type, name) is not None]
    # The Auto classes hand some of them a nested config, which has a type of its own.
    own = [name for name in known if model_class(model_type, name).config_class is wanted]
    return tuple(own or known)


def model_class(model_type: str, architecture: str) -> Any:
    """The class of that name, of the module of its type or of transformers; None if it has no models of that name."""
    found = getattr(modeling(model_type), architecture, None) or getattr(transformers, architecture, None)
    return found if inspect.isclass(found) and issubclass(found, transformers.PreTrainedModel) else None


def resolved(fields: dict[str, Any]) -> Any:
    """The config object that transformers makes of the fields of a config.json, as `AutoConfig` does.

    Args:
        fields: The JSON object.

    Raises:
        NotBuildable: If transformers refuses it.
    """
    fields = dict(fields)
    if fields["model_type"] == "mistral" and "layer_types" in fields:  # AutoConfig takes it for the other type
        fields["model_type"] = "ministral"
    try:
        return config_class(fields["model_type"])(**fields)  # as from_dict, which also writes all of it to a log
    except Exception as error:
        raise NotBuildable(first_line(error)) from None


def build(fields: dict[str, Any], architecture: str) -> tuple[Parameter, ...]:
    """The parameters that a class makes of a config, on the meta device, in the order of its state dict.

    Args:
        fields: The JSON object of a config.json.
        architecture: The class.

    Raises:
        NotBuildable: If transformers refuses it.
    """
    config = resolved(fields)
    try:
        with torch.device("meta"), torch.no_grad(), _without_numbers():
            model = model_class(config.model_type, architecture)(config)
    except Exception as error:
        if isinstance(error, ImportError):
            raise NotBuildable(f"needs a package: {first_line(error)}") from None
        raise NotBuildable(first_line(error)) from None
    return tuple(Parameter(name, tuple(shape), *rest) for name, shape, *rest in meta_device.parameters(model))


@contextmanager
def _without_numbers() -> Iterator[None]:
    """Leave out what fills tensors, and keep what ties them, which transformers leaves out with it."""
    tying = transformers.PreTrainedModel.init_weights
    with initialization.no_init_weights():
        transformers.PreTrainedModel.init_weights = tying  # type: ignore[method-assign]  # it does no more here
        yield


def first_line(error: BaseException) -> str:
    """The kind of an exception and the first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:160]
