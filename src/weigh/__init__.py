"""Weigh model files: what is in a checkpoint, how many parameters a config describes, how many bytes both take.

    >>> import weigh
    >>> weigh.inspect("model.safetensors").parameters  # doctest: +SKIP
    >>> weigh.params("config.json").bytes_as("bfloat16")  # doctest: +SKIP

Importing `weigh` imports neither torch nor any other package.
"""

from weigh.checkpoints import OPTIMIZERS, PRECISIONS, Checkpoint, checkpoint
from weigh.dtypes import DTYPES, DType
from weigh.errors import WeighError
from weigh.inspection import inspect
from weigh.parameters import Model, params
from weigh.tensors import Contents, Tensor
from weigh.units import GB, MB, TB, GiB, KiB, MiB, TiB, format_bytes, kB

__all__ = [
    "DTYPES",
    "GB",
    "MB",
    "OPTIMIZERS",
    "PRECISIONS",
    "TB",
    "Checkpoint",
    "Contents",
    "DType",
    "GiB",
    "KiB",
    "MiB",
    "Model",
    "Tensor",
    "TiB",
    "WeighError",
    "checkpoint",
    "format_bytes",
    "inspect",
    "kB",
    "params",
]
