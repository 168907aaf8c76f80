"""What does it cost to run the code of pages, and do they ever show what it would no longer give?

Generates pages of five torch cells against a small library, and builds them with each tool: from nothing, again, and
after an edit of the prose of one page, of the code of one page, and of a module that a quarter of the pages reach
through another. Tools take turns in each round, and each time is compared with that of the floor in the same round:
the same pages, built by MkDocs with this site's settings, with nothing executed. Every cell notes when it runs, so what
ran is counted alike for all. Prints Markdown. Wants a quiet machine.

    python bench/pages.py                  this site's machinery against the floor
    python bench/pages.py --others         other tools too (MyST-NB is installed under .cache/bench-env)
    python bench/pages.py --pages 160      10, 40 (the default), 60, 160 …
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from mkdocs.utils.yaml import yaml_load

from handbook.machine import machine

ROOT = Path(__file__).parent.parent
STEPS = ("cold", "warm", "prose edit", "code edit", "library edit")
UNITS = 4
"""Modules at the bottom of the library. Page n reaches the one numbered n modulo this."""

CELLS = 5
ENVIRONMENT = ROOT / ".cache" / "bench-env"
MYST = ("myst-nb", "jupyter-cache", "sphinx")

PROSE = """A tensor is a block of numbers of one type, with a shape that says how to read it. What it takes in memory
is the number of its elements times the bytes of one, and nothing else: names, shapes and strides are small change. The
cell below measures that instead of claiming it, on numbers drawn from a generator with a fixed seed."""


# What is built


@dataclass
class Edits:
    """The numbers that stand where an edit is made. A new one is a change that the output shows."""

    prose: int = 10_000_000
    code: int = 20_000_000
    library: int = 30_000_000


def cells(page: int, edits: Edits) -> list[str]:
    """The code of a page. The second page is the one whose code is edited."""
    tick = f"tick({page})\n"
    return [
        f"import torch\nfrom gauge.chapter_{page % UNITS} import reading\nfrom gauge.count import tick\n\n"
        f"{tick}torch.manual_seed({page})\nx = torch.randn(256, 256)\nprint(x.shape, x.dtype)",
        f"{tick}y = x @ x.T\nprint(y.diagonal().mean())",
        f"{tick}edited = {edits.code if page == 1 else page}\nprint(edited, (y > edited).sum())",
        f"{tick}for dtype in (torch.float32, torch.bfloat16, torch.int8):\n"
        "    print(dtype, y.to(dtype).nbytes, 'bytes')",
        f"{tick}print('the library reads', reading())",
    ]


def library(edits: Edits) -> dict[str, str]:
    """The modules of the package `gauge`. `unit_0` is the one that is edited."""
    modules = {
        "__init__": "",
        "count": "import os\n\n\ndef tick(page):\n"
        "    with open(os.environ['TICKS'], 'a') as file:\n        file.write(f'{page}\\n')\n",
    }
    for unit in range(UNITS):
        modules[f"chapter_{unit}"] = f"from gauge.unit_{unit} import value\n\n\ndef reading():\n    return value()\n"
        modules[f"unit_{unit}"] = f"def value():\n    return {edits.library if unit == 0 else unit}\n"
    return modules


def markdown(page: int, edits: Edits, opening: str) -> str:
    """A page in Markdown, each cell in a fence that opens as given."""
    edited = f"Edited: {edits.prose if page == 1 else page}.\n\n"
    return f"# Page {page}\n\n{edited}" + "".join(
        f"## Cell {number}\n\n{PROSE}\n\n```{opening}\n{code}\n```\n\n"
        for number, code in enumerate(cells(page, edits), start=1)
    )


def notebook(page: int, edits: Edits) -> str:
    """The same page as a notebook."""
    found: list[dict[str, Any]] = []
    for part in markdown(page, edits, "python").split("```"):
        kind = "code" if part.startswith("python\n") else "markdown"
        cell = {"cell_type": kind, "id": f"cell-{len(found)}", "metadata": {}}
        cell["source"] = part.removeprefix("python\n").strip()
        found.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return json.dumps({"cells": found, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


# What it is built with


@dataclass
class Tool:
    """A way to build the pages.

    Attributes:
        name: As in the table.
        page: The text of a page, from its number and the edits.
        settings: Files of the site, by path.
        suffix: Of a page's file.
        command: What builds.
        html: Where the built page is, with its name as `{}`.
        slow: It starts a kernel for each page: the cold build is measured in the first round only.
    """

    name: str
    page: Callable[[int, Edits], str]
    settings: dict[str, str]
    suffix: str = "md"
    command: tuple[str, ...] = (sys.executable, "-m", "mkdocs", "build", "-q")
    html: str = "site/{}/index.html"
    slow: bool = False


def fenced(opening: str) -> Callable[[int, Edits], str]:
    return lambda page, edits: markdown(page, edits, opening.format(page=page))


def mkdocs(executed: bool = False, plugins: tuple[Any, ...] = ("search",)) -> dict[str, str]:
    """This site's mkdocs.yml for the generated pages, with its machinery or with other plugins instead."""
    with (ROOT / "mkdocs.yml").open("rb") as file:
        config = yaml_load(file)
    for key in ("nav", "watch", "validation", "exclude_docs"):
        config.pop(key, None)
    config["theme"]["custom_dir"] = str(ROOT / "overrides")
    extensions = config["markdown_extensions"]
    for extension in extensions:
        if "pymdownx.snippets" in extension:
            extension["pymdownx.snippets"]["base_path"] = str(ROOT)  # the glossary is appended to each page
    if executed:
        config["hooks"] = [str(ROOT / hook) for hook in config["hooks"]]
    else:
        del config["hooks"]
        ours = ("handbook.pages", "pymdownx.superfences")
        config["markdown_extensions"] = [e for e in extensions if not any(name in e for name in ours)]
        config["markdown_extensions"].append("pymdownx.superfences")
        config["plugins"] = list(plugins)
    return {"mkdocs.yml": yaml.dump(config), "docs/index.md": "# Pages\n"}


