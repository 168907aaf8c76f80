"""How long does `mkdocs serve` take to the first page, and after a file is saved? Does the server grow?

First this book is served from nothing, as a newcomer does who opens one page: until that page is there, until all of it
is there, and until all pages are. With `--against`, an older commit does the same, one after the other.

Then it generates pages with cheap blocks, and asks the server what a browser asks: for a page, then for news, which
comes when the site has been built again, and for the page once more. Three servers take turns: this site's; the same,
but building everything again after each edit, as MkDocs does; and MkDocs on these pages with nothing executed. Then the
memory of the first is read while it builds a hundred times. Prints Markdown. Wants a quiet machine.

    python bench/serve.py [--against COMMIT] [--pages 60] [--rounds 7] [--rebuilds 100]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import yaml
from mkdocs.utils.yaml import yaml_load

from handbook.machine import machine

ROOT = Path(__file__).parent.parent
CHAPTERS = 6
OPENED = "checkpoints/anatomy/"
EDITS = {
    "prose edit": "docs/chapter-0/page-00.md",
    "code edit": "docs/chapter-0/page-00.md",
    "library edit": "src/gauge/unit.py",
}
MKDOCS = "from mkdocs.__main__ import cli; cli()"
FORGETFUL = f"import handbook.serve.reuse; handbook.serve.reuse.Reuse = lambda: None; {MKDOCS}"
NEWS = re.compile(r"livereload\((\d+), (\d+)\);")

PARAGRAPH = """A tensor is a block of **numbers** of one type, with a `shape` that says how to read it. What it takes in
memory is the number of its elements times the bytes of one, and [nothing else](../index.md): names, shapes and strides
are small change. Each page has three of these paragraphs in each of its parts, a table, a program and a question."""

PART = f"""
## Part {{part}}

{"".join(f"{PARAGRAPH}{chr(10) * 2}" for _ in range(3))}
```python{{run}}
sizes_{{part}} = [4 * {{page}} * rows for rows in range(5)]
print(sizes_{{part}}, value(), {{code}})
```

| rows | bytes |
| --- | ---: |
| 1 | {{quote}}sizes_{{part}}[1]{{end}} |
| 2 | {{quote}}sizes_{{part}}[2]{{end}} |

??? question "How many bytes are four rows of page {{page}}?"

    {{quote}}sizes_{{part}}[4]{{end}} bytes.
"""


@dataclass
class Server:
    """An `mkdocs serve` and what it serves.

    Attributes:
        name: As in the table.
        root: The directory of its site.
        executed: Whether its pages run.
        program: What is run.
        opened: The page that is open, from the root of the site.
        seconds: From saving to having the page, for each kind of edit.
    """

    name: str
    root: Path
    executed: bool
    program: str
    opened: str = "chapter-0/page-00/"
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    numbers: dict[str, int] = field(default_factory=lambda: {what: 10**6 * n for n, what in enumerate(EDITS, start=1)})

    def write(self, path: str) -> None:
        """Write a file of the site, with the numbers that the edits have reached."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        prose, code, library = self.numbers.values()
        if path == EDITS["library edit"]:
            file.write_text(f"def value():\n    return {library}\n")
            return
        number = int(file.stem.removeprefix("page-"))
        edited = path == EDITS["prose edit"]
        setup = "from gauge.unit import value" if number % 4 == 0 else "value = int"
        run = " exec" if self.executed else ""
        quote, end = ("`=", "`") if self.executed else ("", "")
        opening = f"# Page {number}\n\nEdited: {prose if edited else number}.\n\n```python{run}\n{setup}\n```\n"
        parts = [
            PART.format(part=part, page=number, code=code if edited else 0, run=run, quote=quote, end=end)
            for part in range(3)
        ]
        file.write_text(opening + "".join(parts))

    def generate(self, pages: int) -> None:
        """Write the site, with the settings of this project's."""
        for name in ("docs/assets", "models", "overrides", "snippets", "src"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        with (ROOT / "mkdocs.yml").open("rb") as file:
            config = yaml_load(file)
        for key in ("nav", "exclude_docs"):
            config.pop(key, None)
        if not self.executed:
            del config["hooks"]
            ours = ("handbook.pages", "pymdownx.superfences")
            others = [e for e in config["markdown_extensions"] if not any(name in e for name in ours)]
            config["markdown_extensions"] = [*others, "pymdownx.superfences"]
        (self.root / "mkdocs.yml").write_text(yaml.dump(config))
        (self.root / "docs/index.md").write_text("# Pages\n")
        self.write(EDITS["library edit"])
        for number in range(pages):
            self.write(f"docs/chapter-{number * CHAPTERS // pages}/page-{number:02}.md")

    def start(self, environment: dict[str, str]) -> None:
        """Start, and wait for the first build."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-c", self.program, "serve", "-q", "--livereload", "-a", f"127.0.0.1:{self.port}"]
        source = {"PYTHONPATH": str(self.root / "src")}
        self.process = subprocess.Popen(command, cwd=self.root, env=environment | source)
        while self.process.poll() is None:
            try:
                self.page()
                return
            except ConnectionError:
                time.sleep(0.2)
        raise SystemExit(f"{self.name} did not start")

    def page(self) -> str:
        """The page that is open."""
        return self.ask("/" + self.opened)

    def ask(self, path: str) -> str:
        """What is at a path, or nothing."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else ""

    def save(self, what: str) -> float:
        """Make an edit, and return the seconds until the page shows it."""
        page = self.page()
        self.numbers[what] += 1
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        start = time.perf_counter()
        self.write(EDITS[what])
        while str(self.numbers[what]) not in page:
            epoch, request = NEWS.findall(page)[0]
            connection.request("GET", f"/livereload/{epoch}/{request}")
            connection.getresponse().read()
            page = self.page()
        return time.perf_counter() - start

    def memory(self) -> float:
        """The resident memory in MiB."""
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, text=True)
        return int(done.stdout) / 1024


