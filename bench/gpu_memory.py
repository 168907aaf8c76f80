"""How much memory does a step or a long prompt take on this machine's GPU, and what had weigh predicted?

Measures what `models/` describes, with random weights: training by hand, by transformers' Trainer in mixed precision,
with FSDP2 on one device, with a loss in chunks, with optimizers of few bits; and a cache that is kept on the CPU. Each
job runs in a process of its own and is a line of JSON: bytes asked of the allocator (`req`), with its rounding (`all`)
and reserved (`res`), and their peaks since the phase before. `base` is before cuBLAS takes its workspaces, which the
later figures hold. A job that is in the file already is left out, so that an interrupted run goes on. It takes about
five minutes on an H200, and 30 GB of its memory; `gpu_memory.jsonl` is what one said.

    python bench/gpu_memory.py rows.jsonl [ID …]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

QWEN, TINY = "qwen2.5-0.5b", "tinyllama-1.1b"
LONG, SHORT = {"sequence": 2048, "batch": 1}, {"sequence": 128, "batch": 1}
WHOLE, HALF = {"kind": "train", "dtype": "float32"}, {"kind": "train", "dtype": "bfloat16"}
TRAINER = {"kind": "trainer", "dtype": "float32", "bf16": True}
CACHE = {"kind": "cache", "dtype": "bfloat16", "model": TINY, "batch": 4, "context": 4096}
JOBS: dict[str, dict[str, Any]] = {
    "plain": HALF | LONG | {"model": QWEN},
    "trainer-bf16": TRAINER | LONG | {"model": QWEN},
    "trainer-fp16": TRAINER | LONG | {"model": QWEN, "bf16": False, "fp16": True},
    "trainer-bf16-512": TRAINER | {"model": QWEN, "sequence": 512, "batch": 4},
    "trainer-bf16-tiny": TRAINER | {"model": TINY, "sequence": 1024, "batch": 1},
    "trainer-bf16-of-bf16": TRAINER | LONG | {"model": QWEN, "dtype": "bfloat16"},
    "trainer-recompute": TRAINER | LONG | {"model": QWEN, "recompute": True},
    "trainer-accumulate": TRAINER | LONG | {"model": QWEN, "accumulate": 2},
    "fsdp2": WHOLE | LONG | {"model": QWEN, "fsdp": "plain"},
    "fsdp2-bf16": WHOLE | LONG | {"model": QWEN, "fsdp": "bf16"},
    "fsdp2-bf16-tiny": WHOLE | {"model": TINY, "sequence": 1024, "batch": 1, "fsdp": "bf16"},
    "fsdp2-keep": WHOLE | LONG | {"model": QWEN, "fsdp": "keep"},
    "chunks-8": HALF | LONG | {"model": QWEN, "chunks": 8},
    "chunks-32": HALF | {"model": QWEN, "sequence": 2048, "batch": 4, "chunks": 32},
    "chunks-8-tiny": HALF | LONG | {"model": TINY, "chunks": 8},
    "adamw-8bit": HALF | SHORT | {"model": QWEN, "optimizer": "AdamW8bit"},
    "adamw-4bit": HALF | SHORT | {"model": QWEN, "optimizer": "AdamW4bit"},
    "adamw-fp8": HALF | SHORT | {"model": QWEN, "optimizer": "AdamWFp8"},
    "adamw-8bit-tiny": HALF | SHORT | {"model": TINY, "optimizer": "AdamW8bit"},
    "cache-dynamic": CACHE | {"cache": "dynamic"},
    "cache-offloaded": CACHE | {"cache": "offloaded"},
}


def build(job: dict[str, Any]) -> Any:
    """The model of a job on the GPU, with random weights of seed 0."""
    import torch
    import transformers

    fields = json.loads(Path("models", job["model"], "config.json").read_text("utf-8"))
    config = transformers.AutoConfig.for_model(**fields)
    torch.manual_seed(0)
    with torch.device("cuda"):
        model = transformers.AutoModelForCausalLM.from_config(
            config, dtype=getattr(torch, job["dtype"]), attn_implementation="sdpa"
        )
    return model


def level() -> dict[str, int]:
    """Bytes now, and at most since the last call."""
    import torch

    torch.cuda.synchronize()
    found = torch.cuda.memory_stats()
    names = {"req": "requested_bytes", "all": "allocated_bytes", "res": "reserved_bytes"}
    now = {short: found[f"{name}.all.current"] for short, name in names.items()}
    peak = {f"{short}_peak": found[f"{name}.all.peak"] for short, name in names.items()}
    torch.cuda.reset_peak_memory_stats()
    return now | peak


def shard(model: Any, how: str) -> None:
    """FSDP2 over each layer and the whole, on one device."""
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511", "RANK": "0", "WORLD_SIZE": "1"}
    torch.distributed.init_process_group("nccl", device_id=torch.device("cuda", 0))
    half = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    policy = half if how == "bf16" else MixedPrecisionPolicy()
    for layer in model.model.layers:
        fully_shard(layer, mp_policy=policy, reshard_after_forward=how != "keep")
    fully_shard(model, mp_policy=policy, reshard_after_forward=how != "keep")


def loss_in_chunks(model: Any, ids: Any, chunks: int) -> Any:
    """The loss of the next tokens, of which the logits of one part are there at a time, forwards and backwards."""
    import torch
    from torch.nn.functional import cross_entropy
    from torch.utils.checkpoint import checkpoint

    def part(hidden: Any, wanted: Any) -> Any:
        return cross_entropy(model.lm_head(hidden).float(), wanted, reduction="sum")

    hidden = model.model(ids).last_hidden_state[:, :-1].flatten(0, 1)
    wanted = ids[:, 1:].flatten()
    pieces = zip(hidden.chunk(chunks), wanted.chunk(chunks), strict=True)
    losses = [checkpoint(part, *piece, use_reentrant=False) for piece in pieces]
    return torch.stack(losses).sum() / len(wanted)


def optimizer_of(model: Any, name: str | None) -> Any:
    """AdamW, or one of torchao's with state of fewer bits."""
    if not name:
        import torch

        return torch.optim.AdamW(model.parameters(), lr=1e-4)
    import torchao.optim

    return getattr(torchao.optim, name)(model.parameters(), lr=1e-4)


