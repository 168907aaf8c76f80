#!/usr/bin/env bash
# A tokenizer.json holds the whole tokenizer: normalizer, vocabulary, special tokens. So one expects transformers to run what
# it says, as the package tokenizers does, and a directory without it and without a vocabulary to be refused. But if
# tokenizer_config.json names a class such as BertTokenizer, transformers 5 takes the vocabulary from the file and builds
# the rest anew from the config: an edit of the normalizer changes the ids in one library and not in the other. And if the
# file is missing, it builds a vocabulary of the five special tokens: every word is [UNK], and nothing is logged.
#
# Seen with transformers 5.23.0 and tokenizers 0.23.3: with "lowercase": false in tokenizer.json, "This" is [UNK] to
# tokenizers and "this" to transformers; with a generic tokenizer_class it is [UNK] to both. Without tokenizer.json and
# vocab.txt the text of three words has ids 2 1 1 1 3.
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
from tokenizers import Tokenizer

logged = []
listener = logging.Handler()
listener.emit = lambda record: logged.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.add_handler(listener)
home = Path("model")
home.mkdir()
marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
vocabulary = {token: i for i, token in enumerate([*marks, *"abcdefghij", "this", "is", "one"])}
file = {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [
        {"id": i, "content": mark, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True} for i, mark in enumerate(marks)
    ],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                   "lowercase": False},
    "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": None,
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100, "vocab": vocabulary},
}
(home / "tokenizer.json").write_text(json.dumps(file))
text, unknown, this = "This is one", vocabulary["[UNK]"], vocabulary["this"]


def ids(tokenizer_class):
    named = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    (home / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class, **named}))
    return transformers.AutoTokenizer.from_pretrained(home)(text, add_special_tokens=False).input_ids


by_tokenizers = Tokenizer.from_file("model/tokenizer.json").encode(text).ids
generic, bert = ids("PreTrainedTokenizerFast"), ids("BertTokenizer")
print("tokenizers:", by_tokenizers, "| transformers, generic class:", generic, "| BertTokenizer:", bert)
assert by_tokenizers[0] == generic[0] == unknown and bert[0] == this and not logged

(home / "tokenizer.json").unlink()
empty = transformers.AutoTokenizer.from_pretrained(home)
print("without the file:", empty(text).input_ids, "of a vocabulary of", len(empty), "| logged:", logged)
assert empty(text).input_ids == [2, 1, 1, 1, 3] and len(empty) == 5 and not logged
PY
