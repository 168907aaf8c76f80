"""What a constructor refuses by itself, as it does in transformers, told from what the stand-ins do not know."""

import re
from collections.abc import Iterator

from weigh.models.constructors.archive import PATH, index

PLAIN = {"int", "float", "bool", "str", "list", "Listed", "tuple", "dict", "set", "range", "NoneType"}
"""The types of what a config holds: what cannot be done with these, no stand-in is to blame for."""

_CALL = re.compile(r"\(\) (?:takes|got|missing)")


def refusal(error: Exception) -> str:
    """The line of a constructor that its fields stop, and the error. Nothing if the stand-ins may be to blame.

    Args:
        error: What its code raised.
    """
    frames = list(_frames(error))
    sliced = [(path, line) for path, line in frames if path.startswith(f"{PATH.name}/")]
    if not sliced:
        return ""
    path, number = sliced[-1]
    lines = index().module(path.removeprefix(f"{PATH.name}/").removesuffix(".py")).decode().splitlines()[:number]
    said = lines[-1].strip()
    if frames[-1] == sliced[-1] and said.startswith(("raise", "assert")):
        return "" if isinstance(error, ImportError) else f"{_condition(lines)} ({type(error).__name__})"
    text = str(error).replace("'Listed'", "'list'")
    return f"{said} ({type(error).__name__}: {text})" if _is_of_values(error) else ""


def _is_of_values(error: Exception) -> bool:
    """Whether an error says of values of a config that they cannot be used so."""
    if isinstance(error, AttributeError):
        return type(error.obj).__name__ in PLAIN
    if isinstance(error, TypeError):
        return not _CALL.search(str(error)) and PLAIN.issuperset(re.findall(r"'(\w+)'", str(error)))
    return isinstance(error, IndexError | KeyError | ValueError)


def _frames(error: Exception) -> Iterator[tuple[str, int]]:
    """The files and lines that an error came through, the outermost first."""
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno
        traceback = traceback.tb_next


def _condition(lines: list[str]) -> str:
    """The condition below which the last of some lines stands, or that line."""
    depth = _depth(lines[-1])
    above = next((line.strip() for line in reversed(lines) if _depth(line) < depth), "")
    found = re.match(r"(?:el)?if (.*):", above)
    return found[1] if found else lines[-1].strip()


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
