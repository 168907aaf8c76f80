"""The program of "Safety and post-processing": masks, stop strings and filters between a model and its reader."""

# --8<-- [start:model]
import json
import re
from pathlib import Path

import llguidance
import llguidance.numpy
import numpy as np
import torch
from outlines_core import Guide, Index, Vocabulary
from outlines_core.json_schema import build_regex_from_schema

import weigh
from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
HOME = Path("models/quill")
words = tokenizer.read(HOME)
model = Quill.read(HOME).double()  # near ties then fall the same way everywhere
play = (HOME / "held-out.txt").read_text(encoding="utf-8")
V, END = 2048, 0

# A byte-level tokenizer writes each byte as a printable character.
printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
as_byte = {chr(byte): byte for byte in printable}
as_byte |= {chr(256 + n): byte for n, byte in enumerate(b for b in range(256) if b not in printable)}
BYTES = [b"", *(bytes(as_byte[sign] for sign in words.id_to_token(number)) for number in range(1, V))]
# --8<-- [end:model]

# --8<-- [start:masks]
reader = llguidance.LLTokenizer(words.to_str(), eos_token=END)
vocabulary = Vocabulary(END, {BYTES[number]: [number] for number in range(1, V)})


def masks(grammar):
    """llguidance: from the tokens so far to those that may follow, the end among them."""

    def allowed(tokens):
        matcher = llguidance.LLMatcher(reader, grammar)
        if tokens:
            matcher.consume_tokens(list(tokens))
        bits = llguidance.numpy.allocate_token_bitmask(1, V)
        llguidance.numpy.fill_next_token_bitmask(matcher, bits)
        return np.flatnonzero(np.unpackbits(bits.view(np.uint8), bitorder="little")[:V]).tolist()

    return allowed


def outlines_masks(pattern):
    """The same, by outlines-core."""
    index = Index(pattern, vocabulary)

    def allowed(tokens):
        guide = Guide(index)
        for token in tokens:
            guide.advance(token)
        return guide.get_tokens()

    return allowed


def regex_masks(pattern):
    return masks(llguidance.LLMatcher.grammar_from_regex(pattern))


def reachable(allowed):
    """Every text that a mask lets a model write, and its first tokens: brute force along all tokens."""
    texts, waiting = set(), [()]
    while waiting:
        tokens = waiting.pop()
        for token in allowed(tokens):
            if token == END:
                texts.add(b"".join(BYTES[one] for one in tokens))
            else:
                waiting.append((*tokens, token))
    return texts, {token for token in allowed(())}


def viable(texts):
    """The first tokens that some text begins with."""
    return {number for number in range(1, V) if any(text.startswith(BYTES[number]) for text in texts)}


# --8<-- [end:masks]

# --8<-- [start:languages]
from itertools import product

digits = [str(number) for number in range(10)]
LANGUAGES = {
    "yes|no": ["yes", "no"],
    "king( and queen)?": ["king", "king and queen"],
    "Mac|Macbeth": ["Mac", "Macbeth"],
    r"[0-9](\.[0-9])?": [*digits, *(f"{a}.{b}" for a, b in product(digits, repeat=2))],
    "(ha ){1,3}": ["ha ", "ha ha ", "ha ha ha "],
    "(é|😀){1,2}": ["".join(some) for many in (1, 2) for some in product("é😀", repeat=many)],
}
compared = {}
for pattern, language in LANGUAGES.items():
    assert all(re.fullmatch(pattern, text) for text in language), "the list is what Python's re says"
    truth = {text.encode() for text in language}
    compared[pattern] = (
        truth,
        {
            name: reachable(of(f"({pattern})"))
            for name, of in (("llguidance", regex_masks), ("outlines", outlines_masks))
        },
    )
# --8<-- [end:languages]

# --8<-- [start:languages_table]
print("| Pattern | Tokens first | Texts | llguidance | outlines-core |\n| --- | ---: | ---: | ---: | ---: |")
for pattern, (truth, by) in compared.items():
    first = "/".join(str(len(one)) for one in (viable(truth), by["llguidance"][1], by["outlines"][1]))
    print(f"| `{pattern}` | {first} | {len(truth)} | {len(by['llguidance'][0])} | {len(by['outlines'][0])} |")
# --8<-- [end:languages_table]

