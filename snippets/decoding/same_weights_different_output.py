"""The program of "Same weights, different output": one file of weights, and what else decides its text."""

# --8<-- [start:load]
import hashlib
import json
from pathlib import Path

import torch

from quill import tokenizer
from quill.model import Quill
from weigh.decoding.generation import generate

torch.set_num_threads(1)
HOME = Path("models/quill")
PROMPT = "MACBETH.\nIs this a dagger which I see"
N = 64  # tokens a text
bpe, model = tokenizer.read(HOME), Quill.read(HOME)
# --8<-- [end:load]


# --8<-- [start:run]
def alone(ids, model=model):
    """The logits of the next token, of a text computed by itself."""
    return model(ids[None])[0][0, -1]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


runs, digests = {}, set()


def run(what, logits=alone, prompt=PROMPT, **decoding):
    ids = bpe.encode(prompt).ids
    runs[what] = generate(logits, ids, max_tokens=N, trace=True, **decoding)
    digests.add(digest(HOME / "model.safetensors"))


run("nothing")
print(PROMPT + bpe.decode(runs["nothing"].tokens))
# --8<-- [end:run]

# --8<-- [start:decoding]
config = json.loads((HOME / "generation_config.json").read_text())
sampled = {name: config[name] for name in ("temperature", "top_p")}

run("decoding: sampled, seed 0", settings=sampled, seed=0)
run("decoding: sampled, seed 1", settings=sampled, seed=1)
# --8<-- [end:decoding]

# --8<-- [start:decoding_claims]
first_of_seed_0 = runs["decoding: sampled, seed 0"].tokens
run("decoding: sampled, seed 0", settings=sampled, seed=0)
assert runs["decoding: sampled, seed 0"].tokens == first_of_seed_0, "the same seed draws the same text"
# --8<-- [end:decoding_claims]

# --8<-- [start:int8]
rounded = Quill.read(HOME)
for weight in rounded.parameters():
    if weight.dim() == 2:
        scale = weight.data.abs().amax(1, keepdim=True) / 127
        stored = (weight.data / scale).round().to(torch.int8)
        weight.data = stored * scale  # float32 again, to compute with

run("precision: int8 weights", lambda ids: alone(ids, rounded))
# --8<-- [end:int8]


# --8<-- [start:bfloat16]
def bfloat16(ids):
    with torch.autocast("cpu", torch.bfloat16):
        return alone(ids).float()


run("precision: bfloat16", bfloat16)
# --8<-- [end:bfloat16]

# --8<-- [start:openings]
play = torch.tensor(bpe.encode((HOME / "held-out.txt").read_text()).ids)
openings = play[1000:].unfold(0, 16, 2000)  # 16 tokens of every 2,000
ids, cache, logits = openings, None, []
with torch.no_grad():
    for _ in range(N):
        found, cache = model(ids[:, -1:] if cache else ids, cache)
        logits.append(found[:, -1])
        ids = torch.cat([ids, logits[-1].argmax(-1, keepdim=True)], 1)
    exact = torch.stack(logits, 1)  # (texts, N, V)
    nearby = {"int8 weights": rounded(ids[:, :-1])[0][:, -N:]}
    with torch.autocast("cpu", torch.bfloat16):
        nearby["bfloat16"] = model(ids[:, :-1])[0][:, -N:].float()
# --8<-- [end:openings]

# --8<-- [start:margins]
best, second = exact.topk(2).values.unbind(-1)
gap = best - second
flips, moved = {}, {}
print("| Precision | Largest Δ logit, median | Steps changed | Texts changed | Largest gap where one changed |")
print("| --- | ---: | ---: | ---: | ---: |")
for name, other in nearby.items():
    moved[name] = (other - exact).abs().amax(-1)
    flips[name] = flipped = other.argmax(-1) != exact.argmax(-1)
    widest = f"{gap[flipped].max():.3f}" if flipped.any() else "none"
    print(f"| {name} | {moved[name].median():.3f} | {int(flipped.sum())} of {gap.numel():,} ", end="")
    print(f"| {int(flipped.any(1).sum())} of {len(gap)} | {widest} |")
    assert (gap <= 2 * moved[name])[flipped].all(), "a token changes only where the gap is at most twice the error"
# --8<-- [end:margins]

# --8<-- [start:first]
print("| Precision | Text | Step | Token in float32 | Now | Gap | Largest Δ logit |")
print("| --- | ---: | ---: | --- | --- | ---: | ---: |")
for name, flipped in flips.items():
    for text, step in flipped.nonzero()[:1].tolist():
        tokens = (bpe.decode([int(one[text, step].argmax())]) for one in (exact, nearby[name]))
        was, now = (f"`{token!r}`" for token in tokens)
        sizes = f"{gap[text, step]:.3f} | {moved[name][text, step]:.3f}"
        print(f"| {name} | {text + 1} | {step + 1} | {was} | {now} | {sizes} |")
