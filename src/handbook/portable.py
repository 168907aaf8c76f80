"""Runs the pages as other machines would, and compares what they print with what is recorded.

A sum of floating-point numbers depends on the order in which a processor adds. Libraries choose their kernels by
instruction set when they are imported, so a setting is an environment, for processes of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handbook.outputs import EXPECTED

AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"

INSTRUCTIONS = {
    "default": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": f"AVX2 FMA3 {AVX512}",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": AVX512,
    },
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_CBWR": "AVX512",
        "OPENBLAS_CORETYPE": "SkylakeX",
    },
}
"""Instruction sets, the least first: of ATen's kernels, oneDNN's, MKL's, and of NumPy's BLAS and its own."""

ORDERS = {"default": ((1, 0), (2, 1)), "avx2": ((1, 1), (2, 0)), "avx512": ((1, 0), (2, 1))}
"""Threads and hash seeds for each, so that of two instruction sets or more any two values meet in a setting."""


@dataclass(frozen=True)
class Setting:
    """An instruction set, a number of threads, and a seed of the hashes by which sets are ordered."""

    instructions: str
    threads: int
    hash_seed: int

    def __str__(self) -> str:
        return f"{self.instructions}, {self.threads} thread{'s'[: self.threads - 1]}, hash seed {self.hash_seed}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes, with a cache of their own. Of kernels, what is set already stays."""
        name = f"{self.instructions}-{self.threads}-{self.hash_seed}"
        own = {
            "OMP_NUM_THREADS": str(self.threads),
            "OPENBLAS_NUM_THREADS": str(self.threads),
            "PYTHONHASHSEED": str(self.hash_seed),
            "HANDBOOK_CACHE": str(Path(".cache", "portable", name).resolve()),
        }
        return INSTRUCTIONS[self.instructions] | os.environ | own


@dataclass(frozen=True)
class Outcome:
    """What came of the pages under a setting.

    Attributes:
        pages: How many of them print something else.
        lines: How many of their recorded lines are not printed.
        output: The differences.
        failed: Nothing was compared: a program failed, or the setting did not take effect.
    """

    pages: int
    lines: int
    output: str
    failed: bool = False

    @property
    def good(self) -> bool:
        """Whether all pages print what is recorded."""
        return not (self.failed or self.pages)


def settings() -> Iterator[Setting]:
    """A handful, with every instruction set of this processor, in which any two values meet."""
    plain = {name: value for name, value in os.environ.items() if name not in INSTRUCTIONS["default"]}
    best = capability(plain)
    for name in INSTRUCTIONS:
        yield from (Setting(name, *order) for order in ORDERS[name])
        if name == best or best not in INSTRUCTIONS:  # other architectures have no more than the default here
            break


def capability(environment: dict[str, str]) -> str:
    """The instruction set of the kernels that PyTorch chooses in an environment."""
    program = "import torch; print(torch.backends.cpu.get_cpu_capability().lower())"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def check(setting: Setting) -> Outcome:
    """Run the pages under a setting and compare them with the recorded outputs."""
    found = capability(setting.environment)
    if found != setting.instructions:
        return Outcome(0, 0, f"PyTorch takes its {found} kernels, whatever ATEN_CPU_CAPABILITY says", failed=True)
    command = [sys.executable, "-m", "handbook", "outputs", "--check"]
    done = subprocess.run(command, env=setting.environment, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.splitlines()
    pages = sum(line.startswith(f"--- {EXPECTED}") for line in lines)
    lost = sum(line.startswith("-") for line in lines) - pages
    return Outcome(pages, lost, done.stdout, failed=bool(done.returncode) and not pages)
