"""The program of "Choosing the next token": one prompt's distribution before and after each decoding setting."""

# --8<-- [start:model]
import torch

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
model = Quill.read("models/quill")
words = tokenizer.read("models/quill")


def next_logits(ids):
    """The logits of the token after these."""
    return model(ids[None])[0][0, -1]


def logits_after(text):
    with torch.no_grad():
        return next_logits(torch.tensor(words.encode(text).ids))


# --8<-- [end:model]

# --8<-- [start:first]
logits = logits_after("O, my")
before = logits.softmax(-1)

for token in before.topk(6).indices.tolist():
    name = repr(words.decode([token]))
    print(f"{name:9} logit {logits[token]:5.2f}  {before[token]:6.1%}")
others = len(before) - 6
print(f"{others:,} others         {1 - before.topk(6).values.sum():6.1%}")
# --8<-- [end:first]

# --8<-- [start:draw]
generator = torch.Generator().manual_seed(1)
drawn = [weigh.sample(logits, generator) for _ in range(8)]

print("greedy:", words.decode(weigh.greedy(logits).kept.tolist()))
print("drawn: ", *(words.decode([token]) for token in drawn), sep="  ")
# --8<-- [end:draw]

# --8<-- [start:bars]
import matplotlib.pyplot as plt


def label(token, seen=()):
    """A token as an axis can show it, and how often it has come before."""
    name = words.decode([token]).replace(" ", "␣").replace("\n", "⏎")
    return name + (f" (×{seen.count(token)})" if token in seen else "")


def bars(ax, choice, title, shown=8, seen=()):
    """The most probable tokens and the sum of the others: outlined before, hatched if taken out, filled after."""
    old, new = choice.probabilities_before, choice.probabilities
    top = old.topk(shown).indices
    out = [*(~choice.logits[top].isfinite()).tolist(), set(choice.kept.tolist()) <= set(top.tolist())]
    for shift, chances in ((-0.2, old), (0.2, new)):
        heights = [*chances[top].tolist(), 1 - float(chances[top].sum())]
        rows = [row + shift for row in range(shown + 1)]
        if chances is new:
            ax.barh(rows, heights, 0.4, color="C0", label="after")
        else:
            drawn = ax.barh(rows, heights, 0.4, color="none", edgecolor="C5", linewidth=1, label="before")
            for bar, is_out in zip(drawn, out, strict=True):
                bar.set_hatch("/////" if is_out else "")
    names = [*(label(int(token), seen) for token in top), f"{len(old) - shown:,} others"]
    ax.set_yticks(range(shown + 1), names, fontsize=9)
    ax.set_ylim(shown + 0.6, -0.6)
    ax.grid(axis="y", visible=False)
    ax.grid(axis="x")
    ax.set_title(title)


# --8<-- [end:bars]

# --8<-- [start:temperature]
cold = weigh.temperature(logits, 0.5)
hot = weigh.temperature(logits, 1.5)
assert before.topk(6).values.sum() < 0.7 and before.topk(7).values[-1] < 0.05, "a long tail, each unlikely"
assert cold.probabilities.max() > before.max() > hot.probabilities.max(), "below 1 is sharper, above 1 flatter"
assert len(cold.kept) == len(hot.kept) == len(logits), "a temperature removes nothing"
assert torch.equal(cold.kept, hot.kept), "the ranking stays"
best = int(logits.argmax())
best_name = words.decode([best]).strip()
temperature_words = (
    "Bars of the eight most probable tokens and the sum of the others, before and after. At temperature 0.5 the first "
    f"one rises from {before[best]:.0%} to {cold.probabilities[best]:.0%}, "
    f"at 1.5 it falls to {hot.probabilities[best]:.0%}."
)
# --8<-- [end:temperature]

# --8<-- [start:temperature_plot]
fig, axes = plt.subplots(1, 2, sharey=True, sharex=True, figsize=(7, 3.6))
bars(axes[0], cold, "temperature 0.5")
bars(axes[1], hot, "temperature 1.5")
axes[1].legend(loc="center right")
for ax in axes:
    ax.set_xlabel("probability")
