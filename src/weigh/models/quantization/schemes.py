"""What each scheme makes of a matrix, in bytes, and which matrices it converts.

From the code that saves: `QuantLinear` of AutoGPTQ and GPTQModel, `WQLinear_GEMM` of AutoAWQ, `QuantState` of
bitsandbytes, `FP8Linear` and `Mxfp4GptOssExperts` of transformers, torchao's tensor subclasses, `QLinear` of quanto,
and `nn.quantize` of MLX. That of compressed-tensors is in `compressed`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from weigh.dtypes import DTYPES
from weigh.models.quantization.matrices import Matrix
from weigh.models.quantization.names import Names
from weigh.models.quantization.unknown import Unknown

LINEAR = frozenset({"linear"})
_EXPERTS = frozenset({"linear", "expert"})


@dataclass(frozen=True)
class Plan:
    """What a scheme does.

    Attributes:
        cost: The bytes of one converted matrix with all that lies beside it; `None` if it is left as it is.
        kinds: The kinds of matrices that it converts.
        left: The modules that the config leaves; `None` if it names none.
        leaves_usual: Whether transformers' usual ones are left.
        layers_only: Whether it converts matrices of layers alone, so that a head is left.
        experts_unknown: Whether it depends on versions how experts are saved, where `kinds` leaves them out.
        by_parameter: Whether patterns are asked about parameters, `MODULE.weight`, and not about modules.
        by_transformers: Whether transformers converts, which leaves what a class of its own keeps in more bits.
        within: By how many bytes each matrix may be off.
    """

    cost: Callable[[Matrix], int | None]
    kinds: frozenset[str] = LINEAR
    left: Names | None = None
    leaves_usual: bool = False
    layers_only: bool = False
    experts_unknown: bool = True
    by_parameter: bool = False
    by_transformers: bool = False
    within: int = 0


class Settings:
    """The fields of a quantization config, each read as what it must be.

    Args:
        fields: The JSON object.
        dtype: The number format of what is not quantized.
    """

    def __init__(self, fields: Mapping[str, Any], dtype: str) -> None:
        self.fields = fields
        self.dtype = dtype
        self.width = int(DTYPES[dtype].bits) // 8

    def whole(self, name: str, default: int, *allowed: int) -> int:
        """A whole number: one of those allowed, or else any from 1."""
        value = self.fields.get(name)
        value = default if value is None else value
        if type(value) is not int or not (value in allowed if allowed else 0 < value < 2**31):
            raise Unknown(f"its {name} is {value!r:.40}")
        return value

    def one_of(self, name: str, *allowed: Any) -> Any:
        """One of the values that are known; the first is what an absent field means."""
        value = self.fields.get(name)
        value = allowed[0] if value is None else value
        if not any(value is one or (value == one and type(value) is type(one)) for one in allowed):
            raise Unknown(f"its {name} is {value!r:.40}")
        return value

    def group(self, name: str = "group_size", default: int = 128) -> int | None:
        """The inputs that share a scale; `None` for all of a row."""
        return None if self.fields.get(name) == -1 else self.whole(name, default)

    def names(self, name: str, *, marked: bool = False) -> Names | None:
        """The patterns of a list; `None` if there is none."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise Unknown(f"its {name} is no list of names")
        return Names(value, marked=marked)


def plan(method: str, fields: Mapping[str, Any], dtype: str) -> Plan:
    """What the scheme of a config does.

    Raises:
        Unknown: If it is not known here, or a version or setting of it is not.
    """
    from weigh.models.quantization.compressed import compressed

    makers: dict[str, Callable[[Settings], Plan]] = {
        "gptq": _gptq, "awq": _awq, "bitsandbytes": _bitsandbytes, "fp8": _fp8, "mxfp4": _mxfp4, "torchao": _torchao,
        "quanto": _quanto, "mlx": _mlx, "compressed-tensors": compressed,
    }  # fmt: skip
    if method not in makers:
        raise Unknown("how this scheme saves a matrix is not known to weigh")
    return makers[method](Settings(fields, dtype))


