"""The program of "The cost of decoding": passes, work, bytes and memory of each strategy, and what they buy."""

# --8<-- [start:model]
from pathlib import Path

import torch
from torch.nn import functional as F

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
torch.set_grad_enabled(False)
HOME = Path("models/quill")
target, draft = (Quill.read(name).double() for name in (HOME, "models/quill-draft"))
words = tokenizer.read(HOME)
play = torch.tensor(words.encode((HOME / "held-out.txt").read_text(encoding="utf-8")).ids)


class Counted:
    """A model for `weigh.generate` and `weigh.beam_search`, with caches, that counts what it is asked."""

    def __init__(self, model):
        self.model, self.caches, self.steps, self.tokens = model, {}, set(), 0

    def __call__(self, ids):
        past = self.caches.get(tuple(ids[:-1].tolist()))
        logits, cache = self.model(ids[None, -1:] if past else ids[None], past)
        for text in [one for one in self.caches if len(one) < len(ids) - 1]:
            del self.caches[text]  # of a step before the last
        self.caches[tuple(ids.tolist())] = cache
        self.steps.add(len(ids))  # texts of one length are a batch, and one pass
        self.tokens += 1
        return logits[0, -1]


STARTS = (400, 5_400)
PROMPTS = [play[start : start + 24].tolist() for start in STARTS]
TOKENS = 24
human = [play[start + 24 : start + 24 + TOKENS].tolist() for start in STARTS]


def score(prompt, text):
    """The mean log-probability of the tokens of a text, by Quill with no setting."""
    logits = target(torch.tensor([[*prompt, *text]]))[0][0, len(prompt) - 1 : -1]
    return -float(F.cross_entropy(logits, torch.tensor(text)))


# --8<-- [end:model]

# --8<-- [start:beams]
BEAMS = (2, 4, 8)


def measured(write):
    """Passes and tokens processed for each token written, and the mean score, over the prompts."""
    passes = work = total = 0
    for prompt in PROMPTS:
        model = Counted(target)
        text = write(model, prompt)
        passes, work = passes + len(model.steps), work + model.tokens
        total += score(prompt, text)
    written = len(PROMPTS) * TOKENS
    return passes / written, work / written, total / len(PROMPTS)


def sampled(model, prompt, seed=0):
    return list(weigh.generate(model, prompt, max_tokens=TOKENS, seed=seed).tokens)


def greedy(model, prompt):
    return list(weigh.generate(model, prompt, max_tokens=TOKENS).tokens)


def searched(beams):
    return lambda model, prompt: list(weigh.beam_search(model, prompt, beams=beams, max_tokens=TOKENS)[0].tokens)


costs = {"greedy": measured(greedy), "sampling": measured(sampled)}
costs |= {f"beams, {beams}": measured(searched(beams)) for beams in BEAMS}
of_play = sum(map(score, PROMPTS, human)) / len(PROMPTS)
# --8<-- [end:beams]

# --8<-- [start:best_of]
from math import comb

MANY = 32


def written(prompt, count, tokens, seed=0):
    """Texts after a prompt, drawn in one batch, and the log-probability of each of their tokens."""
    generator = torch.Generator().manual_seed(seed)
    new, cache, chosen, logged = torch.tensor([prompt] * count), None, [], []
    for _ in range(tokens):
        logits, cache = target(new, cache)
        found = logits[:, -1].log_softmax(-1)
        new = found.exp().multinomial(1, generator=generator)
        chosen.append(new)
        logged.append(found.gather(1, new))
    return torch.cat(chosen, 1), torch.cat(logged, 1)


def expected_best(values, n):
    """The mean of the best of n among these values, over all ways of choosing n."""
    ranked = sorted(values)
    return sum(value * comb(rank, n - 1) for rank, value in enumerate(ranked)) / comb(len(ranked), n)


drawn = [written(prompt, MANY, TOKENS, seed) for seed, prompt in enumerate(PROMPTS)]
means = [logged.mean(1).tolist() for _, logged in drawn]
best_of = {n: sum(expected_best(one, n) for one in means) / len(means) for n in (1, 2, 4, 8, 16, 32)}
costs |= {f"best of {n}": (1.0, float(n), best_of[n]) for n in (8, 32)}
# --8<-- [end:best_of]

# --8<-- [start:bought_table]
print("| Strategy | Passes | Tokens processed | Log-probability |\n| --- | ---: | ---: | ---: |")
for name, (passes, work, mean) in costs.items():
    print(f"| {name} | {passes:.2f} | {work:.2f} | {mean:.2f} |".replace("-", "−"))
