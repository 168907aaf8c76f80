"""The Markdown of the pages: all Python is run or says why not, a page shows the whole of its program in order, what
it prints is what is recorded, and no number in its prose was measured elsewhere and typed.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import pytest
from mkdocs.utils.meta import get_data

from handbook.fences import parse_header
from handbook.options import LANGUAGES, PYTHON, SHELL, Misuse
from handbook.outputs import differences, is_recorded, path_of, records
from handbook.runs import Run

ROOT = Path(__file__).parent.parent
PAGES = sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".ipynb"))
PROGRAMS = sorted((ROOT / "snippets").rglob("*.py"))
LONGEST_FENCE = 25

OPEN = re.compile(r"(?P<indent>[\s>]*)(?P<ticks>`{3,}|~{3,})\s*(?P<info>[^`]*)$")
OPTION = re.compile(r"""\s+(?P<name>[\w-]+)(?:=(?P<quote>["'])(?P<value>.*?)(?P=quote))?""")
INCLUDE = re.compile(r'(?<!;)--8<--\s+"(?P<path>[^":]+)(:(?P<section>\w+))?"')
MARKER = re.compile(r"# --8<-- \[(?P<what>start|end):(?P<name>\w+)\]$")
NOT_RUN = re.compile(r"<!-- not run: \S.* -->$")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(page: Path) -> str:
    """The Markdown of a page; of a notebook its cells, those that run as fences."""
    text = page.read_text("utf-8")
    if page.suffix == ".md":
        return text
    parts = []
    for cell in json.loads(text)["cells"]:
        source, options = "".join(cell["source"]), dict(cell["metadata"].get("handbook", {}))
        title = options.pop("fold", "")
        given = [name if value is True else f'{name}="{value}"' for name, value in options.items()]
        fence = "\n".join([" ".join(["```python exec", *given]), source, "```"])
        folded = f'??? success "{title}"\n\n{indent(fence, "    ")}' if title else fence
        parts.append(folded if cell["cell_type"] == "code" else source)
    return "\n\n".join(parts)


@dataclass
class Fence:
    """A fenced block, its place and what stands before it."""

    line: int
    indent: str
    info: str
    code: list[str]
    before: list[str]

    @property
    def language(self) -> str:
        return self.info.split(" ")[0].strip("{.}")

    @property
    def is_python(self) -> bool:
        return self.language in {*PYTHON, "python3"}

    @property
    def is_run(self) -> bool:
        off = (None, "0", "no", "off", "false")
        return self.language in {*PYTHON, *SHELL} and self.options.get("exec") not in off

    @property
    def is_folded(self) -> bool:
        parent = next((line for line in reversed(self.before) if line.strip() and not line.startswith(self.indent)), "")
        return self.options.get("source") == "fold" or (bool(self.indent) and parent.strip().startswith("??? "))

    @property
    def options(self) -> dict[str, str]:
        """Names and values; one that stands alone has its name for a value."""
        given = self.info[len(self.info.split(" ")[0]) :]
        found = {option["name"]: option["value"] or option["name"] for option in OPTION.finditer(given)}
        return found if self.language not in LANGUAGES or not OPTION.sub("", given).strip() else {"malformed": given}

    def includes(self) -> Iterator[tuple[str, str]]:
        """The program and the section of each inclusion."""
        for line in self.code:
            if (found := INCLUDE.search(line)) and found["path"].endswith(".py"):
                yield found["path"], found["section"] or ""

    def shown(self) -> list[str]:
        """The lines that a reader sees."""
        is_full = self.is_run and self.options["exec"] != "exec"
        if "setup" in self.options or self.options.get("source", "" if is_full else "above") in ("", "hide"):
            return []
        lines: list[str] = []
        for line in self.code:
            found = INCLUDE.search(line)
            lines += sections(ROOT / found["path"])[found["section"]] if found and found["section"] else [line]
        return lines


def fences(text: str) -> list[Fence]:
    found: list[Fence] = []
    lines = text.splitlines()
    current: Fence | None = None
    ticks = ""
    for number, line in enumerate(lines):
        if current is None:
            if match := OPEN.match(line):
                ticks = match["ticks"]
                current = Fence(number + 1, match["indent"], match["info"].strip(), [], lines[:number])
        elif line.strip(" >\t") == ticks:
            found.append(current)
            current = None
        else:
            current.code.append(line)
    return found


def sections(program: Path) -> dict[str, list[str]]:
    """The lines of each section, in order; those outside are under ""."""
    found: dict[str, list[str]] = {"": []}
    current = ""
    for number, line in enumerate(program.read_text("utf-8").splitlines(), start=1):
        if not (marker := MARKER.match(line)):
            found[current].append(line)
        elif marker["what"] == "start":
            assert current == "", f"{name(program)}:{number}: section {current} has not ended"
            assert marker["name"] not in found, f"{name(program)}:{number}: there is another section of this name"
            current = marker["name"]
            found[current] = []
        else:
            assert current == marker["name"], f"{name(program)}:{number}: section {marker['name']} has not begun"
            current = ""
    assert current == "", f"{name(program)}: section {current} does not end"
    return found


def program_of(page: Path) -> Path:
    return ROOT / "snippets" / str(page.relative_to(ROOT / "docs").with_suffix(".py")).replace("-", "_")


# Fences


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_python_is_run_or_says_why_not(page: Path) -> None:
    for fence in fences(text_of(page)):
        if fence.is_python and not fence.is_run:
            above = next((line.strip() for line in reversed(fence.before) if line.strip()), "")
            where = f"{name(page)}:{fence.line}"
            assert NOT_RUN.match(above), f"{where}: run it with exec, or say <!-- not run: reason --> above it"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_options_of_a_fence_exist(page: Path) -> None:
    for fence in fences(text_of(page)):
        if fence.language in LANGUAGES:
            try:
                parse_header(fence.language, fence.options)
            except Misuse as error:
                pytest.fail(f"{name(page)}:{fence.line}: {error}", pytrace=False)


def test_every_fence_that_is_to_run_has_run(runs: dict[str, Run]) -> None:
    """What this module finds in the text is what the build found in it."""
    written = {page: sum(fence.is_run for fence in fences(text_of(page))) for page in PAGES}
    expected = {str(page.relative_to(ROOT / "docs")): count for page, count in written.items() if count}
    assert {page: len(run.fences) for page, run in runs.items()} == expected


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_fence_is_short_enough_to_read(page: Path) -> None:
    for fence in fences(text_of(page)):
        if not fence.is_folded:
            length = len(fence.shown())
            assert length <= LONGEST_FENCE, (
                f"{name(page)}:{fence.line} shows {length} lines: run a part unseen, or fold"
            )


# Programs


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_runs_the_sections_of_its_program_once_and_in_order(page: Path) -> None:
    text = text_of(page)
    program = program_of(page)
    included = [include for fence in fences(text) if fence.is_run for include in fence.includes()]
    assert {path for path, _ in included} <= {name(program)}, "a page includes its own program only"
    expected = [section for section in sections(program) if section] if program.exists() else []
    assert [section for _, section in included] == expected


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_with_a_program_says_what_its_figures_assume(page: Path) -> None:
    if program_of(page).exists():
        _, meta = get_data(text_of(page))
        assert str(meta.get("assumes", "")).strip(), f"{name(page)}: its front matter has no assumes"


@pytest.mark.parametrize("program", PROGRAMS, ids=name)
def test_a_program_is_all_on_its_page(program: Path) -> None:
    assert program in {program_of(page) for page in PAGES}, "no page has the path of this program"
    outside = ast.parse("\n".join(sections(program)[""])).body
    code = [node for node in outside if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]
    assert not code, f"outside of the sections: {ast.unparse(code[0])}"


def test_the_reader_of_fences_reads_them() -> None:
    text = '??? note "Long"\n\n    ```python\n    x\n    ```\n\n````md\n```python exec\n```\n````\n'
    text += '> ```py exec a="b c"\n> ```\n'
    found = fences(text)
    assert [(fence.line, fence.is_python, fence.is_run, fence.is_folded) for fence in found] == [
        (3, True, False, True),
        (7, False, False, False),
        (11, True, True, False),
    ]
    assert found[2].options == {"exec": "exec", "a": "b c"}
    assert Fence(1, "", 'python exec title="open', [], []).options.keys() == {"malformed"}


# Recorded outputs


@pytest.fixture(scope="module")
def changes(runs: dict[str, Run]) -> dict[str, str]:
    """The differences between what the pages print and what is recorded, by the path of the record."""
    return differences(ROOT, records(ROOT, runs))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_prints_what_is_recorded(page: Path, changes: dict[str, str]) -> None:
    path = path_of(str(page.relative_to(ROOT / "docs")))
    if change := changes.get(str(path)):
        pytest.fail(f"{change}\n\nIf so it should be, `make outputs` renews what is recorded.", pytrace=False)


def test_each_recorded_output_is_of_a_page(changes: dict[str, str]) -> None:
    known = {str(path_of(str(page.relative_to(ROOT / "docs")))) for page in PAGES}
    assert set(changes) <= known, "`make outputs` removes the records of pages that are gone"


REFERENCE = {
    "docs/glossary.md",
    "docs/tools/command-reference.md",
    "docs/tools/library.md",
    "docs/tools/model-types.md",
}


def test_only_reference_that_is_read_from_sources_goes_unrecorded() -> None:
    assert {name(page) for page in PAGES if not is_recorded(page)} == REFERENCE
    assert not [page for page in REFERENCE if program_of(ROOT / page).exists()], "what a program prints is recorded"


# Numbers in prose

REVIEWED = tomllib.loads((ROOT / "tests" / "reviewed_numbers.toml").read_text("utf-8"))
BLANK = r"[\s\u00a0\u202f]"
MEASURE = re.compile(
    rf"""
    (?<![\w.,×])\d[\d,.]*                                          # a number, not the 32 of float32
    (?:{BLANK}*(?:thousand|million|billion|trillion|×{BLANK}*10[⁰¹²³⁴⁵⁶⁷⁸⁹]+))?
    (?:
        {BLANK}*%
        | (?:{BLANK}|-)+(?:
            per[ ]cent | percent | (?:percentage[ ])?points?
            | bytes? | [kKMGTP]i?B
            | parameters? | weights? | tokens? | tensors? | buffers? | elements? | numbers? | layers?
            | images? | examples? | documents? | sequences? | requests? | words? | characters?
            | steps? | epochs? | batch(?:es)? | files?
            | [mµn]?s | (?:milli|micro|nano)?seconds? | minutes? | hours? | days? | weeks? | months? | years?
        )\b
    )
    """,
    re.VERBOSE,
)
CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
SOURCE = re.compile(r"\]\(https?:[^)]*\)|\[\^[^\]]+\]|https?://\S+")
NO_PROSE = re.compile(r"\]\([^)]*\)|\{[^}]*\}|<[^>]*>")
BLOCK = re.compile(r"(?:[-*+]|\d+\.)\s|[|#>]|\?\?\?|!!!|===|\[\^")
LINE = re.compile(r"[|#]|\?\?\?|!!!|===")
SENTENCE_END = re.compile(r"(?<=[.?!])[)”’*]*\s+(?=[^a-z])")


def prose(text: str) -> Iterator[tuple[int, str]]:
    """What a page says in words: its line and text, for each paragraph, list item, row, heading and option in words."""
    lines = text.splitlines()
    hidden = {number for fence in fences(text) for number in range(fence.line, fence.line + len(fence.code) + 2)}
    if lines[0] == "---":
        hidden |= set(range(1, lines.index("---", 1) + 2))
    for fence in fences(text):
        options = (fence.options.get(option, "") for option in ("alt", "caption", "title"))
        yield from ((fence.line, option) for option in options if option and not option.startswith("="))
    block: list[str] = []
    start = 0
    for number, line in enumerate([*lines, ""], start=1):
        stripped = "" if number in hidden else line.strip()
        if block and (not stripped or BLOCK.match(stripped) or LINE.match(block[0])):
            yield start, " ".join(block)
            block = []
        if stripped:
            start = start if block else number
            block.append(stripped)


def typed_numbers(text: str) -> Iterator[tuple[int, str, str]]:
    """The line, the number and the sentence of each number with a unit that has no source, formulas left out."""
    for line, block in prose(text):
        if block.startswith("[^"):
            continue  # a footnote is a source
        words = CODE_SPAN.sub("¤", re.sub(r"<!--.*?-->", "", block))
        words = NO_PROSE.sub("]", SOURCE.sub("](source)", words).replace("](source)", "↗"))
        cells = words.strip("| ").split("|") if words.startswith("|") else [words]
        for sentence in (part for cell in cells for part in SENTENCE_END.split(cell)):
            if "↗" not in sentence:
                yield from ((line, found.group(), sentence.strip()) for found in MEASURE.finditer(sentence))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_number_in_prose_is_computed_or_has_a_source(page: Path) -> None:
    reviewed = REVIEWED.get(name(page), {})
    wrong = [
        f"{name(page)}:{line}: {number!r} in {sentence!r}"
        for line, number, sentence in typed_numbers(text_of(page))
        if not any(number in text and text in sentence for text in reviewed)
    ]
    hint = "make it a formula, give its sentence a source, or say in tests/reviewed_numbers.toml why it may stand"
    assert not wrong, "\n".join([hint, *wrong])


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, texts in REVIEWED.items() for text in texts])
def test_a_reviewed_number_still_stands(page: str, text: str) -> None:
    assert REVIEWED[page][text].strip(), "say why"
    typed = list(typed_numbers(text_of(ROOT / page)))
    assert any(number in text and text in sentence for _, number, sentence in typed), "take it off the list"


def test_the_reader_of_numbers_finds_what_is_typed() -> None:
    text = """---
assumes: 1 GB
---

# Load 10 GB { #load-10-gb }

A float32 file of `=size` bytes takes 1,024 MiB and `5 s`. Another: 3\u202f% of 7 billion
parameters. [It](https://a.test/8-bytes) has 9 bytes. This[^1] has 11 bytes. See [12 files](other.md#13-files).

| a | 14 ms | [15 ms](https://b.test) |

```python exec output="figure" alt="16 GB" caption="='17 GB'"
18 * "GB"
```

[^1]: Took 19 hours.
"""
    assert [number for _, number, _ in typed_numbers(text)] == [
        "16 GB",
        "10 GB",
        "1,024 MiB",
        "3\u202f%",
        "7 billion parameters",
        "12 files",
        "14 ms",
    ]
