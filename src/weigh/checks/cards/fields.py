"""The fields that a card must have, and the placeholders that stand where nobody has written anything."""

import re
from collections.abc import Iterable, Iterator, Mapping

from weigh.checks.cards.reading import Card
from weigh.checks.results import CheckResult, Figure, first
from weigh.errors import InvalidSetting

FIELDS: Mapping[str, str] = {
    "intended use": r"(intended|direct|downstream|primary|evaluated|expected) (us(e|es|age|er|ers)|application)"
    r"|^(model )?uses?$|\buse cases?\b|out of scope|\bpurpose\b|^applications?$"
    r"|verwendungszweck|einsatzzweck|vorgesehene (nutzung|verwendung)|(utilisation|usage)s? prévue?s?|cas d usage"
    r"|usos? previstos?|casos de uso|用途|使用场景",
    "training data": r"train\w* .*\b(data\w*|corp(us|ora)|sets?)\b|train\w*(data|set)|\bdata\w* .*\btrain"
    r"|^data(sets?| sources?)?$|trainingsdaten|données d entraînement|datos de entrenamiento|训练数据|训练集",
    "metrics": r"\bmetrics?\b|\bevaluations?\b|\bresults?\b|\bperformance\b|\bbenchmarks?\b|\baccuracy\b"
    r"|quantitative analys|\b(metriken|auswertung|ergebnisse|métriques?|évaluations?|résultats|métricas?|evaluación"
    r"|resultados)\b|评估|评测|指标",
    "limitations": r"\blimit(s|ations?)?\b|\bcaveats?\b|known issues|out of scope|shortcomings|failure modes"
    r"|grenzen|einschränkungen|\blimites\b|limitaciones|局限|限制",
    "risks": r"\brisks?\b|\bbias(es|ed)?\b|\bethic\w*|\bsafety\b|\bfairness\b|\bharms?\b|\bmisuse\b|responsible"
    r"|responsibility|broader (impact|implications)|risiken|verzerrung|\brisques?\b|\bbiais\b|riesgos?|sesgos?"
    r"|风险|偏见|偏差",
    "operational constraints": r"\boperation\w*|\bhardware\b|\brequirements?\b|\bdeploy\w*|\bserving\b|\blatency\b"
    r"|\bmemory\b|technical specification|\binfrastructure\b|running the model|\bbetrieb\w*|exploitation"
    r"|déploiement|operativas?|despliegue|部署|硬件|运行",
    "licence": r"\blicen[cs](e|es|ing)\b|\blizenz|\blicencia\b|许可",
}
"""The fields that a card must have, each with the headings under which it is looked for: an expression, held against a
heading in lower case whose punctuation is spaces. English, German, French, Spanish, Chinese."""

_NEEDS_NUMBER = "metrics"
_METADATA = {"training data": "datasets", "metrics": "model-index", "licence": "license"}
_YES_NO = ("no", "yes")
_UNKNOWN = ("", "other", "unknown")

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_SPAN = re.compile(r"`[^`]{1,500}`")
_MISSING_TEXT = re.compile(r"more information needed|lorem ipsum|\{\{[^{}]{0,80}\}\}", re.IGNORECASE)
_BULLET = re.compile(r"[\s\-*+>|#\[(<_\"'`]*")
_LABEL = re.compile(r"[\s\-*+>|#]*(?:\*\*[^*]{1,80}\*\*\s*:?|[\w\-]{1,40}:)[\s\[(<*_\"'`]*")
_BEGINNING = re.compile(r"(TODO|TBD|TBC|FIXME)\b")
_WHOLE = re.compile(
    r"(to be (added|completed|determined|done|written)|coming soon|fill (me|this) in)\W*", re.IGNORECASE
)


def undocumented_fields(
    card: Card,
    *,
    is_adapter: bool = False,
    headings: Mapping[str, str] | None = None,
    least_words: int = 5,
) -> CheckResult:
    """Undocumented fields: those of the required ones under whose headings a card says nothing.

    A field is documented by words under one of its headings; metrics must have a number among them. Training data,
    metrics and licence may stand in the front matter instead, the base model of an adapter must. Placeholders, code
    and comments are no words.

    Args:
        card: As `read_card` gives it.
        is_adapter: Whether the base model is required too.
        headings: Expressions for more headings, by field: `{"risks": "gevaren"}`.
        least_words: How many words are enough. A licence needs one.

    Raises:
        InvalidSetting: If a field is unknown, or an expression is none.
    """
    more = headings or {}
    _check(more)
    rows = []
    for field, pattern in FIELDS.items():
        where, words = _best(card, field, [pattern, more.get(field, pattern)])
        enough = 1 if field == "licence" or where == "front matter" else least_words
        rows.append({"field": field, "documented": _YES_NO[words >= enough], "found": where, "words": words})
    if is_adapter:
        named = len(_values(card.data.get("base_model")))
        where = "front matter" if named else ""
        rows.append({"field": "base model", "documented": _YES_NO[named > 0], "found": where, "words": named})
    missing = sum(row["documented"] == "no" for row in rows)
    return CheckResult(
        check="required fields",
        figure=Figure.exact("required fields that say nothing", missing),
        threshold=0,
        reason="each is what somebody has to know before the model is used, and asks for afterwards",
        evidence=tuple(sorted(rows, key=lambda row: str(row["documented"]))),
        cost={"fields": len(rows), "headings read": len(card.sections)},
        notes=card.notes,
    )


