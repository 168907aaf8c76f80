"""The program of "Calibration": confidences that are right or not, held against what counting alone would give."""

# --8<-- [start:floor]
import numpy as np
from threadpoolctl import threadpool_limits

import weigh

threadpool_limits(1)
SIZES, RUNS = [100, 650, 10_000], 200


def made(rows, seed, temperature=1.0):
    """Answers that are right as often as their chances say, told by a model whose logits are so many times as large."""
    random = np.random.default_rng(seed)
    chances = random.beta(5, 2, rows)  # 0.71 on average
    told = 1 / (1 + (1 / chances - 1) ** temperature)
    return weigh.Predictions(told, random.random(rows) < chances)


perfect = {rows: [weigh.calibration_error(made(rows, seed)) for seed in range(RUNS)] for rows in SIZES}
alarms = {
    "ECE above 0.05": {rows: sum(one.figure.value > 0.05 for one in runs) for rows, runs in perfect.items()},
    "ECE above its floor": {rows: sum(one.figure.low > 0 for one in runs) for rows, runs in perfect.items()},
    "the check": {rows: sum(one.finding == "yes" for one in runs) for rows, runs in perfect.items()},
}
# --8<-- [end:floor]

# --8<-- [start:floor_table]
print("| Rows | ECE, median | ECE, 95 % | “Above 0.05” |\n| ---: | ---: | ---: | ---: |")
for rows in SIZES:
    middle, most = np.quantile(weigh.noise_floor(made(rows, 0)), [0.5, 0.95])
    print(f"| {rows:,} | {middle:.3f} | {most:.3f} | {alarms['ECE above 0.05'][rows] / RUNS:.0%} |")
# --8<-- [end:floor_table]

# --8<-- [start:floor_claims]
floors = {rows: float(np.median(weigh.noise_floor(made(rows, 0)))) for rows in SIZES}
assert alarms["ECE above 0.05"][100] > 0.95 * RUNS, "on a hundred rows the usual rule condemns every perfect model"
assert alarms["ECE above 0.05"][10_000] == 0
assert all(alarms["ECE above its floor"][rows] < 0.1 * RUNS for rows in SIZES), "the floor keeps its promise of 5 %"
assert all(alarms["the check"][rows] < 0.05 * RUNS for rows in SIZES)
assert 8 < floors[100] / floors[10_000] < 12, "a hundred times the rows, a tenth of the floor"
# --8<-- [end:floor_claims]

# --8<-- [start:digits]
import polars as pl
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.naive_bayes import GaussianNB

pixels, digits = load_digits(return_X_y=True)
pixels /= 16
SEEDS = range(5)
MODELS = {
    "naive Bayes": GaussianNB(),
    "random forest": RandomForestClassifier(50, random_state=0, n_jobs=1),
    "logistic regression": LogisticRegression(C=20, max_iter=500),
}


def thirds(seed):
    """Rows to fit a model on, to calibrate it on, and to judge it on."""
    order = np.random.default_rng(seed).permutation(len(digits))
    return order[:600], order[600:1200], order[1200:]


def table(labels, chances):
    """What the check reads: a label, and a column with the probability of each class."""
    return pl.DataFrame({"label": labels, **{f"p_{digit}": column for digit, column in enumerate(chances.T)}})


def repaired(model, seed):
    """A fitted model, and what scikit-learn makes of it with other rows."""
    fit, calibrate, _ = thirds(seed)
    model.fit(pixels[fit], digits[fit])
    fixes = {
        how: CalibratedClassifierCV(FrozenEstimator(model), method=how).fit(pixels[calibrate], digits[calibrate])
        for how in ("temperature", "isotonic")
    }
    return {"as fitted": model} | fixes


def judged(chances, rows):
    """Predictions for rows of the digits."""
    return weigh.predictions(table(digits[rows], chances), label="label", probabilities="p_")


models, told = {}, {}  # by model, by fix: those of each seed, and their probabilities
for name, model in MODELS.items():
    for seed in SEEDS:
        for fix, one in repaired(clone(model), seed).items():
            models.setdefault((name, fix), []).append(one)
            told.setdefault((name, fix), []).append(one.predict_proba(pixels[thirds(seed)[2]]))
said = {which: [judged(one, thirds(seed)[2]) for seed, one in enumerate(every)] for which, every in told.items()}
errors = {which: [weigh.calibration_error(one) for one in every] for which, every in said.items()}
floor_95 = {which: [np.quantile(weigh.noise_floor(one), 0.95) for one in every] for which, every in said.items()}
# --8<-- [end:digits]


