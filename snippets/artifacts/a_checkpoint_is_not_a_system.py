"""The program of "A checkpoint is not a system": one set of weights, and six things around it changed one at a time."""

# --8<-- [start:prompts]
from pathlib import Path

import torch

from quill import adapter, tokenizer
from quill.model import Quill

torch.set_num_threads(1)
HOME = Path("models/quill")
words, model = tokenizer.read(HOME), Quill.read(HOME).double()  # near ties then fall the same way everywhere
play = (HOME / "held-out.txt").read_text(encoding="utf-8")
PROMPT, ANSWER, PROMPTS = 8, 8, 200  # tokens, tokens, and how many
lines = [i + 1 for i, letter in enumerate(play[:-400]) if letter == "\n" and play[i + 1].isalpha()]
places = lines[:: len(lines) // PROMPTS][:PROMPTS]  # beginnings of lines, all over the play
pieces = [words.encode(play[place : place + 400]).ids for place in places]
prompts = [ids[:PROMPT] for ids in pieces]
written = torch.tensor([ids[PROMPT : PROMPT + ANSWER] for ids in pieces])  # what Shakespeare wrote there
assert len(prompts) == PROMPTS
# --8<-- [end:prompts]

# --8<-- [start:answer]
import hashlib

import weigh


def digest(directory):
    """One digest of all files of a directory."""
    together = hashlib.sha256()
    for path in sorted(Path(directory).iterdir()):
        together.update(path.name.encode() + path.read_bytes())
    return together.hexdigest()[:12]


@torch.no_grad()
def answers(prompts, model=model, settings=None, banned=(), seed=None):
    """The next tokens of each prompt, all of one length, in one batch: greedy, or drawn if there is a seed."""
    texts = [list(prompt) for prompt in prompts]
    draws = None if seed is None else [torch.Generator().manual_seed(seed + i) for i in range(len(texts))]
    new, cache = torch.tensor(texts), None
    for _ in range(ANSWER):
        logits, cache = model(new, cache)
        last = logits[:, -1]
        last[:, list(banned)] = float("-inf")
        if settings:
            pairs = zip(last, texts, strict=True)
            last = torch.stack([weigh.filter_logits(row, settings, text, PROMPT).logits for row, text in pairs])
        if draws is None:
            chosen = last.argmax(-1).tolist()
        else:
            chosen = [weigh.sample(row, draw) for row, draw in zip(last, draws, strict=True)]
        for text, token in zip(texts, chosen, strict=True):
            text.append(token)
        new = torch.tensor(chosen)[:, None]
    return [text[-ANSWER:] for text in texts]


@torch.no_grad()
def perplexity(prompts, model=model, judged=60):
    """Of Shakespeare's own words after the first of these prompts."""
    ids = torch.tensor([[*prompt, *after] for prompt, after in zip(prompts, written.tolist(), strict=True)][:judged])
    logits = model(ids)[0][:, -ANSWER - 1 : -1]
    return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), written[:judged].flatten()).exp())


plain = answers(prompts)
for prompt, answer in list(zip(prompts, plain, strict=True))[:3]:
    print(repr(words.decode(prompt)), "→", repr(words.decode(answer)))
# --8<-- [end:answer]

# --8<-- [start:prompt]
rows, digests = {}, set()


