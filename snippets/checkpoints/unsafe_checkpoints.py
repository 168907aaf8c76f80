"""The program of "Unsafe checkpoints": a harmless file that runs when it is loaded, and who notices."""

# --8<-- [start:quiet]
import logging
import os
import tempfile
import warnings
from pathlib import Path

repository = Path.cwd()
temporary = tempfile.TemporaryDirectory()
os.chdir(temporary.name)  # all that is written here goes with this directory

for message in ("Detected pickle protocol", "Environment variable TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
    warnings.filterwarnings("ignore", message)
for name in ("picklescan", "modelscan"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)
# --8<-- [end:quiet]

# --8<-- [start:make]
import torch


class Payload:
    def __reduce__(self):
        """Say how to make this object again: by calling a function."""
        return os.mkdir, ("it-ran",)


weights = {"layer.weight": torch.ones(2, 3)}
torch.save(weights, "state-dict.pt")
torch.save({**weights, "note": Payload()}, "model.pt")
# --8<-- [end:make]

# --8<-- [start:opcodes]
import pickle
import pickletools

pickletools.dis(pickletools.optimize(pickle.dumps(Payload(), protocol=2)))
# --8<-- [end:opcodes]

# --8<-- [start:inspect]
import weigh

contents = weigh.inspect("model.pt")
assert contents.parameters == 6
assert not Path("it-ran").exists(), "weigh runs nothing"
contents.imports
# --8<-- [end:inspect]

# --8<-- [start:old_way]
checkpoint = torch.load("model.pt", weights_only=False)

assert torch.equal(checkpoint["layer.weight"], weights["layer.weight"])
Path("it-ran").is_dir()
# --8<-- [end:old_way]

# --8<-- [start:again]
assert Path("it-ran").is_dir(), "loading a file the old way runs it"
Path("it-ran").rmdir()
# --8<-- [end:again]

# --8<-- [start:nothing_ran]
assert not Path("it-ran").exists(), "weights_only=True ran nothing, and safetensors had nothing to run"
# --8<-- [end:nothing_ran]

# --8<-- [start:files]
import joblib
import numpy as np


class Unlisted:
    """Makes a directory too, by a function that is on fewer lists."""

    def __reduce__(self):
        return tempfile.mkdtemp, ("", "it-ran", ".")


# Both names go through the pickle's memo, in the wrong order, before they are put together.
DETOUR = (
    b"\x80\x04\x8c\x05mkdir\x940\x8c\x05posix\x940"  # "mkdir" to memo 0, "posix" to memo 1
    b"h\x01h\x00\x93"  # get 1, get 0, import
    b"\x8c\x06it-ran\x85R."
)

torch.save({**weights, "best_ap": np.float64(0.4)}, "numpy-scalar.pt")
Path("bare.pkl").write_bytes(pickle.dumps(Payload(), protocol=2))
Path("detour.pkl").write_bytes(DETOUR)
Path("renamed.weights").write_bytes(pickle.dumps(Payload(), protocol=2))
torch.save({**weights, "note": Unlisted()}, "unlisted.pt")
torch.save({**weights, "note": Payload()}, "legacy.pt", _use_new_zipfile_serialization=False)
joblib.dump(Payload(), "zipped.joblib", compress=3, protocol=2)
np.savez("objects.npz", weight=np.ones(6), note=np.array([Payload()], dtype=object))

FILES = {
    "state-dict.pt": "tensors only",
    "numpy-scalar.pt": "tensors and a NumPy number",
    "bare.pkl": "a pickle by itself",
    "detour.pkl": "the same, its names in the wrong order",
    "renamed.weights": "`bare.pkl` under another suffix",
    "model.pt": "the file above",
    "unlisted.pt": "it calls another function",
    "legacy.pt": "`model.pt` in PyTorch's format before 1.6",
    "zipped.joblib": "a compressed pickle",
    "objects.npz": "NumPy arrays, one of Python objects",
}
# --8<-- [end:files]

# --8<-- [start:run]
from contextlib import suppress

OLD_WAYS = {
    ".npz": lambda file: np.load(file, allow_pickle=True)["note"],
    ".joblib": joblib.load,
}


def runs(file):
    """Whether loading a file the old way makes a directory, in the temporary directory."""
    load = OLD_WAYS.get(Path(file).suffix, lambda file: torch.load(file, weights_only=False))
    with suppress(Exception):  # a bare pickle is no checkpoint, which torch.load says after running it
        load(file)
    marks = list(Path().glob("it-ran*"))
    for mark in marks:
        mark.rmdir()
    return bool(marks)


harmful = {file: runs(file) for file in FILES}
assert sum(harmful.values()) == 8 and not any(list(harmful.values())[:2])
# --8<-- [end:run]

# --8<-- [start:tools]
import zipfile
from importlib.metadata import version
from importlib.util import find_spec

import fickling
from picklescan.scanner import scan_file_path


def picklescan(file):
    found = scan_file_path(file)
    if found.issues_count:
        return "dangerous", 1
    return ("suspicious" if found.suspicious_count else "clean"), 2 if found.scan_err else 0


def modelscan(file):
    from modelscan.modelscan import ModelScan

    report = ModelScan().scan(file)
    if not report["summary"]["scanned"]["total_scanned"]:
        return ("error" if report["errors"] else "not scanned"), 3
    return ("critical", 1) if report["summary"]["total_issues"] else ("no issues", 0)


GRADES = {
    "LIKELY_SAFE": "safe",
    "SUSPICIOUS": "suspicious",
    "LIKELY_UNSAFE": "unsafe",
    "LIKELY_OVERTLY_MALICIOUS": "malicious",
}


def scan_with_fickling(file):
    if zipfile.is_zipfile(file):
        scans = list(fickling.scan_zip_archive(file, graceful=True).values())
    else:
        scans = [fickling.scan_file(file, graceful=True)]
    if not scans:
        return "not scanned", 0
    worst = max(scans, key=lambda scan: scan.severity.severity)
    return GRADES[worst.severity.name], 0 if worst.is_safe else 1


def torch_load(file):
    try:
        torch.load(file, weights_only=True)
    except Exception:
        return "refuses", 1
    return "loads", 0


def weigh_inspect(file):
    try:
        imports = weigh.inspect(file).imports
    except weigh.WeighError:
        return "refuses", 2
    return ("names it", 1) if imports else ("clean", 0)


TOOLS = {
    f"picklescan {version('picklescan')}": picklescan,
    f"fickling {version('fickling')}": scan_with_fickling,
    f"torch.load {torch.__version__.split('+')[0]}": torch_load,
    "weigh": weigh_inspect,
}
if find_spec("modelscan"):
    TOOLS[f"modelscan {version('modelscan')}"] = modelscan
# --8<-- [end:tools]

# --8<-- [start:compare]
verdicts = {tool: {file: ask(file) for file in FILES} for tool, ask in TOOLS.items()}
assert not list(Path().glob("it-ran*")), "no scanner ran a file"

ORDER = ("picklescan", "modelscan", "fickling", "torch", "weigh")
columns = [next((tool for tool in TOOLS if tool.startswith(name)), name) for name in ORDER]
print("| File |", *(f"{column} |" for column in columns))
print("| --- |", "--- |" * len(columns))
for file, what in FILES.items():
    row = [f"`{file}`: {what}" if harmful[file] else f"`{file}`: {what}; harmless"]
    for tool in columns:
        word, code = verdicts.get(tool, {}).get(file, ("not installed", 1))
        row.append(f"**{word}**" if harmful[file] and code == 0 else word)
    print("|", " | ".join(row), "|")
# --8<-- [end:compare]


# --8<-- [start:disagreements]
def passed(name):
    """The harmful files that a tool lets through: those for which its command would exit with 0."""
    tool = next(tool for tool in TOOLS if tool.startswith(name))
    return [file for file in FILES if harmful[file] and verdicts[tool][file][1] == 0]


def says(name, file):
    return verdicts[next(tool for tool in TOOLS if tool.startswith(name))][file][0]


assert passed("torch") == passed("weigh") == [], "The two allow-lists let none of the eight pass"
assert says("weigh", "numpy-scalar.pt") == "names it" and says("torch", "numpy-scalar.pt") == "refuses"
assert passed("picklescan") == ["unlisted.pt", "zipped.joblib"], "picklescan lets two pass"
assert says("picklescan", "unlisted.pt") == "suspicious" and says("picklescan", "zipped.joblib") == "clean"
assert scan_file_path("unlisted.pt", strict=True).issues_count, "--strict stops it"
assert passed("fickling") == ["objects.npz"] and says("fickling", "objects.npz") == "not scanned"
assert all(says("fickling", file) == "malicious" for file in list(FILES)[2:8]), "the worst verdict tells"
assert says("fickling", "state-dict.pt") == says("fickling", "numpy-scalar.pt") == "unsafe"
assert all(says(tool.split()[0], "detour.pkl") != "clean" for tool in TOOLS), "The detour misleads none"
if find_spec("modelscan"):
    assert passed("modelscan") == ["unlisted.pt", "legacy.pt"], "modelscan lets two pass"
    assert says("modelscan", "renamed.weights") == "not scanned" and says("modelscan", "objects.npz") == "error"
# --8<-- [end:disagreements]

# --8<-- [start:allow]
from torch.serialization import safe_globals

NUMBER = [np._core.multiarray.scalar, np.dtype, np.dtypes.Float64DType]

with safe_globals(NUMBER):  # for these lines only
    checkpoint = torch.load("numpy-scalar.pt")
checkpoint["best_ap"]
# --8<-- [end:allow]

# --8<-- [start:limits]
import argparse


def refusal(file, allowed):
    """What torch.load refuses even with these allowed."""
    try:
        with safe_globals(allowed):
            torch.load(file)
    except pickle.UnpicklingError as error:
        return str(error)
    return ""


def rewrite(source, target, change):
    """Copy an archive, its pickle changed."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for record in old.infolist():
            data = old.read(record)
            new.writestr(record.filename, change(data) if record.filename.endswith("data.pkl") else data)


torch.save({**weights, "args": argparse.Namespace(lr=0.1)}, "namespace.pt")
assert "Unsupported global: GLOBAL argparse.Namespace" in refusal("namespace.pt", [])
assert not refusal("namespace.pt", [argparse.Namespace]), "a Namespace loads once it is allowed"
assert "posix is blocked" in refusal("model.pt", [os.mkdir]), "modules of the system cannot be allowed at all"
assert refusal("numpy-scalar.pt", NUMBER[:1]) and refusal("numpy-scalar.pt", NUMBER[:2]), "all three are needed"

# NumPy 1 called the module numpy.core.
rewrite("numpy-scalar.pt", "numpy-1.pt", lambda data: data.replace(b"numpy._core", b"numpy.core"))
assert "GLOBAL numpy.core.multiarray.scalar" in refusal("numpy-1.pt", NUMBER), "the name in the file is what counts"
assert not refusal("numpy-1.pt", [(NUMBER[0], "numpy.core.multiarray.scalar"), *NUMBER[1:]])

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
torch.load("model.pt")
del os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"]
assert Path("it-ran").is_dir(), "the environment variable turns the refusal off"
Path("it-ran").rmdir()

assert torch.__version__ >= (2, 10), "the two published holes are mended here"
# --8<-- [end:limits]

# --8<-- [start:attacks]
import io
import json
import struct

import onnx


def safetensors(header, payload=b"", claimed=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(header) if claimed is None else claimed).to_bytes(8, "little") + header + payload


def entry(begin, end):
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}


def overlapping(archive):
    """Its last storage is said to begin where its pickle does."""
    at = archive.rindex(b"/data/0") - len("state-dict") - 46  # the record's entry in the archive's directory
    return archive[: at + 42] + bytes(4) + archive[at + 46 :]


def with_pickle(pickled):
    """The archive of the state dict with another pickle in it."""
    rewrite("state-dict.pt", "attack.pt", lambda _: pickled)
    return Path("attack.pt").read_bytes()


def outside():
    """An ONNX model whose weights are said to be in a file two directories up."""
    tensor = onnx.numpy_helper.from_array(np.ones(6, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    graph = onnx.helper.make_graph([], "g", [], [], [tensor])
    return onnx.helper.make_model(graph).SerializeToString()


def huge():
    """A NumPy archive of one array, which claims 2⁶⁰ elements."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("w.npy", "w") as record:
        np.lib.format.write_array_header_1_0(record, {"descr": "<f4", "fortran_order": False, "shape": (2**60,)})
        record.write(bytes(24))
    return file.getvalue()


same_name = json.dumps({"a": entry(0, 4)} | {"b": entry(0, 4) | {"dtype": "I32"}}).replace('"b"', '"a"').encode()
plain = Path("state-dict.pt").read_bytes()
with zipfile.ZipFile("state-dict.pt") as opened:
    pickled = opened.read("state-dict/data.pkl")
torch.save({"layer.weight": torch.zeros(2_500_000)}, "zeros.pt")
with zipfile.ZipFile("zeros.pt") as loose, zipfile.ZipFile("bomb.pt", "w", zipfile.ZIP_DEFLATED) as packed:
    for record in loose.infolist():
        packed.writestr(record.filename, loose.read(record))

ATTACKS = [
    ("safetensors", "a header of 2⁶³ bytes", "header.safetensors", safetensors(b"{}", claimed=2**63)),
    ("safetensors", "one name twice, with two dtypes", "name.safetensors", safetensors(same_name, bytes(4))),
    ("safetensors", "two tensors in the same bytes", "overlap.safetensors",
     safetensors({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12))),
    ("safetensors", "a second file behind the tensors", "behind.safetensors",
     safetensors({"a": entry(0, 4)}, bytes(4) + b"PK\x03\x04")),
    ("safetensors", "an index that points out of its directory", "model.safetensors.index.json",
     json.dumps({"weight_map": {"a": "../../secret.safetensors"}}).encode()),
    ("PyTorch", "two records in the same bytes", "records.pt", overlapping(plain)),
    ("PyTorch", "records that unpack to hundreds of times their size", "bomb.pt", Path("bomb.pt").read_bytes()),
    ("PyTorch", "a tensor larger than its storage", "tensor.pt",
     with_pickle(pickled.replace(b"K\x02K\x03\x86", b"M\x00\x02K\x03\x86"))),
    ("PyTorch", "a pickle of 100,000 lists in lists", "deep.pt", with_pickle(b"]" * 100_000 + b"a" * 99_999 + b".")),
    ("GGUF", "2⁶⁰ tensors", "count.gguf", b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0)),
    ("ONNX", "weights in a file two directories up", "outside.onnx", outside()),
    ("NumPy", "an array of 2⁶⁰ elements", "huge.npz", huge()),
]  # fmt: skip
# --8<-- [end:attacks]

