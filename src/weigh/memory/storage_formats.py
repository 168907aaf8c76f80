"""How many bytes do the weights take in this format, the scales of its blocks included?

A format of fewer than 16 bits keeps scales beside the numbers, and it seldom covers the whole model. What each one
covers, and the tensors that it leaves behind, are those of the program that the format comes from:

- float32, float16, bfloat16: every parameter.
- float8_e4m3fn, float8_e5m2: a byte for each weight of the matrices in the layers and one float32 scale for each
  matrix, as vLLM's `fp8`. float8-block: a float32 scale for every tile of 128 x 128, as DeepSeek-V3 is published.
- int8: a float32 scale for each row of outputs, as LLM.int8 keeps them (Dettmers et al. 2022, arXiv 2208.07339).
- nf4, nf4-double: bitsandbytes (Dettmers et al. 2023, arXiv 2305.14314), measured with version 0.50.
- awq, gptq: int4 in groups of 128 inputs, or of n as in `awq-g64`: AutoAWQ's and AutoGPTQ's tensors. The latter also
  of 2, 3 or 8 bits, as in `gptq-3bit` or `gptq-8bit-g32`. Of a model that sees or hears, the text part alone.
- mxfp4: blocks of 32 with a shared exponent (OCP Microscaling 1.0): the experts of a mixture alone, as gpt-oss is
  published, or else every matrix in the layers.
- q4_0, q8_0, q4_k_m and so on: files of llama.cpp; see `weigh.memory.gguf_mixes`.

Except for llama.cpp's, embeddings, head, norms, biases and routers stay in 16 bits.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from math import gcd

from weigh.dtypes import DTYPES, bytes_of, dtype_name
from weigh.errors import UnknownDtype, WeighError
from weigh.formulas import Step, evaluate, step, written
from weigh.memory.gguf_mixes import ALIASES, MIXES, assign
from weigh.models.matrices import Matrix, matrices, read_text
from weigh.models.parameters import Model
from weigh.tensors import Tensor

Counts = dict[str, int]

PLAIN = ("float64", "float32", "bfloat16", "float16")
"""Formats that hold every parameter, and nothing else."""

BLOCKS: dict[str, tuple[int, int]] = {
    name: (dtype.block, int(dtype.block * dtype.bits / 8)) for name, dtype in DTYPES.items() if dtype.block > 1
}
"""Block formats: the weights of a block, which are neighbours in a row, and its bytes with scales (ggml's tables)."""


@dataclass(frozen=True, slots=True)
class StorageFormat:
    """A storage format of matrices: the bytes of their weights and scales.

    Attributes:
        name: Its name.
        sizes: The bytes of everything that is stored, by symbol: P weights, S scales, Z scales of the scales, N
            matrices (each with tables of its own), I inputs.
        count: How many of each there are in one matrix, given its outputs and inputs.
        outputs, inputs: What the sides of a matrix must be multiples of.
    """

    name: str
    sizes: Mapping[str, Fraction]
    count: Callable[[int, int], Counts]
    outputs: int = 1
    inputs: int = 1

    def nbytes(self, outputs: int, inputs: int) -> int:
        """The bytes of a matrix.

        Raises:
            WeighError: If its sides are no multiple of the blocks.
        """
        if outputs % self.outputs or inputs % self.inputs:
            raise WeighError(
                f"format {self.name}",
                f"no matrix of {outputs:,} x {inputs:,} divides into its blocks of {self.outputs} x {self.inputs}",
            )
        return int(evaluate(self.formula, self.count(outputs, inputs)))

    @property
    def formula(self) -> str:
        """The formula of the bytes of matrices, in P weights and the numbers of scales."""
        return " + ".join(f"{symbol} · {written(size)}" for symbol, size in self.sizes.items())


def _plain(name: str, bits: int | Fraction) -> StorageFormat:
    return StorageFormat(name, {"P": Fraction(bits) / 8}, lambda outputs, inputs: {"P": outputs * inputs})


def _blocks(name: str) -> StorageFormat:
    weights, size = BLOCKS[name]
    count = _plain(name, 0).count
    return StorageFormat(name, {"P": Fraction(size, weights)}, count, inputs=weights)


def _scaled(rows: int | None, columns: int | None, outputs: int, inputs: int) -> Counts:
    """A scale for every tile of rows x columns; `None` is the whole side."""
    return {"P": outputs * inputs, "S": -(-outputs // (rows or outputs)) * -(-inputs // (columns or inputs))}


def _bytes_scaled(name: str, rows: int | None, columns: int | None) -> StorageFormat:
    return StorageFormat(name, {"P": Fraction(1), "S": Fraction(4)}, partial(_scaled, rows, columns))


def _grouped(name: str, bits: int, group: int) -> StorageFormat:
    """For each group a float16 scale and a zero as wide as a weight; GPTQ also keeps the int32 number of each input's
    group."""
    weight = Fraction(bits, 8)
    sizes = {"P": weight, "S": 2 + weight} | ({"I": Fraction(4)} if name.startswith("gptq") else {})
    return StorageFormat(
        name,
        sizes,
        lambda outputs, inputs: _scaled(1, group, outputs, inputs) | {"I": inputs},
        outputs=32 // gcd(32, bits),  # zeros fill whole int32
        inputs=group,
    )


def _nf4(name: str) -> StorageFormat:
    """A scale for each 64 weights and a table of 16 values. Doubly quantized, the scales have scales, and a table."""

    def count(outputs: int, inputs: int) -> Counts:
        scales = -(-outputs * inputs // 64)
        return {"P": outputs * inputs + outputs * inputs % 2, "S": scales, "Z": -(-scales // 256), "N": 1}

    double = name == "nf4-double"
    scales = {"S": Fraction(1), "Z": Fraction(4), "N": Fraction(64 + 1024)}
    return StorageFormat(
        name, {"P": Fraction(1, 2)} | (scales if double else {"S": Fraction(4), "N": Fraction(64)}), count
    )


def storage_format(name: str) -> StorageFormat:
    """The storage format of that name, such as `bfloat16`, `int8`, `nf4`, `awq-g64` or `q4_k`.

    Raises:
        UnknownDtype: If there is none of that name.
    """
    if name in ("int8", "float8_e4m3fn", "float8_e5m2"):
        return _bytes_scaled(name, 1 if name == "int8" else None, None)
    if name == "float8-block":
        return _bytes_scaled(name, 128, 128)
    if name in BLOCKS:
        return _blocks(name)
    if name in ("nf4", "nf4-double"):
        return _nf4(name)
    if grouped := re.fullmatch(r"(?:awq|gptq|gptq-([238])bit)(?:-g([1-9]\d{0,4}))?", name):
        return _grouped(name, int(grouped[1] or 4), int(grouped[2] or 128))
    if name in PLAIN:
        return _plain(name, DTYPES[name].bits)
    raise UnknownDtype(f"format {name!r:.40}", f"not known to weigh, which knows {', '.join(STORAGE_FORMATS)}")


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in a storage format, with its bytes.

    Attributes:
        tensor: The tensor, with its shape as the config describes it.
        format: The format of this tensor, which a mix may choose one by one.
        nbytes: Its bytes, scales included.
        counts: What it is made of, by the symbols of `StorageFormat`.
    """

    tensor: Tensor
    format: StorageFormat
    nbytes: int
    counts: Counts


def sixteen_bits(model: Model) -> str:
    """The 16-bit format that a model is computed in: its own, or bfloat16 if it is saved in more bits."""
    return model.dtype if DTYPES[model.dtype].bits == 16 else "bfloat16"


def canonical(name: str) -> str:
    """The name of a format as `weigh` writes it: in lower case, without an alias.

    Raises:
        UnknownDtype: If there is none of that name.
    """
    known = dtype_name(name)
    known = ALIASES.get(known, known)
    if known in MIXES:
        return known
    if known in BLOCKS and known != "mxfp4":
        raise UnknownDtype(f"format {name!r}", "is a format of tensors, and no file of llama.cpp is called so")
    return storage_format(known).name


def stored(model: Model, name: str) -> list[Stored]:
    """Distinct tensors of a model, each with the bytes that a storage format takes for it.

    Args:
        model: What `weigh.params` counted.
        name: One of `weigh.STORAGE_FORMATS`, in any case; `awq` and `gptq` take a group size, as in `awq-g64`.

    Raises:
        UnknownDtype: If there is no format of that name.
        WeighError: If a matrix does not divide into the format's blocks, or the format is a mix of llama.cpp that
            `weigh` does not know for this family.
    """
    name = canonical(name)
    if name in MIXES:
        return [_store(t, storage_format(f), m) for t, f, m in assign(model, name)]
    if name in PLAIN:
        return [_store(tensor, storage_format(name), None) for tensor in model.distinct]
    packed = {matrix.tensor.name: matrix for matrix in matrices(model)}
    if name.startswith(("awq", "gptq", "mxfp4")):
        packed = {tensor.name: packed[tensor.name] for tensor in read_text(model, model.named) if tensor.name in packed}
    if name == "mxfp4" and any(matrix.experts for matrix in packed.values()):
        packed = {tensor: matrix for tensor, matrix in packed.items() if matrix.experts}
    inner, outer = storage_format(name), storage_format(sixteen_bits(model))
    return [
        _store(tensor, inner if tensor.name in packed else outer, packed.get(tensor.name)) for tensor in model.distinct
    ]


def _store(tensor: Tensor, storage: StorageFormat, matrix: Matrix | None) -> Stored:
    if storage.name in PLAIN:
        return Stored(tensor, storage, bytes_of(tensor.numel, DTYPES[storage.name]), {"P": tensor.numel})
    if matrix is None:  # a table of llama.cpp's, stored in rows as a matrix is
        count, outputs, inputs = 1, tensor.shape[-2], tensor.shape[-1]
    else:
        count, outputs, inputs = matrix.count, matrix.outputs, matrix.inputs
    counts = {symbol: number * count for symbol, number in storage.count(outputs, inputs).items()}
    return Stored(tensor, storage, count * storage.nbytes(outputs, inputs), counts)


def weight_steps(tensors: list[Stored]) -> list[Step]:
    """The bytes of stored tensors, format by format, with the formula of each."""
    totals: dict[str, tuple[StorageFormat, Counter[str]]] = {}
    for one in tensors:
        storage, counts = totals.get(one.format.name, (one.format, Counter[str]()))
        totals[storage.name] = storage, counts + Counter(one.counts)
    return [step(f"weights in {name}", storage.formula, **counts) for name, (storage, counts) in totals.items()]


def bits_per_weight(name: str, outputs: int = 4096, inputs: int = 4096) -> Fraction:
    """The bits that a weight of a matrix takes in the format of that name, scales included."""
    return Fraction(storage_format(name).nbytes(outputs, inputs) * 8, outputs * inputs)


STORAGE_FORMATS = (
    *PLAIN, "float8_e4m3fn", "float8_e5m2", "float8-block", "int8", "mxfp4", "nf4", "nf4-double", "awq", "gptq",
    "gptq-2bit", "gptq-3bit", "gptq-8bit", *MIXES,
)  # fmt: skip
"""The formats that `stored` and `inference` know."""
