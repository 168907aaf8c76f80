"""The recorded outputs: what the programs of the pages printed, as text in the repository.

A number that changes is then a line that changes in a pull request, unless it is as good as the recorded one. What
depends on the machine is not recorded, and of a figure only its text alternative is: its coordinates say nothing to a
reader of differences. A page that says `recorded: false` is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff
from html import unescape
from itertools import pairwise
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import get_files
from mkdocs.utils.meta import get_data

from handbook import labs
from handbook.finding import find
from handbook.numbers import settle
from handbook.pages import INCLUDE, finder
from handbook.running import Task
from handbook.runs import Run
from handbook.site import site

EXPECTED = Path("tests", "expected")
"""Where they are, from the root of the repository."""

VARIES = "(depends on the machine)"

HEADER = re.compile(r"\[(?:\d+|formulas)\](?:.* ±(?P<tolerance>[\d.]+) %)?")
"""The line above what a block printed, with the tolerance of its numbers."""

FIGURE = re.compile(r'<figure class="plot">.*?aria-label="(?P<alt>[^"]*)".*?</figure>', re.DOTALL)


def start_pages(config: MkDocsConfig) -> dict[str, tuple[Run, Task]]:
    """Start to run the notebooks and the pages that say `exec`: what runs of each, by its path below `docs/`.

    Raises:
        PageError: A page is malformed.
    """
    site.root = Path(config.config_file_path).parent
    site.engine.begin()
    md = finder(config.mdx_configs)
    started = {}
    for file in labs.pages(get_files(config)):
        run = find(md, file)
        if run.fences:
            started[file.src_uri] = run, site.engine.submit(run.job, file.src_uri)
    return started


def run_pages(config: MkDocsConfig) -> dict[str, Run]:
    """Run the pages that say `exec`, or replay them, and return each by its path below `docs/`.

    Raises:
        PageError: A page is malformed, or one of its programs or formulas failed.
    """
    started = start_pages(config)
    for run, task in started.values():
        run.entry = task.result()
        outcome = run.entry.outcome
        if outcome.failed >= 0:
            raise run.fail(outcome.error, run.line(outcome.failed))
        for formula, error in outcome.wrong_formulas.items():
            raise run.fail(f"the formula `={formula}` has no value: {error}", run.above)
    return {page: run for page, (run, _) in started.items()}


def records(root: Path, runs: dict[str, Run]) -> dict[str, str]:
    """The record of each page that does not say `recorded: false`, by its path below `docs/`.

    Args:
        root: The root of the repository.
        runs: The pages that have run.
    """
    return {page: record(run) for page, run in runs.items() if is_recorded(root / "docs" / page)}


def is_recorded(page: Path) -> bool:
    """Whether the front matter of a page lets its outputs be recorded."""
    return bool(get_data(page.read_text("utf-8"))[1].get("recorded", True))


def record(run: Run) -> str:
    """What came of a page, as text: the output of each block, then the value of each formula."""
    assert run.entry
    outcome = run.entry.outcome
    parts = []
    for number, (fence, section, output) in enumerate(
        zip(run.fences, sections(run), outcome.outputs, strict=True), start=1
    ):
        tolerance = f"±{fence.tolerance:g} %" if fence.tolerance else ""
        lines = [" ".join(filter(None, (f"[{number}]", section, tolerance)))]
        if fence.shows_output:
            lines += [VARIES] if fence.varies else FIGURE.sub(_described, output).rstrip().splitlines()
        parts.append("\n".join(line.rstrip() for line in lines))
    formulas = [
        f"`={mark}{' '.join(formula.split())}` {VARIES if mark else outcome.formulas[formula]}"
        for mark, formula in run.formulas
    ]
    if formulas:
        parts.append("\n".join(["[formulas]", *formulas]))
    return "\n\n".join(parts) + "\n"


def sections(run: Run) -> Iterator[str]:
    """The section of the program that each executed fence of a page includes first, or nothing."""
    for line in run.places:
        found = INCLUDE.search(run.lines[line - run.above])  # the line after the opening one
        yield f"{found['path']}:{found['section']}" if found else ""


def _described(figure: re.Match[str]) -> str:
    return f"(a figure) {unescape(figure['alt'])}"


def differences(root: Path, records: dict[str, str]) -> dict[str, str]:
    """Compare with what is recorded, and return a unified diff for each page that differs.

    Args:
        root: The root of the repository.
        records: The record of each page, by its path below `docs/`.
    """
    paths = {path_of(page): text for page, text in records.items()}
    for path in (root / EXPECTED).rglob("*.txt"):
        paths.setdefault(path.relative_to(root), "")  # of a page that is gone
    found = {}
    for path, text in paths.items():
        recorded = _read(root / path)
        now = settled(recorded, text)
        if diff := list(unified_diff(recorded.splitlines(), now.splitlines(), str(path), "this run", lineterm="")):
            found[str(path)] = "\n".join(diff)
    return found


def settled(recorded: str, text: str) -> str:
    """A record of this run, with the recorded lines where they say the same: see `handbook.numbers`."""
    now = text.splitlines()
    tolerances = []
    tolerance = 0.0
    for above, line in pairwise(["", *now]):
        header = None if above else HEADER.match(line)
        tolerances.append(0.0 if header else tolerance)
        if header:
            tolerance = float(header["tolerance"] or 0)
    return "".join(f"{line}\n" for line in settle(recorded.splitlines(), now, tolerances))


def renew(root: Path, records: dict[str, str]) -> None:
    """Write the records, with what agrees as it was, and remove those of pages that are gone."""
    paths = {root / path_of(page): text for page, text in records.items()}
    for path in (root / EXPECTED).rglob("*.txt"):
        if path not in paths:
            path.unlink()
    for path, text in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(settled(_read(path), text), "utf-8")


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def path_of(page: str) -> Path:
    """Where the outputs of a page are recorded, from the root of the repository."""
    return (EXPECTED / page).with_suffix(".txt")
