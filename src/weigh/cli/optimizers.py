"""The command about optimizers: which ones weigh knows, and what each keeps."""

import json
from typing import Any

import click

from weigh.cli.group import weigh
from weigh.cli.terminal import grid

_SAMPLES = {"matrix": (4096, 4096), "vector": (4096,)}


@weigh.command("optimizers")
@click.argument("text", required=False, default="")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with an entry for each optimizer.")
def optimizers_command(text: str, as_json: bool) -> int:
    """List the optimizers that weigh knows, or those with TEXT in their name, with their bytes for a parameter.

    The bytes are those of a float32 matrix of 4,096 × 4,096 and of a vector of 4,096, with the default options.

    Example: weigh optimizers adafactor
    """
    from weigh.memory.checkpoints import state_bytes
    from weigh.memory.optimizers import OPTIMIZER_ALIASES, OPTIMIZERS
    from weigh.tensors import Tensor

    found: dict[str, dict[str, Any]] = {}
    for key, entry in OPTIMIZERS.items():
        short = [alias for alias, meant in OPTIMIZER_ALIASES.items() if f"{meant}:".startswith(f"{key}:")]
        if text.lower() not in " ".join([key, *short]).lower():
            continue
        each = {
            name: sum(state_bytes([Tensor(name, shape, "float32", name, 0, 0)], key, "float32").values())
            for name, shape in _SAMPLES.items()
        }
        found[key] = {
            "source": entry.source,
            "short_names": short,
            "options": entry.options,
            "matrix_bytes": each["matrix"],
            "vector_bytes": each["vector"],
        }
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
    grid(f"{len(rows)} optimizers", columns, rows, left=3)
    return 0
