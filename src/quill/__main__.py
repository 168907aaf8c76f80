"""Train Quill from nothing: `python -m quill`, or `make quill`. Interrupted, it goes on where it was.

Reads the text, trains the tokenizer, the model, a smaller draft for speculative decoding, and an adapter on another
author; measures them on a play that none has read; and writes models/quill, models/quill-draft and models/quill-milton.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file

from quill import adapter, card, corpus, evaluation, tokenizer
from quill.model import Config, Quill
from quill.training import Plan, train

CACHE = Path(".cache/quill")
MODEL, DRAFT, ADAPTER = Path("models/quill"), Path("models/quill-draft"), Path("models/quill-milton")
PLANS = {
    "model": (Config(), Plan(steps=2400)),
    "draft": (
        Config(
            hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1
        ),
        Plan(steps=1200, peak=6e-3),
    ),
}
ADAPTER_PLAN = Plan(steps=200, peak=2e-3, warmup=20, decay=0.0)


def write_model(model: Quill, directory: Path) -> None:
    """Write config.json and model.safetensors as transformers does for a Llama."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **asdict(model.config),
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "torch_dtype": "float32",
    }
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(model.state_dict(), directory / "model.safetensors", metadata={"format": "pt"})
    (directory / "model.safetensors").chmod((directory / "config.json").stat().st_mode)


def main() -> None:
    """Make the demo model from its text: tokenizer, training, evaluation, files and card."""
    start = time.monotonic()
    if threads := os.environ.get("QUILL_THREADS"):
        torch.set_num_threads(int(threads))
    archive = corpus.fetch(CACHE)
    works = corpus.works(archive)
    held_out, validation = works.pop(corpus.HELD_OUT), works.pop(corpus.VALIDATION)
    bpe = tokenizer.train(works.values())
    ids = torch.tensor(tokenizer.encode_all(bpe, works.values()))
    watch, test = (torch.tensor(tokenizer.encode_all(bpe, [text])) for text in (validation, held_out))
    print(f"{len(works)} works, {len(ids):,} tokens; held out: {corpus.HELD_OUT}, {len(test):,} tokens")

    def reporting(name: str, plan: Plan) -> Callable[[int, float, float], None]:
        def report(step: int, loss: float, watched: float) -> None:
            minutes = (time.monotonic() - start) / 60
            progress = f"{name}: step {step:,} of {plan.steps:,}, loss {loss:.3f}, validation {watched:.3f}"
            print(f"{progress}, {minutes:.1f} min", flush=True)

        return report

    models, histories = {}, {}
    for name, (config, plan) in PLANS.items():
        torch.manual_seed(plan.seed)
        models[name] = Quill(config)
        histories[name] = train(models[name], ids, watch, plan, CACHE / f"{name}.pt", reporting(name, plan))
        directory = MODEL if name == "model" else DRAFT
        write_model(models[name], directory)
        tokenizer.write(bpe, directory, config.max_position_embeddings)

    poems = corpus.milton(archive)
    cut = len(poems) * 9 // 10
    read_poems, unread_poems = (torch.tensor(tokenizer.encode_all(bpe, [text])) for text in (poems[:cut], poems[cut:]))
    adapted = Quill.read(MODEL)
    before = evaluation.mean_loss(adapted, unread_poems)
    low_rank = adapter.adapt(adapted)
    train(
        adapted,
        read_poems,
        unread_poems,
        ADAPTER_PLAN,
        CACHE / "adapter.pt",
        reporting("adapter", ADAPTER_PLAN),
        low_rank,
    )
    adapter.write(adapted, ADAPTER, str(MODEL))
    (ADAPTER / "held-out.txt").write_text(poems[cut:], encoding="utf-8")

    tokens, entries = test.tolist(), PLANS["model"][0].vocab_size
    losses = {
        "uniform": evaluation.uniform_loss(entries),
        "unigram": evaluation.unigram_loss(ids.tolist(), tokens, entries),
        "trigram": evaluation.trigram_loss(ids.tolist(), tokens, entries),
        "draft": evaluation.mean_loss(models["draft"], test),
        "quill": evaluation.mean_loss(models["model"], test),
    }
    on_milton = {"before": before, "after": evaluation.mean_loss(adapted, unread_poems)}
    results = {
        "held_out": corpus.HELD_OUT,
        "held_out_tokens": len(tokens),
        "held_out_bytes": len(held_out.encode()),
        "works": len(works),
        "training_tokens": len(ids),
        "losses": losses,
        "metrics": {"perplexity": math.exp(losses["quill"])},
        "milton": on_milton,
        "history": histories,
    }
    (MODEL / "training.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (MODEL / "held-out.txt").write_text(held_out, encoding="utf-8")
    (MODEL / "generation_config.json").write_text(json.dumps(card.GENERATION, indent=2) + "\n", encoding="utf-8")
    parameters = sum(weight.numel() for weight in models["model"].parameters())
    weights = MODEL / "model.safetensors"
    (MODEL / "README.md").write_text(card.text(results, PLANS["model"], parameters, weights), encoding="utf-8")
    milton = {
        "held_out_tokens": len(unread_poems),
        "steps": ADAPTER_PLAN.steps,
        "losses": on_milton,
        "metrics": {"perplexity": math.exp(on_milton["after"])},
    }
    (ADAPTER / "training.json").write_text(json.dumps(milton, indent=2) + "\n", encoding="utf-8")
    readme = card.adapter_text(milton, ADAPTER / "adapter_model.safetensors", weights)
    (ADAPTER / "README.md").write_text(readme, encoding="utf-8")
    print(f"written: {MODEL}, {DRAFT}, {ADAPTER}")


if __name__ == "__main__":
    main()
