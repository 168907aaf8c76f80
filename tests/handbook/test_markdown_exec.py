"""The full form, `exec="1"`: a page that is written from markdown-exec's documentation shows what it shows there.

Each text is rendered twice: by this machinery, and by markdown-exec itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown
from markdown_exec import MarkdownConverter, formatter, formatters, markdown_config, validator

from handbook import pages
from handbook.outputs import record
from handbook.pages import find, finder
from handbook.runs import PageError

Convert = Callable[..., BeautifulSoup]
Write = Callable[[str, str], Path]


@pytest.fixture
def theirs(
    project: Path, extensions: list[str], configs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Render a page by markdown-exec, which runs what it finds in this process."""
    monkeypatch.chdir(project)
    fences = [{"name": name, "class": name, "validator": validator, "format": formatter} for name in formatters]
    extensions = [name for name in extensions if not name.startswith("handbook")]
    configs = configs | {"pymdownx.superfences": {"custom_fences": fences}}

    def converted(text: str) -> str:
        before = markdown_config.exts, markdown_config.exts_config
        markdown_config.save(extensions, configs)
        MarkdownConverter.counter = 0
        html = Markdown(extensions=extensions, extension_configs=configs).convert(text)
        markdown_config.save(*before)
        return str(BeautifulSoup(html, "html.parser"))

    return converted


def block(code: str, options: str = 'exec="1"', language: str = "python") -> str:
    return f"```{language} {options}\n{code}\n```\n\n"


