"""The program of "Linear and logistic models": what they compute, what their weights explain, what their files hold."""

# --8<-- [start:data]
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression

loaded = load_breast_cancer()
names = list(loaded.feature_names)
raw, malignant = loaded.data, 1 - loaded.target
scaled = (raw - raw.mean(axis=0)) / raw.std(axis=0)
SEEDS = range(5)
# --8<-- [end:data]

# --8<-- [start:diagram]
import matplotlib.pyplot as plt

ink = plt.rcParams["text.color"]
fig, ax = plt.subplots(figsize=(6.4, 2.9))
ax.set(xlim=(-1, 10.6), ylim=(-0.6, 4.6))
ax.axis("off")
for place, name in enumerate(("x₁ × w₁", "x₂ × w₂", "x₃ × w₃", "1 × b")):
    height = 4 - place * 1.3
    ax.text(0.6, height, name, ha="right", va="center")
    ax.annotate("", (4.1, 2.05 + 0.12 * (1.5 - place)), (0.8, height), arrowprops={"arrowstyle": "->", "color": "C0"})
ax.text(4.7, 2.05, "sum z", ha="center", va="center")
ax.annotate("", (6.6, 2.05), (5.4, 2.05), arrowprops={"arrowstyle": "->", "color": "C0"})
curve = np.linspace(-5, 5, 50)
ax.plot(7.7 + curve / 5, 1.2 + 1.7 / (1 + np.exp(-curve)), color="C1", linestyle="-")
ax.text(7.7, 3.2, "logistic only", ha="center")
ax.annotate("", (9.7, 2.05), (8.9, 2.05), arrowprops={"arrowstyle": "->", "color": "C0"})
ax.text(10.0, 2.05, "p", ha="center", va="center", color=ink)
fig
# --8<-- [end:diagram]

# --8<-- [start:by_hand]
model = LogisticRegression(max_iter=1000).fit(scaled, malignant)
weights, bias = model.coef_[0], model.intercept_[0]

z = scaled[13] @ weights + bias
p = 1 / (1 + np.exp(-z))
by_library = model.predict_proba(scaled[[13]])[0, 1]
print(f"{len(weights)} weights, 1 bias")
print(f"by hand {p:.3f}, by the library {by_library:.3f}")
# --8<-- [end:by_hand]

# --8<-- [start:bootstrap]
assert abs(p - by_library) < 1e-9
RESAMPLES = 60


def resampled(strength):
    """Weights and accuracy on the rows not drawn, for draws of the table with replacement."""
    found, right = [], []
    for seed in range(RESAMPLES):
        drawn = np.random.default_rng(seed).integers(0, len(scaled), len(scaled))
        rest = np.setdiff1d(np.arange(len(scaled)), drawn)
        one = LogisticRegression(C=strength, max_iter=5000).fit(scaled[drawn], malignant[drawn])
        found.append(one.coef_[0])
        right.append(one.score(scaled[rest], malignant[rest]))
    return np.array(found), np.array(right)


strong, strong_right = resampled(1)
weak, weak_right = resampled(100)


def flips(found):
    """The columns whose weight has each sign in at least one resample of twenty."""
    positive = (found > 0).mean(axis=0)
    return (positive > 0.05) & (positive < 0.95)


# --8<-- [end:bootstrap]

# --8<-- [start:table]
alone = np.array([np.corrcoef(column, malignant)[0, 1] for column in scaled.T])
chosen = [
    "worst texture",
    "worst radius",
    "mean radius",
    "mean perimeter",
    "mean compactness",
    "mean fractal dimension",
]
print("| Column | Weight | Positive | 95% of resamples | Alone |\n| --- | ---: | ---: | --- | ---: |")
for name in chosen:
    one = names.index(name)
    low, mid, high = np.quantile(strong[:, one], (0.025, 0.5, 0.975))
    share = (strong[:, one] > 0).mean()
    print(f"| {name} | {mid:+.2f} | {share:.0%} | {low:+.1f} to {high:+.1f} | {alone[one]:+.2f} |")