def train(job: dict[str, Any], row: dict[str, Any]) -> None:
    """Two steps, phase by phase."""
    import torch

    model = build(job)
    if how := job.get("fsdp"):
        shard(model, how)
    row["weights"] = level()
    optimizer = optimizer_of(model, job.get("optimizer"))
    ids = torch.randint(model.config.vocab_size, (job["batch"], job["sequence"]), device="cuda")
    row["steps"] = []
    for _ in range(2):
        step = {"before": level()}
        chunks = job.get("chunks")
        loss = loss_in_chunks(model, ids, chunks) if chunks else model(ids, labels=ids).loss
        step["forward"] = level()
        loss.backward()
        step["backward"] = level()
        del loss
        optimizer.step()
        step["step"] = level()
        optimizer.zero_grad(set_to_none=True)
        step["end"] = level()
        row["steps"].append(step)
    row["weight_dtype"] = str(next(model.parameters()).dtype)


def trainer(job: dict[str, Any], row: dict[str, Any]) -> None:
    """Three steps of transformers' Trainer; phases as its callbacks see them."""
    import tempfile

    import torch
    import transformers

    model = build(job)
    row["weights"] = level()
    ids = torch.randint(model.config.vocab_size, (64, job["sequence"]))
    rows = [{"input_ids": one, "labels": one} for one in ids]
    row["steps"] = []

    class Phases(transformers.TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            row["steps"].append({"before": level()})

        def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
            row["steps"][-1]["backward"] = level()

        def on_optimizer_step(self, *_: Any, **__: Any) -> None:
            row["steps"][-1]["step"] = level()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            row["steps"][-1]["end"] = level()

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder, max_steps=3, per_device_train_batch_size=job["batch"], report_to="none", save_strategy="no",
            bf16=job.get("bf16", False), fp16=job.get("fp16", False), logging_strategy="no", disable_tqdm=True,
            gradient_checkpointing=job.get("recompute", False), gradient_accumulation_steps=job.get("accumulate", 1),
        )  # fmt: skip
        run = transformers.Trainer(model, arguments, train_dataset=rows, callbacks=[Phases()])
        run.train()
        row["optimizer"] = type(run.optimizer.optimizer).__name__
        row["fused"] = bool(run.optimizer.param_groups[0].get("fused"))


