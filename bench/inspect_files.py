"""Does `weigh inspect` cost as much as the header, or as the file?

Writes the tensors of Llama 3 70B, shrunk and stretched to 1 GB, 30 GB and 1 TB, in four formats, as sparse files with
valid headers: the bytes of the tensors are holes that take no disk. Each is weighed by the command in a process of its
own, beside the reader that the format's own library has for headers, and at 1 GB beside the call that loads all of it.
Goal: time and peak memory do not grow from 1 GB to 1 TB.

    python bench/inspect_files.py
"""

import heapq
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import weigh

RUNS = 3
SHARDS = 100
Tensors = list[tuple[str, int]]


def shards(tensors: Tensors) -> list[Tensors]:
    """The tensors dealt out to the files, the largest first, each to the smallest file so far."""
    files: list[tuple[int, int, Tensors]] = [(0, number, []) for number in range(SHARDS)]
    for name, numel in sorted(tensors, key=lambda tensor: -tensor[1]):
        size, number, held = heapq.heappop(files)
        heapq.heappush(files, (size + numel, number, [*held, (name, numel)]))
    return [held for *_, held in sorted(files, key=lambda file: file[1])]


def write_index(directory: Path, stem: str, suffix: str, index: str, write: Callable[[Path, Tensors], None],
                tensors: Tensors) -> None:  # fmt: skip
    """Write one file for each shard, and the index that names them."""
    weight_map = {}
    for number, part in enumerate(shards(tensors), 1):
        name = f"{stem}-{number:05d}-of-{SHARDS:05d}{suffix}"
        write(directory / name, part)
        weight_map |= {tensor: name for tensor, _ in part}
    (directory / index).write_text(json.dumps({"weight_map": weight_map}))


def write_safetensors(directory: Path, tensors: Tensors) -> None:
    """Shards whose headers are written by hand, since the library wants the numbers."""

    def write(path: Path, part: Tensors) -> None:
        header, end = {}, 0
        for name, numel in part:
            header[name] = {"dtype": "BF16", "shape": [numel], "data_offsets": [end, end + 2 * numel]}
            end += 2 * numel
        raw = json.dumps(header).encode()
        with path.open("wb") as file:
            file.write(len(raw).to_bytes(8, "little") + raw)
            file.truncate(8 + len(raw) + end)

    write_index(directory, "model", ".safetensors", "model.safetensors.index.json", write, tensors)


def write_pytorch(directory: Path, tensors: Tensors) -> None:
    """Shards by torch.save, which leaves the bytes of storages out when asked to."""
    import torch

    hole = directory.parent / "hole"

    def write(path: Path, part: Tensors) -> None:
        hole.touch()
        os.truncate(hole, 2 * max(numel for _, numel in part))
        with torch.serialization.skip_data():
            torch.save(
                {
                    name: torch.from_file(str(hole), shared=True, size=numel, dtype=torch.bfloat16)
                    for name, numel in part
                },
                path,
            )

    write_index(directory, "pytorch_model", ".bin", "pytorch_model.bin.index.json", write, tensors)


