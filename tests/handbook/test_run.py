"""Blocks and formulas: what they give, and that each way to fail is seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown
from markdown_exec import markdown_config
from pymdownx.superfences import SuperFencesException

from handbook import hooks
from handbook.run import formatter, validator

EXTENSIONS = [
    "admonition",
    "attr_list",
    "md_in_html",
    "tables",
    "toc",
    "pymdownx.details",
    "pymdownx.inlinehilite",
    "pymdownx.superfences",
    "handbook.pages",
]
FENCE = {"name": "python", "class": "python", "validator": validator, "format": formatter}
CONFIGS = {"pymdownx.superfences": {"custom_fences": [FENCE]}}


@pytest.fixture(autouse=True)
def _extensions() -> Iterator[None]:
    markdown_config.save(EXTENSIONS, CONFIGS)
    yield
    markdown_config.reset()


def convert(text: str) -> BeautifulSoup:
    md = Markdown(extensions=EXTENSIONS, extension_configs=CONFIGS)
    return BeautifulSoup(md.convert(text), "html.parser")


def block(code: str, options: str = 'result="text"') -> str:
    return f'```python exec="1" {options}\n{code}\n```\n\n'


def outputs(page: BeautifulSoup) -> list[str]:
    return [code.get_text() for code in page.select(".highlight code")]


# Blocks


def test_blocks_of_a_page_share_a_session() -> None:
    assert outputs(convert(block("x = 40", "") + block("print(x + 2)"))) == ["42\n"]


def test_a_page_does_not_see_the_session_of_another() -> None:
    convert(block("x = 1", ""))
    with pytest.raises(SuperFencesException, match="NameError: name 'x' is not defined"):
        convert(block("print(x)"))


def test_converting_again_starts_afresh() -> None:
    md = Markdown(extensions=EXTENSIONS, extension_configs=CONFIGS)
    md.convert(block("x = 1", ""))
    with pytest.raises(SuperFencesException, match="NameError"):
        md.convert(block("print(x)"))


def test_a_block_is_main_as_in_a_terminal() -> None:
    declare = "import pickle, dataclasses\n@dataclasses.dataclass\nclass Size:\n    n: int\n"
    page = convert(block(declare + "print(pickle.loads(pickle.dumps(Size(3))))") + block("print(__name__)"))
    assert outputs(page) == ["Size(n=3)\n", "__main__\n"]
    assert sys.modules["__main__"].__dict__.get("Size") is None


def test_what_a_library_prints_is_captured(capsys: pytest.CaptureFixture[str]) -> None:
    assert outputs(convert(block("import this, pprint\npprint.pprint([1])")))[0].endswith("[1]\n")
    assert capsys.readouterr().out == ""


def test_future_imports_of_the_machinery_do_not_leak() -> None:
    assert outputs(convert(block("def f(x: int): ...\nprint(f.__annotations__)"))) == ["{'x': <class 'int'>}\n"]


def test_the_width_of_the_terminal_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code = "import shutil\nprint(shutil.get_terminal_size().columns)"
    assert outputs(convert(block(code) + block(code, 'result="text" width="100"'))) == ["80\n", "100\n"]


def test_source_is_shown_with_its_options() -> None:
    page = convert(block("print(6 * 7)", 'source="above" result="text" title="six.py"'))
    assert outputs(page) == ["print(6 * 7)\n", "42\n"]
    assert page.select_one(".filename").get_text() == "six.py"


def test_a_block_that_prints_nothing_shows_no_empty_box() -> None:
    assert outputs(convert(block("x = 1", 'source="above" result="text"'))) == ["x = 1\n"]


def test_output_is_rendered_as_markdown_or_taken_as_html() -> None:
    assert convert(block('print("|a|\\n|-|\\n|b|")', "")).select_one("td").get_text() == "b"
    assert convert(block('print("<b>\\n\\n*x*</b>")', 'html="1"')).select_one("b").get_text() == "\n\n*x*"


def test_a_block_runs_inside_admonitions() -> None:
    text = (
        '??? question "Q"\n\n    ```python exec="1" result="text"\n    for i in range(2):\n        print(i)\n    ```\n'
    )
    assert outputs(convert(text)) == ["0\n1\n"]


def test_a_plain_fence_is_highlighted_and_not_run() -> None:
    page = convert('```python title="no.py" hl_lines="1"\nraise SystemExit\n```\n')
    assert outputs(page) == ["raise SystemExit\n"]


FAILURES = {
    "exception": ("x = 1\n1 / 0", r"starts with 'x = 1'.*line 2, in <module>\n +1 / 0\n.*ZeroDivisionError"),
    "assertion": ("assert 1 == 2", "AssertionError"),
    "exit": ("import sys\nsys.exit(0)", r"line 2.*sys\.exit\(0\)\nSystemExit: 0"),
    "syntax": ("x = (1", "SyntaxError"),
    "library": ("import json\njson.loads('{')", r"line 2, in <module>.*JSONDecodeError"),
    "markdown of its output": ("print('`=nowhere`')", "`=nowhere`.*NameError"),
}


@pytest.mark.parametrize(("code", "message"), FAILURES.values(), ids=FAILURES)
def test_a_block_that_fails_stops_the_build(code: str, message: str) -> None:
    with pytest.raises(SuperFencesException, match=f"(?s){message}"):
        convert("> " + block(code, "").replace("\n", "\n> "))
    with pytest.raises(SuperFencesException, match=f"(?s){message}"):
        convert(block(code, ""))


def test_an_interrupt_is_not_a_failure() -> None:
    with pytest.raises(KeyboardInterrupt):
        convert(block("raise KeyboardInterrupt"))


FENCES = {
    "unknown option": ('```python exec="1" notest="1"\n```', "notest"),
    "near miss of exec": ('```python exce="1"\n```', "exce"),
    "exec off": ('```python exec="0"\n```', 'exec="0"'),
    "named session": ('```python exec="1" session="a"\n```', "session"),
    "another directory": ('```python exec="1" workdir="/"\n```', "workdir"),
    "no such place for the source": ('```python exec="1" source="over"\nprint(1)\n```', "over"),
    "width is no number": ('```python exec="1" width="wide"\n```', "wide"),
    "no quotes": ("```python exec=1\n```", "malformed"),
    "not closed": ('```python exec="1"\nprint(1)\n', "not closed"),
    "other language": ('```bash exec="1"\nls\n```', "malformed"),
}


@pytest.mark.parametrize(("text", "message"), FENCES.values(), ids=FENCES)
def test_a_fence_that_would_not_run_stops_the_build(text: str, message: str) -> None:
    with pytest.raises(SuperFencesException, match=message):
        convert(text)


# Formulas


def test_formulas_are_evaluated_after_all_blocks() -> None:
    page = convert("There are `=n + 1` & `=s`.\n\n" + block("n = 1", "") + block("n = 2; s = '<b>'", ""))
    assert page.p.get_text() == "There are 3 & <b>."
    assert not page.select("code")


PLACES = {
    "heading": ("# About `=n` bytes", "h1"),
    "table": ("| a |\n|---|\n| `=n` bytes |", "td"),
    "list item": ("- about `=n` bytes", "li"),
    "admonition": ('!!! note "On `=n` bytes"\n    About `=n` bytes.', ".admonition p + p"),
    "title": ('!!! note "On `=n` bytes"\n    Text.', ".admonition-title"),
    "link": ("[`=n` bytes](#x)", "a"),
    "two lines": ("`=(n\n+ 0)` bytes", "p"),
}


@pytest.mark.parametrize(("text", "place"), PLACES.values(), ids=PLACES)
def test_formulas_work_wherever_prose_does(text: str, place: str) -> None:
    page = convert(text + "\n\n" + block("n = 7", ""))
    assert "7 bytes" in page.select_one(place).get_text()


def test_a_heading_takes_its_anchor_from_the_value() -> None:
    assert convert("# About `=3 + 4` bytes").h1["id"] == "about-7-bytes"


def test_formulas_in_an_output_use_the_session_of_the_page() -> None:
    assert convert(block("n = 7\nprint('about `=n` bytes')", "")).p.get_text() == "about 7 bytes"


def test_other_spans_stay_as_they_are() -> None:
    page = convert("`x = 1` ``=x`` `` `=x` `` `#!python x` \\`=x")
    assert [code.get_text() for code in page.select("code")] == ["x = 1", "=x", "`=x`", "x"]
    assert page.p.get_text().endswith(" `=x")


@pytest.mark.parametrize(
    ("formula", "error"),
    [("nowhere", "NameError"), ("1 / 0", "ZeroDivisionError"), ("=", "SyntaxError"), ("exit()", "SystemExit")],
)
def test_a_formula_that_fails_stops_the_build(formula: str, error: str) -> None:
    with pytest.raises(SuperFencesException) as raised:
        convert(f"There are `={formula}` bytes.")
    assert f"`={formula}`" in str(raised.value)
    assert error in str(raised.value)


# A site


def test_a_build_imports_the_library_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: sys for name in ("weight", "torch", "handbook.pages")}
    monkeypatch.setattr(sys, "modules", {**kept, "weigh": sys, "weigh.units": sys})
    config = SimpleNamespace(markdown_extensions=EXTENSIONS, mdx_configs=CONFIGS)
    hooks.on_config(config)
    assert sys.modules == kept


SITE = """
site_name: planted
plugins: []
hooks: [{hooks}]
markdown_extensions:
  - pymdownx.superfences:
      custom_fences:
        - name: python
          class: python
          validator: !!python/name:handbook.run.validator
          format: !!python/name:handbook.run.formatter
  - handbook.run
"""


@pytest.mark.parametrize("flag", ["--strict", "-q"])
@pytest.mark.parametrize(
    ("text", "error"),
    [(block("1 / 0"), "ZeroDivisionError"), (block("raise SystemExit(0)"), "SystemExit"), ("`=nowhere`", "NameError")],
    ids=["exception", "exit", "formula"],
)
def test_mkdocs_stops_and_names_the_page(root: Path, tmp_path: Path, flag: str, text: str, error: str) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text(SITE.format(hooks=root / "src/handbook/hooks.py"))
    (tmp_path / "docs/index.md").write_text("# Fine\n")
    (tmp_path / "docs/planted.md").write_text(f"# Planted\n\n{text}\n")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", flag], cwd=tmp_path, capture_output=True, text=True
    )
    assert built.returncode != 0
    assert "planted.md" in built.stderr
    assert error in built.stderr
