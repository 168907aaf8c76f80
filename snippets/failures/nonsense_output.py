"""The program of "Nonsense output": five causes made for real, and a diagnosis that is told none of them."""

# --8<-- [start:system]
import json
import math
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import mean

import torch
from safetensors.torch import load_file, save_file

import weigh
from quill import adapter, tokenizer
from quill.model import Config, Quill

torch.set_num_threads(1)
BASE, MILTON = Path("models/quill"), Path("models/quill-milton")
MACBETH = (BASE / "held-out.txt").read_text(encoding="utf-8")
EPIC = (MILTON / "held-out.txt").read_text(encoding="utf-8")


def plain(text):
    """The prompt that the model knows: the text and nothing else."""
    return text


@dataclass(frozen=True)
class System:
    """What is served, and a text that a user sent to it."""

    model: Path = BASE
    adapter: Path | None = MILTON
    prompt: Callable[[str], str] = plain
    text: str = EPIC[20_000:21_500]


# --8<-- [end:system]

# --8<-- [start:make]
scratch = tempfile.TemporaryDirectory()


def copied(source, name):
    """A copy of a directory that may be broken."""
    return Path(shutil.copytree(source, Path(scratch.name, name)))


def wrong_tokenizer(seed):
    """Quill with the same tokens under other numbers."""
    home = copied(BASE, f"tokenizer-{seed}")
    whole = json.loads((home / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = whole["model"]["vocab"]
    names = [name for name, number in vocabulary.items() if number]
    numbers = [vocabulary[name] for name in names]
    random.Random(seed).shuffle(numbers)
    vocabulary.update(zip(names, numbers, strict=True))
    (home / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    return System(home)


def another_tokenizer(text, name):
    """Quill with a tokenizer of its size that was trained on another text."""
    home = copied(BASE, f"tokenizer-{name}")
    tokenizer.train([text]).save(str(home / "tokenizer.json"))
    return System(home)


def wrong_checkpoint(seed, change):
    """Quill with other weights of the same names and shapes."""
    home = copied(BASE, f"checkpoint-{change.__name__}-{seed}")
    weights = load_file(home / "model.safetensors")
    save_file(change(weights, seed), home / "model.safetensors", metadata={"format": "pt"})
    return System(home)


def never_trained(weights, seed):
    torch.manual_seed(seed)
    return {name: value.clone() for name, value in Quill(Config.read(BASE)).state_dict().items()}


def shuffled_layers(weights, seed):
    order = [[0, 2, 1, 3], [3, 1, 2, 0], [2, 3, 0, 1]][seed]
    old = {f"model.layers.{new}.": f"model.layers.{layer}." for new, layer in enumerate(order)}
    return {name: weights[name.replace(name[:15], old.get(name[:15], name[:15]))].clone() for name in weights}


def wrong_adapter(seed):
    """The adapter of another base: of one that computes what Quill does, with its width in another order.

    Trained there, by the same steps, it would be this one.
    """
    home = copied(MILTON, f"adapter-{seed}")
    next(home.glob("README*")).unlink()  # as most adapters come: without a digest of their base
    pairs, order = (
        load_file(home / "adapter_model.safetensors"),
        torch.randperm(192, generator=torch.Generator().manual_seed(seed)),
    )
    for name, value in pairs.items():
        reads = "down_proj" not in name and "o_proj" not in name
        if ("lora_A" in name) == reads:  # the side that faces the residual stream
            pairs[name] = (value[:, order] if reads else value[order]).contiguous()
    save_file(pairs, home / "adapter_model.safetensors", metadata={"format": "pt"})
    return System(adapter=home)


# --8<-- [end:make]

# --8<-- [start:causes]
PROMPTS = {
    "ChatML": lambda text: f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n",
    "Alpaca": lambda text: f"### Instruction:\nGo on.\n\n### Input:\n{text}\n\n### Response:\n",
    "blank line": lambda text: text + "\n\n",
    "space": lambda text: text + " ",
    "end token": lambda text: text + "<|endoftext|>",
}
CODE = Path("snippets/inference/memory_to_serve.py").read_text(encoding="utf-8")
FAUST = (  # Goethe, 1808
    "Habe nun, ach! Philosophie, Juristerei und Medizin, und leider auch Theologie durchaus studiert, mit "
    "heißem Bemühn. Da steh ich nun, ich armer Tor! Und bin so klug als wie zuvor; heiße Magister, heiße "
    "Doktor gar, und ziehe schon an die zehen Jahr herauf, herab und quer und krumm meine Schüler an der "
    "Nase herum, und sehe, dass wir nichts wissen können! "
)
CAESAR = (  # De bello Gallico
    "Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae, aliam Aquitani, tertiam qui ipsorum "
    "lingua Celtae, nostra Galli appellantur. Hi omnes lingua, institutis, legibus inter se differunt. "
)
FOREIGN = {
    "Python": CODE[:1500],
    "JSON": (BASE / "training.json").read_text(encoding="utf-8")[:1500],
    "German": 2 * FAUST,
    "Latin": 4 * CAESAR,
    "a licence": Path("LICENSE").read_text(encoding="utf-8")[:1500],
}
SOUND = [
    System(),
    System(adapter=None, text=MACBETH[30_000:31_500]),
    System(text=EPIC[40_000:41_500]),
    System(prompt=lambda text: "<|endoftext|>" + text),  # what every work begins with
    System(prompt=lambda text: "You are a helpful assistant. " + text),
]
CAUSES = {
    "wrong tokenizer": [
        *(wrong_tokenizer(seed) for seed in range(3)),
        another_tokenizer(EPIC[:40_000], "Milton"),
        another_tokenizer(CODE, "Python"),
    ],
    "wrong checkpoint": [
        *(wrong_checkpoint(seed, never_trained) for seed in range(2)),
        *(wrong_checkpoint(seed, shuffled_layers) for seed in range(3)),
    ],
    "incompatible adapter": [wrong_adapter(seed) for seed in range(5)],
    "bad prompt": [System(prompt=build) for build in PROMPTS.values()],
    "out-of-distribution input": [System(text=text) for text in FOREIGN.values()],
    "sound": SOUND,
}
# --8<-- [end:causes]


# --8<-- [start:loss]
def total_loss(model, rows, counted):
    """The loss of the last tokens of each row, in bits."""
    with torch.no_grad():
        logits = model(rows)[0][:, -counted - 1 : -1]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), rows[:, -counted:], reduction="sum")
    return float(losses) / math.log(2)


def bits_per_byte(model, words, text):
    """The loss on a text, for each of its bytes, so that tokenizers may differ."""
    ids = words.encode(text).ids
    length = min(128, len(ids))
    rows = torch.tensor(ids[: len(ids) // length * length]).view(-1, length)
    size = sum(len(words.decode(row[1:], skip_special_tokens=False).encode()) for row in rows.tolist())
    return total_loss(model, rows, length - 1) / size


def cost_of_prompt(model, words, prompt, text, places=6, tokens=8):
    """How much more the true continuation costs behind the prompt than behind the bare text, in bits per byte."""
    ids, costs = words.encode(text).ids, []
    for start in range(0, places * 500, 500):
        cut = next(at for at in range(start + 40, len(ids)) if re.match(r" \w", words.decode([ids[at]])))
        before, after = words.decode(ids[start:cut]), words.decode(ids[cut : cut + tokens])
        for begin in (prompt(before), before):
            rest = after.lstrip() if begin[-1].isspace() else after
            first, last = (words.encode(part).ids for part in (begin, rest))
            costs.append(total_loss(model, torch.tensor([first + last]), len(last)) / len(after.strip()))
    return mean(costs[::2]) - mean(costs[1::2])


# --8<-- [end:loss]


# --8<-- [start:diagnosis]
@cache
def examined(home):
    """The examinations of the doctor that found something, and the figure of each."""
    results = weigh.diagnose(home).results
    found = {result.check for result in results if result.finding == "yes"}
    return found, {result.check: result.figure.value for result in results}


@cache
def loaded(home):
    """The tokenizer of a directory, and the model alone."""
    return tokenizer.read(home), Quill.read(home)


@cache
def known_loss(home, words):
    """The loss of a model alone on a text of which the release says it, with the tokenizer of a directory."""
    return bits_per_byte(loaded(home)[1], tokenizer.read(words), MACBETH[:1500])


@cache
def adapted(home, folder):
    """A model with an adapter, and its loss on the adapter's own text, and what that is more than without."""
    words, alone = loaded(home)
    model = adapter.read(Quill.read(home), folder)
    loss = bits_per_byte(model, words, EPIC[:1500])
    return model, loss, loss - bits_per_byte(alone, words, EPIC[:1500])


RELEASED = known_loss(BASE, BASE)


def diagnosed(system):
    """The cause of a system's nonsense, and what was measured on the way to it."""
    found, figures = examined(system.model)
    known = known_loss(system.model, system.model) / RELEASED
    seen = {"area": figures["tokens against the embedding"], "known": known}
    if found:
        seen["swapped"] = known_loss(system.model, BASE) / RELEASED  # with the release's own tokenizer
        return ("wrong tokenizer" if seen["swapped"] < 1.05 else "wrong checkpoint"), seen
    if known > 1.05:
        return "wrong checkpoint", seen
    (words, model), text, expected = loaded(system.model), MACBETH, RELEASED
    if system.adapter:
        text = EPIC
        model, expected, seen["adapter"] = adapted(system.model, system.adapter)
        if seen["adapter"] > -0.05:
            return "incompatible adapter", seen
    seen["prompt"] = 0.0 if system.prompt is plain else cost_of_prompt(model, words, system.prompt, text)
    if seen["prompt"] > 0.1:
        return "bad prompt", seen
    seen["input"] = bits_per_byte(model, words, system.text) / expected
    return ("out-of-distribution input" if seen["input"] > 1.5 else "sound"), seen


# --8<-- [end:diagnosis]

# --8<-- [start:blind]
cases = [(cause, system) for cause, systems in CAUSES.items() for system in systems]
random.Random(0).shuffle(cases)
answers = [(cause, *diagnosed(system)) for cause, system in cases]
right = {cause: sum(truth == cause == said for truth, said, _ in answers) for cause in CAUSES}
# --8<-- [end:blind]

# --8<-- [start:blind_table]
print("| Made | Named right | Named something else |\n| --- | ---: | ---: |")
for cause, systems in CAUSES.items():
    print(f"| {cause} | {right[cause]} | {len(systems) - right[cause]} |")
# --8<-- [end:blind_table]

# --8<-- [start:blind_claims]
assert all(right[cause] == len(systems) == 5 for cause, systems in CAUSES.items()), (
    "each is named, and none where sound"
)


def of(measure, *causes):
    """The values of a measure on the systems of some causes, lowest first; of all but those with a minus before."""
    return sorted(seen[measure] for cause, _, seen in answers if cause in causes and measure in seen)


trained = [cause for cause in CAUSES if cause not in ("wrong tokenizer", "wrong checkpoint")]
areas = of("area", *trained)
assert of("area", "wrong tokenizer")[-1] < 0.7 and areas[0] > 0.95, "an embedding knows its own tokens"
assert of("known", "wrong tokenizer")[0] > 2 and of("known", *trained)[-1] == 1
assert of("known", "wrong checkpoint")[0] < 1.3 < 2 < of("known", "wrong checkpoint")[-1], (
    "two layers exchanged cost little"
)
assert of("adapter", "incompatible adapter")[0] > 0 > -0.15 > of("adapter", "sound")[-1], (
    "its own base gains, another loses"
)
assert of("prompt", "bad prompt")[0] > 0.4 > 0.05 > of("prompt", "sound")[-1], (
    "a begin token and a preface are harmless"
)
assert of("input", "out-of-distribution input")[0] > 1.6 and of("input", "sound")[-1] < 1.35
figure_words = (
    "Five strips of dots, one for each fork. In each, the systems with its cause lie apart from all others: areas of "
    f"{of('area', 'wrong tokenizer')[-1]:.2f} and below against {areas[0]:.3f}, adapters that add loss against one "
    f"that saves {-of('adapter', 'sound')[-1]:.2f} bits per byte, prompts that cost "
    f"{of('prompt', 'bad prompt')[0]:.1f} and more against nearly 0."
)
# --8<-- [end:blind_claims]

# --8<-- [start:figure]
import matplotlib.pyplot as plt

FORKS = {
    "area": ("the doctor: area under the curve", 0.75),
    "known": ("loss on the known text ÷ the release's", 1.05),
    "adapter": ("loss with the adapter − without, bits per byte", -0.05),
    "prompt": ("what the prompt costs, bits per byte", 0.1),
    "input": ("loss on the input ÷ on the known text", 1.5),
}


def fork(cause, seen):
    """The fork that parts a system from the rest; none if it is sound."""
    return None if cause == "sound" else "area" if "swapped" in seen else list(seen)[-1]


fig, axes = plt.subplots(len(FORKS), 1, figsize=(7, 5.6), layout="constrained")
left = [(fork(cause, seen), seen) for cause, _, seen in answers]
for ax, (measure, (title, limit)) in zip(axes, FORKS.items(), strict=True):
    for row, (here, mark) in enumerate([(True, "C1o"), (False, "C0s")]):
        values = [seen[measure] for at, seen in left if measure in seen and (at == measure) == here]
        ax.plot(values, [row] * len(values), mark, alpha=0.6, label="broken here" if here else "all others")
    left = [(at, seen) for at, seen in left if at != measure]
    ax.axvline(limit, color="C3", linestyle=":", label="the fork")
    ax.set(ylim=(-0.8, 1.8), yticks=[], title=title)
    ax.grid(False)
axes[-1].legend(fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.5))
fig
# --8<-- [end:figure]

# --8<-- [start:planted]
HEADER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 7875280\n"


def fields(name, **changes):
    """A change of fields in a JSON file."""

    def change(home):
        found = json.loads((home / name).read_text(encoding="utf-8"))
        (home / name).write_text(json.dumps(found | changes), encoding="utf-8")

    return change


def tensors(change):
    """A change of the tensors."""

    def rewrite(home):
        weights = load_file(home / "model.safetensors")
        change(weights)
        save_file(weights, home / "model.safetensors", metadata={"format": "pt"})

    return rewrite


GATE, WORDS = "model.layers.2.mlp.gate_proj.weight", "model.embed_tokens.weight"
PLANTED = {
    "a pointer, no file": lambda home: (home / "model.safetensors").write_text(HEADER),
    "a file cut off": lambda home: (home / "model.safetensors").write_bytes(
        (BASE / "model.safetensors").read_bytes()[:-9]
    ),
    "five layers said, four there": fields("config.json", num_hidden_layers=5),
    "one NaN in 1,967,808": tensors(lambda weights: weights[GATE][0].__setitem__(0, math.nan)),
    "one bit flipped": tensors(lambda weights: weights[GATE][0].__setitem__(0, 2.0**100)),
    "a matrix of zeros": tensors(lambda weights: weights[GATE].zero_()),
    "a head beside the tied one": tensors(lambda weights: weights.update({"lm_head.weight": 2 * weights[WORDS]})),
    "the end token of Llama": fields("generation_config.json", eos_token_id=2),
    "max_tokens": fields("generation_config.json", max_tokens=99),
    "a template of another model": fields("tokenizer_config.json", chat_template="<|im_start|>{{ messages }}"),
}
findings = {}
for number, (name, plant) in enumerate(PLANTED.items()):
    home = copied(BASE, f"planted-{number}")
    plant(home)
    findings[name] = [result for result in weigh.diagnose(home).results if result.finding == "yes"]
# --8<-- [end:planted]

# --8<-- [start:planted_table]
print("| Planted | Found by | What it says |\n| --- | --- | --- |")
for name, results in findings.items():
    said = results[0].evidence[0]["is"].split(";")[0].replace("|", "\\|").replace("<", "&lt;")
    print(f"| {name} | {results[0].check} | {said} |")
# --8<-- [end:planted_table]

# --8<-- [start:planted_claims]
assert all(findings.values()), "every planted fault is found"
sound = [weigh.diagnose(home) for home in (BASE, MILTON, "models/quill-draft")]
assert all(report.finding == "no" for report in sound), "and none on healthy models"
configs = [
    path.parent for path in Path("models").glob("*/config.json") if not path.with_name("model.safetensors").exists()
]
assert all(weigh.diagnose(home).finding == "no" for home in configs[:5])
# --8<-- [end:planted_claims]


# --8<-- [start:samples]
def written(system, tokens=12):
    """What a system writes, greedily, behind a prompt from the known text."""
    words = tokenizer.read(system.model)
    model = Quill.read(system.model)
    model = (adapter.read(model, system.adapter) if system.adapter else model).double()
    begin = words.encode(system.prompt(" Of Man's first disobedience, and the fruit")).ids
    ids = list(begin)
    with torch.no_grad():
        for _ in range(tokens):
            ids.append(int(model(torch.tensor([ids]))[0][0, -1].argmax()))
    return " ".join(words.decode(ids[len(begin) :]).split())


for cause in ("sound", "wrong tokenizer", "wrong checkpoint", "incompatible adapter", "bad prompt"):
    print(f"{cause:21} …{written(CAUSES[cause][-3])}")
# --8<-- [end:samples]

# --8<-- [start:command]
report = weigh.diagnose(CAUSES["wrong tokenizer"][0].model)
for result in report.results:
    if result.finding == "yes":
        print(result.check, "·", result.figure.name)
        print(f"{result.figure.value:.2f}", "·", result.reason.partition(";")[2].strip())
print(len(report.results), "examined;", len(report.not_examined), "not:")
for name, why in list(report.not_examined.items())[:3]:
    print(" ", name, "·", why)
# --8<-- [end:command]

# --8<-- [start:attributed]
later = copied(BASE, "later")
fields("generation_config.json", temperature=1.2)(later)
changed = weigh.diagnose(later, against=BASE)
for result in changed.results:
    for row in result.evidence:
        print(result.check, "·", row["place"], "·", row["is"], "·", row["should be"])
assert changed.finding == "yes" and weigh.diagnose(later).finding == "no"
# --8<-- [end:attributed]

# --8<-- [start:problems]
uniform = math.log2(2048) * len(tokenizer.read(BASE).encode(MACBETH[:1500]).ids) / 1500
swapped = copied(BASE, "two-tokens")
whole = json.loads((swapped / "tokenizer.json").read_text(encoding="utf-8"))
vocabulary = whole["model"]["vocab"]
vocabulary["Ġthe"], vocabulary["Ġand"] = vocabulary["Ġand"], vocabulary["Ġthe"]
(swapped / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
two_tokens = known_loss(swapped, swapped) / RELEASED
assert weigh.diagnose(swapped).finding == "no" and two_tokens > 1.03, "two tokens exchanged: only the loss says so"
assert weigh.diagnose(swapped, against=BASE).finding == "yes"
loads = sum(len(CAUSES[cause]) for cause in CAUSES if cause != "sound")
# --8<-- [end:problems]