def cache(job: dict[str, Any], row: dict[str, Any]) -> None:
    """A long prompt and four tokens more, with a cache on the GPU or on the CPU."""
    import torch
    import transformers

    model = build(job).eval()
    row["weights"] = level()
    ids = torch.randint(model.config.vocab_size, (job["batch"], job["context"]), device="cuda")
    kept = transformers.DynamicCache(config=model.config, offloading=job["cache"] == "offloaded")
    with torch.no_grad():
        row["before"] = level()
        logits = model(ids, past_key_values=kept, use_cache=True, logits_to_keep=1).logits
        row["prefill"] = level()
        row["decode"] = []
        for _ in range(4):
            logits = model(logits[:, -1:].argmax(-1), past_key_values=kept, use_cache=True).logits
            row["decode"].append(level())


def predicted(job: dict[str, Any]) -> dict[str, Any]:
    """What weigh says of it today."""
    import weigh

    model = weigh.params(Path("models", job["model"]))
    if job["kind"] == "cache":
        serving = weigh.inference(model, "bf16", context=job["context"] + 4, batch=job["batch"])
        return {name: getattr(serving, name) for name in ("weight_bytes", "kv_cache_bytes", "total_bytes")}
    whole = job["dtype"] == "float32"
    optimizer = {"AdamW8bit": "adamw-8bit"}.get(job.get("optimizer", ""), "adamw")
    told = weigh.training(
        model, optimizer, "fp32" if whole else "bf16", batch=job["batch"], sequence=job["sequence"],
        recompute="full" if job.get("recompute") else "none",
    )  # fmt: skip
    names = ("weight_bytes", "gradient_bytes", "optimizer_state_bytes", "activation_bytes", "total_bytes")
    return {name: getattr(told, name) for name in names}


def run(name: str) -> dict[str, Any]:
    """The row of a job, measured in this process."""
    import torch
    import transformers

    job = JOBS[name]
    start = time.perf_counter()
    row: dict[str, Any] = {"id": name, "job": job}
    torch.cuda.init()
    square = torch.ones(64, 64, device="cuda", dtype=torch.bfloat16)
    del square
    row["base"] = level()
    try:
        {"train": train, "trainer": trainer, "cache": cache}[job["kind"]](job, row)
    except Exception as error:  # an optional package is missing, or the memory
        row["error"] = f"{type(error).__name__}: {error}"[:300]
    row["took"] = round(time.perf_counter() - start, 2)
    row["machine"] = {
        "gpu": torch.cuda.get_device_name(), "total": torch.cuda.mem_get_info()[1], "torch": torch.__version__,
        "transformers": transformers.__version__, "python": sys.version.split()[0],
    }  # fmt: skip
    try:
        row["predicted"] = predicted(job)
    except Exception as error:  # the row is worth having without it
        row["predicted"] = f"{type(error).__name__}: {error}"[:300]
    return row


def summary(row: dict[str, Any]) -> str:
    """A line for people: what was predicted and measured, in GB, and their ratio."""
    if "error" in row:
        return f"{row['id']:24}{row['error']}"
    phases = [*row.get("steps", [])[-1:], {"prefill": row.get("prefill", {})}]
    peak = max(found.get("req_peak", 0) for step in phases for found in step.values()) - row["base"]["req"]
    told = row["predicted"]["total_bytes"] if isinstance(row["predicted"], dict) else float("nan")
    return f"{row['id']:24}{told / 1e9:10.3f}{peak / 1e9:10.3f}{peak / told:8.3f}"


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(run(sys.argv[2])))
        return
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("gpu_memory: no GPU that PyTorch can use")
    path = Path(sys.argv[1])
    done = [json.loads(line)["id"] for line in path.read_text("utf-8").splitlines()] if path.is_file() else []
    print(f"{'job':24}{'predicted':>10}{'measured':>10}{'ratio':>8}")
    for name in sys.argv[2:] or JOBS:
        if name in done:
            continue
        command = [sys.executable, __file__, "--one", name]
        told = subprocess.run(command, capture_output=True, text=True)
        if told.returncode:
            print(f"{name:24}{told.stderr.strip().splitlines()[-1][:120]}", flush=True)
            continue
        row = json.loads(told.stdout.splitlines()[-1])
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(summary(row), flush=True)


if __name__ == "__main__":
    main()
