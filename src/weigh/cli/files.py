"""The commands about files: what is in one, and how a checkpoint becomes a model."""

import json
from pathlib import Path
from typing import Any

import click

from weigh.cli.group import weigh
from weigh.cli.terminal import grid, printable, progress, table
from weigh.units import format_bytes

_MOST_NAMED = 4


@weigh.command("inspect")
@click.argument("path")
@click.option("--tree", "as_tree", is_flag=True, help="Show the modules, with layers that are alike folded into one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain integers and strings.")
def inspect_command(path: str, as_tree: bool, as_json: bool) -> int:
    """Say what is in the model file or directory PATH, from headers alone.

    Reads safetensors, PyTorch's archives (old and new ones, TorchScript and distributed checkpoints), GGUF, ONNX and
    NumPy files, shard indices and model directories. PATH may be a URL: https://…, s3://…, hf://….
    Of a directory it counts each weight once, follows every pickle, and ends with what it did not read, and why.
    Of quantized matrices it counts the numbers that they stand for, and says what scales and the like weigh.
    Exits with 1 if loading it would import what a safe loader refuses and the library that left it does not allow.

    Example: weigh inspect model.safetensors --tree
    """
    from weigh.files.inspecting import inspect
    from weigh.sources import is_directory, locate

    contents = inspect(path)
    facts = contents.as_dict()
    if as_tree:
        from weigh.files.modules import tree

        modules = tree(contents)
        if as_json:
            facts["tree"] = modules.as_dict()
        else:
            _show_tree(modules)
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show_contents(facts)
        if is_directory(locate(path)):
            _show_unread(facts["not_read"])
    if contents.imports:
        click.echo(
            f"weigh: {printable(path)}: loading it would import {printable(', '.join(contents.imports))}, which "
            "a safe loader refuses; load it only if you trust its author, or ask for safetensors",
            err=True,
        )
        return 1
    return 0


def _show_contents(facts: dict[str, Any]) -> None:
    quantized = facts["quantized"] or {"bytes": {}}
    table(
        f"{facts['path']} ({facts['format']})",
        {
            "parameters": facts["parameters"],
            **({"  quantized": quantized["parameters"]} if facts["quantized"] else {}),
            **({"stored elements": facts["stored_elements"]} if facts["quantized"] else {}),
            **({"buffer elements": facts["buffers"]} if facts["buffers"] else {}),
            "tensors": facts["tensors"],
        },
        {
            "bytes on disk": facts["bytes_on_disk"],
            **{f"  {name}": size for name, size in facts["by_component"].items() if size},
            "bytes in tensors": facts["bytes_in_tensors"],
            **{f"  {name}": size for name, size in facts["by_dtype"].items()},
            **{f"quantized: {name.replace('_', ' ')}": size for name, size in quantized["bytes"].items()},
        },
    )
    if facts["quantized"]:
        bits = quantized["bits_per_weight"]
        each = f"{bits:g} bits per weight, scales and the like included" if bits else "bits per weight not known"
        click.echo(f"quantized: {printable(quantized['scheme'])}, matrices: {quantized['groups']:,}, {each}")
    for artifact, files in facts["artifacts"].items():
        click.echo(f"{artifact + ':':<27}{printable(', '.join(files)) or click.style('missing', fg='yellow')}")
    for names in facts["tied"]:
        click.echo(f"tied, counted once: {printable(' = '.join(names))}")
    for part, parameters in facts["parts"].items():
        folder = "the directory itself" if part == "." else f"{part}/"
        click.echo(f"{printable(folder) + ':':<27}{parameters:,} parameters")
    for note in facts["notes"]:
        click.echo(f"note: {printable(note)}")


def _show_unread(not_read: list[dict[str, Any]]) -> None:
    """A line for each reason, with the files that it is that of."""
    reasons: dict[str, list[dict[str, Any]]] = {}
    for file in not_read:
        reasons.setdefault(file["why"], []).append(file)
    for why, files in reasons.items():
        names = ", ".join(file["path"] for file in files[:_MOST_NAMED])
        more = f" and {len(files) - _MOST_NAMED:,} more" if len(files) > _MOST_NAMED else ""
        size = sum(file["bytes"] for file in files)
        click.echo(printable(f"not read: {size:,} bytes in {names}{more}: {why}"))
    if not reasons:
        click.echo("not read: nothing")


