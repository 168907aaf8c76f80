#!/usr/bin/env bash
# top_k=1 is taken for greedy decoding under another name. In transformers it keeps every token that ties with the best
# one, and draws among them. Logits that were computed in bfloat16 do tie: they have eight significant bits.
#
# Seen with transformers 5.23.0 and torch 2.13.0: of 2,048 places of an untrained GPT-2 with 32,000 tokens, 57 have a tie
# at the top in bfloat16, 5 in float16, none in float32. After one of these prompts greedy decoding always takes one
# token, and do_sample=True with top_k=1 takes it for about half of the seeds, and the other one for the rest.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0
cd "$folder"
env/bin/python - <<'PY'
import torch
import transformers

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
torch.manual_seed(0)
config = transformers.GPT2Config(n_layer=2, n_embd=64, n_head=4, vocab_size=32000, bos_token_id=0, eos_token_id=None)
model = transformers.GPT2LMHeadModel(config).eval()
texts = torch.randint(0, 32000, (32, 64))

ties = {}
for dtype in (torch.float32, torch.float16, torch.bfloat16):
    with torch.no_grad():
        best = model.to(dtype)(texts).logits.float().topk(2).values
    ties[dtype] = best[..., 0] == best[..., 1]
    print(f"{str(dtype):14} {int(ties[dtype].sum())} of {texts.numel()} places have a tie at the top")
assert not ties[torch.float32].any()
assert ties[torch.bfloat16].float().mean() > 0.01


def next_token(prompt, seed, **settings):
    torch.manual_seed(seed)
    mask = torch.ones_like(prompt)
    return int(model.generate(prompt, attention_mask=mask, max_new_tokens=1, pad_token_id=0, **settings)[0, -1])


row, place = ties[torch.bfloat16].nonzero()[0].tolist()
prompt = texts[row : row + 1, : place + 1]
greedy = {next_token(prompt, seed, do_sample=False) for seed in range(20)}
drawn = [next_token(prompt, seed, do_sample=True, top_k=1) for seed in range(20)]
print("greedy:", greedy, " top_k=1:", {token: drawn.count(token) for token in sorted(set(drawn))})
assert len(greedy) == 1, "greedy decoding takes one token"
assert len(set(drawn)) > 1, "top_k=1 draws among the tied ones"
PY
