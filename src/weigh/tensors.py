"""What a model file holds, whatever its format: named tensors over storages, and the bytes around them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from weigh.dtypes import DTYPES, bytes_of
from weigh.groups import Group, held, totals
from weigh.sources import Source


def is_shape(value: object) -> bool:
    """Whether a value read from a file can be a shape: at most 64 whole numbers below 2⁶³.

    NumPy and PyTorch allow no more dimensions; the product of a million of them would take minutes.
    """
    return (
        isinstance(value, list | tuple)
        and len(value) <= 64
        and all(type(size) is int and 0 <= size < 2**63 for size in value)
    )


@dataclass(frozen=True, slots=True)
class Tensor:
    """One named tensor of a file or of a specification.

    Attributes:
        name: Its key in the state dict.
        shape: Its dimensions; `()` is a scalar.
        dtype: The name of its number format, a key of `weigh.DTYPES`.
        storage: The block of bytes it lives in. Tensors with the same storage may share bytes.
        begin: Where in the storage its first byte is.
        end: Where in the storage its last byte ends. `end - begin` is more than `nbytes` for a tensor with strides.
        component: `weights`, `ema` (a moving average of weights that are there too), `optimizer`, `rng` or `metadata`.
        strides: How many elements lie between neighbours along each dimension; `None` is row after row with no gap.
        role: What it is for, as a specification says: one of those of `weigh.models.layers`, such as `embedding` or
            `attention query`; empty for a tensor of a file.
        layer: The number of the layer that it belongs to, of a group or stage of them where layers come in those;
            `None` outside the layers, and for a tensor of a file.
        transposed: Whether a matrix is stored (inputs, outputs), and not (outputs, inputs) as usual.
        experts: For a tensor of experts: how many of them a token passes through, 0 if nobody says, and how many there
            are.
        state_dict: The key in a checkpoint below which the state dict is that has it, such as `model`; empty where
            the file is the state dict.
        buffer: Whether the file says that it is no parameter, as a pickled module and an exported program do.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    storage: str
    begin: int
    end: int
    component: str = "weights"
    strides: tuple[int, ...] | None = None
    role: str = ""
    layer: int | None = None
    transposed: bool = False
    experts: tuple[int, int] | None = None
    state_dict: str = ""
    buffer: bool = False

    @property
    def numel(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of the elements, whether or not another tensor shares them."""
        return bytes_of(self.numel, DTYPES[self.dtype])


def location(tensor: Tensor) -> tuple[str, int, int, tuple[int, ...], tuple[int, ...] | None]:
    """Where a tensor's elements are: equal for two names of the same ones."""
    return tensor.storage, tensor.begin, tensor.end, tensor.shape, tensor.strides


def own_bytes(tensors: Iterable[Tensor]) -> list[tuple[Tensor, int]]:
    """Tensors with their own bytes: those that no tensor before in the same storage covers, so that each counts once.

    A second name of the same bytes gets 0, a tensor that overlaps another what is its own: what both have, if weights.
    """
    storages: dict[str, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        storages[tensor.storage].append(tensor)
    counted = []
    for sharing in storages.values():
        covered = 0
        for tensor in sorted(sharing, key=lambda t: (t.begin, -t.end, t.component != "weights")):
            new = max(0, tensor.end - max(covered, tensor.begin))
            counted.append((tensor, min(new, tensor.nbytes)))
            covered = max(covered, tensor.end)
    return counted


def elements_of(tensor: Tensor, own: int) -> int:
    """The elements of a tensor that no other has, given the bytes that are its own: see `own_bytes`.

    One that repeats its bytes, as an expanded tensor does, has as many as its shape says.
    """
    whole = min(tensor.nbytes, tensor.end - tensor.begin)
    return tensor.numel if own == whole else int(own * 8 // DTYPES[tensor.dtype].bits)


def _is_parameter(tensor: Tensor) -> bool:
    return DTYPES[tensor.dtype].kind in ("float", "complex") and not tensor.buffer


def shared_prefix(names: Iterable[str]) -> str:
    """The first part of the dotted names, with its dot, if all have it and more; else nothing."""
    names = list(names)
    parts = {name.partition(".")[0] for name in names}
    return f"{parts.pop()}." if len(parts) == 1 and all("." in name for name in names) else ""


@dataclass(frozen=True, slots=True)
class NotRead:
    """A file of a directory, or a whole folder, whose tensors are not counted.

    Attributes:
        path: From the directory, with `/` between its parts and at the end of a folder.
        bytes: Its size.
        why: Why it was left out, such as that it holds a copy of the weights.
    """

    path: str
    bytes: int
    why: str


@dataclass(frozen=True)
class Contents:
    """Contents of a model file or directory, read from headers alone: tensors, bytes, metadata.

    Attributes:
        path: What was inspected.
        format: `safetensors`, `pytorch` or, for a directory, the formats of its files.
        named: Every tensor under every name it has, tied ones included.
        bytes_on_disk: The size of the files that hold the tensors.
        bytes_in_storages: Their bytes of payload; the rest is metadata (header, pickle, padding).
        metadata: Small values stored beside the tensors, such as the epoch or the last loss.
        imports: What loading the file would import or call that a safe loader refuses. Nothing of it was run.
        allowed: What a safe loader refuses too, and the library that left the file allows, or never loads.
        artifacts: For a directory, the files of each of the six artifacts of a model; empty lists are missing ones.
        notes: What a reader should know before using the numbers.
        storages: Where the bytes of each storage are.
        groups: The matrices that a quantizer replaced by several tensors each, as far as their scheme is known.
        files: For what lies in several files, their names from the directory.
        parts: For a model of several folders, the parameters of each.
        not_read: For a directory, all in it that is not counted.
    """

    path: str
    format: str
    named: tuple[Tensor, ...]
    bytes_on_disk: int
    bytes_in_storages: int
    metadata: dict[str, Any] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    storages: Mapping[str, Source] = field(default_factory=dict, repr=False)
    groups: tuple[Group, ...] = field(default=(), repr=False)
    files: tuple[str, ...] = ()
    parts: dict[str, int] = field(default_factory=dict)
    not_read: tuple[NotRead, ...] = ()

    @cached_property
    def _own(self) -> list[tuple[Tensor, int]]:
        return own_bytes(self.named)

    @cached_property
    def tied(self) -> list[list[str]]:
        """Groups of names that stand for the same bytes."""
        groups: dict[tuple[str, int, int], list[str]] = defaultdict(list)
        for tensor in self.named:
            if tensor.nbytes:
                groups[tensor.storage, tensor.begin, tensor.end].append(tensor.name)
        return [names for names in groups.values() if len(names) > 1]

    @property
    def tensors(self) -> int:
        """The number of tensors, tied ones counted once."""
        return len(self.named) - sum(len(names) - 1 for names in self.tied)

    @property
    def parameters(self) -> int:
        """Numbers of the model: floating-point and complex elements among the weights, tied ones counted once.

        An expanded tensor, which repeats what it stores, has all of its elements. Of a quantized matrix whose scheme is
        known these are the numbers that it stands for, without scales and zero points; of one whose numbers cannot be
        known from the file there are none, and a note says so. Where a file tells buffers from parameters, they are
        none.
        """
        return self._elements(_is_parameter) + held(self.groups, self._own_of_weights)

    @property
    def buffers(self) -> int:
        """Integer and boolean elements among the weights that are no part of a quantized matrix of a known scheme.

        These are positions, masks and counters, or the codes of an unknown scheme; and what a file says is a buffer or
        a constant, of any format.
        """
        return self._elements(lambda tensor: not _is_parameter(tensor))

    @property
    def stored_elements(self) -> int:
        """Elements among the weights as they are stored, whatever they stand for, tied ones counted once."""
        return sum(elements_of(tensor, own) for tensor, own in self._own if tensor.component == "weights")

    @property
    def quantized(self) -> dict[str, Any] | None:
        """What the quantized matrices add up to: scheme, parameters, bits for each, bytes; `None` if there are none."""
        return totals(self.groups, self._own_of_weights) if self.groups else None

    @cached_property
    def _own_of_weights(self) -> dict[str, int]:
        sums: dict[str, int] = defaultdict(int)
        for tensor, own in self._own:
            if tensor.component == "weights":
                sums[tensor.name] += own
        return sums

    @cached_property
    def _explained(self) -> set[str]:
        return {name for group in self.groups for name in group.names}

    def _elements(self, counted: Callable[[Tensor], bool]) -> int:
        return sum(
            elements_of(tensor, own)
            for tensor, own in self._own
            if tensor.component == "weights" and counted(tensor) and tensor.name not in self._explained
        )

    @property
    def bytes_in_tensors(self) -> int:
        """Bytes that belong to a tensor, each counted once."""
        return sum(own for _, own in self._own)

    @property
    def by_dtype(self) -> dict[str, int]:
        """Bytes in tensors for each number format."""
        sums: dict[str, int] = defaultdict(int)
        for tensor, own in self._own:
            sums[tensor.dtype] += own
        return dict(sums)

    @property
    def by_component(self) -> dict[str, int]:
        """Bytes on disk for each component. They add up to `bytes_on_disk`.

        `unused` is payload that no tensor covers, such as the rest of a large tensor of which a view was saved. What is
        stored in fewer bytes or more than its tensor has, compressed or as varints, counts as it is stored.
        """
        sums: dict[str, int] = defaultdict(int)
        packed = {name: storage.packed for name, storage in self.storages.items()}
        for tensor, own in self._own:
            size = packed.get(tensor.storage)
            if size is not None:
                own, packed[tensor.storage] = size, 0
            sums[tensor.component] += own
        unused = self.bytes_in_storages - sum(sums.values())
        metadata = self.bytes_on_disk - self.bytes_in_storages + sums.get("metadata", 0)
        return {
            "weights": sums.get("weights", 0),
            "ema": sums.get("ema", 0),
            "optimizer": sums.get("optimizer", 0),
            "rng": sums.get("rng", 0),
            "metadata": metadata,
            "unused": unused,
        }

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain integers and strings, under the names that `weigh inspect --json` promises."""
        return {
            "path": self.path,
            "format": self.format,
            "parameters": self.parameters,
            "buffers": self.buffers,
            "stored_elements": self.stored_elements,
            "quantized": self.quantized,
            "tensors": self.tensors,
            "bytes_on_disk": self.bytes_on_disk,
            "bytes_in_tensors": self.bytes_in_tensors,
            "by_dtype": self.by_dtype,
            "by_component": self.by_component,
            "tied": self.tied,
            "metadata": self.metadata,
            "imports": list(self.imports),
            "artifacts": self.artifacts,
            "notes": list(self.notes),
            "parts": self.parts,
            "not_read": [asdict(each) for each in self.not_read],
        }