# --8<-- [start:refused]
import gguf
from safetensors.torch import load_file

LIBRARIES = {
    "safetensors": load_file,
    "PyTorch": torch.load,
    "GGUF": gguf.GGUFReader,
    "ONNX": onnx.load,
    "NumPy": lambda file: np.load(file)["w"],
}


def own_reader(form, name):
    """Whether the format's own library takes it. That of safetensors does not read an index."""
    if name.endswith(".json"):
        return "reads none"
    try:
        LIBRARIES[form](name)
    except Exception:
        return "refuses"
    return "**loads it**"


print("| Format | Attack | Bytes | Its own library | `weigh` |\n| --- | --- | ---: | --- | --- |")
answers = {}
for form, attack, name, data in ATTACKS:
    Path(name).write_bytes(data)
    try:
        weigh.inspect(name)
    except weigh.WeighError as error:
        answers[name] = own_reader(form, name), error
        print(f"| {form} | {attack} | {len(data):,} | {answers[name][0]} | `{type(error).__name__}` |")
assert len(answers) == len(ATTACKS), "weigh refuses them all"
assert not torch.equal(torch.load("records.pt")["layer.weight"], weights["layer.weight"]), "its weights are other bytes"
assert len(load_file("name.safetensors")) == 1, "of two tensors of one name one is lost"
# --8<-- [end:refused]

