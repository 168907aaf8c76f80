"""Quantized ONNX models, as ONNX Runtime writes them: each counts the parameters of the model that it was made of."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

import weigh

SHAPES = {"table": (96, 64), "up": (64, 128), "bias": (128,), "down": (128, 32)}
PARAMETERS = sum(int(np.prod(shape)) for shape in SHAPES.values())


def network() -> onnx.ModelProto:
    draw = np.random.default_rng(0)
    initializers = [
        numpy_helper.from_array(draw.standard_normal(shape, np.float32), name) for name, shape in SHAPES.items()
    ]
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["x"], name="lookup"),
        helper.make_node("MatMul", ["x", "up"], ["y"], name="first"),
        helper.make_node("Add", ["y", "bias"], ["z"], name="sum"),
        helper.make_node("Relu", ["z"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "down"], ["out"], name="second"),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, [None])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [None, 32])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Three inputs to calibrate with."""

    def __init__(self) -> None:
        self.rows: Iterator[dict[str, Any]] = iter([{"ids": np.arange(5) + start} for start in range(3)])

    def get_next(self) -> dict[str, Any] | None:
        return next(self.rows, None)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Path]:
    onnx.save(network(), tmp_path / "plain.onnx")
    logging.disable(logging.WARNING)  # the quantizers advise in the root's name
    yield tmp_path / "plain.onnx"
    logging.disable(logging.NOTSET)


def counted(path: Path, codes: dict[str, tuple[int, ...]], bits: int) -> weigh.Contents:
    """A file's contents, when it counts every parameter and has these matrices in codes of these bits."""
    contents = weigh.inspect(path)
    assert (contents.parameters, contents.buffers) == (PARAMETERS, 0)
    assert {group.name: group.shape for group in contents.groups if group.data} == codes
    assert {group.bits for group in contents.groups if group.data and group.name != "bias"} == {bits}
    return contents


@pytest.mark.parametrize("per_channel", [False, True])
def test_dynamic_quantization(per_channel: bool, plain: Path) -> None:
    path = plain.with_name("dynamic.onnx")
    quantize_dynamic(plain, path, per_channel=per_channel)
    contents = counted(path, {name: shape for name, shape in SHAPES.items() if name != "bias"}, 8)
    scales = 1 + (128 + 32 if per_channel else 2)
    assert contents.quantized is not None
    assert contents.quantized["bytes"] == {"data": PARAMETERS - 128, "scales": 4 * scales, "zero_points": scales}


@pytest.mark.parametrize(
    ("form", "weights"),
    [(QuantFormat.QDQ, QuantType.QInt8), (QuantFormat.QOperator, QuantType.QInt8), (QuantFormat.QDQ, QuantType.QInt4)],
)
def test_static_quantization(form: QuantFormat, weights: QuantType, plain: Path) -> None:
    path = plain.with_name("static.onnx")
    quantize_static(plain, path, Reader(), quant_format=form, weight_type=weights, op_types_to_quantize=["MatMul"])
    made = onnx.load(path).graph.initializer
    codes = {tensor.name for tensor in made if tensor.name.endswith("_quantized")}
    contents = weigh.inspect(path)
    assert (contents.parameters, contents.buffers) == (PARAMETERS, 0)
    assert {name for group in contents.groups for name in group.data} == codes
    assert contents.stored_elements == sum(int(np.prod(tensor.dims)) for tensor in made)


@pytest.mark.parametrize(("bits", "is_symmetric"), [(4, True), (4, False), (8, True)])
def test_blocks_of_packed_codes(bits: int, is_symmetric: bool, plain: Path) -> None:
    kinds = ("MatMul", "Gather") if bits == 4 else ("MatMul",)
    quantizer = MatMulNBitsQuantizer(
        onnx.load(plain), bits=bits, block_size=32, is_symmetric=is_symmetric, op_types_to_quantize=kinds
    )
    quantizer.process()
    path = plain.with_name("blocks.onnx")
    quantizer.model.save_model_to_file(str(path))
    names = ("up", "down", *(["table"] if bits == 4 else []))
    contents = counted(path, {name: SHAPES[name] for name in names}, bits)
    assert contents.quantized is not None
    numbers = sum(int(np.prod(SHAPES[name])) for name in names)
    assert contents.quantized["bytes"]["data"] == numbers * bits // 8
    assert contents.quantized["bytes"]["scales"] == numbers // 32 * 4


def test_rows_that_are_no_whole_block_are_not_counted(tmp_path: Path) -> None:
    """40 inputs take two blocks of 32: the second is filled up."""
    weight = numpy_helper.from_array(np.zeros((40, 8), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 40])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [weight],
    )
    quantizer = MatMulNBitsQuantizer(helper.make_model(graph), block_size=32, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(str(tmp_path / "w.onnx"))
    contents = weigh.inspect(tmp_path / "w.onnx")
    (codes,) = (tensor for tensor in contents.named if tensor.dtype == "uint8")
    assert (contents.parameters, codes.numel) == (320, 2 * 32 * 8 // 2)


def test_a_matrix_that_two_nodes_use_counts_once(tmp_path: Path) -> None:
    codes = numpy_helper.from_array(np.zeros((6, 4), np.int8), "w_quantized")
    scale = numpy_helper.from_array(np.float32(0.5), "s")
    nodes = [helper.make_node("DequantizeLinear", ["w_quantized", "s"], [name]) for name in ("a", "b")]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], [codes, scale])), tmp_path / "w.onnx")
    contents = weigh.inspect(tmp_path / "w.onnx")
    assert (contents.parameters, contents.quantized and contents.quantized["groups"]) == (24, 1)


def test_attributes_that_say_more_than_the_bytes_hold_are_not_believed(tmp_path: Path) -> None:
    codes = numpy_helper.from_array(np.zeros((8, 1, 16), np.uint8), "w_Q4")
    scales = numpy_helper.from_array(np.ones((8, 1), np.float32), "w_scales")
    node = helper.make_node(
        "MatMulNBits", ["x", "w_Q4", "w_scales"], ["y"], domain="com.microsoft", K=2**40, N=8, bits=4, block_size=32
    )
    onnx.save(helper.make_model(helper.make_graph([node], "g", [], [], [codes, scales])), tmp_path / "w.onnx")
    contents = weigh.inspect(tmp_path / "w.onnx")
    assert contents.parameters == 0
    assert contents.quantized is not None
    assert contents.quantized["bits_per_weight"] is None