print(f"| *Macbeth* itself | | | {of_play:.2f} |".replace("-", "−"))
# --8<-- [end:bought_table]

# --8<-- [start:bought_claims]
assert all(abs(passes - 1) < 1e-9 for passes, _, _ in costs.values()), "one pass for each token"
assert costs["beams, 8"][2] > costs["greedy"][2] > best_of[32] + 0.05 and best_of[32] > best_of[8] > best_of[1]
assert costs["greedy"][2] > of_play + 1, "greedy text is far more probable than Shakespeare's"
assert costs["beams, 4"][2] < costs["beams, 2"][2] < costs["beams, 8"][2], "a wider search need not find more"
# --8<-- [end:bought_claims]

# --8<-- [start:drafts]
LONGEST, CONTEXT, PLACES = 8, 16, 120
contexts = torch.stack([play[start : start + CONTEXT] for start in range(300, 300 + 190 * PLACES, 190)])


def drafted(temperature, seed=0):
    """Drafts of eight tokens behind each context, and how many of them the target takes, shape (places,).

    At temperature 0 a drafted token is taken if it is the target's best; else by chance, as `weigh.judge_draft` does.
    """
    generator = torch.Generator().manual_seed(seed)
    new, cache, tokens, q = contexts, None, [], []
    for _ in range(LONGEST):
        logits, cache = draft(new, cache)
        q.append((logits[:, -1] / (temperature or 1)).softmax(-1))
        new = q[-1].multinomial(1, generator=generator) if temperature else q[-1].argmax(1, keepdim=True)
        tokens.append(new)
    logits = target(torch.cat((contexts, *tokens), 1))[0][:, CONTEXT - 1 : -1]
    proposed = torch.cat(tokens, 1)[..., None]
    if not temperature:
        taken = proposed[..., 0] == logits.argmax(-1)
    else:
        p, q = (logits / temperature).softmax(-1), torch.stack(q, 1)
        ratio = (p.gather(2, proposed) / q.gather(2, proposed))[..., 0]
        taken = torch.rand(ratio.shape, generator=generator, dtype=torch.float64) < ratio
    return taken.long().cumprod(1).sum(1)


accepted = {"greedy": drafted(0), "temperature 0.7": drafted(0.7), "temperature 1": drafted(1)}


def rate(lengths, gamma=LONGEST):
    """Acceptance rate: accepted tokens over judged ones, which are those and the first one refused."""
    return float(lengths.clamp(max=gamma).sum() / (lengths + 1).clamp(max=gamma).sum())


def per_pass(lengths, gamma):
    """Tokens for each pass of the target: those accepted, and the one that it adds."""
    return float(lengths.clamp(max=gamma).double().mean()) + 1


sizes = {name: weigh.params(f"models/{name}") for name in ("quill", "quill-draft")}


def step(model, **more):
    """The bytes moved and operations of a decoding step, whatever the device."""
    return weigh.decode_bound(model, bandwidth=1, flops=1, **more)


ratio = step(sizes["quill-draft"], context=64).bytes_moved / step(sizes["quill"], context=64).bytes_moved
# --8<-- [end:drafts]

# --8<-- [start:acceptance_table]
print("| Settings | Accepted of those judged | At the first place | Tokens per pass |\n| --- | ---: | ---: | ---: |")
for name, lengths in accepted.items():
    at_first = float((lengths > 0).double().mean())
    print(f"| {name} | {rate(lengths):.0%} | {at_first:.0%} | {per_pass(lengths, 4):.2f} |")
# --8<-- [end:acceptance_table]

# --8<-- [start:drafts_table]
GAMMAS = (1, 2, 4, 8)
lengths = accepted["greedy"]
measured_tokens = {gamma: per_pass(lengths, gamma) for gamma in GAMMAS}
formula = {gamma: weigh.expected_tokens(rate(lengths), gamma) for gamma in GAMMAS}
even = {gamma: (tokens - 1) / gamma for gamma, tokens in measured_tokens.items()}
faster = {gamma: tokens / (1 + ratio * gamma) for gamma, tokens in measured_tokens.items()}
print("| Drafted | Tokens per pass | By the formula | Break-even cost | Speed-up, at best |")
print("| ---: | ---: | ---: | ---: | ---: |")
for gamma in GAMMAS:
    print(
        f"| {gamma} | {measured_tokens[gamma]:.2f} | {formula[gamma]:.2f} | {even[gamma]:.2f} | {faster[gamma]:.2f} |"
    )
# --8<-- [end:drafts_table]