# --8<-- [end:first]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

gaps = gap.flatten().sort().values
share = torch.arange(1, len(gaps) + 1) / len(gaps) * 100
fig, ax = plt.subplots()
ax.plot(gaps[::8], share[::8], label="steps with a smaller gap")
for name, marker in zip(nearby, "o^", strict=True):
    where = gap[flips[name]]
    ax.plot(where, torch.searchsorted(gaps, where) / len(gaps) * 100, marker, label=f"{name} changed the token")
ax.axvline(2 * float(moved["int8 weights"].max()), linestyle=":", color="C3", label="2 × largest Δ logit of int8")
ax.set(xscale="log", xlabel="gap between the two best logits", ylabel="% of steps")
ax.legend()
fig
# --8<-- [end:plot]

# --8<-- [start:prompts]
prompts = {
    "prompt: a space at the end": PROMPT + " ",
    "prompt: a newline at the end": PROMPT + "\n",
    "prompt: another case": PROMPT.replace("Is this", "is this"),
}
print("as it was", *bpe.encode(PROMPT).ids)
for what, prompt in prompts.items():
    print(what.removeprefix("prompt: "), *bpe.encode(prompt).ids)
    run(what, prompt=prompt)
# --8<-- [end:prompts]

# --8<-- [start:adapter]
from quill import adapter

adapted = adapter.read(Quill.read(HOME), "models/quill-milton")

run("adapter: Milton", lambda ids: alone(ids, adapted))
# --8<-- [end:adapter]

# --8<-- [start:lines]
from quill.evaluation import mean_loss

LINES = {
    "Milton": """Queller of Satan!  On thy glorious work
Now enter, and begin to save Mankind."
Thus they the Son of God, our Saviour meek,
Sung victor, and, from heavenly feast refreshed,
Brought on his way with joy.  He, unobserved,
Home to his mother's house private returned.
""",
    "Shakespeare": """Is this a dagger which I see before me,
The handle toward my hand? Come, let me clutch thee:--
I have thee not, and yet I see thee still.
Art thou not, fatal vision, sensible
To feeling as to sight? or art thou but
A dagger of the mind, a false creation,
""",
}
# --8<-- [end:lines]

# --8<-- [start:perplexity]
print("| Lines | Perplexity, adapter off | On |\n| --- | ---: | ---: |")
perplexity = {}
for author, lines in LINES.items():
    ids = torch.tensor(bpe.encode(lines).ids)
    off, on = (float(torch.tensor(mean_loss(one, ids)).exp()) for one in (model, adapted))
    perplexity[author] = off, on
    print(f"| {author} | {off:.1f} | {on:.1f} |")
# --8<-- [end:perplexity]

# --8<-- [start:adapter_claims]
assert LINES["Shakespeare"] in (HOME / "held-out.txt").read_text(), "the lines are of the play that was held out"
assert perplexity["Milton"][1] < perplexity["Milton"][0], "with its adapter the model knows Milton better"
assert perplexity["Shakespeare"][1] > perplexity["Shakespeare"][0], "and Shakespeare worse"
for part in adapted.modules():
    if isinstance(part, adapter.Adapted):
        part.scale = 0.0
ids = torch.tensor(bpe.encode(PROMPT).ids)
assert torch.equal(alone(ids, adapted), alone(ids)), "off, the adapter changes nothing"
# --8<-- [end:adapter_claims]

# --8<-- [start:batch]
from torch.nn.utils.rnn import pad_sequence

others = list(openings[:3].repeat(1, 3))  # three more texts, of 48 tokens


def batched(ids):
    batch = pad_sequence([ids, *others], batch_first=True)  # 0 on the right
    return model(batch)[0][0, len(ids) - 1]


def batched_bfloat16(ids):
    with torch.autocast("cpu", torch.bfloat16):
        return batched(ids).float()


run("batch: with three others", batched)
run("batch: the same, all in bfloat16", batched_bfloat16)
pad = torch.nn.functional.pad
run("batch: 0 on the left", lambda ids: alone(pad(ids, (8, 0))))
# --8<-- [end:batch]


# --8<-- [start:cache]
def keeping():
    past = []

    def logits(ids):
        new = ids[past[0][0].shape[2] if past else 0 :]
        found, past[:] = model(new[None], past)
        return found[0, -1]

    return logits


run("KV cache: kept", keeping())
# --8<-- [end:cache]


