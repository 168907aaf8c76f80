"""The archive of sliced constructors: the modules of every model type, and an index of the classes in them."""

import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import transformers
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.models.auto import configuration_auto, modeling_auto

from handbook.families.slicing import Slicer

MAPPINGS = {"MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": "AutoModelForCausalLM"}
"""The mappings that constructors ask for by name, each with the Auto class that is made of it."""


def model_classes() -> dict[str, tuple[str, Any]]:
    """The model classes of transformers by name, with their module and their config's `model_type`."""
    found: dict[str, tuple[str, Any]] = {}
    seen: list[Any] = [PreTrainedModel]
    for name in sorted(sys.modules):
        if name.startswith("transformers.models.") and ".modeling_" in name:
            seen += [each for each in vars(sys.modules[name]).values() if isinstance(each, type)
                     and issubclass(each, PreTrainedModel) and each.__module__ == name]  # fmt: skip
    for each in seen:
        kind = getattr(each.config_class, "model_type", None)
        if (
            kind in configuration_auto.CONFIG_MAPPING
            and "__init__" in dir(each)
            and not each.__name__.endswith("PreTrainedModel")
        ):
            found[each.__name__] = (each.__module__, kind)
    return dict(sorted(found.items()))


def auto_classes() -> dict[str, dict[str, str]]:
    """The model class of each `model_type` for each of the Auto classes."""
    found = {}
    for name, auto in vars(modeling_auto).items():
        mapping = getattr(auto, "_model_mapping", None)
        if mapping is not None and isinstance(auto, type):
            models = {kind: each if isinstance(each, str) else each[0] for kind, each in mapping._model_mapping.items()}
            found[name] = {kind: each for kind, each in models.items() if each}
    return dict(sorted(found.items()))


def activations() -> dict[str, dict[str, Any]]:
    """The activation functions by name, each with its class and the parameters that it learns."""
    return {
        name: {
            "class": type(ACT2FN[name]).__name__,
            "parameters": [[each, list(tensor.shape)] for each, tensor in ACT2FN[name].named_parameters()],
        }
        for name in sorted(ACT2FN)
    }


def load_everything() -> None:
    """Import the configs and models of every model type that can be imported here."""
    for path in sorted(Path(transformers.__path__[0]).glob("models/*/*.py")):
        if path.stem.startswith(("configuration_", "modeling_")):
            try:
                import_module(f"transformers.models.{path.parent.name}.{path.stem}")
            except (ImportError, RuntimeError):
                continue


def sliced() -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The lines of the index of the archive, and its other files: the slices of modules by path, and the licence."""
    load_everything()
    slicer, models, configs = Slicer(), model_classes(), {}
    for kind in configuration_auto.CONFIG_MAPPING:
        try:
            config = configuration_auto.CONFIG_MAPPING[kind]
        except (ImportError, AttributeError):
            continue
        configs[kind] = (config.__module__, config.__name__)
        slicer.want(*configs[kind])
    for name, (module, kind) in models.items():
        slicer.want(module, name)
        if kind in configs:
            slicer.imports[module].add(configs[kind][0])
    slicer.run()
    files = {f"{module.removeprefix('transformers.')}.py": slicer.text(module) for module in slicer.slices
             if slicer.slices[module].kept}  # fmt: skip
    head = {
        "transformers": transformers.__version__,
        "refused": {},
        "mappings": MAPPINGS,
        "activations": activations(),
    }
    auto = auto_classes()
    lines = [
        {
            "type": kind,
            "config": [module.removeprefix("transformers."), name],
            "models": {each: at.removeprefix("transformers.") for each, (at, of) in models.items() if of == kind},
            "auto": {each: of[kind] for each, of in auto.items() if kind in of},
        }
        for kind, (module, name) in sorted(configs.items())
    ]
    licence = metadata.distribution("transformers").read_text("licenses/LICENSE")
    if licence is None:
        raise FileNotFoundError("the licence of transformers, which the archive holds as well")
    return [head, *lines], files | {"LICENSE": licence}
