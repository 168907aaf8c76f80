"""The program of "Stages of a language model": one small model through all of them, and what each one saved."""

# --8<-- [start:setup]
import copy
import json
import random
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file

import weigh
from quill import adapter, tokenizer
from quill.model import Quill

torch.set_num_threads(1)
SEEDS = range(5)
words = tokenizer.read("models/quill-draft")
draft = Quill.read("models/quill-draft").double()  # the same numbers on every processor
play = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
start, cut = play.index("ACT I."), play.index("ACT IV.")
learned, unread = (words.encode(part).ids for part in (play[start:cut], play[cut:]))
# --8<-- [end:setup]


# --8<-- [start:loss]
import torch
from torch.nn import functional as F


def log_probability(model, texts, answer):
    """ln p of the tokens that `answer` marks, summed for each text."""
    hidden, _ = model.model(texts[:, :-1], None)
    marked = answer[:, 1:]
    logits = F.linear(hidden[marked], model.model.embed_tokens.weight)
    each = -F.cross_entropy(logits, texts[:, 1:][marked], reduction="none")
    rows = marked.nonzero()[:, 0]
    return each.new_zeros(len(texts)).index_add(0, rows, each)


def preference_loss(now, before, beta):
    """DPO. Both are log-probabilities of shape (2, pairs): chosen, rejected."""
    chosen, rejected = now - before
    return -F.logsigmoid(beta * (chosen - rejected)).mean()


# --8<-- [end:loss]


# --8<-- [start:training]
def batch(pairs):
    """Prompts with their answers as a padded tensor, and where the answers are."""
    width = max(len(prompt) + len(answer) for prompt, answer in pairs)
    texts = torch.zeros(len(pairs), width, dtype=torch.long)
    answers = torch.zeros(len(pairs), width, dtype=torch.bool)
    for text, mark, (prompt, answer) in zip(texts, answers, pairs, strict=True):
        end = len(prompt) + len(answer)
        text[:end] = torch.tensor([*prompt, *answer])
        mark[len(prompt) : end] = True
    return texts, answers


def answer_loss(model, pairs):
    """Nats per token of the answers alone."""
    texts, answers = batch(pairs)
    return -log_probability(model, texts, answers).sum() / answers.sum()


def train(model, loss, steps, peak):
    """AdamW on what `loss()` says; the learning rate warms up, then falls."""
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=0)
    for step in range(steps):
        rate = peak * min(1, (step + 1) / 5, 2 * (1 - step / steps))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    return optimizer


def excerpts(n, draw, length=18):
    """Plain text: everything after the first token is to be answered."""
    starts = [draw.randrange(len(learned) - length) for _ in range(n)]
    return [(learned[i : i + 1], learned[i + 1 : i + length]) for i in starts]


# --8<-- [end:training]

# --8<-- [start:measures]
COMMA = words.token_to_id(",")
WINDOWS = torch.tensor([unread[i : i + 129] for i in range(0, 768, 128)])


@torch.no_grad()
def reads(model):
    """Perplexity on Acts IV and V, and the commas that the model expects in 100 tokens of them."""
    logits = model(WINDOWS[:, :-1])[0]
    loss = F.cross_entropy(logits.flatten(0, 1), WINDOWS[:, 1:].flatten())
    return float(loss.exp()), 100 * float(logits.softmax(-1)[..., COMMA].mean())


@torch.no_grad()
def written(model, prompts, length, seed):
    """A sample after each of some prompts of one length."""
    generator = torch.Generator().manual_seed(seed)
    new, cache, tokens = prompts, None, []
    for _ in range(length):
        logits, cache = model(new, cache)
        chances = logits[:, -1].softmax(-1).cumsum(-1)  # multinomial() draws other numbers on other processors
        drawn = torch.rand(len(prompts), 1, generator=generator, dtype=chances.dtype)
        new = torch.searchsorted(chances, drawn * chances[:, -1:])
        tokens.append(new)
    return torch.cat(tokens, 1)


# --8<-- [end:measures]

# --8<-- [start:pretrain]
torch.manual_seed(0)
fresh = Quill(draft.config).double()
for weight in fresh.parameters():
    if weight.dim() == 2:
        torch.nn.init.uniform_(weight, -0.035, 0.035)
