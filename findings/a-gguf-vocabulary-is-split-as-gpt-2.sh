#!/usr/bin/env bash
# A GGUF file names the rules by which its byte-level vocabulary splits a text before it merges: tokenizer.ggml.pre. llama.cpp
# refuses a name that it does not know, since other rules give other tokens. So one expects transformers, which builds the
# tokenizer of a GGUF file too, to know the name or to say that it does not. It knows two dozen, and splits by the rules
# of GPT-2 for all others, without a word: for "chatglm-bpe" and "glm4" too, whose rules in llama.cpp are those of
# "llama-bpe", for "deepseek-v3", and for a name that nobody has.
#
# Seen with transformers 5.23.0, tokenizers 0.23.3, gguf 0.19.0: one vocabulary, learned with the rules of Llama 3, in two
# files that differ in this name. "llama-bpe" gives the ids that it was trained to give; with "chatglm-bpe" the text
# "(self)\n\n(self)" has twelve tokens for four, and nothing is logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 gguf==0.19.0
cd "$folder"
env/bin/python - <<'PY'
import json
import logging

import gguf
import transformers
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
logged = []
listener = logging.Handler()
listener.emit = lambda record: logged.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.add_handler(listener)

trained = Tokenizer(models.BPE())
split = pre_tokenizers.Split(Regex(LLAMA_3), behavior="isolated")
trained.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
trained.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
trained.train_from_iterator(["def f(self):\n\n    return g(self)\n\n"] * 99, trainer)
model = json.loads(trained.to_str())["model"]
tokens = sorted(model["vocab"], key=model["vocab"].get)


def rebuilt(name):
    writer = gguf.GGUFWriter(f"{name}.gguf", "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name)
    writer.add_token_list(tokens)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_token_types([1] * len(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return transformers.PreTrainedTokenizerFast.from_pretrained(".", gguf_file=f"{name}.gguf")


text = "(self)\n\n(self)"
expected = trained.encode(text).ids
print("as trained:", trained.encode(text).tokens)
for name in ("llama-bpe", "chatglm-bpe", "glm4", "deepseek-v3", "no-such-name"):
    ids = rebuilt(name).encode(text, add_special_tokens=False)
    print(f"{name}:", [tokens[number] for number in ids])
    assert (ids == expected) == (name == "llama-bpe"), name
print("logged:", logged)
assert not logged
PY
