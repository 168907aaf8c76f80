"""The machine that runs the pages, described without naming it, and what is checked out there."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """Processor, cores, memory, operating system."""
    parts = [_processor(), f"{os.cpu_count()} cores"]
    if memory := memory_bytes():
        parts.append(f"{memory / 2**30:.0f} GiB of memory")
    return ", ".join([*parts, _system()])


def memory_bytes() -> int:
    """The bytes of memory of the machine, or 0 where the system does not say."""
    if "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # on Windows
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    elif sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def _system() -> str:
    if sys.platform == "linux":
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{platform.system()} {platform.release()}"


@cache
def commit(root: Path) -> str:
    """The commit that is checked out, or nothing outside of git."""
    try:
        done = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=root, capture_output=True, text=True)
    except OSError:  # there is no git
        return ""
    return done.stdout.strip()