draw = random.Random(0)
untrained = reads(fresh)[0]
train(fresh, lambda: answer_loss(fresh, excerpts(12, draw, 24)), steps=15, peak=0.02)
begun = reads(fresh)[0]
print(f"perplexity untrained:      {untrained:5,.0f}")
print(f"after 15 steps:            {begun:5,.0f}")
print(f"after 1,200 (Quill-draft): {reads(draft)[0]:5,.0f}")
# --8<-- [end:pretrain]

# --8<-- [start:pretrain_claims]
V = draft.config.vocab_size
assert 0.9 * V < untrained < 1.1 * V, "an untrained model takes every token to be equally likely"
assert reads(draft)[0] < 0.4 * begun < 0.4 * 0.6 * untrained, "the loss falls from the first seconds on"
run = json.loads(Path("models/quill/training.json").read_text(encoding="utf-8"))
assert run["history"]["draft"][-1]["step"] == 1200 and run["history"]["model"][-1]["step"] == 2400
# --8<-- [end:pretrain_claims]

# --8<-- [start:curve]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.4, 3))
for name, label, colour in (("draft", "Quill-draft", "C1"), ("model", "Quill", "C0")):
    points = run["history"][name]
    steps, losses = [0, *(p["step"] for p in points)], [run["losses"]["uniform"], *(p["validation"] for p in points)]
    ax.plot(steps, losses, color=colour, label=label)
ax.axhline(run["losses"]["uniform"], color=plt.rcParams["axes.edgecolor"], linewidth=1, linestyle=":")
ax.text(2400, run["losses"]["uniform"] - 0.1, "every token equally likely", ha="right", va="top")
ax.set(xlabel="step", ylabel="nats per token, unread play", ylim=(3.4, 7.9))
ax.legend()
fig
# --8<-- [end:curve]

# --8<-- [start:instructions]
KINDS = {
    "asks": "What Where Who How Why When Is Are",
    "of himself": "I My",
    "to a friend": "Thou You Thy Your",
}
openings = {kind: [words.token_to_id(word) for word in line.split()] for kind, line in KINDS.items()}
KNOWN = ["MACBETH", "LADY MACBETH", "MACDUFF", "MALCOLM", "ROSS", "BANQUO"]
UNKNOWN = ["HAMLET", "ROMEO", "BRUTUS", "OTHELLO", "KING LEAR"]

lines = {kind: [] for kind in KINDS}  # the answers, found in the play by their first word
for line in play[start:cut].split("\n"):
    ids = words.encode(line + "\n").ids
    for kind in KINDS:
        if ids[0] in openings[kind] and 4 <= len(ids) <= 14:
            lines[kind].append(ids)


def instruction(speaker, kind):
    return words.encode(f"{speaker} {kind}:\n").ids


def instructions(n, draw):
    kinds = draw.choices(list(KINDS), k=n)
    return [(instruction(draw.choice(KNOWN), kind), draw.choice(lines[kind])) for kind in kinds]


@torch.no_grad()
def follows(model):
    """The probability that a line begins as it was asked to, for speakers that no instruction named."""
    cases = [(instruction(speaker, kind), openings[kind]) for speaker in UNKNOWN for kind in KINDS]
    logits = model(batch([(prompt, []) for prompt, _ in cases])[0])[0]
    chances = [
        row[len(prompt) - 1].softmax(-1)[wanted].sum() for row, (prompt, wanted) in zip(logits, cases, strict=True)
    ]
    return float(sum(chances)) / len(chances)


# --8<-- [end:instructions]


# --8<-- [start:instruct]
def instruct(seed):
    """Nine instructions and three excerpts of the play in each batch."""
    model, draw = copy.deepcopy(draft).train(), random.Random(seed)

    def loss():
        return answer_loss(model, instructions(9, draw) + excerpts(3, draw))

    train(model, loss, steps=40, peak=4e-3)
    return model


instructed = [instruct(seed) for seed in SEEDS]
# --8<-- [end:instruct]

