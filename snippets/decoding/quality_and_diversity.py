"""The program of "Quality and diversity": what decoding settings gain and lose, on Quill and a play it has not read."""

# --8<-- [start:model]
import torch

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
model = Quill.read("models/quill").double()  # near ties then fall the same way everywhere
words = tokenizer.read("models/quill")


class Remembering:
    """The model for `generate` and `beam_search`, with a KV cache."""

    def __init__(self):
        self.caches = {}

    def __call__(self, ids):
        past = self.caches.get(tuple(ids[:-1].tolist()))
        logits, cache = model(ids[None, -1:] if past else ids[None], past)
        for text in list(self.caches):
            if len(text) not in (len(ids) - 1, len(ids)):
                del self.caches[text]  # of a step before the last
        self.caches[tuple(ids.tolist())] = cache
        return logits[0, -1]


next_logits = Remembering()


@torch.no_grad()
def written(prompt, wanted, max_tokens=64):
    """Texts after a prompt, all in one batch: for each settings and seed, what `weigh.generate` writes."""
    texts = [list(prompt) for _ in wanted]
    draws = [seed if seed is None else torch.Generator().manual_seed(seed) for _, seed in wanted]
    new, cache = torch.tensor(texts), None
    for _ in range(max_tokens):
        logits, cache = model(new, cache)
        for text, (settings, _), draw, row in zip(texts, wanted, draws, logits[:, -1], strict=True):
            left = weigh.filter_logits(row, settings, text, len(prompt)).logits
            text.append(int(left.argmax()) if draw is None else weigh.sample(left, draw))
        new = torch.tensor(texts)[:, -1:]
    return [text[len(prompt) :] for text in texts]


# --8<-- [end:model]


# --8<-- [start:measures]
def distinct(texts, n=2):
    """Of all n-grams of these texts, the share of different ones."""
    starts = [(text, i) for text in texts for i in range(len(text) - n + 1)]
    grams = [tuple(text[i : i + n]) for text, i in starts]
    return len(set(grams)) / len(grams)


def repeated(text, n=4):
    """The share of a text's n-grams that it has had before."""
    return 1 - distinct([text], n)


@torch.no_grad()
def losses(prompt, texts):
    """Nats per token of each of some texts of one length after a prompt, with no setting at all."""
    logits = model(torch.tensor([[*prompt, *text] for text in texts]))[0][:, len(prompt) - 1 : -1]
    tokens = torch.tensor(texts)
    return torch.nn.functional.cross_entropy(logits.mT, tokens, reduction="none").mean(1).tolist()


# --8<-- [end:measures]

# --8<-- [start:macbeth]
from pathlib import Path

play = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
ids = torch.tensor(words.encode(play).ids)
LENGTH, TEXTS = 64, 4
stretches = [ids[start : start + LENGTH].tolist() for start in range(2000, 10_000, 2000)]
assert len(stretches) == TEXTS

