"""File formats, a module or a package each: bytes in, `weigh.tensors.Contents` out, nothing loaded, nothing executed.

To add one, write a module with `read(file)` and name it in `FORMATS`, where it is also said what recognises its files
and what they are called in a model directory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from weigh import errors
from weigh.formats import foreign, pointers
from weigh.sources import File
from weigh.tensors import Contents

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def _holds_arrays(file: File) -> bool:
    """Whether an archive is NumPy's. One that has a pickle too is not: torch.load would run that."""
    from weigh.formats import archives

    if file.suffix == ".npz":
        return True
    try:
        names = archives.records(file, "", compressed=True)
    except errors.MalformedArchive:
        return False
    if "schema.json" in names:  # of skops, whose arrays are not a model's weights
        return False
    return any(name.endswith(".npy") for name in names) and not any(name.endswith(".pkl") for name in names)


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: how its files are recognised, and what reads them.

    Attributes:
        title: Its name in errors.
        reader: The module of this package whose `read` gives the contents of a file.
        magic: The bytes that a file of it has at the byte `at`, in each of its variants.
        at: Where these are.
        suffixes: The ends of names that are enough to be taken for one.
        test: What else must be true of a file, asked last.
        weights: The names of files of weights in a model directory, as patterns.
        checkpoints: The names of training checkpoints in one, as patterns.
        is_model: Whether each file of weights, or set of numbered ones, holds the whole model.
        marker: The file that makes a directory one of this format, and that stands for all of it.
    """

    title: str
    reader: str
    magic: tuple[bytes, ...] = ()
    at: int = 0
    suffixes: tuple[str, ...] = ()
    test: Callable[[File], bool] = lambda file: True
    weights: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    is_model: bool = False
    marker: str = ""

    def claims(self, file: File, first: bytes) -> bool:
        """Whether a file that starts with `first` is one of these."""
        if self.marker:
            return file.name == self.marker
        return (first.startswith(self.magic, self.at) or file.suffix in self.suffixes) and self.test(file)

    def read(self, file: File) -> Contents:
        """The contents of a file. Its reader is imported when there is one, so that `import weigh` is quick."""
        return cast(Contents, import_module(f"weigh.formats.{self.reader}").read(file))


FORMATS = (
    Format("torch.distributed", "torch.distributed", marker=".metadata"),
    Format("NumPy", "numpy.arrays", _ZIP, test=_holds_arrays, weights=("*.npz",), is_model=True),
    Format("PyTorch", "torch.archive", _ZIP, weights=("pytorch_model*.bin", "pytorch_model*.bin.index.json")),
    Format("NumPy", "numpy.arrays", (b"\x93NUMPY",)),
    Format("GGUF", "gguf", (b"GGUF",), weights=("*.gguf",), is_model=True),
    Format("ONNX", "onnx.model", suffixes=(".onnx",), weights=("*.onnx",), is_model=True),
    Format(
        "safetensors", "safetensors", (b"{",), 8, (".safetensors",),
        weights=("*.safetensors", "*.safetensors.index.json"),
    ),
    Format(
        "PyTorch", "torch.legacy", (b"\x80",), suffixes=(".pt", ".pth", ".bin", ".ckpt"),
        checkpoints=("*.pt", "*.pth", "*.ckpt"),
    ),
)  # fmt: skip
"""Every file format that `weigh` reads. A file is of the first that claims it."""


def read(file: File) -> Contents:
    """Read one file, by its first bytes or, where those say nothing, by its suffix.

    Raises:
        UnknownFormat: If the file is of no format that `weigh` reads; or a pointer of Git LFS.
        WeighError: What the reader of its format raises.
    """
    with file.open() as reader:
        first = reader.read(16)
    if first == b"version https://":
        pointers.refuse(file)
    for each in FORMATS:
        if each.claims(file, first):
            try:
                return each.read(file)
            except (errors.MalformedPickle, errors.MalformedArchive, errors.HeaderTooLarge) as error:
                imports = error.imports if isinstance(error, errors.MalformedPickle) else ()
                if known := foreign.named(file, imports):
                    raise errors.UnknownFormat(file, known) from None
                if each.reader == "torch.legacy" and not imports and not first.startswith(each.magic):
                    break
                raise
    if known := foreign.named(file):
        raise errors.UnknownFormat(file, known)
    if first.lstrip()[:1] == b"{":
        raise errors.UnknownFormat(file, "is JSON and no file of weights; if it is a model's config: weigh params")
    titles = ", ".join(dict.fromkeys(each.title for each in FORMATS))
    starts = f"starts with {first[:4]!r}" if first else "is empty"
    raise errors.UnknownFormat(file, f"{starts}; weigh reads {titles}")