fig
# --8<-- [end:temperature_plot]

# --8<-- [start:cut]
cuts = {
    "top-k 5": weigh.top_k(logits, 5),
    "top-p 0.7": weigh.top_p(logits, 0.7),
    "min-p 0.05": weigh.min_p(logits, 0.05),
    "typical 0.3": weigh.typical_p(logits, 0.3),
}
for name, cut in cuts.items():
    mass = before[cut.kept].sum()
    print(f"{name:12} keeps {len(cut.kept):3} tokens with {mass:.1%}")
# --8<-- [end:cut]

# --8<-- [start:cut_claims]
assert len(cuts["top-k 5"].kept) == 5
nucleus = cuts["top-p 0.7"].kept
assert before[nucleus].sum() >= 0.7 > before[nucleus[:-1]].sum(), "the fewest tokens that reach p"
assert before[cuts["min-p 0.05"].kept].min() >= 0.05 * before[best], "none below a twentieth of the best"
assert best not in cuts["typical 0.3"].kept, "typical sampling can leave out the best token"
cut_words = "Before and after, in four panels. " + " ".join(
    f"{name} keeps {len(cut.kept)} tokens, and the first gets {cut.probabilities[best]:.0%}."
    for name, cut in cuts.items()
)
# --8<-- [end:cut_claims]

# --8<-- [start:cut_plot]
fig, axes = plt.subplots(2, 2, sharey=True, sharex=True, figsize=(7, 6.6))
for ax, (name, cut) in zip(axes.flat, cuts.items(), strict=True):
    bars(ax, cut, name)
axes[0, 0].legend(loc="center right")
for ax in axes[1]:
    ax.set_xlabel("probability")
fig
# --8<-- [end:cut_plot]

# --8<-- [start:adapt]
PROMPTS = {"sure": "ACT II.\n\nSCENE", "middling": "O, my", "unsure": "The king is"}
positions = {name: logits_after(text) for name, text in PROMPTS.items()}
SETTINGS = [("top_k", 50), ("top_p", 0.9), ("min_p", 0.05), ("typical_p", 0.9)]
kept = {
    (setting, name): getattr(weigh, setting)(position, value)
    for setting, value in SETTINGS
    for name, position in positions.items()
}
# --8<-- [end:adapt]

# --8<-- [start:adapt_table]
heads = [f"After “{text}” | Mass" for text in (t.replace("\n\n", " / ") for t in PROMPTS.values())]
print("| Setting |", " | ".join(heads), "|\n| --- |" + " ---: | ---: |" * len(heads))
for setting, value in SETTINGS:
    cells = []
    for name in positions:
        choice = kept[setting, name]
        cells.append(f"{len(choice.kept):,} | {choice.probabilities_before[choice.kept].sum():.1%}")
    print(f"| `{setting}` {value} |", " | ".join(cells), "|")
assert {len(kept["top_k", name].kept) for name in positions} == {50}, "top-k keeps k, sure or not"
sizes = {setting: [len(kept[setting, name].kept) for name in positions] for setting, _ in SETTINGS}
for setting in ("top_p", "min_p", "typical_p"):
    assert sizes[setting][0] < sizes[setting][1] < sizes[setting][2], "the others keep more when the model is unsure"
# --8<-- [end:adapt_table]

# --8<-- [start:order]
settings = {"temperature": 1.5, "top_p": 0.9}
in_order = {}
for engine, order in weigh.SAMPLER_ORDERS.items():
    ordered = {name: settings[name] for name in order if name in settings}
    chain = weigh.filter_logits(logits, ordered)
    in_order[engine] = chain
    print(f"{engine:13} {chain.name:20} keeps {len(chain.kept):4}")
# --8<-- [end:order]

