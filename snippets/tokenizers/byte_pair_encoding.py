"""The program of "Byte-pair encoding": training it merge by merge, and encoding with what it has learned."""

# --8<-- [start:train]
from weigh.tokenizers.bpe import encode, train_bpe

text = "she sells sea shells by the sea shore"
merges = list(train_bpe([text], vocabulary=256 + 18))

for merge in merges[:3]:
    left, right = merge.pair
    print(f"{left} + {right}, {merge.count} times: id {merge.id}")
# --8<-- [end:train]

# --8<-- [start:train_claims]
assert len(merges) == 18 and all(len(word) == 1 for word in merges[-1].corpus), "after 18 merges each word is a token"
frequencies = [merge.count for merge in merges]
assert frequencies == sorted(frequencies, reverse=True), "none is more frequent than the one before"
pairs = [merge.pair for merge in merges]
repeated = [merge for merge in merges if merge.count > 1]
assert [merge.count for merge in repeated] == [5, 3, 3, 2, 2, 2]


def state(number):
    """The whole text in tokens, after so many merges."""
    return [token for steps in encode(text, pairs[:number]) for token in steps[-1].word]


for number, merge in enumerate(merges, start=1):
    assert len(state(number)) == merge.tokens, "the training's corpus is the text, encoded with the merges so far"
# --8<-- [end:train_claims]

# --8<-- [start:library]
import json

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from weigh.tokenizers.bpe import spell, unspell