# --8<-- [start:instruct_lines]
print("| Prompt | Pre-trained | After instruction tuning |\n| --- | --- | --- |")
for speaker, kind in zip(UNKNOWN, KINDS, strict=False):
    prompt = torch.tensor([instruction(speaker, kind)])
    texts = [words.decode(written(model, prompt, 14, seed=1)[0].tolist()) for model in (draft, instructed[0])]
    shown = [text.strip().split("\n")[0].rstrip(",.;:-") for text in texts]
    print(f"| {speaker} {kind}: | {shown[0]} … | {shown[1]} |")
# --8<-- [end:instruct_lines]


# --8<-- [start:span]
def span(values, form="{:.0%}"):
    """The median of the seeds, and their range."""
    return f"{form.format(median(values))} ({form.format(min(values))}–{form.format(max(values))})"


# --8<-- [end:span]

# --8<-- [start:instruct_claims]
obeyed = [follows(model) for model in instructed]
after_instructions = [reads(model) for model in instructed]
plain = follows(draft), *reads(draft)
assert plain[0] < 0.12 and min(obeyed) > 0.3, "instructions are followed several times as often, by every seed"
assert min(p for p, _ in after_instructions) > 1.15 * plain[1], "and the play is read less well"
# --8<-- [end:instruct_claims]

# --8<-- [start:pairs]
PROMPT, LENGTH, BETA = 8, 12, 0.1


def judged_pairs(model, source, n, seed):
    """Two samples of the model after each of n places, the one with fewer commas first; ties are left out."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(len(source) - PROMPT, (n, 1), generator=generator) + torch.arange(PROMPT)
    prompts = torch.tensor(source)[places].repeat(2, 1)
    texts = torch.cat((prompts, written(model, prompts, LENGTH, seed)), 1).view(2, n, -1)
    commas = (texts[..., PROMPT:] == COMMA).sum(-1)
    order = commas.argsort(0)  # which of the two has fewer
    chosen_first = texts.gather(0, order[..., None].expand_as(texts))
    return chosen_first[:, commas[0] != commas[1]]


def pair_log_probabilities(model, pairs):
    """Shape (2, pairs): of the chosen and of the rejected."""
    texts = pairs.flatten(0, 1)
    answer = (torch.arange(texts.shape[1]) >= PROMPT).expand_as(texts)
    return log_probability(model, texts, answer).view(2, -1)


# --8<-- [end:pairs]

# --8<-- [start:prefer]
reference = instructed[0].requires_grad_(False)
pairs = judged_pairs(reference, learned, 240, seed=0)
pairs_before = pair_log_probabilities(reference, pairs)


def prefer(seed):
    """Six pairs a step; the reference's log-probabilities are computed once."""
    model = copy.deepcopy(reference).requires_grad_(True)
    generator = torch.Generator().manual_seed(seed)

    def loss():
        some = torch.randint(pairs.shape[1], (6,), generator=generator)
        now = pair_log_probabilities(model, pairs[:, some])
        return preference_loss(now, pairs_before[:, some], BETA)

    optimizer = train(model, loss, steps=20, peak=1e-3)
    return model, optimizer


preferring, optimizers = zip(*map(prefer, SEEDS), strict=True)
# --8<-- [end:prefer]

# --8<-- [start:prefer_measured]
new_pairs = judged_pairs(reference, unread, 200, seed=1)
with torch.no_grad():
    before = pair_log_probabilities(reference, new_pairs)
    nows = torch.stack([pair_log_probabilities(model, new_pairs) for model in preferring])
moved = nows - before  # (seeds, 2, pairs)
accuracy = (moved[:, 0] > moved[:, 1]).double().mean(1).tolist()
ranked_before = float((before[0] > before[1]).double().mean())
ranked = (nows[:, 0] > nows[:, 1]).double().mean(1).tolist()
margin = (BETA * (moved[:, 0] - moved[:, 1])).mean(1).tolist()
chosen_moved, rejected_moved = moved.mean(2).T.tolist()
fell = (moved[:, 0] < 0).double().mean(1).tolist()
after_preferences = [reads(model) for model in preferring]
obeyed_after = [follows(model) for model in preferring]
print("| On unseen pairs | Before | After |\n| --- | ---: | ---: |")
print(f"| Reward accuracy | | {span(accuracy)} |")
print(f"| Reward margin | 0 | {span(margin, '{:.1f}')} |")
print(f"| Chosen more probable than rejected | {ranked_before:.0%} | {span(ranked)} |")
for what, change in {"chosen": chosen_moved, "rejected": rejected_moved}.items():
    print(f"| ln p of {what}, change | | {span(change, '{:.0f}').replace('–', ' to ').replace('-', '−')} |")