# --8<-- [end:table]

# --8<-- [start:claims]
together = np.corrcoef(scaled[:, 0], scaled[:, 2])[0, 1]
assert together > 0.99, "radius and perimeter are nearly one column"
assert flips(strong).sum() >= 5, "signs flip across resamples"
assert (strong[:, names.index("worst texture")] > 0).mean() > 0.95, "not all do"
assert np.quantile(strong_right, 0.025) > 0.93, "while the accuracy hardly moves"
against = int(((np.median(strong, axis=0) < 0) & (alone > 0.2)).sum())
assert against >= 1, "and some weights contradict what their column says alone"
wider = float(np.median(weak.std(axis=0) / strong.std(axis=0)))
assert wider > 2, "a weaker penalty lets the weights wander further"
assert abs(np.median(weak_right) - np.median(strong_right)) < 0.04
assert (np.abs(strong) < 2).mean() > 0.95, "with the default penalty weights stay small"
assert flips(weak).sum() > 1.2 * flips(strong).sum(), "and more signs flip without it"
# --8<-- [end:claims]

# --8<-- [start:plot]
order = np.argsort(np.median(strong, axis=0))
fig, ax = plt.subplots(figsize=(6.4, 3.6))
for found, label, shift in ((weak, "weak penalty, C = 100", 0.18), (strong, "default penalty, C = 1", -0.18)):
    low, mid, high = np.quantile(found[:, order], (0.025, 0.5, 0.975), axis=0)
    places = np.arange(len(order)) + shift
    ax.errorbar(
        places, mid, (mid - low, high - mid), fmt="o", linestyle="none", markersize=3, elinewidth=1.2, label=label
    )
ax.axhline(0, color=ink, linewidth=1, linestyle="-")
ax.set(xlabel="the 30 columns, in order of weight", title="weight, 95% of resamples", xticks=[], ylim=(-25, 25))
ax.legend(loc="upper left")
fig
# --8<-- [end:plot]

# --8<-- [start:units]
from sklearn.linear_model import Ridge

area = raw[:, 3]
two = np.column_stack([raw[:, 1], raw[:, 0]])  # texture and radius, to predict area
changed = two * [1, 0.001]  # the radius in another unit
fits = {}
for penalty in (0, 1):
    one, other = (Ridge(alpha=penalty).fit(table, area) for table in (two, changed))
    apart = np.abs(one.predict(two) - other.predict(changed)).max()
    fits[penalty] = other.coef_[1] / one.coef_[1], apart
print("| Penalty | Weight of the radius | Predictions move by |\n| --- | ---: | ---: |")
for penalty, (grown, apart) in fits.items():
    print(f"| {penalty} | × {grown:,.1f} | {apart:.1f} |")
# --8<-- [end:units]

# --8<-- [start:odds]
odds_ratio = np.exp(1)
print("| p before | p after | Difference | Odds | × e |\n| ---: | ---: | ---: | ---: | ---: |")
moved = {}
for before in (0.01, 0.1, 0.5, 0.9, 0.99):
    odds = before / (1 - before)
    after = odds * odds_ratio / (1 + odds * odds_ratio)
    moved[before] = after - before
    print(f"| {before} | {after:.3f} | {after - before:+.3f} | {odds:.3g} | {odds * odds_ratio:.3g} |")
# --8<-- [end:odds]

# --8<-- [start:unit_claims]
assert abs(fits[0][0] - 1000) < 1 and fits[0][1] < 1e-3, "without a penalty a unit changes the weight alone"
assert fits[1][1] > 10, "with one it changes the model"
assert moved[0.5] > 0.2 and moved[0.01] < 0.02, "one odds ratio is many differences"
# --8<-- [end:unit_claims]

# --8<-- [start:files]
import tempfile
from pathlib import Path

import joblib
from safetensors.numpy import save_file

import weigh

