"""Names of modules against the patterns of a config that leave some of them as they are.

A pattern may be a regular expression, and a config may come from anywhere: an expression is followed here in steps that
are as many as its signs times those of the name, and one with more than the usual signs is refused.
"""

import re
from collections.abc import Iterable
from itertools import product

from weigh.models.quantization.unknown import Unknown

_MOST = 200  # expressions, and signs of one
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
        Unknown: If an expression has signs that are not followed here.
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
        self.steps = [steps for one in expressions for steps in _alternatives(one)]

    def has(self, name: str) -> bool:
        """Whether a pattern names this module or one around it."""
        if name in self.exact or (self.plain and name.endswith(self.ends)):
            return True
        parts = name.split(".")
        if self.plain and any(".".join(parts[:count]) in self.plain for count in range(1, len(parts) + 1)):
            return True
        return any(_begins(steps, name, to_boundary=not self.marked) for steps in self.steps)


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
    if sign == ".":
        return True
    if sign == "[^.]":
        return letter != "."
    if sign == "\\w":
        return letter.isalnum() or letter == "_"
    return letter in _CLASSES.get(sign, sign)


def _begins(steps: list[_Step], name: str, *, to_boundary: bool) -> bool:
    """Whether the steps lead from the start of a name to some place in it, or to the boundary of a module."""
    places = _free({0}, steps)
    for at in range(len(name) + 1):
        if len(steps) in places and (not to_boundary or at == len(name) or name[at] == "." or name[at - 1 : at] == "."):
            return True
        if any(place < len(steps) and steps[place][0] == "$" and at == len(name) for place in places):
            return True
        if at == len(name) or not places:
            return False
        reached = set()
        for place in places:
            if place < len(steps) and steps[place][0] != "$" and _fits(steps[place][0], name[at]):
                reached.add(place if steps[place][1] in ("*", "+") else place + 1)
                if steps[place][1] == "+":
                    reached.add(place + 1)
        places = _free(reached, steps)
    return False


def _free(places: set[int], steps: list[_Step]) -> set[int]:
    """The places, and those behind steps that need no letter."""
    found = set(places)
    for place in range(len(steps)):
        if place in found and steps[place][1] in ("*", "?"):
            found.add(place + 1)
    return found
