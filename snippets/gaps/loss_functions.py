"""The program of "Loss functions": a loss that prefers the wrong model, losses that are equal where models are not."""

# --8<-- [start:data]
from importlib.resources import files

import polars as pl
from sklearn.model_selection import GroupShuffleSplit
from sklearn.tree import DecisionTreeRegressor

KNOWN = ["xage", "female", "black", "linc", "lnum", "disea", "physlm", "mhi", "coins", "year"]
raw = files("statsmodels.datasets.randhie").joinpath("src/randhie.csv")
years = pl.read_csv(raw, infer_schema_length=None)
X, spent, person = (years[column].to_numpy() for column in (KNOWN, "meddol", "zper"))
# --8<-- [end:data]


# --8<-- [start:fault]
def judged(seed):
    """Half of the people teach a tree; its leaves answer for the others."""
    split = GroupShuffleSplit(1, test_size=0.5, random_state=seed)
    train, test = next(split.split(X, spent, person))
    tree = DecisionTreeRegressor(min_samples_leaf=200, random_state=0)
    taught = tree.fit(X[train], spent[train]).apply(X[train])
    leaves = pl.DataFrame({"leaf": taught, "spent": spent[train]}).group_by("leaf")
    answers = leaves.agg(
        mean=pl.mean("spent"),  # least squared error
        median=pl.median("spent"),  # least absolute error
    )
    unseen = {"spent": spent[test], "person": person[test], "leaf": tree.apply(X[test])}
    return pl.DataFrame(unseen).join(answers, on="leaf", maintain_order="left")


halves = [judged(seed) for seed in range(5)]
# --8<-- [end:fault]

# --8<-- [start:fault_table]
from statistics import median


def over_seeds(measure):
    """The median of a measure over the five halves, and its range."""
    found = sorted(measure(half) for half in halves)
    return found[2], found[0], found[-1]


print("| A leaf answers | Absolute error, $ | Total predicted ÷ spent |\n| --- | ---: | ---: |")
shown = {}
for name in ("mean", "median"):
    missed = over_seeds(lambda half, name=name: (half[name] - half["spent"]).abs().mean())
    total = over_seeds(lambda half, name=name: half[name].sum() / half["spent"].sum())
    shown[name] = missed, total
    misses, totals = (f"{mid:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"
                      for (mid, low, high), digits in ((missed, 0), (total, 2)))  # fmt: skip
    print(f"| its {name} | {misses} | {totals} |")
# --8<-- [end:fault_table]

# --8<-- [start:fault_claims]
assert years.height == 20_190 and years["zper"].n_unique() == 5_912
assert shown["median"][0][2] < shown["mean"][0][1], "the median misses by less, in each half"
assert shown["median"][1][2] < 0.35 and shown["mean"][1][1] > 0.9, "and predicts a third of the money at most"
better_by = median((half["median"] - half["spent"]).abs().mean() / (half["mean"] - half["spent"]).abs().mean()
                   for half in halves)  # fmt: skip
# --8<-- [end:fault_claims]

# --8<-- [start:caught]
import weigh

half = halves[0]


def favourite(loss, objective, **settings):
    """Whether users would gain by another model than the loss's favourite."""
    return weigh.loss_against_objective(
        half, "spent", ["mean", "median"], loss, objective,
        group="person", **settings,
    )  # fmt: skip


for loss in ("absolute", "squared"):
    found = favourite(loss, "bias")
    print(f"{loss} against the total: fault {found.finding}")
    print(f"  {found.figure.name}: ${found.figure.value:.0f}")
    print(f"  [{found.figure.low:.0f}, {found.figure.high:.0f}], {found.figure.interval}")
# --8<-- [end:caught]

# --8<-- [start:caught_claims]
assert favourite("absolute", "bias").finding == "yes" and found.finding == "no"
assert favourite("squared", "absolute").finding == "yes", "and for a user who sees the single miss it is the reverse"
# --8<-- [end:caught_claims]

