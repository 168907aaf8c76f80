"""`mkdocs serve` while pages run: they are readable at once, the open one runs first, and none disturbs another."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from bs4 import BeautifulSoup

FENCES = Path(__file__).with_name("fences.yml").read_text("utf-8")
CONFIG = """
site_name: live
plugins: []
theme: {{name: null, custom_dir: theme}}
hooks: [{hooks}]
markdown_extensions:
{fences}watch: [src]
"""
UNTIL = "import time\nfrom pathlib import Path\n\nwhile not Path('{}').exists():\n    time.sleep(0.01)\n"
SERVE = "from handbook import worker; worker.PRELOADED = (); from mkdocs.__main__ import cli; cli()"


def page(*blocks: str, formula: str = "", options: str = "") -> str:
    fences = [f"```python exec {options}\n{block}\n```" for block in blocks]
    return "\n\n".join(["# A page", *fences, formula and f"It is `={formula}`."])


@dataclass
class Site:
    """A small repository, and the servers that run in it."""

    root: Path
    servers: list[subprocess.Popen[bytes]]

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def serve(self, *options: str, source: Path | None = None) -> Server:
        """Start a server, and return when it answers."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        command = [sys.executable, "-c", SERVE, "serve", *(options or ["--livereload"]), "-a", address]
        path = os.pathsep.join(filter(None, [str(source or ""), os.environ.get("PYTHONPATH", "")]))
        log = self.root / f"log-{len(self.servers)}"
        with log.open("wb") as file:
            environment = os.environ | {"PYTHONPATH": path}
            self.servers.append(subprocess.Popen(command, cwd=self.root, env=environment, stdout=file, stderr=file))
        server = Server(f"http://{address}/", log)
        eventually(server.home)
        return server


@dataclass
class Server:
    """One `mkdocs serve`, as a browser sees it."""

    address: str
    log: Path

    def home(self) -> str:
        return self.html("")

    def html(self, path: str) -> str:
        try:
            with urlopen(self.address + path, timeout=60) as answer:
                return str(answer.read().decode())
        except (URLError, ConnectionError):
            return ""

    def open(self, path: str) -> BeautifulSoup:
        """A page as it is now, and as a browser has it open: it asks how far the page is."""
        shown = BeautifulSoup(self.html(path), "html.parser")
        self.progress(path)
        return shown

    def progress(self, path: str) -> dict[str, Any]:
        return json.loads(self.html(f"handbook/progress.json?page={quote('/' + path)}") or "{}")

    def said(self) -> str:
        return self.log.read_text()


