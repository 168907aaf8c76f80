#!/usr/bin/env bash
# A tokenizer is loaded, given another end-of-text token and a padding token, and saved where it came from. One expects to
# load what was saved. transformers 5 keeps both in tokenizer_config.json and no longer writes special_tokens_map.json, so
# that file stays as transformers 4 left it, and most models of the Hub have one. But it is still read, and it wins: the
# new end of text is undone, while the padding token, which the old file does not name, stays. In another directory the
# same save works. A chat template that was set to None comes back in the same way, from a file that is left.
#
# Seen with transformers 5.23.0 and tokenizers 0.23.3: tokenizer_config.json says "<|turn|>", the tokenizer that is loaded
# from it says "<|end|>", and nothing is logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet transformers==5.23.0 tokenizers==0.23.3
cd "$folder"
env/bin/python - <<'PY'
import json
import logging
from pathlib import Path

import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

logged = []
listener = logging.Handler()
listener.emit = lambda record: logged.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.add_handler(listener)

home = Path("model")
home.mkdir()
library = Tokenizer(models.BPE())
library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
marks = ["<|end|>", "<|turn|>", "<|pad|>"]
library.train_from_iterator(["to be or not to be"], trainers.BpeTrainer(vocab_size=300, special_tokens=marks))
library.save(str(home / "tokenizer.json"))
kind = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>", "chat_template": "{{ messages }}"}
(home / "tokenizer_config.json").write_text(json.dumps(kind))
(home / "special_tokens_map.json").write_text(json.dumps({"eos_token": "<|end|>"}))  # as version 4 wrote it


def load(directory):
    return transformers.AutoTokenizer.from_pretrained(directory)


tokenizer = load(home)
tokenizer.eos_token, tokenizer.pad_token = "<|turn|>", "<|pad|>"
logged.clear()
for directory in (home, Path("elsewhere")):
    tokenizer.save_pretrained(directory)
    said = json.loads((directory / "tokenizer_config.json").read_text())["eos_token"]
    print(f"{directory}: the config says {said}, loaded: {load(directory).eos_token}, {load(directory).pad_token}")
    assert said == "<|turn|>" and load(directory).pad_token == "<|pad|>"
assert load(home).eos_token == "<|end|>" and load("elsewhere").eos_token == "<|turn|>"

tokenizer.chat_template = None
tokenizer.save_pretrained(home)
print("a template that was taken away:", load(home).chat_template, "| logged:", logged)
assert load(home).chat_template == "{{ messages }}" and not logged
PY
