"""Checkpoints of torchao, as it writes them, and of quanto and HQQ, laid by hand as those libraries do."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.ao.quantization import quantize_dynamic
from torchao.prototype.mx_formats.mx_tensor import MXTensor
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
from torchao.quantization import (
    Float8WeightOnlyConfig,
    Int8WeightOnlyConfig,
    IntxWeightOnlyConfig,
    PerGroup,
    quantize_,
)

import weigh

OUTPUTS, INPUTS = 32, 64
LINEAR = OUTPUTS * INPUTS + OUTPUTS

TORCHAO = {
    "int8": Int8WeightOnlyConfig(),
    "int4 in a byte": IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32)),
    "float8": Float8WeightOnlyConfig(),
}


def quantized_by_torchao(case: str) -> dict[str, torch.Tensor]:
    module = torch.nn.Sequential(torch.nn.Linear(INPUTS, OUTPUTS)).to(torch.bfloat16)
    if case in TORCHAO:
        quantize_(module, TORCHAO[case])
        return dict(module.state_dict())
    weight = module[0].weight.detach()
    if case == "nvfp4":
        return {"0.weight": NVFP4Tensor.to_nvfp4(weight), "0.bias": module[0].bias.detach()}
    return {"0.weight": MXTensor.to_mx(weight, torch.float4_e2m1fn_x2, 32), "0.bias": module[0].bias.detach()}


@pytest.mark.parametrize("case", [*TORCHAO, "nvfp4", "mxfp4"])
def test_torchao_in_either_format(case: str, tmp_path: Path) -> None:
    state = quantized_by_torchao(case)
    tensors, metadata = flatten_tensor_state_dict(state)
    save_file(tensors, tmp_path / "m.safetensors", metadata=metadata)
    torch.save(state, tmp_path / "m.pt")
    stored = sum(tensor.numel() for tensor in tensors.values())
    for name in ("m.safetensors", "m.pt"):
        contents = weigh.inspect(tmp_path / name)
        assert (contents.parameters, contents.buffers, contents.stored_elements) == (LINEAR, 0, stored)
        (group,) = contents.groups
        assert (group.name, group.scheme, group.shape) == ("0.weight", "torchao", (OUTPUTS, INPUTS))
        assert contents.quantized is not None
        parts = sum(tensor.nbytes for key, tensor in tensors.items() if key != "0.bias")
        assert sum(contents.quantized["bytes"].values()) == parts
        assert not contents.notes


def test_torchao_of_packed_words_says_its_shape_in_the_header_alone(tmp_path: Path) -> None:
    """Int4TilePackedTo4dTensor is made on a GPU; its layout is that of `_convert_weight_to_int4pack`."""
    tensors = {
        "0._weight_qdata": torch.zeros(OUTPUTS // 8, INPUTS // 64, 32, 2, dtype=torch.int32),
        "0._weight_scale_and_zero": torch.zeros(INPUTS // 32, OUTPUTS, 2, dtype=torch.bfloat16),
        "0.bias": torch.zeros(OUTPUTS, dtype=torch.bfloat16),
    }
    described = {
        "_type": "Int4TilePackedTo4dTensor",
        "_data": {"block_size": [1, 32], "shape": [OUTPUTS, INPUTS]},
        "_tensor_data_names": ["qdata", "scale_and_zero"],
    }
    save_file(tensors, tmp_path / "m.safetensors", metadata={"0.weight": json.dumps(described)})
    contents = weigh.inspect(tmp_path / "m.safetensors")
    assert (contents.parameters, contents.buffers) == (LINEAR, 0)
    assert contents.groups[0].bits == 4
    save_file(tensors, tmp_path / "bare.safetensors")
    contents = weigh.inspect(tmp_path / "bare.safetensors")
    assert contents.parameters == OUTPUTS
    assert "the header of the file no longer says" in contents.notes[0]


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "[]",
        '{"_data": 3}',
        '{"_data": {"shape": [-1]}}',
        '{"_data": {"shape": [999999, 999999]}}',
        "{" * 99,
        '{"_data": {}}',
    ],
)
def test_a_header_that_describes_nothing_is_no_shape(entry: str, tmp_path: Path) -> None:
    tensors = {"0._weight_qdata": torch.zeros(4, 4, dtype=torch.uint8), "0._weight_scale": torch.ones(4)}
    save_file(tensors, tmp_path / "m.safetensors", metadata={"0.weight": entry})
    contents = weigh.inspect(tmp_path / "m.safetensors")
    assert contents.parameters == 0
    assert contents.notes


def quanto(codes: torch.Tensor, rows: int, *, packed: bool) -> dict[str, torch.Tensor]:
    """A linear layer as quanto's `_save_to_state_dict` leaves it."""
    state = {
        "0.weight._data._data" if packed else "0.weight._data": codes,
        "0.weight._scale": torch.ones(rows, 1, dtype=torch.bfloat16),
        "0.bias": torch.zeros(OUTPUTS),
        "0.input_scale": torch.ones((), dtype=torch.bfloat16),
        "0.output_scale": torch.ones((), dtype=torch.bfloat16),
    }
    return {**state, "0.weight._shift": torch.zeros(rows, 1, dtype=torch.bfloat16)} if packed else state