# --8<-- [start:compare]
def compare(what):
    """The place of the first different token, how many differ, and the largest Δ logit while the texts agree."""
    one, other = runs["precision: bfloat16" if "all in bfloat16" in what else "nothing"], runs[what]
    same = [a == b for a, b in zip(one.tokens, other.tokens, strict=True)]
    first = same.index(False) if False in same else N
    steps = list(zip(one.steps, other.steps, strict=True))[: first + 1]
    return first, same.count(False), max(float((a.before - b.before).abs().max()) for a, b in steps)


changed = {what: compare(what) for what in runs if what != "nothing"}
assert len(digests) == 1, "all runs have read the same file of weights"
assert all(changed[f"decoding: sampled, seed {seed}"][2] == 0 for seed in (0, 1)), "decoding changes no logit"
noise = [changed[what] for what in ("batch: with three others", "KV cache: kept")]
float32_noise = max(apart for _, _, apart in noise)
assert not any(differ for _, differ, _ in noise), "in float32 batch and cache change no token"
assert float32_noise < 1e-3 < changed["precision: int8 weights"][2], "batch and cache change rounding alone"
# --8<-- [end:compare]

# --8<-- [start:texts]
import re
from html import escape


def on_one_line(tokens):
    return escape(re.sub(r"\s*\n\s*", " / ", bpe.decode(tokens)))


same = "; ".join(what for what, (_, differ, _) in changed.items() if not differ and "bfloat16" not in what)
print(f"<p><strong>Nothing changed</strong>, and the same with {same}:<br>")
print(f"{on_one_line(runs['nothing'].tokens)}</p>")
for what, (first, differ, _) in changed.items():
    tokens = runs[what].tokens
    if differ and "all in bfloat16" not in what:
        same = f"the first {first} of {N} tokens the same" if first else "no token at the start the same"
        print(f"<p><strong>{what[0].upper()}{what[1:]}</strong>, {same}; marked, the rest:<br>")
        print(f"{on_one_line(tokens[:first])}<mark>{on_one_line(tokens[first:])}</mark></p>")
# --8<-- [end:texts]

# --8<-- [start:table]
print(f"| What changed | To | First different token | Different, of {N} | Largest Δ logit |")
print("| --- | --- | ---: | ---: | ---: |")
for what, (first, differ, apart) in changed.items():
    cells = [*f"{what[0].upper()}{what[1:]}".split(": "), str(first + 1) if differ else "none", str(differ)]
    size = "0" if not apart else f"{apart:.2f}" if apart > 0.005 else f"{apart:.6f}"
    print(f"| {' | '.join(cells)} | {size} |")
# --8<-- [end:table]

# --8<-- [start:serve]
DEFAULTS = {
    "transformers": {"do_sample": False, "max_new_tokens": 20},
    "vLLM": {"do_sample": True, "temperature": 1.0, "top_p": 1.0,
             "max_new_tokens": 16},
}  # fmt: skip


def serve(directory, engine):
    file = directory / "generation_config.json"
    said = json.loads(file.read_text()) if file.is_file() else {}
    config = DEFAULTS[engine] | said
    names = ("temperature", "top_p") if config["do_sample"] else ()
    return generate(
        keeping(), bpe.encode(PROMPT).ids, {name: config[name] for name in names},
        max_tokens=config["max_new_tokens"], seed=0 if names else None, eos={0},
    )  # fmt: skip


# --8<-- [end:serve]


# --8<-- [start:served]
import shutil
import tempfile

served = {}
with tempfile.TemporaryDirectory() as bare:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        shutil.copy(HOME / name, bare)
    assert digest(Path(bare, "model.safetensors")) in digests
    print("| Engine | generation_config.json | Tokens | The text begins |\n| --- | --- | ---: | --- |")
    for engine in DEFAULTS:
        for there in (True, False):
            answer = served[engine, there] = serve(HOME if there else Path(bare), engine)
            file = f"`{digest(HOME / 'generation_config.json')}`" if there else "not there"
            print(f"| {engine} | {file} | {len(answer.tokens)} | {on_one_line(answer.tokens[:14])} |")
(with_file, without), (also_with_file, also_without) = (
    [served[engine, there].tokens for there in (True, False)] for engine in DEFAULTS
)
assert with_file == also_with_file, "with the file both engines write the same text"
assert without[:16] != also_without, "without it each writes its own"
# --8<-- [end:served]

# --8<-- [start:artifacts]
import weigh

for artifact, names in weigh.inspect(HOME).artifacts.items():
    for name in names:
        print(f"{artifact:26}{name:24}{digest(HOME / name)}")
    if not names:
        print(f"{artifact:26}none")
# --8<-- [end:artifacts]

# --8<-- [start:problems]
could = float((gap <= 2 * moved["int8 weights"]).float().mean())
did = float(flips["int8 weights"].float().mean())
odds = {temperature: float(torch.tensor(1 / temperature).exp()) for temperature in (0.8, 1.0)}
# --8<-- [end:problems]