def library(texts, vocabulary):
    """The merges that the tokenizers library learns."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizer.pre_tokenizer.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(unspell(left), unspell(right)) for left, right in learned]


# --8<-- [end:library]

# --8<-- [start:same]
from pathlib import Path

macbeth = Path("models/quill/held-out.txt").read_text("utf-8")
half = len(macbeth) // 2
read, unread = macbeth[:half], macbeth[half:]
longer = list(train_bpe([read], vocabulary=1256))

for ours, theirs in [
    (merges, library([text], 256 + 18)),
    (longer, library([read], 1256)),
]:
    same = sum(m.pair == p for m, p in zip(ours, theirs, strict=True))
    print(f"{same:,} of {len(theirs):,} merges are the same")
# --8<-- [end:same]

# --8<-- [start:same_claims]
assert pairs == library([text], 256 + 18)
assert [merge.pair for merge in longer] == library([read], 1256)
# --8<-- [end:same_claims]


# --8<-- [start:encode]
def line(step):
    """A word in its tokens, with a dot for a space."""
    return " | ".join(token.decode().replace(" ", "·") for token in step.word)


for word in ("shells", " sheila"):
    (steps,) = encode(word, pairs)
    for step in steps:
        said = f"merge {step.rank + 1}" if step.rank >= 0 else "bytes"
        print(f"{said:>8}: {line(step)}")
    print()
# --8<-- [end:encode]

# --8<-- [start:encode_claims]
shells, sheila = ([token.decode() for token in encode(word, pairs)[0][-1].word] for word in ("shells", " sheila"))
assert shells == ["she", "lls"] and sheila == [" she", "i", "l", "a"]
assert [token for steps in encode(" shells", pairs) for token in steps[-1].word] == [b" shells"]
# --8<-- [end:encode_claims]

# --8<-- [start:quill]
file = Path("models/quill/tokenizer.json")
stored = json.loads(file.read_text("utf-8"))["model"]
quill = [(unspell(left), unspell(right)) for left, right in stored["merges"]]

(steps,) = encode(" tomorrow", quill)
for step in steps:
    said = f"merge {step.rank + 1:,}" if step.rank >= 0 else "bytes"
    print(f"{said:>11}: {line(step)}")
print("ids:", [stored["vocab"][spell(token)] for token in steps[-1].word])
# --8<-- [end:quill]

# --8<-- [start:quill_claims]
quill_tokenizer = Tokenizer.from_file("models/quill/tokenizer.json")
assert [stored["vocab"][spell(token)] for token in steps[-1].word] == quill_tokenizer.encode(" tomorrow").ids
# --8<-- [end:quill_claims]

# --8<-- [start:curve]
from collections import Counter

from weigh.tokenizers.bpe import words

sizes = [256, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200, 1256]
learned = [merge.pair for merge in longer]


def bytes_per_token(part, vocabulary):
    counts = Counter(words(part))
    total = sum(len(word) * count for word, count in counts.items())
    known = learned[: vocabulary - 256]
    tokens = 0
    for word, count in counts.items():
        (steps,) = encode(word.decode(), known)
        tokens += len(steps[-1].word) * count
    return total / tokens


curves = {
    "the half it was trained on": [bytes_per_token(read, size) for size in sizes],
    "the other half": [bytes_per_token(unread, size) for size in sizes],
}
# --8<-- [end:curve]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.4, 3))
for label, values in curves.items():
    ax.plot(sizes, values, label=label)
ax.set(xlabel="entries in the vocabulary", ylabel="bytes per token", ylim=(0.9, None))
ax.legend(loc="lower right")

seen, unseen = curves.values()
first_gain, last_gain = unseen[3] - unseen[0], unseen[8] - unseen[5]
assert sizes[3] == 500 and sizes[8] - sizes[5] == 300
assert first_gain > 2 * last_gain, "the first merges gain the most"
assert all(a >= b for a, b in zip(seen[1:], unseen[1:], strict=True)), "it fits the text that it has read"
curve_in_words = "Bytes per token of Macbeth. " + "; ".join(
    f"{label}: from {values[0]:.2f} at {sizes[0]} entries to {values[-1]:.2f} at {sizes[-1]:,}"
    for label, values in curves.items()
)
fig
# --8<-- [end:plot]


# --8<-- [start:fewest]
def fewest(word, vocabulary):
    """The least number of tokens that spell the word."""
    best = [0]
    for end in range(1, len(word) + 1):
        starts = (at for at in range(end) if word[at:end] in vocabulary)
        best.append(min(best[at] for at in starts) + 1)
    return best[-1]


entries = {bytes([value]) for value in range(256)} | {left + right for left, right in quill}
longer_than_needed = {}
for word in dict.fromkeys(words(macbeth)):
    made = encode(word.decode(), quill)[0][-1].word
    if len(made) > fewest(word, entries):
        longer_than_needed[word] = made

example, spelling = next(iter(longer_than_needed.items()))
print(f"{example.decode()!r} is {len(spelling)} tokens:", *spelling)
print(f"{fewest(example, entries)} would do. So it is with {len(longer_than_needed):,} words of Macbeth")
# --8<-- [end:fewest]

# --8<-- [start:fewest_claims]
distinct = len(set(words(macbeth)))
share = len(longer_than_needed) / distinct
assert 0 < share < 0.2
used = set(quill_tokenizer.encode(macbeth).ids)
never = len(stored["vocab"]) - len(used)
bytes_never = sum(number not in used for token, number in stored["vocab"].items() if len(token) == 1)
assert never > bytes_never > 0
left_over = [merge.token for merge in merges if (merge.token,) not in merges[-1].corpus]
# --8<-- [end:fewest_claims]

# --8<-- [start:spaces]
for one in ("sea", " sea", " Sea", " SEA"):
    made = encode(one, quill)[0][-1].word
    print(f"{one!r:7} {[stored['vocab'][spell(token)] for token in made]}")
# --8<-- [end:spaces]

# --8<-- [start:spaces_claims]
spelled = {tuple(encode(one, quill)[0][-1].word) for one in ("sea", " sea", " Sea", " SEA")}
assert len(spelled) == 4, "four ways to write it, four sequences of ids"
# --8<-- [end:spaces_claims]

# --8<-- [start:own]
own = "to be, or not to be, that is the question"  # your text

for merge in train_bpe([own], vocabulary=256 + 4):
    print(f"{merge.token!r:8} {merge.count} times, {merge.tokens} tokens left")
# --8<-- [end:own]

# --8<-- [start:wrong]
ä = "ä".encode()
german = next(train_bpe(["Bär, Säge, Käse"], 257))
assert german.pair == (ä[:1], ä[1:])
half_character = german.pair[0].decode(errors="replace")
reversed_pairs = pairs[::-1]
other_order = [token for steps in encode(" shells", reversed_pairs) for token in steps[-1].word]
assert other_order != [b" shells"], "the order of the merges is part of the tokenizer"
across = [merge for merge in train_bpe(["of the of the of the of the"], 300) if b"f t" in merge.token]
assert not across, "no merge crosses words"
digits = [len(encode(number, quill)[0][-1].word) for number in ("1606", "16061606")]
# --8<-- [end:wrong]

# --8<-- [start:problems]
aaaa = list(train_bpe(["aaaa"], 300))
assert [merge.token for merge in aaaa] == [b"aa", b"aaaa"]
assert aaaa[0].count == 3
tie = next(train_bpe(["ab cd"], 257))
assert tie.pair == (b"a", b"b")
# --8<-- [end:problems]
