"""Weigh model files: what is in a checkpoint, how many parameters a config describes, how many bytes both take.

    >>> import weigh
    >>> weigh.inspect("model.safetensors").parameters  # doctest: +SKIP
    >>> weigh.params("config.json").bytes_as("bfloat16")  # doctest: +SKIP

Importing `weigh` imports neither torch nor any other package, and a module of its own when a name of it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weigh.activation_memory import Activations, activations, korthikanti
    from weigh.checkpoints import MEGATRON, PRECISIONS, Checkpoint, Precision, checkpoint
    from weigh.difference import Change, Difference, diff
    from weigh.dtypes import DTYPES, DType
    from weigh.errors import WeighError
    from weigh.exporting import Export, export
    from weigh.inspection import inspect
    from weigh.kv_cache import CACHE_FORMATS
    from weigh.lora import Lora
    from weigh.modules import Module, tree
    from weigh.optimizers import OPTIMIZERS
    from weigh.parameters import Model, params
    from weigh.payload import load
    from weigh.planner import Plan, daly, plan, wall_time, young
    from weigh.roofline import Bound, decode_bound, experts_touched, prefill_bound
    from weigh.serving import Inference, inference, largest_batch, largest_context
    from weigh.storage_formats import STORAGE_FORMATS, Stored, bits_per_weight, stored
    from weigh.tensors import Contents, Tensor
    from weigh.training_memory import Training, training
    from weigh.units import GB, MB, TB, GiB, KiB, MiB, TiB, format_bytes, kB, parse_bytes
    from weigh.work import Range, Step

__all__ = [
    "CACHE_FORMATS",
    "DTYPES",
    "GB",
    "MB",
    "MEGATRON",
    "OPTIMIZERS",
    "PRECISIONS",
    "STORAGE_FORMATS",
    "TB",
    "Activations",
    "Bound",
    "Change",
    "Checkpoint",
    "Contents",
    "DType",
    "Difference",
    "Export",
    "GiB",
    "Inference",
    "KiB",
    "Lora",
    "MiB",
    "Model",
    "Module",
    "Plan",
    "Precision",
    "Range",
    "Step",
    "Stored",
    "Tensor",
    "TiB",
    "Training",
    "WeighError",
    "activations",
    "bits_per_weight",
    "checkpoint",
    "daly",
    "decode_bound",
    "diff",
    "experts_touched",
    "export",
    "format_bytes",
    "inference",
    "inspect",
    "kB",
    "korthikanti",
    "largest_batch",
    "largest_context",
    "load",
    "params",
    "parse_bytes",
    "plan",
    "prefill_bound",
    "stored",
    "training",
    "tree",
    "wall_time",
    "young",
]

_MODULES = {
    "activation_memory": "Activations activations korthikanti",
    "checkpoints": "MEGATRON PRECISIONS Checkpoint Precision checkpoint",
    "difference": "Change Difference diff",
    "dtypes": "DTYPES DType",
    "errors": "WeighError",
    "exporting": "Export export",
    "inspection": "inspect",
    "kv_cache": "CACHE_FORMATS",
    "lora": "Lora",
    "modules": "Module tree",
    "optimizers": "OPTIMIZERS",
    "parameters": "Model params",
    "payload": "load",
    "planner": "Plan daly plan wall_time young",
    "roofline": "Bound decode_bound experts_touched prefill_bound",
    "serving": "Inference inference largest_batch largest_context",
    "storage_formats": "STORAGE_FORMATS Stored bits_per_weight stored",
    "tensors": "Contents Tensor",
    "training_memory": "Training training",
    "units": "GB MB TB GiB KiB MiB TiB format_bytes kB parse_bytes",
    "work": "Range Step",
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names.split():
            globals()[name] = value = getattr(import_module(f"weigh.{module}"), name)
            return value
    raise AttributeError(f"module 'weigh' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