# --8<-- [start:order_claims]
first, last = in_order["transformers"], in_order["llama.cpp"]
assert len(first.kept) > len(last.kept), "a high temperature before top-p lets in more"
assert set(last.kept.tolist()) < set(first.kept.tolist())
degrees = [0.25 + step / 20 for step in range(36)]
hot_first = [len(weigh.filter_logits(logits, {"temperature": t, "top_p": 0.9}).kept) for t in degrees]
hot_last = [len(weigh.filter_logits(logits, {"top_p": 0.9, "temperature": t}).kept) for t in degrees]
assert len(set(hot_last)) == 1, "top-p first never sees the temperature"
assert hot_first == sorted(hot_first)
assert hot_first[0] < hot_last[0] < hot_first[-1], "below 1 the difference goes the other way"
order_words = (
    f"Tokens that top-p 0.9 keeps, by temperature. With the temperature first the number rises from {hot_first[0]} to "
    f"{hot_first[-1]:,}; with top-p first it is {hot_last[0]} throughout. The lines cross at temperature 1."
)
# --8<-- [end:order_claims]

# --8<-- [start:order_plot]
fig, ax = plt.subplots(figsize=(6.4, 3))
ax.plot(degrees, hot_first, label="temperature, then top-p")
ax.plot(degrees, hot_last, label="top-p, then temperature")
ax.set(yscale="log", xlabel="temperature", ylabel="tokens kept")
ax.yaxis.set_major_formatter("{x:,.0f}")
ax.legend()
fig
# --8<-- [end:order_plot]

# --8<-- [start:penalise]
prompt = words.encode("HAMLET.\n").ids
written = words.encode("My lord, my lord, my").ids
so_far = prompt + written
with torch.no_grad():
    again = next_logits(torch.tensor(so_far))

penalties = {
    "repetition 1.3": weigh.repetition_penalty(again, so_far, 1.3),
    "frequency 1": weigh.frequency_penalty(again, written, 1),
    "presence 1": weigh.presence_penalty(again, written, 1),
    "no repeated 3-gram": weigh.no_repeat_ngram(again, so_far, 3),
}
# --8<-- [end:penalise]

# --8<-- [start:penalty_claims]
lord = words.encode(" lord").ids[0]
chance = {name: float(choice.probabilities[lord]) for name, choice in penalties.items()}
was = float(again.softmax(-1)[lord])
assert so_far.count(lord) == 2
assert chance["frequency 1"] < chance["presence 1"] < was, "frequency counts, presence does not"
assert chance["no repeated 3-gram"] == 0 and penalties["no repeated 3-gram"].removed.tolist() == [lord]
assert chance["repetition 1.3"] < was
penalty_words = f"Before and after, in four panels. The token lord has {was:.0%} before. " + " ".join(
    f"{name}: {after:.0%}." for name, after in chance.items()
)
# --8<-- [end:penalty_claims]

# --8<-- [start:penalty_plot]
fig, axes = plt.subplots(2, 2, sharey=True, sharex=True, figsize=(7, 6.6))
for ax, (name, choice) in zip(axes.flat, penalties.items(), strict=True):
    bars(ax, choice, name, seen=so_far)
axes[0, 0].legend(loc="center right")
for ax in axes[1]:
    ax.set_xlabel("probability")
fig
# --8<-- [end:penalty_plot]

# --8<-- [start:texts]
TRIED = {
    "greedy": None,
    "as it is": {},
    "temperature 0.5": {"temperature": 0.5},
    "temperature 1.5": {"temperature": 1.5},
    "top-k 20": {"top_k": 20},
    "top-p 0.7": {"top_p": 0.7},
    "min-p 0.1": {"min_p": 0.1},
    "typical 0.7": {"typical_p": 0.7},
    "temperature 1.5, top-p 0.7": {"temperature": 1.5, "top_p": 0.7},
    "top-p 0.7, temperature 1.5": {"top_p": 0.7, "temperature": 1.5},
    "frequency penalty 1": {"frequency_penalty": 1},
}
texts = {}
for name, tried in TRIED.items():
    seed = None if tried is None else 3  # without a seed: greedy
    found = weigh.generate(
        next_logits, words.encode("O, my").ids, tried or {},
        max_tokens=32, seed=seed, decode=words.decode,
    )  # fmt: skip
    texts[name] = found.text
# --8<-- [end:texts]

# --8<-- [start:text_table]
import html

