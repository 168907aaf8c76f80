"""The commands about training: what it needs, and how often to save."""

import json
from typing import Any

import click
from click.core import ParameterSource

from weigh.cli.group import weigh
from weigh.cli.options import POSITIVE, STRICT, Known
from weigh.cli.terminal import config_notes, table
from weigh.units import format_bytes


def _optimizers() -> list[str]:
    from weigh.memory.optimizers import OPTIMIZER_ALIASES, OPTIMIZERS

    return [*OPTIMIZER_ALIASES, *OPTIMIZERS]


def _policies() -> list[str]:
    from weigh.memory.checkpoints import MEGATRON, PRECISIONS, TRAINERS

    return [*PRECISIONS, *MEGATRON, *TRAINERS]


_OPTIMIZER = click.option(
    "--optimizer", cls=Known, known=_optimizers, default="adamw", show_default=True, metavar="NAME",
    help="LIBRARY:NAME or a short name, with options after a colon; weigh optimizers lists them.",
)  # fmt: skip
_PRECISION = click.option("--precision", cls=Known, known=_policies, default="bf16-master", show_default=True)


@weigh.command("training")
@click.argument("config")
@_OPTIMIZER
@_PRECISION
@click.option("--zero", default=0, show_default=True, type=click.IntRange(0, 3), help="Stage of ZeRO; 3 is FSDP.")
@click.option("--devices", default=1, show_default=True, type=POSITIVE, help="Devices with different data.")
@click.option("--batch", default=1, show_default=True, type=POSITIVE, help="Sequences for a device and a step.")
@click.option(
    "--sequence", type=POSITIVE, help="Tokens of each.  [default: 2048, or what the model is made for if fewer]"
)
@click.option("--accumulate", default=1, show_default=True, type=POSITIVE, help="Parts a batch is computed in.")
@click.option(
    "--recompute", default="none", show_default=True, type=click.Choice(["none", "selective", "full"]),
    help="What the backward pass computes again.",
)  # fmt: skip
@click.option("--fused-attention/--stored-scores", default=True, show_default=True, help="How attention is computed.")
@click.option("--lora", "rank", type=POSITIVE, metavar="RANK", help="Train adapters of this rank alone.")
@click.option("--targets", metavar="NAMES", help="Modules to adapt, such as q_proj,v_proj.  [default: all of a layer]")
@click.option("--nf4", is_flag=True, help="With --lora: keep the frozen matrices in four bits (QLoRA).")
@STRICT
@click.option("--show-work", is_flag=True, help="Print each formula with its numbers, and what is assumed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain integers and strings.")
def training_command(
    config: str,
    sequence: int | None,
    rank: int | None,
    targets: str | None,
    nf4: bool,
    strict: bool,
    show_work: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Say how much memory it takes to train the model that CONFIG describes, and how large its checkpoints are.

    CONFIG is a Hugging Face config.json, or a directory that holds one. Memory is that of each device.

    Example: weigh training config.json --optimizer adamw --precision bf16-master --zero 3 --devices 8 --batch 4
    """
    from weigh.memory.lora import Lora
    from weigh.memory.training import USUAL_SEQUENCE, training
    from weigh.models.parameters import params

    if rank is None and (nf4 or targets):
        raise click.UsageError("--nf4 and --targets are given together with --lora")
    model = params(config, strict=strict)
    sequence = model.tokens("sequence", sequence, USUAL_SEQUENCE)
    lora = Lora(rank, tuple(targets.split(",")) if targets else (), nf4) if rank else None
    estimate = training(model, sequence=sequence, lora=lora, **options)
    facts = {**estimate.as_dict(), "batch": options["batch"], "sequence": sequence} | model.provenance
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        _show_training(f"{config} ({model.architecture}), {options['optimizer']}, {options['precision']}", facts)
        if show_work:
            for part in estimate.steps:
                click.echo(str(part))
            click.echo(f"range: {estimate.range.why}")
        for assumption in estimate.assumptions:
            click.echo(f"assumed: {assumption}")
        config_notes(**model.provenance)
    return 0


def _show_training(title: str, facts: dict[str, Any]) -> None:
    active = facts["activation_bytes"]
    table(
        title,
        {
            "parameters": facts["parameters"],
            "  trained": facts["trainable_parameters"],
            "batch": facts["batch"],
            "sequence": facts["sequence"],
        },
        {
            "weights": facts["weight_bytes"],
            "gradients": facts["gradient_bytes"],
            "master weights": facts["master_weight_bytes"],
            "optimizer state": facts["optimizer_state_bytes"],
            **({} if active is None else {"activations": active}),
            "total on a device": facts["total_bytes"],
            "  at least": facts["low_bytes"],
            "  at most": facts["high_bytes"],
            "checkpoint": facts["checkpoint_bytes"],
        },
    )


@weigh.command("plan")
@click.argument("config", required=False)
@click.option("--checkpoint", metavar="SIZE", help="A checkpoint's size, such as 112GB, in place of CONFIG.")
@_OPTIMIZER
@_PRECISION
@click.option("--bandwidth", required=True, metavar="RATE", help="Bytes a second that are written, such as 5GB/s.")
@click.option("--mtbf", required=True, metavar="TIME", help="Mean time between failures of the machine, such as 8h.")
@click.option("--run", "run_time", required=True, metavar="TIME", help="Work in the run, such as 30d.")
@click.option("--keep", default=1, show_default=True, type=POSITIVE, help="Checkpoints that are kept.")
@click.option("--restart", metavar="TIME", help="From a failure until work goes on.  [default: to read a checkpoint]")
@click.option("--interval", metavar="TIME", help="Work between checkpoints.  [default: the best, after Daly 2006]")
@STRICT
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain numbers.")
def plan_command(
    config: str | None,
    checkpoint: str | None,
    optimizer: str,
    precision: str,
    bandwidth: str,
    mtbf: str,
    run_time: str,
    keep: int,
    restart: str | None,
    interval: str | None,
    strict: bool,
    as_json: bool,
) -> int:
    """Say how often a run should save, and what saving and failures cost it.

    CONFIG is a Hugging Face config.json, or a directory that holds one. Times are numbers with s, min, h, d or w.

    Example: weigh plan config.json --bandwidth 5GB --mtbf 8h --run 30d --keep 3
    """
    from weigh.memory.planner import parse_seconds, plan
    from weigh.units import parse_bytes, parse_rate

    if (config is None) == (checkpoint is None):
        raise click.UsageError("give either CONFIG or --checkpoint")
    given = click.get_current_context().get_parameter_source
    if checkpoint and any(given(name) is ParameterSource.COMMANDLINE for name in ("optimizer", "precision")):
        raise click.UsageError("--optimizer and --precision are those of a CONFIG: --checkpoint is a size already")
    size, provenance = (
        _checkpoint_bytes(str(config), optimizer, precision, strict)
        if checkpoint is None
        else (parse_bytes(checkpoint), {})
    )
    planned = plan(
        size, parse_rate(bandwidth), parse_seconds(mtbf), parse_seconds(run_time), keep,
        restart=None if restart is None else parse_seconds(restart),
        interval=None if interval is None else parse_seconds(interval),
    )  # fmt: skip
    if as_json:
        click.echo(json.dumps(planned.as_dict() | provenance, indent=2))
        return 0
    rows = {
        "one checkpoint": format_bytes(planned.checkpoint_bytes),
        "  time to write it": _duration(planned.write_time),
        "work between checkpoints": _duration(planned.interval),
        "  after Daly 2006": _duration(planned.daly),
        "  after Young 1974": _duration(planned.young),
        "checkpoints in the run": f"{planned.checkpoints:,}",
        f"room for {keep:,} and the next": format_bytes(planned.kept_bytes),
        "written in all": format_bytes(planned.written_bytes),
        "failures to expect": f"{planned.failures:,.1f}",
        "  each loses": _duration(planned.lost_per_failure),
        "the run takes": _duration(planned.wall_time),
        "  lost to saving": f"{planned.saving_fraction:.2%}",
        "  lost in all": f"{planned.lost_fraction:.2%}",
    }
    for name, value in rows.items():
        click.echo(f"{name:<26}{value:>14}")
    if provenance:
        config_notes(**provenance)
    return 0


def _checkpoint_bytes(config: str, optimizer: str, precision: str, strict: bool) -> tuple[int, dict[str, Any]]:
    """The bytes of a checkpoint of the model that a config describes, and where its count comes from."""
    from weigh.memory.checkpoints import checkpoint
    from weigh.models.parameters import params

    model = params(config, strict=strict)
    return checkpoint(model.distinct, optimizer, precision).total_bytes, model.provenance


def _duration(seconds: float) -> str:
    """Three digits in the largest unit that fits."""
    from weigh.memory.planner import SECONDS

    unit, size = next(((u, s) for u, s in reversed(SECONDS.items()) if s <= seconds and u != "w"), ("s", 1))
    return f"{seconds / size:.3g} {unit}" if seconds / size < 1000 else f"{seconds / size:,.0f} {unit}"
