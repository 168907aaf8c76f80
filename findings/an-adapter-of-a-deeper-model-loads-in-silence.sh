#!/usr/bin/env bash
# A LoRA adapter knows the layers of the model that it was trained on. On a base with more layers, PEFT warns that keys
# are missing. On a base with fewer it says nothing: what belongs to the layers that are not there is dropped, and the
# adapter's first layers change the model all the same. So it is with a target_modules that was shortened by hand.
# transformers' own load_adapter reports both.
#
# Seen with PEFT 0.21.2 and transformers 5.23.0: an adapter of 4 layers, 16 tensors. On 6 layers one warning, on 2
# layers none, with 8 of the 16 tensors dropped and the logits changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 peft==0.21.2
cd "$folder"
env/bin/python - <<'PY'
import json
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
ids = torch.arange(10)[None]


def llama(layers):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "vocab_size": 64}
    return LlamaForCausalLM(LlamaConfig(num_hidden_layers=layers, **sizes)).eval()


def loaded(layers):
    """How many warnings there are of keys, how many tensors of the adapter arrive, and whether the logits change."""
    base = llama(layers)
    with torch.no_grad(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        before = base(ids).logits.clone()
        model = PeftModel.from_pretrained(base, "adapter").eval()
        changed = not torch.allclose(before, model(ids).logits, atol=1e-4)
    arrived = {name.replace(".default", "") for name in model.state_dict() if "lora_" in name} & set(saved)
    return sum("adapter keys" in str(one.message) for one in said), len(arrived), changed


trained = get_peft_model(llama(4), LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
for name, value in trained.named_parameters():
    if "lora_B" in name:
        torch.nn.init.normal_(value, std=0.1)
trained.save_pretrained("adapter")
saved = load_file("adapter/adapter_model.safetensors")
found = {layers: loaded(layers) for layers in (4, 6, 2)}
for layers, (said, arrived, changed) in found.items():
    print(f"base of {layers} layers: {said} warnings, {arrived} of {len(saved)} tensors arrive, logits changed: {changed}")
assert found == {4: (0, 16, True), 6: (1, 16, True), 2: (0, 8, True)}

with open("adapter/adapter_config.json") as file:
    config = json.load(file)
with open("adapter/adapter_config.json", "w") as file:
    json.dump(config | {"target_modules": ["q_proj"]}, file)
said, arrived, _ = loaded(4)
print(f"v_proj taken out of target_modules: {said} warnings, {arrived} of {len(saved)} tensors arrive")
assert (said, arrived) == (0, 8)
PY
