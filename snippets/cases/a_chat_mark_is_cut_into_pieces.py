"""The program of the case "A chat mark is cut into pieces": a token that is looked for after the text was changed."""

# --8<-- [start:trained]
import string
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, models, normalizers, trainers

MARKS = ("<|im_start|>", "<|im_end|>")
play = Path("models/quill/held-out.txt").read_text("utf-8")
plain = Tokenizer(models.BPE())
# As Llama 2's file does it: a "▁" before the text, and one for each space.
plain.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
trainer = trainers.BpeTrainer(vocab_size=1500, initial_alphabet=list(string.printable), show_progress=False)
plain.train_from_iterator(play.splitlines(keepends=True), trainer)


def with_marks(normalized):
    """The tokenizer with two marks added; whether they are looked for in the text as it was changed."""
    tokenizer = Tokenizer.from_str(plain.to_str())
    tokenizer.add_tokens([AddedToken(mark, normalized=normalized) for mark in MARKS])
    return tokenizer


fast, mended = with_marks(normalized=True), with_marks(normalized=False)
# --8<-- [end:trained]

# --8<-- [start:chat]
chat = "<|im_start|>user\nWhat news?<|im_end|>\n<|im_start|>assistant\n"
for name, tokenizer in (("as added", fast), ("normalized=False", mended)):
    tokens = tokenizer.encode(chat).tokens
    print(f"{name}, {len(tokens)} tokens:", " ".join(tokens).replace("\n", "\\n"))
# --8<-- [end:chat]

# --8<-- [start:table]
places = {
    "at the start of the text": "{} user",
    "after a space": "now {} user",
    "after a line break": "now\n{} user",
    "after a word": "now{} user",
    "after another mark": "<|im_end|>{} user",
}


def finds(tokenizer, text):
    return any(MARKS[0] in token for token in tokenizer.encode(text.format(MARKS[0])).tokens)


kept = {place: [finds(tokenizer, text) for tokenizer in (fast, mended)] for place, text in places.items()}
print("| The mark stands | Found as added | With `normalized=False` |")
print("| --- | --- | --- |")
for place, found in kept.items():
    print(f"| {place} | {' | '.join('yes' if each else 'no' for each in found)} |")
# --8<-- [end:table]

# --8<-- [start:claims]
assert all(found[1] for found in kept.values())
assert [found[0] for found in kept.values()] == [True, True, False, False, False]
pieces = len(fast.encode("now\n<|im_start|>").ids) - len(fast.encode("now\n").ids)
assert pieces > 3
assert fast.get_vocab() == mended.get_vocab(), "the two differ in one field, in no token"
# --8<-- [end:claims]

# --8<-- [start:own]
import contextlib
import tempfile

from weigh.cli import weigh as command

with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    fast.save("as-added.json")
    mended.save("mended.json")
    Path("chats.txt").write_text("<|im_start|>user\nnow\t<|im_start|>user\n<|im_end|><|im_start|>user\n")
    arguments = ["check", "tokenizer", "as-added.json", "--against", "mended.json", "--text", "chats.txt", "--json"]
    with open("report.json", "w") as file, contextlib.redirect_stdout(file):
        code = command.main(arguments, standalone_mode=False)
    report = Path("report.json").read_text()
import json

for result in json.loads(report)["results"]:
    if result["check"] in ("other ids in your texts", "other special tokens"):
        print(f"{result['check']}: {result['finding']}, {result['figure']['value']:g}")
assert code == 1
# --8<-- [end:own]
