"""GPTQ and AWQ: codes packed into words of 32 bits, `qweight`, beside `scales`, `qzeros` and, of GPTQ, `g_idx`.

GPTQ packs along the inputs: `qweight` is (inputs · bits / 32, outputs), and 32 codes of 3 bits lie in three words. AWQ
packs along the outputs: (inputs, outputs · bits / 32). `qzeros` is (groups, outputs · bits / 32) in both, `scales` is
(groups, outputs). Kernels such as Marlin's reorder the words; their number stays.
"""

from collections.abc import Iterator
from fractions import Fraction

from weigh.files.quantized.stored import Stored
from weigh.groups import Group
from weigh.tensors import Tensor

_WORD = 32


def find(stored: Stored) -> Iterator[Group]:
    """The matrices that lie in words of 32 bits."""
    for base, words in stored.ending("qweight"):
        if words.dtype == "int32" and len(words.shape) in (2, 3):
            side = stored.side(base, scales=("scales",), zero_points=("qzeros",), order=("g_idx",))
            bits = _bits(stored, base)
            yield Group(
                f"{base}weight",
                _scheme(stored, base, words),
                _shape(stored, base, words, bits),
                bits,
                (words.name,),
                side,
                None if bits is None else words.numel * _WORD // bits,
                "" if bits else "the number of bits is not in the file; give the directory with its config.json",
            )


def _bits(stored: Stored, base: str) -> int | None:
    """The bits of a code: by the zero points, which are packed as the codes are, else as the settings say."""
    zeros, scales = stored.tensors.get(f"{base}qzeros"), stored.tensors.get(f"{base}scales")
    if zeros is not None and scales is not None and zeros.dtype == "int32" and zeros.shape and scales.shape:
        bits = Fraction(zeros.shape[-1] * _WORD, max(1, scales.shape[-1]))
        if bits in (2, 3, 4, 8):
            return int(bits)
    said = stored.settings.get("bits", stored.settings.get("w_bit"))
    return said if type(said) is int and 0 < said <= _WORD else None


def _shape(stored: Stored, base: str, words: Tensor, bits: int | None) -> tuple[int, ...] | None:
    """(…, outputs, inputs), where scales say which side is packed."""
    scales = stored.tensors.get(f"{base}scales")
    if bits is None or scales is None or not scales.shape:
        return None
    *experts, rows, columns = words.shape
    if scales.shape[-1] == columns:
        return (*experts, columns, rows * _WORD // bits)
    if scales.shape[-1] == columns * _WORD // bits:
        return (*experts, scales.shape[-1], rows)
    return None


def _scheme(stored: Stored, base: str, words: Tensor) -> str:
    method = stored.settings.get("quant_method")
    if method in ("gptq", "awq"):
        return str(method).upper()
    scales = stored.tensors.get(f"{base}scales")
    return "GPTQ" if f"{base}g_idx" in stored.tensors or (scales and scales.shape[-1:] == words.shape[-1:]) else "AWQ"