def sphinx() -> dict[str, str]:
    """The settings of MyST-NB with its cache."""
    conf = "extensions = ['myst_nb']\nnb_execution_mode = 'cache'\nnb_execution_raise_on_error = True\n"
    return {"docs/conf.py": conf, "docs/index.md": "# Pages\n\n```{toctree}\n:glob:\n\npage-*\n```\n"}


def install_myst() -> None:
    """Make an environment with MyST-NB in it, which sees torch in this one."""
    if not (ENVIRONMENT / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], check=True)
        (site_packages,) = ENVIRONMENT.glob("lib/*/site-packages")
        (site_packages / "torch.pth").write_text(sysconfig.get_path("purelib"))
        subprocess.run([ENVIRONMENT / "bin/python", "-m", "pip", "install", "--quiet", *MYST], check=True)
        (ENVIRONMENT / "complete").touch()


FLOOR = Tool("MkDocs and Material, nothing executed", fenced("python"), mkdocs())
OURS = Tool("this site", fenced("python exec"), mkdocs(executed=True))
KERNEL = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n\n"
OTHERS = (
    Tool(
        "markdown-exec",
        fenced('python exec="1" source="above" result="text" session="page-{page}"'),
        mkdocs(plugins=("search", "markdown-exec")),
    ),
    Tool(
        "mkdocs-jupyter, execute",
        notebook,
        mkdocs(plugins=("search", {"mkdocs-jupyter": {"execute": True, "allow_errors": False}})),
        suffix="ipynb",
        slow=True,
    ),
    Tool(
        "MyST-NB with jupyter-cache",
        lambda page, edits: KERNEL + markdown(page, edits, "{code-cell} python"),
        sphinx(),
        command=(str(ENVIRONMENT / "bin/python"), "-m", "sphinx", "-q", "-b", "html", "docs", "site"),
        html="site/{}.html",
        slow=True,
    ),
)


# Measuring


@dataclass
class Site:
    """Generated pages in a directory of their own."""

    directory: Path
    tool: Tool
    pages: int
    edits: Edits = field(default_factory=Edits)

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "docs" / "assets", self.directory / "docs" / "assets")
        self.write()

    def write(self) -> None:
        """Write what has changed."""
        files = dict(self.tool.settings)
        files |= {f"src/gauge/{name}.py": text for name, text in library(self.edits).items()}
        for page in range(self.pages):
            files[f"docs/page-{page:03}.{self.tool.suffix}"] = self.tool.page(page, self.edits)
        for name, text in files.items():
            file = self.directory / name
            if not file.exists() or file.read_text("utf-8") != text:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, "utf-8")

    def take(self, step: str) -> tuple[float, Counter[int]]:
        """Prepare a step and build. Returns the seconds, and how many cells ran of each page."""
        if step == "cold":
            for name in (".cache", "site"):
                shutil.rmtree(self.directory / name, ignore_errors=True)
        elif step != "warm":
            what = step.split()[0]
            setattr(self.edits, what, getattr(self.edits, what) + 1)
            self.write()
        ticks = self.directory / "ticks"
        ticks.write_text("")
        sources = os.pathsep.join(
            (str(self.directory / "src"), str(ROOT / "src"))
        )  # this clone's, whatever is installed
        environment = os.environ | {"PYTHONPATH": sources, "TICKS": str(ticks)}
        start = time.perf_counter()
        done = subprocess.run(self.tool.command, cwd=self.directory, env=environment, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{self.tool.name}, {step}: {done.stdout}{done.stderr}")
        return seconds, Counter(map(int, ticks.read_text().split()))

    def stale(self) -> int:
        """How many pages should show the edit of the library and do not."""
        built = [self.directory / self.tool.html.format(f"page-{page:03}") for page in range(0, self.pages, UNITS)]
        return sum(str(self.edits.library) not in html.read_text("utf-8") for html in built)


@dataclass
class Results:
    """What was measured of a tool: the seconds of each step, round by round, what ran, and what was stale."""

    seconds: dict[str, dict[int, float]] = field(default_factory=lambda: defaultdict(dict))
    ran: dict[str, Counter[int]] = field(default_factory=dict)
    stale: int = 0


def measure(tools: list[Tool], pages: int, rounds: int, steps: tuple[str, ...] = STEPS) -> dict[str, Results]:
    """Build with each tool in turn, step by step and round by round."""
    results = {tool.name: Results() for tool in tools}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory).resolve()
        sites = [Site(root / str(number), tool, pages) for number, tool in enumerate(tools)]
        for number in range(rounds):
            for step in steps:
                for site in reversed(sites) if number % 2 else sites:
                    if step == "cold" and number and (site.tool.slow or len(steps) < len(STEPS)):
                        continue
                    result = results[site.tool.name]
                    result.seconds[step][number], result.ran[step] = site.take(step)
                    if step == "library edit":
                        result.stale = max(result.stale, site.stale())
                if sys.stderr.isatty():
                    print(f"{pages} pages, round {number + 1} of {rounds}, {step}", file=sys.stderr)
    return results