PROGRAM = 'print("**bold**\\n\\n| a |\\n| - |\\n| b |")'
TEXTS = {
    "printed Markdown": block(PROGRAM),
    **{f'exec="{word}"': block(PROGRAM, f'exec="{word}"') for word in ("on", "yes", "true", "True")},
    **{f'exec="{word}"': block("x = 1", f'exec="{word}"') for word in ("off", "no", "false", "0")},
    "py": block(PROGRAM, language="py"),
    "html": block('print("<b>*x*</b>")', 'exec="1" html="1"'),
    "html beside its source": block('print("<b>*x*</b>")', 'exec="1" html="1" source="tabbed-left"'),
    "no html": block('print("<b>*x*</b>")', 'exec="1" html="0"'),
    "nothing printed": "Before.\n\n" + block("x = 1") + "After.",
    "a last value": block("print(1)\n2"),
    "result": block(PROGRAM, 'exec="1" result="json"'),
    "result and source": block(PROGRAM, 'exec="1" result="text" source="above"'),
    "nothing printed, result": block("x = 1", 'exec="1" result="text" source="below"'),
    **{
        f"source {where}": block(PROGRAM, f'exec="1" source="{where}"')
        for where in ("above", "below", "block", "tabbed-left", "tabbed-right", "console")
    },
    "source console, result": block("print(1)", 'exec="1" source="console" result="pycon"'),
    "tabs": block(PROGRAM, r'exec="1" source="tabbed-right" tabs="The \| code|Out"'),
    "title": block(PROGRAM, 'exec="1" source="above" title="one.py" linenums="5" hl_lines="1"'),
    "hidden lines": block("x = 1  # markdown-exec: hide\nprint(x)", 'exec="1" source="above"'),
    "ids": block('print("## Heading\\n\\n[to](#heading)")', 'exec="1" id="one"'),
    "idprefix": block('print("## Heading\\n\\n[to](#heading)")', 'exec="1" idprefix="two-"'),
    "no idprefix": block('print("## Heading\\n\\n[to](#heading)")', 'exec="1" idprefix=""'),
    "ids without a name": block('print("## A")') * 2 + block('print("## A\\n\\n### B")'),
    "headings under others": "# Title\n\n" + block('print("## A\\n\\nText\\n----")') + "## C\n",
    "headings with their source": block('print("## A `b`")', 'exec="1" source="above"') + "## C\n",
    "updatetoc": block('print("## A")', 'exec="1" updatetoc="no"') + "## C\n",
    "session": block("x = 1", 'exec="1" session="a"')
    + block("print(x)", 'exec="1" session="a"')
    + block("print('x' in globals())", 'exec="1" session="b"'),
    "no session": block("x = 1") + block("print('x' in globals())"),
    "width": block("import shutil\nprint(shutil.get_terminal_size().columns)", 'exec="1" width="30"'),
    "workdir": block("import os\nprint(os.listdir())", 'exec="1" workdir="docs"'),
    "bash": block("x=(a b)\necho ${x[1]}\necho *e* >&2", language="bash"),
    "sh": block("echo '*a*'", 'exec="1" result="text" source="above"', "sh"),
    "a shell's width": block("echo $COLUMNS", 'exec="1" width="30"', "sh"),
    "a shell's directory": block("ls", 'exec="1" workdir="docs"', "bash"),
    "returncode": block("echo a; exit 3", 'exec="1" returncode="3" source="tabbed-left"', "bash"),
    "console": block("$ echo a\n$ echo '*b*'", 'exec="1" source="console"', "console"),
    "console, source above": block("% echo a\n% echo b", 'exec="1" source="above" result="text"', "console"),
    "pycon": block(">>> for x in 'ab':\n...     print(x)\n>>> print(1)", 'exec="1" source="above"', "pycon"),
    "md": block("*a*\n\n- b", 'exec="1" source="tabbed-right"', "md"),
    "markdown": block("*a*", 'exec="1" source="above"', "markdown"),
    "tree": block("root\n  a.py\n  docs/\n    b.unknown", "", "tree"),
    "tree, options": block("root\n  a.py", 'result="text" title="Files" icons="none"', "tree"),
    "in an admonition": "!!! note\n\n    ```python exec=\"1\"\n    print('*a*')\n    ```\n",
    "with a class": '```{.python exec="1" source="above"}\nprint(1)\n```\n',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_it_shows_what_markdown_exec_shows(
    convert: Convert, theirs: Callable[[str], str], write: Write, text: str
) -> None:
    write("docs/some.md", "")
    assert str(convert(text)) == theirs(text)


def test_the_renamed_block_is_known_by_its_old_name(convert: Convert, theirs: Callable[[str], str]) -> None:
    text = block("print(1)", 'exec="1" source="material-block"')
    with pytest.warns(DeprecationWarning):
        assert str(convert(text)) == theirs(text)


def test_headings_come_into_the_table_of_contents(convert: Convert) -> None:
    text = "# T\n\n" + block('print("## A")', 'exec="1" id="a" source="above"') + "## C\n\n"
    text += block('print("## D")', 'exec output="markdown"') + block('print("## E")', 'exec="1" id="e" varies')
    html = convert(f"[TOC]\n\n{text}")
    assert [link.get_text() for link in html.select(".toc a")] == ["T", "A", "C", "D", "E"]


def test_ids_are_numbered_by_the_fences_of_a_page(convert: Convert) -> None:
    """markdown-exec counts on from page to page, so that a page would be another when others are built before it."""
    text = block("x = 1") + block("print('## A')")
    for page in ("one.md", "two.md"):
        assert convert(text, page).h2["id"] == "exec-2--a"


# What runs


def outputs(page: BeautifulSoup) -> list[str]:
    return [code.get_text() for code in page.select(".language-text code")]


SHOWN = 'exec="1" result="text"'


def test_a_session_ends_with_its_page(convert: Convert) -> None:
    convert(block("x = 1", 'exec="1" session="a"'), "one.md")
    with pytest.raises(PageError, match="NameError: name 'x' is not defined"):
        convert(block("print(x)", 'exec="1" session="a"'), "two.md")


def test_the_short_form_has_one_session_and_formulas_see_it(convert: Convert) -> None:
    page = convert(
        block("x = 1", "exec setup")
        + block("print('x' in globals())", SHOWN)
        + block("x += 1", 'exec="1" session="page"')
        + block("x = 'another'", 'exec setup session="a"')
        + block("print(x)", f'{SHOWN} session="a"')
        + "It is `=x`.\n"
    )
    assert outputs(page) == ["False\n", "another\n"]
    assert page.find_all("p")[-1].get_text() == "It is 2."


def test_what_a_session_defines_can_be_pickled(convert: Convert) -> None:
    code = "import dataclasses, pickle\n@dataclasses.dataclass\nclass Size:\n    n: int\n"
    for options in (SHOWN, f'{SHOWN} session="a"'):
        assert outputs(convert(block(code + "print(pickle.loads(pickle.dumps(Size(3))))", options))) == ["Size(n=3)\n"]


def test_a_directory_is_left_again(convert: Convert, write: Write) -> None:
    write("docs/some.md", "")
    page = convert(block("import os", 'exec workdir="docs"') + block("os.path.basename(os.getcwd())", "exec"))
    assert outputs(page) != ["'docs'\n"]


def test_a_directory_may_be_elsewhere(convert: Convert, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    options = f'{SHOWN} workdir="{elsewhere}"'
    page = convert(block("pwd", options, "sh") + block("import os\nprint(os.getcwd())", options))
    assert outputs(page) == [f"{elsewhere}\n"] * 2
    assert not any("elsewhere" in path for path in pages.site.entries["page.md"].files)


def test_a_page_may_lose_its_directory_and_its_terminal(convert: Convert) -> None:
    lost = "import os, tempfile\nwith tempfile.TemporaryDirectory() as name:\n    os.chdir(name)\n"
    page = convert(
        block(f"{lost}del os.environ['COLUMNS']", "exec") + block("1", "exec") + block("2", 'exec width="9"')
    )
    assert outputs(page) == ["1\n", "2\n"]


def test_a_shell_may_print_anything(convert: Convert) -> None:
    assert outputs(convert(block(r"printf 'a\377b'", SHOWN, "bash"))) == ["a\\xffb\n"]


def test_what_a_page_sets_stays_set(convert: Convert) -> None:
    columns = "import shutil\nshutil.get_terminal_size().columns"
    page = convert(
        block("import os\nos.environ['COLUMNS'] = '60'", "exec")
        + block(columns, 'exec width="30"')
        + block(columns, "exec")
    )
    assert outputs(page) == ["30\n", "60\n"]


def test_the_short_form_runs_other_languages_too(convert: Convert) -> None:
    page = convert(block("echo '*a*'", "exec", "bash") + block("$ echo b", "exec", "console"))
    page_2 = convert(block(">>> x = 2\n>>> x", "exec", "pycon") + block("x", "exec", "py"))
    assert [code.get_text() for code in page.select("code")] == ["echo '*a*'\n", "*a*\n", "$ echo b\n", "b\n"]
    assert outputs(page_2) == ["2\n", "2\n"]


def test_each_line_of_a_console_keeps_its_prompt(convert: Convert) -> None:
    """markdown-exec indents all of them by what the last line, here one of output, begins with."""
    page = convert(block("$ echo a\na", 'exec="1" source="console"', "console"))
    assert page.code.get_text() == "$ echo a\na\n"


def test_a_figure_has_the_place_of_markdown_execs_html(convert: Convert) -> None:
    code = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nfig"
    page = convert(block(code, 'exec="1" source="tabbed-left" output="figure" alt="A plot" caption="c"'))
    assert page.select_one(".tabbed-block figure.plot > svg")["aria-label"] == "A plot"


def test_what_varies_is_marked_and_not_recorded(convert: Convert) -> None:
    text = block("print('*0.5*')", 'exec="1" varies')
    assert convert(text).select_one(".varies em").get_text() == "0.5"
    run = find(finder({}), text, ("page.md", 0))
    run.entry = pages.site.engine.submit(run.job).result()
    assert "0.5" not in record(run)


def test_shells_have_no_network_by_way_of_a_proxy(convert: Convert) -> None:
    code = "python -c \"import urllib.request as r; r.urlopen('http://example.org')\" 2>&1 | tail -1; true"
    assert "Connection refused" in outputs(convert(block(code, SHOWN, "bash")))[0]


@pytest.mark.parametrize("path", ["snippets/a.txt", "docs/a.txt", "docs/new.txt", "src/a.py"])
def test_a_shell_runs_again_when_what_it_names_or_any_code_changes(convert: Convert, write: Write, path: str) -> None:
    for name in ("snippets/a.txt", "docs/a.txt", "src/a.py"):
        write(name, "1\n")
    text = block("cat docs/*.txt; cat snippets/*; cat src/a.py", SHOWN, "bash")
    before = convert(text)
    assert str(convert(text)) == str(before) and pages.site.engine.counts.ran == 0
    write(path, "2\n")
    assert outputs(convert(text)) != outputs(before)


def test_a_shell_that_hangs_is_ended(convert: Convert) -> None:
    with pytest.raises(PageError, match=r"ran for longer than 0\.3 seconds"):
        convert(block("sleep 60", 'exec="1" limit="0.3"', "bash"))


# What is served, and pages that wait


@pytest.mark.parametrize("source", ["above", "tabbed-left", "console"])
def test_what_waits_says_so_where_its_output_will_be(
    convert: Convert, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(pages.site, "deadline", 0.0)
    page = convert(block("import time\ntime.sleep(60)", f'exec="1" source="{source}"'))
    assert page.select_one("p.pending")["data-block"] == "0"
    assert "time.sleep(60)" in page.code.get_text()
    assert bool(page.select(".tabbed-block p.pending")) == (source == "tabbed-left")


FAILURES = {
    "exception": (block("1 / 0"), "block 1, which starts with '1 / 0': .*ZeroDivisionError"),
    "named": (block("1 / 0", 'exec="1" id="half"'), r"block 1 \(half\), which starts"),
    "exit code": (block("echo a\nexit 3", language="bash"), "exit code 3, and was to end with 0; it printed:\na"),
    "no exit code": (block("true", 'exec="1" returncode="3"', "sh"), "exit code 0, and was to end with 3"),
    "no directory": (block("ls", 'exec="1" workdir="none"', "sh"), "there is no directory none"),
    "no prompt": (block("ls", language="console"), "no line of a console fence starts with '\\$ '"),
    "no Python prompt": (block("1", language="pycon"), "no line of a pycon fence starts with '>>> '"),
    "a fence that is printed": (
        block("print('```python exec=\"1\"\\nprint(1)\\n```')"),
        "has a python fence that is to be executed inside another",
    ),
}


@pytest.mark.parametrize(("text", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failure_stops_the_build_and_is_shown_in_what_is_served(convert: Convert, text: str, message: str) -> None:
    with pytest.raises(PageError, match=rf"(?s)^a/b\.md:5: .*{message}"):
        convert("# Title\n\n" + text, "a/b.md", lines_above=2)
    pages.site.show_errors = True
    assert convert(text).select(".failure")


MISTAKES = {
    "option": ('exec="1" resut="text"', "no option 'resut'.*; did you mean result"),
    "exec": ('exce="1"', "no option 'exce'.*; did you mean exec"),
    "value of exec": ('exec="yse"', "exec is one of .*not 'yse'; did you mean yes"),
    "source": ('exec="1" source="tabbed-lft"', "not 'tabbed-lft'; did you mean tabbed-left"),
    "source of the short form": ('exec="1" source="fold"', "source is one of .*not 'fold'"),
    "html": ('exec="1" html="ja"', "html is one of .*not 'ja'"),
    "updatetoc": ('exec="1" updatetoc="flase"', "did you mean false"),
    "tabs": ('exec="1" source="tabbed-left" tabs="One"', "tabs is two titles"),
    "tabs of nothing": ('exec="1" tabs="One|Two"', "tabs are the titles of"),
    "result": ('exec="1" result="jsno"', "result is a language .* not 'jsno'; did you mean json"),
    "width": ('exec="1" width="wide"', "width is a number of columns"),
    "returncode": ('exec="1" returncode="1"', "no option 'returncode' of a python fence"),
    "hl_lines": ('exec="1" source="above" hl_lines="one"', "hl_lines is the numbers of lines"),
    "html and result": ('exec="1" html="1" result="text"', "without result"),
    "html and console": ('exec="1" html="1" source="console"', "is text"),
    "output of the short form": ('exec="1" output="text"', "output is one of figure"),
    "alt of a text": ('exec="1" alt="a"', "needs alt"),
    "off, with options": ('exec="off" result="text"', "no option 'result' of a python fence without exec"),
}


@pytest.mark.parametrize(("options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_remedy(convert: Convert, options: str, message: str) -> None:
    with pytest.raises(PageError, match=rf"^a/b\.md:3: .*{message}"):
        convert("# Title\n\n" + block("print(1)", options), "a/b.md")


@pytest.mark.parametrize(
    ("language", "options", "message"),
    [
        ("bash", 'exec="1" returncode="one"', "returncode is an exit code"),
        ("bash", 'exec="1" session="a"', "no option 'session' of a bash fence"),
        ("sh", 'exec="1" raises="ValueError"', "no option 'raises' of a sh fence"),
        ("bash", 'titel="a"', "no option 'titel' of a bash fence without exec"),
        ("md", 'exec="1" limit="3"', "no option 'limit' of a md fence"),
        ("tree", 'icons="some"', "icons is one of auto, basic, none"),
        ("tree", 'exec="1" source="above"', "no option 'source' of a tree fence"),
    ],
)
def test_an_option_that_means_nothing_in_a_language_is_a_mistake(
    convert: Convert, language: str, options: str, message: str
) -> None:
    with pytest.raises(PageError, match=rf"^page\.md:1: .*{message}"):
        convert(block("a", options, language))


def test_text_that_is_only_rendered_runs_nothing(convert: Convert) -> None:
    convert(block("*a*", language="md") + block("a\n  b", "", "tree"))
    assert not pages.site.tasks


# A page by somebody who knows markdown-exec and nothing else


FRESH = Path(__file__).with_name("fresh.md")


def test_a_fresh_page_shows_what_it_shows_there(
    convert: Convert, theirs: Callable[[str], str], write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write("docs/some.md", "A line.\n")
    text = FRESH.read_text("utf-8")
    with caplog.at_level(logging.WARNING):
        assert str(convert(text)) == theirs(text)
    assert not caplog.records


def test_it_is_recorded_as_any_page(project: Path, write: Write) -> None:
    write("docs/some.md", "A line.\n")
    run = find(finder({}), FRESH.read_text("utf-8"), ("page.md", 0))
    run.entry = pages.site.engine.submit(run.job).result()
    assert "[1]\nHello **Markdown!**\n" in record(run)
    assert record(run).rstrip().endswith("[9]\na=1")