# --8<-- [start:drafts_claims]
assert all(abs(formula[gamma] / measured_tokens[gamma] - 1) < 0.1 for gamma in GAMMAS), "the formula holds within 10 %"
assert even[1] > even[2] > even[4] > even[8], "a longer draft must be cheaper"
assert measured_tokens[8] < 1.1 * measured_tokens[4], "beyond four, hardly a token more"
assert faster[8] < 1.1 < faster[2] and faster[8] < faster[4], "and more work than gain"


def answers(ids):
    return target(ids[None])[0][0]


def proposes(ids):
    return draft(ids[None])[0][0, -1]


assert draft.config.hidden_size * 3 == target.config.hidden_size
assert draft.config.num_hidden_layers * 2 == target.config.num_hidden_layers
assert rate(accepted["greedy"]) < rate(accepted["temperature 1"]) + 0.05, "greedy drafts are not taken more often"
checked = [weigh.speculate(answers, proposes, prompt, drafted=4, max_tokens=TOKENS) for prompt in PROMPTS]
assert all(list(one.tokens) == greedy(Counted(target), list(one.prompt)) for one in checked), "the same text"
passes_saved = 1 - sum(len(one.passes) for one in checked) / (TOKENS * len(checked))
assert passes_saved > 0.2
# --8<-- [end:drafts_claims]

# --8<-- [start:device]
H200 = {"bandwidth": 4.8e12, "flops": 1979e12 / 2}  # bytes and 16-bit operations a second, by the data sheet
LARGE, SMALL = (weigh.params(f"models/llama-3-{size}") for size in ("70b", "8b"))
AWQ = {"dtype": "awq", "kv_dtype": "bfloat16"}


def decoding(model, batch, context):
    return weigh.decode_bound(model, batch=batch, context=context, **AWQ, **H200)


def speed_up(batch, context, alpha=0.8, gamma=4):
    """By how much drafts of γ tokens, accepted with chance α, raise the bound of tokens per second.

    A pass over γ + 1 tokens reads what one over a single token reads, and does γ + 1 times its operations.
    """
    alone, drafting = decoding(LARGE, batch, context), decoding(SMALL, batch, context)
    judging = max(alone.bytes_moved / H200["bandwidth"], (gamma + 1) * alone.flops / H200["flops"])
    return weigh.expected_tokens(alpha, gamma) * alone.seconds / (judging + gamma * drafting.seconds)


CONTEXTS, BATCHES = (1024, 8192), [2**power for power in range(9)]
left = 141 * weigh.GB - weigh.inference(SMALL, dtype="awq").weight_bytes
fits = {context: weigh.largest_batch(LARGE, left, context=context, prefill=2048, **AWQ) for context in CONTEXTS}
curves = {
    (context, alpha): [speed_up(batch, context, alpha) for batch in BATCHES]
    for context in CONTEXTS
    for alpha in (0.6, 0.8)
}
# --8<-- [end:device]

# --8<-- [start:device_claims]
short, long = curves[1024, 0.8], curves[8192, 0.8]
loses = {
    key: next((b for b, speed in zip(BATCHES, one, strict=True) if speed < 1), None) for key, one in curves.items()
}
assert short[0] > 2 > 1 > short[-1] and loses[1024, 0.6] <= loses[1024, 0.8] <= fits[1024]
assert all(speed > 1 for batch, speed in zip(BATCHES, long, strict=True) if batch <= fits[8192])
device_words = (
    f"The bound of speed-up by batch, four tokens drafted. With 1,024 tokens of context and 80 % accepted it falls "
    f"from {short[0]:.1f} at batch 1 to {short[-1]:.1f} at batch {BATCHES[-1]}, and is below 1 from batch "
    f"{loses[1024, 0.8]} on; with 60 %, from batch {loses[1024, 0.6]} on. With 8,192 tokens it is above 1 as far as "
    f"memory reaches, batch {fits[8192]}, at 80 %."
)
# --8<-- [end:device_claims]

# --8<-- [start:device_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for (context, alpha), mark in zip(curves, ("o:", "o-", "s:", "s-"), strict=True):
    shown = [batch for batch in BATCHES if batch <= fits[context]]
    label = f"{context:,} tokens, {alpha:.0%} accepted"
    ax.plot(shown, curves[context, alpha][: len(shown)], mark, color=f"C{CONTEXTS.index(context)}", label=label)
ax.axhline(1, color="C3", linewidth=1)
ax.set(xscale="log", xlabel="sequences in the batch", ylabel="speed-up at best", ylim=(0, None))
ax.set_xticks(BATCHES, BATCHES)
ax.minorticks_off()
ax.legend(fontsize=9)
fig
# --8<-- [end:device_plot]

