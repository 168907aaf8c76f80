"""GGUF files: read as the package gguf reads what it writes, and refused by name where they break the format."""

import math
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf import GGUFEndian, GGUFReader, GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

import weigh
from weigh import errors
from weigh.dtypes import DTYPES
from weigh.files import loading
from weigh.formats.gguf import TYPES
from weigh.memory.storage_formats import BLOCKS

NAMES = {"F": "float", "BF": "bfloat", "I": "int"}


def write(path: Path, fill: Callable[[GGUFWriter], None], **options: Any) -> Path:
    """A file of the reference library."""
    writer = GGUFWriter(path, "llama", **options)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def add_every_type(writer: GGUFWriter) -> None:
    random = np.random.default_rng(0)
    for kind, (block, nbytes) in GGML_QUANT_SIZES.items():
        for rows in (1, 3):
            raw = random.integers(0, 256, (2, rows, 2 * nbytes), np.uint8)
            shape = (2, rows, 2 * block)
            writer.add_tensor(f"{kind.name}.{rows}", raw.view(np.int8), raw_shape=shape, raw_dtype=kind)


def assert_read_alike(path: Path) -> weigh.Contents:
    contents, reference = weigh.inspect(path), GGUFReader(path)
    assert contents.format == "gguf"
    start = contents.storages[path.name].begin
    assert [(t.name, t.shape, t.nbytes, start + t.begin) for t in contents.named] == [
        (t.name, tuple(reversed(t.shape.tolist())), t.n_bytes, t.data_offset) for t in reference.tensors
    ]
    for tensor, other in zip(contents.named, reference.tensors, strict=True):
        assert tensor.dtype == TYPES[other.tensor_type]
        assert contents.storages[tensor.storage].read(tensor.begin, tensor.end) == other.data.tobytes()
    fields = {name: field for name, field in reference.fields.items() if not name.startswith("GGUF.")}
    assert list(contents.metadata) == list(fields)
    for name, field in fields.items():
        value = contents.metadata[name]
        if field.types[0] == GGUFValueType.ARRAY:
            assert value.startswith("array of ")
        elif field.types[0] == GGUFValueType.STRING and len(field.contents()) > 1000:
            assert value == f"text of {len(field.parts[-1]):,} bytes"
        else:
            assert value == field.contents()
            assert type(value) is type(field.contents())
    assert contents.bytes_in_tensors == sum(tensor.n_bytes for tensor in reference.tensors)
    assert sum(contents.by_component.values()) == contents.bytes_on_disk == path.stat().st_size
    return contents


def test_every_type_of_the_reference_library_is_known_by_its_number_and_size() -> None:
    assert TYPES.keys() == set(GGMLQuantizationType)
    for kind, (block, nbytes) in GGML_QUANT_SIZES.items():
        dtype = DTYPES[TYPES[kind]]
        if block == 1:
            letters = kind.name.rstrip("0123456789")
            assert dtype.name == NAMES[letters] + kind.name.removeprefix(letters)
        else:
            assert dtype.name == kind.name.lower()
            assert BLOCKS[dtype.name] == (block, nbytes)
            assert dtype.kind == "float"
        assert (dtype.block, dtype.bits * block) == (block, nbytes * 8)
    assert len(BLOCKS) == sum(block > 1 for block, _ in GGML_QUANT_SIZES.values())


def test_block_formats_are_none_that_a_model_can_be_cast_to() -> None:
    with pytest.raises(errors.UnknownDtype, match="bfloat16"):
        weigh.params("models/gpt2").bytes_as("q8_0")


@pytest.mark.parametrize("alignment", [None, 1, 64])
def test_every_type_is_read_as_the_reference_library_reads_it(alignment: int | None, tmp_path: Path) -> None:
    def fill(writer: GGUFWriter) -> None:
        if alignment:
            writer.add_custom_alignment(alignment)
        add_every_type(writer)

    contents = assert_read_alike(write(tmp_path / "model.gguf", fill))
    assert len(contents.named) == 2 * len(GGML_QUANT_SIZES)
    assert contents.parameters == sum(tensor.numel for tensor in contents.named if not tensor.dtype.startswith("int"))
    assert contents.by_component["unused"] == 0


