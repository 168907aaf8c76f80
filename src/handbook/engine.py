"""Gets the outcome of a page's job: from the cache if nothing that it depends on has changed, else by running it.

The cache is content-addressed: a job is found by its code, and an outcome of it is good as long as every file it read,
every module of `src/` it reached, `models/`, and the versions of the packages it imported are what they were. The cache
may be shared by builds that run at the same time, killed, or damaged: what cannot be read is run again.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import logging
import multiprocessing
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import diskcache

from handbook import worker
from handbook.machine import machine
from handbook.worker import Job, Outcome

log = logging.getLogger("mkdocs.handbook")

SIZE = 2**28
"""Bytes that the cache may take; what was used least recently goes first."""

_SETTLED = "settled"

VARIANTS = 4
"""Outcomes kept of one job, so that going back to another branch runs nothing."""


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


@dataclass
class Counts:
    """What a build did."""

    ran: int = 0
    replayed: int = 0
    seconds: list[tuple[float, str]] = field(default_factory=list)


class Engine:
    """Runs jobs, two at a time on a machine of two cores, and remembers their outcomes.

    Args:
        root: The root of the repository. Blocks run there; dependencies are paths from there.
        store: The directory of the cache.
    """

    def __init__(self, root: Path, store: Path) -> None:
        self.root, self.store = root.resolve(), store
        self.counts = Counts()
        self._jobs: dict[Job, Future[Entry]] = {}
        self._hashes: dict[str, tuple[tuple[int, ...], str]] = {}
        self._found: dict[str, str] = {}
        self._texts: list[str] = []
        self._settled: set[str] | None = None
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        self._cache = self._open()

    def begin(self) -> None:
        """Start a build: forget what the last one found out about the files."""
        self.counts = Counts()
        self._jobs.clear()
        self._found.clear()
        self._texts.clear()
        self._settled = None
        _installed.cache_clear()
        _owners.cache_clear()
        _commit.cache_clear()

    def submit(self, job: Job, page: str = "") -> Future[Entry]:
        """Have a job done. The future gives its entry at once if nothing that it depends on has changed."""
        if job not in self._jobs:
            entry = self._find(job)
            if entry:
                self.counts.replayed += len(job.blocks)
                self._jobs[job] = Future()
                self._jobs[job].set_result(entry)
            else:
                self._jobs[job] = self._pool.submit(self._make, job, page)
        return self._jobs[job]

    def _make(self, job: Job, page: str) -> Entry:
        before, started = self._sources(), time.time_ns()
        outcome = self._run(job, page)
        self.counts.ran += len(outcome.outputs)
        self.counts.seconds += [(s, f"{page}, block {n}") for n, s in enumerate(outcome.seconds, start=1)]
        files = {path: self._hash(path) for path in sorted(outcome.files)} | {"models": self._hash("models")}
        owners = _owners()
        versions = {name: _version(name) for module in outcome.modules for name in owners.get(module, ())}
        named = {name for module in _imports(job) for name in owners.get(module, ())}
        imports = [f"{name} {_version(name)}" for name in sorted(named, key=str.lower)]
        python, today = platform.python_version(), datetime.now(UTC).strftime("%Y-%m-%d")
        entry = Entry(outcome, files, versions, imports, python, machine(), today, _commit(self.root))
        changed = any(before.get(path, digest) != digest for path, digest in files.items())
        changed = changed or any(self._time(path) > started for path in files)
        if outcome.failed < 0 and not outcome.wrong_formulas and not changed:
            self._keep(job, entry)
        return entry

    def _run(self, job: Job, page: str) -> Outcome:
        context = _context()
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=worker.work, args=(sender, str(self.root), job), daemon=True)
        process.start()
        sender.close()
        outputs: list[str] = []
        started, patience = time.monotonic(), worker.Block("").limit
        limits = [*(block.limit for block in job.blocks), patience]
        try:
            while receiver.poll(patience):
                message = receiver.recv()
                if isinstance(message, Outcome):
                    return message
                outputs, patience = message, limits[len(message)]
                if time.monotonic() - started > 5:
                    started = time.monotonic()
                    log.info(f"{page}: block {len(outputs) + 1} of {len(job.blocks)}")
            error = f"ran for longer than {patience:g} seconds; give the fence a larger limit if it must"
        except (EOFError, OSError):
            process.join()
            error = f"ended its process with exit code {process.exitcode}"
        finally:
            process.kill()
        if len(outputs) == len(job.blocks):
            error = f"when it was over, a formula {error}"
        return Outcome(outputs, failed=min(len(outputs), len(job.blocks) - 1), error=error)

    # What an outcome depends on

    def _hash(self, path: str) -> str:
        """A digest of a file, or of a directory with all that is below it. Read again only if its times changed."""
        full = self.root / path
        try:
            if full.is_dir():
                names = sorted(str(p.relative_to(full)) for p in full.rglob("*") if "__pycache__" not in p.parts)
                below = [self._hash(f"{path}/{name}") for name in names if not (full / name).is_dir()]
                return hashlib.sha256("\n".join(names + below).encode()).hexdigest()
            status = full.stat()
            stamp = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
            known, digest = self._hashes.get(path, ((), ""))
            if known != stamp:
                with full.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                if time.time_ns() - max(stamp[:2]) > 10**8:  # else a second edit might fall in the same tick
                    self._hashes[path] = stamp, digest
            return digest
        except OSError:
            return "absent"

    def _digest(self, path: str) -> str:
        """The digest that a build goes by: many pages depend on the same files."""
        if path not in self._found:
            self._found[path] = self._hash(path)
        return self._found[path]

    def _time(self, path: str) -> int:
        """When a file was last changed, or the directory that it is missing from."""
        full = self.root / path
        while not full.exists():
            full = full.parent
        status = full.stat()
        return max(status.st_mtime_ns, status.st_ctime_ns)

    def _sources(self) -> dict[str, str]:
        """The digests of the sources before a job runs: if one changes meanwhile, nobody knows which version ran."""
        paths = [str(path.relative_to(self.root)) for path in (self.root / "src").rglob("*.py")]
        return {path: self._hash(path) for path in [*paths, "src", "models"]}

    # The cache

    def _open(self) -> diskcache.Cache:
        for _ in range(2):
            try:
                return diskcache.Cache(str(self.store), disk=diskcache.JSONDisk, size_limit=SIZE)
            except (sqlite3.DatabaseError, OSError, ValueError):
                shutil.rmtree(self.store, ignore_errors=True)
        raise OSError(f"cannot write to {self.store}")

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

    def _variants(self, job: Job) -> list[dict[str, Any]]:
        found = self._get(_address(job))
        return found if isinstance(found, list) else []

    def _find(self, job: Job) -> Entry | None:
        for variant in self._variants(job):
            with contextlib.suppress(TypeError, KeyError, AttributeError):
                entry = Entry(**variant | {"outcome": Outcome(**variant["outcome"])})
                complete = len(entry.outcome.outputs) == len(job.blocks)
                fresh = all(self._digest(path) == digest for path, digest in entry.files.items())
                same = all(_version(name) == found for name, found in entry.versions.items())
                if complete and fresh and same:
                    return entry
        return None

    def _keep(self, job: Job, entry: Entry) -> None:
        plain = asdict(entry)
        plain["outcome"] |= {"files": sorted(entry.outcome.files), "modules": sorted(entry.outcome.modules)}
        self._set(_address(job), [plain, *self._variants(job)][:VARIANTS])

    def needs_preparing(self, text: str) -> bool:
        """Whether a page may have to run: not if the last build replayed this text, and no source has changed since.

        To be wrong costs time only: the page is then run when it is rendered, and not ahead of it.
        """
        self._texts.append(hashlib.sha256(text.encode()).hexdigest())
        if self._settled is None:
            known = self._get(_SETTLED)
            same = isinstance(known, dict) and known.get("world") == self._world()
            self._settled = set(known.get("texts", ())) if same else set()
        return self._texts[-1] not in self._settled

    def finish(self) -> None:
        """End a build: remember the texts of its pages, none of which has anything left to run."""
        if self._settled != set(self._texts):
            self._set(_SETTLED, {"world": self._world(), "texts": self._texts})

    def _world(self) -> str:
        return " ".join(self._digest(path) for path in ("src", "snippets", "docs/labs", "models"))

    def close(self) -> None:
        """End the threads and close the cache."""
        self._pool.shutdown()
        self._cache.close()


def _address(job: Job) -> str:
    text = json.dumps([_MACHINERY, sys.version, platform.platform(), asdict(job)])
    return hashlib.sha256(text.encode()).hexdigest()


_MACHINERY = hashlib.sha256(Path(worker.__file__).read_bytes()).hexdigest()


@cache
def _context() -> Any:
    # What a page shows does not depend on the order of sets, and two pages at a time do not fight for the cores.
    os.environ |= {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["handbook.worker", *worker.PRELOADED])
    return context


def _imports(job: Job) -> set[str]:
    """The top-level modules that the blocks of a job import."""
    found: set[str] = set()
    for block in job.blocks:
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(block.code)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found.update(name.partition(".")[0] for name in names)
    return found


@cache
def _owners() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions  # slow, and for pages that run only

    return packages_distributions()


@cache
def _installed() -> dict[str, str]:
    """The version of each distribution on the path, by the names of their metadata directories: nothing is read."""
    found: dict[str, str] = {}
    for directory in sys.path:
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                if name.endswith(".dist-info"):
                    distribution, _, version = name.removesuffix(".dist-info").partition("-")
                    found.setdefault(_normal(distribution), version)
    return found


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _version(distribution: str) -> str:
    return _installed().get(_normal(distribution), "absent")


@cache
def _commit(root: Path) -> str:
    try:
        done = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=root, capture_output=True, text=True)
    except OSError:  # there is no git
        return ""
    return done.stdout.strip()