# --8<-- [start:overview]
CONTEXT_LENGTH = 8192
cache = weigh.inference(LARGE, context=CONTEXT_LENGTH, **AWQ).kv_cache_bytes
drafts_at = per_pass(accepted["temperature 1"], 4)
one, of_draft = (decoding(model, 1, CONTEXT_LENGTH).bytes_moved for model in (LARGE, SMALL))


def several(count):
    """Bytes read for each token written when so many sequences are decoded for one that is kept, and what they add."""
    return decoding(LARGE, count, CONTEXT_LENGTH).bytes_moved, (count - 1) * cache


extra = weigh.inference(SMALL, context=CONTEXT_LENGTH, **AWQ)
ROWS = {
    "greedy": (1, one, 0, "the reference"),
    "sampling": (1, one, 0, "variety"),
    **{f"beams, {n}": (1, *several(n), f"{costs[f'beams, {n}'][2] - costs['greedy'][2]:+.2f}") for n in BEAMS},
    "best of 8": (1, *several(8), f"{best_of[8] - best_of[1]:+.2f} over one"),
    "4 drafted": (
        1 / drafts_at,
        (one + 4 * of_draft) / drafts_at,
        extra.weight_bytes + extra.kv_cache_bytes,
        "the same, sooner",
    ),
}
# --8<-- [end:overview]

# --8<-- [start:overview_table]
print("| Strategy | Passes | Read | Extra memory | Bought |\n| --- | ---: | ---: | ---: | --- |")
for name, (passes, read, more, bought) in ROWS.items():
    memory = weigh.format_bytes(more) if more else "–"
    print(f"| {name} | {passes:.2f} | {weigh.format_bytes(int(read))} | {memory} | {bought.replace('-', '−')} |")
# --8<-- [end:overview_table]

# --8<-- [start:overview_claims]
assert ROWS["beams, 8"][1] > 1.3 * one and ROWS["4 drafted"][1] < one
prompt_once, prompt_four = (
    weigh.prefill_bound(LARGE, context=CONTEXT_LENGTH, batch=batch, **AWQ, **H200).seconds for batch in (1, 4)
)
assert 3.9 < prompt_four / prompt_once < 4.1, "a prompt that is read for each beam costs as many times as much"
# --8<-- [end:overview_claims]

# --8<-- [start:limits]
LIMITS, ANSWERS, MOST = (16, 32, 64), 24, 64
speech = words.encode("MACBETH.\n").ids
texts, _ = written(speech, ANSWERS, MOST, seed=4)


def length(ids):
    """The tokens up to the first empty line, which ends a speech; more than were written if there is none."""
    return next((end for end in range(1, len(ids) + 1) if "\n\n" in words.decode(ids[:end])), MOST + 1)


ends = [length(text) for text in texts.tolist()]
cut = {limit: sum(end > limit for end in ends) for limit in LIMITS}
spent = {limit: sum(min(end, limit) for end in ends) / ANSWERS for limit in LIMITS}
# --8<-- [end:limits]

# --8<-- [start:limits_table]
print("| Token limit | Answers cut off | Tokens an answer, with the stop | Without |\n| ---: | ---: | ---: | ---: |")
for limit in LIMITS:
    print(f"| {limit} | {cut[limit]} of {ANSWERS} | {spent[limit]:.0f} | {limit} |")
# --8<-- [end:limits_table]

# --8<-- [start:limits_claims]
assert cut[16] > cut[32] > cut[64] > 0 and spent[64] < 0.9 * 64
assert all(
    words.decode(text[:MOST]).count("\n\n") for text, end in zip(texts.tolist(), ends, strict=True) if end <= MOST
)
# --8<-- [end:limits_claims]


# --8<-- [start:own]
def break_even(tokens_per_pass, drafted):
    """What a draft's pass may cost, in passes of the target."""
    return (tokens_per_pass - 1) / drafted


passes, drafted_each, tokens = 250, 4, 610  # of a server's counters
print(f"may cost {break_even(tokens / passes, drafted_each):.2f}")
drafting, judging = (decoding(one, 1, 8192) for one in (SMALL, LARGE))
print(f"8B for 70B costs {drafting.seconds / judging.seconds:.2f}, at batch 1")
# --8<-- [end:own]

# --8<-- [start:problems]
gamma_three = weigh.expected_tokens(0.7, 3)
gain_three = gamma_three / (1 + 3 * 0.1)
even_two = break_even(2.2, 4)
beam_cache = 5 * 2 * 32 * 8 * 128 * 2 * 4096
assert beam_cache == 5 * weigh.inference(SMALL, context=4096).kv_cache_bytes
# --8<-- [end:problems]