def test_every_value_is_read_as_the_reference_library_reads_it(tmp_path: Path) -> None:
    def fill(writer: GGUFWriter) -> None:
        for bits in (8, 16, 32, 64):
            for kind, low, high in (("uint", 0, 2**bits - 1), ("int", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)):
                for value in (low, high):
                    getattr(writer, f"add_{kind}{bits}")(f"{kind}{bits}.{value}", value)
        for n, number in enumerate((0.0, -1.5, math.pi, math.inf, 1e-45)):
            writer.add_float32(f"float32.{n}", number)
            writer.add_float64(f"float64.{n}", number)
        writer.add_bool("yes", True)
        writer.add_bool("no", False)
        writer.add_string("text", "naïve ☃")
        writer.add_string("none", "a")
        writer.add_string("long", "é" * 5000)
        writer.add_array("strings", ["a", "", "bc"])
        writer.add_array("integers", [1, 2, 3, 4])
        writer.add_array("floats", [1.0, 2.0])
        writer.add_array("truths", [True, False])
        writer.add_array("nested", [[1, 2], [3, 4]])

    contents = assert_read_alike(write(tmp_path / "model.gguf", fill))
    assert contents.metadata["general.architecture"] == "llama"
    assert contents.metadata["strings"] == "array of 3 strings"
    assert contents.metadata["integers"] == "array of 4 int32"
    assert contents.metadata["nested"] == "array of 2 arrays"
    assert contents.named == ()


def test_version_2_is_the_same_when_it_is_little_endian(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", add_every_type)
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + struct.pack("<I", 2) + raw[8:])
    assert_read_alike(path)


def test_values_are_loaded_as_the_reference_library_loads_them(tmp_path: Path) -> None:
    arrays = {
        name: np.arange(24).reshape(2, 3, 4).astype(name)
        for name in ("float64", "float32", "float16", "int8", "int16", "int32", "int64")
    }

    def fill(writer: GGUFWriter) -> None:
        for name, array in arrays.items():
            writer.add_tensor(name, array)
        raw = torch.arange(8).to(torch.bfloat16).view(torch.uint8).numpy()
        writer.add_tensor("bfloat16", raw, raw_dtype=GGMLQuantizationType.BF16)
        writer.add_tensor("scalar", np.array(3.0, np.float32))
        quantized = gguf.quants.quantize(np.ones((2, 32), np.float32), GGMLQuantizationType.Q8_0)
        writer.add_tensor("quantized", quantized, raw_dtype=GGMLQuantizationType.Q8_0)

    contents = assert_read_alike(write(tmp_path / "model.gguf", fill))
    loaded = {t.name: loading.load(contents, t) for t in contents.named if t.name != "quantized"}
    for name, array in arrays.items():
        assert torch.equal(loaded[name], torch.from_numpy(array))
    assert torch.equal(loaded["bfloat16"], torch.arange(8).to(torch.bfloat16))
    assert torch.equal(loaded["scalar"], torch.tensor(3.0))
    with pytest.raises(errors.UnknownDtype, match="q8_0"):
        loading.load(contents, contents.named[-1])


def test_a_vocabulary_is_passed_over_quickly(tmp_path: Path) -> None:
    def fill(writer: GGUFWriter) -> None:
        writer.add_token_list([f"token {n}" * (n % 5) for n in range(256_000)])
        writer.add_token_scores([0.0] * 256_000)
        writer.add_tensor("a", np.zeros(3, np.float32))

    path = write(tmp_path / "model.gguf", fill)
    began = time.process_time()
    contents = weigh.inspect(path)
    assert time.process_time() - began < 1
    assert contents.metadata["tokenizer.ggml.tokens"] == "array of 256,000 strings"
    assert [tensor.name for tensor in contents.named] == ["a"]


def test_a_model_in_several_files_is_added_up(tmp_path: Path) -> None:
    def fill(writer: GGUFWriter) -> None:
        for n in range(5):
            writer.add_tensor(f"blk.{n}.weight", np.zeros((n + 1, 2), np.float32))

    write(tmp_path / "model.gguf", fill, split_max_tensors=2)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [f"model-{n:05d}-of-00003.gguf" for n in (1, 2, 3)]
    part = assert_read_alike(tmp_path / files[1])
    assert part.parameters == 14
    assert part.notes == ("this is file 2 of 3 of the model; inspect their directory to add them up",)

    (tmp_path / "other.gguf").write_bytes((tmp_path / files[0]).read_bytes())
    whole = weigh.inspect(tmp_path)
    assert whole.parameters == 30
    assert whole.artifacts["weights"] == [*files, "other.gguf"]
    assert [(file.path, files[0] in file.why) for file in whole.not_read] == [("other.gguf", True)]

    (tmp_path / files[2]).unlink()
    with pytest.raises(errors.InvalidShards, match="00003-of-00003"):
        weigh.inspect(tmp_path)