def up(numerator: int, denominator: int) -> int:
    """Division, rounded up."""
    return -(-numerator // denominator)


def _gptq(given: Settings) -> Plan:
    bits, size = given.whole("bits", 4, 2, 3, 4, 8), given.group()
    given.one_of("checkpoint_format", "gptq", "gptq_v2")
    for name in ("dynamic", "modules_in_block_to_quantize"):
        if given.fields.get(name):
            raise Unknown(f"it converts what {name} says")

    def cost(matrix: Matrix) -> int:
        if matrix.inputs % 32 or matrix.outputs % 32:
            raise Unknown(f"{matrix.module:.60} is no multiple of 32")
        groups = up(matrix.inputs, size or matrix.inputs)
        codes = (matrix.inputs + groups) * matrix.outputs * bits // 8  # of weights and zero points
        return codes + groups * matrix.outputs * 2 + matrix.inputs * 4

    head = given.one_of("lm_head", False, True)
    return Plan(cost, _EXPERTS, layers_only=not head)


def _awq(given: Settings) -> Plan:
    given.whole("bits", 4, 4)
    given.one_of("version", "gemm", "GEMM")
    given.one_of("format", "gemm")
    given.one_of("zero_point", True)
    size = given.group()

    def cost(matrix: Matrix) -> int:
        if matrix.outputs % 8:
            raise Unknown(f"{matrix.module:.60} has outputs that are no multiple of 8")
        groups = up(matrix.inputs, size or matrix.inputs)
        return (matrix.inputs + groups) * matrix.outputs // 2 + groups * matrix.outputs * 2

    return Plan(cost, _EXPERTS, given.names("modules_to_not_convert"), layers_only=True)


def _bitsandbytes(given: Settings) -> Plan:
    four = given.one_of("load_in_4bit", False, True)
    if four == given.one_of("load_in_8bit", False, True):
        raise Unknown("it must be loaded in 4 bits or in 8")
    left, kinds = given.names("llm_int8_skip_modules"), frozenset({"linear", "conv1d"})
    if not four:  # a scale for each output, and one byte that names the format
        return Plan(
            lambda one: one.outputs * one.inputs + 4 * one.outputs + 1, kinds, left, left is None, by_transformers=True
        )
    kind = given.one_of("bnb_4bit_quant_type", "fp4", "nf4")
    nested = given.one_of("bnb_4bit_use_double_quant", False, True)
    block = given.whole("bnb_4bit_blocksize", 64, 32, 64, 128, 256, 512, 1024, 2048, 4096)

    def cost(matrix: Matrix) -> int:
        numbers = matrix.outputs * matrix.inputs
        blocks = up(numbers, block)
        state: dict[str, Any] = {"quant_type": kind, "blocksize": block, "dtype": given.dtype}
        shape = [matrix.inputs, matrix.outputs] if matrix.kind == "conv1d" else [matrix.outputs, matrix.inputs]
        state["shape"] = shape
        scales = 4 * blocks
        if nested:
            state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.1234567890123456}
            scales = blocks + 4 * up(blocks, 256) + 4 * 256
        return up(numbers, 2) + scales + 4 * 16 + len(json.dumps(state))

    return Plan(cost, kinds, left, left is None, by_transformers=True, within=4 if nested else 0)


def _fp8(given: Settings) -> Plan:
    block = given.fields.get("weight_block_size", [128, 128])
    beside = 4 if given.one_of("activation_scheme", "dynamic", "static") == "static" else 0
    wide = 1 if given.one_of("scale_fmt", "float", "ue8m0") == "ue8m0" and block is not None else 4
    given.one_of("fmt", "e4m3", "float8_e4m3fn")
    if block is not None and not (
        isinstance(block, list) and len(block) == 2 and all(type(side) is int and 0 < side < 2**31 for side in block)
    ):
        raise Unknown(f"its weight_block_size is {block!r:.40}")

    def cost(matrix: Matrix) -> int:
        scales = up(matrix.outputs, block[0]) * up(matrix.inputs, block[1]) if block else 1
        return matrix.outputs * matrix.inputs + wide * scales + beside

    left = given.names("modules_to_not_convert")
    return Plan(cost, _EXPERTS, left, left is None, by_transformers=True)


