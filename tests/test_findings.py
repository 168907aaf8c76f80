"""The scripts of findings/, read and not run: each pins what it installs, needs nothing of ours, and is in the list."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

FINDINGS = Path(__file__).parent.parent / "findings"
SCRIPTS = sorted(FINDINGS.glob("*.sh"))


def test_the_list_is_complete() -> None:
    listed = re.findall(r"^\| \[(.+\.sh)\]\(\1\) \| \S", (FINDINGS / "README.md").read_text("utf-8"), re.MULTILINE)
    assert listed == [script.name for script in SCRIPTS]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_finding_stands_alone(script: Path) -> None:
    text = script.read_text("utf-8")
    assert os.access(script, os.X_OK)
    assert "mktemp -d" in text and "set -euo pipefail" in text
    assert re.search(r"^# Seen with .*\d\.\d", text, re.MULTILINE), "it says in which version"
    (installed,) = re.findall(r"pip install (.+)$", text, re.MULTILINE)
    packages = [name for name in installed.split() if not name.startswith("-")]
    assert packages and all("==" in name for name in packages)
    assert not re.search(r"^\s*(import|from) (weigh|handbook|quill)\b", text, re.MULTILINE)
    assert "assert " in text, "it fails the day that it is no longer so"
