#!/usr/bin/env bash
# Of the experts that LongCat-Flash chooses from, 256 in each layer do nothing: they give back their input. One expects them
# to have no weights. transformers gives each the gate and the other half of a network's input, without the matrix that
# would lead back: weights that nothing reads, that no gradient reaches, and that are saved with the model.
#
# Seen with transformers 5.23.0 and torch 2.13.0: of a tiny model with 8 experts and 4 that do nothing, an eighth of the
# parameters are such, and its file holds 12 gates and 8 matrices that lead back. The published sizes, built without memory,
# come to 741 billion parameters in place of 560.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 safetensors==0.8.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import torch
import transformers
from safetensors.torch import load_file

transformers.logging.set_verbosity_error()
small = dict(
    vocab_size=64, hidden_size=32, num_layers=2, num_attention_heads=4, ffn_hidden_size=48, q_lora_rank=16,
    kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8, expert_ffn_hidden_size=16, moe_topk=3,
    n_routed_experts=8, head_dim=4, pad_token_id=0,
)


def model(**fields):
    config = transformers.AutoConfig.for_model("longcat_flash", **fields)
    return transformers.AutoModelForCausalLM.from_config(config)


def count(built):
    return sum(parameter.numel() for parameter in built.parameters())


torch.manual_seed(0)
without, idle = model(**small, zero_expert_num=0), model(**small, zero_expert_num=4)
routers = sum(p.shape[-1] * 4 for name, p in idle.named_parameters() if name.endswith("router.classifier.weight"))
more = count(idle) - count(without) - routers
print(f"{count(idle):,} parameters, {more:,} of them in experts that do nothing")
assert more / count(idle) > 0.1

idle(torch.randint(1, 64, (4, 64)), use_cache=False).logits.square().mean().backward()
experts = [p for name, p in idle.named_parameters() if name.endswith("experts.gate_up_proj")]
assert all(p.shape[0] == 12 and not p.grad[8:].any() and p.grad[:8].flatten(1).any(1).all() for p in experts)
print("of 12 experts the gradient of 64 tokens reaches 8")

idle.save_pretrained("model")
names = [name for name in load_file("model/model.safetensors") if ".layers.0.mlp.experts." in name]
gates, back = (sum(kind in name for name in names) for kind in ("gate_proj", "down_proj"))
print(f"the file holds {gates} gates and {back} matrices that lead back")
assert (gates, back) == (12, 8)

with torch.device("meta"):
    published = {zero: count(model(zero_expert_num=zero)) for zero in (256, 0)}
print(*(f"{size / 1e9:.0f} billion parameters with {zero} of them" for zero, size in published.items()), sep="; ")
assert published[256] - published[0] > 150e9
PY
