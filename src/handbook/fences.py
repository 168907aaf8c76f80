"""An executed fence: what its opening line says, and what is to be run for it.

```python exec                                  source above, output below, as text
```python exec source="hide" output="markdown"  a table that the program prints
```python exec="1" source="tabbed-left"         as in markdown-exec's documentation
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from handbook.blocks import OWN, PAGE, Block
from handbook.options import HIGHLIGHT, PYTHON, TEXT, Form, Misuse, form_of, read


@dataclass(frozen=True)
class Fence:
    """An executed fence of a page.

    Attributes:
        code: What stands in it, with its snippets included.
        language: As after its ticks.
        number: Its place among the executed fences of its page, counted from 0.
        source: In the short form, `above` the output, `hide` it, or `fold` it under `title`; in the full form, as
            markdown-exec has it.
        output: As `text`, `markdown`, `html`, `figure` or `answer`, which it must then have; `auto` is text if there is
            any, and `hide` shows none. An answer comes without its source, which would give it away. What is `printed`
            is taken as markdown-exec takes it.
        alt: The text alternative of a figure, or a formula for it after `=`.
        caption: A line below a figure.
        unit: The unit of an answer.
        within: Percent by which a reader's number may differ from an answer.
        raises: The exception that it is to end with.
        returncode: The exit code that a shell is to end with.
        session: The namespace in which it runs, by name; nothing for one of its own.
        workdir: The directory in which it runs, from the root of the repository.
        width: The columns of its terminal; 0 for the usual ones.
        id: What an error calls it.
        limit: Seconds that it may take. It is there for what hangs, not for what is slow.
        tolerance: Percent by which its numbers may differ from the recorded ones, with the machine.
        varies: The output depends on the machine, and is not compared with the recorded one.
        setup: It prepares others: nothing is shown.
        highlight: Options of the source's code block.
        front: What markdown-exec's validator makes of the full form; `None` in the short one.
    """

    code: str = ""
    language: str = "python"
    number: int = 0
    source: str = "above"
    output: str = "auto"
    alt: str = ""
    caption: str = ""
    unit: str = ""
    within: float = Block("").within
    raises: str = ""
    returncode: int = 0
    session: str = PAGE
    workdir: str = ""
    width: int = 0
    id: str = ""
    limit: float = Block("").limit
    tolerance: float = 0
    varies: bool = False
    setup: bool = False
    highlight: dict[str, str] = field(default_factory=dict, hash=False)
    front: dict[str, Any] | None = field(default=None, hash=False)

    @classmethod
    def parse(cls, options: dict[str, str], language: str = "python") -> Fence:
        """Read the options of an opening line that is to be executed.

        Raises:
            Misuse: One of them is unknown, or has a value that it cannot have, or does not go with another.
        """
        form = form_of(language, options)
        values = read(language, form, options)
        _check_together(values)
        said = {each.name: values[each.name] for each in fields(cls) if each.name in values}
        if form is Form.FULL:
            said = {"session": OWN, "source": "", "output": "printed", "front": _front(language, options)} | said
        if values.get("output") == "answer":
            said["source"] = "hide"
        highlight = {name: value for name, value in values.items() if name in HIGHLIGHT}
        return cls(language=language, highlight=highlight, **said)

    @property
    def runs(self) -> bool:
        """Whether there is anything to run: text is only rendered."""
        return self.language not in TEXT

    @property
    def block(self) -> Block:
        """What the worker is to do."""
        run, _ = self.parts
        said: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(Block)}
        language = "python" if self.language in PYTHON else "bash" if self.language == "bash" else "sh"
        output = "text" if self.output in ("auto", "hide") else self.output
        return Block(**said | {"code": run, "language": language, "output": output})

    @property
    def parts(self) -> tuple[str, str]:
        """What is run, and what is shown as source: they differ where lines begin with a prompt.

        Raises:
            Misuse: No line begins with one.
        """
        prompts = {"console": ("$ ", "% "), "pycon": (">>> ", "... ")}.get(self.language)
        if not prompts:
            return self.code, self.code
        shown = [line for line in self.code.split("\n") if line.startswith(prompts)]
        if not shown:
            raise Misuse(f"no line of a {self.language} fence starts with {prompts[0]!r}, so there is nothing to run")
        return "\n".join(line[len(prompts[0]) :] for line in shown), "\n".join(shown)

    @property
    def shows_output(self) -> bool:
        """Whether readers see what it prints."""
        return not self.setup and self.output != "hide"

    @property
    def needs_output(self) -> bool:
        """Whether to show nothing would be a mistake."""
        return self.shows_output and self.output not in ("auto", "printed")


def _check_together(values: dict[str, Any]) -> None:
    """Refuse options of which each is good, and which do not go together.

    Raises:
        Misuse: Some of them do not.
    """
    is_figure, is_answer = (values.get("output") == kind for kind in ("figure", "answer"))
    shown = {"source", "output", "alt", "html", "result", "tabs"} & set(values)
    mistakes = {
        'output="figure" needs alt="what it shows", and nothing else has alt or caption': (
            is_figure != bool(values.get("alt", "").strip()) or ("caption" in values and not is_figure)
        ),
        'output="answer" shows no source, and nothing else has unit or within': (
            values.keys() & ({"source"} if is_answer else {"unit", "within"})
        ),
        'source="fold" needs title="what is folded"': values.get("source") == "fold" and "title" not in values,
        "setup shows neither source nor output": "setup" in values and shown,
        "tolerance is of an output that is compared with the recorded one": (
            "tolerance" in values and (values.keys() & {"varies", "setup"} or values.get("output") == "hide")
        ),
        'html="1" and output="figure" are shown as they are, without result': (
            "result" in values and (values.get("html") or is_figure)
        ),
        'source="console" is text, which html="1" and output="figure" are not': (
            values.get("source") == "console" and (values.get("html") or is_figure)
        ),
        'tabs are the titles of source="tabbed-left" or "tabbed-right"': (
            "tabs" in values and not values.get("source", "").startswith("tabbed")
        ),
    }
    for mistake, made in mistakes.items():
        if made:
            raise Misuse(mistake)


def _front(language: str, options: dict[str, str]) -> dict[str, Any]:
    """What markdown-exec's validator makes of an opening line, without the options that are this site's."""
    from markdown_exec import validator  # slow, and for its own form only

    theirs = {"exec", "id", "idprefix", "html", "source", "result", "tabs", "updatetoc", "icons", *HIGHLIGHT}
    front: dict[str, Any] = {}
    inputs = {name: value for name, value in options.items() if name in theirs}
    validator(language, inputs | {"exec": "1"}, front, {}, None)
    if options.get("output") == "figure":
        front["html"] = True
    return front


def parse_header(language: str, options: dict[str, str]) -> Fence | None:
    """The fence that an opening line describes, or `None` if it is only to be highlighted.

    Raises:
        Misuse: It is neither: it would be shown as a paragraph, and not run.
    """
    form = form_of(language, options)
    if form is Form.PLAIN:
        read(language, form, options)
        return None
    return Fence.parse(options, language)
