"""How many bytes does a model keep of the past while it generates?

Each layer says what it keeps (`weigh.models.caches`): keys and values of every token or of a window, one
compressed vector for each token or for a group of them, or a state of a fixed size. The formulas follow from that,
layer by layer.
"""

from collections import Counter
from fractions import Fraction

from weigh.dtypes import DTYPES, dtype_name
from weigh.errors import UnknownDtype, WeighError
from weigh.formulas import Step, step
from weigh.memory.storage_formats import BLOCKS
from weigh.models.caches import Caches, KeyValue, Latent, Layer, State, Vectors

CACHE_FORMATS: dict[str, tuple[int, int]] = {
    **{name: (1, DTYPES[name].bits // 8) for name in ("float32", "bfloat16", "float16")},
    **{name: (1, 1) for name in ("float8_e4m3fn", "float8_e5m2", "int8")},
    **{name: BLOCKS[name] for name in ("q8_0", "q5_1", "q5_0", "q4_1", "q4_0")},
}
"""What a cache can be kept in: the numbers of a block, and its bytes.

A cache of 8 bits has a scale for a tensor or a head, which is not counted. The blocks, scales included, are those of
llama.cpp's `--cache-type-k` and `--cache-type-v`.
"""


ROWS: dict[type[Layer], tuple[str, ...]] = {
    KeyValue: ("key", "value"), Latent: ("rank", "rope", "index"), State: ("numel",), Vectors: ("numel", "waiting"),
}  # fmt: skip
"""The fields of a layer that are lengths of rows of numbers, which a format divides into blocks."""


def cache_format(name: str) -> str:
    """The name of a format of caches as `weigh` writes it.

    Raises:
        UnknownDtype: If there is none of that name.
    """
    known = dtype_name(name)
    if known not in CACHE_FORMATS:
        raise UnknownDtype(
            f"KV cache format {name!r:.40}", f"not known to weigh, which knows {', '.join(CACHE_FORMATS)}"
        )
    return known


def cache_bytes(caches: Caches, context: int, batch: int, dtype: str, encoder_context: int) -> int:
    """The KV cache of a batch of sequences, in bytes.

    Args:
        caches: What each layer keeps: `model.caches`.
        context: The tokens of each sequence that the decoder has read or written.
        batch: The sequences.
        dtype: A key of `CACHE_FORMATS`.
        encoder_context: The tokens of each sequence that the encoder has read, for layers that attend to them.

    Raises:
        WeighError: If a head does not divide into the blocks of the format.
    """
    return sum(kind.value for kind in cache_steps(caches, context, batch, dtype, encoder_context))


def cache_steps(caches: Caches, context: int, batch: int, dtype: str, encoder_context: int) -> list[Step]:
    """The formula of the KV cache of every kind of layer, with its numbers. The arguments are those of `cache_bytes`.

    E is the size of a head, R the numbers of a vector or of a state, W the window, G the vectors of whole groups of
    tokens, M the tokens that wait for the rest of theirs, Q the numbers of one of these, and b the bytes of a number.
    """
    steps = []
    for layer, layers in Counter(caches).items():
        name, formula, symbols = _formula(layer)
        tokens = encoder_context if isinstance(layer, KeyValue) and layer.cross else context
        if isinstance(layer, Vectors):
            symbols |= {"G": tokens // layer.every, "M": tokens % layer.every}
        symbols |= {"L": layers, "T": tokens, "B": batch}
        steps.append(step(f"{name}, {layers} layers", formula, b=_bytes_of_a_number(layer, dtype), **symbols))
    return steps


def _bytes_of_a_number(layer: Layer, dtype: str) -> Fraction:
    """The bytes of a number in the cache's format, or in a layer's own."""
    own = layer.dtype if isinstance(layer, State | Vectors) else None
    if own is not None:
        return Fraction(DTYPES[own].bits, 8)
    numbers, size = CACHE_FORMATS[dtype]
    if any(getattr(layer, row) % numbers for row in ROWS[type(layer)]):
        raise WeighError(f"KV cache format {dtype}", f"the rows of {layer} do not divide into its blocks of {numbers}")
    return Fraction(size, numbers)


def _formula(layer: Layer) -> tuple[str, str, dict[str, int]]:
    """The name, the formula and the symbols of a kind of layer."""
    match layer:
        case State(numel, dtype, _):
            return f"state in {dtype}" if dtype else "state", "L · R · B · b", {"R": numel}
        case Vectors(numel, every, waiting, window, dtype):
            name = "a vector for each token" if every == 1 else f"a vector for every {every} tokens"
            name = name if dtype is None else f"{name} in {dtype}"
            if window is not None:
                return f"{name} in a window", "L · R · min(T, W) · B · b", {"R": numel, "W": window}
            if every == 1:
                return name, "L · R · T · B · b", {"R": numel}
            return name, "L · (G · R + M · Q) · B · b", {"R": numel, "Q": waiting}
        case Latent(rank, rope, window, index):
            name = "compressed keys and values" + (", and keys of an index" if index else "")
            tokens = "T" if window is None else "min(T, W)"
            name = name if window is None else f"{name} in a window"
            symbols = {"R": rank + rope + index}
            return name, f"L · R · {tokens} · B · b", symbols if window is None else symbols | {"W": window}
        case KeyValue(heads, key, value, window, cross):
            name = "keys and values of the encoder's tokens" if cross else "keys and values"
            head = "2 · L · K · E" if key == value else "L · K · (E + U)"
            tokens = "T" if window is None else "min(T, W)"
            name = name if window is None else f"{name} in a window"
            return name, f"{head} · {tokens} · B · b", {"K": heads, "E": key, "U": value, "W": window or 0}