print("| Setting | Text |\n| --- | --- |")
for name, found in texts.items():
    lines = " / ".join(line for line in found.split("\n") if line.strip())
    shown = html.escape("O, my" + lines).translate({ord(sign): f"&#{ord(sign)};" for sign in "[]*_|`"})
    print(f"| {name} | {shown} |")
# --8<-- [end:text_table]

# --8<-- [start:text_claims]
assert texts["temperature 1.5, top-p 0.7"] != texts["top-p 0.7, temperature 1.5"], "the order changes the text"
assert texts["frequency penalty 1"] == texts["as it is"], "here the frequency penalty decides no draw"
# --8<-- [end:text_claims]

# --8<-- [start:sign]
token = min(set(so_far), key=lambda token: again[token])
seen = torch.tensor(sorted(set(so_far)))
naive = again.clone()
naive[seen] = again[seen] / 1.3

right = penalties["repetition 1.3"].logits
print("token:              ", repr(words.decode([token])))
print(f"logit:               {again[token]:6.2f}")
print(f"divided by 1.3:      {naive[token]:6.2f}  more probable")
print(f"by the sign's rule:  {right[token]:6.2f}  less probable")
# --8<-- [end:sign]

# --8<-- [start:sign_claims]
assert right[token] < again[token] < naive[token] < 0, "to divide a negative logit raises it"
# --8<-- [end:sign_claims]

# --8<-- [start:shift]
shifted = {}
for shift in (-10, 0, 10):
    moved = again + shift
    divided = weigh.repetition_penalty(moved, so_far, 1.3).probabilities
    counted = weigh.frequency_penalty(moved, written, 1).probabilities
    row = [float(p[lord]) for p in (moved.softmax(-1), divided, counted)]
    print(f"logits {shift:+3}:", *(f"{chance:7.2%}" for chance in row))
    shifted[shift] = row
# --8<-- [end:shift]

# --8<-- [start:shift_claims]
for plain, _, counted in shifted.values():
    assert abs(plain - shifted[0][0]) < 1e-5, "a shift changes no probability"
    assert abs(counted - shifted[0][2]) < 1e-5, "nor what the frequency penalty does"
assert shifted[10][1] < shifted[0][1] / 2, "it changes what the repetition penalty does"
# --8<-- [end:shift_claims]

# --8<-- [start:own]
config = {"temperature": 0.7, "top_k": 50, "top_p": 0.9}  # yours
chain = weigh.filter_logits(logits, config)
for step in chain.steps:
    print(f"{step.name:12} {step.parameter:4}  keeps {len(step.kept):,}")
# --8<-- [end:own]

# --8<-- [start:ties]
from pathlib import Path

exact = Quill.read("models/quill").double()
play = words.encode(Path("models/quill/held-out.txt").read_text("utf-8")).ids
with torch.no_grad():
    scores = exact(torch.tensor(play[:2048]).view(-1, 128))[0].flatten(0, 1)
top_two = {dtype: scores.to(dtype).topk(2).values for dtype in (torch.bfloat16, torch.float64)}
tied = {dtype: (two[:, 0] == two[:, 1]).nonzero().flatten() for dtype, two in top_two.items()}

both = weigh.top_k(scores[tied[torch.bfloat16][0]].bfloat16().float(), 1).kept
assert len(both) == 2, "top-k of 1 keeps both of two that are equal"
assert not len(tied[torch.float64]), "the rounding alone made them equal"
# --8<-- [end:ties]

# --8<-- [start:problems]
toy = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
toy_p = len(weigh.top_p(toy, 0.75).kept)
toy_min = len(weigh.min_p(toy, 0.2).kept)
toy_hot = weigh.temperature(toy, 2).probabilities
toy_hot_p = len(weigh.filter_logits(toy, {"temperature": 2, "top_p": 0.75}).kept)
assert (toy_p, toy_min, toy_hot_p) == (2, 3, 3)
pair = torch.tensor([2.0, 1.0])
pair_after = weigh.repetition_penalty(pair, [0], 2.0).probabilities
assert pair_after.tolist() == [0.5, 0.5]
# --8<-- [end:problems]