# --8<-- [start:digits_table]
def spread(values, form="{:.2f}"):
    """Median, and the range over the seeds."""
    low, middle, high = (form.format(value) for value in np.quantile(values, [0, 0.5, 1]))
    return f"{middle} ({low}–{high})"


print("| Model | Sure | Right | ECE | Floor |\n| --- | ---: | ---: | ---: | ---: |")
for (name, fix), every in said.items():
    sure, right = (np.median([getattr(one, of).mean() for one in every]) for of in ("confidence", "correct"))
    found = spread([one.figure.value for one in errors[name, fix]])
    called = name if fix == "as fitted" else f"+ {fix}"
    print(f"| {called} | {sure:.0%} | {right:.0%} | {found} | {np.median(floor_95[name, fix]):.2f} |")
# --8<-- [end:digits_table]


# --8<-- [start:digits_claims]
def answers(which):
    """The findings over the seeds."""
    return [one.finding for one in errors[which]]


def losses(name, fix):
    """The log loss of each seed."""
    return [log_loss(digits[thirds(seed)[2]], one) for seed, one in enumerate(told[name, fix])]


assert answers(("naive Bayes", "as fitted")) == answers(("random forest", "as fitted")) == ["yes"] * 5
assert "yes" not in answers(("logistic regression", "as fitted")), "and no alarm where nothing needs a fix"
assert all("yes" not in answers((name, "temperature")) for name in MODELS), "one number repairs both"
signs = {name: [weigh.overconfidence(one).figure.name[:5] for one in said[name, "as fitted"]] for name in MODELS}
assert signs["naive Bayes"] == ["over-"] * 5 and signs["random forest"] == ["under"] * 5, "in opposite directions"
plain, isotonic = (losses("logistic regression", fix) for fix in ("as fitted", "isotonic"))
assert min(isotonic) > 1.5 * max(plain), "isotonic regression says 0 and 1, and log loss does not forgive"
sure_of = [one.confidence > 1 - 1e-12 for one in said["naive Bayes", "as fitted"]]
certain = [float(one.mean()) for one in sure_of]
wrong_though_certain = [
    1 - float(one.correct[sure].mean()) for one, sure in zip(said["naive Bayes", "as fitted"], sure_of, strict=True)
]
assert min(certain) > 0.4 and min(wrong_though_certain) > 0.02, "a probability of exactly 1 is often wrong"
# --8<-- [end:digits_claims]

# --8<-- [start:reliability_words]
shown = {name: {fix: errors[name, fix][0] for fix in ("as fitted", "temperature")} for name in list(MODELS)[:2]}
reliability_words = "Accuracy against confidence by bucket, two panels with a diagonal. " + "; ".join(
    f"{name}, {fix}: confidence {said[name, fix][0].confidence.mean():.2f}, accuracy "
    f"{said[name, fix][0].correct.mean():.2f}"
    for name in shown
    for fix in shown[name]
)
# --8<-- [end:reliability_words]

# --8<-- [start:reliability_plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
for axis, (name, fixes) in zip(axes, shown.items(), strict=True):
    axis.plot([0, 1], [0, 1], color="C5", linewidth=1, label="calibrated")
    for (fix, result), marker in zip(fixes.items(), "os", strict=True):
        sure, right, low, high = (
            np.array([row[column] for row in result.evidence if row["rows"] >= 5])
            for column in ("mean confidence", "accuracy", "from", "to")
        )
        reach = np.clip([right - low, high - right], 0, 1)
        axis.errorbar(sure, right, reach, marker=marker, linestyle="none", markersize=5, label=fix)
    axis.set(xlabel="confidence", title=f"{name}: accuracy")
axes[0].legend(fontsize=9)
fig
# --8<-- [end:reliability_plot]

# --8<-- [start:classes]
by_class = [weigh.calibration_by_class(one) for one in said["naive Bayes", "temperature"]]
print("| It says | Rows | Sure | Right | Holm's p |\n| --- | ---: | ---: | ---: | ---: |")
for row in by_class[0].evidence[:3]:
    p = max(row["Holm's p"], 0.0001)
    print(f"| {row['slice'][-1]} | {row['rows']} | {row['confidence']:.0%} | {row['accuracy']:.0%} | {p:.4f} |")
# --8<-- [end:classes]

