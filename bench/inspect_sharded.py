"""Does `weigh inspect` cost as much as the header, or as the file?

Writes one model sharded three ways: 1 GB, 10 GB and 141 GB (Llama 3 70B in bfloat16), as sparse files with valid
headers, and weighs each with the command in a process of its own. Prints wall time and peak memory, also as ratios to a
Python that does nothing. Goal: under a second and under 100 MB for more than 100 GB.

    python bench/inspect_sharded.py
"""

import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import weigh

RUNS = 5


def write_shards(directory: Path, tensors: list[tuple[str, int]], shards: int) -> int:
    """Write one-dimensional bfloat16 tensors, given by name and size, over sparse shards. Returns their bytes."""
    weight_map, total = {}, 0
    for number in range(shards):
        name = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        header, position = {}, 0
        for tensor, numel in tensors[number::shards]:
            header[tensor] = {"dtype": "BF16", "shape": [numel], "data_offsets": [position, position + 2 * numel]}
            position += 2 * numel
            weight_map[tensor] = name
        raw = json.dumps(header).encode()
        with (directory / name).open("wb") as file:
            file.write(struct.pack("<Q", len(raw)) + raw)
            file.truncate(8 + len(raw) + position)
        total += 8 + len(raw) + position
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return total


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


def main() -> None:
    llama = weigh.params("models/llama-3-70b")
    bare_seconds, bare_peak, _ = measure([sys.executable, "-c", "pass"])
    print(
        f"{'on disk':>12} {'shards':>7} {'tensors':>8} {'seconds':>8} {'x bare':>9} {'peak memory':>12} {'x bare':>9}"
    )
    print(f"{'-':>12} {'-':>7} {'-':>8} {bare_seconds:8.3f} {1:9.2f} {weigh.format_bytes(bare_peak):>12} {1:9.2f}")
    for scale in (0.5 / llama.parameters * 1e9, 5 / llama.parameters * 1e9, 1):
        tensors = [(tensor.name, round(tensor.numel * scale)) for tensor in llama.distinct]
        with tempfile.TemporaryDirectory() as directory:
            total = write_shards(Path(directory), tensors, shards=30)
            command = [sys.executable, "-c", "from weigh.cli import main; main()", "inspect", directory, "--json"]
            seconds, peak, output = measure(command)
        facts = json.loads(output)
        assert facts["bytes_on_disk"] == total and facts["tensors"] == len(tensors)
        print(
            f"{weigh.format_bytes(total):>12} {30:>7} {len(tensors):>8} {seconds:8.3f} {seconds / bare_seconds:9.2f} "
            f"{weigh.format_bytes(peak):>12} {peak / bare_peak:9.2f}"
        )


main()
