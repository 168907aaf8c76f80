"""Read PyTorch's zip archives, whose records say what each is: values that were saved, or a program."""

from weigh import errors
from weigh.formats.torch import exported, rebuilding, saved, torchscript
from weigh.sources import File
from weigh.tensors import Contents


def read(file: File) -> Contents:
    """Read the structure of a PyTorch archive. The cost is that of its pickle, whatever the size of the storages.

    Raises:
        MalformedArchive: If the zip archive is damaged or is not what PyTorch writes.
        UnsupportedField: If it was written on a machine that puts the high byte first.
        WeighError: What the reader of its pickle raises: see `rebuilding.tensors`.
    """
    records = saved.records_of(file)
    if "constants.pkl" in records:
        return torchscript.read(file, records)
    if "archive_format" in records and "data.pkl" not in records:  # which torch.load would unpickle
        return exported.read(file, records)
    contents = saved.read(file, records)
    called = contents.imports + contents.allowed
    if called and not contents.named:
        raise errors.MalformedArchive(
            file, f"holds no tensor, and loading it would call {rebuilding.naming(called)}; do not load it"
        )
    return contents
