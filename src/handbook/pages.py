"""A Markdown extension that runs what a page says: its executed fences, and the formulas in its prose.

All fences of a page run in one process, in order, before any of it is rendered. What fails stops the build with its
page and line; under `mkdocs serve` it is shown in the page instead, and so is what has yet to run.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from handbook.fences import Fence, parse_header
from handbook.formulas import FormulaProcessor, formulas
from handbook.options import LANGUAGES, Misuse
from handbook.rendering import render
from handbook.runs import PageError, Run, begin, error_box, run_of
from handbook.site import site

if TYPE_CHECKING:  # Zensical does without
    from mkdocs.structure.files import File

INCLUDE = re.compile(r'(?<!;)--8<--\s+"(?P<path>[^":;]+)(?::(?P<section>[\w-]+))?"')

FOREIGN = re.compile(r"[\s>]*[`~]{3,}[{.\s]*(?P<language>[\w#.+-]+).*\bexec\b")

FINDERS = ("pymdownx.snippets", "pymdownx.superfences", "handbook.pages")
"""Of all extensions, those that find the fences of a page."""


def validator(
    language: str, inputs: dict[str, str], options: dict[str, Any], attrs: dict[str, Any], md: Markdown
) -> bool:
    """Superfences' question whether a fence is ours: it is if it says `exec`.

    Raises:
        PageError: It has an option that does not exist.
    """
    md.preprocessors["fenced_code_block"].get_hl_settings()  # as superfences does before it asks a validator of its own
    run, inner = run_of(md), hasattr(md, "_original_md")
    if not inner:
        run.at = run.next_line()
    try:
        fence = options["fence"] = parse_header(language, inputs)
        if inner and fence and fence.runs:
            raise Misuse(f"has a {language} fence that is to be executed inside another, and nothing would run it")
    except Misuse as error:
        options["fence"] = error_box(run.fail(str(error), run.at))
    if options["fence"] is None:
        inputs.pop("exec", None)  # which says that it does not run
    return options["fence"] is not None


def formatter(src: str, language: str, options: dict[str, Any], md: Markdown, **_: Any) -> str:
    """Take a fence, and leave a mark where its source and output are to be."""
    if isinstance(options["fence"], str):
        return options["fence"]
    run = run_of(md)
    fence = replace(options["fence"], code=src, number=run.executed)
    run.executed += 1
    if not fence.runs:
        return render(fence, "", md)
    try:
        _ = fence.block
    except Misuse as error:
        return error_box(run.fail(str(error), run.at))
    run.fences.append(fence)
    run.places.append(run.at)
    return _mark(len(run.fences) - 1)


def _left_over(line: str) -> str:
    """Why superfences took no fence that begins with this line."""
    said = FOREIGN.match(line)
    if said and said["language"] not in LANGUAGES:
        return f"{said['language']} does not run here; {', '.join(LANGUAGES)} do"
    return "a fence is not closed, or its options are malformed"


def _mark(number: int) -> str:
    return f"<!-- executed fence {number} -->"


def place_of(file: File, body: str) -> tuple[str, int]:
    """The path of a page below `docs/`, and the lines of front matter above its text."""
    return file.src_uri, file.content_string.count("\n") - body.count("\n")


class Begin(Preprocessor):  # type: ignore[misc]
    """Keeps the text as its author wrote it, and refuses an inclusion of what is not there, before it is included.

    Attributes:
        place: The `place_of` the page, if nothing else tells: what renders a page knows it.
    """

    place = ("this page", 0)

    def found(self, lines: list[str]) -> tuple[str, int]:
        """The place of the page that is being rendered."""
        if "rendering_context" in self.md.preprocessors:  # Zensical's
            context = self.md.preprocessors["rendering_context"]
            text = Path(context.config["docs_dir"], context.page.path).read_text("utf-8")
            return context.page.path, text.count("\n") + 1 - len(lines)
        if "relpath" in self.md.treeprocessors:  # MkDocs's
            return place_of(self.md.treeprocessors["relpath"].file, "\n".join(lines))
        return self.place

    def run(self, lines: list[str]) -> list[str]:
        """The lines as they are, if what they include is there."""
        if hasattr(self.md, "_original_md"):
            return lines
        page, above = self.found(lines)
        run = begin(self.md, Run(lines, page=page, above=above))
        for number, line in enumerate(lines, start=above + 1):
            for path, section in INCLUDE.findall(line):
                file = site.root / path
                if not file.is_file():
                    return [error_box(run.fail(f"there is no file {path}", number))]
                if section and f"[start:{section}]" not in file.read_text("utf-8"):
                    return [error_box(run.fail(f"{path} has no section {section}", number))]
        return lines


class RunPage(Preprocessor):  # type: ignore[misc]
    """Runs the page once superfences has taken all of its fences, and puts sources and outputs in their places."""

    LEFT_OVER = re.compile(r"(?:[\s>*+:-]|\d+[.)])*(`{3,}|~{3,})[^`]*$")

    def run(self, lines: list[str]) -> list[str]:
        """The lines as they are, of which the fences have run."""
        if hasattr(self.md, "_original_md"):
            return lines
        try:
            run = self.collect(lines)
        except PageError as error:
            return error_box(error).split("\n")
        if run.fences:
            run.ask()
            blocks = self.md.htmlStash.rawHtmlBlocks
            for number, fence in enumerate(run.fences):
                blocks[blocks.index(_mark(number))] = self.show(run, number, fence)
        return lines

    def collect(self, lines: list[str]) -> Run:
        """The page's run, once superfences has taken its fences and left the rest of its lines.

        Raises:
            PageError: A fence was left over.
        """
        run = run_of(self.md)
        for line in lines:
            if self.LEFT_OVER.match(line):
                # Of several like it, the one that is not closed is the last.
                at = max((n for n, text in enumerate(run.lines, start=1) if text.strip() == line.strip()), default=0)
                raise run.fail(f"{_left_over(line)}: {line.strip()}", run.above + at)
        run.formulas = formulas(lines)
        return run

    def show(self, run: Run, number: int, fence: Fence) -> str:
        """The HTML of an executed fence and of what came of it."""
        run.at = run.line(number)
        if run.is_pending(number):
            return render(fence, "", self.md, run.pending(number))
        message = run.problem(number)
        if not message:
            return render(fence, run.outcome.outputs[number], self.md)
        first = next((line for line in fence.code.splitlines() if line.strip()), "")
        name = f"block {number + 1}" + (f" ({fence.id})" if fence.id else "")
        error = run.fail(f"{name}, which starts with {first!r}: {message}", run.at)
        return error_box(error)


class RunExtension(Extension):  # type: ignore[misc]
    """The parts above, each at its place among those of snippets (32) and superfences (25).

    Superfences is to be listed before. It is told of the fences here, since all languages are treated alike.
    """

    def extendMarkdown(self, md: Markdown) -> None:
        """Register the parts."""
        for language in LANGUAGES:
            fences = md.preprocessors["fenced_code_block"].extension
            fences.extend_super_fences(language, formatter, validator, reset=None)
        md.preprocessors.register(Begin(md), "begin_run", 40)
        md.preprocessors.register(RunPage(md), "run_page", 24)
        code_spans = md.inlinePatterns["backtick"]
        md.inlinePatterns.register(FormulaProcessor(code_spans, md), "backtick", 190)  # in the place of the wrapped one


def makeExtension(**options: Any) -> RunExtension:
    """Python-Markdown's entry point."""
    return RunExtension(**options)


def finder(configs: dict[str, Any]) -> Markdown:
    """What finds the fences of pages, and renders none of them.

    Args:
        configs: The configuration of the site's Markdown extensions.
    """
    plain = {"pymdownx.highlight": {"use_pygments": False}}
    return Markdown(extensions=[*FINDERS, *plain], extension_configs=configs | plain)


def included(md: Markdown, text: str, place: tuple[str, int]) -> list[str]:
    """The lines of a page as superfences sees them: all that is read from files is in its place by then.

    Args:
        md: A `finder`.
        text: The page, without its front matter.
        place: The `place_of` the page.
    """
    md.preprocessors["begin_run"].place = place
    lines = text.split("\n")
    for processor in md.preprocessors[: md.preprocessors.get_index_for_name("fenced_code_block")]:
        lines = processor.run(lines)
    return lines


def find(md: Markdown, text: str, place: tuple[str, int]) -> Run:
    """The executed fences and the formulas of a page, by a `finder`. Nothing is run.

    Raises:
        PageError: A fence is malformed, or asks for what does not exist.
    """
    md.reset()
    lines = md.preprocessors["fenced_code_block"].run(included(md, text, place))
    run: Run = md.preprocessors["run_page"].collect(lines)
    return run