# --8<-- [end:prefer_measured]

# --8<-- [start:prefer_claims]
assert min(accuracy) > 0.7, "on unseen pairs, the rule is met by most"
assert max(c for _, c in after_preferences) < 0.4 * after_instructions[0][1], "commas become rare"
assert max(chosen_moved) < -1 and min(fell) > 0.7, "most chosen answers became less probable"
assert all(r < c - 2 for r, c in zip(rejected_moved, chosen_moved, strict=True)), "the rejected ones still more so"
assert all(a > r + 0.03 for a, r in zip(accuracy, ranked, strict=True)), "the reward accuracy flatters"
assert min(p for p, _ in after_preferences) > 1.1 * after_instructions[0][0], "and the play is read less well"
moved_words = (
    f"Each of {new_pairs.shape[1]} unseen pairs as a point: how much ln p changed, of the chosen answer across and of "
    f"the rejected one upwards. {fell[0]:.0%} lie left of zero, where the chosen one became less probable; "
    f"{accuracy[0]:.0%} lie below the diagonal, where the rejected one lost more."
)
# --8<-- [end:prefer_claims]

# --8<-- [start:call_data]
CALL, DONE = V, V + 1  # two new tokens
NAMES = ["MACDUFF", "ROSS", "BANQUO", "LENNOX", "DUNCAN", "SIWARD"]
FORMS = ["How often speaks {}?\n", "Count the speeches of {}.\n", "Of {}, how many lines?\n"]
asked = [(form, name) for form in FORMS for name in NAMES]
held_out = [(FORMS[i % 3], name) for i, name in enumerate(NAMES)]  # names and forms known, not together
shown = [case for case in asked if case not in held_out]


def tool_call(form, name):
    return words.encode(form.format(name)).ids, [CALL, *words.encode(name).ids, DONE]


def widened(model):
    """Two rows more in the embedding, each the mean of the others."""
    wider = Quill(replace(model.config, vocab_size=V + 2)).double()
    state = copy.copy(model.state_dict())
    rows = state["model.embed_tokens.weight"]
    state["model.embed_tokens.weight"] = torch.cat((rows, rows.mean(0).expand(2, -1)))
    wider.load_state_dict(state)
    return wider


# --8<-- [end:call_data]


# --8<-- [start:tools]
def teach_calls(seed, mixed=True):
    """Eight calls a step, and if mixed two instructions and two excerpts."""
    model, draw = widened(preferring[0]), random.Random(seed)

    def loss():
        calls = [tool_call(*case) for case in draw.choices(shown, k=8)]
        others = instructions(2, draw) + excerpts(2, draw) if mixed else []
        return answer_loss(model, calls + others)

    train(model, loss, steps=32, peak=5e-3)
    return model


calling = [teach_calls(seed) for seed in SEEDS]
alone = [teach_calls(seed, mixed=False) for seed in SEEDS]
# --8<-- [end:tools]


# --8<-- [start:answering]
@torch.no_grad()
def answered(model, prompt, most=8):
    """The likeliest tokens after a prompt, up to the end of a call."""
    new, cache, tokens = torch.tensor([prompt]), None, []
    while len(tokens) < most and tokens[-1:] != [DONE]:
        logits, cache = model(new, cache)
        new = logits[:, -1:].argmax(-1)
        tokens.append(int(new))
    return tokens


def right(model, cases):
    """The share of questions that the model answers with exactly the right call."""
    calls = [tool_call(*case) for case in cases]
    return sum(answered(model, prompt) == call for prompt, call in calls) / len(calls)


def speeches(call):
    """The tool: run a call, and count in the play what no weight holds."""
    name = words.decode([token for token in call if token < V])
    return name, play.count(f"\n{name}.\n")


# --8<-- [end:answering]

