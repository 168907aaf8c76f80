"""The command about optimizers: which ones weigh knows, and what each keeps."""

import json
from typing import Any

import click

from weigh.cli.group import weigh
from weigh.cli.terminal import grid

_SAMPLES = {"matrix": ("layers.0.mlp.up.weight", (4096, 4096)), "vector": ("layers.0.mlp.up.bias", (4096,))}


@weigh.command("optimizers")
@click.argument("text", required=False, default="")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with an entry for each optimizer.")
def optimizers_command(text: str, as_json: bool) -> int:
    """List the optimizers that weigh knows, with their bytes for a parameter.

    With TEXT, those of the library that it names, or those with TEXT in their name. The bytes are those of a float32
    matrix of 4,096 × 4,096 inside a layer and of its bias, a vector of 4,096, with the default options.

    Example: weigh optimizers adafactor
    """
    from weigh.memory.checkpoints import state_bytes
    from weigh.memory.optimizers import OPTIMIZER_ALIASES, OPTIMIZERS
    from weigh.memory.optimizers.catalogue import LIBRARIES
    from weigh.memory.optimizers.choosing import unknown
    from weigh.tensors import Tensor

    asked, found = text.lower(), dict[str, dict[str, Any]]()
    for key, entry in OPTIMIZERS.items():
        short = [alias for alias, meant in OPTIMIZER_ALIASES.items() if f"{meant}:".startswith(f"{key}:")]
        names = " ".join([key, *short]).lower()
        if not (names.startswith(f"{asked}:") if asked in LIBRARIES else asked in names):
            continue
        each = {
            kind: sum(state_bytes([Tensor(name, shape, "float32", name, 0, 0)], key, "float32").values())
            for kind, (name, shape) in _SAMPLES.items()
        }
        found[key] = {
            "source": entry.source,
            "about": entry.about,
            "assumed": entry.assumed,
            "short_names": short,
            "options": entry.options,
            "matrix_bytes": each["matrix"],
            "vector_bytes": each["vector"],
        }
    if not found:
        raise unknown(text)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return 0
    rows = [
        [
            key,
            ", ".join(facts["short_names"]),
            ", ".join(facts["options"]),
            f"{facts['matrix_bytes'] / 4096**2:.3f}",
            f"{facts['vector_bytes'] / 4096:.3f}",
        ]
        for key, facts in found.items()
    ]
    columns = {"optimizer": "bold", "short names": "", "options": "", "B of a matrix": "cyan", "of a vector": "cyan"}
    grid(f"{len(rows)} optimizer{'s' * (len(rows) > 1)}", columns, rows, left=3)
    return 0
