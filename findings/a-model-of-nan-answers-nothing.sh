#!/usr/bin/env bash
# One weight that is NaN makes every logit NaN. Sampling then stops with an error. Greedy decoding does not: the largest
# of NaNs is the first, so that the model writes token 0 again and again. Where token 0 is the end of a text, as in
# GPT-NeoX's vocabulary and all that follow it, the answer is empty and ends as a good one does. Nothing warns, neither
# on loading nor on generating.
#
# Seen with transformers 5.23.0 and torch 2.13.0: with end token 0 one token is written, the end; with end token 7 eight
# tokens 0, the limit; sampling raises a RuntimeError in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0
cd "$folder"
env/bin/python - <<'PY'
import logging
import warnings

import torch
import transformers

torch.set_num_threads(1)
torch.manual_seed(0)
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
transformers.utils.logging.get_logger("transformers").addHandler(handler)
sizes = {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
ids = torch.tensor([[5, 6, 7, 8]])


def answer(end, **settings):
    config = transformers.GPTNeoXConfig(vocab_size=64, eos_token_id=end, bos_token_id=0, pad_token_id=0, **sizes)
    model = transformers.GPTNeoXForCausalLM(config)
    with torch.no_grad():
        model.gpt_neox.layers[0].mlp.dense_4h_to_h.weight[0, 0] = torch.nan
    model.save_pretrained("model")
    said.clear()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        loaded = transformers.AutoModelForCausalLM.from_pretrained("model").eval()
        try:
            out = loaded.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, **settings)
        except RuntimeError as error:
            return type(error).__name__
    assert not [text for text in [*said, *(str(one.message) for one in warned)] if "nan" in text.lower()]
    return out[0, 4:].tolist()


found = {(end, samples): answer(end, do_sample=samples) for end in (0, 7) for samples in (False, True)}
for (end, samples), tokens in found.items():
    print(f"end token {end}, {'sampling' if samples else 'greedy  '}: {tokens}")
assert found == {(0, False): [0], (0, True): "RuntimeError", (7, False): [0] * 8, (7, True): "RuntimeError"}
PY