# --8<-- [start:evidence]
print("| Judged by | mean | median | prefers |\n| --- | ---: | ---: | --- |")
for row in found.evidence:
    print(f"| {row['score']} | {row['mean']:,.0f} | {row['median']:,.0f} | {row['prefers']} |")
# --8<-- [end:evidence]

# --8<-- [start:alike]
import numpy as np
from scipy.optimize import brentq, minimize_scalar


def calibrated(scores, cost):
    """Scores times the factor that costs least."""
    best = minimize_scalar(lambda log: cost(np.exp(log) * scores), bounds=(-8, 4), method="bounded")
    return np.exp(best.x) * scores


def too_sure(scores, cost, allowed):
    """Scores so large that they cost what is allowed, and a thousandth of a nat."""
    best = calibrated(scores, cost)
    return best * brentq(lambda factor: cost(factor * best) - allowed - 0.001, 1, 1000)


# --8<-- [end:alike]

# --8<-- [start:binary]
from scipy.special import expit
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

cells, benign = load_breast_cancer(return_X_y=True)
logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def held_out_logits(columns):
    """Five-fold predictions from some of the columns."""
    return cross_val_predict(logistic, cells[:, columns], benign, cv=5, method="decision_function")


def cost_of_logits(logits):
    return log_loss(benign, expit(logits))


weak = calibrated(held_out_logits([0]), cost_of_logits)
strong = too_sure(held_out_logits(range(30)), cost_of_logits, cost_of_logits(weak))
tumours = pl.DataFrame({"y": benign, "weak": expit(weak), "strong": expit(strong)})
# --8<-- [end:binary]

# --8<-- [start:lists]
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import Ridge

images, digit = load_digits(return_X_y=True)
top, bottom = images[:, :32], images[:, 32:]
LEARNT, QUERIES, ITEMS = 1000, 300, 10
rng = np.random.default_rng(0)
asked = np.arange(LEARNT, LEARNT + QUERIES)
offered = np.array([[one, *rng.choice(np.setdiff1d(asked, one), ITEMS - 1, replace=False)] for one in asked])


def similarity(pixels):
    """How near each offered lower half is to the one that an upper half foretells, from some of its pixels."""
    foretold = Ridge(1.0).fit(top[:LEARNT][:, pixels], bottom[:LEARNT]).predict(top[asked][:, pixels])
    return -((bottom[offered] - foretold[:, None]) ** 2).sum(-1)


def alike(weak, strong, relevant):
    """Two rankings of one softmax loss, as a table. Shapes: (queries, items)."""

    def cost(scores):
        share = relevant / relevant.sum(1, keepdims=True)
        return -float((share * log_softmax(scores, axis=1)).sum(1).mean())

    weak = calibrated(weak, cost)
    columns = {"y": relevant, "weak": weak, "strong": too_sure(strong, cost, cost(weak))}
    query = np.repeat(np.arange(len(relevant)), relevant.shape[1])
    return pl.DataFrame({"query": query} | {name: values.ravel() for name, values in columns.items()})


by_all, by_four = similarity(np.arange(32)), similarity([10, 13, 18, 21])
own = np.broadcast_to(np.arange(ITEMS) == 0, offered.shape).astype(float)
same_digit = (digit[offered] == digit[asked][:, None]).astype(float)
halves_of_images = alike(by_four, by_all, own)
same_digits = alike(by_four, by_all, same_digit)
# --8<-- [end:lists]

# --8<-- [start:quill]
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from quill import tokenizer
from quill.model import Quill

torch.set_num_threads(1)
words = tokenizer.read("models/quill")
play = Path("models/quill/held-out.txt").read_text(encoding="utf-8")
SPEECHES, LONGEST = 80, 96
speeches = [words.encode(f"{speech}\n\n").ids[:LONGEST] for speech in play.split("\n\n") if speech.strip()][:SPEECHES]