# --8<-- [start:own]
import subprocess
import sys
import textwrap


def shell(command, expected):
    """Run `weigh` and show the first line that it says."""
    words = [sys.executable, "-c", "from weigh.cli import main; main()", *command.split()]
    environment = os.environ | {"PYTHONUTF8": "1", "COLUMNS": "80"}
    done = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8")
    first_line = (done.stderr or done.stdout).splitlines()[0].strip()
    print(f"$ weigh {command}\n{textwrap.fill(first_line, 72)}\nexit code {done.returncode}\n")
    assert done.returncode == expected


shell("inspect state-dict.pt", expected=0)
shell("inspect model.pt", expected=1)
shell("inspect overlap.safetensors", expected=2)
# --8<-- [end:own]

# --8<-- [start:convert]
weigh.export("model.pt", "served")  # or: weigh export model.pt served

assert not weigh.inspect("served").imports
assert not Path("it-ran").exists(), "export runs nothing"
load_file("served/model.safetensors")
# --8<-- [end:convert]

# --8<-- [start:saved]
settings = vars(argparse.Namespace(lr=0.1))
score = float(np.float64(0.4))
torch.save({**weights, "best_ap": score, "args": settings}, "plain.pt")

assert not weigh.inspect("plain.pt").imports
torch.load("plain.pt")
# --8<-- [end:saved]

# --8<-- [start:problems]
missed, malicious, downloads = 0.01, 0.01, 300
at_least_one = 1 - (1 - missed * malicious) ** downloads

# The tensors of Llama-2-7B by name and shape, each a zero that is repeated, since the pickle holds no elements.
seven = weigh.params(repository / "models/llama-2-7b")
torch.save({tensor.name: torch.zeros(1).expand(tensor.shape) for tensor in seven.distinct}, "seven.pt")
with zipfile.ZipFile("seven.pt") as opened:
    seven_pickle = opened.getinfo("seven/data.pkl").file_size
# --8<-- [end:problems]

# --8<-- [start:clean_up]
os.chdir(repository)
temporary.cleanup()
# --8<-- [end:clean_up]
