"""How an executed fence and what it gave become HTML.

markdown-exec renders them: its `base_format` is given a function that returns what the engine has. In the short form
source and plain text are written here instead: for each fence that it shows, markdown-exec makes a Markdown parser with
all extensions of the site, which takes four times as long (`bench/fences.py`).
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from markdown import Markdown

from handbook.fences import Fence
from handbook.site import site

HEADING = re.compile(r"^[\s>]*(#{1,6}|=+[ \t]*$|-+[ \t]*$)", re.MULTILINE)
HIDDEN = "markdown-exec: hide"
"""What a line says that is run and not shown."""


def render(fence: Fence, output: str, md: Markdown, pending: str = "") -> str:
    """The HTML of the source and the output, as far as they are shown.

    Args:
        fence: The fence.
        output: What it gave.
        md: What renders its page.
        pending: HTML that stands for an output that is not there yet.
    """
    if fence.setup:
        return pending
    if fence.front is None:
        html = _short(fence, output, md) + pending
    else:
        html = _full(fence, output, md, pending)
        html = f'<div class="varies">{html}</div>' if fence.varies else html
    _keep_headings(md, html)
    return html


def _keep_headings(md: Markdown, html: str) -> None:
    """Have markdown-exec find the headings that it made in this block: it knows them by its HTML alone."""
    if "markdown_exec_insert_headings" in md.treeprocessors:
        headings = md.treeprocessors["markdown_exec_insert_headings"].headings
        for part in [part for part in headings if part in html and part != html]:
            headings[html] = headings.pop(part)


def _full(fence: Fence, output: str, md: Markdown, pending: str) -> str:
    """As markdown-exec has it, with its own options."""
    options = dict(fence.front or {})
    if pending:
        source = "above" if options["source"] == "console" else options["source"]
        options |= {"html": True, "source": source, "result": ""}
    if fence.runs:
        return _by_markdown_exec(fence, pending or output, md, **options)
    from markdown_exec import formatter

    _prepare(fence)
    options["extra"] = dict(options["extra"])  # of which it takes its icons
    return str(formatter(fence.code, fence.language, "", options, md))


def _short(fence: Fence, output: str, md: Markdown) -> str:
    """As this site has it: the source as superfences renders any code, and the output below."""
    parts = []
    if fence.source == "above":
        parts.append(_code(fence, md, fence.highlight))
    elif fence.source == "fold":
        options = {name: value for name, value in fence.highlight.items() if name != "title"}
        summary = f"<summary>{escape(fence.highlight['title'])}</summary>"
        parts.append(f'<details class="abstract">{summary}{_code(fence, md, options)}</details>')
    if output.strip() and fence.shows_output:
        if fence.output in ("auto", "text"):
            # As superfences writes it, without asking a lexer that has nothing to say of plain text.
            classes = "output varies" if fence.varies else "output"
            code = f"<pre><span></span><code>{escape(output.rstrip(), quote=False)}\n</code></pre>"
            parts.append(f'<div class="language-text {classes} highlight">{code}</div>')
        elif fence.output == "answer":
            parts.append(output)
        else:
            html = _by_markdown_exec(fence, output, md, html=fence.output != "markdown", id_prefix="")
            parts.append(f'<div class="varies">{html}</div>' if fence.varies else html)
    return "\n".join(parts)


def _by_markdown_exec(fence: Fence, output: str, md: Markdown, update_toc: bool = True, **options: Any) -> str:
    """What markdown-exec makes of a fence that gave this output."""
    from markdown_exec import base_format  # slow, and not needed for plain text

    _prepare(fence)
    _, shown = fence.parts
    # Only with headings, since then the converter keeps the page's Markdown, and all of its text, for good.
    update_toc = update_toc and HEADING.search(output) is not None
    # Where it ran, and how wide its terminal was, is the engine's to see to.
    options |= {"workdir": None, "width": None}
    html = base_format(
        language=_language(fence), run=lambda *_, **__: output, code=shown, md=md, update_toc=update_toc, **options
    )
    return str(html)


def _prepare(fence: Fence) -> None:
    """Have markdown-exec know the site's extensions, and number ids by fences: it counts on from page to page."""
    from markdown_exec import MarkdownConverter, markdown_config

    MarkdownConverter.counter = fence.number
    if site.inner:
        markdown_config.save(*site.inner)


def _language(fence: Fence) -> str:
    return "python" if fence.language == "py" else fence.language


def _code(fence: Fence, md: Markdown, options: dict[str, str]) -> str:
    """A code block, as superfences renders those of the page."""
    _, shown = fence.parts
    code = "\n".join(line for line in shown.split("\n") if HIDDEN not in line)
    superfences = md.preprocessors["fenced_code_block"]
    superfences.line_count = code.count("\n") + 1  # of which hl_lines are taken
    html: str = superfences.highlight(
        src=code, language=_language(fence), options=dict(options), md=md, classes=[], id_value="", attrs={}
    )
    return html