# --8<-- [start:languages_claims]
assert all(by["llguidance"][0] == truth for truth, by in compared.values()), "llguidance reaches each text and no other"
assert all(by["outlines"][0] <= truth for truth, by in compared.values()), "outlines-core writes nothing else either"
kept = {pattern: by["outlines"][0] for pattern, (_, by) in compared.items()}
assert kept["king( and queen)?"] == {b"king", b"king and queen"}, "it goes on behind a complete text by a longer token"
assert kept[r"[0-9](\.[0-9])?"] == {digit.encode() for digit in digits}, "and not by a token of one byte: no decimals"
assert kept["Mac|Macbeth"] == {b"Mac"}, "nor past the first alternative that matches"
# --8<-- [end:languages_claims]

# --8<-- [start:forms]
import jsonschema

PLACE = {"type": "object", "properties": {"act": {"type": "integer"}, "name": {"type": "string"}}, "required": ["act"]}
CLOSED = PLACE | {"additionalProperties": False}
FORMS = {
    "compact": (CLOSED, '{"act":1,"name":"x"}'),
    "indented by two lines": (CLOSED, '{\n  "act": 1\n}'),
    "keys in another order": (CLOSED, '{"name":"x","act":1}'),
    "1.0 for an integer": (CLOSED, '{"act":1.0}'),
    "1e2 for an integer": (CLOSED, '{"act":1e2}'),
    "é as \\u00e9": (CLOSED, '{"act":1,"name":"\\u00e9"}'),
    "/ as \\/": (CLOSED, '{"act":1,"name":"a\\/b"}'),
    "a line break behind": (CLOSED, '{"act":1}\n'),
    "another key": (PLACE, '{"act":1,"x":2}'),
    "another key, twice": (PLACE, '{"act":1,"x":2,"x":3}'),
    "0 where at least 1": ({"type": "integer", "minimum": 1}, "0"),
    "0.5 for a number": ({"type": "number"}, "0.5"),
    "a key spelled \\u0061ct": (PLACE, '{"act":1,"\\u0061ct":"x"}'),
}


def by_schema(schema, text):
    """Whether a JSON parser and a validator take a text."""
    return jsonschema.Draft202012Validator(schema).is_valid(json.loads(text))


def by_llguidance(schema, text):
    matcher = llguidance.LLMatcher(reader, llguidance.LLMatcher.grammar_from_json_schema(schema))
    tokens = reader.tokenize_str(text)
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


single = Vocabulary(256, {bytes([byte]): [byte] for byte in range(256)})


def by_outlines(schema, text):
    guide = Guide(Index(build_regex_from_schema(json.dumps(schema)), single))
    for byte in text.encode():
        if byte not in guide.get_tokens():
            return False
        guide.advance(byte)
    return guide.is_finished()


verdicts = {name: [by(*form) for by in (by_schema, by_llguidance, by_outlines)] for name, form in FORMS.items()}
# --8<-- [end:forms]

# --8<-- [start:forms_table]
print("| Written | Valid | llguidance | outlines-core |\n| --- | :-: | :-: | :-: |")
for name, verdict in verdicts.items():
    print(f"| {name} | " + " | ".join("yes" if one else "–" for one in verdict) + " |")
# --8<-- [end:forms_table]

# --8<-- [start:forms_claims]
refused = {k: sum(verdict[0] and not verdict[k] for verdict in verdicts.values()) for k in (1, 2)}
accepted = {k: [name for name, verdict in verdicts.items() if verdict[k] and not verdict[0]] for k in (1, 2)}
assert accepted == {1: ["a key spelled \\u0061ct"], 2: ["0 where at least 1"]}, "each lets one invalid text through"
assert refused[2] > refused[1] > 3, "and both refuse valid ones"
# --8<-- [end:forms_claims]

# --8<-- [start:decode]
SCENE = {
    "type": "object",
    "properties": {
        "speaker": {"enum": ["KING", "QUEEN", "FIRST LORD"]},
        "line": {"type": "string", "maxLength": 24},
        "act": {"type": "integer", "minimum": 1, "maximum": 5},
    },
    "required": ["speaker", "line", "act"],
    "additionalProperties": False,
}
grammar = llguidance.LLMatcher.grammar_from_json_schema(SCENE, overrides={"whitespace_flexible": False})


