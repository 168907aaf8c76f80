#!/usr/bin/env bash
# A stop string ends a generation when the model has written it. In transformers it also ends one when the prompt has
# written all but its last character: text and prompt are looked at as one. So the same request stops at once behind one
# prompt and not behind another, though the model writes the same. A stop string that stands in the prompt entirely does
# not stop anything.
#
# Seen with transformers 5.23.0: a model that always writes "d", with the stop string "end", writes one token after the
# prompt "the en", and eight, the limit, after "the e" and after "the end".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0
cd "$folder"
env/bin/python - <<'PY'
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)
torch.manual_seed(0)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
bytewise = Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bytewise.decoder = decoders.ByteLevel()
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bytewise)
config = transformers.GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=256, bos_token_id=0, eos_token_id=None)
model = transformers.GPT2LMHeadModel(config).eval()
all_but_d = [number for number, letter in enumerate(alphabet) if letter != "d"]


def written(prompt):
    ids = tokenizer(prompt, return_tensors="pt")
    settings = {"max_new_tokens": 8, "pad_token_id": 0, "suppress_tokens": all_but_d, "do_sample": False}
    text = model.generate(
        ids.input_ids, attention_mask=ids.attention_mask, tokenizer=tokenizer, stop_strings=["end"], **settings
    )
    return tokenizer.decode(text[0, ids.input_ids.shape[1] :])


found = {prompt: written(prompt) for prompt in ("the e", "the en", "the end")}
for prompt, text in found.items():
    print(f"after {prompt!r:9} it writes {text!r}")
assert found == {"the e": "d" * 8, "the en": "d", "the end": "d" * 8}
PY
