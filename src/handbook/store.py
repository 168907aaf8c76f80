"""The store of outcomes on disk: what each job gave, under the circumstances in which it did.

It is content-addressed and may be shared by builds that run at the same time, are killed, or come from other machines.
What cannot be read, damaged or foreign, is as if it were not there.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import diskcache

from handbook import blocks, watch, worker
from handbook.worker import Job, Outcome

SIZE = 2**28
"""Bytes that the store may take; what was used least recently goes first."""

VARIANTS = 4
"""Outcomes kept of one job, so that going back to another branch runs nothing."""

_MACHINERY = [hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest() for module in (blocks, watch, worker)]
_SETTLED = "settled"


@dataclass
class Entry:
    """An outcome, and how it came about.

    Attributes:
        outcome: What the blocks of a page gave.
        files: The digest of every file that it depends on.
        versions: The version of every distribution that was imported, directly or not.
        imports: Names and versions of those that the blocks themselves import.
        python: The version of Python.
        machine: Where it was run.
        made: The day, as `YYYY-MM-DD`.
        commit: The commit that was checked out, or nothing outside of git.
    """

    outcome: Outcome
    files: dict[str, str]
    versions: dict[str, str]
    imports: list[str]
    python: str
    machine: str
    made: str
    commit: str


class _Disk(diskcache.JSONDisk):  # type: ignore[misc]
    """JSON alone: a foreign store may hold pickles, and reading one would run it."""

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode == diskcache.core.MODE_PICKLE:
            raise ValueError("a pickle, which this store never writes")
        return super().fetch(mode, filename, value, read)


class Store:
    """Entries by the jobs that they are of, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cache = self._open()

    def entries(self, job: Job) -> Iterator[Entry]:
        """What this job has given, the newest first."""
        found = self._get(address(job))
        for plain in found if isinstance(found, list) else ():
            with suppress(TypeError, KeyError, AttributeError):
                entry = Entry(**plain | {"outcome": Outcome(**plain["outcome"])})
                if len(entry.outcome.outputs) == len(job.blocks):
                    yield entry

    def keep(self, job: Job, entry: Entry) -> None:
        """Add what a job has given."""
        plain = asdict(entry)
        plain["outcome"] |= {"files": sorted(entry.outcome.files), "modules": sorted(entry.outcome.modules)}
        found = self._get(address(job))
        self._set(address(job), [plain, *(found if isinstance(found, list) else ())][:VARIANTS])

    def settled(self, world: str) -> set[str]:
        """The digests of the pages of which a build found in this state of the sources that nothing is left to run."""
        known = self._get(_SETTLED)
        return set(known.get("texts", ())) if isinstance(known, dict) and known.get("world") == world else set()

    def settle(self, world: str, texts: list[str]) -> None:
        """Remember that nothing is left to run of pages with these digests."""
        self._set(_SETTLED, {"world": world, "texts": texts})

    def rendered(self, key: str) -> str | None:
        """What was made of a notebook, by a digest of all that it is made of; nothing if it is not known."""
        known = self._get(f"rendered {key}")
        return known if isinstance(known, str) else None

    def keep_rendered(self, key: str, text: str) -> None:
        """Remember what was made of a notebook."""
        self._set(f"rendered {key}", text)

    def close(self) -> None:
        """Close the database."""
        self._cache.close()

    def _open(self) -> diskcache.Cache:
        for _ in range(2):
            try:
                return diskcache.Cache(str(self.directory), disk=_Disk, size_limit=SIZE)
            except (sqlite3.DatabaseError, OSError, ValueError):
                shutil.rmtree(self.directory, ignore_errors=True)
        raise OSError(f"cannot write to {self.directory}")

    def _get(self, key: str) -> Any:
        try:
            return self._cache.get(key)
        except Exception:  # a damaged entry can fail in any way, and costs a run
            return None

    def _set(self, key: str, value: Any) -> None:
        try:
            self._cache.set(key, value)
        except sqlite3.DatabaseError:
            self._cache = self._open()


def address(job: Job) -> str:
    """The key of a job: a digest of all that it says, of Python and of the machinery that runs it."""
    text = json.dumps([_MACHINERY, sys.version, platform.platform(), asdict(job)])
    return hashlib.sha256(text.encode()).hexdigest()
