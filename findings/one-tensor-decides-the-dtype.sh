#!/usr/bin/env bash
# A config without a dtype is loaded in that of its file. If a file has two, one expects each tensor's own, or the one that
# most have, or the widest. transformers takes the first floating-point tensor in the order of names for all: one bfloat16
# head, lm_head.weight, turns a float32 model into bfloat16, and one bfloat16 norm at the end is turned into float32 itself.
#
# Seen with transformers 5.23.0 and torch 2.13.0: of 21 tensors one is bfloat16. If it is the first, the whole model is
# loaded as bfloat16, and 20 tensors lose their last 16 bits; if it is the last, as float32. Nothing is logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import json
import logging
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

logged = []
listener = logging.Handler()
listener.emit = lambda record: logged.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.disable_progress_bar()
transformers.logging.add_handler(listener)
small = dict(vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
LlamaForCausalLM(LlamaConfig(**small)).save_pretrained("model")
file = Path("model/config.json")
config = json.loads(file.read_text())
file.write_text(json.dumps({name: value for name, value in config.items() if name != "dtype"}))
good = load_file("model/model.safetensors")

first, *_, last = sorted(good)
loaded = {}
for name in (first, last):
    save_file({**good, name: good[name].bfloat16()}, "model/model.safetensors", {"format": "pt"})
    logged.clear()
    model = AutoModelForCausalLM.from_pretrained("model")
    loaded[name] = {weight.dtype for weight in model.parameters()}
    print(f"of {len(good)} tensors {name} alone is bfloat16: the model is {loaded[name]}, logged: {logged}")
    assert not logged
assert loaded == {first: {torch.bfloat16}, last: {torch.float32}}
PY