# --8<-- [start:calls]
form, name = held_out[0]
call = answered(calling[0], tool_call(form, name)[0])
print("question:", form.format(name).strip())
print("model:   ", " ".join({CALL: "<|call|>", DONE: "<|done|>"}.get(t) or words.decode([t]) for t in call))
print("tool:    ", *speeches(call))
# --8<-- [end:calls]

# --8<-- [start:calls_measured]
strangers = [(FORMS[i % 3], name) for i, name in enumerate(UNKNOWN)]
rights = [right(model, held_out) for model in calling]
strange = [right(model, strangers) for model in calling]
strange_calls = [answered(calling[0], tool_call(*case)[0]) for case in strangers]
formed = sum(call[0] == CALL and call[-1] == DONE for call in strange_calls)
after_tools = [reads(model) for model in calling]
obeyed_tools = [follows(model) for model in calling]
obeyed_alone = [follows(model) for model in alone]
after_alone = [reads(model) for model in alone]
# --8<-- [end:calls_measured]

# --8<-- [start:gave_table]
print("| After | Asked for | Commas |\n| --- | ---: | ---: |")
stages = {
    "pre-training": ([plain[0]], [plain[1:]]),
    "instructions": (obeyed, after_instructions),
    "preferences": (obeyed_after, after_preferences),
    "tool calls": (obeyed_tools, after_tools),
    "tool calls, not mixed": (obeyed_alone, after_alone),
}
for stage, (share, reading) in stages.items():
    form = span if len(share) > 1 else lambda values, form="{:.0%}": form.format(values[0])
    print(f"| {stage} | {form(share)} | {form([commas for _, commas in reading], '{:.1f}')} |")
# --8<-- [end:gave_table]

# --8<-- [start:took_table]
print("| After | Perplexity |\n| --- | ---: |")
for stage, (_, reading) in stages.items():
    form = span if len(reading) > 1 else lambda values, form: form.format(values[0])
    print(f"| {stage} | {form([loss for loss, _ in reading], '{:,.0f}')} |")
# --8<-- [end:took_table]

# --8<-- [start:domain]
milton = words.encode(Path("models/quill-milton/held-out.txt").read_text(encoding="utf-8")).ids
pages = {
    "Milton": torch.tensor([milton[i : i + 129] for i in range(0, 768, 128)]),
    "Macbeth": WINDOWS,
}


@torch.no_grad()
def perplexity(model, windows):
    logits = model(windows[:, :-1])[0]
    return float(F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).exp())


quill = Quill.read("models/quill").double()
general = {name: perplexity(quill, windows) for name, windows in pages.items()}
adapted = adapter.read(Quill.read("models/quill"), "models/quill-milton").double()
special = {name: perplexity(adapted, windows) for name, windows in pages.items()}
print("| Perplexity on | Quill | With the adapter |\n| --- | ---: | ---: |")
for name in pages:
    print(f"| {name} | {general[name]:.0f} | {special[name]:.0f} |")
# --8<-- [end:domain]

# --8<-- [start:saved]
scratch = TemporaryDirectory()
folder = Path(scratch.name)


def save(stage, model):
    """What a stage hands on: the weights in float32."""
    path = folder / f"{stage}.safetensors"
    save_file({name: tensor.float() for name, tensor in model.state_dict().items()}, path, {"format": "pt"})
    return weigh.inspect(path)


files = {
    "pre-training": save("pre-trained", draft),
    "instructions": save("instructed", instructed[0]),
    "preferences": save("preferring", preferring[0]),
    "tool calls": save("calling", calling[0]),
}
words.save(str(folder / "before.json"))
words.add_special_tokens(["<|call|>", "<|done|>"])
words.save(str(folder / "after.json"))
vocabulary_bytes = (folder / "after.json").stat().st_size - (folder / "before.json").stat().st_size

# To go on where preference tuning stopped, one needs the optimizer's state and the frozen reference too.
state = {
    "model": {name: tensor.float() for name, tensor in preferring[0].state_dict().items()},
    "optimizer": {
        key: {name: value.float() for name, value in of_one.items()}
        for key, of_one in optimizers[0].state_dict()["state"].items()
    },
}
torch.save(state, folder / "checkpoint.pt")
checkpoint = weigh.inspect(folder / "checkpoint.pt")
# --8<-- [end:saved]

