"""`weigh budget`: one deployment from a config and a latency target to a device, a batch and the replicas."""

import json
from typing import TYPE_CHECKING, Any

import click

from weigh.cli.group import weigh
from weigh.cli.models import cache_formats, weight_formats
from weigh.cli.options import POSITIVE, STRICT, Known
from weigh.cli.terminal import config_notes, formulas, grid, printable
from weigh.errors import WeighError

if TYPE_CHECKING:
    from weigh.memory.arrivals import Request
    from weigh.memory.budget_sheet import Budget
    from weigh.memory.devices import Device


def _devices() -> list[str]:
    from weigh.memory.devices import DEVICES

    return list(DEVICES)


@weigh.command("budget")
@click.argument("config")
@click.option("--latency", required=True, metavar="TIME", help="The most for each token after the first, as 30ms.")
@click.option("--first-token", metavar="TIME", help="The most until the first token, such as 1s.")
@click.option("--rate", type=float, metavar="N", help="Requests in a second.  [default: that of --trace]")
@click.option("--prompt", type=POSITIVE, metavar="N", help="Tokens of a prompt.  [default: the mean of --trace]")
@click.option("--generated", type=POSITIVE, metavar="N", help="Tokens of an answer.  [default: the mean of --trace]")
@click.option("--trace", metavar="FILE", help="A CSV of arrivals, with seconds, prompt_tokens and generated_tokens: "
              "simulate them too.")  # fmt: skip
@click.option("--device", cls=Known, known=_devices, metavar="NAME", help="A device that weigh knows, or its memory, "
              "such as 24GiB, with --bandwidth and --flops.  [default: all that it knows]")  # fmt: skip
@click.option("--bandwidth", metavar="RATE", help="Bytes a second, such as 3.35TB/s.")
@click.option("--flops", type=float, metavar="N", help="Operations a second, such as 989e12.")
@click.option("--devices", type=POSITIVE, default=1, show_default=True, metavar="N", help="Devices of a replica.")
@click.option("--efficiency", type=float, default=1.0, show_default=True, metavar="SHARE",
              help="What an engine was measured to reach of both rates. 1 gives bounds.")  # fmt: skip
@click.option(
    "--dtype", default="bfloat16", show_default=True, cls=Known, known=weight_formats, help="Format of the weights."
)
@click.option(
    "--kv-dtype", cls=Known, known=cache_formats, help="Format of the KV cache.  [default: that of the computation]"
)
@click.option("--template-tokens", "template", type=click.IntRange(0), default=0, show_default=True, metavar="N",
              help="Tokens that a template adds to each prompt.")  # fmt: skip
@click.option("--sequences", type=POSITIVE, default=1, show_default=True, metavar="N", help="Beams of an answer, or "
              "answers to choose from.")  # fmt: skip
@click.option("--retries", type=float, default=0.0, show_default=True, metavar="SHARE", help="Answers that are "
              "written again.")  # fmt: skip
@click.option("--share", type=float, default=0.95, show_default=True, metavar="SHARE", help="Of the trace's requests, "
              "how many meet the targets.")  # fmt: skip
