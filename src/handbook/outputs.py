"""The recorded outputs: what the programs of the pages printed, as text in the repository.

A number that changes is then a line that changes in a pull request. What depends on the machine is not recorded, and
of a figure only its text alternative is: its coordinates say nothing to a reader of differences.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import unified_diff
from html import unescape
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import get_files
from mkdocs.utils.meta import get_data

from handbook.pages import INCLUDE, Run, find, finder
from handbook.site import site

EXPECTED = Path("tests", "expected")
"""Where they are, from the root of the repository."""

VARIES = "(depends on the machine)"

FIGURE = re.compile(r'<figure class="plot">.*?aria-label="(?P<alt>[^"]*)".*?</figure>', re.DOTALL)


def run_pages(config: MkDocsConfig) -> dict[str, Run]:
    """Run the pages that say `exec`, or replay them, and return each by its path below `docs/`.

    Raises:
        PageError: A page is malformed, or one of its programs or formulas failed.
    """
    site.root = Path(config.config_file_path).parent
    site.engine.begin()
    md = finder(config.mdx_configs)
    jobs = {}
    for file in get_files(config).documentation_pages():
        body = get_data(file.content_string)[0]
        run = find(md, body, (file.src_uri, file.content_string.count("\n") - body.count("\n")))
        if run.fences:
            jobs[file.src_uri] = run, site.engine.submit(run.job, file.src_uri)
    for page, (run, entry) in jobs.items():
        run.entry = entry.result()
        outcome = run.entry.outcome
        site.page = page, run.above
        if outcome.failed >= 0:
            raise run.fail(outcome.error, run.line(outcome.failed))
        for formula, error in outcome.wrong_formulas.items():
            raise run.fail(f"the formula `={formula}` has no value: {error}", run.above)
    return {page: run for page, (run, _) in jobs.items()}


def record(run: Run) -> str:
    """What came of a page, as text: the output of each block, then the value of each formula."""
    assert run.entry
    outcome = run.entry.outcome
    parts = []
    for number, (fence, section, output) in enumerate(
        zip(run.fences, sections(run), outcome.outputs, strict=True), start=1
    ):
        lines = [f"[{number}] {section}".rstrip()]
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
        recorded = (root / path).read_text("utf-8") if (root / path).is_file() else ""
        if diff := list(unified_diff(recorded.splitlines(), text.splitlines(), str(path), "this run", lineterm="")):
            found[str(path)] = "\n".join(diff)
    return found


def renew(root: Path, records: dict[str, str]) -> None:
    """Write the records, and remove those of pages that are gone."""
    paths = {root / path_of(page): text for page, text in records.items()}
    for path in (root / EXPECTED).rglob("*.txt"):
        if path not in paths:
            path.unlink()
    for path, text in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def path_of(page: str) -> Path:
    """Where the outputs of a page are recorded, from the root of the repository."""
    return (EXPECTED / page).with_suffix(".txt")