def test_bytes_of_no_tensor_are_unused_and_padding_is_not(tmp_path: Path) -> None:
    tensors = [entry("a", offset=0), entry("b", offset=96)]
    path = tmp_path / "model.gguf"
    path.write_bytes(file_of(tensors=tensors, data=128 + 100))
    contents = assert_read_alike(path)
    assert contents.by_component["weights"] == 8
    assert contents.by_component["unused"] == 64 + 100


# Files written by hand


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def pair(key: str | bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def array(kind: int, count: int, rest: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, count) + rest


def entry(name: str | bytes = "a", shape: tuple[int, ...] = (1,), kind: int = 0, offset: int = 0) -> bytes:
    dimensions = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def file_of(
    pairs: list[bytes] | None = None, tensors: list[bytes] | None = None, data: int = 64, version: int = 3,
    tensor_count: int | None = None, pair_count: int | None = None, alignment: int = 32,
) -> bytes:  # fmt: skip
    pairs, tensors = pairs or [], tensors or []
    counts = [len(tensors) if tensor_count is None else tensor_count, len(pairs) if pair_count is None else pair_count]
    header = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join(pairs + tensors)
    return header + bytes(-len(header) % alignment + data)


ALIGNMENT = "general.alignment"
MALFORMED: dict[str, tuple[bytes, type[errors.WeighError]]] = {
    "nothing but the magic bytes": (b"GGUF", errors.TruncatedFile),
    "no counts": (b"GGUF\3\0\0\0" + bytes(8), errors.TruncatedFile),
    "version 1": (file_of(version=1), errors.UnknownFormat),
    "version 4": (file_of(version=4), errors.UnknownFormat),
    "big-endian": (b"GGUF\0\0\0\3" + bytes(16), errors.UnknownFormat),
    "2 to the 60 tensors": (file_of(tensor_count=2**60), errors.HeaderTooLarge),
    "2 to the 64 key-value pairs": (file_of(pair_count=2**64 - 1), errors.HeaderTooLarge),
    "more tensors than any model": (file_of(tensor_count=2**18 + 1, data=24 * 2**18 + 100), errors.HeaderTooLarge),
    "a pair too many": (file_of([pair("a", 0, b"\0")], pair_count=2, data=0, alignment=1), errors.HeaderTooLarge),
    "a key of 2 to the 60 bytes": (file_of([struct.pack("<Q", 2**60) + bytes(5)]), errors.MalformedHeader),
    "a key past the end": (file_of([struct.pack("<Q", 60_000) + bytes(5)]), errors.TruncatedFile),
    "a key that is not UTF-8": (file_of([pair(b"\xff", 0, b"\0")]), errors.MalformedHeader),
    "a key twice": (file_of([pair("a", 0, b"\0"), pair("a", 0, b"\0")]), errors.DuplicateKey),
    "a value of no type": (file_of([pair("a", 13, b"\0")]), errors.MalformedHeader),
    "a truth value of 2": (file_of([pair("a", 7, b"\2")]), errors.MalformedHeader),
    "a text of 2 to the 63 bytes": (file_of([pair("a", 8, struct.pack("<Q", 2**63))]), errors.TruncatedFile),
    "an array of no type": (file_of([pair("a", 9, array(13, 0))]), errors.MalformedHeader),
    "an array of 2 to the 61 numbers": (file_of([pair("a", 9, array(12, 2**61))]), errors.HeaderTooLarge),
    "an array of 2 to the 61 strings": (file_of([pair("a", 9, array(8, 2**61))]), errors.HeaderTooLarge),
    "an array of 2 to the 61 arrays": (file_of([pair("a", 9, array(9, 2**61))]), errors.HeaderTooLarge),
    "more arrays than any model": (
        file_of([pair("a", 9, array(9, 2**18 + 1, bytes(12 * 2**18 + 12)))]), errors.HeaderTooLarge,
    ),
    "a string in an array past the end": (
        file_of([pair("a", 9, array(8, 1, struct.pack("<Q", 2**63)))]), errors.TruncatedFile,
    ),
    "arrays five deep": (file_of([pair("a", 9, array(9, 1) * 4 + array(0, 0))]), errors.MalformedHeader),
    "arrays a thousand deep": (file_of([pair("a", 9, array(9, 1) * 1000)]), errors.MalformedHeader),
    "an alignment of 0": (file_of([pair(ALIGNMENT, 4, bytes(4))]), errors.MalformedHeader),
    "an alignment of 24": (file_of([pair(ALIGNMENT, 4, struct.pack("<I", 24))]), errors.MalformedHeader),
    "an alignment in 64 bits": (file_of([pair(ALIGNMENT, 10, struct.pack("<Q", 32))]), errors.MalformedHeader),
    "an alignment that is text": (file_of([pair(ALIGNMENT, 8, text("32"))]), errors.MalformedHeader),
    "a name of 128 bytes": (file_of(tensors=[entry("a" * 128)]), errors.MalformedHeader),
    "a name that is not UTF-8": (file_of(tensors=[entry(b"\xff")]), errors.MalformedHeader),
    "a tensor twice": (file_of(tensors=[entry(), entry(offset=32)]), errors.DuplicateKey),
    "five dimensions": (file_of(tensors=[entry(shape=(1,) * 5)]), errors.MalformedHeader),
    "2 to the 32 dimensions": (file_of(tensors=[text("a") + b"\xff" * 4 + bytes(40)]), errors.MalformedHeader),
    "a dimension of 2 to the 63": (file_of(tensors=[entry(shape=(2**63, 2))]), errors.MalformedHeader),
    "sizes whose product overflows": (file_of(tensors=[entry(shape=(2**32, 2**32))]), errors.TruncatedFile),
    "a type that was given up": (file_of(tensors=[entry(kind=4)]), errors.UnknownDtype),
    "a type of the future": (file_of(tensors=[entry(kind=4_000_000_000)]), errors.UnknownDtype),
    "a row of one and a half blocks": (file_of(tensors=[entry(shape=(48, 2), kind=2)]), errors.InvalidOffsets),
    "a scalar in blocks": (file_of(tensors=[entry(shape=(), kind=2)]), errors.InvalidOffsets),
    "an offset of 8": (file_of(tensors=[entry(offset=8)]), errors.InvalidOffsets),
    "an overlap": (file_of(tensors=[entry("a", (16,)), entry("b", offset=32)]), errors.InvalidOffsets),
    "the same offset": (file_of(tensors=[entry("a"), entry("b")]), errors.InvalidOffsets),
    "an offset past the end": (file_of(tensors=[entry(offset=96)]), errors.TruncatedFile),
    "an offset of nearly 2 to the 64": (file_of(tensors=[entry(offset=2**64 - 32)]), errors.TruncatedFile),
    "a tensor past the end": (file_of(tensors=[entry(shape=(17,))]), errors.TruncatedFile),
    "no data": (file_of(tensors=[entry()], data=0, alignment=1), errors.TruncatedFile),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_by_its_own_error(case: str, tmp_path: Path) -> None:
    raw, error = MALFORMED[case]
    path = tmp_path / "bad.gguf"
    path.write_bytes(raw)
    began = time.process_time()
    with pytest.raises(error) as caught:
        weigh.inspect(path)
    assert time.process_time() - began < 1
    assert type(caught.value) is error
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 300


@pytest.mark.parametrize("kind", [0, 8])
def test_a_header_without_end_is_refused(kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weigh.formats.gguf.MAX_HEADER", 10**6)
    pairs = [pair(f"{n}", 9, array(kind, 40_000, bytes(40_000 * (kind or 1)))) for n in range(30)]
    path = tmp_path / "bad.gguf"
    path.write_bytes(file_of(pairs))
    with pytest.raises(errors.HeaderTooLarge, match="the header goes on"):
        weigh.inspect(path)


def test_what_is_written_by_hand_is_read_where_nothing_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    pairs = [pair("a", 9, array(9, 1) * 3 + array(0, 2, b"\1\2")), pair("b", 7, b"\1"), pair("c", 8, text(b"\xff"))]
    path.write_bytes(file_of(pairs, [entry("a" * 127, (2, 0)), entry("b", (2, 3, 1, 1)), entry("c", (), offset=32)]))
    contents = weigh.inspect(path)
    assert contents.metadata == {"a": "array of 1 arrays", "b": True, "c": "\\xff"}
    assert [tensor.shape for tensor in contents.named] == [(0, 2), (1, 1, 3, 2), ()]


def test_what_the_reference_library_writes_for_big_endian_machines_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", add_every_type, endianess=GGUFEndian.BIG)
    with pytest.raises(errors.UnknownFormat, match="big-endian"):
        weigh.inspect(path)