def ratio(result: Results, floor: Results, step: str) -> float:
    """A tool's time over the floor's of the same round, median of the rounds."""
    return median(seconds / floor.seconds[step][number] for number, seconds in result.seconds[step].items())


# What is printed


def table(results: dict[str, Results], pages: int) -> None:
    """Times, cells run and stale pages of each tool."""
    reaching = len(range(0, pages, UNITS))
    floor = results[FLOOR.name]
    print(f"| tool | {' | '.join(STEPS)} | cells run | stale after a library edit |")
    print(f"| --- | {'---: | ' * len(STEPS)}--- | --- |")
    for name, result in results.items():
        row = [f"{median(result.seconds[s].values()):.2f} ({ratio(result, floor, s):.2f})" for s in STEPS]
        ran = " / ".join(str(result.ran[s].total()) for s in STEPS)
        stale = "–" if result is floor else f"yes, on {result.stale} of {reaching}" if result.stale else "no"
        print(f"| {name} | {' | '.join(row)} | {'–' if result is floor else ran} | {stale} |")


def goals(results: dict[str, Results], pages: int) -> None:
    """The goals, and whether this site meets them."""
    ours = results[OURS.name]
    warm = ratio(ours, results[FLOOR.name], "warm")
    prose, edit = ours.ran["prose edit"].total(), ours.ran["library edit"]
    reaching = dict.fromkeys(range(0, pages, UNITS), CELLS)
    print("\n| goal | measured | met |\n| --- | --- | --- |")
    for goal, measured, met in (
        ("a warm build takes at most 1.10 of the floor", f"{warm:.2f}", warm <= 1.10),
        ("an edit of prose runs nothing", f"{prose} cells", prose == 0),
        (
            "an edit of the library runs the pages that reach it, and no other",
            f"{len(edit)} pages of {len(reaching)}, {edit.total()} cells",
            edit == reaching,
        ),
        ("no page is stale", f"{ours.stale} pages", ours.stale == 0),
    ):
        print(f"| {goal} | {measured} | {'yes' if met else '**no**'} |")


def growth(sizes: list[int], rounds: int) -> None:
    """What a warm build costs by the number of pages."""
    print("\n| pages | floor, warm | this site, warm | a page more costs the floor | and this site |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    before: list[tuple[int, float]] = []
    for pages in sizes:
        results = measure([FLOOR, OURS], pages, rounds, steps=("cold", "warm"))
        floor, ours = (median(results[tool.name].seconds["warm"].values()) for tool in (FLOOR, OURS))
        row = [f"{floor:.2f}", f"{ours:.2f} ({ratio(results[OURS.name], results[FLOOR.name], 'warm'):.2f})"]
        row += [
            f"{(now - then) / (pages - at) * 1000:.1f} ms"
            for now, (at, then) in zip((floor, ours), before, strict=False)
        ]
        print(f"| {pages} | {' | '.join(row + ['–'] * (4 - len(row)))} |")
        before = [(pages, floor), (pages, ours)]
    print("\nLinear, if what a page more costs does not grow.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[10, 40, 160], help="numbers of pages for the growth")
    parser.add_argument("--others", action="store_true", help="measure other tools too")
    arguments = parser.parse_args()
    tools = [FLOOR, OURS]
    versions = [f"{name} {version(name)}" for name in ("mkdocs", "mkdocs-material", "torch")]
    if arguments.others:
        install_myst()
        tools += OTHERS
        versions += [f"{name} {version(name)}" for name in ("markdown-exec", "mkdocs-jupyter")]
        show = f"from importlib.metadata import version\nfor name in {MYST}: print(name, version(name))"
        versions += subprocess.check_output([ENVIRONMENT / "bin/python", "-c", show], text=True).splitlines()
    print(f"{machine()}. {', '.join(versions)}.\n")
    print(
        f"{arguments.pages} pages of {CELLS} cells: seconds (and their ratio to the floor), medians of "
        f"{arguments.rounds} rounds; the cold build of a tool that starts a kernel for each page once. "
        f"Cells run: {', '.join(STEPS)}.\n"
    )
    results = measure(tools, arguments.pages, arguments.rounds)
    table(results, arguments.pages)
    goals(results, arguments.pages)
    if arguments.sizes:
        growth(arguments.sizes, arguments.rounds)


main()
