"""Builds of a small site with MkDocs: what fails stops them, however quiet they are, and what works is all there."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from click.testing import CliRunner, Result
from markdown_exec import MarkdownConverter
from mkdocs.__main__ import cli

from handbook.site import Site, site

ROOT = Path(__file__).parent.parent.parent
Write = Callable[[str, str], Path]
Mkdocs = Callable[..., Result]

FENCES = Path(__file__).with_name("fences.yml").read_text("utf-8")  # the last of a site's Markdown extensions
SITE = f"""
site_name: planted
site_url: http://127.0.0.1:8000/
plugins: []
hooks: [{ROOT / "src/handbook/hooks.py"}]
markdown_extensions:
  - tables
  - pymdownx.highlight: {{pygments_lang_class: true}}
  - pymdownx.snippets: {{base_path: ["."], check_paths: true, dedent_subsections: true}}
{FENCES}"""
PROGRAM = '"""Planted."""\n\n# --8<-- [start:one]\nimport near\n\nx = near.X\n# --8<-- [end:one]\n'
PAGE = """---
assumes: Nothing.
---

# Fine

```python exec
--8<-- "snippets/planted_page.py:one"
```

Then x is `=x`, or | `=~x` |.

```python exec source="hide" output="markdown"
print("# Printed\\n\\n|a|\\n|-|\\n|*b*|")
```
"""


@pytest.fixture
def small(project: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site of two pages, in the working directory."""
    write("mkdocs.yml", SITE)
    write("docs/index.md", "# Home\n\nNothing runs here.\n")
    write("docs/planted-page.md", PAGE)
    write("snippets/planted_page.py", PROGRAM)
    write("src/near.py", "X = 41 + 1\n")
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def mkdocs(small: Path, monkeypatch: pytest.MonkeyPatch) -> Mkdocs:
    """Run MkDocs' command in this process, with what a process begins with."""

    def run(*arguments: str) -> Result:
        for name, value in vars(Site(root=small)).items():
            monkeypatch.setattr(site, name, value)
        monkeypatch.setattr(MarkdownConverter, "counter", 0)
        done = CliRunner().invoke(cli, ["build", *arguments])
        logging.getLogger("mkdocs").handlers.clear()
        return done

    return run


