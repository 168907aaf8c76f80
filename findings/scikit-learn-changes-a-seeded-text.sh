#!/usr/bin/env bash
# Two environments differ in one package that a text generator has no use for, scikit-learn. The same seed, weights and
# settings, in the same release of transformers, are taken to write the same text. With an assistant model (speculative
# decoding) they do not: where scikit-learn can be imported, transformers fits a ROC curve to the draft's confidences
# after each pass and moves the confidence below which the draft stops. Then another number of tokens is drafted, other
# random numbers are drawn, and the sampled text is another one. Greedy text stays, and takes another number of passes.
#
# Seen with transformers 5.23.0, torch 2.13.0 and scikit-learn 1.9.1, on models of random weights, 40 tokens: all of eight
# seeded texts become other ones. The first takes 32 passes of the model and 31 of its draft without scikit-learn, 29 and
# 180 with it. The greedy text is the same, and takes 63 passes of the draft where it took 39.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 numpy==2.3.5 scikit-learn==1.9.1
cd "$folder"
cat > write.py <<'PY'
import importlib.util
import json
import sys

import torch
import transformers

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)


def tiny(layers):
    """A model of random weights, made larger so that it is sure of some tokens; the draft has the first layer only."""
    torch.manual_seed(0)
    sizes = {"n_embd": 32, "n_head": 2, "vocab_size": 64, "n_positions": 128}
    config = transformers.GPT2Config(n_layer=layers, bos_token_id=0, eos_token_id=None, pad_token_id=0, **sizes)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        model.transformer.wte.weight.mul_(12)
        model.transformer.wpe.weight.mul_(50)
    return model


def written(seed):
    """The text of a seed (greedy without one), and the passes of both models."""
    model, draft = tiny(2), tiny(1)
    passes = {"target": 0, "draft": 0}
    for name, one in (("target", model), ("draft", draft)):
        one.register_forward_pre_hook(lambda module, given, name=name: passes.update({name: passes[name] + 1}))
    prompt = torch.tensor([[1, 2, 3]])
    torch.manual_seed(seed or 0)
    ids = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), assistant_model=draft, max_new_tokens=40,
        do_sample=seed is not None, top_k=0 if seed is not None else None,
    )  # fmt: skip
    return ids[0].tolist(), passes


runs = {str(seed): written(seed) for seed in (None, *range(1, 9))}
print("scikit-learn:", bool(importlib.util.find_spec("sklearn")), "transformers", transformers.__version__)
json.dump(runs, open(sys.argv[1], "w"))
PY
env/bin/python write.py with.json
env/bin/python write.py again.json
env/bin/python -m pip uninstall --quiet --yes scikit-learn
env/bin/python write.py without.json
env/bin/python - <<'PY'
import json

without, fitted, again = (json.load(open(f"{name}.json")) for name in ("without", "with", "again"))
assert fitted == again, "each environment repeats itself"
for seed, (text, passes) in without.items():
    same = "the same text" if text == fitted[seed][0] else "another text"
    print(f"seed {seed}: {same}; passes {passes} without scikit-learn, {fitted[seed][1]} with it")
assert without["None"][0] == fitted["None"][0], "greedy text stays"
changed = [seed for seed, (text, _) in without.items() if text != fitted[seed][0]]
print(f"{len(changed)} of 8 seeded texts differ")
assert len(changed) >= 6
PY