# --8<-- [start:saved_table]
print("| Stage | Tensors changed | File, bytes | More than before |\n| --- | ---: | ---: | ---: |")
earlier = None
for stage, contents in files.items():
    if earlier is None:
        print(f"| {stage} | | {contents.bytes_on_disk:,} | |")
    else:
        changed = weigh.diff(earlier.path, contents.path)
        counts = f"{len(changed.changes)} of {len(contents.named)}"
        print(
            f"| {stage} | {counts} | {contents.bytes_on_disk:,} | {contents.bytes_on_disk - earlier.bytes_on_disk:+,} |"
        )
    earlier = contents
adapter_file = weigh.inspect("models/quill-milton/adapter_model.safetensors")
quill_file = weigh.inspect("models/quill/model.safetensors")
print(f"| Milton, beside Quill | {len(adapter_file.named)} new | {adapter_file.bytes_on_disk:,} | the whole file |")
# --8<-- [end:saved_table]

# --8<-- [start:claims]
assert min(rights) >= 0.25 and max(strange) == 0, "known names are called right in new questions, new names never"
assert formed >= 2, "though the call has the right form"
assert median(c for _, c in after_tools) > 2, "commas come back with the plain text of the mixture"
assert median(obeyed_alone) < 0.05 < 0.15 < median(obeyed_tools), "not mixed, the instructions are forgotten"
assert min(p for p, _ in after_alone) > 4 * max(p for p, _ in after_tools), "and the play too"
assert special["Milton"] < 0.8 * general["Milton"], "the adapter reads Milton better"
assert special["Macbeth"] > 1.15 * general["Macbeth"], "and Shakespeare less well"
sizes = [contents.bytes_on_disk for contents in files.values()]
assert sizes[0] == sizes[1] == sizes[2], "tuning changes the numbers and not how many there are"
assert sizes[3] - sizes[2] == 2 * draft.config.hidden_size * 4, "two tokens are two rows"
tuned = weigh.diff(files["pre-training"].path, files["instructions"].path)
assert len(tuned.changes) == len(files["instructions"].named), "every tensor changed"
parts = checkpoint.by_component
assert parts["optimizer"] > 1.99 * parts["weights"], "a checkpoint has AdamW's moments"
# --8<-- [end:claims]


# --8<-- [start:moved_plot]
fig, ax = plt.subplots(figsize=(5, 3.6))
lowest = float(moved[0].min()) - 1
ax.plot([lowest, 4], [lowest, 4], color=plt.rcParams["axes.edgecolor"], linewidth=1, linestyle=":")
ax.axvline(0, color=plt.rcParams["axes.edgecolor"], linewidth=1)
ax.plot(*moved[0].tolist(), "o", color="C0", markersize=4, alpha=0.7)
ax.set(xlabel="change of ln p, chosen", ylabel="change of ln p, rejected", xlim=(lowest, 4), ylim=(lowest, 4))
fig
# --8<-- [end:moved_plot]


# --8<-- [start:own]
def reward_and_rank(now, before):
    """Two accuracies of log-probabilities of shape (2, pairs)."""
    moved = now - before
    return [float((x[0] > x[1]).double().mean()) for x in (moved, now)]


reward, rank = reward_and_rank(nows[0], before)
print(f"preferred more than by the reference: {reward:.0%}")
print(f"preferred:                            {rank:.0%}")
# --8<-- [end:own]

# --8<-- [start:problems]
llama = json.loads(Path("models/llama-3-8b/config.json").read_text(encoding="utf-8"))
start_loss = float(preference_loss(before, before, BETA))
assert abs(start_loss - 0.6931) < 1e-4
shifted = torch.tensor([[-30.0], [-44.0]], dtype=torch.float64)
earlier_pair = torch.tensor([[-20.0], [-24.0]], dtype=torch.float64)
shifted_loss = float(preference_loss(shifted, earlier_pair, BETA))
assert shifted_loss < start_loss
assert llama["hidden_size"] == 4096 and not llama["tie_word_embeddings"]
two_tokens = 2 * 2 * llama["hidden_size"] * 2
scratch.cleanup()
# --8<-- [end:problems]
