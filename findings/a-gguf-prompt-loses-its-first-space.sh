#!/usr/bin/env bash
# SentencePiece keeps every space: it puts one before the text, and writes one that was there already as a second. A GGUF
# file of such a vocabulary says by tokenizer.ggml.add_space_prefix whether one is put there, and llama.cpp follows it. One
# expects transformers to give the same ids when it builds the tokenizer of the file. But a text that begins with a
# space gets no second one, so " word" and "word" are the same ids, and the space is lost; and the flag is read from the
# file and used for nothing, so that with add_space_prefix=false a space is put before the text all the same.
#
# Seen with transformers 5.23.0, gguf 0.19.0, sentencepiece 0.2.3: " the" is two tokens to SentencePiece, one to
# transformers; false or true, the file gives the same ids, and nothing is logged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 tokenizers==0.23.3 gguf==0.19.0 sentencepiece==0.2.3
cd "$folder"
env/bin/python - <<'PY'
import logging

import gguf
import sentencepiece
import transformers

logged = []
listener = logging.Handler()
listener.emit = lambda record: logged.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.add_handler(listener)

with open("corpus.txt", "w") as file:
    file.write("the cat sat on the mat and the dog sat on the cat\n" * 99)
sentencepiece.SentencePieceTrainer.train(
    input="corpus.txt", model_prefix="pieces", vocab_size=300, model_type="bpe", byte_fallback=True,
    normalization_rule_name="identity", remove_extra_whitespaces=False, hard_vocab_limit=False, minloglevel=2,
)
library = sentencepiece.SentencePieceProcessor(model_file="pieces.model")
numbers = range(library.vocab_size())


def kind(n):
    return 2 if library.is_unknown(n) else 3 if library.is_control(n) else 6 if library.is_byte(n) else 1


def rebuilt(prefix):
    name = f"{prefix}.gguf"
    writer = gguf.GGUFWriter(name, "llama")
    writer.add_tokenizer_model("llama")
    writer.add_token_list([library.id_to_piece(n) for n in numbers])
    writer.add_token_scores([library.get_score(n) for n in numbers])
    writer.add_token_types([kind(n) for n in numbers])
    writer.add_add_space_prefix(prefix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return transformers.PreTrainedTokenizerFast.from_pretrained(".", gguf_file=name)


def pieces(ids):
    return [library.id_to_piece(n) for n in ids]


with_prefix, without = rebuilt(True), rebuilt(False)
for text in ("the", " the", "  the"):
    ids = library.encode(text)
    theirs = [one.encode(text, add_special_tokens=False) for one in (with_prefix, without)]
    print(repr(text), "SentencePiece:", pieces(ids), "| transformers:", pieces(theirs[0]), "| flag false:", pieces(theirs[1]))
    assert theirs[0] == theirs[1], "the flag changes nothing"
    assert (theirs[0] == ids) == (not text.startswith(" ")), "a leading space is lost"
assert with_prefix.encode("the", add_special_tokens=False) == with_prefix.encode(" the", add_special_tokens=False)
print("logged:", logged)
assert not logged
PY