@torch.no_grad()
def decode(prompt, seed, most=48):
    """A text under the mask: its tokens, the probability on allowed tokens at each, and whether there was a choice."""
    matcher = llguidance.LLMatcher(reader, grammar)
    random = torch.Generator().manual_seed(seed)
    bits = llguidance.numpy.allocate_token_bitmask(1, V)
    logits, cache = model(torch.tensor([prompt]))
    tokens, mass, choices = [], [], []
    while len(tokens) < most and not matcher.is_stopped():
        llguidance.numpy.fill_next_token_bitmask(matcher, bits)
        open_to = torch.from_numpy(np.unpackbits(bits.view(np.uint8), bitorder="little")[:V].copy()).bool()
        chances = logits[0, -1].softmax(-1) * open_to
        token = int(chances.multinomial(1, generator=random))
        mass.append(float(chances.sum()))
        choices.append(int(open_to.sum()))
        matcher.consume_token(token)
        if token != END:
            tokens.append(token)
            logits, cache = model(torch.tensor([[token]]), cache)
    return words.decode(tokens), mass, choices


starts = [match.end() for match in re.finditer(r"\n\n(?=[A-Z ]+\.\n)", play)]
prompts = [words.encode(play[place - 200 : place]).ids[-48:] for place in starts[20::80]]
written = [decode(prompt, seed) for seed, prompt in enumerate(prompts)]
valid = sum(by_schema(SCENE, text) for text, _, _ in written)
print(written[0][0])
print(f"{valid} of {len(written)} valid")
# --8<-- [end:decode]

# --8<-- [start:decode_claims]
forced = sum(count == 1 for _, _, counts in written for count in counts)
steps = sum(len(counts) for _, _, counts in written)
all_mass = np.array([chance for _, mass, _ in written for chance in mass])
log_mass = [np.log10(mass).sum() for _, mass, _ in written]
assert valid == len(written) >= 8, "always valid"
assert 0.4 < forced / steps < 0.9, "most tokens leave no choice"
assert np.median(log_mass) < -20, "and the model would never have written it"
# --8<-- [end:decode_claims]

# --8<-- [start:distortion]
NAMES = ["KING", "QUEEN", "LADY", "LORD", "FIRST LORD", "MESSENGER"]
name_mask = regex_masks("(" + "|".join(NAMES) + r")\.\n")
spellings, waiting = [], [()]
while waiting:  # every way to spell a name in tokens that the mask allows, with what was open at each
    tokens = waiting.pop()
    for token in name_mask(tokens):
        if token == END:
            spellings.append(tokens)
        else:
            waiting.append((*tokens, token))
longest = max(map(len, spellings))
open_to = torch.zeros(len(spellings), longest, V, dtype=torch.bool)
for row, spelled in enumerate(spellings):
    for place in range(len(spelled)):
        open_to[row, place, name_mask(spelled[:place])] = True
padded = torch.tensor([[*spelled, *[END] * (longest - len(spelled))] for spelled in spellings])
is_token = torch.tensor([[place < len(spelled) for place in range(longest)] for spelled in spellings])
name_of = np.array([NAMES.index(words.decode(list(spelled))[:-2]) for spelled in spellings])


@torch.no_grad()
def two_ways(prompt):
    """Each name's probability: by the model, and by the model masked at every token. Exact, over all spellings."""
    first, cache = model(torch.tensor([prompt]))
    cache = [tuple(part.expand(len(padded), -1, -1, -1) for part in layer) for layer in cache]
    logits = torch.cat([first[:, -1:].expand(len(padded), -1, -1), model(padded[:, :-1], cache)[0]], dim=1)
    chances = logits.softmax(-1)
    plain = chances.gather(-1, padded[..., None])[..., 0]
    masked = plain / (chances * open_to).sum(-1)
    of_spelling = [torch.where(is_token, one, 1).prod(-1).numpy() for one in (plain, masked)]
    return [np.bincount(name_of, weights=one, minlength=len(NAMES)) for one in of_spelling]


by_context = np.array([two_ways(words.encode(play[place - 160 : place]).ids[-24:]) for place in starts[10::40]])
inside = by_context[:, 0].sum(-1)  # the chance that an unmasked text is a name of the list
wanted, got = by_context[:, 0] / inside[:, None], by_context[:, 1]
apart = abs(wanted - got).sum(-1) / 2
tries = 1 / inside
# --8<-- [end:distortion]

# --8<-- [start:distortion_claims]
likeliest_changes = np.mean(wanted.argmax(-1) != got.argmax(-1))
assert np.allclose(got.sum(-1), 1), "a mask loses no probability, it moves it"
assert 0.1 < np.median(apart) < 0.6 and likeliest_changes > 0.2, "and moves a lot"
assert 10 < np.median(tries) < 200, "to reject what is outside costs tens of tries"
# --8<-- [end:distortion_claims]

