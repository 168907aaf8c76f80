#!/usr/bin/env bash
# vector_to_parameters of torch.nn.utils says that it copies slices of a vector into parameters, so one expects models that
# were set from one vector to go their own ways, the vector to be free for other use, and files to be as large as before.
# It makes each parameter a view of the vector instead. No warning.
#
# Seen with torch 2.13.0 and safetensors 0.8.0: three models set from the best one's vector and mutated apart, as a search
# over weights does, are equal to the bit; zeroing the vector zeroes the model; torch.save of the last of three layers
# writes all three (86,505 bytes, before 5,861); and safetensors' save_model and load_model refuse the model, though
# save_file writes it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 safetensors==0.8.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import io

import torch
from safetensors.torch import load_model, save, save_model
from torch.nn import Linear, Sequential
from torch.nn.utils import parameters_to_vector, vector_to_parameters

torch.manual_seed(0)
population = [Linear(4, 4) for _ in range(3)]
best = parameters_to_vector(population[0].parameters()).detach()
for model in population:
    vector_to_parameters(best, model.parameters())
with torch.no_grad():
    for model in population:
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
alike = all(torch.equal(population[0].weight, model.weight) for model in population)
print("three models, mutated apart, are equal:", alike)
assert alike


def size(layer):
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    return file.tell()


model = Sequential(Linear(100, 100), Linear(100, 100), Linear(100, 10))
save_model(model, "before.safetensors")
before = size(model[2])
vector = parameters_to_vector(model.parameters()).detach()
vector_to_parameters(vector, model.parameters())
after = size(model[2])
print(f"the last of three layers: {before:,} bytes, then {after:,}; the model: {size(model):,}")
assert before < 7000 and after > 80_000

for name, call in {
    "save_model": lambda: save_model(model, "after.safetensors"),
    "load_model": lambda: load_model(model, "before.safetensors"),
}.items():
    try:
        call()
    except RuntimeError as error:
        print(f"{name} refuses: …{str(error).partition('None is ')[2][:50]}")
    else:
        raise AssertionError(f"{name} takes the model")
print(f"save_file's form of it: {len(save(model.state_dict())):,} bytes")

vector.zero_()
print("after the vector was zeroed the model answers", model(torch.ones(1, 100)).abs().sum().item())
assert not any(weight.any() for weight in model.parameters())
PY
