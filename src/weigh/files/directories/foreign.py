"""Weights in formats that `weigh` does not read, known by the names that their tools give them."""

from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import PurePosixPath

FILES: dict[str, tuple[str, ...]] = {
    "TensorFlow or Keras in HDF5": ("*.h5", "*.hdf5"),
    "Keras": ("*.keras",),
    "TensorFlow": ("saved_model.pb", "keras_metadata.pb", "*.ckpt.index", "*.ckpt.meta", "*.data-?????-of-?????", "variables.index"),
    "Flax": ("*.msgpack",),
    "rust-bert": ("*.ot",),
    "TensorFlow Lite": ("*.tflite", "*.task", "*.litertlm"),
    "TensorFlow.js": ("group?-shard*of*.bin",),
    "Core ML": ("*.mlmodel",),
    "ExecuTorch": ("*.pte",),
    "Paddle": ("*.pdparams", "*.pdmodel", "*.pdiparams"),
    "TensorRT": ("*.engine", "*.plan"),
    "OpenVINO": ("openvino_*.bin",),
    "NeMo": ("*.nemo",),
    "TorchServe": ("*.mar",),
    "MLC": ("params_shard_*.bin",),
    "GGML before GGUF": ("ggml*.bin",),
    "MNN": ("*.mnn",),
    "ncnn": ("*.ncnn.bin",),
    "Caffe": ("*.caffemodel",),
    "fastText": ("*.ftz",),
    "skops": ("*.skops",),
    "joblib": ("*.joblib",),
    "XGBoost": ("*.ubj",),
    "CatBoost": ("*.cbm",),
}
"""The files of weights of other formats, as patterns of their names."""

_FOLDERS = {"Core ML": ("*.mlpackage", "*.mlmodelc"), "Orbax": ("ocdbt.process_*",)}
_ORBAX = {"_METADATA", "_CHECKPOINT_METADATA", "_sharding", "manifest.ocdbt"}


def format_of(path: str, beside: frozenset[str], directory: str = "") -> str:
    """The format of a file of weights that `weigh` does not read; empty if nothing says that it is one.

    Args:
        path: The file, from the directory, with `/` between its parts.
        beside: The names of the files in the same folder.
        directory: The name of the directory itself.
    """
    *folders, name = PurePosixPath(path).parts
    for title, patterns in _FOLDERS.items():
        if any(fnmatch(folder, pattern) for folder in (directory, *folders) for pattern in patterns):
            return title
    if beside & _ORBAX and "manifest.ocdbt" in beside | {name} or "ocdbt.process_0" in folders:
        return "Orbax"
    stem = PurePosixPath(name).stem
    if name.endswith(".bin") and f"{stem}.xml" in beside:
        return "OpenVINO"
    if name == "model.bin" and any(fnmatch(each, "*vocabulary*.*") for each in beside):
        return "CTranslate2"
    return next((title for title, patterns in FILES.items() if any(fnmatch(name, each) for each in patterns)), "")


def formats_of(paths: Iterable[str], directory: str = "") -> dict[str, str]:
    """The files of weights that `weigh` does not read, each with its format."""
    paths = list(paths)
    folders: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, set()).add(name)
    beside = {folder: frozenset(names) for folder, names in folders.items()}
    found = {path: format_of(path, beside[path.rpartition("/")[0]], directory) for path in paths}
    return {path: title for path, title in found.items() if title}