# --8<-- [start:classes_claims]
assert [one.finding for one in by_class].count("yes") >= 4, "calibrated as a whole, and not by class"
worst = by_class[0].evidence[0]
assert worst["confidence"] - worst["accuracy"] > 0.15
assert by_class[0].evidence[2]["confidence"] < 1
quiet = [weigh.calibration_by_class(one).finding for one in said["logistic regression", "as fitted"]]
assert "yes" not in quiet, "no alarm among the ten classes of a model that is calibrated in each"
# --8<-- [end:classes_claims]


# --8<-- [start:shift]
def noisy(name, noise):
    """Predictions for the test rows of each seed, with noise on their pixels."""
    for seed, model in enumerate(models[name, "temperature"]):
        rows = thirds(seed)[2]
        strange = pixels[rows] + np.random.default_rng(seed).normal(0, noise, (len(rows), 64))
        yield judged(model.predict_proba(strange), rows)


def half_positive(share):
    """Rows of two classes, half positive, by a model that is perfect where such a share is (Bayes' rule)."""
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        positive = random.random(5000) < 0.5
        logits = 2 * random.normal(np.where(positive, 1, -1)) + np.log(share / (1 - share))
        yield weigh.Predictions(1 / (1 + np.exp(-logits)), positive)


shifts = {
    (name, f"noise of {noise:g}" if noise else "none"): list(noisy(name, noise))
    for name in ("logistic regression", "random forest")
    for noise in (0, 0.2, 0.4)
}
shifts["Bayes' rule", "10 % to 50 % positive"] = list(half_positive(0.1))
shifts["Bayes' rule", "and it is told so"] = list(half_positive(0.5))
gaps = {kind: [float((one.confidence - one.correct).mean()) for one in every] for kind, every in shifts.items()}
alarmed = {kind: sum(weigh.calibration_error(one).finding == "yes" for one in every) for kind, every in shifts.items()}
# --8<-- [end:shift]

# --8<-- [start:shift_table]
print("| Model | Shift | Sure − right | Found |\n| --- | --- | ---: | ---: |")
for name, kind in gaps:
    called = name if kind in ("none", "10 % to 50 % positive") else ""
    print(f"| {called} | {kind} | {np.median(gaps[name, kind]):+z.2f} | {alarmed[name, kind]} of 5 |")
# --8<-- [end:shift_table]

# --8<-- [start:shift_claims]
strange = {name: gaps[name, "noise of 0.4"] for name in MODELS if name != "naive Bayes"}
assert min(strange["logistic regression"]) > 0.1, "on noise it is over-confident"
assert alarmed["logistic regression", "noise of 0.4"] == 5 and alarmed["logistic regression", "none"] == 0
assert np.median(strange["random forest"]) < 0.5 * np.median(strange["logistic regression"]), "the forest far less"
untold, corrected = alarmed["Bayes' rule", "10 % to 50 % positive"], alarmed["Bayes' rule", "and it is told so"]
assert (untold, corrected) == (5, 0), "another mix breaks a perfect model, and its shares repair it"
# --8<-- [end:shift_claims]

# --8<-- [start:abstain]
curves = {
    name: weigh.answerable(said[name, "temperature" if name != "logistic regression" else "as fitted"][0], 0.02)
    for name in MODELS
}
good = curves["logistic regression"]
# --8<-- [end:abstain]

# --8<-- [start:abstain_claims]
assert curves["naive Bayes"].finding == "yes", "naive Bayes may hardly answer"
assert good.figure.value > 0.85 and good.figure.low > 0.4
abstain_words = "Share of wrong answers against the share answered, surest first: " + "; ".join(
    f"{name} {curve.evidence[len(curve.evidence) // 2]['risk']:.1%} at half, {curve.evidence[-1]['risk']:.0%} at all"
    for name, curve in curves.items()
)
# --8<-- [end:abstain_claims]

# --8<-- [start:abstain_plot]
fig, axis = plt.subplots(figsize=(7, 3))
for name, curve in curves.items():
    answered, risk = (np.array([row[column] for row in curve.evidence]) for column in ("answered", "risk"))
    axis.plot(answered, risk, marker="o", markersize=4, label=name)
axis.axhline(0.02, color="C5", linewidth=1, label="wanted")
axis.set(xlabel="share of rows answered, surest first", title="share of the answers that are wrong")
axis.xaxis.set_major_formatter("{x:.0%}")
axis.yaxis.set_major_formatter("{x:.0%}")
axis.legend(fontsize=9)
fig
# --8<-- [end:abstain_plot]

# --8<-- [start:quill]
from pathlib import Path

