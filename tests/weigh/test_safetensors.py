"""The reader against the reference library, on files that the library writes and on files that nobody should."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, deserialize
from safetensors.torch import save_file

import weigh
from weigh import errors
from weigh.dtypes import DTYPES, SAFETENSORS


def with_header(header: bytes, payload: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + payload


def entry(dtype: str = "F32", shape: Any = (1,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def file_of(tensors: dict[str, Any], payload: int = 4) -> bytes:
    return with_header(json.dumps(tensors).encode(), bytes(payload))


def test_every_dtype_of_the_reference_library_is_known() -> None:
    with pytest.raises(SafetensorError) as error:
        deserialize(file_of({"a": entry("NONE")}))
    named = set(re.findall(r"`([A-Z0-9_]+)`", str(error.value))) - {"NONE"}
    assert len(named) > 20
    assert named == set(SAFETENSORS)


@pytest.mark.parametrize("code", SAFETENSORS)
def test_every_dtype_is_read_as_the_reference_library_reads_it(code: str, tmp_path: Path) -> None:
    bits, position, header = DTYPES[SAFETENSORS[code]].bits, 0, {}
    for n in (0, 1, 3):
        header[f"t{n}"] = entry(code, [n, 8], [position, position + n * bits])
        position += n * bits
    path = tmp_path / "model.safetensors"
    path.write_bytes(file_of(header, position))
    assert_read_alike(path)


def test_files_of_the_reference_library_are_read_alike(tmp_path: Path) -> None:
    names = [name for name in SAFETENSORS.values() if isinstance(getattr(torch, name, None), torch.dtype)]
    assert len(names) > 15
    path = tmp_path / "model.safetensors"
    save_file({name: torch.zeros(3, 2).to(getattr(torch, name)) for name in names}, path, {"format": "pt"})
    contents = assert_read_alike(path)
    assert {tensor.name: tensor.dtype for tensor in contents.named} == {name: name for name in names}
    assert contents.metadata == {"format": "pt"}


def assert_read_alike(path: Path) -> weigh.Contents:
    contents = weigh.inspect(path)
    reference = {name: (tuple(tensor["shape"]), len(tensor["data"])) for name, tensor in deserialize(path.read_bytes())}
    assert {tensor.name: (tensor.shape, tensor.nbytes) for tensor in contents.named} == reference
    assert contents.bytes_in_tensors == sum(nbytes for _, nbytes in reference.values())
    assert sum(contents.by_component.values()) == contents.bytes_on_disk == path.stat().st_size
    return contents


MALFORMED: dict[str, tuple[bytes, type[errors.WeighError]]] = {
    "empty file": (b"", errors.TruncatedFile),
    "seven bytes": (b"\x08" + bytes(6), errors.TruncatedFile),
    "length of 2 to the 63": (struct.pack("<Q", 2**63) + b"{}", errors.HeaderTooLarge),
    "length past the end": (struct.pack("<Q", 100) + b"{}", errors.HeaderTooLarge),
    "truncated header": (with_header(json.dumps({"a": entry()}).encode())[:-5], errors.HeaderTooLarge),
    "not UTF-8": (with_header(b'{"\xff\xfe":1}'), errors.MalformedHeader),
    "not JSON": (with_header(b"{'a': 1}"), errors.MalformedHeader),
    "not an object": (with_header(b"[]"), errors.MalformedHeader),
    "leading space": (with_header(b" {}"), errors.MalformedHeader),
    "deep nesting": (with_header(b'{"a":' * 100_000), errors.MalformedHeader),
    "a number of 5,000 digits": (with_header(b'{"a":' + b"9" * 5_000 + b"}"), errors.MalformedHeader),
    "a tensor twice": (
        with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{}}', bytes(4)),
        errors.DuplicateKey,
    ),
    "a field twice": (
        with_header(b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        errors.DuplicateKey,
    ),
    "metadata that is not text": (file_of({"__metadata__": {"a": 1}}, 0), errors.MalformedHeader),
    "no shape": (file_of({"a": {"dtype": "F32", "data_offsets": [0, 4]}}), errors.MalformedHeader),
    "a field too many": (file_of({"a": {**entry(), "x": 1}}), errors.MalformedHeader),
    "unknown dtype": (file_of({"a": entry("F99")}), errors.UnknownDtype),
    "dtype that is a list": (file_of({"a": entry([])}), errors.UnknownDtype),  # type: ignore[arg-type]
    "negative size": (file_of({"a": entry(shape=[-1])}), errors.MalformedHeader),
    "fractional size": (file_of({"a": entry(shape=[1.0])}), errors.MalformedHeader),
    "true as a size": (file_of({"a": entry(shape=[True])}), errors.MalformedHeader),
    "size of 2 to the 64": (file_of({"a": entry(shape=[2**64])}), errors.MalformedHeader),
    "a million dimensions": (file_of({"a": entry(shape=[2] * 1_000_000)}), errors.MalformedHeader),
    "one offset": (file_of({"a": entry(offsets=[0])}), errors.MalformedHeader),
    "offsets backwards": (file_of({"a": entry(offsets=[4, 0])}), errors.InvalidOffsets),
    "offsets against shape": (file_of({"a": entry(shape=[2])}), errors.InvalidOffsets),
    "half a byte": (file_of({"a": entry("F4", [1], [0, 1])}, 1), errors.InvalidOffsets),
    "overlap": (file_of({"a": entry(), "b": entry()}), errors.InvalidOffsets),
    "a gap": (file_of({"a": entry(offsets=[4, 8])}, 8), errors.InvalidOffsets),
    "bytes of no tensor": (file_of({"a": entry()}, 8), errors.InvalidOffsets),
    "tensors past the end": (file_of({"a": entry()}, 2), errors.TruncatedFile),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_by_its_own_error(case: str, tmp_path: Path) -> None:
    raw, error = MALFORMED[case]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(raw)
    with pytest.raises(error) as caught:
        weigh.inspect(path)
    assert type(caught.value) is error
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_the_reference_library_refuses_the_same_files() -> None:
    # It allows these two, which the specification forbids or which no size can follow from.
    lenient = {"leading space", "a field too many"}
    accepted = set()
    for case, (raw, _) in MALFORMED.items():
        try:
            deserialize(raw)
        except SafetensorError:
            continue
        accepted.add(case)
    assert accepted <= lenient, "weigh refuses what the reference library reads"


def test_metadata_that_is_null_is_none_as_mlx_writes_it(tmp_path: Path) -> None:
    raw = file_of({"__metadata__": None, "a": entry()})
    (tmp_path / "a.safetensors").write_bytes(raw)
    contents = weigh.inspect(tmp_path / "a.safetensors")
    assert (contents.metadata, [tensor.name for tensor in contents.named]) == (
        {},
        [name for name, _ in deserialize(raw)],
    )


VALID = file_of(
    {"__metadata__": {"format": "pt"}, "a": entry("BF16", [2, 3], [0, 12]), "b": entry("I64", [], [12, 20])}, 20
)


def flip(at: int, value: int) -> Callable[[bytearray], None]:
    def edit(raw: bytearray) -> None:
        raw[at % len(raw)] = value

    return edit


def cut(at: int, count: int) -> Callable[[bytearray], None]:
    def edit(raw: bytearray) -> None:
        del raw[at % len(raw) : at % len(raw) + count]

    return edit


edits = st.lists(
    st.builds(flip, st.integers(0, 10_000), st.integers(0, 255))
    | st.builds(cut, st.integers(0, 10_000), st.integers(1, 9)),
    min_size=1,
    max_size=6,
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits)
def test_damage_is_refused_or_read_as_the_reference_reads_it(
    tmp_path: Path, edits: list[Callable[[bytearray], None]]
) -> None:
    raw = bytearray(VALID)
    for edit in edits:
        if raw:
            edit(raw)
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(raw)
    try:
        contents = weigh.inspect(path)
    except errors.WeighError:
        return
    reference = {name: list(tensor["shape"]) for name, tensor in deserialize(bytes(raw))}
    assert {tensor.name: list(tensor.shape) for tensor in contents.named} == reference