# --8<-- [start:stops]
ids = words.encode(play).ids
STOPS = ["\n\n", ".\n", "\nMACBETH.", "Exeunt", "ing,", "the "]


def places_of(tokens, sequence):
    """Where a sequence of ids stands among tokens."""
    return [at for at in range(len(tokens)) if tokens[at : at + len(sequence)] == sequence]


stopped = {}
starts_at = np.cumsum([0, *(len(BYTES[number]) for number in ids)])
raw = play.encode()
for stop in STOPS:
    there = [match.start() for match in re.finditer(re.escape(stop.encode()), raw)]
    by_tokens = {starts_at[at] for at in places_of(ids, words.encode(stop).ids)}
    stopped[stop] = len(there), len(there) - len(by_tokens & set(there)), int(np.sum(~np.isin(there, starts_at)))
# --8<-- [end:stops]

# --8<-- [start:stops_table]
print("| Stop string | In the text | Missed by ids | Begins inside a token |\n| --- | ---: | ---: | ---: |")
for stop, (there, missed, within) in stopped.items():
    print(f"| `{json.dumps(stop)[1:-1].replace(' ', '␣')}` | {there:,} | {missed / there:.0%} | {within / there:.0%} |")
# --8<-- [end:stops_table]


# --8<-- [start:streaming]
class Streaming:
    """Text sent on as it comes, without a byte of the stop string or half a character."""

    def __init__(self, stop):
        self.stop, self.held, self.is_stopped = stop.encode(), b"", False

    def __call__(self, new):
        """What may be sent after these bytes of one more token."""
        self.held += new
        if self.stop in self.held:
            self.is_stopped, out = True, self.held.split(self.stop)[0]
            self.held = b""
            return out.decode(errors="replace")
        keep = next(n for n in range(len(self.stop) - 1, -1, -1) if n == 0 or self.held.endswith(self.stop[:n]))
        ready = len(self.held) - keep
        while ready and len(self.held[:ready].decode(errors="ignore").encode()) < ready:
            ready -= 1  # the beginning of a character waits for its end
        out, self.held = self.held[:ready], self.held[ready:]
        return out.decode()


stream = Streaming("the King")
for piece in (b"Here comes", b" th", b"e S", b"ong of caf\xc3", b"\xa9 and", b" th", b"e Ki", b"ngdom"):
    print(f"{piece!r:17} → {stream(piece)!r}")
# --8<-- [end:streaming]


# --8<-- [start:streaming_claims]
def streamed(stop, tokens, hold=True):
    """What a reader has seen when the stop string is complete, with and without holding back."""
    stream, seen = Streaming(stop), ""
    for number in tokens:
        out = stream(BYTES[number])
        seen += out if hold else BYTES[number].decode(errors="replace")
        if stream.is_stopped:
            break
    return seen


LEAK = "\nMACBETH."
leaks = []
for place in (match.start() for match in re.finditer(re.escape(LEAK), play)):
    near = words.encode(play[max(0, place - 60) : place + 20]).ids
    held, shown = streamed(LEAK, near), streamed(LEAK, near, hold=False)
    assert LEAK not in held and shown.startswith(held), "held back, nothing of the stop string is seen"
    leaks.append(len(shown) - len(held))
assert min(leaks) >= 1 and np.median(leaks) == len(LEAK), "sent token by token, all of it is"
assert stream.is_stopped and stream.held == b""
assert stopped["\nMACBETH."][1] == 0 and stopped["the "][1] > 0.9 * stopped["the "][0], "none missed, or nearly all"
prompt = words.encode("MACBETH.\n").ids
answer = weigh.generate(
    lambda so_far: model(so_far[None])[0][0, -1], prompt, max_tokens=24, stop="the ", decode=words.decode
)
assert "the " not in answer.text, "weigh looks for it in the text"
# --8<-- [end:streaming_claims]

# --8<-- [start:filters]
from sklearn.naive_bayes import MultinomialNB

milton = Path("models/quill-milton/held-out.txt").read_text(encoding="utf-8")


def passages(text, many=3):
    lines = [line.strip() for line in text.splitlines() if len(line) > 24]
    return [" ".join(lines[at : at + many]) for at in range(0, len(lines) - many, many)]


