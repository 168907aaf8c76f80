"""What a contributor asks of the machinery beside a build: to run, record, register, compare or print."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import click
from mkdocs.config import load_config

from handbook.outputs import differences, records, renew, run_pages, start_pages
from handbook.portable import check, settings
from handbook.runs import PageError
from handbook.study import register
from handbook.study.rules import broken_rules
from handbook.study.sheet import PAGE, PDF, print_to
from handbook.study.texts import all_cards


@click.group()
def main() -> None:
    """The machinery of the handbook."""


@main.command()
def run() -> None:
    """Run the programs of all pages, and say how far it is. What is wrong with them is for builds and tests to say."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        for _, task in start_pages(load_config("mkdocs.yml")).values():
            task.result()
    except PageError as error:
        click.echo(error)


@main.command()
@click.option("--check", "compare", is_flag=True, help="Compare and show the differences instead.")
def outputs(compare: bool) -> None:
    """Run the pages and renew what tests/expected/ records of their outputs."""
    try:
        now = records(Path(), run_pages(load_config("mkdocs.yml")))
    except PageError as error:
        raise click.ClickException(str(error)) from None
    found = differences(Path(), now)
    if not compare:
        renew(Path(), now)
        click.echo(f"{len(found)} of {len(now)} recorded outputs renewed")
    elif found:
        click.echo("\n\n".join(found.values()))
        raise click.ClickException(
            "these outputs are not the recorded ones: see whether they should differ, then `make outputs`"
        )


@main.command()
def cards() -> None:
    """Give an id to each study card that has none, register those of all, and say what is wrong with the cards."""
    given, now = register.renew(Path()), all_cards(Path())
    click.echo(f"{given} of {len(now)} cards got an id")
    if wrong := broken_rules(Path(), now) + register.lost(now, register.read(Path())):
        raise click.ClickException("\n".join(["these cards are not as Writing a page says:", *wrong]))


@main.command()
@click.argument("types", nargs=-1)
@click.option("--keep", is_flag=True, help="Compare the constructors that are there, and slice none.")
@click.option("--processes", default=2, help="How many work at once, 2 if not said.")
def families(types: tuple[str, ...], keep: bool, processes: int) -> None:
    """Slice the constructors of the installed transformers, compare each TYPE with it, and renew the register."""
    from handbook.families.making import make  # which needs torch and transformers

    if wrong := make(Path(), types, keep=keep, processes=processes, say=click.echo):
        raise click.ClickException(f"{wrong} of the model types are not as transformers builds them: see above")


@main.command()
@click.argument("libraries", nargs=-1)
def zoo(libraries: tuple[str, ...]) -> None:
    """Measure every recipe of the optimizer zoo again, or those of each module in LIBRARIES, and renew its rows."""
    from handbook.zoo.making import make  # which needs torch
    from handbook.zoo.recipes import LIBRARIES

    if unknown := set(libraries) - set(LIBRARIES):
        raise click.ClickException(f"no recipes of {', '.join(sorted(unknown))}: there are {', '.join(LIBRARIES)}")
    make(libraries or LIBRARIES, click.echo)


@main.command()
def portable() -> None:
    """Run the pages under several instruction sets and compare them with their recorded outputs."""
    outcomes = {}
    for setting in settings():
        click.echo(f"{setting}: running the pages")
        outcomes[setting] = outcome = check(setting)
        if not outcome.good:
            click.echo(outcome.output)
    click.echo(f"{'setting':34}pages that differ   lines")
    for setting, outcome in outcomes.items():
        click.echo(f"{setting!s:34}{'failed' if outcome.failed else outcome.pages:>17}{outcome.lines:>8}")
    if not all(outcome.good for outcome in outcomes.values()):
        raise click.ClickException("make these exact, or declare them: see Numbers that hold on any machine")


@main.command()
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--site", type=click.Path(path_type=Path), default=Path("site"), help="The built site, site/ if not said."
)
@click.option("--paper", type=click.Choice(["A4", "Letter"]), default="A4", help="A4 if not said.")
def sheet(target: Path | None, site: Path, paper: str) -> None:
    """Print the study cards of the built site to a PDF file: one that the site links, unless TARGET is another."""
    if not (site / PAGE).is_dir():
        raise click.ClickException(f"{site / PAGE} is missing: make build")
    from playwright.sync_api import sync_playwright  # which builds do not need

    system = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=system, args=["--no-sandbox"])
        print_to(target or site / PDF, site, browser, paper)
    click.echo(f"{target or site / PDF} written")


if __name__ == "__main__":
    main(prog_name="python -m handbook")
