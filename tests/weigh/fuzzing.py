"""A coverage-guided fuzzer of the readers of file formats: `python tests/weigh/fuzzing.py FORMAT SECONDS [DIRECTORY]`.

It damages files that the format's own library wrote, keeps whatever reaches lines in a new order, and damages that
again. The loop is a process of its own, with bounded address space and an audit hook, and a crash is anything but a
refusal: another exception than `WeighError`, a message of several lines, more than 2 seconds or 512 MiB, a tensor
outside its storage, a process that dies, or any import, execution, connection or opened file that reading a header
does not need. Inputs that crash are saved in DIRECTORY.
"""

from __future__ import annotations

import codecs
import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from types import CodeType, FrameType
from typing import Any, NamedTuple

FORMATS = Path(__file__).parents[2] / "src/weigh/formats"
DIRECTORIES = str(FORMATS.parent / "files/directories")
MAX_SECONDS = 2.0
MAX_GROWTH = 2**29
MAX_INPUT = 2**16

INTERESTING = [
    *range(-2, 10), 16, 31, 32, 33, 63, 64, 65, 100, 127, 128, 255, 256, 1000, 1024, 4096, 2**15, 2**16 - 1, 2**16,
    99_999_999, 10**8, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53, 2**60, 2**63 - 1, 2**63, 2**64 - 1,
]  # fmt: skip


class Seed(NamedTuple):
    """A file to damage, and the path to inspect: the file itself, or the directory or the index that leads to it."""

    file: Path
    inspected: Path


class Report(NamedTuple):
    """What came of it. A crash is its description and the input; `lines` are those reached, and all, by module."""

    executions: int
    crashes: list[tuple[str, bytes]]
    lines: dict[str, tuple[int, int]]
    corpus: int
    max_seconds: float
    memory_growth: int

    def __str__(self) -> str:
        reached = ", ".join(f"{name} {hit}/{total}" for name, (hit, total) in self.lines.items())
        return (
            f"{self.executions:,} executions, {self.corpus:,} inputs kept, {len(self.crashes)} crashes\n"
            f"lines reached: {reached}\n"
            f"longest {self.max_seconds:.3f} s, peak memory {self.memory_growth / 1e6:.1f} MB above the first inputs'"
        )


