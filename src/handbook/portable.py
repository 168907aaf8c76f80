"""The settings under which a page must print what is recorded: what another machine would do, done on this one.

Sums of floating-point numbers come out differently where a processor adds them in another order, and each of the
libraries chooses its kernels by instruction set when it is imported. So each setting is a set of environment variables,
for processes of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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
"""Threads and hash seeds for each, so that any two values meet in a setting."""


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
        """The environment of a process under it, with a cache that no other has. What is set already stays."""
        threads = str(self.threads)
        name = f"{self.instructions}-{threads}-{self.hash_seed}"
        chosen = {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONHASHSEED": str(self.hash_seed),
            "HANDBOOK_CACHE": str(Path(".cache", "portable", name).absolute()),
        }
        return INSTRUCTIONS[self.instructions] | os.environ | chosen


def settings() -> list[Setting]:
    """A handful that has every instruction set of this processor, and any two values of what varies together."""
    there = list(INSTRUCTIONS)
    best = capability({name: value for name, value in os.environ.items() if name != "ATEN_CPU_CAPABILITY"})
    if best in there:  # on other architectures there is only one
        there = there[: there.index(best) + 1]
    else:
        there = there[:1]
    return [Setting(name, *order) for name in there for order in ORDERS[name]]


def capability(environment: dict[str, str]) -> str:
    """The instruction set of the kernels that PyTorch chooses in an environment."""
    program = "import torch; print(torch.backends.cpu.get_cpu_capability().lower())"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
