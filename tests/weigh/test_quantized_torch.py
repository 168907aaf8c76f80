"""Quantized tensors of torch's, and its numbers of four bits: as they are saved, compared and refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import weigh
from weigh import errors

pytestmark = pytest.mark.filterwarnings("ignore:torch.quantize_per:UserWarning")


def saved(path: Path, **tensors: torch.Tensor) -> Path:
    torch.save(tensors, path)
    return path


def per_tensor(numbers: torch.Tensor, scale: float = 0.5, dtype: torch.dtype = torch.qint8) -> torch.Tensor:
    return torch.quantize_per_tensor(numbers, scale, 0, dtype)


def per_channel(numbers: torch.Tensor, dtype: torch.dtype = torch.qint8) -> torch.Tensor:
    channels = len(numbers)
    return torch.quantize_per_channel(numbers, torch.full((channels,), 0.1), torch.zeros(channels), 0, dtype)


NUMBERS = torch.arange(24.0).reshape(4, 6)


def test_a_quantized_file_is_compared_and_is_not_exported_without_its_scales(tmp_path: Path) -> None:
    """In a process of its own, which died with a fault of memory."""
    path = saved(tmp_path / "q.pt", a=per_tensor(NUMBERS), b=per_channel(NUMBERS, torch.quint8))
    script = "import sys, weigh; print(weigh.diff(*sys.argv[1:2] * 2).equal); weigh.export(*sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", script, path, tmp_path / "out"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (1, "4"), done.stderr
    assert "UnknownDtype" in done.stderr
    assert "save it dequantized" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("dtype", [torch.qint8, torch.quint8, torch.qint32])
def test_codes_are_compared(dtype: torch.dtype, tmp_path: Path) -> None:
    before = saved(tmp_path / "a.pt", w=per_tensor(NUMBERS, dtype=dtype), v=per_channel(NUMBERS))
    other = NUMBERS.clone()
    other[1, 1] += 3
    after = saved(tmp_path / "b.pt", w=per_tensor(other, dtype=dtype), v=per_channel(NUMBERS))
    assert weigh.diff(before, before).same
    (change,) = weigh.diff(before, after).changes
    assert (change.name, change.kind, change.norm) == ("w", "changed", None)


def test_equal_codes_in_another_order_are_the_same(tmp_path: Path) -> None:
    square = torch.arange(16.0).reshape(4, 4)
    before = saved(tmp_path / "a.pt", w=per_tensor(square.T.contiguous()))
    assert weigh.diff(before, saved(tmp_path / "b.pt", w=per_tensor(square).T)).same
    assert weigh.diff(before, saved(tmp_path / "c.pt", w=per_tensor(square))).counts["changed"] == 1


def test_equal_codes_under_other_scales_differ(tmp_path: Path) -> None:
    half = saved(tmp_path / "a.pt", w=per_tensor(NUMBERS), v=per_channel(NUMBERS))
    scales = torch.full((4,), 0.2)
    whole = saved(
        tmp_path / "b.pt",
        w=per_tensor(NUMBERS * 2, 1.0),
        v=torch.quantize_per_channel(NUMBERS * 2, scales, torch.zeros(4), 0, torch.qint8),
    )
    found = weigh.diff(half, whole)
    assert [change.name for change in found.changes] == ["v.q_per_channel_scales"]
    assert found.metadata == {"w.q_scale": (0.5, 1.0)}


def test_scales_of_channels_are_named_and_nothing_is_unused(tmp_path: Path) -> None:
    quantized = per_channel(NUMBERS)
    contents = weigh.inspect(saved(tmp_path / "q.pt", w=quantized))
    assert {tensor.name: (tensor.shape, tensor.dtype) for tensor in contents.named} == {
        "w": ((4, 6), "qint8"),
        "w.q_per_channel_scales": ((4,), str(quantized.q_per_channel_scales().dtype).removeprefix("torch.")),
        "w.q_per_channel_zero_points": ((4,), str(quantized.q_per_channel_zero_points().dtype).removeprefix("torch.")),
    }
    assert contents.by_component["unused"] == 0


def test_codes_of_four_bits_are_counted_and_take_half_a_byte(tmp_path: Path) -> None:
    contents = weigh.inspect(saved(tmp_path / "q.pt", w=per_channel(NUMBERS, torch.quint4x2)))
    (codes,) = (tensor for tensor in contents.named if tensor.name == "w")
    assert (codes.numel, codes.nbytes, contents.by_component["unused"]) == (24, 12, 0)


def pairs(*shape: int) -> torch.Tensor:
    codes = torch.arange(torch.Size(shape).numel(), dtype=torch.uint8)
    return codes.view(torch.float4_e2m1fn_x2).reshape(shape)


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (pairs(4, 6), (4, 12)),
        (pairs(5), (10,)),
        (pairs(4, 6)[1:3], (2, 12)),
        (pairs(4, 6).t(), (6, 4, 2)),
        (pairs(4, 6)[:, :3], (4, 6)),
        (pairs(1)[0], (2,)),
        (pairs(0, 3), (0, 6)),
    ],
)
def test_a_float_of_four_bits_is_half_an_element(value: Any, shape: tuple[int, ...], tmp_path: Path) -> None:
    path = saved(tmp_path / "f4.pt", w=value)
    contents = weigh.inspect(path)
    (tensor,) = contents.named
    assert (tensor.dtype, tensor.shape) == ("float4_e2m1fn", shape)
    assert (contents.parameters, tensor.nbytes, contents.imports) == (2 * value.numel(), value.numel(), ())
    begin = value.storage_offset()
    bytes_between = contents.storages[tensor.storage].read(tensor.begin, tensor.end)
    assert list(bytes_between) == value.untyped_storage().tolist()[begin : begin + len(bytes_between)]
    assert weigh.diff(path, path).same
    with pytest.raises(errors.UnknownDtype):
        weigh.export(path, tmp_path / "out")


def test_floats_of_four_bits_in_another_order_are_not_the_same(tmp_path: Path) -> None:
    here, there = saved(tmp_path / "a.pt", w=pairs(4, 6).t()), saved(tmp_path / "b.pt", w=pairs(6, 4))
    assert not weigh.diff(here, there).same
