"""How long does it take to count parameters from a config, and how much memory?

Counts the largest configs of `models/`, and the default of many model types that no family describes, with `weigh
params` and by building the model with transformers on the meta device; with `--accelerate` with accelerate's empty
weights too, kept on the meta device from the start: by default, as its `estimate-memory` uses them, each tensor is
allocated first, which a machine of 24 GiB cannot for DeepSeek-V3. Each runs in a process of its own, and all must agree
to the integer.
Prints the CPU time, the wall time and the peak memory of each, and the ratios. Goals: for every type at least 50 times
less CPU time, at a tenth of the memory; `weigh params` within 100 ms, and `import weigh` within 30 ms.

    python bench/count_parameters.py [--accelerate] [--runs N] [TYPE…]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

MODELS = ("llama-3.1-405b", "deepseek-v3", "mixtral-8x7b", "gpt2")
TYPES = (
    "xlm-roberta", "modernbert", "qwen3_5", "qwen3_vl", "gemma3", "gemma4", "llama4", "mistral3", "qwen3_next",
    "glm4_moe", "deepseek_v32", "granitemoehybrid", "olmo3", "wav2vec2", "dinov2", "siglip", "llava", "blip-2",
    "mamba2", "sam2", "detr", "qwen2_5_omni",
)  # fmt: skip

IMPORT = "import weigh"
WEIGH = "from weigh.cli import main; main(['params', {!r}, '--json'])"
META = """
import json, pathlib, torch, transformers
fields = json.loads(pathlib.Path({!r}).read_text())
with torch.device('meta'):
    model = getattr(transformers, fields['architectures'][0])(transformers.AutoConfig.for_model(**fields))
print(json.dumps({{"parameters": sum(p.numel() for p in model.parameters())}}))
"""
ACCELERATE = """
import json, pathlib, transformers
from accelerate import init_empty_weights
fields = json.loads(pathlib.Path({!r}).read_text())
with init_empty_weights(include_buffers=True):
    model = getattr(transformers, fields['architectures'][0])(transformers.AutoConfig.for_model(**fields))
model.tie_weights()
print(json.dumps({{"parameters": sum(p.numel() for p in model.parameters())}}))
"""


class Measured(NamedTuple):
    """Medians of some runs of a program, its largest peak of memory in bytes, and what it prints."""

    cpu: float
    wall: float
    peak: int
    said: str


def measure(program: str, runs: int) -> Measured:
    """Run a program in fresh processes, one after the other."""
    cpu, wall, peak, said = [], [], 0, ""
    for _ in range(runs):
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert process.stdout
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall.append(time.perf_counter() - start)
        cpu.append(usage.ru_utime + usage.ru_stime)
        peak = max(peak, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    return Measured(statistics.median(cpu), statistics.median(wall), peak, said)


def row(name: str, count: str, by: str, found: Measured, ours: Measured) -> str:
    """A row of the table, with the ratios to what `weigh` takes."""
    cells = [
        name, count, by, f"{found.cpu * 1e3:.0f} ms", f"{found.cpu / ours.cpu:.0f}", f"{found.wall * 1e3:.0f} ms",
        f"{found.peak / 1e6:.0f} MB", f"{found.peak / ours.peak:.0f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def compare(name: str, path: str, peers: dict[str, str], runs: int) -> None:
    """Count a config in all ways, which must agree, and print a row for each."""
    ours = measure(WEIGH.format(path), runs)
    if not ours.said:
        print(f"| {name} | | refused by weigh | | | | | |")
        return
    facts = json.loads(ours.said)
    if "architectures" not in (fields := json.loads(Path(path).read_text())):
        Path(path).write_text(json.dumps(fields | {"architectures": [facts["architecture"]]}))
    print(row(name, f"{facts['parameters']:,}", facts["counted_by"], ours, ours), flush=True)
    for peer, program in peers.items():
        theirs = measure(program.format(path), runs)
        count = json.loads(theirs.said)["parameters"]
        assert facts["parameters"] == count, f"{name}: {facts['parameters']:,}, and {peer} {count:,}"
        print(row("", "", peer, theirs, ours), flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--accelerate", action="store_true", help="count with accelerate too")
    parser.add_argument("--runs", type=int, default=3, help="processes for each figure")
    parser.add_argument("types", nargs="*", help="model types, in place of the usual ones")
    given = parser.parse_args()
    peers = {"meta device": META, **({"accelerate": ACCELERATE} if given.accelerate else {})}
    empty, imported = measure("", 9), measure(IMPORT, 9)
    print(f"{os.cpu_count()} cores, medians of {given.runs} fresh processes")
    print(
        f"import weigh: {(imported.wall - empty.wall) * 1e3:.0f} ms, beside {empty.wall * 1e3:.0f} ms of Python's own\n"
    )
    print("| model | parameters | by | CPU time | × weigh | wall time | peak memory | × weigh |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in () if given.types else MODELS:
        compare(name, f"models/{name}/config.json", peers, given.runs)
    with tempfile.TemporaryDirectory() as folder:
        for kind in given.types or TYPES:
            path = Path(folder, f"{kind}.json")
            path.write_text(json.dumps({"model_type": kind}))
            compare(kind, str(path), peers, given.runs)


if __name__ == "__main__":
    main()
