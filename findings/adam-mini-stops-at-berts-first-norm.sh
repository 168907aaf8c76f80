#!/usr/bin/env bash
# Adam-mini divides the weights of a Transformer into heads, rows and the rest by their names, and is said to take the
# rest, LayerNorms among them, as a whole. One expects that it trains BERT, the Transformer of that kind that most people
# know. It stops at the first step: "embed" or "output" in a name means a matrix, with a second moment for each row, and
# BERT's norms are called embeddings.LayerNorm and attention.output.LayerNorm, which are vectors and have no rows. The
# same norms under other names train. Any vector with wo, value, linear or mlp in its name stops too, such as mlp.norm.
#
# Seen with adam-mini 1.1.1, torch 2.13.0 and transformers 5.23.0: "IndexError: too many indices for tensor of dimension
# 1", which names no parameter.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet adam-mini==1.1.1 torch==2.13.0 transformers==5.23.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import re

import adam_mini
import torch
import transformers


def step(named, **sizes):
    for _, weight in named:
        weight.grad = torch.ones_like(weight)
    try:
        adam_mini.Adam_mini(named, verbose=False, **sizes).step()
    except IndexError as error:
        return f"IndexError: {error}"
    return "steps"


print("torch", torch.__version__, "transformers", transformers.__version__)
config = transformers.BertConfig(
    hidden_size=64, num_hidden_layers=1, num_attention_heads=4, intermediate_size=128, vocab_size=100
)
named = list(transformers.BertModel(config).named_parameters())
said = step(named, dim=64, n_heads=4)
print("BERT:", said)
assert said.startswith("IndexError: too many indices"), "BERT trains"

renamed = [(re.sub(r"(embeddings|output)\.LayerNorm", "norm", name), weight) for name, weight in named]
print("BERT with its norms under other names:", said := step(renamed, dim=64, n_heads=4))
assert said == "steps"

for name in ("norm.weight", "mlp.norm.weight", "linear_norm.weight", "attn.value_norm.weight"):
    print(f"a vector called {name}:", said := step([(name, torch.nn.Parameter(torch.ones(8)))]))
    assert (said == "steps") == (name == "norm.weight")
PY