@torch.no_grad()
def logits_of(model, texts):
    """The logits at each place of each text, 16 texts of like length at a time."""
    found, order = {}, sorted(range(len(texts)), key=lambda one: len(texts[one]))
    for some in (order[start : start + 16] for start in range(0, len(texts), 16)):
        padded = pad_sequence([torch.tensor(texts[one]) for one in some], batch_first=True)
        found |= {one: logits[: len(texts[one])] for one, logits in zip(some, model(padded)[0], strict=True)}
    return [found[one] for one in range(len(texts))]


decoders = {name: Quill.read(f"models/{name}").double() for name in ("quill", "quill-draft")}
read = {name: logits_of(model, speeches) for name, model in decoders.items()}
# --8<-- [end:quill]

# --8<-- [start:preference]
START, NEXT = 8, 12
long = [text for text in speeches if len(text) >= START + NEXT]
following = long[1:] + long[:1]
texts = {  # the rest of a speech, and that of the next speech in its place
    "chosen": [text[: START + NEXT] for text in long],
    "rejected": [text[:START] + other[START : START + NEXT] for text, other in zip(long, following, strict=True)],
}


def log_probability(model, texts):
    """Of what stands after the start of each text."""
    logits = torch.stack(logits_of(model, texts))[:, START - 1 : -1]
    return -cross_entropy(logits.mT, torch.tensor(texts)[:, START:], reduction="none").sum(1).numpy()


rewards = {name: np.stack([log_probability(model, some) for some in texts.values()], 1)
           for name, model in decoders.items()}  # fmt: skip
pairs = alike(rewards["quill-draft"], rewards["quill"], np.array([[1.0, 0.0]] * len(long)))
# --8<-- [end:preference]

# --8<-- [start:sequence]
PLACES = 500
logits = {name: torch.cat([one[:-1] for one in found])[:PLACES].numpy() for name, found in read.items()}
next_token = np.concatenate([text[1:] for text in speeches])[:PLACES]


def token_cost(scores):
    return -float(log_softmax(scores, axis=1)[np.arange(PLACES), next_token].mean())


logits["quill-draft"] = calibrated(logits["quill-draft"], token_cost)
logits["quill"] = too_sure(logits["quill"], token_cost, token_cost(logits["quill-draft"]))
guessed = {name: float((scores.argmax(1) == next_token).mean()) for name, scores in logits.items()}
# --8<-- [end:sequence]

# --8<-- [start:cases]
level = brentq(lambda by: ((half["mean"] + by - half["spent"]) ** 2).mean()
               - 0.999 * ((half["median"] - half["spent"]) ** 2).mean(), 0, 1000)  # fmt: skip
dollars = half.select("person", y="spent", weak=pl.col("mean") + level, strong="median")
CASES = {
    "Regression": (dollars, "squared", "median", "person", "typical miss", "${:.0f}"),
    "Classification": (tumours, "log", "accuracy", None, "accuracy", "{:.0%}"),
    "Ranking": (same_digits, "softmax", "ndcg", "query", "NDCG", "{:.2f}"),
    "Contrastive": (halves_of_images, "softmax", "top-1", "query", "first is right", "{:.0%}"),
    "Preference": (pairs, "softmax", "top-1", "query", "pairs in order", "{:.0%}"),
}
findings = {}
print("| Kind | Loss of both | Users see | Weak → strong | Check |\n| --- | ---: | --- | --- | --- |")
for kind, (table, loss, objective, group, seen, form) in CASES.items():
    case = weigh.loss_against_objective(table, "y", ["weak", "strong"], loss, objective, group=group, resamples=200)
    (cost, seen_by) = case.evidence[:2]
    findings[kind] = case.finding, cost, seen_by
    pair = " → ".join(form.format(seen_by[name]) for name in ("weak", "strong"))
    print(f"| {kind} | {loss} {cost['weak']:,.2f} | {seen} | {pair} | {case.finding} |")