def write_gguf(directory: Path, tensors: Tensors) -> None:
    """A split model, its headers by the library's writer."""
    import gguf

    for number, part in enumerate(shards(tensors)):
        path = directory / f"model-{number + 1:05d}-of-{SHARDS:05d}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", SHARDS)
        writer.add_int32("split.tensors.count", len(tensors))
        size = 0
        for name, numel in part:
            writer.add_tensor_info(name, [numel], None, 2 * numel, gguf.GGMLQuantizationType.BF16)  # type: ignore[arg-type]
            size += -(-2 * numel // 32) * 32
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        begin = -(-path.stat().st_size // 32) * 32
        os.truncate(path, begin + size)


def write_onnx(directory: Path, tensors: Tensors) -> None:
    """One graph, and its tensors in one file beside it."""
    import onnx

    end, initializers = 0, []
    for name, numel in tensors:
        tensor = onnx.TensorProto(name=name, data_type=onnx.TensorProto.BFLOAT16, dims=[numel])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", "model.onnx.data"), ("offset", end), ("length", 2 * numel)):
            tensor.external_data.add(key=key, value=str(value))
        initializers.append(tensor)
        end += 2 * numel
    graph = onnx.helper.make_graph([], "model", [], [], initializers)
    onnx.save(onnx.helper.make_model(graph), directory / "model.onnx")
    (directory / "model.onnx.data").touch()
    os.truncate(directory / "model.onnx.data", end)


EACH = "from glob import glob; files = sorted(glob(sys.argv[1] + '/*{}')); import {}; "
FORMATS: dict[str, tuple[Callable[[Path, Tensors], None], str, str]] = {
    "safetensors": (
        write_safetensors,
        EACH.format(".safetensors", "safetensors")
        + "n = sum(len([(k, f.get_slice(k).get_shape()) for k in f.keys()]) for f in "
        "(safetensors.safe_open(p, 'np') for p in files)); print(n)",
        EACH.format(".safetensors", "safetensors.torch")
        + "print(sum(len(safetensors.torch.load_file(p)) for p in files))",
    ),
    "pytorch": (
        write_pytorch,
        EACH.format(".bin", "torch") + "print(sum(len(torch.load(p, mmap=True)) for p in files))",
        EACH.format(".bin", "torch") + "print(sum(len(torch.load(p)) for p in files))",
    ),
    "gguf": (
        write_gguf,
        EACH.format(".gguf", "gguf") + "print(sum(len(gguf.GGUFReader(p).tensors) for p in files))",
        EACH.format(".gguf", "gguf")
        + "print(sum(t.data.copy().size > 0 for p in files for t in gguf.GGUFReader(p).tensors))",
    ),
    "onnx": (
        write_onnx,
        EACH.format(".onnx", "onnx") + "print(len(onnx.load(files[0], load_external_data=False).graph.initializer))",
        EACH.format(".onnx", "onnx") + "print(len(onnx.load(files[0]).graph.initializer))",
    ),
}
"""For each format: how it is written, how its library reads its headers, and how it loads all of it."""


def measure(command: list[str]) -> tuple[float, int, str]:
    """Wall seconds (median) and peak memory in bytes (largest) of a fresh process, and what it prints."""
    seconds, peaks, output = [], [], ""
    for _ in range(RUNS):
        read, write = os.pipe()
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=write)
        os.close(write)
        with open(read) as pipe:
            output = pipe.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds.append(time.perf_counter() - start)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} exited with {process.returncode}")
        peaks.append(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    return statistics.median(seconds), max(peaks), output


def write(form: str, gigabytes: int, directory: Path) -> None:
    """Write the tensors in a format, so many gigabytes of them."""
    llama = weigh.params("models/llama-3-70b")
    scale = gigabytes * 5e8 / llama.parameters
    FORMATS[form][0](directory, [(tensor.name, max(1, round(tensor.numel * scale))) for tensor in llama.distinct])


def main() -> None:
    count = weigh.params("models/llama-3-70b").tensors
    bare = measure([sys.executable, "-c", "pass"])
    print(
        f"{'format':<12} {'reader':<22} {'on disk':>9} {'seconds':>8} {'x bare':>8} {'peak memory':>12} {'x bare':>8}"
    )

    def row(form: str, reader: str, size: str, seconds: float, peak: int) -> None:
        print(
            f"{form:<12} {reader:<22} {size:>9} {seconds:8.3f} {seconds / bare[0]:8.2f} "
            f"{weigh.format_bytes(peak):>12} {peak / bare[1]:8.2f}"
        )

    row("-", "a Python that does nothing", "-", *bare[:2])
    for form, (_, headers, load) in FORMATS.items():
        for gigabytes in (1, 30, 1000):
            with tempfile.TemporaryDirectory() as scratch:
                directory = Path(scratch) / "model"
                directory.mkdir()
                # In a process of its own: what this one imports would count in the memory of those that it starts.
                subprocess.run([sys.executable, __file__, form, str(gigabytes), str(directory)], check=True)
                command = "from weigh.cli import main; main()"
                readers = {"weigh inspect": [command, "inspect", str(directory), "--json"],
                           "its library, headers": [f"import sys; {headers}", str(directory)]}  # fmt: skip
                if gigabytes == 1:
                    readers["its library, all"] = [f"import sys; {load}", str(directory)]
                for reader, arguments in readers.items():
                    seconds, peak, output = measure([sys.executable, "-c", *arguments])
                    found = json.loads(output)
                    assert (found["tensors"] if isinstance(found, dict) else found) == count, output[:200]
                    row(form, reader, f"{gigabytes:,} GB", seconds, peak)


if len(sys.argv) > 1:
    write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
else:
    main()
