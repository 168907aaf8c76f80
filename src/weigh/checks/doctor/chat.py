"""Whether the chat template parses, and whether the tokenizer has the marks that it writes. Nothing is rendered."""

import re
from collections.abc import Iterable
from typing import Any

from weigh.artifacts.reading import LARGEST
from weigh.checks.doctor.directory import ModelDirectory
from weigh.checks.doctor.examination import Fault, NotExamined, counted
from weigh.checks.doctor.generation import ids
from weigh.checks.results import CheckResult, Figure
from weigh.optional import needed
from weigh.sources import File

FILE = "chat_template.jinja"
_MARK = re.compile(r"<\|[^|<>\s]{1,40}\|>|<(?:start|end)_of_\w{1,30}>|<｜[^｜<>]{1,40}｜>")
"""A mark as most models spell them. Others, such as [INST], are text in one model and tokens in the next."""


def templates(home: ModelDirectory) -> dict[tuple[str, str], str]:
    """Chat templates by file and place.

    Raises:
        NotExamined: If there is none.
    """
    found: dict[tuple[str, str], str] = {}
    if home.holds(FILE):
        found[FILE, "the whole file"] = home.text(FILE)
    for file in ("tokenizer_config.json", "chat_template.json"):
        said: Any = home.fields(file).get("chat_template")
        if isinstance(said, str):
            found[file, "chat_template"] = said
        for each in said if isinstance(said, list) else []:
            if isinstance(each, dict) and isinstance(each.get("template"), str):
                found[file, f"chat_template {each.get('name')}"] = each["template"]
    folder = home.path / "additional_chat_templates"
    for path in sorted(path for path in folder.glob("*.jinja") if path.is_file()):
        text = File(path).first(LARGEST).decode("utf-8", errors="replace")
        found[f"{folder.name}/{path.name}", "the whole file"] = text
    if not found:
        raise NotExamined("there is no chat template")
    return found


def template(home: ModelDirectory) -> CheckResult:
    """Template: chat templates that are no Jinja, or of which two files hold two."""
    found = templates(home)
    faults = [
        Fault(file, place if line is None else f"line {line}", problem, "a template of Jinja")
        for (file, place), text in found.items()
        for line, problem in _refused(text)
    ]
    whole = {file: text for (file, place), text in found.items() if " " not in place or file == FILE}
    first = next(iter(whole), None)
    faults += [
        Fault(file, "chat_template", "another template", f"that of {first}")
        for file, text in whole.items()
        if first is not None and text.strip() != whole[first].strip()
    ]
    return counted(
        "chat templates that are no Jinja, or two",
        faults,
        "every chat fails, or is laid out as the model never saw it; take the template that was published with it",
        cost={"templates": len(found)},
    )


def template_marks(home: ModelDirectory) -> CheckResult:
    """Template marks: those that a chat template writes and the tokenizer has no token for, and an end of a turn that
    does not end the text.

    Some models were tuned on marks that are spelled out as text. So the finding is undecided where the tokenizer has
    no mark at all of the kind, and yes where it has others.
    """
    found, loaded = templates(home), home.tokenizer
    spelled = {piece: number for number, piece in loaded.pieces().items()} | dict(loaded.special)
    written = {mark: at for at, text in reversed(found.items()) for mark in _MARK.findall(text)}
    missing = [mark for mark in written if mark not in spelled]
    faults = [Fault(*written[mark], f"{mark}, which is no token", "a token of the tokenizer") for mark in missing]
    own = any(_MARK.fullmatch(name) for name in loaded.special)
    ends = _ends(home)
    texts = " ".join(found.values())
    named = {name for name, number in spelled.items() if number in ends and isinstance(name, str)}
    if own and not missing and ends and written and "eos_token" not in texts and not any(n in texts for n in named):
        marks = ", ".join(sorted(named)) or str(sorted(ends))
        faults.append(Fault("generation_config.json", "eos_token_id", marks, "with the mark that ends a turn"))
    result = counted(
        "marks that the template writes and the tokenizer lacks",
        faults,
        "a mark that is no token is spelled out letter by letter, which the model has not seen, and one that is not "
        "named as an end does not end the text; take tokenizer and template from one place",
        cost={"marks": len(written)},
    )
    if faults and not own:
        figure = Figure(result.figure.name, len(faults), 0, len(faults), "0 if the model was tuned on them as text")
        return CheckResult(result.check, figure, 0, result.reason, evidence=result.evidence, cost=result.cost)
    return result


def _ends(home: ModelDirectory) -> set[int]:
    """The ids at which a text ends."""
    for name in ("generation_config.json", "config.json"):
        try:
            if found := ids(home.fields(name)).get("eos"):
                return set(found)
        except NotExamined:
            continue
    return set()


def _refused(text: str) -> Iterable[tuple[int | None, str]]:
    """The line and the reason, if Jinja refuses a template. It is parsed, and neither compiled nor rendered."""
    with needed("a chat template"):
        from jinja2 import TemplateSyntaxError, nodes
        from jinja2.ext import Extension, loopcontrols
        from jinja2.parser import Parser
        from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The tag by which transformers finds the assistant's own words."""

        tags = {"generation"}  # noqa: RUF012 (as Jinja declares it)

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    rules = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    try:
        tree = rules.parse(text)
    except TemplateSyntaxError as error:
        return [(error.lineno, error.message or "is refused")]
    except RecursionError:
        return [(None, "nests too deep")]
    return [
        (node.lineno, f"no filter is called {node.name}")
        for node in tree.find_all(nodes.Filter)
        if node.name not in rules.filters
    ]
