"""The reference pages: all that is public in `weigh` and all that its command takes is there, once, and as it is."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import click
import pytest
from bs4 import BeautifulSoup, Tag

import weigh
from handbook.reference import commands, context_of
from weigh import errors
from weigh.cli import weigh as command


def page(site: Path, name: str) -> Tag:
    found = BeautifulSoup((site / "tools" / name / "index.html").read_text("utf-8"), "html.parser").article
    assert found
    return found


@pytest.fixture(scope="module")
def library(site: Path) -> Tag:
    return page(site, "library")


@pytest.fixture(scope="module")
def reference(site: Path) -> Tag:
    return page(site, "command-reference")


def following(heading: Tag) -> list[Tag]:
    """The elements from a heading to the next one that is not below it."""
    found = []
    for element in heading.find_next_siblings():
        if element.name in ("h1", "h2", "h3") and element.name <= heading.name:
            break
        found.append(element)
    return found


def test_every_public_name_is_there_once(library: Tag) -> None:
    ids = [str(tag["id"]) for tag in library.find_all(id=True)]
    assert sorted(each for each in ids if each.startswith("weigh.")) == sorted(f"weigh.{n}" for n in weigh.__all__)


def test_every_function_has_its_parameters(library: Tag) -> None:
    for name in weigh.__all__:
        value = getattr(weigh, name)
        if callable(value) and not isinstance(value, type):
            heading = library.find(id=f"weigh.{name}")
            assert isinstance(heading, Tag), name
            signature = following(heading)[0].get_text()
            assert signature.startswith(f"{name}("), name
            code = value.__code__
            taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            assert [each for each in taken if f"{each}:" not in signature] == [], name


def test_every_result_has_its_fields(library: Tag) -> None:
    for name in weigh.__all__:
        fields = getattr(getattr(weigh, name), "__dataclass_fields__", {})
        heading = library.find(id=f"weigh.{name}")
        assert isinstance(heading, Tag), name
        shown = {code.get_text() for part in following(heading) for code in part.select("li > code:first-child")}
        assert {field for field in fields if not field.startswith("_")} <= shown, name


def test_every_error_is_there(library: Tag) -> None:
    known = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, errors.WeighError)
    ]
    shown = [row.code.get_text() for row in library.select("tbody tr") if row.code]
    for error in known:
        if error is not errors.WeighError:
            assert shown.count(f"errors.{error.__name__}") == 1, error


def test_every_entry_leads_to_the_page_that_teaches_it(library: Tag, reference: Tag) -> None:
    """That the links lead somewhere is for test_site.py to see."""
    for heading in [*library.find_all("h3"), *reference.find_all("h2", id=re.compile("^weigh-"))]:
        lines = [part for part in following(heading) if "Taught on " in part.get_text()]
        assert len(lines) == 1, heading.get_text()
        assert lines[0].find("a"), heading.get_text()


def test_every_command_has_its_options(reference: Tag) -> None:
    for name, context in commands(context_of(command, "weigh")):
        each = context.command
        heading = reference.find(id=f"weigh-{name.replace(' ', '-')}")
        assert isinstance(heading, Tag), name
        section = following(heading)
        options = [option for option in each.get_params(context) if isinstance(option, click.Option)]
        rows = [[code.get_text() for code in row.select("td:first-child code")] for row in _rows(section)]
        for option, shown in zip(options, rows, strict=True):
            names = [*option.opts, *option.secondary_opts]
            assert shown[: len(names)] == names, f"{name} {names}"
        for argument in each.get_params(context):
            if isinstance(argument, click.Argument):
                assert argument.make_metavar(context) in section[0].get_text(), f"{name} {argument.name}"


def test_every_example_is_a_call_that_the_command_takes(reference: Tag) -> None:
    for name, context in commands(context_of(command, "weigh")):
        heading = reference.find(id=f"weigh-{name.replace(' ', '-')}")
        assert isinstance(heading, Tag), name
        examples = [code.get_text().strip() for part in following(heading) for code in part.select(".language-sh code")]
        assert len(examples) == 1, name
        own = len(f"weigh {name} ")
        assert examples[0].startswith(f"weigh {name} ")
        context.command.make_context(name, examples[0][own:].split())  # raises for an option that does not exist


def _rows(section: list[Tag]) -> list[Tag]:
    return [row for part in section for row in part.select("tbody tr")]


def test_no_public_name_is_that_of_a_module() -> None:
    """Of two things with one name, the last to be imported would be found."""
    modules = {module.name for module in pkgutil.iter_modules(weigh.__path__)}
    assert not modules & set(weigh.__all__)
