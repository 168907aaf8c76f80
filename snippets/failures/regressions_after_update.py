"""The program of "Regressions after update": a release of six parts, six faults, and all mixtures of two releases."""

# --8<-- [start:release]
import json
import shutil
import tempfile
from pathlib import Path

import torch

torch.set_num_threads(1)
HOME = Path("models/quill")
TEMPORARY = tempfile.TemporaryDirectory()
FOLDER = Path(TEMPORARY.name)
FILES = {
    "weights": "model.safetensors",
    "prompt": "prompt.json",
    "tokenizer": "tokenizer.json",
    "decoding": "generation_config.json",
    "retrieval": "retrieval.json",
    "guardrail": "guardrail.json",
}
PARTS, QUESTIONS = list(FILES), 20

play = (HOME / "held-out.txt").read_text(encoding="utf-8")
lines = [at + 1 for at in range(len(play) - 400) if play[at] == "\n" and play[at + 1].isalpha()]
first, second = ([at for at in lines if (at < len(play) / 2) == half] for half in (True, False))
passages = [play[at : at + 160] for at in first[::12]]
questions = [" ".join(play[at : at + 200].split()[:6]) for at in second[:: len(second) // QUESTIONS][:QUESTIONS]]


def write(directory, part, content):
    """Write the file of a part as JSON."""
    directory.mkdir(exist_ok=True)
    (directory / FILES[part]).write_text(json.dumps(content, indent=2), encoding="utf-8")
    return directory


old = FOLDER / "release-1.0"
write(old, "prompt", {"template": "{passage}\n\n{question}", "window": 28})
write(old, "decoding", {"do_sample": False, "max_new_tokens": 5, "repetition_penalty": 1.0})
write(old, "retrieval", {"analyzer": "word", "ngrams": [1, 1], "passages": passages})
write(old, "guardrail", {"words": ["blood", "murder"], "longest": 100, "refusal": "I would rather not say."})
for name in ("config.json", "model.safetensors", "tokenizer.json"):
    shutil.copy(HOME / name, old)
# --8<-- [end:release]

# --8<-- [start:system]
import math
import re
from collections import Counter
from functools import cache

from safetensors.torch import load_file
from tokenizers import Tokenizer

import weigh
from quill.model import Quill

LONGEST = 8  # tokens: settings cut the answer


@cache
def fields(path):
    return json.loads(path.read_text(encoding="utf-8"))


@cache
def tokenizer(path):
    return Tokenizer.from_file(str(path))


@cache
def model(path):
    """Quill with the weights of a file, in float64: near ties then fall the same way everywhere."""
    known = old / FILES["weights"]
    if path != known and weigh.diff(known, path).same:
        return model(known)
    network = Quill(Quill.read(HOME).config).double()
    network.load_state_dict({name: weight.double() for name, weight in load_file(path).items()})
    return network.eval()


def features(text, analyzer, ngrams):
    """How often each run of words, or of letters within a word, is in a text."""
    words = re.findall(r"\w\w+", text.lower())
    units = [words] if analyzer == "word" else [f" {word} " for word in words]
    sizes = range(ngrams[0], ngrams[1] + 1)
    return Counter(tuple(unit[i : i + n]) for unit in units for n in sizes for i in range(len(unit) - n + 1))


@cache
def found(analyzer, ngrams, passages):
    """For each question the passage that is nearest by TF-IDF: features in common, rare ones counting more."""
    counted = [features(passage, analyzer, ngrams) for passage in passages]
    spread = Counter(feature for each in counted for feature in each)
    rarity = {feature: math.log((1 + len(passages)) / (1 + times)) + 1 for feature, times in spread.items()}

    def near(question, passage):
        shared = question.keys() & passage.keys()
        length = math.hypot(*(passage[feature] * rarity[feature] for feature in passage))
        return math.fsum(question[feature] * passage[feature] * rarity[feature] ** 2 for feature in shared) / length

    asked = [features(question, analyzer, ngrams) for question in questions]
    return [max(zip(passages, counted, strict=True), key=lambda pair: near(each, pair[1]))[0] for each in asked]


@cache
@torch.no_grad()
def continued(network, ids, penalty):
    """The next tokens of texts of one length, the likeliest each time."""
    texts, kept = [list(text) for text in ids], None
    step = torch.tensor(texts)
    for _ in range(LONGEST):
        logits, kept = network(step, kept)
        last = logits[:, -1]
        if penalty != 1:
            setting = {"repetition_penalty": penalty}
            pairs = zip(last, texts, strict=True)
            last = torch.stack([weigh.filter_logits(row, setting, text, len(ids[0])).logits for row, text in pairs])
        step = last.argmax(-1, keepdim=True)
        for text, token in zip(texts, step[:, 0].tolist(), strict=True):
            text.append(token)
    return [text[len(ids[0]) :] for text in texts]


def answers(system):
    """What a system answers: a dict that says for each part in which release it is."""
    at = {part: system[part] / file for part, file in FILES.items()}
    prompt, settings, index, rule = (fields(at[part]) for part in ("prompt", "decoding", "retrieval", "guardrail"))
    words = tokenizer(at["tokenizer"])
    near = found(index["analyzer"], tuple(index["ngrams"]), tuple(index["passages"]))
    pairs = zip(near, questions, strict=True)
    texts = [prompt["template"].format(passage=passage, question=question) for passage, question in pairs]
    ids = tuple(tuple(words.encode(text).ids[-prompt["window"] :]) for text in texts)
    new = continued(model(at["weights"]), ids, settings["repetition_penalty"])
    said = [words.decode(tokens[: settings["max_new_tokens"]]) for tokens in new]
    refused = [len(text) > rule["longest"] or any(word in text.lower() for word in rule["words"]) for text in said]
    return [rule["refusal"] if no else text for no, text in zip(refused, said, strict=True)]


golden = answers(dict.fromkeys(PARTS, old))


def kept(system):
    """How many answers begin as those of release 1.0."""
    return sum(now.startswith(was) for now, was in zip(answers(system), golden, strict=True))


for question, answer in list(zip(questions, golden, strict=True))[:3]:
    print(repr(question), "→", repr(answer))
# --8<-- [end:system]

# --8<-- [start:causes]
from safetensors.torch import save_file

from quill import adapter


def padded(source, to):
    """The same tensors in other bytes: spaces at the end of the header, which the format allows."""
    raw = source.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    to.write_bytes(end.to_bytes(8, "little") + raw[8:end] + b" " * 8 + raw[end:])


def rewritten(name):
    """A release in which every file has other bytes, and nothing is another value."""
    release = FOLDER / name
    shutil.copytree(old, release)
    padded(old / "model.safetensors", release / "model.safetensors")
    for path in release.glob("*.json"):
        path.write_text(json.dumps(dict(reversed(fields(old / path.name).items()))), encoding="utf-8")
    return release


@torch.no_grad()
def merged(share):
    """Quill's weights, so far on the way to those with the adapter that was tuned on Milton."""
    adapted = adapter.read(Quill.read(HOME), "models/quill-milton")
    weights = load_file(HOME / "model.safetensors")
    for name, part in adapted.named_modules():
        if isinstance(part, adapter.Adapted):
            weights[f"{name}.weight"] += share * part.scale * part.lora_B.weight @ part.lora_A.weight
    return weights


def exchanged(*pairs):
    """Quill's tokenizer with the ids of two tokens exchanged, for each pair."""
    content = fields(HOME / "tokenizer.json")
    ids = dict(content["model"]["vocab"])
    for one, other in pairs:
        ids[one], ids[other] = ids[other], ids[one]
    return {**content, "model": {**content["model"], "vocab": ids}}


CHANGED = {
    "prompt": {**fields(old / "prompt.json"), "template": "{passage}\n\nSpeak plainly.\n{question}"},
    "tokenizer": exchanged((",", "Ġthe")),
    "decoding": {**fields(old / "generation_config.json"), "repetition_penalty": 1.3},
    "retrieval": {**fields(old / "retrieval.json"), "analyzer": "char_wb", "ngrams": [2, 4]},
    "guardrail": {**fields(old / "guardrail.json"), "words": ["blood", "murder", "death", "ill"]},
}
releases = {"nothing": rewritten("rewritten"), "weights": rewritten("weights")}
save_file(merged(0.2), releases["weights"] / "model.safetensors", {"format": "pt"})
for part, content in CHANGED.items():
    releases[part] = write(rewritten(part), part, content)
# --8<-- [end:causes]

# --8<-- [start:diagnosis]
import random


def diagnose(system, known):
    """The parts of which putting back one alone, from a release that is known, brings every answer back."""
    if kept(system) == QUESTIONS:
        return ["healthy"]
    return [part for part in PARTS if kept({**system, part: known}) == QUESTIONS]


order = list(releases)
random.Random(0).shuffle(order)
named = {cause: diagnose(dict.fromkeys(PARTS, releases[cause]), old) for cause in order}
# --8<-- [end:diagnosis]

# --8<-- [start:causes_table]
manifest = weigh.model_manifest(old)
table = {}
for cause, release in releases.items():
    changed = weigh.verify_manifest(release, manifest).changed
    tensors = weigh.diff(old, release).changes
    values = [change.place for change in weigh.compare(old, release).changes]
    said = [f"{len(tensors)} tensors"] * bool(tensors) + [f"`{place}`" for place in values]
    table[cause] = kept(dict.fromkeys(PARTS, release)), len(changed), said, named[cause]
print("| Changed | Kept | Other bytes | `weigh diff` names | Diagnosis |")
print("| --- | ---: | ---: | --- | --- |")
for cause, (figure, files, said, found_in) in table.items():
    print(f"| {cause} | {figure} | {files} | {', '.join(said) or 'nothing'} | {', '.join(found_in)} |")
# --8<-- [end:causes_table]

# --8<-- [start:causes_claims]
assert all(named[cause] == [cause] for cause in PARTS) and named["nothing"] == ["healthy"]
assert {files for _, files, _, _ in table.values()} == {len(list(old.iterdir()))}, "digests name every file, always"
assert [cause for cause in table if not table[cause][2]] == ["nothing"]
assert all(table[cause][0] < QUESTIONS for cause in PARTS)
least, most = min(PARTS, key=lambda part: table[part][0]), max(PARTS, key=lambda part: table[part][0])
assert most == "guardrail"
refused = [answer for answer in golden if any(word in answer.lower() for word in CHANGED["guardrail"]["words"])]
assert ["will" in answer for answer in refused].count(True) == 1
# --8<-- [end:causes_claims]

# --8<-- [start:second]
EXCHANGED = [(",", "Ġthe"), (".", "Ġand"), ("Ċ", "Ġto")]  # Ċ is a line break
new = rewritten("release-2.0")
write(new, "prompt", {"template": "{passage}\n{question}", "window": 28})
write(new, "tokenizer", exchanged(*EXCHANGED))
write(new, "decoding", {**fields(old / "generation_config.json"), "max_new_tokens": LONGEST})
write(new, "retrieval", {**fields(old / "retrieval.json"), "ngrams": [1, 2]})
write(new, "guardrail", {**fields(old / "guardrail.json"), "longest": 18})
weights = load_file(HOME / "model.safetensors")
ids = fields(HOME / "tokenizer.json")["model"]["vocab"]
for pair in EXCHANGED:  # the rows of the embedding, as the ids
    there, back = [ids[token] for token in pair], [ids[token] for token in pair[::-1]]
    weights["model.embed_tokens.weight"][there] = weights["model.embed_tokens.weight"][back]
save_file(weights, new / "model.safetensors", {"format": "pt"})
# --8<-- [end:second]

# --8<-- [start:compared]
import contextlib
import io

from weigh.cli import main


def run(*words):
    """What a command prints, run where the releases lie."""
    shown = io.StringIO()
    with contextlib.chdir(FOLDER), contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        main(list(words))
    return shown.getvalue()


print(run("diff", "release-1.0", "release-2.0"))
# --8<-- [end:compared]


# --8<-- [start:mixtures]
def mixed(parts):
    """The answers kept by release 1.0 with these parts of 2.0."""
    return kept({part: new if part in parts else old for part in PARTS})


blame = weigh.attribution(PARTS, mixed)
# --8<-- [end:mixtures]

# --8<-- [start:mixtures_table]
print("| Part | New alone | Put back alone | Share of the change |\n| --- | ---: | ---: | ---: |")
for part in PARTS:
    print(f"| {part} | {blame.alone[part]:.0f} | {blame.put_back[part]:.0f} | {blame.shapley[part]:+.1f} |")
print(f"| all six | {blame.after:.0f} | {blame.before:.0f} | {blame.change:+.1f} |")
# --8<-- [end:mixtures_table]

# --8<-- [start:together]
MODEL = frozenset({"weights", "tokenizer"})
LENGTHS = frozenset({"decoding", "guardrail"})
joined = weigh.attribution(
    ["weights and tokenizer", *(part for part in PARTS if part not in MODEL)],
    lambda parts: mixed(parts | MODEL if "weights and tokenizer" in parts else parts),
)
back = joined.restoring()
# --8<-- [end:together]

# --8<-- [start:together_claims]
both = {pair: blame.measured[pair] for pair in (MODEL, LENGTHS)}
assert both[MODEL] == QUESTIONS and all(blame.alone[part] < 5 for part in MODEL), "each alone is ruin, both are nothing"
assert all(blame.alone[part] == QUESTIONS for part in LENGTHS) and both[LENGTHS] < QUESTIONS / 2
assert all(figure < QUESTIONS for figure in blame.put_back.values()), "no part alone brings release 1.0 back"
assert all(blame.put_back[part] < blame.after for part in MODEL), "putting back one of the two is worse than neither"
assert joined.shapley["weights and tokenizer"] == 0 and min(map(abs, (blame.shapley[part] for part in MODEL))) > 2
assert set(back) == {frozenset({"prompt", "retrieval", part}) for part in LENGTHS} == set(blame.restoring())
assert abs(sum(blame.shapley.values()) - blame.change) < 1e-9
# --8<-- [end:together_claims]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 4.4))
shares = {
    "the change alone": {part: blame.alone[part] - blame.before for part in PARTS},
    "share, of six parts": blame.shapley,
    "share, weights and tokenizer as one": joined.shapley,
}
for number, (label, values) in enumerate(shares.items()):
    places = [PARTS.index(part) + 0.27 * (number - 1) for part in PARTS if part in values]
    ax.barh(places, [values[part] for part in PARTS if part in values], height=0.25, label=label)
ax.set_yticks(range(len(PARTS)), PARTS)
ax.invert_yaxis()
ax.set(xlabel=f"answers lost, of {QUESTIONS}", xticks=range(-QUESTIONS, 1, 5))
ax.legend(loc="lower left", frameon=False)
plot_words = "Bars for each part. " + " ".join(
    f"{label.capitalize()}: " + ", ".join(f"{part} {value:.1f}" for part, value in values.items()) + "."
    for label, values in shares.items()
)
fig
# --8<-- [end:plot]

# --8<-- [start:own]
(FOLDER / "release-1.0.json").write_text(run("manifest", "release-1.0"), encoding="utf-8")
copy = shutil.copytree(old, FOLDER / "copy")
write(copy, "decoding", {**fields(old / "generation_config.json"), "do_sample": True})
(copy / "prompt.json").unlink()
file = manifest.files["model.safetensors"]
pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.sha256}\nsize {file.bytes}\n"
(copy / "model.safetensors").write_text(pointer, encoding="utf-8")
print(run("manifest", "copy", "--check", "release-1.0.json"))
# --8<-- [end:own]

# --8<-- [start:problems]
runs = 2 * len(PARTS)
interaction = both[LENGTHS] - sum(blame.alone[part] for part in LENGTHS) + blame.before
rare, chance = 0.01, 0.95
enough = math.ceil(math.log(1 - chance) / math.log(1 - rare))
# --8<-- [end:problems]
