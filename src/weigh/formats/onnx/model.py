"""Read an ONNX model: a message of Protocol Buffers that holds a graph, whose tensors lie in it or in files beside it.

The messages are those of onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): a ModelProto has a
GraphProto, a graph has initializers (its weights) and nodes, and a node has attributes, which may be tensors
(constants) or graphs of their own (the branches of an `If`). Neither onnx nor protobuf is needed, and the numbers of no
tensor are read: the cost is that of the graph, whatever the size of the weights.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from weigh import errors
from weigh.dtypes import DTYPES
from weigh.formats.onnx import external, quantized
from weigh.formats.onnx.numbers import FIELD, FIELDS, INT32, RAW, Numbers, Typed, find
from weigh.formats.onnx.protobuf import BYTES, VARINT, Key, Span, Walker
from weigh.sources import File, Source
from weigh.tensors import Contents, Tensor, is_shape

_STRING = 8
_CODES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
    17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2", 27: "float6_e2m3fn", 28: "float6_e3m2fn",
}  # fmt: skip
"""TensorProto.DataType, without UNDEFINED and STRING."""

_STANDARD = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"}
_MAX_DEPTH = 32  # of graphs within graphs: protobuf itself allows 100 messages within messages, three for each graph

_MODEL = {
    1: Key("ir_version", int),
    2: Key("producer_name", str),
    3: Key("producer_version", str),
    4: Key("domain", str),
    5: Key("model_version", int),
    7: Key("graph", Span),
    8: Key("opset_import", Span, True),
    14: Key("metadata_props", Span, True),
    20: Key("training_info", Span, True),
    25: Key("functions", Span, True),
}
_ENTRY = {1: Key("key", str), 2: Key("value", str)}
_OPSET = {1: Key("domain", str), 2: Key("version", int)}
_TRAINING = {1: Key("initialization", Span), 2: Key("algorithm", Span)}
_FUNCTION = {1: Key("name", str), 10: Key("domain", str)}
_NODE = {
    1: Key("input", str, True),
    2: Key("output", str, True),
    3: Key("name", str),
    4: Key("op_type", str),
    5: Key("attribute", Span, True),
    7: Key("domain", str),
}
_NUMBER = {1: Key("name", str), 3: Key("i", int)}
_ATTRIBUTE = {
    1: Key("name", str),
    5: Key("t", Span),
    6: Key("g", Span),
    10: Key("tensors", Span, True),
    11: Key("graphs", Span, True),
    22: Key("sparse_tensor", Span),
    23: Key("sparse_tensors", Span, True),
}
_SPARSE = {1: Key("values", Span), 2: Key("indices", Span)}
_TENSOR = {
    1: Key("dims", int, True),
    2: Key("data_type", int),
    3: Key("segment", Span),
    8: Key("name", str),
    13: Key("external_data", Span, True),
    14: Key("data_location", int),
}


def read(file: File) -> Contents:
    """Read the graph of an ONNX model, and check that the files beside it have what it says.

    A tensor goes by the name of its initializer, a constant by the output of its node. One in an inner graph has in
    front the output of the node it belongs to and the name of the branch, since two branches may use a name twice.

    Raises:
        MalformedMessage: If the file is no well-formed ONNX model.
        DuplicateKey: If two tensors have one name, or one tensor has its numbers twice.
        InvalidOffsets: If a tensor has more or fewer numbers than its shape, or overlaps another.
        OutsideDirectory: If it names a file outside its own directory.
        NotFound: If it names one that is not there.
        WeighError: What `protobuf.Walker` raises.
    """
    with file.open() as reader:
        return _Model(file, Walker(reader)).contents()


class _Model:
    def __init__(self, file: File, walker: Walker) -> None:
        self.file, self.walker = file, walker
        self.tensors: dict[str, Tensor] = {}
        self.storages: dict[str, Source] = {file.name: file}
        self.inline = 0
        self.external: dict[str, File] = {}
        self.texts = self.sparse = 0
        self.operators: set[tuple[str, str]] = set()
        self.quantizing: list[quantized.Operator] = []

    def contents(self) -> Contents:
        model = self.walker.read(self.walker.whole, _MODEL)
        if model["graph"] is None:
            raise errors.MalformedMessage(self.file, "has no graph, so it is no ONNX model; fetch or save it again")
        self.graph(model["graph"], "")
        functions = set()
        for span in model["functions"]:
            function = self.walker.read(span, _FUNCTION)
            functions.add((function["domain"], function["name"]))
            self.function(span, f"{function['name']}.")
        for number, span in enumerate(model["training_info"]):
            training = self.walker.read(span, _TRAINING)
            for name, graph in training.items():
                if graph is not None:
                    self.graph(graph, f"training_info.{number}.{name}.", "optimizer")
        external.check_overlaps(self.file, [t for t in self.tensors.values() if t.storage in self.external])
        beside = sum(file.size for file in self.external.values())
        return Contents(
            path=str(self.file),
            format="onnx",
            named=tuple(self.tensors.values()),
            bytes_on_disk=self.file.size + beside,
            bytes_in_storages=self.inline + beside,
            metadata=self.metadata(model),
            notes=tuple(self.notes(functions)),
            storages={**self.storages, **self.external},
            groups=tuple(quantized.groups(self.tensors, self.quantizing)) if self.quantizing else (),
            files=(self.file.name, *self.external),
        )

    def metadata(self, model: dict[str, Any]) -> dict[str, Any]:
        entries = [self.walker.read(span, _ENTRY) for span in model["metadata_props"]]
        opsets = [self.walker.read(span, _OPSET) for span in model["opset_import"]]
        plain = {key: value for key, value in model.items() if value and isinstance(value, int | str)}
        return {
            **{entry["key"]: entry["value"] for entry in entries},
            **plain,
            "opset_import": {opset["domain"] or "ai.onnx": opset["version"] for opset in opsets},
        }

    def notes(self, functions: set[tuple[str, str]]) -> Iterator[str]:
        custom = {domain for domain, name in self.operators - functions if domain not in _STANDARD}
        if custom:
            names = ", ".join(sorted(custom)[:8])
            yield f"has operators of {names:.200}, which are not ONNX's: only a library that brings them can run it"
        if self.texts:
            yield f"{self.texts:,} tensors of text are not counted: text has no fixed size"
        if self.sparse:
            yield f"{self.sparse:,} sparse tensors are counted as they are stored: values, and their indices"

    def graph(self, span: Span, prefix: str, component: str = "weights", depth: int = 0) -> None:
        if depth > _MAX_DEPTH:
            raise self.walker.malformed(span.begin, f"graphs within graphs, more than {_MAX_DEPTH} deep")
        for field in self.walker.fields(span):
            if field.number in (1, 5, 15) and field.wire != BYTES:
                raise self.walker.malformed(field.span.begin, "a node or a tensor that is none")
            if field.number == 1:
                self.node(field.span, prefix, component, depth)
            elif field.number == 5:
                self.tensor(field.span, prefix, component)
            elif field.number == 15:
                self.sparse_tensor(field.span, prefix, component)

    def function(self, span: Span, prefix: str) -> None:
        for field in self.walker.fields(span):
            if field.number in (7, 11) and field.wire != BYTES:
                raise self.walker.malformed(field.span.begin, "a node or an attribute that is none")
            if field.number == 7:
                self.node(field.span, prefix, "weights", 0)
            elif field.number == 11:
                self.attribute(field.span, prefix.removesuffix("."), "weights", 0)

    def node(self, span: Span, prefix: str, component: str, depth: int) -> None:
        node = self.walker.read(span, _NODE)
        self.operators.add((node["domain"], node["op_type"]))
        name = prefix + next(filter(None, node["output"]), node["name"])
        if quantized.takes(node["domain"], node["op_type"]):
            numbers = [self.walker.read(attribute, _NUMBER) for attribute in node["attribute"]]
            numbers_by_name = {number["name"]: number["i"] for number in numbers}
            operator = quantized.Operator(node["op_type"], prefix, tuple(node["input"]), numbers_by_name)
            self.quantizing.append(operator)
        for attribute in node["attribute"]:
            self.attribute(attribute, name, component, depth, constant=node["op_type"] == "Constant")

    def attribute(self, span: Span, owner: str, component: str, depth: int, *, constant: bool = False) -> None:
        attribute = self.walker.read(span, _ATTRIBUTE)
        name = owner if constant else f"{owner}.{attribute['name']}"
        if attribute["t"] is not None:
            self.tensor(attribute["t"], "", component, name)
        if attribute["sparse_tensor"] is not None:
            self.sparse_tensor(attribute["sparse_tensor"], "", component, name)
        if attribute["g"] is not None:
            self.graph(attribute["g"], f"{name}.", component, depth + 1)
        for number, tensor in enumerate(attribute["tensors"]):
            self.tensor(tensor, "", component, f"{name}.{number}")
        for number, tensor in enumerate(attribute["sparse_tensors"]):
            self.sparse_tensor(tensor, "", component, f"{name}.{number}")
        for number, graph in enumerate(attribute["graphs"]):
            self.graph(graph, f"{name}.{number}.", component, depth + 1)

    def sparse_tensor(self, span: Span, prefix: str, component: str, name: str | None = None) -> None:
        sparse = self.walker.read(span, _SPARSE)
        if sparse["values"] is None:
            raise self.walker.malformed(span.begin, "a sparse tensor without values")
        self.sparse += 1
        own = self.tensor(sparse["values"], prefix, component, name)
        if sparse["indices"] is not None:
            self.tensor(sparse["indices"], "", component, f"{own}.indices")

    def tensor(self, span: Span, prefix: str, component: str, name: str | None = None) -> str:
        """Note a tensor, by its own name or by the one that its place gives it, and return that."""
        tensor = self.walker.read(span, _TENSOR)
        name = prefix + tensor["name"] if name is None else name
        where, code, shape = f"{self.file}, tensor {name[:80]!r}", tensor["data_type"], tensor["dims"]
        if tensor["segment"] is not None:
            raise errors.UnsupportedField(where, "is a segment of a tensor, which no library writes; save it again")
        if code != _STRING and code not in _CODES:
            raise errors.UnknownDtype(where, f"data_type {code} is none of TensorProto.DataType; update weigh")
        if not is_shape(shape):
            raise errors.MalformedMessage(where, "dims must be at most 64 sizes, not below 0; save the file again")
        data = find(self.walker, span, where)
        outside = self.outside(tensor["external_data"], where) if tensor["data_location"] == 1 else None
        if data and outside:
            raise errors.DuplicateKey(where, "has its numbers both in the model and in a file beside it; save it again")
        if code == _STRING:
            self.texts += 1
            return name
        if name in self.tensors:
            raise errors.DuplicateKey(where, "is there twice; save the file again")
        blank = Tensor(name, tuple(shape), _CODES[code], self.file.name, 0, 0, component)
        storage, begin = self.storage(blank, data, outside, span, where)
        self.tensors[name] = Tensor(name, blank.shape, blank.dtype, storage, begin, begin + blank.nbytes, component)
        return name

    def storage(
        self, tensor: Tensor, data: Numbers | None, outside: tuple[str, int, int | None] | None, span: Span, where: str
    ) -> tuple[str, int]:
        """The storage that a tensor lies in, and its first byte there."""
        wrong = f"bytes of numbers, and its shape and dtype need {tensor.nbytes:,}; save or fetch it again"
        if outside:
            name, begin, length = outside
            size = self.external[name].size
            if length not in (None, tensor.nbytes):
                raise errors.InvalidOffsets(where, f"has {length:,} {wrong}")
            if begin + tensor.nbytes > size:
                raise errors.InvalidOffsets(
                    where, f"reaches to byte {begin + tensor.nbytes:,} of {name[:80]!r}, which has {size:,}; fetch that"
                )
            return name, begin
        if data is None:
            if tensor.nbytes:
                raise errors.InvalidOffsets(where, f"has no {wrong}")
            return self.file.name, 0
        self.inline += data.size
        if data.number != RAW and data.number != FIELD.get(tensor.dtype, INT32):
            raise errors.MalformedMessage(where, f"has its numbers in the field of another dtype than {tensor.dtype}")
        bits = int(DTYPES[tensor.dtype].bits)
        varints = FIELDS[data.number] == VARINT
        # Each number of `int32_data` is a byte of two or four where those are narrower, but for the six bits of some.
        kept = 8 if bits in (2, 4) else bits
        count = (tensor.numel * bits + kept - 1) // kept
        if not (count <= data.size <= 10 * count if varints else data.size == tensor.nbytes):
            raise errors.InvalidOffsets(where, f"has {data.size:,} {wrong}")
        if data.pieces == 1 and not varints:
            return self.file.name, data.first.begin
        stretch = self.file.stretch(span.begin, span.end - span.begin)
        name = f"{self.file.name}:{tensor.name}"
        self.storages[name] = Typed(stretch, data.number, count, kept, data.size)
        return name, 0

    def outside(self, entries: list[Span], where: str) -> tuple[str, int, int | None]:
        """The file beside the model that a tensor lies in, its first byte there, and its bytes if they are said."""
        pairs = [self.walker.read(entry, _ENTRY) for entry in entries]
        values: dict[str, str] = {pair["key"]: pair["value"] for pair in pairs}
        if len(values) != len(pairs):
            raise errors.DuplicateKey(where, "says twice where it lies; save the file again")
        for key in ("offset", "length"):
            number = values.get(key, "0")
            if not (number.isascii() and number.isdecimal() and len(number) < 20):
                raise errors.InvalidOffsets(where, f"{key} {number[:40]!r} is no whole number; save the file again")
        name = str(PurePosixPath(values.get("location", "")))
        if name not in self.external:
            self.external[name] = external.beside(self.file, name, where)
        return name, int(values.get("offset", 0)), int(values["length"]) if "length" in values else None
