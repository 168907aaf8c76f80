"""The foot of a page: what its figures assume, what made them, and how to make them again."""

from __future__ import annotations

import ast
import os
import platform
import subprocess
import sys
from functools import cache
from html import escape
from importlib.metadata import packages_distributions, version
from pathlib import Path

_distributions = cache(packages_distributions)


def foot(program: str, assumes: str) -> str:
    """Return the foot of a page, to be printed in its last block.

    Args:
        program: The page's program, as a path from the root of the repository.
        assumes: What the figures rest on: units, dtypes, data, seeds. Markdown of one line.
    """
    made_with = [f"Python {platform.python_version()}", *versions(Path(program).read_text("utf-8"))]
    entries = {
        "Assumes": assumes,
        "Versions": escape(", ".join(made_with)),
        "Machine": escape(machine()),
        "Again": f"`python {program}`, from a clone of the repository",
    }
    rows = "\n".join(f'<dt>{term}</dt>\n<dd markdown="span">{text}</dd>' for term, text in entries.items())
    return (
        '<aside class="assay" aria-label="How these figures were made" markdown="1">\n'
        f'<dl markdown="1">\n{rows}\n</dl>\n</aside>'
    )


def versions(source: str) -> list[str]:
    """Return name and version of each installed distribution that a program imports, in order of name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    owners = _distributions()
    distributions = {owner for name in names for owner in owners.get(name.partition(".")[0], ())}
    return [f"{name} {version(name)}" for name in sorted(distributions, key=str.lower)]


def machine() -> str:
    """Describe the machine without naming it: processor, cores, memory, operating system."""
    parts = [_processor(), f"{os.cpu_count()} cores"]
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):  # not on Windows
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB of memory")
    return ", ".join([*parts, _system()])


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
