"""The reader against onnx, on models that it writes and that packages carry, and on files that nobody should read."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import weigh
from weigh import errors
from weigh.dtypes import DTYPES
from weigh.files.loading import load
from weigh.formats.onnx.model import _CODES, _STANDARD
from weigh.sources import _Raw

Named = Iterator[tuple[str, onnx.TensorProto]]


def graph_of(*tensors: onnx.TensorProto, nodes: list[onnx.NodeProto] | None = None, **more: Any) -> onnx.GraphProto:
    return helper.make_graph(nodes or [], "graph", [], [], list(tensors), **more)


def saved(tmp_path: Path, *tensors: onnx.TensorProto, nodes: list[onnx.NodeProto] | None = None, **more: Any) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph_of(*tensors, nodes=nodes), **more).SerializeToString())
    return path


def tensors_of(graph: onnx.GraphProto, prefix: str = "") -> Named:
    for tensor in graph.initializer:
        yield prefix + tensor.name, tensor
    for sparse in graph.sparse_initializer:
        yield prefix + sparse.values.name, sparse.values
        yield f"{prefix}{sparse.values.name}.indices", sparse.indices
    yield from tensors_of_nodes(graph.node, prefix)


def tensors_of_nodes(nodes: Any, prefix: str) -> Named:
    for node in nodes:
        for attribute in node.attribute:
            name = prefix + node.output[0] + ("" if node.op_type == "Constant" else f".{attribute.name}")
            if attribute.HasField("t"):
                yield name, attribute.t
            if attribute.HasField("sparse_tensor"):
                yield name, attribute.sparse_tensor.values
                yield f"{name}.indices", attribute.sparse_tensor.indices
            for number, tensor in enumerate(attribute.tensors):
                yield f"{name}.{number}", tensor
            if attribute.HasField("g"):
                yield from tensors_of(attribute.g, f"{name}.")
            for number, graph in enumerate(attribute.graphs):
                yield from tensors_of(graph, f"{name}.{number}.")


def assert_read_alike(path: Path) -> weigh.Contents:
    """The same names, shapes and bytes as onnx reads, and for numbers that torch has the same values."""
    contents = weigh.inspect(path)
    model = onnx.load(path)
    reference = [(name, tensor) for name, tensor in tensors_of(model.graph) if tensor.data_type != TensorProto.STRING]
    for function in model.functions:
        reference += tensors_of_nodes(function.node, f"{function.name}.")
    found = {tensor.name: tensor for tensor in contents.named}
    assert sorted(found) == sorted(name for name, _ in reference)
    for name, tensor in reference:
        array, mine = numpy_helper.to_array(tensor), found[name]
        raw = numpy_helper.from_array(array).raw_data
        assert (mine.shape, mine.nbytes) == (array.shape, len(raw))
        assert contents.storages[mine.storage].read(mine.begin, mine.end) == raw
        if DTYPES[mine.dtype].bits >= 8:
            loaded = load(contents, mine)
            assert loaded.dtype == getattr(torch, mine.dtype)
            assert loaded.shape == mine.shape
            assert loaded.flatten().view(torch.uint8).numpy().tobytes() == raw if raw else not loaded.numel()
        else:
            with pytest.raises(errors.UnknownDtype):
                load(contents, mine)
    assert min(contents.by_component.values()) >= 0
    assert sum(contents.by_component.values()) == contents.bytes_on_disk
    return contents


def test_every_data_type_of_the_library_is_known() -> None:
    assert set(_CODES) == set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED, TensorProto.STRING}
    assert {schema.domain for schema in onnx.defs.get_all_schemas()} <= _STANDARD


@pytest.mark.parametrize("code", _CODES, ids=_CODES.values())
@pytest.mark.parametrize("kind", ["raw", "typed", "outside"])
def test_every_data_type_is_read_as_the_library_reads_it(code: int, kind: str, tmp_path: Path) -> None:
    made = []
    for n in (0, 1, 3, 8):
        values = np.arange(n, dtype=np.float32) % 2
        if "complex" in _CODES[code]:
            values = (values + 1j).astype(np.complex64)
        made.append(helper.make_tensor(f"t{n}", code, [n], values.tolist()))
    if kind != "typed":
        made = [numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name) for tensor in made]
    path = saved(tmp_path, *made)
    if kind == "outside":
        onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    contents = assert_read_alike(path)
    assert {tensor.dtype for tensor in contents.named} == {_CODES[code]}
    assert contents.bytes_on_disk == sum(file.stat().st_size for file in tmp_path.iterdir())


def test_the_least_and_the_greatest_numbers_are_read_from_varints(tmp_path: Path) -> None:
    ends = {
        "INT8": [-128, 127], "UINT8": [255], "INT16": [-(2**15), 2**15 - 1], "UINT16": [2**16 - 1],
        "INT32": [-(2**31), 2**31 - 1], "UINT32": [2**32 - 1], "INT64": [-(2**63), 2**63 - 1], "UINT64": [2**64 - 1],
    }  # fmt: skip
    tensors = [helper.make_tensor(name, TensorProto.DataType.Value(name), [len(v)], v) for name, v in ends.items()]
    contents = assert_read_alike(saved(tmp_path, *tensors))
    for tensor in contents.named:
        assert load(contents, tensor).tolist() == ends[tensor.name]


REAL = [
    *sorted(Path(str(files("silero_vad"))).glob("data/*.onnx")),
    *sorted(Path(str(files("magika"))).glob("models/*/*.onnx")),
    *sorted(Path(onnx.__file__).parent.glob("backend/test/data/light/*.onnx")),
    *sorted(Path(onnx.__file__).parent.glob("backend/test/data/pytorch-operator/*/*.onnx")),
]


@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_real_models_are_read_as_the_library_reads_them(path: Path) -> None:
    model = onnx.load(path)
    contents = assert_read_alike(path)
    assert contents.format == "onnx"
    assert contents.metadata["ir_version"] == model.ir_version
    assert contents.metadata["producer_name"] == model.producer_name
    opsets = {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}
    assert contents.metadata["opset_import"] == opsets


def test_graphs_within_graphs_functions_and_attributes_are_walked(tmp_path: Path) -> None:
    def array(*values: float) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.float32), "inner")

    def branch(*values: float) -> onnx.GraphProto:
        return graph_of(array(*values), nodes=[helper.make_node("Constant", [], ["c"], value=array(1.0, *values))])

    sparse = helper.make_sparse_tensor(array(5.0), helper.make_tensor("i", TensorProto.INT64, [1], [7]), [9])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=array(1.0, 2.0)),
        helper.make_node("Constant", [], ["s"], sparse_value=sparse),
        helper.make_node("If", ["x"], ["y"], then_branch=branch(1.0), else_branch=branch(2.0, 3.0)),
        helper.make_node("Own", [], ["z"], domain="com.example", tensors=[array(1.0), array(2.0)]),
        helper.make_node("Own", [], ["w"], domain="com.example", graphs=[branch(1.0)]),
        helper.make_node("Here", [], ["v"], domain="local"),
    ]
    function = helper.make_function(
        "local", "Here", [], ["a"], [helper.make_node("Constant", [], ["a"], value=array(4.0))], []
    )
    model = helper.make_model(
        graph_of(nodes=nodes, sparse_initializer=[sparse]), functions=[function], producer_name="test"
    )
    helper.set_model_props(model, {"license": "MIT"})
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    contents = assert_read_alike(path)
    names = [tensor.name for tensor in contents.named]
    assert {"c", "s", "s.indices", "y.then_branch.c", "y.else_branch.inner", "z.tensors.0", "Here.a"} <= set(names)
    assert contents.metadata == {"license": "MIT", "producer_name": "test"} | {
        key: contents.metadata[key] for key in ("ir_version", "opset_import")
    }
    assert [note.split(",")[0] for note in contents.notes] == [
        "has operators of com.example",
        "2 sparse tensors are counted as they are stored: values",
    ]


def test_training_information_is_the_optimizer(tmp_path: Path) -> None:
    model = helper.make_model(graph_of(helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])))
    info = model.training_info.add()
    info.algorithm.CopyFrom(graph_of(helper.make_tensor("momentum", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    contents = weigh.inspect(path)
    assert [tensor.name for tensor in contents.named] == ["w", "training_info.0.algorithm.momentum"]
    assert (contents.by_component["weights"], contents.by_component["optimizer"], contents.parameters) == (8, 12, 2)


def test_text_has_no_size(tmp_path: Path) -> None:
    contents = weigh.inspect(saved(tmp_path, helper.make_tensor("t", TensorProto.STRING, [2], [b"a", b"b"])))
    assert not contents.named
    assert contents.notes == ("1 tensors of text are not counted: text has no fixed size",)


# What the library does not write: messages by hand


def varint(value: int) -> bytes:
    value, raw = value % 2**64, b""
    while value > 127:
        raw, value = raw + bytes([value & 127 | 128]), value >> 7
    return raw + bytes([value])


def field(number: int, value: int | bytes | str, wire: int | None = None) -> bytes:
    if isinstance(value, int):
        return varint(number << 3 | (wire or 0)) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    wire = 2 if wire is None else wire
    return varint(number << 3 | wire) + (varint(len(value)) if wire == 2 else b"") + value


def proto(*parts: bytes, dims: tuple[int, ...] = (2,), code: int = 1, name: str = "w") -> bytes:
    return b"".join(field(1, size) for size in dims) + field(2, code) + field(8, name) + b"".join(parts)


def model_of(*tensors: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    return field(1, 8) + field(7, before + b"".join(field(5, tensor) for tensor in tensors) + after)


F = b"\0\0\x80?"  # 1.0
UNUSUAL = {
    "numbers one by one": proto(field(4, F, 5), field(4, F, 5)),
    "numbers in two packs": proto(field(4, F), field(4, F)),
    "numbers packed and not": proto(field(4, F), field(4, F, 5)),
    "doubles one by one": proto(field(10, bytes(8), 1), field(10, F + F, 1), code=11),
    "varints one by one": proto(field(5, -1), field(5, 300), code=6),
    "varints packed and not": proto(field(5, varint(-1)), field(5, 300), code=6),
    "a varint longer than it need be": proto(field(7, b"\x81\x80\x00\x02"), code=7),
    "packed dimensions": field(1, b"\x02\x01") + proto(field(9, F + F), dims=()),
    "numbers before what they are": field(9, F + F) + proto(),
    "an empty pack and raw numbers": proto(field(4, b""), field(9, F + F)),
    "fields of no schema": proto(field(9, F + F), field(99, b"x"), field(98, 7), field(97, F, 5), field(96, F + F, 1)),
    "no name": proto(field(9, F + F), name=""),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_unusual_is_read_as_the_library_reads_it(case: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of(UNUSUAL[case]))
    assert len(assert_read_alike(path).named) == 1


def nested(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = field(1, field(2, "y") + field(5, field(1, "body") + field(6, graph)))
    return field(7, graph)


RAW = field(9, F + F)
HOSTILE: dict[str, tuple[bytes, type[errors.WeighError]]] = {
    "an empty file": (b"", errors.MalformedMessage),
    "no graph": (field(1, 8), errors.MalformedMessage),
    "text": (b"hello, this is no model", errors.WeighError),
    "a group": (field(7, b"\x0b\x0c"), errors.MalformedMessage),
    "field 0": (b"\x00\x01", errors.MalformedMessage),
    "a field number of 2 to the 30": (varint(2**33) + b"\x01", errors.MalformedMessage),
    "a varint of eleven bytes": (b"\x08" + b"\x80" * 10 + b"\x01", errors.MalformedMessage),
    "a varint of 66 bits": (b"\x08" + b"\xff" * 9 + b"\x03", errors.MalformedMessage),
    "a graph past the end": (varint(7 << 3 | 2) + varint(2**62) + b"\x08", errors.TruncatedFile),
    "a cut tag": (field(1, 8) + b"\x80", errors.TruncatedFile),
    "a field past its message": (field(7, b"\x2a\x7f") + field(5, 1), errors.MalformedMessage),
    "two graphs": (field(7, b"") + field(7, b""), errors.DuplicateKey),
    "a graph that is a number": (field(7, 1), errors.MalformedMessage),
    "an initializer that is a number": (field(7, field(5, 1)), errors.MalformedMessage),
    "an initializer without type": (model_of(b""), errors.UnknownDtype),
    "unknown type": (model_of(proto(RAW, code=99)), errors.UnknownDtype),
    "text that is not UTF-8": (model_of(proto(RAW)) + field(2, b"\xff"), errors.MalformedMessage),
    "two names": (model_of(proto(RAW, field(8, "v"))), errors.DuplicateKey),
    "two types": (model_of(proto(RAW, field(2, 1))), errors.DuplicateKey),
    "two tensors of one name": (model_of(proto(RAW), proto(RAW)), errors.DuplicateKey),
    "a constant of an initializer's name": (
        model_of(proto(RAW), after=field(1, field(2, "w") + field(4, "Constant") + field(5, field(5, proto(RAW))))),
        errors.DuplicateKey,
    ),
    "numbers twice": (model_of(proto(RAW, RAW)), errors.DuplicateKey),
    "numbers in two fields": (model_of(proto(RAW, field(4, F + F))), errors.DuplicateKey),
    "numbers in another type's field": (model_of(proto(field(10, bytes(8)))), errors.MalformedMessage),
    "no numbers": (model_of(proto()), errors.InvalidOffsets),
    "too few bytes": (model_of(proto(field(9, F))), errors.InvalidOffsets),
    "too many bytes": (model_of(proto(field(9, F * 3))), errors.InvalidOffsets),
    "too few varints": (model_of(proto(field(5, b"\x01"), code=6)), errors.InvalidOffsets),
    "too many varints": (model_of(proto(field(5, b"\x01" * 21), code=6)), errors.InvalidOffsets),
    "half a float": (model_of(proto(field(4, F + b"\0\0"), field(4, b"\0\0"))), errors.MalformedMessage),
    "floats as doubles": (model_of(proto(field(4, F + F, 1))), errors.MalformedMessage),
    "a shape of 2 to the 62, four times": (model_of(proto(RAW, dims=(2**62,) * 4)), errors.InvalidOffsets),
    "a size below 0": (model_of(proto(RAW, dims=(-1,))), errors.MalformedMessage),
    "65 dimensions": (model_of(proto(RAW, dims=(1,) * 65)), errors.MalformedMessage),
    "a million dimensions": (model_of(field(1, b"\x01" * 10**6) + proto(RAW)), errors.MalformedMessage),
    "a segment": (model_of(proto(RAW, field(3, b""))), errors.UnsupportedField),
    "a sparse tensor of nothing": (field(7, field(15, b"")), errors.MalformedMessage),
    "1,000 graphs within graphs": (nested(1000), errors.MalformedMessage),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_model_is_refused_by_its_own_error(case: str, tmp_path: Path) -> None:
    raw, error = HOSTILE[case]
    path = tmp_path / "model.onnx"
    path.write_bytes(raw)
    with pytest.raises(error) as caught:
        weigh.inspect(path)
    assert type(caught.value) is error or error is errors.WeighError
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_thirty_graphs_within_graphs_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(nested(30))
    assert weigh.inspect(path).tensors == 0


def test_a_graph_of_too_many_fields_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weigh.formats.onnx.protobuf.MAX_FIELDS", 1000)
    path = tmp_path / "model.onnx"
    path.write_bytes(field(7, field(3, 1) * 1000))
    with pytest.raises(errors.HeaderTooLarge):
        weigh.inspect(path)


@pytest.mark.parametrize("packed", [b"\x01" * 3, b"\x81\x01", b"\x01\x81"])
def test_a_count_that_only_the_numbers_show_is_found_when_they_are_loaded(packed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_of(proto(field(5, packed), code=6)))
    contents = weigh.inspect(path)
    with pytest.raises((errors.InvalidOffsets, errors.MalformedMessage, errors.TruncatedFile)):
        load(contents, contents.named[0])


# Numbers in files beside the model


def outside(location: str | None = "w.bin", offset: object = None, length: object = None, **more: Any) -> bytes:
    entries = {"location": location, "offset": offset, "length": length}
    pairs = [field(13, field(1, key) + field(2, str(value))) for key, value in entries.items() if value is not None]
    return proto(*pairs, field(14, 1), **more)


def beside(tmp_path: Path, *tensors: bytes, size: int = 64) -> Path:
    directory = tmp_path / "model"
    (directory / "sub").mkdir(parents=True, exist_ok=True)
    for place in (directory / "w.bin", directory / "sub/w.bin", tmp_path / "w.bin"):
        place.write_bytes(bytes(range(size)))
    path = directory / "model.onnx"
    path.write_bytes(model_of(*tensors))
    return path


@pytest.mark.parametrize(
    ("tensor", "begin"),
    [(outside(offset=8, length=8), 8), (outside(offset=56), 56), (outside("./w.bin", length=8), 0),
     (outside("sub/w.bin", 16, 8), 16)],
)  # fmt: skip
def test_numbers_beside_the_model_are_those_of_the_library(tensor: bytes, begin: int, tmp_path: Path) -> None:
    path = beside(tmp_path, tensor)
    contents = assert_read_alike(path)
    assert contents.named[0].begin == begin
    assert contents.bytes_on_disk == path.stat().st_size + 64
    assert contents.by_component["unused"] == 56


def test_a_stretch_of_two_names_is_tied(tmp_path: Path) -> None:
    contents = assert_read_alike(beside(tmp_path, outside(length=8), outside(length=8, name="v")))
    assert contents.tied == [["w", "v"]]
    assert (contents.tensors, contents.parameters) == (1, 2)


def test_a_cache_of_links_is_read(tmp_path: Path) -> None:
    path = beside(tmp_path, outside(length=8))
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots/1"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for name in ("model.onnx", "w.bin"):
        (path.parent / name).rename(blobs / f"hash-of-{name}")
        (snapshot / name).symlink_to(f"../../blobs/hash-of-{name}")
    assert weigh.inspect(snapshot / "model.onnx").parameters == 2


OUTSIDE: dict[str, tuple[tuple[bytes, ...], type[errors.WeighError]]] = {
    "an absolute path": ((outside("/etc/hostname"),), errors.OutsideDirectory),
    "a path upwards": ((outside("../w.bin"),), errors.OutsideDirectory),
    "a path down and upwards": ((outside("sub/../../w.bin"),), errors.OutsideDirectory),
    "a path of Windows": ((outside("..\\w.bin"),), errors.OutsideDirectory),
    "a drive": ((outside("C:w.bin"),), errors.OutsideDirectory),
    "a URL": ((outside("https://example.org/w.bin"),), errors.OutsideDirectory),
    "a byte 0": ((outside("w.bin\0"),), errors.OutsideDirectory),
    "no name": ((outside(None, 0, 8),), errors.OutsideDirectory),
    "the directory": ((outside("."),), errors.OutsideDirectory),
    "a directory in it": ((outside("sub"),), errors.NotFound),
    "a link out": ((outside("link"),), errors.OutsideDirectory),
    "a link out of a directory in it": ((outside("up/w.bin"),), errors.OutsideDirectory),
    "a link to itself": ((outside("loop"),), errors.NotFound),
    "the memory of onnxruntime": ((outside("*/_ORT_MEM_ADDR_/*", 140737488355328, 8),), errors.NotFound),
    "a missing file": ((outside("v.bin"),), errors.NotFound),
    "a name too long": ((outside("w" * 5000),), errors.NotFound),
    "the model": ((outside("model.onnx", 0, 8),), errors.InvalidOffsets),
    "past the end": ((outside(offset=60, length=8),), errors.InvalidOffsets),
    "past the end, without length": ((outside(offset=60),), errors.InvalidOffsets),
    "far past the end": ((outside(offset=10**18, length=8),), errors.InvalidOffsets),
    "too short": ((outside(length=4),), errors.InvalidOffsets),
    "a negative offset": ((outside(offset=-8, length=8),), errors.InvalidOffsets),
    "an offset of 5,000 digits": ((outside(offset="9" * 5000),), errors.InvalidOffsets),
    "an offset that is text": ((outside(offset="0x8"),), errors.InvalidOffsets),
    "a length in Thai digits": ((outside(length="๘"),), errors.InvalidOffsets),
    "an overlap": ((outside(length=8), outside(offset=4, length=8, name="v")), errors.InvalidOffsets),
    "an overlap by another path": ((outside(length=8), outside(".//w.bin", 4, 8, name="v")), errors.InvalidOffsets),
    "two locations": ((outside() + field(13, field(1, "location") + field(2, "v")),), errors.DuplicateKey),
    "numbers here and there": ((outside(length=8) + RAW,), errors.DuplicateKey),
    "text of a path upwards": ((outside("../w.bin", code=8),), errors.OutsideDirectory),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_hostile_reference_is_refused_by_its_own_error(case: str, tmp_path: Path) -> None:
    tensors, error = OUTSIDE[case]
    path = beside(tmp_path, *tensors)
    (path.parent / "link").symlink_to("../w.bin")
    (path.parent / "up").symlink_to("..")
    (path.parent / "loop").symlink_to("loop")
    with pytest.raises(error) as caught:
        weigh.inspect(path)
    assert type(caught.value) is error
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < 500


# What it costs


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    inner: Callable[[Any, Any], int] = _Raw.readinto

    def readinto(self: Any, buffer: Any) -> int:
        sizes.append(inner(self, buffer))
        return sizes[-1]

    monkeypatch.setattr(_Raw, "readinto", readinto)
    return sizes


def test_the_cost_is_that_of_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [numpy_helper.from_array(np.zeros(2**20, np.float32), f"w{n}") for n in range(8)]
    path = saved(tmp_path, *arrays)
    sizes = counted(monkeypatch)
    assert weigh.inspect(path).parameters == 2**23
    assert sum(sizes) < 10 * 2**14


def test_a_terabyte_beside_the_model_is_weighed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = beside(tmp_path, outside(dims=(2**38,), length=2**40))
    with (path.parent / "w.bin").open("r+b") as file:
        file.truncate(2**40)
    sizes = counted(monkeypatch)
    assert weigh.inspect(path).parameters == 2**38
    assert sum(sizes) < 2**14


def test_a_remote_model_is_read_with_the_files_beside_it(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    path = beside(tmp_path, outside(length=8), proto(field(5, b"\x01\x02"), code=6, name="typed"))
    memory = fsspec.filesystem("memory")
    for file in (path, path.parent / "w.bin"):
        memory.pipe(f"/remote/{file.name}", file.read_bytes())
    contents = weigh.inspect("memory://remote/model.onnx")
    assert [load(contents, tensor).tolist() for tensor in contents.named][1] == [1, 2]
    assert contents.bytes_on_disk == path.stat().st_size + 64
    memory.pipe("/remote/model.onnx", model_of(outside("v.bin")))
    with pytest.raises(errors.NotFound):
        weigh.inspect("memory://remote/model.onnx")


def test_neither_onnx_nor_protobuf_is_imported(tmp_path: Path) -> None:
    path = saved(tmp_path, helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0]))
    program = (
        "import sys, weigh; weigh.inspect(sys.argv[1]); "
        "print([name for name in sys.modules if name.split('.')[0] in ('onnx', 'google', 'numpy', 'torch')])"
    )
    result = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
