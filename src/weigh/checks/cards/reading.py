"""A model card as it is written: front matter with every value as its text, and headings with what is under them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from weigh.errors import InvalidCard
from weigh.optional import needed
from weigh.sources import File, is_directory, locate

_LARGEST = 4 * 2**20  # cards with results of whole benchmarks have half a megabyte
_MOST_VALUES = 200_000
_DEEPEST = 100
_NULL = ("", "~", "null", "Null", "NULL")
_LONGEST_HEADING = 300

# A front matter of the Hub: huggingface_hub has this expression too, and would be imported for it alone.
_FRONT_MATTER = re.compile(r"^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))")
_FENCE = re.compile(r"\s{0,12}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_HTML = re.compile(r"\s*<h([1-6])[^>]*>(.*)</h", re.IGNORECASE)
_BOLD = re.compile(r"\s*(?:[-*+]\s+)?(?:\*\*|__)([^*_]{2,80})(?:\*\*|__)\s*(:?)(.*)")
_RULE = re.compile(r" {0,3}(=+|-+)\s*")


@dataclass(frozen=True)
class Section:
    """A heading, and what stands under it, sections below it included.

    Attributes:
        heading: The heading's text.
        line: Its line in the file.
        text: What is under it, without code and comments.
    """

    heading: str
    line: int
    text: str


@dataclass(frozen=True)
class Card:
    """A model card: a Markdown file that begins with metadata in YAML, its front matter.

    Attributes:
        path: The file.
        text: All of it.
        data: The front matter. Every value is the text that stands there, `3.10` and `no` for instance, and null None.
        sections: The headings in order, each with what is under it. A line that is bold, or begins so, is one too.
        lines: The lines that readers see, by number: no code, no comments.
        notes: What was assumed.
    """

    path: str
    text: str
    data: Mapping[str, Any]
    sections: tuple[Section, ...]
    lines: Mapping[int, str]
    notes: tuple[str, ...] = ()


def read_card(path: str | Path) -> Card:
    """Read a model card: a file, or the `README.md` of a directory. A directory without one has an empty card.

    Raises:
        NotFound: If there is no such path.
        InvalidCard: If it is not UTF-8, is too large, or has front matter that is no mapping in YAML.
    """
    where = locate(path)
    if is_directory(where):
        where /= "README.md"
        if not where.exists():
            return Card(str(where), "", {}, (), {}, ("there is no README.md, so the card is empty",))
    raw = File(where).first(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise InvalidCard(where, "is larger than 4 MiB, which no model card is; give the card itself")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidCard(where, f"is not UTF-8 at byte {error.start:,}; save it as UTF-8") from None
    return parse(text, str(where))


def parse(text: str, path: str = "README.md") -> Card:
    """The card that a text is.

    Raises:
        InvalidCard: If its front matter is no mapping in YAML.
    """
    found = _FRONT_MATTER.match(text)
    data: Mapping[str, Any] = {}
    notes = []
    if found:
        data = front_matter(found[2], path, _breaks(found[1]) + 1)
    elif text.lstrip().startswith("---"):
        notes.append("it begins with ---, but no line of its own closes the front matter, so the Hub reads none")
    else:
        notes.append("no front matter: the first line of a card is ---")
    begin = found.end() if found else 0
    lines = dict(enumerate(_without_comments(text[begin:]).splitlines(), _breaks(text[:begin]) + 1))
    seen = {number: line for number, line, is_code in _outside_code(lines) if not is_code}
    return Card(path, text, data, _sections(seen), seen, tuple(notes))


def front_matter(block: str, path: str, first_line: int = 1) -> dict[str, Any]:
    """A mapping in YAML, with every value as the text that stands there.

    Raises:
        InvalidCard: If it is none, has a key twice, is nested too deep, or holds more than 200,000 values.
    """
    with needed(path):
        import yaml  # type: ignore[import-untyped]

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    made = 0

    def plain(node: Any) -> Any:
        nonlocal made
        made += 1
        line = node.start_mark.line + first_line
        if made > _MOST_VALUES:  # aliases of aliases make millions of a few lines
            raise InvalidCard(f"{path}, line {line}", f"has more than {_MOST_VALUES:,} values; write no aliases")
        if isinstance(node, yaml.ScalarNode):
            return None if not node.style and node.value in _NULL else node.value
        if isinstance(node, yaml.SequenceNode):
            return [plain(each) for each in node.value]
        found: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + first_line
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidCard(f"{path}, line {line}", "has a key that is no text; write a word before the colon")
            if key.value in found:
                raise InvalidCard(f"{path}, line {line}", f"has the key {key.value[:80]!r} again; keep one of the two")
            found[key.value] = plain(value)
        return found

    depth = 0
    try:
        for event in yaml.parse(block, Loader=loader):  # before any value is built
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST:
                raise RecursionError
        node = yaml.compose(block, Loader=loader)
        data = {} if node is None else plain(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + first_line}" if mark else path
        raise InvalidCard(where, f"is no YAML ({error.problem}); mend the front matter") from None
    except yaml.YAMLError as error:
        raise InvalidCard(path, f"is no YAML ({str(error).splitlines()[0]}); mend the front matter") from None
    except RecursionError:
        raise InvalidCard(path, "has front matter that is nested too deep; write it flat") from None
    if not isinstance(data, dict):
        raise InvalidCard(f"{path}, line {first_line}", "has front matter that is no mapping; write key: value")
    return data


def _breaks(text: str) -> int:
    return len(text.splitlines())


def _without_comments(text: str) -> str:
    """The text with comments of HTML blanked out, line by line."""
    parts, at = [], 0
    while (begin := text.find("<!--", at)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        parts += [text[at:begin], "\n" * text.count("\n", begin, end)]
        at = end + 3
    return "".join([*parts, text[at:]])


def _outside_code(lines: Mapping[int, str]) -> Iterator[tuple[int, str, bool]]:
    """Each line with its number, and whether it is code."""
    fence = ""
    for number, line in lines.items():
        mark = _FENCE.match(line)
        if fence:
            yield number, line, True
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif mark:
            yield number, line, True
            fence = mark[1]
        else:
            yield number, line, False


def _headings(lines: Mapping[int, str]) -> Iterator[tuple[int, int, str, str]]:
    """The line, the level and the text of each heading, and what follows it on its line."""
    for (number, line), (_, below) in pairwise([*lines.items(), (0, "")]):
        if not line.strip() or (len(line) > _LONGEST_HEADING and not _BOLD.match(line[:_LONGEST_HEADING])):
            continue
        if atx := _ATX.fullmatch(line):
            yield number, len(atx[1]), atx[2].rstrip("# \t"), ""
        elif html := _HTML.match(line):
            yield number, int(html[1]), re.sub(r"<[^>]*>", "", html[2]), ""
        elif _RULE.fullmatch(below) and not lines.get(number - 1, "").strip() and line.strip()[0] not in "-*+>|#":
            yield number, 1 if "=" in below else 2, line.strip(), ""
        elif (bold := _BOLD.fullmatch(line)) and (not bold[3].strip() or bold[2] or bold[1].rstrip().endswith(":")):
            yield number, 8 if bold[3].strip() else 7, bold[1].strip(" :"), bold[3]


def _sections(lines: Mapping[int, str]) -> tuple[Section, ...]:
    headings = [*_headings(lines)]
    numbers = [*lines]
    place = {number: at for at, number in enumerate(numbers)}
    ends = []
    later: list[tuple[int, int]] = []  # levels and lines of the headings below that may end a section
    for number, level, _, _ in reversed(headings):
        while later and later[-1][0] > level:
            later.pop()
        ends.append(place[later[-1][1]] if later else len(numbers))
        later.append((level, number))
    sections = []
    beside = {number: rest for number, _, _, rest in headings}  # a heading's own words document nothing
    for (number, _, heading, rest), end in zip(headings, reversed(ends), strict=True):
        under = (beside.get(each, lines[each]) for each in numbers[place[number] + 1 : end])
        sections.append(Section(heading, number, "\n".join([rest, *under])))
    return tuple(sections)