@click.option("--step-tokens", type=POSITIVE, metavar="N", help="The most tokens of a simulated step.  [default: any]")
@STRICT
@click.option("--show-work", is_flag=True, help="Print each formula with its numbers, and what is assumed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain numbers and strings.")
def budget_command(
    config: str,
    latency: str,
    first_token: str | None,
    rate: float | None,
    prompt: int | None,
    generated: int | None,
    trace: str | None,
    device: str | None,
    bandwidth: str | None,
    flops: float | None,
    share: float,
    step_tokens: int | None,
    strict: bool,
    show_work: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Work one deployment of CONFIG through the seven boundaries of inference, to a device, a batch and replicas.

    CONFIG is a Hugging Face config.json, or a directory that holds one. Times are roofline bounds, which no engine
    beats, unless --efficiency says what yours reaches. Binding is what limits a replica, where twice as much would help
    most; then what would limit it next. Exits with 1 if the targets cannot be met.

    Example: weigh budget config.json --latency 30ms --rate 20 --prompt 1000 --generated 250 --device h100
    """
    from weigh.memory.arrivals import arrival_rate, read_arrivals, scaled_arrivals
    from weigh.memory.budget import budget
    from weigh.memory.budget_sheet import Demand
    from weigh.memory.planner import parse_seconds
    from weigh.models.parameters import params

    requests = read_arrivals(trace) if trace is not None else []
    demand = Demand(
        rate=_given("--rate", rate, lambda: arrival_rate(requests), requests),
        prompt=_given("--prompt", prompt, lambda: _mean([one.prompt for one in requests]), requests),
        generated=_given("--generated", generated, lambda: _mean([one.generated for one in requests]), requests),
        per_token=parse_seconds(latency), first_token=None if first_token is None else parse_seconds(first_token),
        **{name: options.pop(name) for name in ("template", "sequences", "retries")},
    )  # fmt: skip
    model, sheets = params(config, strict=strict), []
    for one in _chosen(device, bandwidth, flops):
        found = budget(model, one, demand, **options)
        facts = found.as_dict() | model.provenance
        if requests:
            facts["longest_request"] = max(each.prompt + each.generated for each in requests) + demand.template
        if requests and found.replicas:
            arriving = scaled_arrivals(requests, demand.rate / arrival_rate(requests))
            facts["simulated"] = {"share": share, **_simulated(found, arriving, share, step_tokens)}
        sheets.append((found, facts))
    if as_json:
        click.echo(json.dumps(sheets[0][1] if device else {"devices": [facts for _, facts in sheets]}, indent=2))
    elif device:
        _show(f"{config} ({model.architecture}) on {sheets[0][0].device.name}", *sheets[0], show_work)
    else:
        _compare(f"{config} ({model.architecture})", sheets)
    if not as_json:
        config_notes(**model.provenance)
    return 0 if any(found.replicas for found, _ in sheets) else 1


def _simulated(found: "Budget", requests: "list[Request]", share: float, step_tokens: int | None) -> dict[str, Any]:
    """The replicas that a trace needs and what they do, or why none are enough: its long requests may be too slow."""
    from weigh.memory.replicas import replicas_for

    try:
        replicas, run = replicas_for(found, requests, share=share, step_tokens=step_tokens)
    except WeighError as error:
        if error.where not in ("latency target", "cache limit"):
            raise
        return {"replicas": None, "problem": error.problem}
    return {"replicas": replicas, **run.as_dict()}


def _given(name: str, value: Any, otherwise: Any, requests: "list[Request]") -> Any:
    """What was said, or what follows from a trace."""
    if value is None and not requests:
        raise click.UsageError(f"give {name}, or a --trace")
    return otherwise() if value is None else value


def _mean(tokens: list[int]) -> int:
    return max(2, round(sum(tokens) / len(tokens)))


def _chosen(name: str | None, bandwidth: str | None, flops: float | None) -> "list[Device]":
    from weigh.memory.devices import DEVICES, Device, find_device
    from weigh.units import parse_bytes, parse_rate

    if (bandwidth is None) != (flops is None) or (bandwidth is not None and name is None):
        raise click.UsageError("--bandwidth and --flops are given together, with --device for the memory")
    if name is None:
        return list(DEVICES.values())
    if bandwidth is None or flops is None:
        return [find_device(name)]
    return [Device(name, parse_bytes(name), parse_rate(bandwidth), flops)]


def _show(title: str, found: "Budget", facts: dict[str, Any], show_work: bool) -> None:
    grid(
        title,
        {"boundary": "", "asked": "", "found": "bold", "figure": "", "": ""},
        [[one.boundary, one.asked, one.found, one.kind, "" if one.holds else "no"] for one in found.lines],
        left=5,
    )
    if found.replicas:
        click.echo(f"replicas: {found.replicas:,} at least, {found.devices:,} x {printable(found.device.name)} each")
    else:
        click.echo("replicas: none can meet this")
    still = ", and after twice of it still" if found.next_binding == found.binding else "; then"
    click.echo(f"binding: {found.binding}{still} {found.next_binding}")
    if run := facts.get("simulated"):
        click.echo(
            f"replicas for p{100 * run['share']:.0f} of the trace, simulated: {run['replicas'] or 'none are enough'}"
        )
    if (longest := facts.get("longest_request", 0)) > (found.longest or longest):
        click.echo(
            f"the longest request of the trace has {longest:,} tokens, and the model is made for {found.longest:,}"
        )
    if show_work:
        formulas(facts["steps"])
        for name, capacity in found.doubled.items():
            click.echo(f"twice the {name}: {capacity:.3g} requests/s a replica")
        for assumption in facts["assumptions"]:
            click.echo(f"assumed: {assumption}")


def _compare(title: str, sheets: "list[tuple[Budget, dict[str, Any]]]") -> None:
    rows = [
        [
            found.device.name,
            f"{found.batch:,}",
            f"{found.capacity:.3g}",
            f"{found.replicas:,}" if found.replicas else "-",
            str(facts.get("simulated", {}).get("replicas") or "-"),
            found.binding,
        ]
        for found, facts in sheets
    ]
    headings = ("device", "batch at most", "requests/s at most", "replicas at least", "simulated", "binding")
    grid(title, dict.fromkeys(headings, ""), rows)