def read(small: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((small / "site" / name).read_text("utf-8"), "html.parser")


def blocks(log: str) -> tuple[int, int]:
    """How many blocks a build ran and replayed, as it says itself."""
    ran, replayed = re.search(r"Blocks: (\d+) run, (\d+) replayed", log).groups()
    return int(ran), int(replayed)


# MkDocs, without importing ahead what no page of a small site needs.
MKDOCS = "from handbook import worker; worker.PRELOADED = (); from mkdocs.__main__ import cli; cli()"


def terminal(small: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", MKDOCS, "build", *arguments]
    return subprocess.run(command, cwd=small, capture_output=True, text=True)


def test_a_site_from_the_terminal(small: Path, write: Write) -> None:
    """Cold, warm, after an edit of prose, after an edit of the library."""
    cold = terminal(small, "--strict")
    assert cold.returncode == 0, cold.stderr
    assert blocks(cold.stderr) == (2, 0)
    assert len(re.findall(r"\d s  planted-page\.md, block \d", cold.stderr)) == 2
    page = read(small, "planted-page/index.html")
    assert [code.get_text() for code in page.select(".language-python code")] == ["import near\n\nx = near.X\n"]
    assert "Then x is 42, or | 42 |." in page.get_text()
    assert page.select_one("td em").get_text() == "b"
    foot = page.aside.get_text()
    for part in ("Nothing.", "Python 3.", "cores", "python snippets/planted_page.py"):
        assert part in foot
    for link in page.aside("a"):
        assert (small / "site/planted-page" / link["href"]).is_file()
    assert not read(small, "index.html").aside
    assert "--8<--" not in (small / "site/programs/planted_page.py").read_text()
    assert json.loads((small / "site/programs/planted_page.ipynb").read_text())["nbformat"] == 4

    first = (small / "site/planted-page/index.html").read_text()
    write("docs/planted-page.md", PAGE.replace("Then x", "So x"))
    warm = terminal(small, "--strict")
    assert blocks(warm.stderr) == (0, 2)
    assert (small / "site/planted-page/index.html").read_text() == first.replace("Then x", "So x")
    write("src/near.py", "X = 40 + 3\n")
    assert blocks(terminal(small, "--strict").stderr) == (2, 0)
    assert "So x is 43" in read(small, "planted-page/index.html").get_text()


def block(code: str, options: str = "") -> str:
    return f"```python exec {options}\n{code}\n```\n"


FAILURES = {
    "exception": (
        block("x = 1\n1 / 0"),
        r"planted\.md:7: block 1, which starts with 'x = 1': .*1 / 0.*ZeroDivisionError",
    ),
    "exit": (block("import sys\nsys.exit(0)"), r"planted\.md:7: .*sys\.exit\(0\)\nSystemExit: 0"),
    "hard exit": (block("import os\nos._exit(0)"), r"planted\.md:7: .*ended its process with exit code 0"),
    "killed": (block("import os\nos.kill(os.getpid(), 9)"), r"planted\.md:7: .*exit code -9"),
    "hang": (block("while True: ...", 'limit="0.3"'), r"planted\.md:7: .*ran for longer than 0\.3 seconds"),
    "no output": (block("x = 1", 'output="markdown"'), r"planted\.md:7: .*shows nothing"),
    "failed claim": (block("assert 1 == 2, 'one is two'"), r"planted\.md:7: .*does not hold: one is two"),
    "mangled fence": ("```python exec=1\n1\n```\n", r"planted\.md:7: .*malformed"),
    "misspelt exec": ("```python exce\n1\n```\n", r"planted\.md:7: .*no option 'exce'"),
    "not closed": ("```python exec\n1\n", r"planted\.md:7: .*not closed"),
    "no such section": (block('--8<-- "snippets/planted_page.py:two"'), r"planted\.md:8: .*has no section two"),
    "no such file": (block('--8<-- "snippets/two.py"'), r"planted\.md:8: .*there is no file snippets/two\.py"),
    "formula": (block("x = 1") + "\n`=missing`\n", r"planted\.md:11: the formula .*NameError"),
    "formula alone": ("About `=1 + 1`\n", r"planted\.md:7: the formula .*needs an executed fence"),
    "network": (block("import socket\nsocket.getaddrinfo('example.org', 80)"), r"planted\.md:7: .*without a network"),
}
FRONT_MATTER = "---\nassumes: x\n---\n\n# Planted\n\n"


@pytest.mark.parametrize("flag", ["--strict", pytest.param("-q", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("text", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failure_stops_mkdocs(small: Path, mkdocs: Mkdocs, write: Write, text: str, message: str, flag: str) -> None:
    write("docs/planted.md", FRONT_MATTER + text)
    done = mkdocs(flag)
    assert done.exit_code != 0
    assert re.search(rf"(?s)^{message}", str(done.exception), re.MULTILINE)
    assert not (small / "site/planted/index.html").exists()


@pytest.mark.parametrize(("name", "flag"), [("exception", "--strict"), ("exit", "-q")])
def test_a_failure_stops_the_terminal(small: Path, write: Write, name: str, flag: str) -> None:
    text, message = FAILURES[name]
    write("docs/planted.md", FRONT_MATTER + text)
    done = terminal(small, flag)
    assert done.returncode != 0
    assert re.search(f"(?s){message}", done.stderr)


@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["said", "quiet"])
def test_a_dead_anchor_stops_a_strict_build(small: Path, write: Write, quiet: tuple[str, ...]) -> None:
    write("mkdocs.yml", SITE + "validation: {anchors: warn}\n")
    write("docs/planted.md", "See [there](index.md#nowhere).\n")
    done = terminal(small, "--strict", *quiet)
    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert terminal(small, *quiet).returncode == 0


def test_a_build_after_a_failure_runs_only_what_failed(mkdocs: Mkdocs, write: Write) -> None:
    planted = write("docs/planted.md", block("1 / 0"))
    assert mkdocs("--strict").exit_code != 0
    planted.write_text(block("1 / 1"))
    assert mkdocs("--strict").exit_code == 0
    counts = site.engine.counts
    assert (counts.ran, counts.replayed) == (1, 2)


def test_two_cold_builds_are_the_same(small: Path, mkdocs: Mkdocs) -> None:
    sites = []
    for _ in range(2):
        assert mkdocs("--strict").exit_code == 0
        files = [path for path in (small / "site").rglob("*") if path.is_file() and path.suffix != ".gz"]
        sites.append({path: re.sub(rb"Build Date UTC : \S+ \S+", b"", path.read_bytes()) for path in files})
        shutil.rmtree(small / ".cache")
    assert sites[0] == sites[1]
