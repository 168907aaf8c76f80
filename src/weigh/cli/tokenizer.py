"""The command about tokenizers: what a file is, and what it makes of a text."""

import json
import sys
from typing import Any

import click

from weigh.cli.group import weigh
from weigh.cli.terminal import grid, printable

_MOST_TOKENS = 40


@weigh.command("tokenizer")
@click.argument("path")
@click.argument("text", required=False)
@click.option("--all", "show_all", is_flag=True, help=f"List every token, not the first {_MOST_TOKENS}.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, every token in it.")
def tokenizer_command(path: str, text: str | None, show_all: bool, as_json: bool) -> int:
    """Say what the tokenizer PATH is, and what it makes of TEXT, which is - for standard input.

    Reads tokenizer.json, SentencePiece models and tekken.json, or a directory that holds one; each is run by its own
    library. Exits with 1 if TEXT does not come back when its tokens are decoded.

    Example: weigh tokenizer tokenizer.json Straße
    """
    from weigh.tokenizers.reading import tokenizer

    loaded = tokenizer(path)
    if text == "-":
        text = sys.stdin.read()
    facts = {"path": path, **loaded.as_dict(text)}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show(facts, text, show_all)
    return 0 if facts.get("round_trip", True) else 1


def _show(facts: dict[str, Any], text: str | None, show_all: bool) -> None:
    special = [f"{name} {number}" for name, number in facts["special"].items()]
    click.secho(f"{printable(facts['path'])} ({facts['kind']})", bold=True)
    click.echo(f"vocabulary: {facts['vocabulary']:,}")
    click.echo(f"special tokens: {printable(', '.join(special)) or 'none'}")
    for note in facts["notes"]:
        click.echo(f"note: {printable(note)}")
    if text is None:
        return
    found, raw = facts["tokens"], text.encode()
    shown = found if show_all else found[:_MOST_TOKENS]
    rows = [
        [f"{token['id']}", printable(token["piece"]), raw[token["start"] : token["end"]].hex(" "),
         f"{token['start']}–{token['end']}"]
        for token in shown
    ]  # fmt: skip
    counts = f"{len(found):,} tokens of {facts['characters']:,} characters, {facts['bytes']:,} bytes"
    ratio = f", {facts['bytes_per_token']:.2f} bytes per token" if found else ""
    click.echo()
    grid(counts + ratio, {"id": "bold", "piece": "cyan", "bytes": "dim", "from–to": "dim"}, rows, left=2)
    if len(shown) < len(found):
        click.echo(f"and {len(found) - len(shown):,} more; --all lists them")
    if facts["unknown_tokens"]:
        click.echo(f"unknown: {facts['unknown_tokens']:,} of them, for what the vocabulary cannot spell")
    if facts["round_trip"]:
        click.echo("decoded: the same text")
    else:
        click.echo(f"decoded: another text: {printable(facts['decoded'][:200])}")
