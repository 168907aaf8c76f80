"""What the options of an executed fence mean, and how the fence and its output become HTML.

    ```python exec                                  source above, output below
    ```python exec source="hide" output="markdown"  a table that the program prints
    ```python exec setup                            run, and neither is shown

The rendering is markdown-exec's; the options are ours, since its own are let through when they are misspelt.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from textwrap import indent
from uuid import uuid4

from markdown import Markdown
from markdown_exec import MarkdownConverter, code_block

from handbook.worker import Block

CHOICES = {
    "source": ("above", "hide", "fold"),
    "output": ("auto", "text", "markdown", "html", "figure", "hide"),
}
FLAGS = ("exec", "setup", "varies")
TEXTS = ("alt", "caption", "raises", "limit", "title")
HIGHLIGHT = ("title", "linenums", "hl_lines")


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
        limit: Seconds that it may take.
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
    limit: float = 60
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
        try:
            return replace(fence, limit=float(options.get("limit", fence.limit)))
        except ValueError:
            raise Misuse(f"limit is a number of seconds, not {options['limit']!r}") from None

    @property
    def block(self) -> Block:
        """What the worker is to do."""
        form = "text" if self.output in ("auto", "hide") else self.output
        return Block(self.code, form, self.alt, self.caption, self.raises, self.limit)

    @property
    def needs_output(self) -> bool:
        """Whether to show nothing would be a mistake."""
        return not self.setup and self.output not in ("auto", "hide")

    def render(self, output: str, md: Markdown) -> str:
        """The HTML of the source and the output, as far as they are shown."""
        parts, stash = [], {}
        if not self.setup and self.source != "hide":
            title = self.highlight.get("title", "")
            options = {k: v for k, v in self.highlight.items() if self.source != "fold" or k != "title"}
            source = code_block("python", self.code, **options)
            parts.append(f'??? abstract "{title}"\n\n{indent(source, "    ")}' if self.source == "fold" else source)
        if output.strip() and not self.setup and self.output != "hide":
            if self.output == "markdown":
                parts.append(output)
            elif self.output in ("html", "figure"):
                stash[f'<div class="{uuid4()}"></div>'] = output
                parts.extend(stash)
            else:
                parts.append(f"```````` {{ .text .output }}\n{output.rstrip()}\n````````")
        return MarkdownConverter(md).convert("\n\n".join(parts), stash) if parts else ""


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