costs = {name: token_cost(scores) for name, scores in logits.items()}
pair = f"{guessed['quill-draft']:.0%} → {guessed['quill']:.0%}"
print(f"| Sequence | log {costs['quill-draft']:.2f} | next token guessed | {pair} | |")
# --8<-- [end:cases]

# --8<-- [start:case_claims]
for kind, (answer, cost, _) in findings.items():
    assert abs(cost["strong"] / cost["weak"] - 1) < 0.004, "the losses are equal"
    assert answer == ("undecided" if kind == "Preference" else "yes"), kind
accuracy = findings["Classification"][2]
assert accuracy["strong"] > 0.96 and accuracy["weak"] < 0.9
assert guessed["quill"] > guessed["quill-draft"] + 0.03 and abs(costs["quill"] - costs["quill-draft"] - 0.001) < 1e-4
assert np.array_equal(strong > 0, held_out_logits(range(30)) > 0), "being too sure changes no answer"
# --8<-- [end:case_claims]


# --8<-- [start:tokens]
def token_losses(logits, shift=1):
    """A row for each token; each is labelled with the one `shift` places on."""
    parts = []
    for speech, (scores, text) in enumerate(zip(logits, speeches, strict=True)):
        labels = torch.tensor(text[shift:] + [-100] * shift)
        losses = cross_entropy(scores, labels, reduction="none")  # 0 for −100
        parts.append({"speech": [speech] * len(text), "label": labels.numpy(), "loss": losses.numpy()})
    return pl.concat(map(pl.DataFrame, parts))


right = token_losses(read["quill"])
means = weigh.token_and_sequence_mean(right, "speech", "loss", label="label")
print(f"{means.check}: fault {means.finding}")
print(f"  {means.figure.value:.2f} nats [{means.figure.low:.2f}, {means.figure.high:.2f}]")
print("  " + means.notes[0].replace("; ", "\n  "))
# --8<-- [end:tokens]

