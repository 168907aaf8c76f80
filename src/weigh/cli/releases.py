"""The commands about releases: what changed between two, and which files one consists of."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from weigh.cli.group import weigh
from weigh.cli.terminal import grid, printable, progress
from weigh.errors import WeighError

if TYPE_CHECKING:
    from weigh.artifacts.comparing import Comparison
    from weigh.files.comparing import Difference

_MOST_TENSORS, _MOST_IN_A_FILE = 20, 10


@weigh.command("diff")
@click.argument("before")
@click.argument("after")
@click.option(
    "--all",
    "show_all",
    is_flag=True,
    help=f"List every change, and not only {_MOST_TENSORS} tensors and {_MOST_IN_A_FILE} changes of each file.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, every change in it.")
def diff_command(before: str, after: str, show_all: bool, as_json: bool) -> int:
    """Compare the checkpoints or models BEFORE and AFTER: tensors, and of two directories all that is beside them.

    Tensors: what came, went and changed, and how far, of any two formats. Directories: configs field by field,
    tokenizers token by token, other files by SHA-256, and what was compared and what was not. Needs torch for the
    arithmetic; unpickles nothing. Exits with 1 if they differ.

    Example: weigh diff step-1000.pt step-2000.pt
    """
    tensors, rest = _differences(before, after)
    same = tensors.same and (rest is None or rest.same)
    if as_json:
        beside = rest.as_dict() if rest else {
            "artifacts": [],
            "compared": {"tensors": "tensor by tensor"},
            "not_compared": {"other artifacts": "they are compared of two directories on this machine"},
        }  # fmt: skip
        click.echo(json.dumps({**tensors.as_dict(), "same": same, **beside}, indent=2))
        return 0 if same else 1
    _show_tensors(tensors, show_all)
    if rest:
        _show_artifacts(rest, show_all)
    return 0 if same else 1


def _differences(before: str, after: str) -> tuple["Difference", "Comparison | None"]:
    """Of the tensors, and of two directories of all else; by digest if the tensors cannot be read."""
    from weigh.artifacts.comparing import compare
    from weigh.files.comparing import Difference, diff

    both = all(os.path.isdir(side) for side in (before, after))
    try:
        with progress("comparing") as show:
            tensors = diff(before, after, show)
    except WeighError as error:
        if not both:
            raise
        rest = compare(before, after, tensors_by_digest=True)
        rest = replace(rest, not_compared={"tensors": f"{error}; by SHA-256", **rest.not_compared})
        return Difference(before, after, (), 0, {}, ()), rest
    return tensors, compare(before, after) if both else None


def _show_tensors(found: "Difference", show_all: bool) -> None:
    changes = sorted(found.changes, key=lambda change: (change.component != "weights", -(change.relative or 0)))
    shown = changes if show_all else changes[:_MOST_TENSORS]
    columns = {"tensor": "", "": "yellow", "dtype and shape": "dim", "‖change‖": "bold", "÷ ‖before‖": "cyan",
               "elements": ""}  # fmt: skip
    rows = [
        [
            printable(change.name),
            change.kind,
            _dtype_and_shape(change.before, change.after),
            *(f"{value:.4g}" if value is not None else "" for value in (change.norm, change.relative)),
            "" if change.elements is None else f"{change.elements:,}",
        ]
        for change in shown
    ]
    counts = ", ".join(f"{count:,} {kind}" for kind, count in {"equal": found.equal, **found.counts}.items() if count)
    title = f"{found.before} → {found.after}: {counts or 'no tensors'}"
    if rows:
        grid(title, columns, rows, left=3)
    else:
        click.secho(printable(title), bold=True)
    if len(shown) < len(changes):
        click.echo(f"and {len(changes) - len(shown):,} more; --all lists them")
    for name, (old, new) in found.metadata.items():
        click.echo(f"{printable(name)}: {printable(str(old))} → {printable(str(new))}")
    for note in found.notes:
        click.echo(f"note: {printable(note)}")


def _dtype_and_shape(before: str | None, after: str | None) -> str:
    """`float32 [2, 3]`, with an arrow where the two sides differ."""
    if not before or not after or before == after:
        return before or after or ""
    (old, shape), (new, other) = (side.split(" ", 1) for side in (before, after))
    dtypes = old if old == new else f"{old} → {new}"
    return f"{dtypes} {shape if shape == other else f'{shape} → {other}'}"


def _show_artifacts(found: "Comparison", show_all: bool) -> None:
    """The changes beside the tensors, some of each file, and then what was compared and what was not."""
    seen: Counter[str] = Counter()
    rows = []
    for change in found.changes:
        seen[change.file] += 1
        if show_all or seen[change.file] <= _MOST_IN_A_FILE:
            place, sides = change.place or "the file", (change.before, change.after)
            shown = ("absent" if side is None else side for side in sides)
            rows.append([printable(each) for each in (change.file, place, *shown)])
    if rows:
        counts = Counter(change.artifact for change in found.changes)
        click.echo()
        title = ", ".join(f"{artifact} {count:,}" for artifact, count in counts.items())
        grid(f"changes beside the tensors: {title}", {"file": "", "": "", "before": "dim", "after": "bold"}, rows, 4)
    for name, count in seen.items():
        if not show_all and count > _MOST_IN_A_FILE:
            click.echo(f"and {count - _MOST_IN_A_FILE:,} more in {printable(name)}; --all lists them")
    click.echo()
    _grouped("compared", {**dict.fromkeys(found.tensors, "tensor by tensor"), **found.compared})
    _grouped("not compared", found.not_compared)


def _grouped(title: str, reasons: Mapping[str, str]) -> None:
    """Names in lines, those that have the same said of them in one."""
    lines: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        lines.setdefault(reason, []).append(name)
    for reason, names in lines.items():
        click.echo(f"{title}: {printable(', '.join(names))} ({printable(reason)})")


@weigh.command("manifest")
@click.argument("directory")
@click.option("--check", "manifest", metavar="FILE", help="Compare DIRECTORY with the manifest FILE.")
@click.option("--json", "as_json", is_flag=True, help="With --check, one JSON object. A manifest always is one.")
def manifest_command(directory: str, manifest: str | None, as_json: bool) -> int:
    """Print the manifest of the model DIRECTORY: name, size and SHA-256 of every file, as JSON.

    Files are read to the end. Hidden files and folders are left out. Git LFS pointers in place of files are named.
    Write it to a file by `> manifest.json`. With --check: which files were changed, are missing or were added since.
    Exits with 1 if there are any.

    Example: weigh manifest served --check manifest.json
    """
    from weigh.artifacts.manifests import model_manifest, verify_manifest

    if manifest is None:
        written = model_manifest(directory)
        click.echo(json.dumps(written.as_dict(), indent=2))
        for name in written.pointers:
            click.echo(f"weigh: {printable(f'{directory}, {name}')}: is a Git LFS pointer; git lfs pull", err=True)
        return 0
    found = verify_manifest(directory, manifest)
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2))
        return 0 if found.verified else 1
    click.secho(printable(f"{directory}: {found.same:,} files as in {manifest}"), bold=True)
    kinds: dict[str, Any] = {"changed": found.changed, "missing": found.missing, "added": found.added}
    for kind, names in {**kinds, "a Git LFS pointer in place of the file": found.pointers}.items():
        for name in names:
            click.echo(f"{kind}: {printable(name)}")
    _grouped("not compared", found.left_out)
    return 0 if found.verified else 1
