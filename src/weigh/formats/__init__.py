"""One module for each file format: bytes in, `weigh.tensors.Contents` out, nothing loaded and nothing executed."""

from importlib import import_module
from typing import cast

from weigh import errors
from weigh.files import File
from weigh.tensors import Contents

PYTORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


def read(file: File) -> Contents:
    """Read one file, by its first bytes or, where those say nothing, by its suffix.

    Raises:
        UnknownFormat: If the file is of no format that `weigh` reads.
        WeighError: What the reader of its format raises.
    """
    with file.open() as reader:
        head = reader.read(16)
    # Each reader is imported when a file of its format turns up, so that `import weigh` is quick.
    return cast(Contents, import_module(f"weigh.formats.{_format(file, head)}").read(file))


def _format(file: File, head: bytes) -> str:
    """The module that reads a file."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "numpy" if file.suffix == ".npz" or _holds_arrays(file) else "pytorch"
    if head.startswith(b"\x93NUMPY"):
        return "numpy"
    if head.startswith(b"GGUF"):
        return "gguf"
    if file.suffix == ".onnx":
        return "onnx"
    if file.suffix == ".safetensors" or head[8:9] == b"{":
        return "safetensors"
    if head.startswith(b"\x80") or file.suffix in PYTORCH_SUFFIXES:
        return "legacy"
    raise errors.UnknownFormat(
        file, f"starts with {head[:4]!r}; weigh reads safetensors, PyTorch's two formats, GGUF, ONNX and NumPy's"
    )


def _holds_arrays(file: File) -> bool:
    """Whether an archive is NumPy's. One that has a pickle too is not: torch.load would run that."""
    from weigh.formats import archives

    try:
        names = archives.records(file, "", compressed=True)
    except errors.MalformedArchive:
        return False
    return any(name.endswith(".npy") for name in names) and not any(name.endswith(".pkl") for name in names)