allowed, forbidden = passages(play), passages(milton)
teach, hold = (allowed[::2], forbidden[::2]), (allowed[1::2], forbidden[1::2])


def counted(texts):
    return np.stack([np.bincount(one.ids, minlength=V) for one in words.encode_batch(list(texts))])


learned = np.concatenate([counted(some) for some in teach])
labels = np.repeat([0, 1], [len(some) for some in teach])
classifier = MultinomialNB().fit(learned, labels)


def in_a_text(word, text, whole):
    return bool(re.search(rf"\b{word}\b" if whole else word, text, re.IGNORECASE))


LISTED = ["God", "heaven", "hell", "Satan", "sin", "angel"]


@torch.no_grad()
def sampled(many, tokens):
    """Texts of Quill's own, which are allowed: it has read no Milton."""
    random = torch.Generator().manual_seed(0)
    so_far = torch.tensor([words.encode(play[place : place + 60]).ids[:8] for place in starts[: 2 * many : 2]])
    logits, cache = model(so_far)
    out = []
    for _ in range(tokens):
        new = logits[:, -1].softmax(-1).multinomial(1, generator=random)
        out.append(new)
        logits, cache = model(new, cache)
    return words.decode_batch(torch.cat(out, dim=1).tolist())


own = sampled(48, 24)
FILTERS = {
    "words, anywhere": lambda texts: np.array([any(in_a_text(word, text, False) for word in LISTED) for text in texts]),
    "words, whole": lambda texts: np.array([any(in_a_text(word, text, True) for word in LISTED) for text in texts]),
    "classifier": lambda texts: classifier.predict(counted(texts)) == 1,
    "classifier, surer": lambda texts: classifier.predict_log_proba(counted(texts))[:, 1] > np.log(0.999),
}
caught = {name: [block(some) for some in (hold[0], own, hold[1])] for name, block in FILTERS.items()}
# --8<-- [end:filters]


# --8<-- [start:filters_table]
def share(blocked):
    """A share in percent with Wilson's interval."""
    figure = weigh.Figure.share("", int(blocked.sum()), len(blocked))
    return f"{100 * figure.value:.0f} ({100 * figure.low:.0f}–{100 * figure.high:.0f})"


def precision(name, rate=1e-3):
    """Of what is blocked, the share that should be, where so many texts should be: by both ends of the false alarms."""
    hit, false = caught[name][2].mean(), weigh.Figure.share("", int(caught[name][0].sum()), len(hold[0]))
    return [rate * hit / (rate * hit + (1 - rate) * alarms) for alarms in (false.high, false.low)]


print("| Filter | Alarms, % | Quill's, % | Misses, % | Right, % |\n| --- | ---: | ---: | ---: | ---: |")
for name, (false, ours, hits) in caught.items():
    low, high = precision(name)
    print(f"| {name} | {share(false)} | {share(ours)} | {share(~hits)} | {100 * low:.1f}–{100 * high:.1f} |")
# --8<-- [end:filters_table]

# --8<-- [start:filters_claims]
rates = {name: [blocked.mean() for blocked in of] for name, of in caught.items()}
assert rates["words, anywhere"][0] > 2 * rates["words, whole"][0], "sin is in since, hell in shell"
assert rates["words, whole"][2] < 0.3 < 0.8 < rates["classifier"][2], "a list misses what it does not name"
assert rates["classifier"][1] > 4 * rates["classifier"][0], (
    "and the model's own texts are others than those it was tested on"
)
assert precision("classifier")[1] < 0.5, "rare faults make most alarms false"
# --8<-- [end:filters_claims]


# --8<-- [start:when]
def first_alarm(texts):
    """After how many tokens the classifier blocks each text if asked at every token from the eighth on; 0 if never."""
    alarms = []
    for encoding in words.encode_batch(list(texts)):
        odds = prior + np.cumsum(evidence[encoding.ids])[7:]  # naive Bayes adds up tokens
        alarms.append(8 + int(np.argmax(odds > 0)) if (odds > 0).any() else 0)
    return np.array(alarms)


evidence = classifier.feature_log_prob_[1] - classifier.feature_log_prob_[0]
prior = classifier.class_log_prior_[1] - classifier.class_log_prior_[0]
streaming = first_alarm(hold[0]), first_alarm(hold[1])
lengths = [len(encoding.ids) for encoding in words.encode_batch(hold[1])]
typical = float(np.median(lengths))
shown_first = float(np.median(streaming[1][streaming[1] > 0]))
looks = typical - 7
held_back = []
stream = Streaming(LEAK)
for number in ids[:4000]:
    stream(BYTES[number])
    held_back.append(len(stream.held))
    if stream.is_stopped:
        stream = Streaming(LEAK)