import torch
from scipy.optimize import minimize_scalar

from quill import adapter, tokenizer
from quill.model import Quill

torch.set_num_threads(1)
words, base = tokenizer.read("models/quill"), Quill.read("models/quill").double()
milton = adapter.read(Quill.read("models/quill"), "models/quill-milton").double()


@torch.no_grad()
def logits_of(model, home, windows=8, size=256, first=64):
    """Logits and the tokens that came, from windows of a text that the model has not read; each has some context."""
    ids = words.encode(Path(home, "held-out.txt").read_text(encoding="utf-8")).ids
    ids = torch.tensor([ids[at : at + size] for at in range(0, windows * size, size)])
    return model(ids)[0][:, first:-1].flatten(0, 1), ids[:, first + 1 :].flatten()


def next_tokens(logits, came, temperature=1.0):
    """The likeliest token as an answer."""
    chances, answers = torch.softmax(logits / temperature, -1).max(-1)
    return weigh.Predictions(chances.numpy(), (answers == came).numpy())


logits, came = logits_of(base, "models/quill", 16)
half = len(came) // 2
fitted = minimize_scalar(
    lambda t: float(torch.nn.functional.cross_entropy(logits[:half] / t, came[:half])), (1.0, 1.2), tol=1e-3
).x
tokens = {
    "Quill on Macbeth": next_tokens(logits[half:], came[half:]),
    "+ temperature": next_tokens(logits[half:], came[half:], fitted),
    "Quill on Milton": next_tokens(*logits_of(base, "models/quill-milton")),
    "adapter on Milton": next_tokens(*logits_of(milton, "models/quill-milton")),
}
of_tokens = {name: (weigh.calibration_error(one), weigh.overconfidence(one)) for name, one in tokens.items()}
# --8<-- [end:quill]

# --8<-- [start:quill_table]
print("| Model and text | Sure | Right | ECE | Fault? |\n| --- | ---: | ---: | ---: | --- |")
for name, (error, _) in of_tokens.items():
    one = tokens[name]
    print(
        f"| {name} | {one.confidence.mean():.0%} | {one.correct.mean():.0%} | {error.figure.value:.3f} | "
        f"{error.finding} |"
    )
# --8<-- [end:quill_table]

# --8<-- [start:quill_claims]
findings = {name: error.finding for name, (error, _) in of_tokens.items()}
assert findings["Quill on Macbeth"] == findings["Quill on Milton"] == "yes", "a base model may well be over-confident"
assert findings["+ temperature"] != "yes" and findings["adapter on Milton"] != "yes"
assert 1.05 < fitted < 1.4
macbeth_floor = float(np.quantile(weigh.noise_floor(tokens["Quill on Macbeth"]), 0.95))
# --8<-- [end:quill_claims]

# --8<-- [start:power]
from statsmodels.stats.proportion import proportion_confint

