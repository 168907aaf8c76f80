"""After each edit, what `mkdocs serve` has is what a new build of the same sources makes, byte for byte."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

FENCES = Path(__file__).with_name("fences.yml").read_text("utf-8")
CONFIG = """
site_name: served
site_url: http://127.0.0.1:8000/
theme: {{name: material, font: false, custom_dir: overrides, features: [navigation.footer, navigation.tabs]}}
extra_css: [site.css]
plugins: [search, mkdocs-jupyter: {{include: ["*.ipynb"], ignore: ["*.md"], include_source: true, cache: false}}]
hooks: [{hooks}]
markdown_extensions:
  - abbr
  - attr_list
  - toc: {{permalink: true}}
  - pymdownx.snippets: {{check_paths: true, auto_append: [snippets/glossary.md]}}
{fences}validation: {{anchors: warn}}
"""

CODE = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
CELLS = [
    {"id": "title", "cell_type": "markdown", "metadata": {}, "source": "# Book\n\nA GPU."},
    {"id": "code", "source": "import pages\nprint(pages.COUNT, 'pages')"} | CODE,
]
NOTEBOOK = json.dumps({"cells": CELLS, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

FILES = {
    "docs/index.md": "# Home\n\nThe GPU.\n",
    "docs/library.md": "# Library\n\n```python exec\nfrom measures import two\nx = two()\nx\n```\n\nIt is `=x`.\n",
    "docs/plain.md": "# Plain\n\nSee [the part](sub/part.md#a-part) and [home](index.md).\n\n## More\n\nText.\n",
    "docs/program.md": '# Program\n\n```python exec\n--8<-- "snippets/program.py:all"\n```\n',
    "docs/site.css": "p { color: red }\n",
    "docs/book.ipynb": NOTEBOOK,
    "docs/sub/part.md": '# Sub\n\n## A part\n\n--8<-- "snippets/part.md"\n',
    "docs/sub/last.md": "---\nassumes: nothing\n---\n# Last\n\n## A\n\n## B\n",
    "overrides/main.html": '{% extends "base.html" %}\n',
    "snippets/glossary.md": "*[GPU]: Graphics processor\n",
    "snippets/part.md": "A text of two pages.\n",
    "snippets/program.py": "# --8<-- [start:all]\nprint(1)\n# --8<-- [end:all]\n",
    "src/measures.py": "def two():\n    return 2\n",
    "src/pages.py": "COUNT = 9\n",
    "src/unused.py": "",
}
PAGES = {path.removeprefix("docs/") for path in FILES if path.startswith("docs/") and not path.endswith(".css")}

# `mkdocs serve`, which builds when it is told to, and says what it rendered and which files it made from a template.
DRIVER = """
import json, sys
import jinja2
from mkdocs.commands import serve
from mkdocs.structure.pages import Page
from handbook import worker
from handbook.serve import live

worker.PRELOADED = ()
live.PATIENCE = 600  # a build waits for all that it runs
rendered, made = [], []

def noted(method, seen, name):
    def call(self, *args, **named):
        if not named:  # as nbconvert gives them
            seen.append(name(self, *args))
        return method(self, *args, **named)
    return call

Page.render = noted(Page.render, rendered, lambda page, *_: page.file.src_uri)
template = lambda self, context: context["page"].file.src_uri if context["page"] else self.name
jinja2.Template.render = noted(jinja2.Template.render, made, template)

class Stepped(serve.LiveReloadServer):
    def serve(self, **_):
        for _ in sys.stdin:
            rendered.clear(), made.clear()
            try:
                self.builder()
            except (Exception, SystemExit):
                print("null", flush=True)
            else:
                print(json.dumps([self.root, rendered, made]), flush=True)