# --8<-- [end:when]

# --8<-- [start:when_table]
print("| Asked | Calls a text | Tokens seen first | Alarms, % | Misses, % |\n| --- | ---: | ---: | ---: | ---: |")
after = caught["classifier"]
print(f"| behind the text | 1 | none, but all wait | {share(after[0])} | {share(~after[2])} |")
print(f"| at every token | {looks:.0f} | {shown_first:.0f} | {share(streaming[0] > 0)} | {share(streaming[1] == 0)} |")
# --8<-- [end:when_table]

# --8<-- [start:when_claims]
assert (streaming[0] > 0).mean() > 5 * after[0].mean(), "who looks at every token alarms more often"
assert (streaming[1] == 0).mean() <= (~after[2]).mean() + 0.01 and 8 <= shown_first < typical
# --8<-- [end:when_claims]

# --8<-- [start:costs]
wasted = rates["classifier"][1]
print("| Step | Counted | Here |\n| --- | --- | ---: |")
print(f"| Mask | bits for each token, one for each entry | {V:,} |")
print(f"| Mask | passes that forced tokens spare | {forced / steps:.0%} |")
print(f"| Rejection instead | tries for each text, median | {np.median(tries):.0f} |")
print(f"| Stop, streaming | bytes held back, on average and at most | {np.mean(held_back):.2f}, {max(held_back)} |")
print(f"| Filter behind | texts written for each that passes | {1 / (1 - wasted):.2f} |")
print(f"| Filter at every token | calls for each text | {looks:.0f} |")
# --8<-- [end:costs]

# --8<-- [start:costs_claims]
assert max(held_back) <= len(LEAK) - 1 and np.mean(held_back) < 1, "most of the time nothing waits"
# --8<-- [end:costs_claims]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4), layout="constrained")
order = np.argsort(wanted.mean(0))
left.barh(np.arange(len(NAMES)) + 0.2, wanted.mean(0)[order], 0.4, label="model, given a valid text")
left.barh(np.arange(len(NAMES)) - 0.2, got.mean(0)[order], 0.4, label="masked at every token")
left.set_yticks(range(len(NAMES)), [NAMES[number] for number in order], fontsize=9)
left.set(xlabel="probability, mean of contexts", title="Who speaks next")
base = np.logspace(-4, -0.3, 40)
for name in ("words, whole", "classifier"):
    false, hit = rates[name][0], rates[name][2]
    right.plot(base, base * hit / (base * hit + (1 - base) * false), label=name)
right.axvline(1e-3, color="C3", linestyle=":", label="1 in 1,000")
right.set(xscale="log", xlabel="share of texts to be blocked", title="Blocked rightly", ylim=(0, 1))
for ax in (left, right):
    ax.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.22))
plot_words = (
    f"Left: of six names, the model gives {NAMES[int(wanted.mean(0).argmax())]} {wanted.mean(0).max():.0%} on average "
    f"among valid texts, and a model masked at every token {got.mean(0)[int(wanted.mean(0).argmax())]:.0%}. Right: the "
    "share of blocked texts that should be blocked falls towards nothing as such texts become rare."
)
fig
# --8<-- [end:plot]


# --8<-- [start:own]
def contract(masks_of, pattern, texts):
    """What a constrained decoder leaves out of a language of a few texts, and what it adds."""
    reached, _ = reachable(masks_of(pattern))
    truth = {text.encode() for text in texts}
    return sorted(truth - reached), sorted(reached - truth)


print(contract(regex_masks, "(low|lower)", ["low", "lower"]))
print(contract(outlines_masks, "(low|lower)", ["low", "lower"]))
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert contract(regex_masks, "(low|lower)", ["low", "lower"]) == ([], [])
assert contract(outlines_masks, "(low|lower)", ["low", "lower"]) == ([b"lower"], [])
# --8<-- [end:own_claims]

# --8<-- [start:problems]
found_right = 0.001 * 0.9 / (0.001 * 0.9 + 0.999 * 0.01)
toy_masked = 0.5 * 1.0
toy_wanted = 0.5 * 0.01 / (0.5 * 0.01 + 0.3)
# --8<-- [end:problems]