TEMPERATURES = [1.25, 1.5, 2.0]
planted = {
    rows: [[weigh.calibration_error(made(rows, seed, t)) for seed in range(RUNS // 2)] for t in TEMPERATURES]
    for rows in SIZES
}
power = {rows: [[one.finding for one in runs].count("yes") for runs in every] for rows, every in planted.items()}
cleared = {rows: sum(one.finding == "no" for one in perfect[rows]) for rows in SIZES}
# --8<-- [end:power]

# --8<-- [start:power_claims]
assert power[100][-1] < 0.7 * RUNS / 2, "on a hundred rows even a doubling of all logits is often missed"
assert power[650][-1] > 0.95 * RUNS / 2 and power[10_000][1] == RUNS / 2
assert cleared[100] == cleared[650] == 0 < cleared[10_000] / RUNS, "and no model is cleared on so few"
power_words = (
    f"Left, alarms on {RUNS} perfectly calibrated sets, for "
    + ", ".join(f"{rows:,}" for rows in SIZES)
    + " rows: "
    + "; ".join(f"{rule}: {', '.join(f'{n / RUNS:.0%}' for n in of.values())}" for rule, of in alarms.items())
    + f". Right, share found of {RUNS // 2} sets with logits too large by "
    + ", ".join(map(str, TEMPERATURES))
    + ": "
    + "; ".join(f"{rows:,} rows: {', '.join(f'{n / RUNS * 2:.0%}' for n in of)}" for rows, of in power.items())
    + "."
)
# --8<-- [end:power_claims]


# --8<-- [start:power_plot]
def with_band(axis, x, counts, runs, label):
    """A line with its 95 % Wilson intervals."""
    counts = np.array(counts)
    low, high = proportion_confint(counts, runs, method="wilson")
    (line,) = axis.plot(x, counts / runs, marker="o", markersize=4, label=label)
    axis.fill_between(x, low, high, color=line.get_color(), alpha=0.25)


fig, axes = plt.subplots(1, 2, figsize=(7, 3.6), sharey=True)
for rule, counts in alarms.items():
    with_band(axes[0], SIZES, list(counts.values()), RUNS, rule)
axes[0].set(xscale="log", xlabel="rows", title="perfect models that are condemned")
axes[0].set_xticks(SIZES, [f"{rows:,}" for rows in SIZES])
axes[0].minorticks_off()
for rows in SIZES:
    with_band(axes[1], TEMPERATURES, power[rows], RUNS // 2, f"{rows:,} rows")
axes[1].set(xlabel="logits too large by a factor of", title="faults that the check finds")
axes[0].yaxis.set_major_formatter("{x:.0%}")
for axis in axes:
    axis.legend(fontsize=9)
fig
# --8<-- [end:power_plot]

# --8<-- [start:cost]
million = weigh.calibration_error(made(1_000_000, 0))
draws = 1000 * million.cost["buckets"]
assert million.finding == "no" and million.figure.value < 0.003
# --8<-- [end:cost]

# --8<-- [start:limits]
random = np.random.default_rng(0)
rows = 20_000
chances, side = random.uniform(0.3, 0.7, rows), np.arange(rows) % 2
ordinary = made(100, 0)


def one_bucket(bins):
    """Confidences of 0.94 and 0.99, each with the accuracy of the other."""
    sure = np.where(side, 0.94, 0.99)
    return weigh.calibration_error(weigh.Predictions(sure, random.random(rows) < np.where(side, 0.99, 0.94)), bins=bins)


base_rate = weigh.Predictions(np.full(rows, 0.7), random.random(rows) < 0.7)
halves = weigh.Predictions(chances, random.random(rows) < chances + np.where(side, -0.1, 0.1), {"side": side})
copied = [
    weigh.calibration_error(
        weigh.Predictions(np.repeat(one.confidence, 10), np.repeat(one.correct, 10)), threshold=0
    ).finding
    for one in (made(100, seed) for seed in range(100))
]
blind = {
    "Always says the base rate": (weigh.calibration_error(base_rate).finding, "resolution 0: of no use"),
    "Two slices that cancel out": (weigh.calibration_error(halves).finding, "name the slice"),
    "0.94 and 0.99 swapped, 15 bins": (one_bucket(15).finding, "one bucket hides both"),
    "The same, 150 bins": (one_bucket(150).finding, ""),
}
# --8<-- [end:limits]

# --8<-- [start:limits_table]
print("| Fault | Found? | Because |\n| --- | --- | --- |")
for name, (finding, because) in blind.items():
    print(f"| {name} | {finding} | {because} |")
# --8<-- [end:limits_table]

# --8<-- [start:limits_claims]
assert [finding for finding, _ in blind.values()] == ["no", "no", "no", "yes"]
assert weigh.calibration_by_slice(halves).finding == "yes", "named, the slice is found"
assert weigh.brier_parts(base_rate).resolution < 1e-6
assert copied.count("yes") > 80, "copies of rows pass for evidence"
# --8<-- [end:limits_claims]

# --8<-- [start:surprises]
from importlib.metadata import version

from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from sklearn.svm import SVC

fit, calibrate, test = thirds(0)


def calibrated(model, how):
    """A model fitted on the first third, and calibrated on the second."""
    frozen = FrozenEstimator(model.fit(pixels[fit], digits[fit]))
    return CalibratedClassifierCV(frozen, method=how).fit(pixels[calibrate], digits[calibrate])


points = random.normal(size=(40_000, 3))
yes = random.random(40_000) < 1 / (1 + np.exp(-points @ [1, 2, -1]))
binary = FrozenEstimator(LogisticRegression(C=1e6).fit(points[:20_000], yes[:20_000]))
scaled = CalibratedClassifierCV(binary, method="temperature").fit(points[20_000:], yes[20_000:])
sklearn = version("scikit-learn")
temperature = 1 / scaled.calibrated_classifiers_[0].calibrators[0].beta_

votes = calibrated(SVC(), "temperature").predict_proba(pixels[test])
doubts = np.quantile(votes.max(1), [0.05, 0.5])
errs = votes.argmax(1) != digits[test]
pairs = calibrated(SVC(decision_function_shape="ovo"), "sigmoid").score(pixels[test], digits[test])
alone = SVC().fit(pixels[fit], digits[fit]).score(pixels[test], digits[test])
regression = FrozenEstimator(LogisticRegression(C=100, max_iter=500).fit(pixels[fit], digits[fit]))
taught = [
    CalibratedClassifierCV(regression, method="temperature").fit(pixels[on], digits[on]) for on in (fit, calibrate)
]
training_rows, other_rows = (log_loss(digits[test], model.predict_proba(pixels[test])) for model in taught)

verbal = random.choice([0.5, 0.6, 0.7, 0.8, 0.9], 4000)
right = random.random(4000) < np.select([verbal == 0.6, verbal == 0.7], [0.7, 0.6], verbal)


def ece(kind):
    """From scikit-learn's own curve, with ten bins."""
    accuracy, sure = calibration_curve(right, verbal.astype(kind), n_bins=10)
    return float(abs(accuracy - sure).mean())


happened, chance = np.array([0, 1, 1, 0]), np.array([0.2, 0.7, 0.6, 0.4])
two = np.column_stack([1 - chance, chance])
three = np.column_stack([two, np.zeros(4)])
surprises = {
    "SVC, pairs (`ovo`), sigmoid: accuracy": (pairs, alone),
    "Binary, needs none: temperature": (temperature, 1.0),
    "Fitted on training rows: log loss": (training_rows, other_rows),
    "ECE of the same numbers, float32": (ece(np.float32), ece(np.float64)),
    "Brier, an empty third class": (
        brier_score_loss(happened, three, labels=[0, 1, 2]),
        brier_score_loss(happened, two),
    ),
}
# --8<-- [end:surprises]

# --8<-- [start:surprises_table]
print("| Asked of scikit-learn | Says | One expects |\n| --- | ---: | ---: |")
for name, (says, expected) in surprises.items():
    print(f"| {name} | {says:.2f} | {expected:.2f} |")
# --8<-- [end:surprises_table]

# --8<-- [start:surprises_claims]
assert pairs < 0.5 < 0.95 < alone, "a good model, broken in silence"
assert abs(temperature - 2) < 0.1, "it takes −x and x for the logits of two classes, which are 2x apart"
assert training_rows > 1.5 * other_rows, "rows that the model knows teach it certainty"
assert ece(np.float32) < 0.7 * ece(np.float64)
assert doubts[1] - doubts[0] < 0.02 and np.median(votes.max(1)[errs]) > 0.9, "nineteen in twenty answers are as sure"
# --8<-- [end:surprises_claims]

# --8<-- [start:files]
import tempfile
from contextlib import chdir

from weigh.cli import weigh as command

folder = tempfile.TemporaryDirectory()
rows = table(digits[test], told["random forest", "as fitted"][0])
rows.write_parquet(Path(folder.name) / "rows.parquet")
rows.write_csv(Path(folder.name) / "rows.csv")


def weigh_check(line):
    """Run the command in the folder, and give its exit code."""
    with chdir(folder.name):
        return command(line.split(), standalone_mode=False)


# --8<-- [end:files]

# --8<-- [start:command]
code = weigh_check("check calibration rows.parquet --label label --probabilities p_ --risk 0.02")
print("exit code", code)
# --8<-- [end:command]

# --8<-- [start:call]
one = tokens["Quill on Macbeth"]
frame = pl.DataFrame({"sure": one.confidence, "right": one.correct})
report = weigh.check_calibration(frame, correct="right", confidence="sure")
for result in report.results:
    figure = result.figure
    print(f"{result.check}: {result.finding}, {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
# --8<-- [end:call]

# --8<-- [start:own_claims]
assert code == 1 and report.finding == "yes"
from_csv = weigh.check_calibration(Path(folder.name) / "rows.csv", label="label", probabilities="p_")
assert from_csv.results[0].finding == "yes"
# --8<-- [end:own_claims]

# --8<-- [start:problems]
floor_200 = float(np.quantile(weigh.noise_floor(made(200, 0)), 0.95))
assert floor_200 > 0.06
thirty = weigh.Predictions(np.full(1000, 0.99), np.arange(1000) >= 30)
too_sure = weigh.overconfidence(thirty, threshold=0).figure
assert too_sure.low > 0
scores = np.array([2.0, 1.0, 0.0])
sharp, flat = (float(np.exp(scores[0] / t) / np.exp(scores / t).sum()) for t in (1, 2))
# --8<-- [end:problems]