serve.LiveReloadServer = Stepped
serve.serve("mkdocs.yml")
"""


@dataclass
class Served:
    """A repository and the `mkdocs serve` that runs in it."""

    root: Path
    process: subprocess.Popen[str]

    def rebuild(self) -> tuple[set[str], set[str]]:
        """Build again, and return the pages that were rendered, and those that a template was applied to."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        built = json.loads(self.process.stdout.readline())
        assert built, "the build failed"
        self.site, rendered, made = Path(built[0]), *map(set, built[1:])
        return rendered, made

    def edit(self, path: str, change: Callable[[str], str]) -> None:
        (self.root / path).write_text(change((self.root / path).read_text()))

    def agree(self) -> None:
        """Compare the site with that of a new build in a process of its own."""
        fresh = self.root / "fresh"
        command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(fresh)]
        built = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        served, fresh_files = contents(self.site), contents(fresh)
        assert served.keys() == fresh_files.keys()
        assert [path for path in served if served[path] != fresh_files[path]] == []


def contents(directory: Path) -> dict[str, bytes]:
    # The compressed map of the site holds the time of the build.
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != "sitemap.xml.gz"
    }


@pytest.fixture(scope="module")
def served(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("served")
    for path, text in (
        FILES | {"mkdocs.yml": CONFIG.format(fences=FENCES, hooks=root / "src/handbook/hooks.py")}
    ).items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield Served(place, process)
    assert process.stdin
    process.stdin.close()
    assert process.wait(timeout=60) == 0


@pytest.fixture(autouse=True)
def settled(served: Served) -> None:
    """Each edit is the first one since the last build."""
    served.rebuild()
    assert served.rebuild() == (set(), set())


def append(text: str) -> Callable[[str], str]:
    return lambda old: old + text


EVERYTHING = PAGES | {"404.html", "sitemap.xml"}
EDITS: dict[str, tuple[str, Callable[[str], str], set[str], set[str]]] = {
    "prose": ("docs/plain.md", append("\nMore text.\n"), {"plain.md"}, {"plain.md"}),
    "heading": ("docs/plain.md", append("\n## A heading\n\nText.\n"), {"plain.md"}, {"plain.md"}),
    "label in the table of contents": (
        "docs/sub/part.md",
        lambda old: old.replace("## A part", "## A part {: data-toc-label='Label' }"),
        {"sub/part.md"},
        {"sub/part.md"},
    ),
    "title": ("docs/plain.md", lambda old: old.replace("# Plain", "# Plainer"), {"plain.md"}, EVERYTHING),
    "front matter": (
        "docs/sub/last.md",
        lambda old: old.replace("nothing", "little"),
        set(),
        EVERYTHING,
    ),
    "title in front matter": (
        "docs/sub/last.md",
        lambda old: old.replace("---", "---\ntitle: T", 1),
        {"sub/last.md"},
        EVERYTHING,
    ),
    "link added": ("docs/index.md", append("\n[Plain](plain.md#more)\n"), {"index.md"}, {"index.md"}),
    "block": ("docs/library.md", append("\n```python exec\nprint(x + 1)\n```\n"), {"library.md"}, {"library.md"}),
    "formula": ("docs/library.md", lambda old: old.replace("`=x`", "`=x + 5`"), {"library.md"}, {"library.md"}),
    "program": ("snippets/program.py", lambda old: old.replace("1", "2"), {"program.md"}, {"program.md"}),
    "snippet of prose": ("snippets/part.md", append("\nMore of it.\n"), {"sub/part.md"}, {"sub/part.md"}),
    "notebook": ("docs/book.ipynb", lambda old: old.replace("'pages'", "'or so'"), {"book.ipynb"}, {"book.ipynb"}),
    "prose of a notebook": (
        "docs/book.ipynb",
        lambda old: old.replace("A GPU", "No GPU"),
        {"book.ipynb"},
        {"book.ipynb"},
    ),
    "module of a notebook": ("src/pages.py", lambda old: old.replace("9", "8"), {"book.ipynb"}, {"book.ipynb"}),
    "glossary": (
        "snippets/glossary.md",
        lambda old: old.replace("Graphics", "A graphics"),
        PAGES,
        {"index.md", "book.ipynb"},
    ),
    "module": ("src/measures.py", lambda old: old.replace("2", "3"), {"library.md"}, {"library.md"}),
    "module that changes nothing": ("src/measures.py", append("\n\nthree = 3\n"), set(), set()),
    "module that nobody reaches": ("src/unused.py", append("three = 3\n"), set(), set()),
    "style": ("docs/site.css", append("p { color: blue }\n"), set(), set()),
    "template": ("overrides/main.html", append("{% block footer %}Here{% endblock %}"), PAGES, EVERYTHING),
    "configuration": ("mkdocs.yml", lambda old: old.replace("name: served", "name: renamed"), PAGES, EVERYTHING),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_served_as_a_new_build_would_have_it(served: Served, edit: str) -> None:
    path, change, rendered, made = EDITS[edit]
    served.edit(path, change)
    assert served.rebuild() == (rendered, made)
    served.agree()


def test_pages_and_templates_come_and_go(served: Served) -> None:
    page, moved = served.root / "docs/sub/new.md", served.root / "docs/newer.md"
    page.write_text("# New\n\n[Part](part.md)\n")
    assert served.rebuild()[1] == EVERYTHING | {"sub/new.md"}
    served.agree()
    page.rename(moved)
    served.rebuild()
    served.agree()
    moved.unlink()
    assert served.rebuild() == (PAGES, EVERYTHING)
    served.agree()
    partial = served.root / "overrides/partials/footer.html"
    partial.parent.mkdir()
    partial.write_text("A foot")
    assert served.rebuild() == (PAGES, EVERYTHING)
    served.agree()
    shutil.rmtree(partial.parent)
    assert served.rebuild() == (PAGES, EVERYTHING)
    served.agree()


def test_a_link_is_right_when_its_target_goes_and_comes_back(served: Served) -> None:
    target = served.root / "docs/sub/target.md"
    target.write_text("# Target\n")
    served.edit("docs/index.md", append("\n[Target](sub/target.md)\n"))
    served.rebuild()
    target.unlink()
    served.rebuild()
    served.agree()
    # The warning is given again in each build, as it would be in a new one.
    assert served.rebuild() == ({"index.md"}, set())
    target.write_text("# Target\n")
    served.rebuild()
    served.agree()
    assert served.rebuild() == (set(), set())


@pytest.mark.parametrize("broken", ["```python exec\n1 / 0\n```\n", "`=nowhere`\n\n```python exec\n1\n```\n"])
def test_what_fails_is_shown_in_its_page_until_it_is_mended(served: Served, broken: str) -> None:
    page = served.root / "docs/sub/last.md"
    fine = page.read_text()
    page.write_text(fine + broken)
    for _ in range(2):
        assert "sub/last.md" in served.rebuild()[0]
        shown = (served.site / "sub/last/index.html").read_text()
        assert "ZeroDivisionError" in shown or "NameError" in shown
    page.write_text(fine)
    served.rebuild()
    served.agree()


def test_a_module_that_fails_is_shown_and_mended(served: Served) -> None:
    fine = (served.root / "src/measures.py").read_text()
    served.edit("src/measures.py", lambda old: "raise RuntimeError('planted')\n" + old)
    assert served.rebuild() == ({"library.md"}, {"library.md"})
    assert "planted" in (served.site / "library/index.html").read_text()
    served.edit("src/measures.py", lambda _: fine)
    assert served.rebuild() == (set(), {"library.md"})  # what was rendered before it failed is good again
    served.agree()


def test_a_build_that_stops_leaves_nothing_behind(served: Served) -> None:
    fine = (served.root / "snippets/part.md").read_text()
    served.edit("snippets/part.md", append('\n--8<-- "snippets/absent.md"\n'))
    with pytest.raises(AssertionError, match="the build failed"):
        served.rebuild()
    served.edit("snippets/part.md", lambda _: fine)
    served.edit("docs/index.md", append("\nMeanwhile.\n"))
    assert served.rebuild() == ({"index.md"}, {"index.md"})
    served.agree()
