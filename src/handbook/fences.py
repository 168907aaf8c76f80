"""What the options of an executed fence mean, and how the fence and its output become HTML.

    ```python exec                                  source above, output below
    ```python exec source="hide" output="markdown"  a table that the program prints
    ```python exec setup                            run, and neither is shown

Output that is Markdown is rendered by markdown-exec's converter, and code as superfences renders any code. The options
are ours, since markdown-exec's are let through when they are misspelt.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from math import inf, nan
from typing import Any

from markdown import Markdown

from handbook.worker import Block

CHOICES = {
    "source": ("above", "hide", "fold"),
    "output": ("auto", "text", "markdown", "html", "figure", "hide"),
}
FLAGS = ("exec", "setup", "varies")
TEXTS = ("alt", "caption", "raises", "limit", "tolerance", "title")
HIGHLIGHT = ("title", "linenums", "hl_lines")


_inner: tuple[list[str], dict[str, Any]] | None = None


def configure(extensions: list[str], configs: dict[str, Any]) -> None:
    """Say by which Markdown extensions output that is Markdown is rendered; those of the page if nobody says."""
    global _inner
    _inner = extensions, configs


class Misuse(ValueError):
    """An option that does not exist or cannot mean anything here."""


@dataclass(frozen=True)
class Fence:
    """An executed fence of a page.

    Attributes:
        code: Python source, with its snippets included.
        source: `above` the output, `hide` it, or `fold` it under `title`.
        output: As `text`, `markdown`, `html` or `figure`, which it must then have; `auto` is text if there is any, and
            `hide` shows none.
        alt: The text alternative of a figure, or a formula for it after `=`.
        caption: A line below a figure.
        raises: The exception that it is to end with.
        limit: Seconds that it may take. It is there for what hangs, not for what is slow.
        tolerance: Percent by which its numbers may differ from the recorded ones, with the machine.
        varies: The output depends on the machine, and is not compared with the recorded one.
        setup: It prepares others: nothing is shown.
        highlight: Options of the source's code block.
    """

    code: str = ""
    source: str = "above"
    output: str = "auto"
    alt: str = ""
    caption: str = ""
    raises: str = ""
    limit: float = Block("").limit
    tolerance: float = 0
    varies: bool = False
    setup: bool = False
    highlight: dict[str, str] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, options: dict[str, str]) -> Fence:
        """Read the options of an opening line, of which `exec` is one.

        Raises:
            Misuse: One of them is unknown, or has a value that it cannot have, or lacks another that it needs.
        """
        known = {*CHOICES, *FLAGS, *TEXTS, *HIGHLIGHT}
        for name, value in options.items():
            if name not in known:
                raise Misuse(f"there is no option {name!r}; there are {', '.join(sorted(known))}")
            if name in FLAGS and value != name:
                raise Misuse(f"{name} stands alone, without a value")
            if name in CHOICES and value not in CHOICES[name]:
                raise Misuse(f"{name} is one of {', '.join(CHOICES[name])}, not {value!r}")
        fence = cls(
            source=options.get("source", "above"),
            output=options.get("output", "auto"),
            alt=options.get("alt", ""),
            caption=options.get("caption", ""),
            raises=options.get("raises", ""),
            varies="varies" in options,
            setup="setup" in options,
            highlight={name: options[name] for name in HIGHLIGHT if name in options},
        )
        if (fence.output == "figure") != bool(fence.alt.strip()) or (fence.caption and not fence.alt):
            raise Misuse('output="figure" needs alt="what it shows", and nothing else has alt or caption')
        if fence.source == "fold" and "title" not in options:
            raise Misuse('source="fold" needs title="what is folded"')
        if fence.setup and {"source", "output", "alt"} & set(options):
            raise Misuse("setup shows neither source nor output")
        if "tolerance" in options and (fence.varies or not fence.shows_output):
            raise Misuse("tolerance is of an output that is compared with the recorded one")
        limit = _number(options.get("limit", str(fence.limit)))
        if not 0 < limit < inf:
            raise Misuse(f"limit is a number of seconds, not {options['limit']!r}")
        share = options.get("tolerance")
        tolerance = _number(share[:-1] if share.endswith("%") else "") if share is not None else 0
        if share is not None and not 0 < tolerance < 100:
            raise Misuse(f'tolerance is a share such as "2%", not {share!r}')
        return replace(fence, limit=limit, tolerance=tolerance)

    @property
    def block(self) -> Block:
        """What the worker is to do."""
        form = "text" if self.output in ("auto", "hide") else self.output
        return Block(self.code, form, self.alt, self.caption, self.raises, self.limit)

    @property
    def shows_output(self) -> bool:
        """Whether readers see what it prints."""
        return not self.setup and self.output != "hide"

    @property
    def needs_output(self) -> bool:
        """Whether to show nothing would be a mistake."""
        return self.shows_output and self.output != "auto"

    def render(self, output: str, md: Markdown) -> str:
        """The HTML of the source and the output, as far as they are shown."""
        parts = []
        if not self.setup and self.source == "above":
            parts.append(_code(md, self.code, self.highlight))
        elif not self.setup and self.source == "fold":
            options = {name: value for name, value in self.highlight.items() if name != "title"}
            summary = f"<summary>{escape(self.highlight['title'])}</summary>"
            parts.append(f'<details class="abstract">{summary}{_code(md, self.code, options)}</details>')
        if output.strip() and self.shows_output:
            if self.output in ("auto", "text"):
                # As superfences writes it, without asking a lexer that has nothing to say of plain text.
                classes = "output varies" if self.varies else "output"
                code = f"<pre><span></span><code>{escape(output.rstrip(), quote=False)}\n</code></pre>"
                parts.append(f'<div class="language-text {classes} highlight">{code}</div>')
            else:
                html = _markdown(md, output) if self.output == "markdown" else output
                parts.append(f'<div class="varies">{html}</div>' if self.varies else html)
        return "\n".join(parts)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _markdown(md: Markdown, text: str) -> str:
    """What a page would make of a text. Its headings come into the table of contents."""
    from markdown_exec import MarkdownConverter, markdown_config  # slow, and for output that is Markdown only

    if _inner:
        markdown_config.save(*_inner)
    # Only with headings, since then the converter keeps the page's Markdown, and all of its text, for good.
    has_headings = any(line.startswith("#") for line in text.splitlines())
    html: str = MarkdownConverter(md, update_toc=has_headings).convert(text, id_prefix="")
    return html


def _code(md: Markdown, code: str, options: dict[str, str]) -> str:
    """A code block, as superfences renders those of the page."""
    superfences = md.preprocessors["fenced_code_block"]
    superfences.line_count = code.count("\n") + 1  # of which hl_lines are taken
    html: str = superfences.highlight(
        src=code, language="python", options=dict(options), md=md, classes=[], id_value="", attrs={}
    )
    return html


def parse_header(language: str, options: dict[str, str]) -> Fence | None:
    """The fence that an opening line describes, or `None` if it is only to be highlighted.

    Raises:
        Misuse: It is neither: it would be shown as a paragraph, and not run.
    """
    if "exec" not in options:
        unknown = sorted(set(options) - set(HIGHLIGHT))
        if unknown:
            raise Misuse(f"there is no option {unknown[0]!r} of a {language} fence without exec")
        return None
    return Fence.parse(options)
