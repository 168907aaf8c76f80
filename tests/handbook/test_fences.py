"""Executed fences: what each option does, and that no mistake in one goes unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from handbook import pages
from handbook.fences import Fence
from handbook.runs import PageError

Convert = Callable[..., BeautifulSoup]
Write = Callable[[str, str], Path]


def block(code: str, options: str = 'source="hide"') -> str:
    return f"```python exec {options}\n{code}\n```\n\n"


def sources(page: BeautifulSoup) -> list[str]:
    return [code.get_text() for code in page.select(".language-python code")]


def outputs(page: BeautifulSoup) -> list[str]:
    return [code.get_text() for code in page.select(".output code")]


# What the options do


def test_source_above_and_output_below_is_the_default(convert: Convert) -> None:
    page = convert(block("x = 6\nprint(x * 7)", ""))
    assert [code.get_text() for code in page.select("code")] == ["x = 6\nprint(x * 7)\n", "42\n"]
    assert sources(page) and outputs(page)


def test_source_can_be_hidden_or_folded(convert: Convert) -> None:
    hidden = convert(block("print(1)", 'source="hide"'))
    assert (sources(hidden), outputs(hidden)) == ([], ["1\n"])
    folded = convert(block("print(1)", 'source="fold" title="The loop"'))
    assert folded.details.summary.get_text() == "The loop"
    assert not folded.details.has_attr("open")
    assert sources(folded.details) == ["print(1)\n"]
    assert not outputs(folded.details) and outputs(folded) == ["1\n"]
    assert not folded.select(".filename")


def test_source_has_a_title_numbers_and_marked_lines(convert: Convert) -> None:
    page = convert(block("x = 1\ny = 2", 'title="one.py" linenums="5" hl_lines="2"'))
    assert page.select_one(".filename").get_text() == "one.py"
    assert page.select_one(".linenos").get_text().split() == ["5", "6"]
    assert page.select_one(".hll").get_text() == "y = 2\n"


def test_setup_shows_nothing_and_is_run(convert: Convert) -> None:
    page = convert(block("x = 7\nprint('unseen')\nx", "setup") + block("x"))
    assert page.get_text().strip() == "7"


def test_output_can_be_hidden(convert: Convert) -> None:
    page = convert(block("x = 7\nprint('unseen')", 'output="hide"'))
    assert sources(page) == ["x = 7\nprint('unseen')\n"]
    assert not outputs(page)


def test_output_is_text_markdown_or_html(convert: Convert) -> None:
    code = 'print("|*a*|\\n|-|\\n|<b>b</b>|")'
    assert outputs(convert(block(code, 'source="hide" output="text"'))) == ["|*a*|\n|-|\n|<b>b</b>|\n"]
    assert convert(block(code, 'source="hide" output="markdown"')).select_one("th em").get_text() == "a"
    html = convert(block('print("<b>\\n\\n*x*</b>")', 'source="hide" output="html"'))
    assert html.b.get_text() == "\n\n*x*"


def test_no_output_shows_no_empty_box(convert: Convert) -> None:
    assert not outputs(convert(block("x = 1", "")))


FIGURE = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nn = 3\nfig"


@pytest.mark.parametrize(("alt", "said"), [("A line", "A line"), ("=f'{n} lines'", "3 lines")])
def test_a_figure_has_its_alternative(convert: Convert, alt: str, said: str) -> None:
    page = convert(block(FIGURE, f'source="hide" output="figure" alt="{alt}"'))
    assert page.select_one("figure.plot > svg")["aria-label"] == said


def test_a_figure_may_have_a_caption(convert: Convert) -> None:
    page = convert(block(FIGURE, 'source="hide" output="figure" alt="A line" caption="a < b"'))
    assert page.select_one("figure > figcaption").get_text() == "a < b"


def test_an_expected_error_is_shown_after_what_was_printed(convert: Convert) -> None:
    code = "print('first')\n[][1]"
    for kind in ("IndexError", "LookupError"):
        assert outputs(convert(block(code, f'raises="{kind}"'))) == ["first\nIndexError: list index out of range\n"]


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_an_expected_error_may_be_any(convert: Convert, code: str) -> None:
    kind = code.split()[1].partition("(")[0]
    assert outputs(convert(block(code, f'raises="{kind}"')))[0].startswith(f"{kind}:")


def test_the_session_goes_on_after_an_expected_error(convert: Convert) -> None:
    assert outputs(convert(block("x = 1\n1 / 0", 'setup raises="ZeroDivisionError"') + block("x"))) == ["1\n"]


@pytest.mark.parametrize("options", ["varies", 'varies output="markdown"', 'varies output="html"'])
def test_an_output_that_varies_is_marked(convert: Convert, options: str) -> None:
    page = convert(block("print('0.5 s')", options))
    assert page.select_one(".varies").get_text().strip() == "0.5 s"
    assert pages.site.fences["page.md"][0].varies
    assert not convert(block("print('0.5 s')")).select(".varies")


def test_options_are_read_as_written() -> None:
    options = {"exec": "exec", "limit": "2.5", "raises": "ValueError", "varies": "varies"}
    fence = Fence.parse(options)
    assert (fence.limit, fence.raises, fence.varies, fence.setup) == (2.5, "ValueError", True, False)
    assert Fence.parse({"exec": "exec", "tolerance": "0.5%"}).tolerance == 0.5


VALUES = {
    "text": ("'a\\nb'", "'a\\nb'\n"),
    "number": ("6 * 7", "42\n"),
    "none": ("print(1)", "1\n"),
    "after prints": ("print(1)\n2", "1\n2\n"),
    "not an assignment": ("x = 2", None),
}


@pytest.mark.parametrize(("code", "shown"), VALUES.values(), ids=VALUES)
def test_the_value_of_the_last_line_is_shown(convert: Convert, code: str, shown: str | None) -> None:
    assert outputs(convert(block(code))) == ([shown] if shown else [])


def test_a_last_value_is_markdown_where_that_is_asked_for(convert: Convert) -> None:
    assert convert(block('"*x*"', 'output="markdown"')).em.get_text() == "x"


def test_what_libraries_print_is_shown_in_order(convert: Convert, write: Write) -> None:
    write("src/talk.py", "import sys\ndef say():\n    print('library')\n    sys.stdout.write('too\\n')\n")
    assert outputs(convert(block("import talk\nprint(1)\ntalk.say()\nprint(2)\n3"))) == ["1\nlibrary\ntoo\n2\n3\n"]


def test_a_logger_of_an_earlier_block_is_heard(convert: Convert) -> None:
    begin = "import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s')\nlogging.error('one')"
    assert outputs(convert(block(begin) + block("print('a')\nlogging.error('two')"))) == ["one\n", "a\ntwo\n"]


def test_nothing_reaches_the_terminal(convert: Convert, capfd: pytest.CaptureFixture[str]) -> None:
    convert(block("print('unheard')\n'unheard'"))
    assert "unheard" not in capfd.readouterr().out


# Where a fence may stand


PLACES = {
    "admonition": '!!! note "N"\n\n    {}',
    "folded": '??? question "Q"\n\n    {}',
    "list": "- item\n\n    {}",
    "quote": "> {}",
    "attributes": "{}",
}


@pytest.mark.parametrize("form", PLACES.values(), ids=PLACES)
def test_a_fence_runs_wherever_prose_does(convert: Convert, form: str) -> None:
    indent = "\n" + form.split("\n")[-1].removesuffix("{}").removeprefix("- item")
    code = 'for i in range(2):\n    print("at", i)'
    fence = f"```python exec\n{code}\n```".replace("\n", indent)
    page = convert("Before.\n\n" + form.format(fence) + "\n\nAfter.")
    assert (sources(page), outputs(page)) == ([code + "\n"], ["at 0\nat 1\n"])


def test_a_section_of_a_program_is_included_and_run(convert: Convert, write: Write) -> None:
    write("snippets/a.py", "x = 1\n# --8<-- [start:two]\nprint(2)\n# --8<-- [end:two]\n")
    page = convert('```python exec\n--8<-- "snippets/a.py:two"\n```\n')
    assert (sources(page), outputs(page)) == (["print(2)\n"], ["2\n"])


def test_a_plain_fence_is_highlighted_and_not_run(convert: Convert) -> None:
    page = convert('```python title="no.py" hl_lines="1"\nraise SystemExit\n```\n')
    assert sources(page) == ["raise SystemExit\n"]


def test_a_fence_in_a_fence_is_text(convert: Convert) -> None:
    page = convert("````md\n```python exec nonsense\n1 / 0\n```\n````\n\n" + block("1"))
    assert "python exec nonsense" in page.select("code")[0].get_text()
    assert outputs(page) == ["1\n"]


# Mistakes, each in line 5 of the page


MISTAKES = {
    "misspelt option": ("```python exec sourc\n```", "no option 'sourc'"),
    "misspelt option with a value": ('```python exec ouput="text"\n```', "no option 'ouput'"),
    "an option of the full form": ('```python exec tabs="A|B"\n```', "no option 'tabs'.* with exec=.1. has it"),
    "misspelt value": ('```python exec source="over"\n```', "source is one of above, hide, fold, not 'over'"),
    "misspelt output": ('```python exec output="txt"\n```', "output is one of .*not 'txt'"),
    "misspelt yes": ('```python exec="tru"\n```', "exec is one of .*not 'tru'; did you mean true"),
    "a flag with a value": ('```python exec setup="yes"\n```', "setup stands alone"),
    "misspelt exec": ("```python exce\n```", "no option 'exce'"),
    "misspelt exec with a value": ('```python exce="1"\n```', "no option 'exce'"),
    "option without exec": ('```python output="text"\n```', "no option 'output'.*without exec"),
    "no alt": ('```python exec output="figure"\nfig\n```', 'needs alt="what it shows"'),
    "empty alt": ('```python exec output="figure" alt=" "\nfig\n```', "needs alt"),
    "alt of a text": ('```python exec alt="text"\n1\n```', "nothing else has alt"),
    "caption of a text": ('```python exec caption="text"\n1\n```', "nothing else has alt or caption"),
    "fold without a title": ('```python exec source="fold"\n1\n```', "needs title"),
    "setup that shows": ('```python exec setup output="text"\n1\n```', "setup shows neither"),
    "limit is a word": ('```python exec limit="long"\n```', "number of seconds, not 'long'"),
    "limit is zero": ('```python exec limit="0"\n```', "number of seconds, not '0'"),
    "limit is negative": ('```python exec limit="-1"\n```', "number of seconds, not '-1'"),
    "limit is no number": ('```python exec limit="nan"\n```', "number of seconds, not 'nan'"),
    "tolerance without a unit": ('```python exec tolerance="2"\n1\n```', "such as .2%., not '2'"),
    "tolerance of nothing": ('```python exec tolerance="0%"\n1\n```', "not '0%'"),
    "tolerance of anything": ('```python exec tolerance="100%"\n1\n```', "not '100%'"),
    "tolerance that is empty": ('```python exec tolerance=""\n1\n```', "not ''"),
    "tolerance of what varies": ('```python exec varies tolerance="2%"\n1\n```', "an output that is compared"),
    "tolerance of what is hidden": ('```python exec setup tolerance="2%"\n1\n```', "an output that is compared"),
    "no quotes": ("```python exec limit=3\n1\n```", "malformed"),
    "not closed": ("```python exec\nprint(1)\n", "not closed"),
    "not closed, tildes": ("~~~python exec\nprint(1)\n", "not closed"),
    "closed by another": ("````python exec\nprint(1)\n```\n", "not closed"),
    "another language": ("```ruby exec\nls\n```", "ruby does not run here; python, .* do"),
    "a language of markdown-exec's": ('```pyodide exec="1"\n1\n```', "pyodide does not run here"),
    "another language, without quotes": ("```ruby title=a\nls\n```", "malformed"),
    "on the line of a list item": ("- ```python exec\n  1\n  ```", "not closed"),
    "on the line of a numbered item": ("1. ```python exec\n   1\n   ```", "not closed"),
    "no such file": ('```python exec\n--8<-- "snippets/none.py"\n```', "there is no file snippets/none.py"),
    "no such section": ('```python exec\n--8<-- "snippets/a.py:none"\n```', "snippets/a.py has no section none"),
}
ABOVE = "# Title\n\n```python exec\n```\n"  # the same opening line as some, so that the wrong one could be named


@pytest.mark.parametrize(("fence", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_page_and_line(convert: Convert, write: Write, fence: str, message: str) -> None:
    write("snippets/a.py", "# --8<-- [start:two]\nprint(2)\n# --8<-- [end:two]\n")
    line = 6 if "--8<--" in fence else 5
    with pytest.raises(PageError, match=rf"^a/b\.md:{line}: .*{message}"):
        convert(ABOVE + fence + "\n", "a/b.md")
    with pytest.raises(PageError, match=rf"^a/b\.md:{line + 3}: .*{message}"):
        convert(ABOVE + fence + "\n", "a/b.md", lines_above=3)


@pytest.mark.parametrize(("fence", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_shown_in_the_page_that_is_served(
    convert: Convert, write: Write, fence: str, message: str
) -> None:
    write("snippets/a.py", "")
    pages.site.show_errors = True
    page = convert(ABOVE + fence + "\n")
    assert BeautifulSoup(str(page.select_one(".failure")), "html.parser").find(string=lambda text: "page.md:" in text)
    assert not convert(block("'mended'")).select(".failure")


# Runs that do not end as they should


FAILURES = {
    "exception": ("x = 1\n1 / 0", "", r"line 2, in <module>\n +1 / 0\n.*ZeroDivisionError: division by zero"),
    "exception in a library": ("x = 1\nimport json\njson.loads('{')", "", "line 3, in <module>.*JSONDecodeError"),
    "exception in a last value": ("x = 1\nx.none", "", r"line 2, in <module>\n +x\.none\n.*AttributeError"),
    "syntax": ("x = 1\ny = (", "", "line 2\n +y = .*SyntaxError"),
    "exit": ("x = 1\nimport sys\nsys.exit(0)", "", r"line 3.*sys\.exit\(0\)\nSystemExit: 0"),
    "interrupt": ("x = 1\nraise KeyboardInterrupt", "", r"line 2.*KeyboardInterrupt"),
    "hard exit": ("x = 1\nimport os\nos._exit(0)", "", "ended its process with exit code 0"),
    "killed": ("x = 1\nimport os\nos.kill(os.getpid(), 9)", "", "ended its process with exit code -9"),
    "hang": ("x = 1\nimport time\ntime.sleep(60)", 'limit="0.2"', "ran for longer than 0.2 seconds"),
    "another exception": ("x = 1\n1 / 0", 'raises="ValueError"', "line 2.*ZeroDivisionError"),
    "no exception": ("x = 1", 'raises="ValueError"', "was to raise ValueError, and raised nothing"),
    "no text": ("x = 1", 'output="text"', "shows nothing, where its option asks for text"),
    "no markdown": ("x = 1\nprint(' ')", 'output="markdown"', "shows nothing.*markdown"),
    "no html": ("x = 1", 'output="html"', "shows nothing.*html"),
    "no figure": ("x = 1", 'output="figure" alt="A line"', "shows nothing.*figure"),
    "not a figure": ("x = 1\nx", 'output="figure" alt="A line"', "is to be a matplotlib figure, not int"),
    "alt that fails": (f"x = 1\n{FIGURE}", 'output="figure" alt="=missing"', "NameError"),
    "failed claim": (
        "x = 1\nassert x == 2, 'x is two'",
        "",
        "The page claims what does not hold: x is two\n.*line 2.*assert x == 2",
    ),
    "failed check": ("x = 1\nassert x == 2", "", "line 2.*AssertionError"),
}


@pytest.mark.parametrize(("code", "options", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failure_stops_the_build(convert: Convert, code: str, options: str, message: str) -> None:
    text = "# Title\n\n" + block("y = 1\ny") + block(code, options) + block("'unreached'")
    with pytest.raises(PageError, match=rf"(?s)^a/b\.md:10: block 2, which starts with 'x = 1': .*{message}"):
        convert(text, "a/b.md", lines_above=2)
    with pytest.raises(PageError, match=rf"(?s)^a/b\.md:8: block 2, .*{message}"):  # and is not remembered as a success
        convert(text, "a/b.md")


@pytest.mark.parametrize(("code", "options", "message"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_shown_in_the_page_that_is_served(convert: Convert, code: str, options: str, message: str) -> None:
    pages.site.show_errors = True
    text = "Above.\n\n" + block("'first'") + block(code, options) + "Below.\n"
    page = convert(text)
    assert outputs(page) == ["'first'\n"]
    assert [p.get_text() for p in page.select("p") if "admonition-title" not in p.get("class", [])] == [
        "Above.",
        "Below.",
    ]
    (failure,) = page.select(".failure")
    assert "page.md:7: block 2" in failure.get_text()
    mended = convert(text.replace(code, "'mended'").replace(options or "no options", 'source="hide"'))
    assert outputs(mended)[-1] == "'mended'\n"
    assert not mended.select(".failure")


def test_what_stands_below_a_failure_says_so(convert: Convert) -> None:
    pages.site.show_errors = True
    page = convert(block("x = 1\n1 / 0") + "`=x`\n\n" + block("2"))
    assert [failure.get_text().count("was not run") for failure in page.select(".failure")] == [0, 1]
    assert page.find(string="(not run)")


def test_a_failed_claim_of_a_library_is_one_too(convert: Convert) -> None:
    with pytest.raises(PageError, match="The page claims what does not hold: two tensors are one"):
        convert(block("def check():\n    assert 1 == 2, 'two tensors are one'\ncheck()"))


def test_a_claim_that_holds_shows_nothing(convert: Convert) -> None:
    assert not outputs(convert(block("assert 1 == 1, 'one is one'")))


def test_a_process_that_fails_takes_its_children_in_order(convert: Convert) -> None:
    """A block that is killed does not hide what those above it showed."""
    pages.site.show_errors = True
    page = convert(block("'one'") + block("'two'") + block("import os\nos._exit(3)"))
    assert outputs(page) == ["'one'\n", "'two'\n"]
    assert "exit code 3" in page.select_one(".failure").get_text()


# Sessions


def test_blocks_of_a_page_share_a_session(convert: Convert) -> None:
    assert outputs(convert(block("x = 40", "setup") + block("x + 2"))) == ["42\n"]


def test_pages_do_not_share_a_session(convert: Convert) -> None:
    convert(block("import json\nx = 1\njson.changed = True", "setup"), "one.md")
    with pytest.raises(PageError, match="NameError: name 'x' is not defined"):
        convert(block("x"), "two.md")
    assert outputs(convert(block("import json\nhasattr(json, 'changed')"), "three.md")) == ["False\n"]


def test_each_build_starts_afresh(convert: Convert) -> None:
    convert(block("x = 1", "setup"))
    with pytest.raises(PageError, match="NameError"):
        convert(block("x"))


def test_the_building_process_is_untouched(convert: Convert) -> None:
    import os
    import sys

    before = os.getcwd(), dict(sys.modules)
    convert(block("import colorsys, os\nos.chdir('/')\nos.environ['PLANTED'] = '1'"))
    assert (os.getcwd(), "PLANTED" in os.environ, "colorsys" in sys.modules) == (
        before[0],
        False,
        "colorsys" in before[1],
    )


def test_a_page_is_main_as_in_a_terminal(convert: Convert) -> None:
    code = "import pickle, dataclasses\n@dataclasses.dataclass\nclass Size:\n    n: int\n"
    page = convert(block(code + "pickle.loads(pickle.dumps(Size(3)))") + block("__name__"))
    assert outputs(page) == ["Size(n=3)\n", "'__main__'\n"]


def test_future_imports_of_the_machinery_do_not_leak(convert: Convert) -> None:
    assert outputs(convert(block("def f(x: int): ...\nf.__annotations__"))) == ["{'x': <class 'int'>}\n"]


def test_the_terminal_is_80_wide_and_sets_have_an_order(convert: Convert, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert outputs(convert(block("import shutil\nshutil.get_terminal_size().columns"))) == ["80\n"]
    assert outputs(convert(block("import os, sys\nos.environ['PYTHONHASHSEED'], hash('a') != 0"))) == ["('0', True)\n"]


# The network


ATTEMPTS = {
    "urlopen": "import urllib.request\nurllib.request.urlopen('http://example.org')",
    "connect": "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)",
    "getaddrinfo": "import socket\nsocket.getaddrinfo('example.org', 80)",
    "gethostbyname": "import socket\nsocket.gethostbyname('example.org')",
    "datagram": "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
    "version 6": "import socket\nsocket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    "thread": "from concurrent.futures import ThreadPoolExecutor as T\nimport socket\n"
    "T().submit(socket.getaddrinfo, 'example.org', 80).result()",
}


@pytest.mark.parametrize("code", ATTEMPTS.values(), ids=ATTEMPTS)
def test_there_is_no_network(convert: Convert, code: str) -> None:
    with pytest.raises(
        PageError, match=r"examples run without a network, and this one asked for (example\.org|192|2001)"
    ):
        convert(block(code))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_the_machine_itself_can_be_asked(convert: Convert, host: str) -> None:
    code = (
        "import socket\n"
        f"family = socket.AF_INET6 if '::' in {host!r} else socket.AF_INET\n"
        f"server = socket.create_server(({host!r}, 0), family=family)\n"
        f"client = socket.create_connection(({host!r}, server.getsockname()[1]))\n"
        "client.sendall(b'hello')\n"
        "server.accept()[0].recv(5)"
    )
    try:
        import socket

        socket.create_server((host, 0), family=socket.AF_INET6 if "::" in host else socket.AF_INET).close()
    except OSError:
        pytest.skip(f"this machine has no {host}")
    assert outputs(convert(block(code))) == ["b'hello'\n"]
