#!/usr/bin/env bash
# A model is loaded, trained and saved into the directory that it came from, in smaller files than before. One expects the
# next load to give what was saved last: shards of an earlier save are removed, so the directory looks tended. But the one
# file of an unsharded save has no number in its name and is left, beside the new shards and their index, and loading
# looks for it first. The training is on the disk and is never read. The other way round, from shards to one file, all is
# well. There is no error and no warning.
#
# Seen with transformers 5.23.0 and torch 2.13.0: weights set to 1, saved in place with max_shard_size="20KB", come back
# as the random ones from before; model.safetensors lies beside model-00001-of-0000N.safetensors.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet transformers==5.23.0 torch==2.13.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import logging
from pathlib import Path

import torch
import transformers

logged = []
listener = logging.Handler()
listener.emit = lambda record: logged.append(record.getMessage())
transformers.logging.add_handler(listener)
config = transformers.LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
)


def saved_twice(home, first, second):
    """Save a random model, set all its weights to 1, save it in place, and load: the share of ones."""
    transformers.LlamaForCausalLM(config).save_pretrained(home, **first)
    model = transformers.AutoModelForCausalLM.from_pretrained(home)
    for weight in model.parameters():
        weight.data.fill_(1)
    model.save_pretrained(home, **second)
    print(home, sorted(path.name for path in Path(home).glob("model*")))
    loaded = torch.cat([w.flatten() for w in transformers.AutoModelForCausalLM.from_pretrained(home).parameters()])
    return float((loaded == 1).float().mean())


print("transformers", transformers.__version__)
shards = {"max_shard_size": "20KB"}
back = saved_twice("to-one-file", shards, {})
print(f"from shards to one file: {back:.0%} of the weights are those saved last")
lost = saved_twice("to-shards", {}, shards)
print(f"from one file to shards: {lost:.0%} | logged: {logged}")
assert back == 1
assert lost < 0.1, "norms alone are 1 in a new model too"
assert not logged
PY
