"""Notebooks: their cells run as the fences of a page do, and in Jupyter they give the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from bs4 import BeautifulSoup

from handbook import labs, pages
from handbook.runs import PageError, Run

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
LAB = '--8<-- "docs/labs/a.ipynb"'
TITLE = "# A lab\n\nIts first words."

Convert = Callable[..., BeautifulSoup]
Write = Callable[[str, str], Path]


def notebook(*cells: str | tuple[str, dict[str, Any]]) -> str:
    """A notebook of Markdown cells, given as text, and code cells, given as code with their `handbook` metadata."""
    made = []
    for cell in cells:
        if isinstance(cell, str):
            made.append({"cell_type": "markdown", "metadata": {}, "source": cell})
        else:
            code = {"cell_type": "code", "execution_count": 7, "outputs": [{"output_type": "stream", "text": "stale"}]}
            lines = cell[0].splitlines(keepends=True)
            made.append(code | {"metadata": {"handbook": cell[1], "tags": ["x"]}, "source": lines})
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def page(convert: Convert, write: Write) -> Callable[..., BeautifulSoup]:
    """Render a page that is a notebook of these cells."""

    def rendered(*cells: str | tuple[str, dict[str, Any]]) -> BeautifulSoup:
        write("docs/labs/a.ipynb", notebook(*cells))
        return convert(LAB, "labs/a.md", 3)

    return rendered


def test_cells_become_prose_code_and_output_in_their_order(page: Convert) -> None:
    shown = page(TITLE, ("x = 6\nprint('six')\nx * 7", {}), "It is `=x`, and *not* 7.")
    assert shown.h1.get_text() == "A lab"
    assert [code.get_text() for code in shown.select(".highlight code")] == [
        "x = 6\nprint('six')\nx * 7\n",
        "six\n42\n",
    ]
    assert shown.select("p")[-1].get_text() == "It is 6, and not 7."
    assert "stale" not in shown.get_text()


def test_the_notebook_can_be_downloaded_from_its_page(page: Convert) -> None:
    link = page(TITLE, ("1", {})).a
    assert link["href"] == "a.ipynb" and link.has_attr("download")


def test_the_metadata_of_a_cell_has_the_options_of_its_fence(page: Convert) -> None:
    alt = 'A line that says "up"'
    figure = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nfig;"
    shown = page(TITLE, (figure, {"output": "figure", "alt": alt}), ("print('unseen')", {"setup": True}))
    assert shown.svg["aria-label"] == alt
    assert "unseen" not in shown.get_text()


def test_a_cell_can_be_folded_with_its_output(page: Convert) -> None:
    shown = page(TITLE, ('print("""a\n\n    b""")', {"fold": "Answer"}), "After.").details
    assert shown.summary.get_text() == "Answer"
    assert shown.select(".output code")[0].get_text() == "a\n\n    b\n"
    assert "After." not in shown.get_text()


WRONG = {
    "exception": ([TITLE, ("x = 1", {}), "Prose.", ("1 / 0", {})], "cell 4: block 2, which starts with '1 / 0'"),
    "magic": ([TITLE, ("%matplotlib inline", {})], "cell 2: .*SyntaxError"),
    "unknown option": ([TITLE, ("1", {"alts": "x"})], "cell 2: there is no option 'alts'"),
    "figure without alternative": ([TITLE, ("1", {"output": "figure"})], "cell 2: .*needs alt"),
    "formula": ([TITLE, ("x = 1", {}), "That is `=y`."], "cell 3: the formula `=y` has no value"),
    "open fence": ([TITLE, "```text\nopen", ("1 / 0", {})], "not closed"),
}


@pytest.mark.parametrize(("cells", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_stops_the_build_and_names_the_cell(page: Convert, cells: list[Any], message: str) -> None:
    with pytest.raises(PageError, match=f"(?s){message}") as raised:
        page(*cells)
    assert str(raised.value).startswith(("docs/labs/a.ipynb, cell", "labs/a.md:"))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cells": [1]}', '{"cells": [{"cell_type": "code"}]}'])
def test_a_file_that_is_no_notebook_is_named_with_the_line_of_the_page(
    convert: Convert, write: Write, text: str
) -> None:
    write("docs/labs/a.ipynb", text)
    with pytest.raises(PageError, match=r"labs/a.md:6: docs/labs/a.ipynb is not a notebook of format 4"):
        convert(f"Words.\n\n{LAB}", "labs/a.md", 3)


def test_a_notebook_that_is_not_there_is_missed(convert: Convert) -> None:
    with pytest.raises(PageError, match=r"labs/a.md:4: there is no file docs/labs/a.ipynb"):
        convert(LAB, "labs/a.md", 3)


def test_an_edit_of_its_prose_runs_nothing(page: Convert) -> None:
    page(TITLE, ("x = 1", {}), ("x", {}))
    assert pages.site.engine.counts.ran == 2
    page(TITLE + " More of them.", ("x = 1", {}), "A new cell.", ("x", {}))
    assert (pages.site.engine.counts.ran, pages.site.engine.counts.replayed) == (0, 2)
    page(TITLE, ("x = 2", {}), ("x", {}))
    assert pages.site.engine.counts.ran == 2


# The notebooks of the site


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"], start=1):
        if cell["cell_type"] == "code":
            kept = (cell["outputs"], cell["execution_count"])
            assert kept == ([], None), f"cell {number}: clear its outputs before you save"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_has_a_page_beside_it(path: Path) -> None:
    lines = path.with_suffix(".md").read_text("utf-8").splitlines()
    assert [line for line in lines if labs.NOTEBOOK.match(line)] == [f'--8<-- "{name(path)}"']


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_gives_the_same_in_jupyter(path: Path, runs: dict[str, Run]) -> None:
    run = runs[path.relative_to(ROOT / "docs").with_suffix(".md").as_posix()]
    executed = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(executed, resources={"metadata": {"path": str(path.parent)}}).execute()
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert run.entry
    for cell, fence, output in zip(cells, run.fences, run.entry.outcome.outputs, strict=True):
        if fence.output == "figure":
            assert ["image/png" in shown.data for shown in cell.outputs] == [True]
        elif not fence.varies:
            texts = [shown.get("text") or shown.data["text/plain"] for shown in cell.outputs]
            assert "".join("".join(texts).split()) == "".join(output.split())
