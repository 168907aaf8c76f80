"""One module for each file format: bytes in, `weigh.tensors.Contents` out, nothing loaded and nothing executed."""

from pathlib import Path

from weigh import errors
from weigh.tensors import Contents

PYTORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")


def read(path: Path) -> Contents:
    """Read one file, by its suffix or, where that says nothing, by its first bytes.

    Raises:
        UnknownFormat: If the file is of no format that `weigh` reads.
        WeighError: What the reader of its format raises.
    """
    with path.open("rb") as file:
        head = file.read(9)
    # Each reader is imported when a file of its format turns up, so that `import weigh` is quick.
    if head.startswith(b"PK\x03\x04"):
        from weigh.formats import pytorch

        return pytorch.read(path)
    if path.suffix == ".safetensors" or head[8:] == b"{":
        from weigh.formats import safetensors

        return safetensors.read(path)
    if path.suffix in PYTORCH_SUFFIXES:
        raise errors.UnknownFormat(
            path, "is not a zip archive; a file of torch.save before PyTorch 1.6 must be loaded and saved again"
        )
    raise errors.UnknownFormat(path, f"starts with {head[:4]!r}; weigh reads safetensors and PyTorch zip archives")
