#!/usr/bin/env bash
# Dynamic NTK stretches rotary positions only for a text that is longer than the trained context. One expects a text within it
# to get the answer of the unstretched model, whatever was asked before and whatever else is in the batch. In transformers the
# stretching is a buffer of the model: it grows with the longest text so far, and shrinks again only for a batch whose longest
# row is shorter than the trained context. A text of exactly that length, such as every window of an evaluation, or a longer
# one, is answered by what came before it, and a short one by its neighbours in the batch.
#
# Seen with transformers 5.23.0, a Llama of random weights for 64 positions, factor 4: after one text of 240 tokens, a prompt
# of 63 tokens has the logits that it had before, one of 64 or 100 has not, and neither has one of 40 tokens beside a longer
# row. Nothing is logged. Reported of an older release in https://github.com/huggingface/transformers/issues/25306.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0
cd "$folder"
env/bin/python - <<'PY' 2>/dev/null
import torch
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(1)
torch.manual_seed(0)
torch.set_grad_enabled(False)
config = LlamaConfig(
    vocab_size=200, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=64, initializer_range=0.3,
    rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10_000.0},
)
model = LlamaForCausalLM(config).double().eval()
state = {name: weight.clone() for name, weight in model.state_dict().items()}
text = torch.randint(200, (1, 240), generator=torch.Generator().manual_seed(1))
LENGTHS = (100, 64, 63)  # a shorter one comes after a longer one, so that nothing else resets the model


def fresh():
    new = LlamaForCausalLM(config).double().eval()
    new.load_state_dict(state)
    return new


def moved(one, other):
    return f"{float((one - other).abs().max()):.1f}"


before = {length: fresh()(text[:, :length]).logits for length in LENGTHS}
used = fresh()
used(text)
after = {length: used(text[:, :length]).logits for length in LENGTHS}
found = {length: moved(before[length], after[length]) for length in LENGTHS}
print("largest change of a logit after a text of 240 tokens, by the prompt's length:", found)

batch = torch.cat((F.pad(text[:, :40], (0, 200)), text))
mask = (torch.arange(240) < torch.tensor([[40], [240]])).long()
beside = fresh()(batch, attention_mask=mask).logits[:1, :40]
neighbour = moved(beside, fresh()(text[:, :40]).logits)
print("and of a prompt of 40 tokens beside that text, pads masked:", neighbour)
assert found[63] == "0.0" and float(found[64]) > 0.5 and float(found[100]) > 0.5 and float(neighbour) > 0.5
PY