def serve_book(tree: Path) -> dict[str, float]:
    """Serve the pages of a clone from nothing, with one of them open, and return the seconds to each stage."""
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"HANDBOOK_CACHE": cache, "NO_MKDOCS_2_WARNING": "1"}
        server = Server("the book", tree, True, MKDOCS, opened=OPENED)
        start = time.perf_counter()
        try:
            server.start(environment)
            stages = {"first page": time.perf_counter() - start}
            while 'class="pending"' in server.page():
                server.ask("/handbook/progress.json?page=/" + OPENED)
                time.sleep(1)  # as live.js does
            stages["opened page complete"] = time.perf_counter() - start
            while True:
                pages = json.loads(server.ask("/handbook/progress.json") or '{"pages": [1, 1]}')["pages"]
                if pages[0] == pages[1]:
                    break
                time.sleep(1)
            stages["book complete"] = time.perf_counter() - start
            return stages
        finally:
            server.process.terminate()
            server.process.wait()


def start_times(against: str) -> None:
    """Print how long a newcomer waits, with this tree and an older commit."""
    with tempfile.TemporaryDirectory() as directory:
        trees = {"this tree": ROOT}
        if against:
            clone = Path(directory).resolve() / "clone"
            subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
            subprocess.run(["git", "checkout", "-q", against], cwd=clone, check=True)
            trees = {against: clone, **trees}
        rows = {name: serve_book(tree) for name, tree in trees.items()}
    stages = list(rows["this tree"])
    print(f"| seconds from the start | {' | '.join(stages)} |\n| --- |{' ---: |' * len(stages)}")
    for name, seconds in rows.items():
        print(f"| {name} | {' | '.join(f'{seconds[stage]:.1f}' for stage in stages)} |")
    if against:
        ratios = [rows[against][stage] / rows["this tree"][stage] for stage in stages]
        print(f"| times faster | {' | '.join(f'{ratio:.1f}' for ratio in ratios)} |")
    print()


def compare(servers: list[Server], rounds: int) -> None:
    """Save with each server, once for each kind of edit in each round."""
    for number in range(rounds + 1):
        for what in EDITS:
            for server in reversed(servers) if number % 2 else servers:
                if what == "library edit" and not server.executed:
                    continue
                time.sleep(0.7 + random.random() / 2)  # at no fixed time after the server last looked
                seconds = server.save(what)
                if number:  # the first round warms up
                    server.seconds[what].append(seconds)
    print(f"| server | {' | '.join(EDITS)} |\n| --- |{' ---: |' * len(EDITS)}")
    for server in servers:
        cells = [f"{median(s):.2f} (at most {max(s):.2f})" if (s := server.seconds[w]) else "–" for w in EDITS]
        print(f"| {server.name} | {' | '.join(cells)} |")


def grow(server: Server, rebuilds: int) -> None:
    """Save again and again, and print the memory."""
    sizes = {0: server.memory()}
    for number in range(1, rebuilds + 1):
        server.save("library edit" if number % 10 == 0 else "prose edit")
        if number % max(1, rebuilds // 4) == 0:
            sizes[number] = server.memory()
    print(f"\n| rebuilds of this site | {' | '.join(map(str, sizes))} |\n| --- |{' ---: |' * len(sizes)}")
    print(f"| memory of the server in MiB | {' | '.join(f'{size:.0f}' for size in sizes.values())} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--against", default="", metavar="COMMIT")
    parser.add_argument("--pages", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rebuilds", type=int, default=100)
    options = parser.parse_args()
    print(f"{machine()}\n")
    start_times(options.against)
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory).resolve()
        environment = os.environ | {"HANDBOOK_CACHE": str(root / "cache"), "NO_MKDOCS_2_WARNING": "1"}
        servers = [
            Server("this site", root / "0", True, MKDOCS),
            Server("this site, everything built again", root / "1", True, FORGETFUL),
            Server("MkDocs and Material, nothing executed", root / "2", False, MKDOCS),
        ]
        try:
            for server in servers:
                server.generate(options.pages)
                server.start(environment)
            print(f"{options.pages} pages. Seconds from saving to having the page, medians.\n")
            compare(servers, options.rounds)
            grow(servers[0], options.rebuilds)
        finally:
            for server in servers:
                if hasattr(server, "process"):
                    server.process.terminate()
                    server.process.wait()


if __name__ == "__main__":
    main()