@pytest.mark.parametrize(
    ("codes", "rows", "packed", "bits"),
    [
        (torch.zeros(OUTPUTS, INPUTS, dtype=torch.int8), OUTPUTS, False, 8),
        (torch.zeros(OUTPUTS, INPUTS, dtype=torch.float8_e4m3fn), OUTPUTS, False, 8),
        (torch.zeros(OUTPUTS // 2, INPUTS, dtype=torch.uint8), OUTPUTS, True, 4),
        (torch.zeros(OUTPUTS // 4, INPUTS, dtype=torch.uint8), OUTPUTS, True, 2),
        (torch.zeros(OUTPUTS, INPUTS // 2, dtype=torch.uint8), 2 * OUTPUTS, True, 4),  # groups of 32
    ],
)
def test_quanto(codes: torch.Tensor, rows: int, packed: bool, bits: int, tmp_path: Path) -> None:
    save_file(quanto(codes, rows, packed=packed), tmp_path / "m.safetensors")
    contents = weigh.inspect(tmp_path / "m.safetensors")
    assert (contents.parameters, contents.buffers, contents.groups[0].bits) == (LINEAR, 0, bits)


def test_quanto_fills_up_the_last_byte(tmp_path: Path) -> None:
    state = quanto(torch.zeros(3, INPUTS, dtype=torch.uint8), 5, packed=True)
    save_file(state, tmp_path / "m.safetensors")
    assert weigh.inspect(tmp_path / "m.safetensors").parameters == 5 * INPUTS + OUTPUTS


@pytest.mark.parametrize(
    ("bits", "axis", "size", "codes", "scale"),
    [
        (8, 1, 64, (32, 64), (32, 1)),
        (4, 1, 64, (16, 64), (32, 1)),
        (3, 1, 64, (4, 64), (32, 1)),  # ten codes in a word: the last two of 40 rows are none
        (2, 1, 16, (32, 16), (128, 1)),
        (1, 0, 64, (8, 32), (1, 32)),
        (4, 1, None, (16, 64), (32, 1)),
    ],
)
def test_the_pickle_of_hqq(
    bits: int, axis: int, size: int | None, codes: tuple[int, ...], scale: tuple[int, ...], tmp_path: Path
) -> None:
    state: dict[str, Any] = {
        "W_q": torch.zeros(codes, dtype=torch.int32 if bits == 3 else torch.uint8),
        "nbits": bits, "group_size": size, "shape": torch.Size((OUTPUTS, INPUTS)), "axis": axis,
        "scale": torch.ones(scale, dtype=torch.bfloat16), "zero": torch.zeros(scale, dtype=torch.bfloat16),
        "packing": f"{bits}bit_u8", "quant_scale": False, "compute_dtype": torch.bfloat16,
        "bias": torch.zeros(OUTPUTS, dtype=torch.bfloat16),
    }  # fmt: skip
    torch.save({"model.layers.0.mlp.up_proj": state}, tmp_path / "qmodel.pt")
    contents = weigh.inspect(tmp_path / "qmodel.pt")
    assert (contents.parameters, contents.buffers) == (LINEAR, 0)
    (group,) = contents.groups
    assert (group.scheme, group.bits) == ("HQQ", bits)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torch_in_eight_bits(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(INPUTS, OUTPUTS), torch.nn.ReLU(), torch.nn.Linear(OUTPUTS, 4))
    torch.save(quantize_dynamic(module, dtype=torch.qint8).state_dict(), tmp_path / "m.pt")
    contents = weigh.inspect(tmp_path / "m.pt")
    assert (contents.parameters, contents.buffers) == (LINEAR + 4 * OUTPUTS + 4, 0)
    assert {group.name: group.shape for group in contents.groups} == {
        "0.weight": (OUTPUTS, INPUTS), "2.weight": (4, OUTPUTS),
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scales_of_channels_and_of_activations_are_no_parameters(tmp_path: Path) -> None:
    numbers = torch.arange(24.0).reshape(4, 6)
    scales = torch.full((4,), 0.1)
    state = {
        "conv.weight": torch.quantize_per_channel(numbers, scales, torch.zeros(4), 0, torch.qint8),
        "conv.bias": torch.zeros(4),
        "conv.scale": torch.tensor(0.1),
        "conv.zero_point": torch.tensor(3),
        "stub.scale": torch.tensor([0.1]),
        "stub.zero_point": torch.tensor([3]),
    }
    torch.save(state, tmp_path / "m.pt")
    contents = weigh.inspect(tmp_path / "m.pt")
    assert (contents.parameters, contents.buffers, contents.stored_elements) == (28, 0, 24 + 4 + 8 + 4)
    assert contents.quantized is not None
    assert (contents.quantized["groups"], contents.quantized["parameters"]) == (1, 24)
