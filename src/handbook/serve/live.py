"""The pages while they run: shown at once, the one that a reader has open run first, and filled in as it goes on.

The browser asks each second how far its page is (`live.js`). That tells which page is open, and is when a page of which
more is known than it shows is built again. Pages that nobody has open are built again when all have run.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.livereload import LiveReloadServer
from mkdocs.structure.files import Files
from watchdog.observers.polling import PollingObserver

from handbook.digests import Digests
from handbook.engine import Engine
from handbook.running import Task
from handbook.site import site

log = logging.getLogger("mkdocs.handbook")

PATIENCE = 1.0
"""Seconds that a build after an edit waits for what it runs, so that a quick page comes complete."""

PAUSE = 2.0
"""Seconds between two builds for the sake of blocks of a page of which others still run."""

SCRIPT, PROGRESS = "/handbook/live.js", "/handbook/progress.json"
MACHINERY = Path(__file__).parent.parent

Start = Callable[..., Any]


class Live:
    """What one `mkdocs serve` does about pages that run."""

    def __init__(self) -> None:
        self._server: LiveReloadServer | None = None
        self._addresses: dict[str, str] = {}
        self._for_news = self._building_news = False
        self._built = 0.0
        self._machinery = _machinery()

    def begin(self, config: MkDocsConfig, engine: Engine) -> None:
        """Start a build: the first one waits for nothing and runs nothing, those for news wait for nothing."""
        if self._server and _machinery() != self._machinery:
            self._start_again(config, engine)
        for_news, self._for_news = self._for_news, False
        site.deadline = time.monotonic() + (0 if for_news or not self._server else PATIENCE)
        engine.begin(edited=not for_news)
        if not self._server:
            engine.behind, engine.when_done = True, self._when_done
            engine.pool.hold()

    def end(self) -> None:
        """End a build."""
        self._building_news = False
        self._build_when_all_is_known()

    def note(self, files: Files) -> None:
        """Note the addresses of the pages."""
        self._addresses = {file.url.removeprefix("./"): file.src_uri for file in files.documentation_pages()}

    def serve(self, server: LiveReloadServer, config: MkDocsConfig) -> None:
        """Answer the script, and let the pages run now that the first one can be read."""
        self._server, respond, inject = server, server.serve_request, server._inject_js_into_html

        def app(environ: dict[str, Any], start_response: Start) -> Iterable[bytes]:
            path = str(environ["PATH_INFO"])
            if path == SCRIPT:
                start_response("200 OK", [("Content-Type", "application/javascript")])
                return [Path(__file__).with_name("live.js").read_bytes()]
            if path == PROGRESS:
                asked = parse_qs(str(environ.get("QUERY_STRING", ""))).get("page", [""])[0]
                start_response("200 OK", [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
                return [json.dumps(self._progress(self._task(asked))).encode()]
            if task := self._task(path):
                site.engine.pool.ask_for(task[0])
            return respond(environ, start_response)

        server.set_app(app)
        # As MkDocs adds its own script: in what is served, and not in the files, which are those of any build.
        tag = f'<script src="{SCRIPT}"></script></body>'.encode()
        server._inject_js_into_html = lambda html, epoch: inject(html.replace(b"</body>", tag), epoch)  # type: ignore
        # Look for changes ten times a second, and wait less for the last of several.
        watched = config.docs_dir, str(config.config_file_path)
        for path in watched:
            server.unwatch(path)
        server.observer, server.build_delay = PollingObserver(timeout=0.1), 0.02
        for path in watched:
            server.watch(path)
        waiting = site.engine.progress().pages
        if waiting[0] < waiting[1]:
            log.info(f"{waiting[1] - waiting[0]} pages have yet to run: the one that you open runs first")
        site.engine.pool.release()

    def _task(self, path: str) -> tuple[Task, int] | None:
        """The task of the page at an address, if it runs, and how much of it the page shows."""
        assert self._server
        url = path.removeprefix(self._server.mount_path).removesuffix("index.html").removeprefix("/")
        return site.tasks.get(self._addresses.get(url, ""))

    def _progress(self, shown: tuple[Task, int] | None) -> dict[str, Any]:
        """How far all pages are, and one of them, which a reader has open."""
        found: dict[str, Any] = asdict(site.engine.progress())
        if shown:
            task, known = shown
            if not task.done:
                site.engine.pool.ask_for(task)
            if task.known > known and (task.done or time.monotonic() - self._built > PAUSE):
                self._build()
            seconds = round(time.monotonic() - task.started) if task.started else 0
            blocks = len(task.outputs), len(task.job.blocks)
            found["page"] = {"blocks": blocks, "started": task.started > 0, "seconds": seconds}
        return found

    def _when_done(self, task: Task) -> None:
        outcome = task.result().outcome
        if outcome.failed >= 0:
            log.info(f"{task.page}, block {outcome.failed + 1} failed: {outcome.error}")
        self._build_when_all_is_known()

    def _build_when_all_is_known(self) -> None:
        done, count = site.engine.progress().pages
        if self._server and done == count and any(task.known > known for task, known in list(site.tasks.values())):
            self._build()

    def _build(self) -> None:
        """Have the site built for what has become known, as if a file had changed."""
        assert self._server
        if self._building_news:
            return
        self._for_news = self._building_news = True
        self._built = time.monotonic()
        with self._server._rebuild_cond:
            self._server._want_rebuild = True
            self._server._rebuild_cond.notify_all()

    def _start_again(self, config: MkDocsConfig, engine: Engine) -> None:
        """Replace this process by one with the machinery as it is now, unless that does not even start."""
        self._machinery = _machinery()
        tried = subprocess.run([sys.executable, "-c", "import handbook.hooks"], capture_output=True, text=True)
        if tried.returncode:
            log.error(f"the machinery stays as it was, since what it is now does not start:\n{tried.stderr}")
            return
        log.info("The machinery of the site has changed: starting again")
        engine.close()
        shutil.rmtree(config.site_dir, ignore_errors=True)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _machinery() -> str:
    return Digests(MACHINERY.parent).now(MACHINERY.name)