def fuzz(
    seeds: list[Seed],
    seconds: float,
    *,
    executions: int = sys.maxsize,
    crashes: int = sys.maxsize,
    seed: int = 0,
    target: str = "",
    folder: Path = FORMATS,
) -> Report:
    """Damage the seeds until one of three limits is reached.

    Args:
        seeds: Files that the target reads. They are overwritten.
        seconds: How long.
        executions: How often. The inputs are then the same each time, on one version of Python.
        crashes: How many are enough.
        seed: Of the random damage.
        target: The function to call with a path, as `module:function`; as a default `weigh.inspect`, with checks.
        folder: The code whose coverage guides.
    """
    originals = {seed.file: seed.file.read_bytes() for seed in seeds}
    paths = [[str(path) for path in seed] for seed in seeds]
    job = [seconds, executions, crashes, seed, target, str(folder), paths]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen([sys.executable, __file__, json.dumps(job)], stdout=out, stderr=err)
        try:
            process.wait(seconds + 60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        out.seek(0)
        err.seek(0)
        if process.returncode == 0:
            report = Report(*json.loads(out.read()))
            return report._replace(crashes=[(what, bytes.fromhex(str(data))) for what, data in report.crashes])
        what = f"the process ended with {process.returncode}: {err.read().decode()[-2000:]}"
    damaged = [path.read_bytes() for path, data in originals.items() if path.read_bytes() != data]
    return Report(0, [(what, data) for data in damaged or [b""]], {}, 0, seconds, 0)


# The loop, in a process of its own


class TooLong(BaseException):
    """Raised by the timer, past every `except Exception`."""


class Forbidden(BaseException):
    """Raised by the audit hook."""


def loop(seconds: float, most: int, enough: int, seed: int, target: str, folder: str, paths: list[list[str]]) -> Report:
    """Inspect damaged seeds, keep those that reach something new, and note what crashes."""
    refusal, inspect = _target(target)
    seeds = [Seed(Path(file), Path(inspected)) for file, inspected in paths]
    chance, tracer = random.Random(seed), Tracer((folder, DIRECTORIES))
    audit = Audit({str(path.parent) for seed in seeds for path in seed})
    files = {seed.file: os.open(seed.file, os.O_WRONLY) for seed in seeds}
    originals = {seed.file: seed.file.read_bytes() for seed in seeds}
    corpus: list[tuple[Seed, bytes]] = []
    crashes: dict[str, bytes] = {}
    executions, longest = 0, 0.0

    def write(file: Path, data: bytes) -> None:
        os.pwrite(files[file], data, 0)
        os.ftruncate(files[file], len(data))

    def execute(seed: Seed, data: bytes) -> None:
        nonlocal executions, longest
        write(seed.file, data)
        known = len(tracer.arcs)
        failure: BaseException | None = None
        began = time.process_time()
        try:
            with audit, tracer, deadline():
                inspect(seed.inspected)
        except refusal as error:
            if "\n" in str(error) or len(str(error)) > 2000:
                failure = ValueError(f"a message of several lines or of {len(str(error)):,} characters")
        except (Exception, TooLong, Forbidden) as error:
            failure = error
        longest = max(longest, time.process_time() - began)
        executions += 1
        if audit.violation:
            failure = failure if isinstance(failure, Forbidden) else Forbidden(audit.violation)
            audit.violation = ""
        if failure is not None:
            crashes.setdefault(_describe(failure, (folder, str(FORMATS.parent))), data)
        if len(tracer.arcs) > known:
            corpus.append((seed, data))

    for first in seeds:
        with suppress(Exception):
            inspect(first.inspected)  # for what it imports
        execute(first, originals[first.file])
    corpus[:] = [(seed, originals[seed.file]) for seed in seeds]
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MAX_GROWTH, resource.RLIM_INFINITY))
    peak = _peak()
    damaged, end = seeds[0].file, time.monotonic() + seconds
    while time.monotonic() < end and executions < most and len(crashes) < enough:
        kept, data = chance.choice(corpus)
        if kept.file != damaged:
            write(damaged, originals[damaged])
            damaged = kept.file
        execute(kept, damage(data, chance.choice(corpus)[1], chance))
    growth = _peak() - peak
    found = [(what, data.hex()) for what, data in crashes.items()]
    return Report(executions, found, tracer.lines(), len(corpus), longest, growth)  # type: ignore[arg-type]


def _peak() -> int:
    """The most memory that this process has had, in bytes. (`ru_maxrss` begins with the parent's.)"""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def _target(name: str) -> tuple[type[Exception], Callable[[Path], object]]:
    """The exception that is a refusal, and the function to call, with every module it will need already imported."""
    from weigh.errors import WeighError
    from weigh.files import inspecting

    for module in walk_packages([str(FORMATS)], "weigh.formats."):
        import_module(module.name)
    for encoding in ("ascii", "cp437", "latin-1", "raw_unicode_escape", "unicode_escape", "utf-8"):
        codecs.lookup(encoding)
    if name:
        module_name, function = name.split(":")
        return WeighError, getattr(import_module(module_name), function)

    def check(path: Path) -> None:
        contents = inspecting.inspect(path)
        json.dumps(contents.as_dict())
        assert sum(contents.by_component.values()) == contents.bytes_on_disk
        for tensor in contents.named[:4]:
            assert len(tensor.name.encode("utf-8", "backslashreplace")) < MAX_INPUT
            if tensor.storage in contents.storages:
                storage = contents.storages[tensor.storage]
                assert 0 <= tensor.begin <= tensor.end <= storage.size, "a tensor reaches out of its storage"
                assert tensor.strides is not None or tensor.end - tensor.begin == tensor.nbytes
                if tensor.end - tensor.begin < MAX_INPUT:
                    assert len(storage.read(tensor.begin, tensor.end)) == tensor.end - tensor.begin

    return WeighError, check


def _describe(failure: BaseException, folders: tuple[str, ...]) -> str:
    """The exception and where in the sources it was raised: the same for the same flaw."""
    frames = traceback.extract_tb(failure.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(folders)] or frames[-1:]
    place = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in own[-1:])
    said = f": {failure}" if isinstance(failure, Forbidden | AssertionError | ValueError) else ""
    return f"{type(failure).__name__}{place}{said:.150}"