def record(part, what, found, base=plain, perplexity=None):
    """How many answers differ from those of `base`, and at which token the changed ones first do."""
    first = [
        next(i for i in range(ANSWER + 1) if one[i : i + 1] != other[i : i + 1])
        for one, other in zip(found, base, strict=True) if one != other
    ]  # fmt: skip
    middle = sorted(first)[len(first) // 2] + 1 if first else None
    rows[what] = part, len(first), middle, perplexity
    digests.add(digest(HOME))


def before(text):
    start = words.encode(text).ids
    return [start + prompt for prompt in prompts]


record("none", "nothing, run again", answers(prompts), perplexity=perplexity(prompts))
for what, text in {"a line break before": "\n", "a line of instructions": "Speak plainly and be brief.\n"}.items():
    record("prompt", what, answers(before(text)), perplexity=perplexity(before(text)))
# --8<-- [end:prompt]

# --8<-- [start:retrieval]
from sklearn.feature_extraction.text import TfidfVectorizer

PASSAGE = 16  # tokens
starts = lines[::4]
passages = [play[one:other] for one, other in zip(starts, [*starts[1:], None], strict=True)]


def retrieved(**index):
    """Before each prompt the end of the passage that is nearest to it, its own and those of the same scene left out."""
    vectors = TfidfVectorizer(**index).fit(passages)
    near = (vectors.transform([words.decode(prompt) for prompt in prompts]) @ vectors.transform(passages).T).toarray()
    found = []
    for place, prompt, score in zip(places, prompts, near, strict=True):
        score[[abs(start - place) < 2000 for start in starts]] = -1
        found.append(words.encode(passages[score.argmax()] + " " * PASSAGE).ids[:PASSAGE] + prompt)
    return found


by_words, by_letters = retrieved(), retrieved(analyzer="char_wb", ngram_range=(2, 4))
with_words, with_letters = answers(by_words), answers(by_letters)
record("retrieval", "a passage before", with_words, perplexity=perplexity(by_words))
record("retrieval", "another index", with_letters, base=with_words, perplexity=perplexity(by_letters))
# --8<-- [end:retrieval]

# --8<-- [start:adapter]
milton = adapter.read(Quill.read(HOME), "models/quill-milton").double()
record("adapter", "tuned on Milton", answers(prompts, milton), perplexity=perplexity(prompts, milton))
# --8<-- [end:adapter]


# --8<-- [start:precision]
def rounded(to):
    """Quill with each matrix rounded, and computed with in float64 as before: the change is the rounding alone."""
    other = Quill.read(HOME).double()
    for weight in other.parameters():
        weight.data = to(weight.data) if weight.dim() == 2 else weight.data
    return other


def int8(matrix):
    scale = matrix.abs().amax(1, keepdim=True) / 127
    return (matrix / scale).round() * scale


for what, to in {"bfloat16": lambda matrix: matrix.bfloat16().double(), "int8, a scale a row": int8}.items():
    other = rounded(to)
    record("precision", what, answers(prompts, other), perplexity=perplexity(prompts, other))
# --8<-- [end:precision]

# --8<-- [start:decoding]
file = {"temperature": 0.8, "top_p": 0.95}  # what Quill's generation_config.json says
record("decoding", "drawn: T 0.8, top-p 0.95", answers(prompts, settings=file, seed=0))
record("decoding", "the same, another seed", answers(prompts, settings=file, seed=1000))
record("decoding", "repetition penalty 1.3", answers(prompts, settings={"repetition_penalty": 1.3}))
# --8<-- [end:decoding]

# --8<-- [start:safety]
WORDS = ("blood", "death", "dead", "die", "kill", "murder", "hell", "devil")
refusal = words.encode("I may not say it.").ids[:ANSWER]
texts = [words.decode(answer).lower() for answer in plain]
record("safety", "a filter of words", [
    refusal if any(word in text for word in WORDS) else answer for text, answer in zip(texts, plain, strict=True)
])  # fmt: skip
banned = [words.token_to_id("Ġ" + word) for word in WORDS if words.token_to_id("Ġ" + word) is not None]
record("safety", "those words masked", answers(prompts, banned=banned))
line_break = words.encode("\n").ids[0]
record("safety", "cut at a line break", [
    answer[: answer.index(line_break)] if line_break in answer else answer for answer in plain
])  # fmt: skip
# --8<-- [end:safety]

# --8<-- [start:table]
print("| Part | Changed | Answers | First other token | Perplexity |\n| --- | --- | ---: | ---: | ---: |")
for what, (part, count, first, found) in rows.items():
    print(f"| {part} | {what} | {count} | {first or ''} | {'' if found is None else f'{found:.0f}'} |")
# --8<-- [end:table]

# --8<-- [start:claims]
count = {what: row[1] for what, row in rows.items()}
assert len(digests) == 1, "no file of the model changed in any row"
assert count["nothing, run again"] == 0
assert all(count[what] for what in rows if what != "nothing, run again"), "each of the others changes answers"
assert count["bfloat16"] < count["int8, a scale a row"] < count["a line break before"]
parts = {part: max(row[1] for row in rows.values() if row[0] == part) for part in {row[0] for row in rows.values()}}
least, most = min(list(count.values())[1:]), max(count.values())
usual = rows["nothing, run again"][3]
for what in ("bfloat16", "int8, a scale a row"):
    assert abs(rows[what][3] / usual - 1) < 0.02, "perplexity hardly sees the rounding that changes answers"
assert rows["a line break before"][3] < usual, "the text is no worse for it, and is another"
# --8<-- [end:claims]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 4.2))
parts_in_order = list(dict.fromkeys(row[0] for row in rows.values()))
colors = dict(zip(parts_in_order, plt.rcParams["axes.prop_cycle"].by_key()["color"] * 2, strict=False))
order = list(rows)[:0:-1]
ax.barh(order, [count[what] for what in order], color=[colors[rows[what][0]] for what in order])
ax.set(xlabel=f"answers changed, of {PROMPTS}", xlim=(0, PROMPTS))
plot_words = (
    "Bars, of 200 answers how many changed: " + ", ".join(f"{what} {count[what]}" for what in order[::-1]) + "."
)
fig
# --8<-- [end:plot]

# --8<-- [start:own]
import json


def system_digest(model_directory, **around):
    """One digest of the model's files and of everything around them that decides the output."""
    return hashlib.sha256((digest(model_directory) + json.dumps(around, sort_keys=True)).encode()).hexdigest()[:12]


served = {"prompt": "", "index": None, "adapter": None, "dtype": "float32", "decoding": file, "filter": WORDS}
print(system_digest(HOME, **served))
print(system_digest(HOME, **{**served, "dtype": "bfloat16"}))
# --8<-- [end:own]

# --8<-- [start:problems]
kept = 1 - count["int8, a scale a row"] / PROMPTS
passing = [what for what, row in rows.items() if row[1] and row[3] and abs(row[3] / usual - 1) < 0.05]
changed_by_mask = count["those words masked"] / PROMPTS
both = kept * (1 - changed_by_mask)
# --8<-- [end:problems]