def placeholder_texts(card: Card, *, most: int = 0) -> CheckResult:
    """Placeholder texts: `[More Information Needed]`, `TODO` at the start of a line or a value, `{{ … }}`, and so on.

    Args:
        card: As `read_card` gives it.
        most: How many are let through.
    """
    rows = [{"line": number, "text": line.strip()[:80]} for number, line in _visible(card) for _ in _placeholders(line)]
    return CheckResult(
        check="placeholders",
        figure=Figure.exact("placeholder texts", len(rows)),
        threshold=most,
        reason="a placeholder says that nobody has written it; write it, or take its heading out",
        evidence=first(rows),
        cost={"lines read": len(card.text.splitlines())},
    )


def _check(headings: Mapping[str, str]) -> None:
    for field, pattern in headings.items():
        if field not in FIELDS:
            raise InvalidSetting("heading", f"{field!r} is no field; the fields are {', '.join(FIELDS)}")
        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidSetting("heading", f"{pattern!r} is no regular expression ({error})") from None


def _best(card: Card, field: str, patterns: Iterable[str]) -> tuple[str, int]:
    """Where most is said about a field, and in how many words."""
    best = ("", 0)
    said = card.data.get(_METADATA.get(field, ""))
    if field == "metrics":
        said = _has_value(said)
    known = [value for value in _values(said) if value.casefold() not in _UNKNOWN]
    if field == "licence" and not known:
        known = _values(card.data.get("license_name"))
    if known:
        return "front matter", len(known)
    for section in card.sections:
        heading = " ".join(re.findall(r"[^\W_]+", section.heading.casefold()))
        if any(re.search(pattern, heading, re.IGNORECASE) for pattern in patterns):
            words = _words(section.text)
            if field == _NEEDS_NUMBER and not any(any(map(str.isdigit, word)) for word in words):
                words = []
            if not best[0] or len(words) > best[1]:
                best = f"line {section.line}: {section.heading[:60]}", len(words)
    return best


def _has_value(index: object) -> str | None:
    """A word if a model-index holds a metric's value."""
    if isinstance(index, list):
        return next((found for each in index if (found := _has_value(each))), None)
    if isinstance(index, dict):
        if isinstance(index.get("value"), str):
            return "model-index"
        return next((found for each in index.values() if (found := _has_value(each))), None)
    return None


def _values(said: object) -> list[str]:
    """The values of a key that holds one or a list, without placeholders."""
    found = said if isinstance(said, list) else [said]
    return [each for each in found if isinstance(each, str) and each.strip() and not [*_placeholders(each)]]


def _words(text: str) -> list[str]:
    lines = (line for line in text.splitlines() if not any(_placeholders(line)))
    return _WORD.findall(re.sub(r"\]\([^()\s]{1,500}\)|<[^<>]{1,500}>", " ", "\n".join(lines)))


def _is_placeholder(line: str) -> bool:
    """Whether a line, after a bullet or a label, is a placeholder."""
    starts = (found.end() for pattern in (_BULLET, _LABEL) if (found := pattern.match(line)))
    return any(_BEGINNING.match(line, at) or _WHOLE.fullmatch(line[at : at + 200]) for at in starts)


def _placeholders(line: str) -> Iterator[str]:
    found = [match[0] for match in _MISSING_TEXT.finditer(_SPAN.sub("", line))]  # code shows a template
    yield from found or (["placeholder"] if _is_placeholder(line) else [])


def _visible(card: Card) -> Iterator[tuple[int, str]]:
    """The lines of the front matter, and those of the body that readers see."""
    begin = next(iter(card.lines), None)
    head = card.text.splitlines()[: begin - 1] if begin else card.text.splitlines() if card.data else []
    yield from enumerate(head, 1)
    yield from card.lines.items()
