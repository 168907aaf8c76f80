"""Weights in formats that `weigh` does not read, known by the names that their tools give them."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import translate

FILES: dict[str, tuple[str, ...]] = {
    "TensorFlow or Keras in HDF5": ("*.h5", "*.hdf5"),
    "Keras": ("*.keras",),
    "TensorFlow": (
        "saved_model.pb",
        "keras_metadata.pb",
        "*.ckpt.index",
        "*.ckpt.meta",
        "*.data-?????-of-?????",
        "variables.index",
    ),
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
}  # fmt: skip
"""The files of weights of other formats, as patterns of their names."""

_FOLDERS = {"Core ML": ("*.mlpackage", "*.mlmodelc")}
_ORBAX = {"_METADATA", "_CHECKPOINT_METADATA", "_sharding"}
_ORBAX_DATABASE = "manifest.ocdbt"
_NAMES = {
    title: re.compile("|".join(translate(pattern) for pattern in patterns))
    for title, patterns in (*FILES.items(), *_FOLDERS.items())
}


def formats_of(paths: Iterable[str], directory: str = "") -> dict[str, str]:
    """The files of weights that `weigh` does not read, each with its format.

    Args:
        paths: Files, from the directory, with `/` between their parts.
        directory: The name of the directory itself.
    """
    paths = list(paths)
    folders: dict[str, set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, set()).add(name)
    whole = {folder: _folder_format(folder, names, directory) for folder, names in folders.items()}
    found = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        above = next((title for each in _and_above(folder) if (title := whole.get(each, ""))), "")
        if title := above or _file_format(name, folders[folder]):
            found[path] = title
    return found


def _and_above(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]
    yield ""


def _folder_format(folder: str, names: set[str], directory: str) -> str:
    """The format of all that is in a folder."""
    for part in (directory, *folder.split("/")):
        for title in _FOLDERS:
            if _NAMES[title].match(part):
                return title
    return "Orbax" if _ORBAX_DATABASE in names and names & _ORBAX else ""


def _file_format(name: str, beside: set[str]) -> str:
    stem, _, suffix = name.rpartition(".")
    if suffix in ("bin", "xml") and {f"{stem}.bin", f"{stem}.xml"} <= beside:
        return "OpenVINO"
    if name == "model.bin" and any("vocabulary" in each for each in beside):
        return "CTranslate2"
    return next((title for title in FILES if _NAMES[title].match(name)), "")
