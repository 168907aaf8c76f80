"""A Python literal, read without compiling it, as NumPy does with the headers of its arrays."""

import re
from typing import Any, NoReturn

from weigh import errors

_MAX_DEPTH = 16  # of lists and tuples in a header: fields within fields within fields
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<number>\d{1,19})L?(?![\w.])"""
    r"""|(?P<word>True|False)(?!\w)|(?P<sign>[][(){},:]))""",
    re.ASCII,
)


class Literal:
    """A literal of what headers have: text, whole numbers, True, False, and lists, tuples and a dictionary.

    Attributes:
        value: What it stands for.

    Raises:
        MalformedHeader: If the text is anything else, or nests deeper than any header does.
        DuplicateKey: If a key of a dictionary appears twice.
    """

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where, self.at = text, where, 0
        self.value = self._parse(0)
        if text[self.at :].strip(" \t\n\r\f"):
            self._malformed("goes on behind its end")

    def _malformed(self, problem: str) -> NoReturn:
        raise errors.MalformedHeader(f"{self.where}, header", f"{problem} at character {self.at:,}; save it again")

    def _token(self) -> tuple[str, str]:
        match = _TOKEN.match(self.text, self.at)
        if not match or not match.lastgroup:
            self._malformed("is no literal")
        self.at = match.end()
        return match.lastgroup, match[match.lastgroup]

    def _accept(self, sign: str) -> bool:
        match = _TOKEN.match(self.text, self.at)
        if match and match["sign"] == sign:
            self.at = match.end()
            return True
        return False

    def _parse(self, depth: int) -> Any:
        kind, token = self._token()
        if depth > _MAX_DEPTH:
            self._malformed(f"nests deeper than {_MAX_DEPTH} levels")
        if kind == "text":
            return token[1:-1]
        if kind == "number":
            return int(token)
        if kind == "word":
            return token == "True"
        if token not in "([{":
            self._malformed("has a sign out of place")
        return self._mapping(depth) if token == "{" else self._sequence(token, depth)

    def _sequence(self, opening: str, depth: int) -> Any:
        closing, items, comma = {"(": ")", "[": "]"}[opening], [], True
        while not self._accept(closing):
            if not comma:
                self._malformed("lacks a comma")
            items.append(self._parse(depth + 1))
            comma = self._accept(",")
        if opening == "[":
            return items
        return items[0] if len(items) == 1 and not comma else tuple(items)

    def _mapping(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        comma = True
        while not self._accept("}"):
            if not comma:
                self._malformed("lacks a comma")
            key = self._parse(depth + 1)
            if not isinstance(key, str) or not self._accept(":"):
                self._malformed("has a key that is none")
            if key in found:
                raise errors.DuplicateKey(f"{self.where}, header key {key[:80]!r}", "appears twice; save it again")
            found[key] = self._parse(depth + 1)
            comma = self._accept(",")
        return found
