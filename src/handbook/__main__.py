"""What a contributor asks of the machinery beside a build: `python -m handbook outputs`."""

from __future__ import annotations

from pathlib import Path

import click
from mkdocs.config import load_config

from handbook.outputs import differences, records, renew, run_pages
from handbook.pages import PageError


@click.group()
def main() -> None:
    """The machinery of the handbook."""


@main.command()
@click.option("--check", is_flag=True, help="Compare and show the differences instead.")
def outputs(check: bool) -> None:
    """Run the pages and renew what tests/expected/ records of their outputs."""
    try:
        now = records(Path(), run_pages(load_config("mkdocs.yml")))
    except PageError as error:
        raise click.ClickException(str(error)) from None
    found = differences(Path(), now)
    if not check:
        renew(Path(), now)
        click.echo(f"{len(found)} of {len(now)} recorded outputs renewed")
    elif found:
        click.echo("\n\n".join(found.values()))
        raise click.ClickException(
            "these outputs are not the recorded ones: see whether they should differ, then `make outputs`"
        )


if __name__ == "__main__":
    main(prog_name="python -m handbook")