# --8<-- [start:token_claims]
assert means.finding == "yes"
kept = right.filter(pl.col("label") != -100)
by_token = kept["loss"].mean()
by_sequence = kept.group_by("speech").agg(pl.mean("loss"))["loss"].mean()
assert by_sequence < by_token - 0.1, "short speeches are easier"
shares = kept.group_by("speech").len()["len"]
packed = kept.with_columns(window=pl.int_range(pl.len()) // 32).slice(0, 32 * (kept.height // 32))
even = weigh.token_and_sequence_mean(packed, "window", "loss")
assert even.finding == "no" and even.figure.value < 1e-9, "windows of one length have one mean"
# --8<-- [end:token_claims]

# --8<-- [start:divisors]
import warnings

from torch.nn.functional import kl_div

warnings.filterwarnings("ignore", "reduction: 'mean'")  # kl_div says that its mean will be batchmean one day
teacher, student = (torch.cat(found)[:200].log_softmax(-1) for found in read.values())
total = float(kl_div(student, teacher, log_target=True, reduction="sum"))
labels = torch.tensor(next_token[:200])
labels[50:] = -100
all_losses = cross_entropy(student, labels, reduction="none")
weights = torch.ones(2048, dtype=torch.double)
weights[labels[:10]] = 5
weighted = {how: float(cross_entropy(student, labels, weights, reduction=how)) for how in ("sum", "mean")}
DIVIDED = {
    "`kl_div`, `mean`": total / float(kl_div(student, teacher, log_target=True, reduction="mean")),
    "`kl_div`, `batchmean`": total / float(kl_div(student, teacher, log_target=True, reduction="batchmean")),
    "`cross_entropy`, `none`, then `.mean()`": float(all_losses.sum() / all_losses.mean()),
    "`cross_entropy`, `mean`": float(all_losses.sum() / cross_entropy(student, labels)),
    "`cross_entropy`, `mean`, class weights": weighted["sum"] / weighted["mean"],
}
print("| Call | Divides the sum by |\n| --- | ---: |")
for call, divisor in DIVIDED.items():
    print(f"| {call} | {divisor:,.0f} |")
empty = float(cross_entropy(student, torch.full((200,), -100)))
print(f"| `cross_entropy`, every label −100 | 0: the loss is {empty} |")
# --8<-- [end:divisors]

# --8<-- [start:divisor_claims]
divisors = [round(divisor) for divisor in DIVIDED.values()]
assert divisors == [200 * 2048, 200, 200, 50, round(float(weights[labels[:50]].sum()))]
assert np.isnan(empty)
alone = [float(cross_entropy(student[:1], labels[:1], weight)) for weight in (None, weights)]
assert weights[labels[0]] == 5 and abs(alone[0] - alone[1]) < 1e-12, "alone in its batch, a weight weighs nothing"
# --8<-- [end:divisor_claims]

# --8<-- [start:shifts]
tables = {
    "right": right,
    "shifted twice": token_losses(read["quill"], 2),
    "not shifted": token_losses(read["quill"], 0),
}
torch.manual_seed(0)
untrained = logits_of(Quill(decoders["quill-draft"].config).double(), speeches)
copier = [20.0 * torch.nn.functional.one_hot(torch.tensor(text), 2048).double() for text in speeches]
tables |= {"right, untrained model": token_losses(untrained), "not shifted, a copier": token_losses(copier, 0)}
shifted = {name: weigh.shifted_labels(table, "speech", "loss", "label") for name, table in tables.items()}
print("| Labels | Loss, nats | Above frequencies | Check |\n| --- | ---: | ---: | --- |")
for name, result in shifted.items():
    loss = tables[name].filter(pl.col("label") != -100)["loss"].mean()
    print(f"| {name} | {loss:.1f} | {result.figure.value:+.1f} | {result.finding} |")
# --8<-- [end:shifts]

# --8<-- [start:shift_claims]
assert [result.finding for result in shifted.values()] == ["no", "yes", "yes", "yes", "no"]
assert abs(tables["right, untrained model"].filter(pl.col("label") != -100)["loss"].mean() - np.log(2048)) < 0.3
# --8<-- [end:shift_claims]

# --8<-- [start:rates]
GAINS, SIZES, RUNS, CLEAN_RUNS = (0, 5, 10, 20), (500, 2000), 20, 100
draw = np.random.default_rng(0)
happened, means_of_leaves, medians_of_leaves = (half[name].to_numpy() for name in ("spent", "mean", "median"))
far = draw.choice([-1000, 0, 1000], half.height, p=[0.01, 0.98, 0.01])


def planted(gain):
    """Predictions that miss by as much less as users gain, and now and then by far, which squared error punishes."""

    def by(step):
        return means_of_leaves + far + step * (medians_of_leaves - means_of_leaves)

    def gained(step):
        return np.abs(means_of_leaves - happened).mean() - np.abs(by(step) - happened).mean()

    return by(brentq(lambda step: gained(step) - gain, -0.5, 1))


def found_in(gain, size, runs):
    """In how many draws of so many rows the check says yes."""
    everybody = pl.DataFrame({"spent": happened, "a": means_of_leaves, "b": planted(gain)})
    tables = (everybody[draw.integers(0, half.height, size)] for _ in range(runs))
    results = [weigh.loss_against_objective(one, "spent", ["a", "b"], "squared", "absolute", resamples=100)
               for one in tables]  # fmt: skip
    return sum(result.finding == "yes" for result in results)


rates = {(size, gain): (found_in(gain, size, runs), runs)
         for size in SIZES for gain in GAINS for runs in [RUNS if gain else CLEAN_RUNS]}  # fmt: skip
# --8<-- [end:rates]

# --8<-- [start:rate_claims]
from statsmodels.stats.proportion import proportion_confint


def share(size, gain):
    """The share of draws in which the check says yes, and its 95 % interval (Wilson)."""
    count, runs = rates[size, gain]
    return count / runs, *proportion_confint(count, runs, method="wilson")


for size in SIZES:
    assert share(size, 0)[1] < 0.05, "false alarms are within the 5 % that the interval allows"
    assert share(size, 20)[0] > share(size, 5)[0] > share(size, 0)[0], "power grows with the fault"
assert share(2000, 20)[0] > 0.9 and share(2000, 10)[0] > share(500, 10)[0], "and with the rows"
rate_words = (
    "Share of draws in which the check says yes, against what users gain by the other model, from 0 to 20 dollars of "
    f"absolute error. With 500 rows it rises from {share(500, 0)[0]:.1%} to {share(500, 20)[0]:.0%}, with 2,000 from "
    f"{share(2000, 0)[0]:.1%} to {share(2000, 20)[0]:.0%}."
)
# --8<-- [end:rate_claims]

# --8<-- [start:rate_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3.2))
for number, size in enumerate(SIZES):
    middle, low, high = np.transpose([share(size, gain) for gain in GAINS])
    places = np.array(GAINS) + (number - 0.5) * 0.3
    ax.errorbar(
        places, middle, np.maximum(0, (middle - low, high - middle)), fmt="o-", capsize=3, label=f"{size:,} rows"
    )
ax.axhline(0.05, color="C5", linewidth=1, label="5 %")
ax.set(xlabel="what users gain by the other model, $ of absolute error", ylabel="share of draws")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.legend()
fig
# --8<-- [end:rate_plot]

# --8<-- [start:cost]
from time import perf_counter


def taken(copies):
    """The result of the check on so many copies of the half, and the seconds it took."""
    rows, start = pl.concat([half] * copies), perf_counter()
    result = weigh.loss_against_objective(rows, "spent", ["mean", "median"], "squared", "absolute")
    return result, perf_counter() - start


(once, one_time), (many, more_time) = taken(1), taken(10)
assert many.cost == {"rows": 10 * half.height, "models": 2, "resamples": 800}
slower = more_time / one_time
# --8<-- [end:cost]

# --8<-- [start:own]
from tempfile import TemporaryDirectory

from click.testing import CliRunner

from weigh.cli import weigh as command

with TemporaryDirectory() as folder:
    half.write_parquet(f"{folder}/years.parquet")
    asked_of = f"{folder}/years.parquet --target spent --prediction mean --prediction median"
    wanted = "--loss absolute --objective bias --group person"
    printed = CliRunner().invoke(
        command, ["check", "losses", *asked_of.split(), *wanted.split()], standalone_mode=False
    )
print("weigh check losses " + asked_of.replace(f"{folder}/", "") + " \\\n    " + wanted)
print(printed.output.replace(f"{folder}/", "").rstrip())
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert printed.return_value == 1, "a fault that is found is exit code 1"
# --8<-- [end:own_claims]

# --8<-- [start:own_tokens]
report = weigh.check_losses(right, sequence="speech", token_loss="loss", label="label")
for result in report.results:
    print(f"{result.check}: {result.finding}")
# --8<-- [end:own_tokens]

# --8<-- [start:certain]
happened_or_not = [1] * 19 + [0]
certain, careful = np.ones(20), np.full(20, 0.7)
in_bits = {
    bits: [float(log_loss(happened_or_not, chances.astype(f"float{bits}"))) for chances in (certain, careful)]
    for bits in (64, 32, 16)
}
assert in_bits[64][0] > in_bits[64][1] + 1 and in_bits[16][0] < in_bits[16][1] - 0.03, "the dtype decides who wins"
# --8<-- [end:certain]

# --8<-- [start:problems]
year = np.array([0, 0, 0, 100, 900])
micro = {"tokens": np.array([10, 990]), "loss": np.array([2.0, 4.0])}
mean_of_means = float(micro["loss"].mean())
mean_of_tokens = float(np.average(micro["loss"], weights=micro["tokens"]))
both_ways = log_loss([1, 0, 1, 1], [0.9, 0.1, 0.9, 0.4]), log_loss([1, 0, 1, 1], [0.6, 0.4, 0.6, 0.6])
# --8<-- [end:problems]
