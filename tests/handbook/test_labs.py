"""Notebooks: their cells run as the fences of a page do, mkdocs-jupyter renders them, and Jupyter gives the same."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
from bs4 import BeautifulSoup
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from mkdocs_jupyter import plugin

from handbook import labs
from handbook.runs import PageError, Run
from handbook.site import site

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "docs").rglob("*.ipynb"))
TITLE = "# A lab\n\nIts first words."
FENCES = Path(__file__).with_name("fences.yml").read_text("utf-8")
SITE = f"""
site_name: notebooks
site_url: http://127.0.0.1:8000/
edit_uri_template: https://example.test/edit/{{path}}
nav: [index.md, labs/a.ipynb]
plugins:
  - search
  - mkdocs-jupyter:
      {{include: ["*.ipynb"], ignore: ["*.md"], include_source: true, ignore_h1_titles: true, cache: false}}
hooks: [{ROOT / "src/handbook/hooks.py"}]
markdown_extensions:
  - abbr
  - admonition
  - attr_list
  - md_in_html
  - tables
  - toc: {{permalink: true}}
  - pymdownx.details
  - pymdownx.highlight: {{pygments_lang_class: true}}
  - pymdownx.snippets: {{check_paths: true, auto_append: [snippets/glossary.md]}}
{FENCES}validation: {{anchors: warn, unrecognized_links: warn}}
"""

Cell = str | tuple[str, dict[str, Any]]
Built = Callable[..., BeautifulSoup]
Write = Callable[[str, str], Path]


def notebook(*cells: Cell, **metadata: object) -> str:
    """A notebook of Markdown cells, given as text, and code cells, given as code with their `handbook` metadata."""
    made: list[dict[str, Any]] = []
    for number, cell in enumerate(cells, start=1):
        base: dict[str, Any] = {"id": f"cell-{number}"}
        if isinstance(cell, str):
            made.append(base | {"cell_type": "markdown", "metadata": {}, "source": cell})
        else:
            stale = {"output_type": "stream", "name": "stdout", "text": "stale"}
            code = {"cell_type": "code", "execution_count": 7, "outputs": [stale]}
            lines = cell[0].splitlines(keepends=True)
            made.append(base | code | {"metadata": {"handbook": cell[1], "tags": ["x"]}, "source": lines})
    own = {"handbook": metadata} if metadata else {}
    return json.dumps({"cells": made, "metadata": own, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def built(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> Built:
    """Build a site strictly that has a notebook of these cells, and return the page of it, or another one."""
    monkeypatch.chdir(project)
    write("mkdocs.yml", SITE)
    write("docs/index.md", "# Home\n\n[The lab](labs/a.ipynb#a-lab)\n\n## Part\n")
    write("snippets/glossary.md", "*[GPU]: Graphics processor\n")

    def built(*cells: Cell, url: str = "labs/a", **metadata: object) -> BeautifulSoup:
        if cells:
            write("docs/labs/a.ipynb", notebook(*cells, **metadata))
        try:
            build(load_config("mkdocs.yml", strict=not site.show_errors))
        finally:
            logging.getLogger("mkdocs").handlers.clear()
        return BeautifulSoup((project / "site" / url / "index.html").read_text("utf-8"), "html.parser")

    return built


def test_cells_become_prose_code_and_output_in_their_order(built: Built) -> None:
    shown = built(TITLE, ("x = 6\nprint('six')\nx * 7", {}), "It is 42, and *not* 7.")
    assert shown.h1.get_text() == "A lab¶"
    assert [code.get_text() for code in shown.select(".highlight code")] == [
        "x = 6\nprint('six')\nx * 7\n",
        "six\n42\n",
    ]
    assert shown.em.parent.get_text() == "It is 42, and not 7."
    assert "stale" not in shown.get_text()


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def with_attachment(source: str, name: str) -> str:
    """A notebook whose first cell shows an image that was pasted into it."""
    book = json.loads(notebook(source, ("print(1)", {})))
    book["cells"][0]["attachments"] = {name: {"image/png": [PIXEL[:40] + "\n", PIXEL[40:]]}}
    return json.dumps(book)


def test_an_image_that_was_pasted_is_shown(built: Built, write: Write) -> None:
    write("docs/labs/a.ipynb", with_attachment(f"{TITLE}\n\n![A dot](attachment:a%20dot.png)", "a dot.png"))
    image = built().img
    assert (image["src"], image["alt"]) == (f"data:image/png;base64,{PIXEL}", "A dot")


def test_an_image_that_is_not_there_is_refused(built: Built, write: Write) -> None:
    write("docs/labs/a.ipynb", with_attachment(f"{TITLE}\n\n![A dot](attachment:another.png)", "a.png"))
    with pytest.raises((PageError, Abort), match=r"docs/labs/a\.ipynb, cell 1: shows the attachment another\.png"):
        built()


EVERY_WAY = [
    ("x = 1 < 2 > 0\nprint('<b>', '```', '--8<--', \"&amp;\")\nx", {}),
    ("print('a')", {"varies": True}),
    ("print('## Printed')", {"output": "markdown", "varies": True}),
    ("print('| a |\\n| - |\\n| *b* |')", {"output": "markdown"}),
    ("print('<p viewBox=\"1\">as it is</p>')", {"output": "html", "source": "hide"}),
    (
        "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nfig;",
        {"output": "figure", "alt": "It's <up>", "caption": "A < B", "source": "fold", "title": "Code"},
    ),
    ("def f():\n    return 1\n\n\nf()", {"hl_lines": "2"}),
    ("print('unseen')", {"setup": True}),
    ("print('unseen')", {"output": "hide"}),
    ("1 / 0", {"raises": "ZeroDivisionError"}),
]


def test_it_looks_like_any_page(built: Built, write: Write) -> None:
    """The same code with the same options, in a notebook and in the fences of a page."""
    fences = []
    for code, options in EVERY_WAY:
        words = " ".join(name if value is True else f'{name}="{value}"' for name, value in options.items())
        fences.append(f"````python exec {words}\n{code}\n````\n")
    write("docs/index.md", "\n".join(["# A lab", *fences]))
    shown = built("# A lab", *EVERY_WAY)
    assert shapes(shown) == shapes(built(url=""))
    assert len(shapes(shown)) == 18


def shapes(page: BeautifulSoup) -> list[str]:
    """What stands on a page beside its text: code, outputs, tables and plots."""
    found = page.select(".highlight, .varies, details > summary, figure, table, p[viewbox]")
    return [re.sub(r"\s*(</?div[^>]*>)\s*", r"\1", " ".join(str(tag).split())) for tag in found]


def test_a_cell_can_be_folded_with_its_output(built: Built) -> None:
    shown = built(TITLE, ('print("""a\n\n    b""")', {"fold": "Answer"}), "After.").details
    assert shown.summary.get_text() == "Answer" and shown["class"] == ["success"]
    assert [code.get_text() for code in shown.select(".highlight code")] == [
        'print("""a\n\n    b""")\n',
        "a\n\n    b\n",
    ]
    assert "After." not in shown.get_text()


def test_prose_is_that_of_any_page(built: Built) -> None:
    """Headings, links to pages, the glossary, blocks of Markdown, what looks like HTML: MkDocs renders all of it."""
    prose = "## With `code`\n\n[Home](../index.md#part), a GPU, `a<b>c`, $1 and $2.\n\n!!! note\n    So."
    shown = built(TITLE, ("1", {}), prose)
    assert shown.find("h2", id="with-code")
    assert shown.find("a", string="With code", href="#with-code"), "the table of contents"
    assert "../../#part" in [link["href"] for link in shown("a", string="Home")]
    assert shown.abbr["title"] == "Graphics processor"
    assert shown.find("code", string="a<b>c") and "$1 and $2" in shown.get_text()
    assert shown.select_one(".admonition.note p:last-child").get_text() == "So."
    assert built(url="").find("a", string="The lab")["href"] == "labs/a/#a-lab"


def test_its_page_has_what_pages_have(built: Built, project: Path) -> None:
    shown = built(TITLE, ("1", {}), "## End", assumes="nothing at all", description="Short")
    assert shown.title.get_text() == "A lab - notebooks"
    assert "nothing at all" in shown.find("aside", class_="assay").get_text()
    assert shown.find("a", href="https://example.test/edit/labs/a.ipynb")
    assert "## End" not in shown.get_text()
    found = json.loads((project / "site/search/search_index.json").read_text())["docs"]
    assert {"labs/a/", "labs/a/#end"} <= {entry["location"] for entry in found}
    assert not shown.find(role="main").select("script, style, link, img")


def test_the_notebook_can_be_downloaded_from_its_page_as_it_is_in_git(built: Built, project: Path) -> None:
    link = built(TITLE, ("1", {})).find("a", download=True)
    assert link["href"] == "a.ipynb"
    assert (project / "site/labs/a/a.ipynb").read_bytes() == (project / "docs/labs/a.ipynb").read_bytes()


WRONG = {
    "exception": ([TITLE, ("x = 1", {}), "Prose.", ("1 / 0", {})], "cell 4: (?s:.*)ZeroDivisionError"),
    "magic": ([TITLE, ("%matplotlib inline", {})], "cell 2: (?s:.*)SyntaxError"),
    "unknown option": ([TITLE, ("1", {"alts": "x"})], "cell 2: there is no option 'alts'"),
    "figure without alternative": ([TITLE, ("1", {"output": "figure"})], "cell 2: .*needs alt"),
    "nothing to show": ([TITLE, ("None", {"output": "html"})], "cell 2: shows nothing"),
    "formula": ([TITLE, ("x = 1", {}), "That is `=x`."], "cell 3: a notebook has no formulas"),
    **{
        f"fence of {language} that is to run": (
            [TITLE, f"```{language} {said}\n1\n```"],
            "cell 2: what is to run is a code cell",
        )
        for language, said in (("python", "exec"), ("py", 'exec="1"'), ("bash", "exec"), ("console", 'exec="on"'))
    },
    "open fence": ([TITLE, "```text\nopen", ("1 / 0", {})], "cell 2: a fence is not closed: ```text"),
}


@pytest.mark.parametrize(("cells", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_stops_the_build_and_names_the_cell(built: Built, cells: list[Cell], message: str) -> None:
    with pytest.raises(PageError, match=f"^docs/labs/a.ipynb, {message}"):
        built(*cells)


@pytest.mark.parametrize("link", ["../gone.md", "../index.md#gone", "../index", "#gone"])
def test_a_link_that_leads_nowhere_stops_a_strict_build(built: Built, link: str) -> None:
    with pytest.raises(Abort):
        built(TITLE, f"[There]({link})")


WORTHLESS = ["", "{}", "[]", '{"nbformat": 4, "cells": [1]}', '{"nbformat": 3}', '{"nbformat": 4, "cells": [{}]}']


@pytest.mark.parametrize("text", WORTHLESS)
def test_a_file_that_is_no_notebook_is_named(built: Built, write: Write, text: str) -> None:
    write("docs/labs/a.ipynb", text)
    with pytest.raises(PageError, match=r"^docs/labs/a.ipynb is not a notebook of format 4"):
        built()


def test_what_is_wrong_shows_in_the_page_while_serving(built: Built) -> None:
    site.show_errors = True
    shown = built(TITLE, ("x = 1\nx", {}), ("1 / 0", {}), ("2", {})).select(".output code, .admonition.failure")
    assert shown[0].get_text() == "1\n"
    assert "docs/labs/a.ipynb, cell 3: " in shown[1].get_text() and "ZeroDivisionError" in shown[1].get_text()
    assert "cell 4: was not run, since one above it failed" in shown[2].get_text()
    assert "a fence is not closed" in built(TITLE, "```text").select_one(".admonition.failure").get_text()
    assert built(TITLE, ("3", {})).select(".output code")[0].get_text() == "3\n"


def test_what_has_yet_to_run_is_said_and_filled_in(built: Built) -> None:
    site.engine.pool.hold()
    site.deadline = time.monotonic()
    cells = TITLE, ("import near\nnear.x", {}), ("2", {"setup": True}), ("3", {})
    site.root.joinpath("src/near.py").write_text("x = 5\n")
    shown = built(*cells)
    assert [(p["data-block"], p.get_text()) for p in shown.select("p.pending")] == [
        ("0", "waiting, 1 of 3"),
        ("2", "waiting, 3 of 3"),
    ]
    assert not shown.find("aside", class_="assay")
    site.engine.pool.release()
    site.tasks["labs/a.ipynb"][0].result()
    shown = built()
    assert not shown.select("p.pending")
    assert [code.get_text() for code in shown.select(".output code")] == ["5\n", "3\n"]


def test_it_runs_when_code_it_reaches_has_changed_and_not_otherwise(built: Built, write: Write) -> None:
    write("src/near.py", "def two():\n    return 2\n")
    write("src/far.py", "")
    code = ("import near", {}), ("near.two()", {})
    counts = lambda: (site.engine.counts.ran, site.engine.counts.replayed)  # noqa: E731
    built(TITLE, *code)
    assert counts() == (2, 0)
    built(TITLE + " More of them.", code[0], "A new cell.", code[1])
    assert counts() == (0, 2)
    write("src/far.py", "x = 1\n")
    built()
    assert counts() == (0, 2)
    write("src/near.py", "def two():\n    return 3\n")
    assert built().select(".output code")[0].get_text() == "3\n"
    assert counts() == (2, 0)
    assert built(TITLE, code[0], ("near.two() + 1", {})).select(".output code")[0].get_text() == "4\n"


def test_mkdocs_jupyter_renders_it_once(built: Built, project: Path, write: Write, monkeypatch: Any) -> None:
    """And again if the outputs, the templates or the plugin are other ones."""
    rendered: list[str] = []
    nb2html = plugin.convert.nb2html

    def noted(path: str, **options: Any) -> str:
        nbformat.validate(nbformat.read(path, as_version=4))
        rendered.append(Path(path).read_text())
        return str(nb2html(path, **options))

    monkeypatch.setattr(plugin.convert, "nb2html", noted)
    write("src/near.py", "x = 1\n")
    first = str(built(TITLE, ("import near\nnear.x", {})))
    assert len(rendered) == 1 and not list(project.glob(".cache/mkdocs-jupyter"))
    assert str(built()) == first and len(rendered) == 1
    write("src/near.py", "x = 2\n")
    built()
    assert len(rendered) == 2 and '"2\\n"' in rendered[1]
    monkeypatch.setattr(labs, "version", lambda name: "0")
    built()
    assert len(rendered) == 3


def test_the_executed_copy_is_a_notebook(built: Built, project: Path) -> None:
    site.show_errors = True
    built("# A", *EVERY_WAY, ("1 / 0", {}), ("1", {}))
    lab = labs.find((project / "docs/labs/a.ipynb").read_text(), "labs/a.ipynb")
    lab.entry = site.entries["labs/a.ipynb"]
    copy = labs.executed(lab)
    nbformat.validate(copy)
    outputs = [[one.get("data", {one["output_type"]: 1}) for one in c.get("outputs", ())] for c in copy["cells"]]
    shown = ["stream", "stream", "text/markdown", "text/markdown", "text/html", "image/svg+xml", "stream", "stream"]
    assert [kind for results in outputs for one in results for kind in one] == [*shown, "error", "error"]
    assert [cell["execution_count"] for cell in copy["cells"][-2:]] == [None, None]


def test_nbconvert_is_not_imported_until_a_notebook_is_rendered() -> None:
    program = """
import sys
import handbook.pages  # as mkdocs.yml does by naming it
from mkdocs_jupyter import plugin
assert not {"nbconvert", "nbformat"} & sys.modules.keys()
assert plugin.convert.nb2html.__module__ == "mkdocs_jupyter.nbconvert2"
assert plugin.jupytext.read and "nbconvert" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# The notebooks of the site


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    for number, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"], start=1):
        if cell["cell_type"] == "code":
            kept = (cell["outputs"], cell["execution_count"])
            assert kept == ([], None), f"cell {number}: clear its outputs before you save"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=name(path), marks=[pytest.mark.slow] * (number > 0))
        for number, path in enumerate(NOTEBOOKS)
    ],
)
def test_a_notebook_gives_the_same_in_jupyter(path: Path, runs: dict[str, Run]) -> None:
    run = runs[path.relative_to(ROOT / "docs").as_posix()]
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
