"""Read a safetensors file: eight bytes of length, that many bytes of JSON, then the tensors.

The rules are those of the format's specification (https://github.com/huggingface/safetensors#format): the length is an
unsigned little-endian 64-bit integer of at most 100,000,000, the header is UTF-8 JSON that begins with `{` and has no
duplicate keys, and the tensors fill the rest of the file with no gap and no overlap.
"""

import json
from math import prod
from typing import Any, NoReturn

from weigh import errors
from weigh.dtypes import DTYPES, SAFETENSORS
from weigh.sources import MAX_HEADER, File
from weigh.tensors import Contents, Tensor, is_shape


def read(file: File) -> Contents:
    """Read the header of a safetensors file. The cost is the header's, whatever the size of the tensors.

    Raises:
        WeighError: One of its subclasses, for each way in which the file can break the specification.
    """
    size = file.size
    with file.open() as reader:
        prefix = reader.read(8)
        if len(prefix) < 8:
            raise errors.TruncatedFile(
                file, f"has {len(prefix)} bytes, and a safetensors file starts with 8; fetch it again"
            )
        length = int.from_bytes(prefix, "little")
        if length > min(size - 8, MAX_HEADER):
            raise errors.HeaderTooLarge(
                f"{file}, bytes 0-7",
                f"the header claims {length:,} bytes, {size - 8:,} follow it and the format allows {MAX_HEADER:,}; "
                "the file is truncated or not safetensors: fetch it again",
            )
        header = _parse(file, reader.read(length))
    metadata = header.pop("__metadata__", None)
    metadata = {} if metadata is None else metadata  # MLX writes null where it has none
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise errors.MalformedHeader(
            f"{file}, key __metadata__", "maps names to something else than text; save it again"
        )
    tensors = tuple(_tensor(file, name, entry) for name, entry in header.items())
    payload = size - 8 - length
    _check_layout(file, tensors, payload)
    storages = {file.name: file.stretch(8 + length, payload)}
    return Contents(str(file), "safetensors", tensors, size, payload, metadata, storages=storages)


def _parse(file: File, raw: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for key, value in pairs:
            if key in seen:
                raise errors.DuplicateKey(f"{file}, header key {key[:80]!r}", "appears twice; save the file again")
            seen[key] = value
        return seen

    def malformed(problem: str) -> NoReturn:
        raise errors.MalformedHeader(f"{file}, header", f"{problem}; fetch or save the file again")

    try:
        header: dict[str, Any] = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except UnicodeDecodeError as error:
        malformed(f"byte {8 + error.start} is not UTF-8")
    except json.JSONDecodeError as error:
        malformed(f"is not JSON at byte {8 + error.pos} ({error.msg})")
    except (RecursionError, ValueError):
        malformed("nests too deep or holds a number of thousands of digits")
    if not raw.startswith(b"{"):
        malformed(f"starts with {raw[:1]!r} where the format asks for '{{'")
    return header


def _tensor(file: File, name: str, entry: Any) -> Tensor:
    where = f"{file}, tensor {name[:80]!r}"
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise errors.MalformedHeader(where, "needs exactly dtype, shape and data_offsets; save the file again")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in SAFETENSORS:
        raise errors.UnknownDtype(where, f"dtype {str(code)[:40]!r} is none of {', '.join(SAFETENSORS)}; update weigh")
    if not is_shape(shape) or not is_shape(offsets) or len(offsets) != 2:
        raise errors.MalformedHeader(where, "shape and data_offsets must be whole numbers; save the file again")
    begin, end = offsets
    bits = prod(shape) * DTYPES[SAFETENSORS[code]].bits
    if bits % 8 or end - begin != bits // 8:
        raise errors.InvalidOffsets(
            where,
            f"spans {end - begin:,} bytes, but its shape and dtype need {bits / 8:,g}; save it again",
        )
    return Tensor(name, tuple(shape), SAFETENSORS[code], file.name, begin, end)


def _check_layout(file: File, tensors: tuple[Tensor, ...], payload: int) -> None:
    position = 0
    for tensor in sorted(tensors, key=lambda t: (t.begin, t.end)):
        if tensor.begin != position:
            flaw = "overlaps the tensor before it" if tensor.begin < position else "leaves a gap before it"
            raise errors.InvalidOffsets(
                f"{file}, tensor {tensor.name[:80]!r}",
                f"starts at {tensor.begin:,} and {flaw}, which ends at {position:,}; do not use the file",
            )
        position = tensor.end
    if position > payload:
        raise errors.TruncatedFile(
            file, f"its tensors need {position:,} bytes and {payload:,} are there; fetch it again"
        )
    if position < payload:
        raise errors.InvalidOffsets(file, f"{payload - position:,} bytes at its end belong to no tensor; do not use it")
