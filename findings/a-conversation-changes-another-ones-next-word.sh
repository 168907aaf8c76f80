#!/usr/bin/env bash
# A conversation with a KV cache of its own is answered from that cache: one expects its next token to depend on its own
# tokens, whatever the model read for others in between, and a copy of the cache to go on as the first did. In
# transformers, RecurrentGemma keeps its recurrent states in its modules and not in the cache, which has the layers with
# attention alone. So a token is answered from the keys of its own conversation and the states of the last one that the
# model read, of the same batch size, and one cache copied for many answers to a prompt goes on from wherever the model was.
#
# Seen with transformers 5.23.0, three layers with random weights in float64: without anything in between, the logits after
# a cached prompt are those of reading all at once, to 1e-12. With another prompt read into a cache of its own in between
# they move by 15 % of the largest, and from a copy of the cache by 5 %. Those of a Llama of these sizes do not move.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0
cd "$folder"
env/bin/python - <<'PY' 2>/dev/null
import copy

import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, RecurrentGemmaConfig, RecurrentGemmaForCausalLM

torch.set_num_threads(1)
torch.set_grad_enabled(False)
SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "initializer_range": 0.2,
}
prompt, other = torch.arange(1, 9)[None], torch.arange(20, 30)[None]
token, place = torch.tensor([[9]]), torch.tensor([[8]])


def read(model, config, text):
    cache = DynamicCache(config=config)
    model(text, past_key_values=cache, use_cache=True)
    return cache


def next_logits(model, cache):
    return model(token, position_ids=place, past_key_values=cache, use_cache=True).logits[0, -1]


moved = {}
for name, config, kind in (
    ("Llama", LlamaConfig(**SIZES), LlamaForCausalLM),
    ("RecurrentGemma", RecurrentGemmaConfig(**SIZES, attention_window_size=16), RecurrentGemmaForCausalLM),
):
    torch.manual_seed(0)
    model = kind(config).double().eval()
    whole = model(torch.cat((prompt, token), 1), use_cache=False).logits[0, -1]
    alone = next_logits(model, read(model, config, prompt))
    cache = read(model, config, prompt)
    read(model, config, other)
    after_another = next_logits(model, cache)
    cache = read(model, config, prompt)
    twin = copy.deepcopy(cache)
    next_logits(model, cache)
    from_a_copy = next_logits(model, twin)
    found = [float((each - whole).abs().max() / whole.abs().max()) for each in (alone, after_another, from_a_copy)]
    moved[name] = found
    print(name, *(f"{what} {share:.1e}" for what, share in zip(("alone", "after another", "from a copy"), found)), sep=", ")
assert max(moved["Llama"]) < 1e-12 and moved["RecurrentGemma"][0] < 1e-12
assert min(moved["RecurrentGemma"][1:]) > 0.01
PY