folder = Path(tempfile.mkdtemp())
images, digits = load_digits(return_X_y=True)
reader = LogisticRegression(max_iter=300).fit(images[:600] / 16, digits[:600])
large = LogisticRegression()  # the shapes of ten classes of 28 × 28 pixels, without the data
large.coef_, large.intercept_, large.classes_ = np.ones((10, 784)), np.ones(10), np.arange(10)


def dumped(what):
    """The bytes of a joblib file."""
    joblib.dump(what, folder / "model.joblib")
    return (folder / "model.joblib").stat().st_size


sizes = {}
for name, one in {"tumours": model, "digits": reader, "784 inputs": large}.items():
    save_file({"coef": one.coef_.copy(), "intercept": one.intercept_.copy()}, folder / "model.safetensors")
    sizes[name] = weigh.inspect(folder / "model.safetensors"), dumped(one)
print("| Model | Weights | × 8 bytes | safetensors | joblib |\n| --- | ---: | ---: | ---: | ---: |")
for name, (contents, pickled) in sizes.items():
    count, tensors = contents.parameters, contents.bytes_in_tensors
    print(f"| {name} | {count:,} | {tensors:,} | {contents.bytes_on_disk:,} | {pickled:,} |")
# --8<-- [end:files]

# --8<-- [start:held]
import warnings

from sklearn.base import clone
from sklearn.linear_model import BayesianRidge, Lars, LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

