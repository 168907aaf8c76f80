"""What mkdocs-jupyter does with a notebook by itself, and why the site gives it a template and an outcome of its own.

    python bench/notebooks.py

It builds a site of one page and one notebook in a temporary directory, and prints a table in Markdown. What it claims,
it asserts: when a line no longer holds, a part of `handbook/labs.py` or of the plugin's options may go.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

CONFIG = """
site_name: notebooks
nav: [index.md, book.ipynb]
theme: {name: material, font: false}
plugins: [{mkdocs-jupyter: {include: ["*.ipynb"]}}]
validation: {anchors: warn, unrecognized_links: warn}
"""
PROSE = ["# Book\n", "\n", "[Gone](gone.md), [gone](index.md#gone), [here](index.md).\n", "\n", "## The `code` of it\n"]
CELL = {"id": "a", "cell_type": "markdown", "metadata": {}, "source": PROSE}
NOTEBOOK = {"cells": [CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
ROUNDS = 5


def build(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def seconds(program: str) -> float:
    """The median time of a Python program in a fresh process."""
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    rows = []
    with TemporaryDirectory() as directory:
        root = Path(directory)
        (root / "docs").mkdir()
        (root / "mkdocs.yml").write_text(CONFIG)
        (root / "docs/index.md").write_text("# Home\n")
        (root / "docs/book.ipynb").write_text(json.dumps(NOTEBOOK))

        done = build(root)
        page = (root / "site/book/index.html").read_text("utf-8")
        assert done.returncode == 0 and 'href="gone.md"' in page
        rows.append(("a link to a page that is not there, under --strict", "builds, and the link stays as it is"))
        assert 'href="index.md"' in page
        rows.append(("a link to a page that is there", "leads to `index.md`, which is no file of the site"))
        given = re.search(r'<h2 id="(.*?)"', page)
        assert given and "#the-of-it" in page and given[1] != "the-of-it"
        rows.append(
            ("a heading with code in it", f"the table of contents leads to `#the-of-it`, its id is `{given[1]}`")
        )
        hosts = re.findall(r"""(?:src=|import\()["'](https://[^/"']+)""", page)
        assert hosts
        rows.append(("what the page loads from other hosts", ", ".join(sorted(set(hosts))) or "nothing"))
        plain = len((root / "site/index.html").read_bytes())
        rows.append(("bytes of the page, beside one without a notebook", f"{len(page.encode()):,} and {plain:,}"))

        cached = next((root / ".cache/mkdocs-jupyter").glob("*.json"))
        cached.write_text(cached.read_text("utf-8")[:1000])
        done = build(root)
        assert done.returncode != 0 and "JSONDecodeError" in done.stderr
        rows.append(
            ("a build that was killed while it wrote the plugin's cache", "each later one ends in JSONDecodeError")
        )

    alone = seconds("import mkdocs.commands.build")
    imported = seconds("import mkdocs.commands.build, mkdocs_jupyter.plugin")
    deferred = seconds("import mkdocs.commands.build, handbook.deferred, mkdocs_jupyter.plugin")
    rows.append(("seconds that its import adds to each build, notebook or not", f"{imported - alone:.2f}"))
    rows.append(("and with `handbook/deferred.py`", f"{max(0, deferred - alone):.2f}"))
    assert deferred - alone < (imported - alone) / 4

    print(
        f"mkdocs-jupyter {version('mkdocs-jupyter')}, nbconvert {version('nbconvert')}, mkdocs {version('mkdocs')}.\n"
    )
    print("| mkdocs-jupyter by itself | |\n| --- | --- |")
    for what, found in rows:
        print(f"| {what} | {found} |")


if __name__ == "__main__":
    main()
