"""The question `weigh inspect` answers: what is in this file, without loading it or trusting it?"""

import os
from dataclasses import replace

from weigh import sources
from weigh.files import directories, quantized
from weigh.files.remarks import remarks
from weigh.tensors import Contents


def inspect(path: str | os.PathLike[str]) -> Contents:
    """Tensors, dtypes and bytes of a model file, a shard index or a model directory, from headers alone.

    Reads safetensors, PyTorch's archives (old and new, TorchScript, torch.export), checkpoint directories of
    torch.distributed, GGUF, ONNX and NumPy files. No tensor is loaded and no pickle is executed, so the cost is that of
    the header and an untrusted file does no harm. Of matrices that a quantizer packed, the numbers that they stand for
    are counted, where their scheme is known; the config.json beside the file is asked where the tensors do not tell.

    Args:
        path: A file, the index of shards, or a directory; or the URL of one (`https://…`, `s3://…`, `hf://…`), which is
            read by ranges and needs the packages universal-pathlib and that of its protocol.

    Raises:
        NotFound: If there is nothing at the path or it cannot be opened.
        WeighError: Another of its subclasses, for each way in which a file can be wrong.
    """
    where = sources.locate(path)
    with sources.opening(where):
        if sources.is_directory(where):
            contents = directories.read(where)
        else:
            contents = quantized.explained(directories.read_file(sources.File(where)), where.parent)
        return replace(contents, notes=(*contents.notes, *remarks(contents)))