def _mxfp4(given: Settings) -> Plan:
    def cost(matrix: Matrix) -> int:
        if matrix.inputs % 32:
            raise Unknown(f"{matrix.module:.60} has inputs that are no multiple of 32")
        return matrix.outputs * (matrix.inputs // 2 + matrix.inputs // 32)

    return Plan(cost, frozenset({"expert"}))


def _torchao(given: Settings) -> Plan:
    quant_type = given.fields.get("quant_type")
    default = quant_type.get("default") if isinstance(quant_type, dict) and len(quant_type) == 1 else None
    if not isinstance(default, dict) or default.get("_version") != 2 or not isinstance(default.get("_data"), dict):
        raise Unknown("its quant_type is none that is known here")
    data = default["_data"]
    left, head = given.names("modules_to_not_convert"), given.one_of("include_input_output_embeddings", False, True)
    kind = default.get("_type")
    if kind in ("Int8WeightOnlyConfig", "Int8DynamicActivationInt8WeightConfig"):
        cost = _in_a_byte(_rows(data.get("granularity")), 5)  # a float32 scale and a zero point of a byte
    elif kind in ("Float8WeightOnlyConfig", "Float8DynamicActivationFloat8WeightConfig"):
        cost = _in_a_byte(_rows(data.get("granularity")), 4)
    elif kind == "IntxWeightOnlyConfig" and data.get("scale_dtype") is None and not head:
        cost = _intx(data, data.get("granularity"), given.width)
    elif kind == "Int8DynamicActivationIntxWeightConfig" and data.get("weight_scale_dtype") is None and not head:
        cost = _intx(data, data.get("weight_granularity"), given.width)
    else:
        raise Unknown(f"torchao's {kind!r:.60} is not known here")
    return Plan(cost, LINEAR, left, left is None and not head, by_parameter=True, by_transformers=True)


def _in_a_byte(by_row: bool, beside: int) -> Callable[[Matrix], int]:
    return lambda matrix: matrix.outputs * matrix.inputs + beside * (matrix.outputs if by_row else 1)


def _rows(granularity: Any) -> bool:
    """Whether there is a scale for each row, and not one for all."""
    kind = granularity.get("_type") if isinstance(granularity, dict) else None
    if kind not in ("PerRow", "PerTensor"):
        raise Unknown(f"its granularity is {kind!r:.40}")
    return bool(kind == "PerRow")


def _group_of(granularity: Any) -> int | None:
    """The inputs that share a scale; `None` for all of a row."""
    kind = granularity.get("_type") if isinstance(granularity, dict) else None
    data = granularity.get("_data") if isinstance(granularity, dict) else None
    size = data.get("group_size") if isinstance(data, dict) else None
    if kind == "PerAxis" and isinstance(data, dict) and data.get("axis") == 0:
        return None
    if kind != "PerGroup" or type(size) is not int or size < 1:
        raise Unknown(f"its granularity is {kind!r:.40}")
    return size


def _intx(data: Mapping[str, Any], granularity: Any, width: int) -> Callable[[Matrix], int]:
    """A byte for each code, however few bits it has, and a scale and a zero point for each group."""
    each, packing = _group_of(granularity), data.get("intx_packing_format")
    if not isinstance(packing, dict) or packing.get("_data") != "UNPACKED_TO_INT8":
        raise Unknown("its codes are packed for one kind of processor")

    def cost(matrix: Matrix) -> int:
        size = each or matrix.inputs
        if matrix.inputs % size:
            raise Unknown(f"{matrix.module:.60} has inputs that are no multiple of {size}")
        return matrix.outputs * (matrix.inputs + matrix.inputs // size * (width + 1))

    return cost


def _quanto(given: Settings) -> Plan:
    bits = {"int8": 8, "float8": 8, "int4": 4, "int2": 2}[given.one_of("weights", "int8", "float8", "int4", "int2")]
    if given.fields.get("activations") is not None:
        raise Unknown("it quantizes activations too")

    def cost(matrix: Matrix) -> int:
        size = 128 if bits < 8 and matrix.inputs > 128 else matrix.inputs
        while matrix.inputs % size and size > 32:
            size -= 32
        rows = matrix.outputs * (matrix.inputs // size if matrix.inputs % size == 0 else 1)
        codes = up(rows * bits, 8) * (matrix.outputs * matrix.inputs // rows)
        return codes + given.width * (rows * (1 if bits == 8 else 2) + 2)  # scales, shifts; and two of activations

    left = given.names("modules_to_not_convert")
    return Plan(cost, LINEAR, left, left is None, by_transformers=True)


def _mlx(given: Settings) -> Plan:
    mode = given.one_of("mode", "affine", "mxfp4", "nvfp4", "mxfp8")
    if any(isinstance(value, dict | bool) for value in given.fields.values()):
        raise Unknown("its settings differ from layer to layer")
    size = given.whole("group_size", {"affine": 64, "nvfp4": 16}.get(mode, 32), 16, 32, 64, 128)
    bits = given.whole("bits", 8 if mode == "mxfp8" else 4, 2, 3, 4, 5, 6, 8)
    beside = 2 * given.width if mode == "affine" else 1

    def cost(matrix: Matrix) -> int | None:
        if matrix.inputs % size:
            return None
        return matrix.outputs * (matrix.inputs * bits // 8 + matrix.inputs // size * beside)

    return Plan(cost, frozenset({"linear", "table"}))