searched = LogisticRegressionCV(Cs=10, cv=5, l1_ratios=(0,), scoring="accuracy", use_legacy_attributes=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of fits that stop short: their number is counted here, not their fit
    kept = {
        "LogisticRegression": (model, "little else"),
        "scaler, then LogisticRegression": (
            make_pipeline(StandardScaler(), LogisticRegression()).fit(raw, malignant),
            "means, variances, scales",
        ),
        "BayesianRidge": (BayesianRidge().fit(scaled, malignant), "covariance, 30 × 30"),
        "Lars": (Lars().fit(scaled, malignant), "weights at each step"),
        "LogisticRegressionCV": (searched.fit(scaled, malignant), "every fit: 5 folds × 10 penalties"),
    }
    modern = clone(searched).set_params(use_legacy_attributes=False).fit(scaled, malignant)
print("| Estimator | ÷ weights | Beside them | joblib bytes |\n| --- | ---: | --- | ---: |")
times = {}
for name, (one, beside) in kept.items():
    times[name] = dumped(one) / (8 * 31)
    print(f"| {name} | {times[name]:.0f} × | {beside} | {dumped(one):,} |")
# --8<-- [end:held]

# --8<-- [start:held_claims]
assert sizes["784 inputs"][0].parameters == 7_850
assert all(pickled < contents.bytes_in_tensors + 1200 for contents, pickled in sizes.values())
assert searched.coefs_paths_[1].size == 50 * 31, "fifty fits are kept"
assert modern.coefs_paths_.size == 50 * 31, "as one array, too"
assert times["LogisticRegressionCV"] > 50 and times["BayesianRidge"] > 30
# --8<-- [end:held_claims]

# --8<-- [start:text]
from sklearn.feature_extraction.text import TfidfVectorizer

books = ("models/quill/held-out.txt", "models/quill-milton/held-out.txt")
lines, author = [], []
for who, book in enumerate(books):
    found = [line for line in Path(book).read_text(encoding="utf-8").splitlines() if len(line) > 20]
    lines += found
    author += [who] * len(found)

parts = {}
for limit in (None, 100_000, 1000):
    terms = TfidfVectorizer(max_features=limit)
    judge = LogisticRegression(max_iter=1000).fit(terms.fit_transform(lines), author)
    values = list(terms.vocabulary_.values())
    parts[limit] = {
        "words": len(values),
        "vocabulary": dumped(terms.vocabulary_),
        "coefficients": judge.coef_.nbytes,
        "pipeline": dumped(make_pipeline(terms, judge)),
        "kind": type(values[0]).__name__,
    }
# --8<-- [end:text]

# --8<-- [start:text_table]
print("| max_features | Vocabulary | Weights | All | Words | Index |\n| --- | ---: | ---: | ---: | ---: | --- |")
for limit, part in parts.items():
    given = "none" if limit is None else f"{limit:,}"
    kilobytes = " | ".join(f"{part[name] / 1000:.0f} kB" for name in ("vocabulary", "coefficients", "pipeline"))
    print(f"| {given} | {kilobytes} | {part['words']:,} | {part['kind'].removeprefix('numpy.')} |")
# --8<-- [end:text_table]

# --8<-- [start:text_claims]
free, uncut = parts[None], parts[100_000]
assert uncut["words"] == free["words"] < 100_000, "the limit cuts nothing"
assert free["vocabulary"] > 1.3 * free["coefficients"], "the vocabulary outweighs the weights"
assert uncut["vocabulary"] > 2 * free["vocabulary"], "and with a limit that cuts nothing twice as much"
assert (free["kind"], uncut["kind"]) == ("int", "int64")
a_word = [part["vocabulary"] / part["words"] for part in (free, uncut)]
# --8<-- [end:text_claims]

# --8<-- [start:flops]
passes = int(reader.n_iter_[0])
N, D, K = 600, 64, 10
work = {
    "predict a row, 2DK": 2 * D * K,
    "gradient, 4NDK": 4 * N * D * K,
    f"train, × {passes} iterations": 4 * N * D * K * passes,
    "least squares, ND² + D³/3": N * D**2 + D**3 / 3,
}
print("| Digits: N = 600, D = 64, K = 10 | FLOPs |\n| --- | ---: |")
for what, count in work.items():
    print(f"| {what} | {count:,.0f} |")
# --8<-- [end:flops]

# --8<-- [start:loses]
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

scores = {"digits: logistic": [], "digits: kernel machine": [], "XOR: logistic": [], "XOR with x₁x₂: logistic": []}
for seed in SEEDS:
    known, held, target, truth = train_test_split(images / 16, digits, stratify=digits, random_state=seed)
    scores["digits: logistic"].append(LogisticRegression(max_iter=300).fit(known, target).score(held, truth))
    scores["digits: kernel machine"].append(SVC().fit(known, target).score(held, truth))
    signs = np.random.default_rng(seed).normal(size=(2000, 2))
    answer = signs.prod(axis=1) > 0
    product = np.column_stack([signs, signs.prod(axis=1)])
    for name, table in (("XOR: logistic", signs), ("XOR with x₁x₂: logistic", product)):
        scores[name].append(LogisticRegression().fit(table[:1000], answer[:1000]).score(table[1000:], answer[1000:]))
print("| Held-out accuracy | Median | Range of five |\n| --- | ---: | --- |")
for name, runs in scores.items():
    print(f"| {name} | {np.median(runs):.1%} | {min(runs):.1%} to {max(runs):.1%} |")
# --8<-- [end:loses]

# --8<-- [start:lose_claims]
pairs = zip(scores["digits: logistic"], scores["digits: kernel machine"], strict=True)
assert all(straight < curved for straight, curved in pairs), "on digits it loses to curves, with every seed"
assert np.median(scores["XOR: logistic"]) < 0.62, "XOR is hardly more than a guess"
assert min(scores["XOR with x₁x₂: logistic"]) > 0.95, "until someone writes the product down"
# --8<-- [end:lose_claims]

# --8<-- [start:own]
own = kept["LogisticRegressionCV"][0]
arrays = {name: value.nbytes for name, value in vars(own).items() if isinstance(value, np.ndarray)}
nested = sum(value.nbytes for value in own.coefs_paths_.values())
print(f"coef_ {arrays['coef_']} bytes, coefs_paths_ {nested:,}, file {dumped(own):,}")
# --8<-- [end:own]

# --8<-- [start:problems]
sparse = 8 * (100_000 + 1)
halved = 0.5 / (1 - 0.5) * np.exp(-0.7)
p_halved = halved / (1 + halved)
# --8<-- [end:problems]
