"""The `weigh` command: the library's questions, answered on a terminal or as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from weigh.errors import WeighError
from weigh.units import format_bytes


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name="weights-and-measures", prog_name="weigh")
def weigh() -> None:
    """Weigh model files: sizes from headers and configs, with nothing loaded and nothing executed."""


@weigh.command("inspect")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain integers and strings.")
def inspect_command(path: Path, as_json: bool) -> int:
    """Say what is in the model file or directory PATH.

    Reads safetensors files, their shard indices, and PyTorch zip archives, from headers alone.
    Exits with 1 if loading the file would import something that a safe loader refuses.

    Example: weigh inspect model.safetensors
    """
    from weigh.inspection import inspect

    contents = inspect(path)
    facts = contents.as_dict()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        parts = {f"  {name}": size for name, size in facts["by_component"].items() if size}
        _table(
            f"{facts['path']} ({facts['format']})",
            {
                "parameters": facts["parameters"],
                **({"buffer elements": facts["buffers"]} if facts["buffers"] else {}),
                "tensors": facts["tensors"],
            },
            {
                "bytes on disk": facts["bytes_on_disk"],
                **parts,
                "bytes in tensors": facts["bytes_in_tensors"],
                **{f"  {name}": size for name, size in facts["by_dtype"].items()},
            },
        )
        for artifact, files in facts["artifacts"].items():
            click.echo(f"{artifact + ':':<27}{', '.join(files) or click.style('missing', fg='yellow')}")
        for names in facts["tied"]:
            click.echo(f"tied, counted once: {_printable(' = '.join(names))}")
        for note in facts["notes"]:
            click.echo(f"note: {note}")
    if contents.imports:
        click.echo(
            f"weigh: {path}: loading it would import {_printable(', '.join(contents.imports))}, which torch.load "
            "refuses by default; load it only if you trust its author, or ask for safetensors",
            err=True,
        )
        return 1
    return 0


@weigh.command("params")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain integers and strings.")
def params_command(config: Path, as_json: bool) -> int:
    """Count the parameters that CONFIG describes: a Hugging Face config.json, or a directory that holds one.

    Example: weigh params config.json
    """
    from weigh.parameters import params

    model = params(config)
    facts = model.as_dict()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _table(
            f"{config} ({model.architecture})",
            {"parameters": model.parameters, "tensors": model.tensors},
            {
                f"as {name}{', as saved' if name == model.dtype else ''}": size
                for name, size in {model.dtype: model.bytes_in_tensors, **facts["bytes"]}.items()
            },
        )
    return 0


def _printable(text: str) -> str:
    """Names come from files: what a terminal would obey instead of showing is replaced."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _table(title: str, counts: dict[str, int], sizes: dict[str, int]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    click.secho(title, bold=True)
    table = Table(box=SIMPLE, show_edge=False)
    table.add_column("")
    for heading in ("exactly", "decimal", "binary"):
        table.add_column(heading, justify="right")
    for name, count in counts.items():
        table.add_row(name, f"{count:,}")
    for name, size in sizes.items():
        table.add_row(name, f"{size:,}", format_bytes(size), format_bytes(size, binary=True))
    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)


def main(args: list[str] | None = None) -> Any:
    """Run the command, with one line on standard error and exit code 2 for any input that it refuses."""
    try:
        sys.exit(weigh.main(args, prog_name="weigh", standalone_mode=False))
    except WeighError as error:
        click.echo(f"weigh: {error}", err=True)
    except click.ClickException as error:
        click.echo(f"weigh: {error.format_message().rstrip('.')}; see weigh --help", err=True)
    except click.Abort:
        click.echo("weigh: interrupted", err=True)
    sys.exit(2)
