"""The commands about a config: what it describes, and what it takes to serve that."""

import json
from dataclasses import asdict
from typing import Any

import click

from weigh.cli.group import weigh
from weigh.cli.options import POSITIVE, STRICT, Known
from weigh.cli.terminal import config_notes, formulas, printable, table


@weigh.command("params")
@click.argument("config")
@STRICT
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain integers and strings.")
def params_command(config: str, strict: bool, as_json: bool) -> int:
    """Count the parameters that CONFIG describes: a Hugging Face config.json, or a directory that holds one.

    What weigh does not know is built by transformers, if that is installed: without memory, and in a process of its
    own, which runs no code that comes with a model. That takes ten seconds for each new config, and "counted by" says
    so. A quantized model is counted as it was before; what it takes as saved is said where its scheme is known.

    Example: weigh params config.json
    """
    from weigh.models.parameters import params

    model = params(config, strict=strict)
    facts = model.as_dict()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        quantized = model.saved
        saved = "" if quantized else ", as saved"
        table(
            f"{config} ({model.architecture})",
            {
                "parameters": model.parameters,
                **{f"  {part}": count for part, count in model.parts.items()},
                "tensors": model.tensors,
            },
            {
                f"as {name}{saved if name == model.dtype else ''}": size
                for name, size in {model.dtype: model.bytes_in_tensors, **facts["bytes"]}.items()
            }
            | ({f"as saved by {quantized.method}": quantized.nbytes} if quantized and quantized.nbytes else {}),
        )
        if quantized and quantized.unknown:
            click.echo(f"as saved by {printable(quantized.method)}: not known, since {printable(quantized.unknown)}")
        elif quantized and quantized.within:
            click.echo(f"as saved by {printable(quantized.method)}: to within {quantized.within:,} bytes")
        config_notes(model.counted_by, model.unread, model.assumed)
    return 0


def weight_formats() -> list[str]:
    """The formats of weights."""
    from weigh.memory.storage_formats import STORAGE_FORMATS

    return list(STORAGE_FORMATS)


def cache_formats() -> list[str]:
    """The formats of a KV cache."""
    from weigh.memory.kv_cache import CACHE_FORMATS

    return list(CACHE_FORMATS)


def runtimes() -> list[str]:
    """The engines whose caches are known."""
    from weigh.memory.runtimes import RUNTIMES

    return list(RUNTIMES)


@weigh.command("inference")
@click.argument("config")
@click.option(
    "--dtype", default="bfloat16", show_default=True, cls=Known, known=weight_formats, help="Format of the weights."
)
@click.option(
    "--context", type=POSITIVE,
    help="Tokens of each sequence.  [default: 8192, or what the model is made for if fewer]",
)  # fmt: skip
@click.option("--batch", default=1, show_default=True, type=POSITIVE, help="Sequences at the same time.")
@click.option(
    "--kv-dtype", cls=Known, known=cache_formats, help="Format of the KV cache.  [default: that of the computation]"
)
@click.option(
    "--runtime", default="ideal", show_default=True, cls=Known, known=runtimes, metavar="ENGINE",
    help="Whose cache is counted: transformers, vllm or llama.cpp, or ideal for what the layers need.",
)  # fmt: skip
@click.option("--encoder-context", type=POSITIVE, help="Tokens that an encoder reads.  [default: --context]")
@click.option("--prefill", type=POSITIVE, help="Tokens of a prompt that are read at once.  [default: all]")
@click.option("--device", metavar="SIZE", help="Memory, such as 24GiB: say what fits.")
@click.option("--bandwidth", metavar="RATE", help="Bytes a second, such as 3.35TB/s. With --flops: bound the speed.")
@click.option("--flops", type=float, metavar="N", help="Operations a second, such as 989e12.")
@STRICT
@click.option("--show-work", is_flag=True, help="Print each formula with its numbers, and what is assumed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object of plain integers and strings.")
def inference_command(
    config: str,
    context: int | None,
    batch: int,
    device: str | None,
    bandwidth: str | None,
    flops: float | None,
    strict: bool,
    show_work: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Say how much memory it takes to serve the model that CONFIG describes.

    CONFIG is a Hugging Face config.json, or a directory that holds one.

    Example: weigh inference config.json --dtype q4_k_m --context 32768 --device 24GiB
    """
    from weigh.memory.inference import inference, largest_batch, largest_context
    from weigh.memory.roofline import decode_bound, prefill_bound
    from weigh.models.parameters import params
    from weigh.units import parse_bytes, parse_rate

    if (bandwidth is None) != (flops is None):
        raise click.UsageError("--bandwidth and --flops are given together")
    model = params(config, strict=strict)
    estimate = inference(model, context=context, batch=batch, **options)
    facts, context = estimate.as_dict() | model.provenance, estimate.context
    if device is not None:
        memory = parse_bytes(device)
        facts["device_bytes"] = memory
        for name, bound in (("", False), ("_bound", True)):
            facts[f"largest_context{name}"] = largest_context(model, memory, batch=batch, bound=bound, **options)
            facts[f"largest_batch{name}"] = largest_batch(model, memory, context=context, bound=bound, **options)
    if bandwidth is not None and flops is not None:
        speed: dict[str, Any] = {
            "bandwidth": parse_rate(bandwidth),
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
        config_notes(**model.provenance)
        if model.longest is not None and estimate.context > model.longest:
            click.echo(f"note: the model is made for {model.longest:,} tokens, and {estimate.context:,} are asked for")
    return 0


def _show_inference(title: str, facts: dict[str, Any], show_work: bool) -> None:
    engine = "" if facts["runtime"] == "ideal" else f", {facts['runtime']}"
    table(
        title,
        {"context": facts["context"], "batch": facts["batch"]},
        {
            f"weights in {facts['dtype']}": facts["weight_bytes"],
            f"KV cache in {facts['kv_dtype']}{engine}": facts["kv_cache_bytes"],
            "  for one more token": facts["kv_cache_bytes_per_token"],
            "activations": facts["activation_bytes"],
            "total": facts["total_bytes"],
            "  at least": facts["low_bytes"],
            "  with an engine's reserve": facts["high_bytes"],
        },
    )
    others = {
        name: size for name, size in facts["kv_cache_by_runtime"].items()
        if size not in (facts["kv_cache_bytes"], None) and name != "ideal"
    }  # fmt: skip
    if others:
        said = ", ".join(f"{size:,} bytes under {name}" for name, size in others.items())
        click.echo(f"note: the KV cache takes {said}")
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
        formulas(facts["steps"])
        for assumption in facts["assumptions"]:
            click.echo(f"assumed: {assumption}")


def _count(number: int | None) -> str:
    return "any" if number is None else f"{number:,}"
