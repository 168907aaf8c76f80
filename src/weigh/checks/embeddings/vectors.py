"""Embedding vectors, one to a row, from a file that is mapped into memory or from an array, a block at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from weigh.errors import InvalidSetting, InvalidTable
from weigh.files.inspecting import inspect
from weigh.optional import needed
from weigh.sources import File, is_remote
from weigh.tensors import Contents, Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DTYPES = ("float64", "float32", "bfloat16", "float16", "int8")
"""The number formats that vectors are read from."""

_AT_ONCE = 2**22  # numbers of a block: 16 MiB in float32


class Survey(NamedTuple):
    """What one pass over all vectors gives.

    Attributes:
        lengths: The length of each, NaN or infinite where a number is: shape (rows,).
        usable: Whether it can be compared: it is finite and not zero. Shape (rows,).
        marks: A 64-bit mark of each, equal for equal vectors: shape (rows,).
    """

    lengths: "NDArray[np.float64]"
    usable: "NDArray[np.bool_]"
    marks: "NDArray[np.uint64]"


@dataclass(frozen=True)
class Vectors:
    """Embedding vectors of the same dimensions.

    Attributes:
        subject: Where they are from: a path, or the kind of an array.
        numbers: The array, mapped from its file: shape (rows, dimensions). bfloat16 is held as uint16.
        dtype: The number format, one of `DTYPES`.
    """

    subject: str
    numbers: "NDArray[Any]"
    dtype: str

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.numbers.shape[0])

    @property
    def dimensions(self) -> int:
        """Numbers of each."""
        return int(self.numbers.shape[1])

    def at(self, rows: Any) -> "NDArray[np.float32]":
        """The vectors of some rows, a slice or an array of row numbers, in float32."""
        import numpy as np

        some = np.asarray(self.numbers[rows])
        if self.dtype == "bfloat16":  # the upper half of a float32
            return (some.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and counts as unusable
            return some.astype(np.float32)

    def blocks(self) -> Iterator[tuple[slice, "NDArray[np.float32]"]]:
        """All vectors in float32, so many at a time that they take 16 MiB, and which rows they are."""
        step = max(1, _AT_ONCE // self.dimensions)
        for begin in range(0, self.rows, step):
            rows = slice(begin, min(begin + step, self.rows))
            yield rows, self.at(rows)

    @cached_property
    def survey(self) -> Survey:
        """Lengths, usability and marks of all vectors, from one pass over them."""
        import numpy as np

        lengths, marks = np.empty(self.rows), np.empty(self.rows, dtype=np.uint64)
        factors = np.random.default_rng(0).integers(0, 2**64, self.dimensions, dtype=np.uint64)
        for rows, block in self.blocks():
            lengths[rows] = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float64))
            bits = (block + np.float32(0)).view(np.uint32)  # the sum makes −0 a 0
            marks[rows] = bits.astype(np.uint64) @ factors
        return Survey(lengths, np.isfinite(lengths) & (lengths > 0), marks)


def vectors(source: Any, tensor: str | None = None) -> Vectors:
    """Vectors from a file or an array. A pickle is never run.

    Args:
        source: The path of a `.npy`, `.npz` or `.safetensors` file or of another one that `weigh.inspect` reads; or a
            two-dimensional array of NumPy's or what becomes one, such as a tensor on the CPU.
        tensor: The array's name in a file that holds several of two dimensions.

    Raises:
        InvalidTable: If there is no such array, it has no rows, is not two-dimensional, or holds something else than
            floating-point numbers or int8.
        WeighError: What `weigh.inspect` raises.
    """
    if isinstance(source, Vectors):
        return source
    with needed("vectors"):
        import numpy as np
    if isinstance(source, str) or hasattr(source, "__fspath__"):
        contents = inspect(source)
        chosen = _chosen(contents, tensor)
        _refuse(str(source), chosen.dtype, chosen.shape)
        return Vectors(str(source), _mapped(contents, chosen), chosen.dtype)
    where = f"{type(source).__module__.partition('.')[0]} array"
    if str(getattr(source, "dtype", "")) == "torch.bfloat16":
        raise InvalidTable(where, "is bfloat16, which NumPy has not; give vectors.float()")
    try:
        array = np.asarray(source)
    except (TypeError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n")[0]
        raise InvalidTable(where, f"is no array of numbers: {said}; give one row to a vector") from None
    _refuse(where, str(array.dtype), array.shape)
    return Vectors(where, array, str(array.dtype))


def places(rows: Any, new: Vectors, stored: Vectors) -> "NDArray[np.int64]":
    """The row of `stored` that is the same item as each row of `new`: shape (rows of new,).

    Args:
        rows: A path of a file with an array of whole numbers, or such an array; `None` if both have the same order.
        new: Vectors of some items.
        stored: Those that are stored.

    Raises:
        InvalidTable: If there are not as many as `new` has rows, or if one of them is no row of `stored`.
    """
    import numpy as np

    if rows is None:
        if new.rows != stored.rows:
            problem = (
                f"has {new.rows:,} rows and {stored.subject} has {stored.rows:,}; say which rows are the same items"
            )
            raise InvalidTable(new.subject, problem)
        return np.arange(stored.rows)
    where, numbers = "rows", rows
    if isinstance(rows, str) or hasattr(rows, "__fspath__"):
        where, contents = str(rows), inspect(rows)
        if len(contents.named) != 1:
            raise InvalidTable(where, f"holds {len(contents.named)} arrays; one of row numbers is needed")
        tensor = contents.named[0]
        if not tensor.dtype.startswith(("int", "uint")) or len(tensor.shape) != 1:
            raise InvalidTable(where, f"holds {tensor.dtype} {list(tensor.shape)}; a row of whole numbers is needed")
        data = contents.storages[tensor.storage].read(tensor.begin, tensor.end)
        numbers = np.frombuffer(data, dtype=tensor.dtype)
    found = np.asarray(numbers)
    if found.ndim != 1 or found.dtype.kind not in "iu" or len(found) != new.rows:
        problem = (
            f"{found.dtype} {list(found.shape)}: {new.rows:,} whole numbers are needed, one for each row of the new"
        )
        raise InvalidTable(where, problem)
    outside = np.flatnonzero((found < 0) | (found >= stored.rows))
    if len(outside):
        at = int(outside[0])
        problem = f"number {at + 1:,} is {found[at]}, and {stored.subject} has the rows 0 to {stored.rows - 1:,}"
        raise InvalidTable(where, problem)
    return found.astype(np.int64)


def drawn(count: int, sample: int, seed: int) -> "NDArray[np.int64]":
    """So many of the first whole numbers, without one twice, in their order.

    Raises:
        InvalidSetting: If the sample or the seed is none.
    """
    import numpy as np

    if sample < 1:
        raise InvalidSetting("sample", f"{sample} must be at least 1")
    if seed < 0:
        raise InvalidSetting("seed", f"{seed} must be at least 0")
    if count <= sample:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, sample, replace=False))


def _chosen(contents: Contents, name: str | None) -> Tensor:
    """The one tensor of a file that holds vectors, or the one of that name."""
    if not contents.named and contents.imports:
        raise InvalidTable(contents.path, "holds Python objects in a pickle, which is not run; save numbers")
    flat = [tensor for tensor in contents.named if len(tensor.shape) == 2]
    chosen = flat if len(contents.named) > 1 else list(contents.named)
    if name is not None:
        chosen = [tensor for tensor in contents.named if tensor.name == name]
    if len(chosen) != 1:
        there = ", ".join(repr(tensor.name[:40]) for tensor in (flat or contents.named)[:3])
        wanted = f"no array {name[:40]!r}" if name is not None else f"{len(chosen)} arrays of two dimensions"
        raise InvalidTable(contents.path, f"has {wanted}; name one of its arrays: {there or 'there are none'}")
    return chosen[0]


def _mapped(contents: Contents, tensor: Tensor) -> "NDArray[Any]":
    """A tensor's numbers, mapped where its file lies on this machine as it is, else read."""
    import numpy as np

    source = contents.storages[tensor.storage]
    kind = np.dtype(np.uint16 if tensor.dtype == "bfloat16" else tensor.dtype)
    flat: NDArray[Any]
    if isinstance(source, File) and source.data is None and not is_remote(source.path):
        count = (tensor.end - tensor.begin) // kind.itemsize
        flat = np.memmap(source.path, kind, "r", source.begin + tensor.begin, (count,))
    else:
        flat = np.frombuffer(source.read(tensor.begin, tensor.end), dtype=kind)
    if tensor.strides is None:
        return flat.reshape(tensor.shape)
    # An array that was saved column by column has strides, and so has a part of a tensor that PyTorch saved.
    last = sum((count - 1) * stride for count, stride in zip(tensor.shape, tensor.strides, strict=True))
    if min(tensor.strides) < 0 or last >= len(flat):
        raise InvalidTable(contents.path, f"has strides {list(tensor.strides)} that leave its bytes; save it again")
    steps = [stride * kind.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False)


def _refuse(where: str, dtype: str, shape: tuple[int, ...]) -> None:
    if dtype not in DTYPES:
        hint = ": one bit to a number? np.unpackbits gives them" if dtype == "uint8" else ""
        raise InvalidTable(where, f"holds {dtype}; vectors are of {', '.join(DTYPES)}{hint}")
    if len(shape) != 2:
        raise InvalidTable(where, f"has the shape {list(shape)}; two dimensions are needed, a vector to a row")
    if not all(shape):
        raise InvalidTable(where, "holds no vectors; give at least one row and one column")
