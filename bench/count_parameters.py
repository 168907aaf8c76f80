"""How long does it take to count parameters from a config, and how much memory?

Counts the largest configs of `models/`, and the defaults of model types that no family need describe, with `weigh
params` and by building the model with transformers on the meta device; with `--accelerate` with accelerate's empty
weights too, kept on the meta device from the start: by default, as its `estimate-memory` uses them, each tensor is
allocated first, which a machine of 24 GiB cannot for DeepSeek-V3. Each runs in a process of its own, and all must agree
to the integer. The types are every 40th of those that are exact, and the five that take `weigh` longest, which one
process finds that counts all of them.
Prints the CPU time, the wall time and the peak memory of each, the ratios, and the least of these. Goals: for every
type at least 50 times less CPU time, at a tenth of the memory; `weigh params` within 100 ms, and `import weigh` within
30 ms.

    python bench/count_parameters.py [--accelerate] [--runs N] [--every N] [TYPE…]
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

from handbook.families import register, starts

MODELS = ("llama-3.1-405b", "deepseek-v3", "mixtral-8x7b", "gpt2")
SLOWEST = 5

SECONDS = """
import gc, sys, time, weigh
gc.disable()  # one type would pay for what all before it left
weigh.params(sys.argv[1]).as_dict()  # the first pays for the imports
for path in sys.argv[1:]:
    start = time.process_time()
    weigh.params(path).as_dict()
    print(time.process_time() - start)
"""
IMPORT = "import weigh"
WEIGH = "from weigh.cli import main; main(['params', {!r}, '--json'])"
CLASS = """
import importlib, json, pathlib, transformers
fields = json.loads(pathlib.Path({!r}).read_text())
name, config = fields['architectures'][0], transformers.AutoConfig.for_model(**fields)
kind = getattr(transformers, name, None) or getattr(
    importlib.import_module(type(config).__module__.replace('configuration_', 'modeling_')), name)
"""
META = f"""{CLASS}
import torch
with torch.device('meta'):
    model = kind(config)
print(json.dumps({{{{"parameters": sum(p.numel() for p in model.parameters())}}}}))
"""
ACCELERATE = f"""{CLASS}
from accelerate import init_empty_weights
with init_empty_weights(include_buffers=True):
    model = kind(config)
model.tie_weights()
print(json.dumps({{{{"parameters": sum(p.numel() for p in model.parameters())}}}}))
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


class Compared(NamedTuple):
    """A config that was counted in all ways: what `weigh` took, and what building it took on the meta device."""

    name: str
    ours: Measured
    meta: Measured


def compare(name: str, path: str, peers: dict[str, str], runs: int) -> Compared:
    """Count a config in all ways, which must agree, and print a row for each."""
    ours = measure(WEIGH.format(path), runs)
    facts = json.loads(ours.said)
    if "architectures" not in (fields := json.loads(Path(path).read_text())):
        Path(path).write_text(json.dumps(fields | {"architectures": [facts["architecture"]]}))
    print(row(name, f"{facts['parameters']:,}", facts["counted_by"], ours, ours), flush=True)
    found = {}
    for peer, program in peers.items():
        found[peer] = theirs = measure(program.format(path), 1)
        count = json.loads(theirs.said)["parameters"]
        assert facts["parameters"] == count, f"{name}: {facts['parameters']:,}, and {peer} {count:,}"
        print(row("", "", peer, theirs, ours), flush=True)
    return Compared(name, ours, found["meta device"])


def configs(folder: Path) -> dict[str, Path]:
    """The least config of each type that is exact, in a file."""
    _, entries = register.read(Path())
    found = {name: folder / f"{name}.json" for name, one in entries.items() if one.status.startswith(register.EXACT)}
    for name, path in found.items():
        path.write_text(json.dumps(starts.start(name)))
    return found


def sample(paths: dict[str, Path], every: int) -> list[str]:
    """Every so many-th type, and those that take longest."""
    program = [sys.executable, "-c", SECONDS, *map(str, paths.values())]
    seconds = map(float, subprocess.run(program, capture_output=True, text=True, check=True).stdout.split())
    slowest = [name for _, name in sorted(zip(seconds, paths, strict=True))[-SLOWEST:]]
    return [*[name for name in list(paths)[::every] if name not in slowest], *slowest]


def extremes(found: list[Compared]) -> None:
    """Print the least ratios, and the longest time."""
    cpu = min(found, key=lambda one: one.meta.cpu / one.ours.cpu)
    memory = min(found, key=lambda one: one.meta.peak / one.ours.peak)
    longest = max(found, key=lambda one: one.ours.cpu)
    print(
        f"\nOf {len(found)} configs, at least {cpu.meta.cpu / cpu.ours.cpu:.0f} times less CPU time ({cpu.name}), and ",
        end="",
    )
    print(f"{memory.meta.peak / memory.ours.peak:.0f} times less memory ({memory.name}); ", end="")
    print(f"weigh takes at most {longest.ours.cpu * 1e3:.0f} ms of CPU time ({longest.name}).")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--accelerate", action="store_true", help="count with accelerate too")
    parser.add_argument("--runs", type=int, default=5, help="processes for each figure of weigh; the others take one")
    parser.add_argument("--every", type=int, default=40, help="count every so many-th type")
    parser.add_argument("types", nargs="*", help="model types, in place of the usual ones")
    given = parser.parse_args()
    peers = {"meta device": META, **({"accelerate": ACCELERATE} if given.accelerate else {})}
    empty, imported = measure("", 9), measure(IMPORT, 9)
    print(f"{os.cpu_count()} cores, medians of {given.runs} fresh processes of weigh, and one of each other")
    print(
        f"import weigh: {(imported.wall - empty.wall) * 1e3:.0f} ms, beside {empty.wall * 1e3:.0f} ms of Python's own\n"
    )
    print("| model | parameters | by | CPU time | × weigh | wall time | peak memory | × weigh |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        paths = configs(Path(folder))
        asked = {name: f"models/{name}/config.json" for name in (() if given.types else MODELS)}
        asked |= {name: str(paths[name]) for name in given.types or sample(paths, given.every)}
        extremes([compare(name, path, peers, given.runs) for name, path in asked.items()])


if __name__ == "__main__":
    main()
