#!/usr/bin/env bash
# A library for constrained decoding turns a pattern into the tokens that may come next. Where a text is complete and may
# also go on, both should be allowed: the end, and what goes on. outlines-core forbids what goes on there if it is a token
# of one byte, such as a decimal point or the first byte of an accented letter. It also goes no further than the first
# alternative that matches. Nothing is said, and what comes out is valid: a JSON number is always a whole one, a list of
# words has one word, and "Mac|Macbeth" is always Mac.
#
# Seen with outlines-core 0.2.14 (and with 0.2.3, 0.2.11 and 0.2.13), one token for each byte: behind "7" the schema
# {"type": "number"} allows digits and the end, and no point; "[0-9]+(\.[0-9]+)?" the same; "(ab)*" allows nothing but
# the end; and of "Mac|Macbeth" only "Mac" can be written. In an object, where a brace must follow, decimals are allowed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet outlines-core==0.2.14
cd "$folder"
env/bin/python - <<'PY'
import json
import re

from outlines_core import Guide, Index, Vocabulary
from outlines_core.json_schema import build_regex_from_schema

END = 256
vocabulary = Vocabulary(END, {bytes([byte]): [byte] for byte in range(256)})


def writes(pattern, text):
    """Whether the tokens of a text are allowed one after another, and the end behind them."""
    guide = Guide(Index(pattern, vocabulary))
    for byte in text.encode():
        if byte not in guide.get_tokens():
            return False
        guide.advance(byte)
    return END in guide.get_tokens()


number = build_regex_from_schema(json.dumps({"type": "number"}))
inside = build_regex_from_schema(json.dumps({"type": "object", "properties": {"x": {"type": "number"}}}))
cases = [
    (number, "7", "7.5"),
    (r"[0-9]+(\.[0-9]+)?", "7", "7.5"),
    ("(ab)*", "", "ab"),
    ("caf(é)?s?", "caf", "café"),
    ("(Mac|Macbeth)", "Mac", "Macbeth"),
]
for pattern, short, long in cases:
    print(f"{pattern!r}: {short!r} {writes(pattern, short)}, {long!r} {writes(pattern, long)}")
    assert re.fullmatch(pattern, short) and re.fullmatch(pattern, long)
    assert writes(pattern, short) and not writes(pattern, long)
assert writes(inside, '{"x":7.5}')
PY