CONTEXT = model.config.max_position_embeddings
JUDGED = 4096
rows = []
with torch.no_grad():
    for start in range(0, JUDGED, CONTEXT // 2):
        begin = max(0, start - CONTEXT // 2)
        window = ids[begin : start + CONTEXT // 2]
        rows.append(model(window[None])[0][0, start - begin :])
logits = torch.cat(rows)  # (4096, V): what Quill expects at each place
actual = ids[1 : JUDGED + 1]  # and what Shakespeare wrote
plain_loss = float(torch.nn.functional.cross_entropy(logits, actual))
# --8<-- [end:macbeth]

# --8<-- [start:sweep]
prompt = words.encode("MACBETH.\n").ids
TEMPERATURES = [0.25, 0.5, 0.75, 1.0, 1.5]
tried = [(top_p, t) for top_p in (1.0, 0.9, 0.7) for t in TEMPERATURES]
wanted = [
    ({"temperature": t, "top_p": top_p}, seed)
    for top_p, t in tried for seed in range(TEXTS)
]  # fmt: skip
every = written(prompt, wanted, LENGTH)
sweep = {}
for one, settings in enumerate(tried):
    texts = every[one * TEXTS :][:TEXTS]
    sweep[settings] = distinct(texts), sum(losses(prompt, texts)) / TEXTS
# --8<-- [end:sweep]

# --8<-- [start:sweep_claims]
from math import exp

alone = weigh.generate(next_logits, prompt, {"temperature": 0.25, "top_p": 1.0}, max_tokens=LENGTH, seed=0)
assert list(alone.tokens) == every[0], "a text is the same in a batch"
human = distinct(stretches), plain_loss
for top_p in (1.0, 0.9, 0.7):
    assert sweep[top_p, 0.25][0] < sweep[top_p, 1.0][0], "a low temperature costs diversity"
    assert sweep[top_p, 0.25][1] < sweep[top_p, 1.0][1], "and makes the text more probable"
    assert sweep[top_p, 0.25][1] < plain_loss, "than Shakespeare's"
assert sweep[0.7, 1.5][1] < sweep[1.0, 1.5][1], "top-p holds a high temperature down"
assert sweep[1.0, 1.5][1] > plain_loss, "hot and uncut text is less probable than Shakespeare's"
low, high = sweep[1.0, 0.25], sweep[1.0, 1.5]
sweep_words = (
    "Two panels against temperature, with lines for top-p 1, 0.9 and 0.7 and one for Macbeth. Distinct pairs rise "
    f"from {low[0]:.0%} at temperature 0.25 to {high[0]:.0%} at 1.5 without top-p; Macbeth has {human[0]:.0%}. The "
    f"perplexity rises from {exp(low[1]):.1f} to {exp(high[1]):,.0f}; Macbeth has {exp(human[1]):.0f}."
)
# --8<-- [end:sweep_claims]

# --8<-- [start:sweep_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
for top_p in (1.0, 0.9, 0.7):
    name = "no top-p" if top_p == 1 else f"top-p {top_p}"
    axes[0].plot(TEMPERATURES, [sweep[top_p, t][0] for t in TEMPERATURES], label=name)
    axes[1].plot(TEMPERATURES, [exp(sweep[top_p, t][1]) for t in TEMPERATURES], label=name)
axes[0].axhline(human[0], color="C5", linewidth=1, label="Macbeth")
axes[1].axhline(exp(human[1]), color="C5", linewidth=1, label="Macbeth")
axes[0].set(xlabel="temperature", title="distinct pairs of tokens")
axes[1].set(xlabel="temperature", title="perplexity of the text", yscale="log")
axes[1].yaxis.set_major_formatter("{x:,.0f}")
axes[0].legend(fontsize=9)
fig
# --8<-- [end:sweep_plot]

# --8<-- [start:cut]
probabilities = logits.softmax(-1)
given = probabilities.gather(1, actual[:, None])
above = (probabilities * (probabilities > given)).sum(1)


def cut_by_top_p(p):
    """Where more probable tokens have reached p before the actual one."""
    return above >= p


share = float(cut_by_top_p(0.9).float().mean())
print(f"top-p 0.9 cuts off {share:.1%} of the play")
# --8<-- [end:cut]

# --8<-- [start:cut_claims]
for place in range(0, JUDGED, 64):
    library = weigh.top_p(logits[place], 0.9).logits[actual[place]].isfinite()
    assert bool(library) != bool(cut_by_top_p(0.9)[place]), "as the library has it"
share_cut = share
assert share_cut > 0.02, "top-p forbids a part of what Shakespeare wrote"
# --8<-- [end:cut_claims]

# --8<-- [start:held_out_table]
ranks = (probabilities > given).sum(1)
best = probabilities.max(-1, keepdim=True).values
cut_off = {
    "top-k 50": ranks >= 50,
    "top-p 0.95": cut_by_top_p(0.95),
    "top-p 0.9": cut_by_top_p(0.9),
    "top-p 0.7": cut_by_top_p(0.7),
    "min-p 0.05": (given < 0.05 * best).flatten(),
}
by_temperature = {
    t: float(torch.nn.functional.cross_entropy(logits / t, actual)) for t in [0.5 + step / 20 for step in range(21)]
}
print("| Setting | Tokens of the play it forbids | Perplexity of the play |\n| --- | ---: | ---: |")
for t in (0.5, 0.8, 1.0, 1.2, 1.5):
    print(f"| temperature {t} | 0 | {exp(by_temperature[t]):.1f} |")
for name, cut in cut_off.items():
    print(f"| {name} | {int(cut.sum()):,} ({cut.float().mean():.1%}) | ∞ |")
coolest = min(by_temperature, key=by_temperature.get)
assert coolest > 1 and share > 0.1, "on a new play the model is surer than it should be"
assert all(cut.any() for cut in cut_off.values()), "each of them forbids something"
# --8<-- [end:held_out_table]

# --8<-- [start:held_out_words]
masses = [0.5 + step / 50 for step in range(25)] + [0.99]
shares = [float(cut_by_top_p(p).float().mean()) for p in masses]
held_out_words = (
    f"Left: the perplexity of Macbeth by temperature, lowest at {coolest:.2f}, {exp(by_temperature[coolest]):.1f}. "
    f"Right: the share of Macbeth's tokens that top-p forbids, from {shares[0]:.0%} at 0.5 to {shares[-1]:.1%} at "
    "0.99, beside 1 − p."
)
# --8<-- [end:held_out_words]

# --8<-- [start:held_out_plot]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.2))
axes[0].plot(list(by_temperature), [exp(value) for value in by_temperature.values()])
axes[0].plot([coolest], [exp(by_temperature[coolest])], "o", color="C0")
axes[0].set(xlabel="temperature", title="perplexity of Macbeth")
axes[1].plot(masses, shares, label="forbidden")
axes[1].plot(masses, [1 - p for p in masses], label="1 − p")
axes[1].set(xlabel="top-p", title="share of Macbeth's tokens")
axes[1].yaxis.set_major_formatter("{x:.0%}")
axes[1].legend()
fig
# --8<-- [end:held_out_plot]

# --8<-- [start:repetition]
NAMES = ("MACBETH", "HAMLET", "ROMEO", "PORTIA", "KING LEAR")
PROMPTS = [words.encode(f"{name}.\n").ids for name in NAMES]


def searched(ids, beams):
    best, *_ = weigh.beam_search(next_logits, ids, beams=beams, max_tokens=LENGTH)
    return list(best.tokens)


DECODING = {
    "greedy": ({}, None),
    "sampling": ({}, 1),
    "sampling, temperature 0.5": ({"temperature": 0.5}, 1),
    "sampling, top-p 0.9": ({"top_p": 0.9}, 1),
    "greedy, repetition penalty 1.2": ({"repetition_penalty": 1.2}, None),
    "greedy, no repeated 4-gram": ({"no_repeat_ngram_size": 4}, None),
}
methods = {f"beam search, {beams}": [searched(ids, beams) for ids in PROMPTS] for beams in (4, 2)}
by_prompt = [written(ids, list(DECODING.values()), LENGTH) for ids in PROMPTS]
methods |= {name: list(texts) for name, texts in zip(DECODING, zip(*by_prompt, strict=True), strict=True)}
# --8<-- [end:repetition]

# --8<-- [start:repetition_table]
found = {
    name: (
        sum(map(repeated, texts)) / len(texts),
        -sum(losses(start, [text])[0] for start, text in zip(PROMPTS, texts, strict=True)) / len(texts),
    )
    for name, texts in methods.items()
}
print("| Method | 4-grams that repeat | Log-probability per token |\n| --- | ---: | ---: |")
for name, (share, mean) in found.items():
    print(f"| {name} | {share:.1%} | {mean:.2f} |")
same = sum(map(repeated, stretches)) / TEXTS
print(f"| *Macbeth* | {same:.1%} | {-plain_loss:.2f} |")
# --8<-- [end:repetition_table]

# --8<-- [start:repetition_claims]
for name in ("greedy", "beam search, 2", "beam search, 4"):
    assert found[name][0] > found["sampling"][0], "what looks for the most probable text repeats itself"
    assert found[name][1] > found["sampling"][1] and found[name][1] > -plain_loss
assert found["beam search, 4"][1] > found["greedy"][1], "beam search finds more probable text"
assert found["greedy, no repeated 4-gram"][0] == 0
assert found["beam search, 4"][0] < found["greedy"][0], "beam search repeats less than greedy, here"
loops = {
    name: max(zip(PROMPTS, methods[name], strict=True), key=lambda pair: repeated(pair[1]))
    for name in ("greedy", "beam search, 4")
}
start, looped = loops["greedy"]
half = LENGTH // 2
halves = losses(start, [looped[:half]]) + losses([*start, *looped[:half]], [looped[half:]])
assert halves[1] < halves[0], "a text that loops becomes more probable as it goes on"
# --8<-- [end:repetition_claims]

# --8<-- [start:loop]
import textwrap

for name, (start, text) in loops.items():
    lines = [line for line in words.decode([*start, *text]).split("\n") if line]
    print(textwrap.fill(f"{name.upper()}: " + " / ".join(lines), 64))
# --8<-- [end:loop]

# --8<-- [start:stops]
for stop, most in (("\n\n", 200), ((), 12)):
    one = weigh.generate(
        next_logits, prompt, {"temperature": 0.8}, seed=6,
        max_tokens=most, stop=stop, eos={0}, decode=words.decode,
    )  # fmt: skip
    end = repr(one.text[-26:])
    print(f"{one.reason} after {len(one.tokens)} tokens: {end}")
# --8<-- [end:stops]

# --8<-- [start:speculate]
draft = Quill.read("models/quill-draft").double()


def target_all(ids):
    return model(ids[None])[0][0]


def draft_next(ids):
    return draft(ids[None])[0][0, -1]


def speculated(drafted, seed):
    return weigh.speculate(
        target_all, draft_next, prompt,
        drafted=drafted, max_tokens=60, seed=seed,
    )  # fmt: skip


passes = {n: [speculated(n, seed) for seed in (1, 2)] for n in (1, 2, 4, 8)}
# --8<-- [end:speculate]

# --8<-- [start:speculate_table]
print("| Drafted | Accepted of those judged | Target passes for 120 tokens | Tokens per pass | By the formula |")
print("| ---: | ---: | ---: | ---: | ---: |")
print(f"| none | | {120} | 1.00 | |")
made = {}
for drafted, runs in passes.items():
    every = [one for run in runs for one in run.passes]
    rate = sum(one.accepted for one in every) / sum(one.judged for one in every)
    made[drafted] = len(every), sum(one.accepted + 1 for one in every) / len(every), rate
    expected = weigh.expected_tokens(rate, drafted)
    print(f"| {drafted} | {rate:.0%} | {len(every)} | {made[drafted][1]:.2f} | {expected:.2f} |")
# --8<-- [end:speculate_table]

# --8<-- [start:same]
with torch.no_grad():
    p = target_all(ids[:CONTEXT]).softmax(-1)
    q = draft(ids[None, :CONTEXT])[0][0].softmax(-1)
worst = 0.0
for place in range(CONTEXT):
    accepted = torch.minimum(p[place], q[place])
    refused = 1 - weigh.acceptance_probability(p[place], q[place])
    redrawn = weigh.residual_distribution(p[place], q[place])
    drawn = accepted + refused * redrawn
    worst = max(worst, float((drawn - p[place]).abs().max()))
assert worst < 1e-5
print(f"{CONTEXT} places, {p.numel():,} probabilities: all equal to 5 digits")
# --8<-- [end:same]

# --8<-- [start:same_claims]
greedy_text = weigh.generate(next_logits, prompt, max_tokens=40).tokens
assert weigh.speculate(target_all, draft_next, prompt, max_tokens=40).tokens == greedy_text, "greedy text is the same"
assert all(1 <= made[drafted][1] <= drafted + 1 for drafted in made)

from time import perf_counter


def took(work, *given, **limits):
    start = perf_counter()
    work(*given, **limits)
    return perf_counter() - start


def target_next(ids):
    return target_all(ids)[-1]


with_draft, without_draft = [], []
for seed in (1, 2, 3):
    limits = {"max_tokens": 40, "seed": seed}
    with_draft.append(took(weigh.speculate, target_all, draft_next, prompt, drafted=4, **limits))
    without_draft.append(took(weigh.generate, target_next, prompt, **limits))
slower = sum(with_draft) / sum(without_draft)
# --8<-- [end:same_claims]


# --8<-- [start:seed]
def served(requests, seed):
    """Copies of one request in a batch; one generator draws for all."""
    generator = torch.Generator().manual_seed(seed)
    texts = torch.tensor([prompt] * requests)
    with torch.no_grad():
        for _ in range(12):
            chances = model(texts)[0][:, -1].softmax(-1)
            tokens = chances.multinomial(1, generator=generator)
            texts = torch.cat((texts, tokens), dim=1)
    return [words.decode(text[len(prompt) :]) for text in texts.tolist()]


print("alone:        ", repr(served(1, seed=1)[0]))
print("alone, again: ", repr(served(1, seed=1)[0]))
print("second of two:", repr(served(2, seed=1)[1]))
# --8<-- [end:seed]

# --8<-- [start:seed_claims]
assert served(1, seed=1) == served(1, seed=1), "the same seed gives the same text"
assert served(1, seed=1)[0] != served(2, seed=1)[1], "unless the request has company"
# --8<-- [end:seed_claims]

# --8<-- [start:commas]
marks = {words.token_to_id(mark) for mark in ",.;:!?"}


def punctuation(settings):
    """The marks among the last 60 tokens of 180, over four texts."""
    texts = written(prompt, [(settings, seed) for seed in range(4)], 180)
    return sum(token in marks for text in texts for token in text[120:])


without = punctuation({})
with_penalty = punctuation({"frequency_penalty": 2})
print("marks without a penalty: ", without)
print("with frequency penalty 2:", with_penalty)
# --8<-- [end:commas]

# --8<-- [start:comma_claims]
assert with_penalty < 0.75 * without, "a frequency penalty takes the punctuation away"
# --8<-- [end:comma_claims]

# --8<-- [start:own]
lines = [" to bed, to bed, to bed", " to bed, to rise"]
texts = [words.encode(line).ids for line in lines]
print(f"distinct pairs: {distinct(texts):.0%}")
print(f"repeated pairs in the first: {repeated(texts[0], 2):.0%}")
# --8<-- [end:own]

# --8<-- [start:problems]
looping = repeated([1, 2, 3, 4] * 5)
assert round(looping, 4) == round(13 / 17, 4)
five = weigh.expected_tokens(0.8, 4)
chance_clean = 0.9**20
# --8<-- [end:problems]
