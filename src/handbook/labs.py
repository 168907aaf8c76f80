"""Notebooks as pages: their cells run as fences do, and mkdocs-jupyter renders them, by the templates beside this file.

A notebook is kept without outputs. A copy of it gets those that the engine has for its cells, and the plugin makes of
the copy the Markdown of the page, so that MkDocs does with it what it does with any page. The metadata of a code cell
may have an entry `handbook`: the options of its fence, such as `{"output": "figure", "alt": "…"}`, and `fold`, a title
under which the cell is folded together with its output. That of the notebook stands for a page's front matter.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from mkdocs_jupyter.config import settings

from handbook.fences import Fence
from handbook.formulas import formulas
from handbook.options import PYTHON, SHELL, Misuse
from handbook.runs import PageError, Run, error_box, scan
from handbook.site import site
from handbook.versions import version

TEMPLATES = Path(__file__).with_name("templates")
RENDERERS = ("mkdocs-jupyter", "nbconvert", "Jinja2")
ATTACHMENT = re.compile(r"(?<=\]\()attachment:(?P<name>[^)\s]+)")
OUTPUT = re.compile(r"<!-- output (?P<place>[\d.]+) -->(?P<html>.*?)<!-- end of output (?P=place) -->", re.DOTALL)
MARK = re.compile(r"<!-- output (?P<place>[\d.]+) -->")
RUNNING = re.compile(rf"[{{.\s]*({'|'.join((*PYTHON, *SHELL))})\b.*\bexec\b")

settings.templates_dir = str(TEMPLATES)  # the plugin's own inline the styles of JupyterLab, and load MathJax

_outputs: dict[str, dict[str, str]] = {}


@dataclass
class Lab(Run):
    """The cells of a `notebook`. The place of a code cell is its number among all cells, counted from 1."""

    notebook: dict[str, Any] = field(default_factory=dict)

    def fail(self, message: str, line: int) -> PageError:
        """The error to raise for what is wrong with a cell."""
        return PageError(f"docs/{self.page}, cell {line}: {message}")


def is_lab(path: str) -> bool:
    """Whether a file below `docs/` is a notebook."""
    return path.endswith(".ipynb")


def pages(files: Files) -> Iterator[File]:
    """The Markdown pages and the notebooks, before mkdocs-jupyter has made pages of those."""
    yield from files.documentation_pages()
    left_out = InclusionLevel.EXCLUDED, InclusionLevel.DRAFT
    yield from (file for file in files.media_files() if is_lab(file.src_uri) and file.inclusion not in left_out)


def find(text: str, path: str) -> Lab:
    """The cells of a notebook of format 4. Nothing is run.

    Args:
        text: The notebook.
        path: Its path below `docs/`.

    Raises:
        PageError: It is no such notebook, or a cell asks for what does not exist.
    """
    lab = Lab([""], page=path, notebook=_read(text, path))
    for number, cell in enumerate(lab.notebook["cells"], start=1):
        source = "".join(cell["source"])
        lab.lines.append(source)
        try:
            if cell["cell_type"] == "code":
                lab.fences.append(replace(_fence(cell, source), number=len(lab.fences)))
                lab.places.append(number)
            elif cell["cell_type"] == "markdown":
                _check(source)
                _shown(cell, source)
        except Misuse as error:
            raise lab.fail(str(error), number) from None
    return lab


def _read(text: str, path: str) -> dict[str, Any]:
    try:
        notebook: dict[str, Any] = json.loads(text)
        if notebook["nbformat"] != 4:
            raise ValueError(f"its nbformat is {notebook['nbformat']}")
        for cell in notebook["cells"]:
            cell["cell_type"], "".join(cell["source"]), dict(cell["metadata"].get("handbook", {}))
        dict(notebook["metadata"].get("handbook", {}))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise PageError(f"docs/{path} is not a notebook of format 4: {error!r}") from None
    return notebook


def _fence(cell: dict[str, Any], code: str) -> Fence:
    options = dict(cell["metadata"].get("handbook", {}))
    if not isinstance(options.pop("fold", ""), str):
        raise Misuse("fold is a title, and so text")
    texts = {name: name if value is True else str(value) for name, value in options.items()}
    return replace(Fence.parse({"exec": "exec"} | texts), code=code)


def _check(source: str) -> None:
    """Refuse what a page may have and a cell may not."""
    openings, prose, is_open = scan(source.split("\n"))
    for opening in openings:
        if RUNNING.match(opening.info):
            raise Misuse(f"what is to run is a code cell, and no fence: {opening.line}")
    if is_open:
        raise Misuse(f"a fence is not closed: {openings[-1].line}")
    if formulas(prose):
        raise Misuse("a notebook has no formulas, since Jupyter would show them as they are: let a code cell print it")


def _shown(cell: dict[str, Any], source: str) -> str:
    """The text of a Markdown cell, with the images that were pasted into it in their places.

    Raises:
        Misuse: It shows an image that it does not have.
    """

    def data(image: re.Match[str]) -> str:
        forms = cell.get("attachments", {}).get(unquote(image["name"]), {})
        if not forms:
            raise Misuse(f"shows the attachment {image['name']}, which it does not have: paste the image again")
        kind, content = next(iter(forms.items()))
        return f"data:{kind};base64,{''.join(''.join(content).split())}"

    return ATTACHMENT.sub(data, source)


def markdown(page: Page, config: MkDocsConfig, files: Files) -> str:
    """The Markdown of a page that is a notebook, with marks where `fill` is to put the outputs.

    Args:
        page: The page, as mkdocs-jupyter has prepared it: its method `render` is the plugin's. From here on it is
            MkDocs' own again.
        config: The configuration of the site.
        files: The files of the site.

    Raises:
        PageError: The notebook or one of its cells is malformed, or failed.
    """
    path = page.file.src_uri
    _outputs[path] = {}
    try:
        lab = find(page.file.content_string, path)
    except PageError as error:
        del page.render
        return error_box(error)
    if lab.fences:
        lab.ask()
    page.meta.update(lab.notebook["metadata"].get("handbook", {}))
    body = _rendered(json.dumps(executed(lab), indent=1), page, config, files)
    shown, _, outputs = body.partition("<!-- outputs -->")
    _outputs[path] = {found["place"]: found["html"] for found in OUTPUT.finditer(outputs)}
    return shown


def fill(html: str, path: str) -> str:
    """Put the outputs of a notebook into the page that was made of its Markdown."""
    return MARK.sub(lambda mark: _outputs[path].get(mark["place"], ""), html) if path in _outputs else html


def executed(lab: Lab) -> dict[str, Any]:
    """A copy of a notebook with the outputs that are known of its cells, and for the templates how each is shown.

    Raises:
        PageError: A cell failed, and is not to be shown as one that did.
    """
    copy = deepcopy(lab.notebook)
    copy["metadata"]["handbook"] = {"path": f"docs/{lab.page}"}
    for cell in copy["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = _shown(cell, "".join(cell["source"]))
            cell.pop("attachments", None)
    # Longer than what any cell has, so that a fence left open in one of them does not swallow the next.
    ticks = "`" * (1 + max(map(len, re.findall("`{2,}", "".join(lab.lines))), default=2))
    for index, (number, fence) in enumerate(zip(lab.places, lab.fences, strict=True)):
        cell = copy["cells"][number - 1]
        title = fence.highlight.get("title", "")
        cell["execution_count"] = index + 1 if index < len(lab.outcome.outputs) else None
        cell["outputs"] = list(_results(lab, index))
        cell["metadata"]["handbook"] = {
            "number": number,
            "ticks": ticks,
            "header": " ".join(
                f'{name}="{value}"'
                for name, value in fence.highlight.items()
                if name != "title" or fence.source != "fold"
            ),
            "shown": "hide" if fence.setup else fence.source,
            "title": title,
            "fold": cell["metadata"].get("handbook", {}).get("fold", ""),
            "caption": fence.caption,
            "varies": fence.varies,
        }
    return copy


def _results(lab: Lab, index: int) -> Iterator[dict[str, Any]]:
    """The outputs of a code cell, counted from 0 among those, in the format of notebooks."""
    fence = lab.fences[index]
    if lab.is_pending(index):
        if waiting := lab.pending(index):
            yield _data("text/html", waiting)
    elif message := lab.problem(index):
        error = lab.fail(message, lab.places[index])
        if not site.show_errors:
            raise error
        kind, _, words = message.splitlines()[-1].partition(": ")
        yield {"output_type": "error", "ename": kind, "evalue": words, "traceback": str(error).split("\n")}
    elif fence.shows_output and lab.outcome.outputs[index].strip():
        yield _result(fence, lab.outcome.outputs[index])


def _result(fence: Fence, output: str) -> dict[str, Any]:
    if fence.output in ("auto", "text"):
        return {"output_type": "stream", "name": "stdout", "text": output}
    if fence.output != "figure":
        return _data("text/html" if fence.output == "answer" else f"text/{fence.output}", output)
    drawn = output[output.index("<svg") : output.rindex("</svg>") + len("</svg>")]
    return _data("image/svg+xml", drawn)


def _data(kind: str, content: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {kind: content}, "metadata": {}}


def _rendered(copy: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """What mkdocs-jupyter makes of a notebook, from the store if it is known. Its own cache is not safe: see bench/."""
    templates = [path.read_text("utf-8") for path in sorted(TEMPLATES.rglob("*.j2"))]
    made_of = json.dumps([copy, templates, [version(name) for name in RENDERERS]])
    key = hashlib.sha256(made_of.encode()).hexdigest()
    body = site.engine.store.rendered(key)
    if body is None:
        with TemporaryDirectory() as folder:
            executed = Path(folder, Path(page.file.src_uri).name)
            executed.write_text(copy, "utf-8")
            page.file.abs_src_path = str(executed)  # which is what the plugin reads
            page.render(config, files)
        del page.file.abs_src_path
        body = unescape(str(page.content).partition("<pre>")[2].rpartition("</pre>")[0])
        site.engine.store.keep_rendered(key, body)
    del page.render
    return body