def eventually(ask: Callable[[], Any]) -> Any:
    """The first answer that says something."""
    end = time.monotonic() + 120
    while not (answer := ask()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return answer


@pytest.fixture
def site(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.delenv("HANDBOOK_CACHE", raising=False)
    site = Site(tmp_path, [])
    site.write("mkdocs.yml", CONFIG.format(fences=FENCES, hooks=root / "src/handbook/hooks.py"))
    site.write("theme/main.html", "<html><body>{{ page.content }}</body></html>")
    site.write("docs/index.md", "# Home\n")
    site.write("src/near.py", "X = 1\n")
    yield site
    for server in site.servers:
        server.terminate()
        server.wait()


def text(shown: BeautifulSoup) -> str:
    return " ".join(shown.get_text().split())


def test_a_page_is_shown_before_it_has_run_and_filled_in_as_it_runs(site: Site) -> None:
    site.write("docs/slow.md", page("6 * 7", UNTIL.format("go") + "8 * 9", "10 * 11", formula="12 * 13"))
    server = site.serve()
    shown = eventually(lambda: (now := server.open("slow/")).select_one(".output") and now)
    assert "42" in text(shown)
    assert [place.get_text() for place in shown.select("p.pending")] == ["running, 2 of 3", "waiting, 3 of 3"]
    assert "10 * 11" in text(shown), "the code that is yet to run"
    assert "It is … ." in text(shown).replace("….", "… .")
    assert not shown.select("aside.assay"), "the foot says how the figures were made: there are none yet"
    assert not {"72", "110", "156"} & set(text(shown).split())
    assert server.progress("slow/") == {
        "pages": [0, 1],
        "blocks": [1, 3],
        "page": {"blocks": [1, 3], "started": True, "seconds": server.progress("slow/")["page"]["seconds"]},
    }
    site.write("go", "")
    shown = eventually(lambda: not (now := server.open("slow/")).select(".pending") and now)
    assert [output.get_text(strip=True) for output in shown.select(".output")] == ["42", "72", "110"]
    assert "It is 156." in text(shown)
    assert shown.select("aside.assay")
    assert server.progress("slow/")["pages"] == [1, 1]
    assert "1 of 1 pages have run, slow.md" in server.said()


def test_the_page_that_a_reader_opens_runs_first(site: Site) -> None:
    """All threads are busy with pages that nobody reads."""
    others = [f"other-{number:02}" for number in range(3 * (os.cpu_count() or 1))]
    for name in others:
        site.write(f"docs/{name}.md", page(UNTIL.format("go") + f"'{name}'"))
    site.write("docs/wanted.md", page("6 * 7"))
    server = site.serve()
    assert "42" in text(eventually(lambda: not (now := server.open("wanted/")).select(".pending") and now))
    eventually(lambda: server.progress("wanted/")["pages"] == [1, len(others) + 1])
    site.write("go", "")
    eventually(lambda: server.progress("wanted/")["pages"] == [len(others) + 1] * 2)
    # What nobody had open is there too, after one more build.
    eventually(lambda: all(not BeautifulSoup(server.html(f"{n}/"), "html.parser").select(".pending") for n in others))


DEATHS = {
    "dies": ("import os\nos._exit(3)", "", "ended its process with exit code 3"),
    "hangs": ("while True: ...", 'limit="0.3"', "ran for longer than 0.3 seconds"),
    "eats memory": ("bytearray(2**50)", "", "MemoryError"),
    "raises": ("1 / 0", "", "ZeroDivisionError"),
}


def test_a_page_that_dies_says_so_and_leaves_the_others_readable(site: Site) -> None:
    for name, (code, options, _) in DEATHS.items():
        site.write(f"docs/{name}.md", page(code, options=options))
    site.write("docs/fine.md", page("6 * 7"))
    server = site.serve()
    for name, (*_, message) in DEATHS.items():
        path = f"{quote(name)}/"
        shown = eventually(lambda path=path: not (now := server.open(path)).select(".pending") and now)
        assert message in text(shown)
        assert shown.select(".failure")
    assert "42" in text(eventually(lambda: not (now := server.open("fine/")).select(".pending") and now))
    for name, (*_, message) in DEATHS.items():
        assert f"{name}.md, block 1 failed" in server.said() and message in server.said(), "the terminal says it too"
    # To look at a page that failed is no reason to run it again.
    before = server.said().count("pages have run")
    for _ in range(3):
        server.open("raises/")
    assert server.said().count("pages have run") == before


def test_an_edit_while_pages_run_is_seen(site: Site) -> None:
    site.write("docs/slow.md", page("import near\nnear.X", UNTIL.format("go")))
    site.write("docs/quick.md", page("1 + 1"))
    server = site.serve()
    eventually(lambda: "2" in text(server.open("quick/")) and not server.open("quick/").select(".pending"))
    site.write("docs/quick.md", page("3 + 4"))
    eventually(lambda: [o.get_text(strip=True) for o in server.open("quick/").select(".output")] == ["7"])
    site.write("src/near.py", "X = 2\n")
    site.write("go", "")
    shown = eventually(lambda: not (now := server.open("slow/")).select(".pending") and now)
    eventually(lambda: [o.get_text(strip=True) for o in server.open("slow/").select(".output")] == ["2"])
    assert shown


def test_two_servers_share_a_store(site: Site) -> None:
    for number in range(4):
        site.write(f"docs/page-{number}.md", page(f"import near\nnear.X + {number}"))
    servers = [site.serve(), site.serve()]
    for server in servers:
        for number in range(4):
            shown = eventually(lambda s=server, n=number: not (p := s.open(f"page-{n}/")).select(".pending") and p)
            assert [output.get_text(strip=True) for output in shown.select(".output")] == [str(number + 1)]
        assert "Traceback" not in server.said()


def test_without_live_reload_a_page_is_served_when_it_has_run(site: Site) -> None:
    site.write("docs/some.md", page("6 * 7"))
    server = site.serve("--no-livereload")
    shown = BeautifulSoup(server.html("some/"), "html.parser")
    assert "42" in text(shown) and not shown.select(".pending")


def test_an_edit_of_the_machinery_starts_the_server_again(site: Site, root: Path) -> None:
    source = site.root / "src"
    shutil.copytree(root / "src" / "handbook", source / "handbook")
    site.write("mkdocs.yml", CONFIG.format(fences=FENCES, hooks=source / "handbook" / "hooks.py"))
    site.write("docs/some.md", page("6 * 7"))
    server = site.serve(source=source)
    eventually(lambda: server.open("some/").select("aside.assay"))
    foot = source / "handbook" / "foot.py"
    fine = foot.read_text()
    foot.write_text("this is no Python\n")
    eventually(lambda: "the machinery stays as it was" in server.said())
    assert server.open("some/").select("aside.assay")
    foot.write_text(fine.replace("How these figures were made", "How they came about"))
    eventually(lambda: server.open("some/").select("aside[aria-label='How they came about']"))
