"""Names of modules against the patterns of a config that leave some of them as they are.

A pattern may be a regular expression, and a config may come from anywhere: an expression is followed here in steps that
are as many as its signs times those of the name, and one with more than the usual signs is refused.
"""

import re
from collections.abc import Iterable
from itertools import product

from weigh.models.quantization.unknown import Unknown

_MOST = 200  # expressions, and signs of one
_MOST_COMPARED = 1_500_000  # signs, of all names together: half a second
_PLAIN = re.compile(r"[\w.\-]*")
_STEP = re.compile(r"(\\d|\\\.|\\_|\[0-9\]|\[\^\.\]|\\w|[\w.\-])([*+?]|(?=[^*+?{]|$))")
_CLASSES = {
    "\\d": "0123456789", "[0-9]": "0123456789", "\\w": "", "[^.]": "", ".": "", "\\.": ".", "\\_": "_",
}  # fmt: skip

_Step = tuple[str, str]  # a sign or class of them, and `*`, `+`, `?` or nothing


class Names:
    """Modules that patterns name, by the rule of transformers or by that of compressed-tensors.

    Args:
        patterns: Names, parts of them, or regular expressions.
        marked: Whether only what begins with `re:` is an expression, and all else a whole name.

    Raises:
        Unknown: If an expression has signs that are not followed here, or there are too many of them.
    """

    def __init__(self, patterns: Iterable[str], *, marked: bool = False) -> None:
        self.marked = marked
        given = [pattern.removeprefix("re:") for pattern in patterns if pattern.startswith("re:") or not marked]
        self.exact = {pattern for pattern in patterns if marked and not pattern.startswith("re:")}
        self.plain = {one for one in given if not marked and _PLAIN.fullmatch(one)}
        self.ends = tuple(self.plain)
        expressions = [one for one in given if one not in self.plain]
        if len(expressions) > _MOST:
            raise Unknown(f"its config has more than {_MOST} patterns")
        self.rows = [_Row(steps) for one in expressions for steps in _alternatives(one)]
        self.compared = 0

    def has(self, name: str) -> bool:
        """Whether a pattern names this module or one around it.

        Raises:
            Unknown: If that took too many comparisons by now.
        """
        if name in self.exact:
            return True
        if self.plain:
            self._count(1 + len(self.ends) // 20)
            inner = [at for at, letter in enumerate(name) if letter == "."]
            if name.endswith(self.ends) or any(name[:at] in self.plain for at in (*inner, len(name))):
                return True
        return any(self._begins(row, name) for row in self.rows)

    def _count(self, compared: int) -> None:
        self.compared += compared
        if self.compared > _MOST_COMPARED:
            raise Unknown("its patterns are too many for its modules")

    def _begins(self, row: "_Row", name: str) -> bool:
        """Whether an expression leads from the start of a name to a place in it, or to the boundary of a module."""
        places = set(row.free[0])
        for at in range(len(name) + 1):
            is_end = at == len(name)
            if len(row.steps) in places and (self.marked or is_end or name[at] == "." or name[at - 1 : at] == "."):
                return True
            if is_end:
                return any(place < len(row.steps) and row.steps[place][0] == "$" for place in places)
            self._count(1 + len(places) ** 2 // 4)
            reached: set[int] = set()
            for place in places:
                if place < len(row.steps) and _fits(row.steps[place][0], name[at]):
                    if row.steps[place][1] in ("*", "+"):
                        reached.update(row.free[place])
                    if row.steps[place][1] != "*":
                        reached.update(row.free[place + 1])
            if not reached:
                return False
            places = reached
        return False


class _Row:
    """The steps of an expression, and of each place the places that are reached from it without a letter."""

    def __init__(self, steps: list[_Step]) -> None:
        self.steps = steps
        self.free: list[tuple[int, ...]] = [(len(steps),)]
        for place in reversed(range(len(steps))):
            behind = self.free[0] if steps[place][1] in ("*", "?") else ()
            self.free.insert(0, (place, *behind))


def _alternatives(expression: str) -> list[list[_Step]]:
    """The rows of steps that an expression with groups of alternatives stands for."""
    pieces = re.split(r"\((?:\?:)?([^()]*)\)", expression.removeprefix("^"))
    choices = [piece.split("|") if number % 2 else [piece] for number, piece in enumerate(pieces)]
    rows: list[list[_Step]] = []
    for chosen in product(*choices):
        if len(rows) == _MOST:
            raise Unknown(f"the pattern {expression!r:.40} has more than {_MOST} alternatives")
        rows.append(_steps("".join(chosen), expression))
    return rows


def _steps(text: str, expression: str) -> list[_Step]:
    steps: list[_Step] = []
    at, text = 0, text.removesuffix("$") + ("$" if text.endswith("$") else "")
    while at < len(text):
        if text[at:] == "$":
            steps.append(("$", ""))
            break
        match = _STEP.match(text, at)
        if match is None or len(steps) == _MOST:
            raise Unknown(f"the pattern {expression!r:.40} is not understood")
        steps.append((match[1], match[2]))
        at = match.end()
    return steps


def _fits(sign: str, letter: str) -> bool:
    if sign == "$":
        return False
    if sign == ".":
        return True
    if sign == "[^.]":
        return letter != "."
    if sign == "\\w":
        return letter.isalnum() or letter == "_"
    return letter in _CLASSES.get(sign, sign)
