"""The `weigh` command: the library's questions, answered on a terminal or as JSON."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from weigh.cli_training import plan_command, training_command
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


def _formats(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The formats of weights that a shell may complete."""
    from weigh.storage_formats import STORAGE_FORMATS

    return [name for name in STORAGE_FORMATS if name.startswith(incomplete.lower())]


@weigh.command("inference")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--dtype", default="bfloat16", show_default=True, shell_complete=_formats, help="Format of the weights.")
@click.option("--context", default=8192, show_default=True, type=click.IntRange(1), help="Tokens of each sequence.")
@click.option("--batch", default=1, show_default=True, type=click.IntRange(1), help="Sequences at the same time.")
@click.option("--kv-dtype", help="Format of the KV cache.  [default: that of the computation]")
@click.option("--encoder-context", type=click.IntRange(1), help="Tokens that an encoder reads.  [default: --context]")
@click.option("--prefill", type=click.IntRange(1), help="Tokens of a prompt that are read at once.  [default: all]")
@click.option("--device", metavar="SIZE", help="Memory, such as 24GiB: say what fits.")
@click.option("--bandwidth", metavar="SIZE", help="Bytes a second, such as 3.35TB. With --flops: bound the speed.")
@click.option("--flops", type=float, metavar="N", help="Operations a second, such as 989e12.")
@click.option("--show-work", is_flag=True, help="Print each formula with its numbers, and what is assumed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain integers and strings.")
def inference_command(
    config: Path,
    context: int,
    batch: int,
    device: str | None,
    bandwidth: str | None,
    flops: float | None,
    show_work: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Say how much memory it takes to serve the model that CONFIG describes.

    CONFIG is a Hugging Face config.json, or a directory that holds one.

    Example: weigh inference config.json --dtype q4_k_m --context 32768 --device 24GiB
    """
    from weigh.parameters import params
    from weigh.roofline import decode_bound, prefill_bound
    from weigh.serving import inference, largest_batch, largest_context
    from weigh.units import parse_bytes

    if (bandwidth is None) != (flops is None):
        raise click.UsageError("--bandwidth and --flops are given together")
    model = params(config)
    estimate = inference(model, context=context, batch=batch, **options)
    facts = estimate.as_dict()
    if device:
        memory = parse_bytes(device)
        facts["device_bytes"] = memory
        for name, bound in (("", False), ("_bound", True)):
            facts[f"largest_context{name}"] = largest_context(model, memory, batch=batch, bound=bound, **options)
            facts[f"largest_batch{name}"] = largest_batch(model, memory, context=context, bound=bound, **options)
    if bandwidth and flops:
        speed: dict[str, Any] = {
            "bandwidth": parse_bytes(bandwidth),
            "flops": flops,
            "context": context,
            "batch": batch,
        }
        speed |= {name: options[name] for name in ("dtype", "kv_dtype")}
        facts["prefill_bound"] = asdict(prefill_bound(model, **speed))
        facts["decode_bound"] = asdict(decode_bound(model, **speed))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show_inference(f"{config} ({model.architecture})", facts, show_work)
    return 0


def _show_inference(title: str, facts: dict[str, Any], show_work: bool) -> None:
    _table(
        title,
        {"context": facts["context"], "batch": facts["batch"]},
        {
            f"weights in {facts['dtype']}": facts["weight_bytes"],
            f"KV cache in {facts['kv_dtype']}": facts["kv_cache_bytes"],
            "  for one more token": facts["kv_cache_bytes_per_token"],
            "activations": facts["activation_bytes"],
            "total": facts["total_bytes"],
            "  at least": facts["low_bytes"],
            "  with an engine's reserve": facts["high_bytes"],
        },
    )
    if "device_bytes" in facts:
        for what, given in (("context", "batch"), ("batch", "context")):
            cautious, bound = (_count(facts[f"largest_{what}{name}"]) for name in ("", "_bound"))
            click.echo(
                f"largest {what} at {given} {facts[given]:,}: {cautious} with an engine's reserve, {bound} at most"
            )
    for name in ("prefill", "decode"):
        if speed := facts.get(f"{name}_bound"):
            click.echo(
                f"{name}: at least {speed['seconds'] * 1000:,.1f} ms, limited by {speed['limited_by']}; "
                f"at most {speed['tokens_per_second']:,.0f} tokens a second"
            )
    if show_work:
        for one in facts["steps"]:
            click.echo(f"{one['name']} = {one['formula']} = {one['substituted']} = {one['value']:,} bytes")
        for assumption in facts["assumptions"]:
            click.echo(f"assumed: {assumption}")


def _count(number: int | None) -> str:
    return "any" if number is None else f"{number:,}"


weigh.add_command(training_command)
weigh.add_command(plan_command)


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
    for heading, style in (("exactly", "bold"), ("decimal", "cyan"), ("binary", "green")):
        table.add_column(heading, justify="right", style=style)
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