def _show_tree(root: Any) -> None:
    rows = []

    def walk(module: Any, depth: int) -> None:
        indent = "  " * depth
        for child in module.children:
            # A chain of modules with nothing beside it is one line, as a path of folders is.
            name, last = child.name, child
            while not last.tensors and len(last.children) == 1 and last.count == last.children[0].count == 1:
                last = last.children[0]
                name += f".{last.name}"
            times = f" × {last.count}" if last.count > 1 else ""
            rows.append([f"{indent}{printable(name)}{times}", "", "", f"{last.elements:,}",
                         format_bytes(last.bytes_in_tensors)])  # fmt: skip
            walk(last, depth + 1)
        for name, tensor, own in module.tensors:
            shape = " × ".join(f"{size:,}" for size in tensor.shape) or "scalar"
            size = format_bytes(own) if own or not tensor.numel else "tied"
            rows.append([f"{indent}{printable(name)}", tensor.dtype, shape, f"{tensor.numel:,}", size])

    walk(root, 0)
    columns = {"module or tensor": "", "dtype": "dim", "shape": "dim", "elements": "bold", "bytes": "cyan"}
    grid("modules (of those that are alike, the tensors of one; a module's figures are of all)", columns, rows, left=3)


def _casts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from weigh.files.exporting import CASTS

    return [name for name in CASTS if name.startswith(incomplete)]


@weigh.command("export")
@click.argument("checkpoint")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--dtype", shell_complete=_casts, help="Cast the weights, such as bfloat16.  [default: as they are]")
@click.option("--config", metavar="PATH", help="The model's config.json.  [default: the one beside CHECKPOINT]")
@click.option("--shard", default="5GB", show_default=True, metavar="SIZE", help="The most bytes of tensors in a file.")
@click.option("--key", metavar="KEY", help="The key of the state dict, such as ema.  [default: the only one there is]")
@click.option(
    "--prefix", metavar="TEXT", help="Take this off the front of every name.  [default: what wraps the model]"
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object of what was written and lost.")
def export_command(checkpoint: str, directory: Path, shard: str, as_json: bool, **options: Any) -> int:
    """Turn the training checkpoint CHECKPOINT into the inference directory DIRECTORY, and verify it.

    Keeps the weights, casts and shards them as asked, writes them as safetensors, and reads them back. Optimizer state
    and the rest stay behind. With a config, every tensor that it describes must be there.
    Exits with 1 if weights overflowed in the new format.

    Example: weigh export step-2000.pt served --dtype bfloat16
    """
    from weigh.files.exporting import export
    from weigh.units import parse_bytes

    with progress("writing") as show:
        done = export(checkpoint, directory, shard_bytes=parse_bytes(shard), progress=show, **options)
    if as_json:
        click.echo(json.dumps(done.as_dict(), indent=2))
        return 1 if done.overflowed else 0
    stripped = {f"  left behind: {part}": size for part, size in done.stripped.items()}
    table(
        f"{done.directory}: {', '.join(done.files)}",
        {"parameters": done.parameters, "tensors": done.tensors},
        {"bytes on disk": done.bytes_on_disk, **stripped},
    )
    if done.prefix:
        click.echo(f"names: {printable(repr(done.prefix))} was taken off the front of each")
    if done.inserted:
        click.echo(f"names: {printable(', '.join(done.inserted))} was taken out where a wrapper had put it in")
    if done.tied:
        click.echo(f"tied, written once: {printable(', '.join(done.tied))} left out")
    if done.dtype:
        click.echo(
            f"cast to {done.dtype}: largest relative error {done.largest_relative_error:.3g}, "
            f"{done.underflowed:,} weights became 0, {done.overflowed:,} became infinite"
        )
    click.echo(f"verified: {'; '.join(done.checked)}")
    return 1 if done.overflowed else 0