class deadline:
    """At most `MAX_SECONDS` of processor time, so that a busy machine is no crash."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, self._raise)
        signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    @staticmethod
    def _raise(*_: object) -> None:
        raise TooLong


class Tracer:
    """Collects the pairs of lines that follow each other in the code of these files and folders."""

    def __init__(self, traced: tuple[str, ...]) -> None:
        self.traced = traced
        self.arcs: set[tuple[str, int, int]] = set()
        self.before = 0

    def __enter__(self) -> None:
        self.before = 0
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        return self._line if frame.f_code.co_filename.startswith(self.traced) else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        if event == "line":
            here = frame.f_lineno
            self.arcs.add((frame.f_code.co_filename, self.before, here))
            self.before = here
        return self._line

    def lines(self) -> dict[str, tuple[int, int]]:
        """The lines of functions that were reached, and all of them, for each module that was."""
        reached: dict[str, set[int]] = {}
        for filename, _, line in self.arcs:
            reached.setdefault(filename, set()).add(line)
        return {Path(name).name: (len(hit & (every := set(_lines(name)))), len(every)) for name, hit in reached.items()}


def _lines(filename: str) -> Iterator[int]:
    codes = [compile(Path(filename).read_text("utf-8"), filename, "exec")]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        if code.co_flags & 2:  # CO_NEWLOCALS: a function, and not a module or a class
            yield from (line for *_, line in code.co_lines() if line and line != code.co_firstlineno)


class Audit:
    """Refuses every audited event but reading what lies in some directories."""

    def __init__(self, directories: set[str]) -> None:
        self.directories, self.violation, self.on = directories, "", False
        sys.addaudithook(self._hook)

    def __enter__(self) -> None:
        self.on = True

    def __exit__(self, *_: object) -> None:
        self.on = False

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on or event in ("sys.settrace", "object.__getattr__", "sys._getframe", "builtins.id"):
            return
        if event == "open":
            path, mode, flags = args
            reads = not set(mode or "") & set("wax+") and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            allowed = reads and os.path.dirname(os.path.abspath(os.fspath(path))) in self.directories
        else:
            allowed = event in ("os.listdir", "os.scandir") and str(args[0]) in self.directories
        if not allowed:
            self.violation = f"{event} {str(args[0]) if args else ''!r:.100}"
            raise Forbidden(self.violation)


def damage(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """One to eight changes that know nothing of the format, the more the rarer."""
    raw = bytearray(data)
    for _ in range(min(8, 1 + int(chance.expovariate(0.7)))):
        chance.choice(DAMAGES)(raw, other, chance)
    return bytes(raw[:MAX_INPUT])


def _place(raw: bytearray, chance: random.Random) -> tuple[int, int]:
    """A stretch, most often a short one: where it begins and ends."""
    begin = chance.randrange(len(raw) + 1)
    return begin, min(len(raw), begin + int(2 ** chance.uniform(0, 8)))


def _flip(raw: bytearray, other: bytes, chance: random.Random) -> None:
    if raw:
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)


def _byte(raw: bytearray, other: bytes, chance: random.Random) -> None:
    if raw:
        raw[chance.randrange(len(raw))] = chance.randrange(256)


def _integer(raw: bytearray, other: bytes, chance: random.Random) -> None:
    size, order = chance.choice("BHIQQ"), chance.choice("<<<>")
    width = struct.calcsize(size)
    if len(raw) < width:
        return
    at = chance.randrange(len(raw) - width + 1)
    near = struct.unpack_from(order + size, raw, at)[0] + chance.randint(-9, 9)
    value = chance.choice([chance.choice(INTERESTING), near, len(raw) - at, len(raw)])
    struct.pack_into(order + size, raw, at, value % 256**width)


def _number(raw: bytearray, other: bytes, chance: random.Random) -> None:
    """Change a number that is written in digits, as in JSON."""
    digits = [at for at, byte in enumerate(raw) if 48 <= byte < 58]
    if digits:
        end = begin = chance.choice(digits)
        while end < len(raw) and 48 <= raw[end] < 58:
            end += 1
        raw[begin:end] = str(chance.choice([chance.choice(INTERESTING), 1.5, 10**25])).encode()


def _delete(raw: bytearray, other: bytes, chance: random.Random) -> None:
    begin, end = _place(raw, chance)
    del raw[begin:end]


def _insert(raw: bytearray, other: bytes, chance: random.Random) -> None:
    begin, end = _place(raw, chance)
    raw[begin:begin] = chance.choice([chance.randbytes(end - begin), bytes(end - begin), raw[begin:end]])


def _splice(raw: bytearray, other: bytes, chance: random.Random) -> None:
    begin, end = _place(raw, chance)
    start, stop = _place(bytearray(other), chance)
    raw[begin : chance.choice([begin, end])] = other[start:stop]


def _truncate(raw: bytearray, other: bytes, chance: random.Random) -> None:
    if chance.random() < 0.2:
        del raw[chance.randrange(len(raw) + 1) :]


DAMAGES = [_flip, _byte, _integer, _integer, _integer, _number, _delete, _insert, _splice, _truncate]


# The seeds, written by each format's own library


def _alone(files: list[Path]) -> list[Seed]:
    return [Seed(file, file) for file in files]


def _training_state() -> dict[str, Any]:
    import torch

    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(2, 4)).sum().backward()
    optimizer.step()
    half = torch.zeros(6, 4, dtype=torch.bfloat16)
    return {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "loss": 0.5, "tied": [half, half],
        "view": half[::2, 1:], "flags": torch.ones(2, dtype=torch.bool), "parameter": torch.nn.Parameter(torch.ones(2)),
    }  # fmt: skip


def _safetensors(directory: Path) -> list[Seed]:
    import torch
    from safetensors.torch import save_file

    files = [directory / "model.safetensors", directory / "small.safetensors"]
    save_file({name: torch.zeros(3, 2).to(getattr(torch, name)) for name in ("float32", "bfloat16", "int64", "bool")},
              files[0], {"format": "pt"})  # fmt: skip
    save_file({"é": torch.zeros(())}, files[1])
    return _alone(files)


def _pytorch(directory: Path, *, zipped: bool = True) -> list[Seed]:
    import torch

    files = [directory / "checkpoint.pt", directory / "pytorch_model.bin"]
    torch.save(_training_state(), files[0], _use_new_zipfile_serialization=zipped)
    torch.save({"weight": torch.zeros(2, 2)}, files[1], _use_new_zipfile_serialization=zipped, pickle_protocol=4)
    return _alone(files)


def _legacy(directory: Path) -> list[Seed]:
    return _pytorch(directory, zipped=False)


def _torchscript(directory: Path) -> list[Seed]:
    import torch

    file = directory / "model.pt"
    torch.jit.save(torch.jit.script(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))), str(file))
    return _alone([file])


def _distributed(directory: Path) -> list[Seed]:
    import torch.distributed.checkpoint as dcp

    state = _training_state()
    dcp.save(
        {"model": state["model"], "half": state["tied"][0], "epoch": 3},
        checkpoint_id=directory / "step-1",
        no_dist=True,
    )
    return [Seed(file, directory / "step-1") for file in sorted((directory / "step-1").iterdir())]


def _gguf(directory: Path) -> list[Seed]:
    import gguf
    import numpy as np

    files = [directory / "model.gguf", directory / "model-00001-of-00002.gguf"]
    for path in files:
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_context_length(4096)
        writer.add_float32("pi", 3.14)
        writer.add_bool("yes", True)
        writer.add_token_list(["<s>", "</s>", "the"])
        writer.add_array("numbers", [1, 2, 3])
        if path == files[1]:
            writer.add_custom_alignment(64)
            writer.add_uint16("split.count", 2)
        writer.add_tensor("token_embd.weight", np.zeros((3, 8), np.float32))
        quantized = np.zeros((2, 34), np.uint8)
        writer.add_tensor("blk.0.ffn_up.weight", quantized, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return _alone(files)


def _onnx(directory: Path) -> list[Seed]:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.zeros((2, 2), np.float32), "weight")
    typed = helper.make_tensor("typed", TensorProto.INT64, [2], [1, 2])
    half = helper.make_tensor("half", TensorProto.FLOAT16, [2], [1.0, 2.0])
    text = helper.make_tensor("text", TensorProto.STRING, [1], [b"a"])
    constant = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.zeros(3, np.float32), "inner"))
    nodes = [constant, helper.make_node("MatMul", ["x", "weight"], ["y"])]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in "xy"]
    graph = helper.make_graph(nodes, "graph", value[:1], value[1:], [weight, typed, half, text])
    model = helper.make_model(graph, producer_name="seed")
    thin = helper.make_tensor("thin", TensorProto.FLOAT16, [2], [1.0, 2.0])
    sparse = helper.make_sparse_tensor(thin, helper.make_tensor("at", TensorProto.INT64, [2], [0, 8]), [9])
    inner = helper.make_graph([constant], "inner", [], [], [half], sparse_initializer=[sparse])
    nodes = [
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=helper.make_graph([], "else", [], [])),
        helper.make_node("Own", [], ["z"], domain="own", tensors=[typed, text], graphs=[inner], sparse_value=sparse),
    ]
    function = helper.make_function("own", "Own", [], ["c"], [constant], [])
    nested = helper.make_model(helper.make_graph(nodes, "outer", [], []), functions=[function])
    helper.set_model_props(nested, {"license": "MIT"})
    nested.training_info.add().algorithm.CopyFrom(inner)
    files = [directory / "model.onnx", directory / "external.onnx", directory / "nested.onnx"]
    onnx.save(model, files[0])
    onnx.save(nested, files[2])
    onnx.save(model, files[1], save_as_external_data=True, location="weights.bin", size_threshold=0)
    return _alone(files)


def _npz(directory: Path) -> list[Seed]:
    import numpy as np

    arrays: dict[str, Any] = {
        "a": np.zeros((3, 2), np.float32), "b": np.asfortranarray(np.ones((2, 3))), "c": np.array(1, np.int64),
        "d": np.array([True, False]),
    }  # fmt: skip
    files = [directory / "stored.npz", directory / "packed.npz"]
    np.savez(files[0], **arrays)
    np.savez_compressed(files[1], **arrays)
    arrays = {
        "text": np.array(["a", "bc"], ">U2"), "bytes": np.array([b"a"]), "date": np.array(["2026-11-22"], "M8[D]"),
        "records": np.zeros(2, [("n", "<i2"), ("inner", [("x", ">f4", (2,))])]), "objects": np.array([None, 1], object),
    }  # fmt: skip
    files.append(directory / "others.npz")
    np.savez(files[-1], **arrays)
    return _alone(files)


def _npy(directory: Path) -> list[Seed]:
    import numpy as np

    arrays = [np.zeros((3, 2), np.float32), np.asfortranarray(np.ones((2, 3), ">i8")), np.zeros(2, np.complex64)]
    arrays += [np.zeros(2, [("n", "<i2"), ("inner", [("x", ">f4", (2,))])]), np.array([None, 1], object)]
    files = [directory / f"{n}.npy" for n in range(len(arrays) + 1)]
    for path, array in zip(files, arrays, strict=False):
        np.save(path, array)
    with files[-1].open("wb") as file:
        np.lib.format.write_array(file, arrays[0], version=(3, 0))
    return _alone(files)


def _index(directory: Path) -> list[Seed]:
    import torch
    from safetensors.torch import save_file

    names = [f"model-{n:05d}-of-00002.safetensors" for n in (1, 2)]
    for name in names:
        save_file({f"{name[6:11]}.weight": torch.zeros(2, 2)}, directory / name)
    index = directory / "model.safetensors.index.json"
    weight_map = {f"{name[6:11]}.weight": name for name in names}
    index.write_text(json.dumps({"metadata": {"total_size": 32}, "weight_map": weight_map}, indent=2))
    return [Seed(index, index), Seed(directory / names[0], index)]


SEEDS: dict[str, Callable[[Path], list[Seed]]] = {
    "safetensors": _safetensors, "pytorch": _pytorch, "legacy": _legacy, "torchscript": _torchscript,
    "distributed": _distributed, "gguf": _gguf, "onnx": _onnx, "npz": _npz, "npy": _npy, "index": _index,
}  # fmt: skip
"""What writes the seeds of each format into a directory."""


def main(format: str, seconds: str, save: str | None = None) -> int:
    """Fuzz one format, print the report and save the inputs that crash."""
    with tempfile.TemporaryDirectory() as directory:
        report = fuzz(SEEDS[format](Path(directory)), float(seconds), seed=int(time.time()))
    print(f"{format}: {report}")
    for n, (what, data) in enumerate(report.crashes):
        print(f"crash {n}: {what}")
        if save:
            Path(save).mkdir(parents=True, exist_ok=True)
            Path(save, f"{format}-{n}").write_bytes(data)
    return bool(report.crashes)


if __name__ == "__main__":
    if sys.argv[1].startswith("["):
        print(json.dumps(loop(*json.loads(sys.argv[1]))))
    else:
        sys.exit(main(*sys.argv[1:]))
