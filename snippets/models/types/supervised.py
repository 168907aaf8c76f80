"""The program of "Supervised": labels with probabilities, values with intervals, and how far to believe either."""

# --8<-- [start:labels]
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

features, benign = load_breast_cancer(return_X_y=True)
malignant = 1 - benign  # (569,): the labels, 212 of them 1
rows, new_rows, labels, truth = train_test_split(features, malignant, test_size=0.5, random_state=0, stratify=malignant)
classifier = make_pipeline(StandardScaler(), LogisticRegression())
classifier.fit(rows, labels)  # the only line that sees labels

probabilities = classifier.predict_proba(new_rows)[:, 1]
guesses = classifier.predict(new_rows)
for row in (0, 3, 21, 40):
    says = f"{guesses[row]}, p = {probabilities[row]:.3f}"
    print(f"row {row:>2}: label {says}; truth {truth[row]}")
# --8<-- [end:labels]

# --8<-- [start:labels_claims]
assert features.shape == (569, 30) and malignant.sum() == 212
assert ((probabilities > 0.5) == guesses).all(), "the label is the probability, cut at one half"
accuracy = (guesses == truth).mean()
assert accuracy > 0.93
# --8<-- [end:labels_claims]

# --8<-- [start:classifiers]
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

CLASSIFIERS = {
    "Base rate": lambda seed: DummyClassifier(),
    "Logistic regression": lambda seed: make_pipeline(StandardScaler(), LogisticRegression()),
    "Random forest": lambda seed: RandomForestClassifier(50, random_state=seed, n_jobs=1),
    "Naive Bayes": lambda seed: GaussianNB(),
    "Decision tree": lambda seed: DecisionTreeClassifier(random_state=seed),
}
SEEDS = range(10)


def scored(make, seed):
    """Truth and probabilities of the half of the rows that a classifier has not seen."""
    rows, new_rows, labels, truth = train_test_split(
        features, malignant, test_size=0.5, random_state=seed, stratify=malignant
    )
    return truth, make(seed).fit(rows, labels).predict_proba(new_rows)


held_out = {name: [scored(make, seed) for seed in SEEDS] for name, make in CLASSIFIERS.items()}


def median_of(measure, runs):
    return float(np.median([measure(truth, p) for truth, p in runs]))


# --8<-- [end:classifiers]

# --8<-- [start:classifier_table]
MEASURES = {
    "accuracy": lambda truth, p: (p.argmax(1) == truth).mean(),
    "brier": lambda truth, p: brier_score_loss(truth, p[:, 1]),
    "log_loss": log_loss,
}
medians = {
    name: {measure: median_of(score, runs) for measure, score in MEASURES.items()} for name, runs in held_out.items()
}
print("| Classifier | Accuracy | Brier score | Log loss | Range of it |\n| --- | ---: | ---: | ---: | ---: |")
for name, found in medians.items():
    losses = [log_loss(truth, p) for truth, p in held_out[name]]
    spread = f"{min(losses):.2f} to {max(losses):.2f}"
    print(f"| {name} | {found['accuracy']:.1%} | {found['brier']:.3f} | {found['log_loss']:.2f} | {spread} |")
# --8<-- [end:classifier_table]

# --8<-- [start:classifier_claims]
base, logistic, tree = (medians[name] for name in ("Base rate", "Logistic regression", "Decision tree"))
assert tree["accuracy"] > base["accuracy"] + 0.2, "the tree's labels are far better than the base rate's"
assert tree["log_loss"] > 2 * base["log_loss"], "and its probabilities are worse by log loss"
assert tree["brier"] < 0.6 * base["brier"], "but not by the Brier score"
assert logistic["log_loss"] < 0.25 * base["log_loss"]
assert all(set(np.unique(p)) <= {0.0, 1.0} for _, p in held_out["Decision tree"]), "a grown tree says 0 or 1"


def when_sure(name, least=0.99):
    """How many held-out rows a classifier is at least so sure of, and the share of them that it gets wrong."""
    truth = np.concatenate([truth for truth, _ in held_out[name]])
    p = np.concatenate([p for _, p in held_out[name]])
    sure = p.max(1) >= least
    return int(sure.sum()), float((p.argmax(1) != truth)[sure].mean())


sure_bayes, wrong_bayes = when_sure("Naive Bayes")
sure_logistic, wrong_logistic = when_sure("Logistic regression")
assert wrong_bayes > 3 * 0.01, "naive Bayes is wrong far more often than it says"
assert wrong_logistic < 0.01, "logistic regression keeps its word"
# --8<-- [end:classifier_claims]

# --8<-- [start:interval]
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression

patients, progression = load_diabetes(return_X_y=True)


def split(seed):
    """200 rows to fit, 100 to calibrate, 142 to test."""
    order = np.random.default_rng(seed).permutation(len(patients))
    return np.split(order, [200, 300])


fit, calibration, test = split(seed=0)
model = LinearRegression().fit(patients[fit], progression[fit])
errors = np.abs(progression[calibration] - model.predict(patients[calibration]))
rank = int(np.ceil(0.9 * (len(calibration) + 1)))  # the 91st smallest of 100
margin = np.sort(errors)[rank - 1]

values = model.predict(patients[test])
inside = np.abs(progression[test] - values) <= margin
print(f"first patient: {values[0]:.0f} ± {margin:.0f}, truth {progression[test][0]:.0f}")
print(f"inside: {inside.sum()} of {len(test)}, {inside.mean():.1%}; 90% claimed")
# --8<-- [end:interval]

# --8<-- [start:interval_kinds]
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import QuantileRegressor

REGRESSORS = {
    "linear": lambda seed: LinearRegression(),
    "forest": lambda seed: RandomForestRegressor(50, random_state=seed, n_jobs=1),
}


def covered(kind, seed):
    """Coverage and width of intervals made three ways, and the absolute errors of the values, for one split."""
    fit, calibration, test = split(seed)
    model = REGRESSORS[kind](seed).fit(patients[fit], progression[fit])
    values = model.predict(patients[test])
    off = np.abs(progression[test] - values)

    def judge(margin):
        return (off <= margin).mean(), 2 * margin

    own = np.quantile(np.abs(progression[fit] - model.predict(patients[fit])), 0.9)
    kept = np.sort(np.abs(progression[calibration] - model.predict(patients[calibration])))[rank - 1]
    low = values <= np.median(values)
    return {
        "errors on rows it learned from": judge(own),
        "errors on rows set aside": judge(kept),
        "mean absolute error": off.mean(),
        "low half": (off <= kept)[low].mean(),
        "high half": (off <= kept)[~low].mean(),
    }


def quantiles(seed):
    """The same for the 5% and 95% quantiles, each fitted as a linear model to the fitting and calibration rows."""
    fit, calibration, test = split(seed)
    known = np.concatenate([fit, calibration])
    low, high = (
        QuantileRegressor(quantile=q, alpha=0).fit(patients[known], progression[known]).predict(patients[test])
        for q in (0.05, 0.95)
    )
    return ((low <= progression[test]) & (progression[test] <= high)).mean(), (high - low).mean()


intervals = {kind: [covered(kind, seed) for seed in SEEDS] for kind in REGRESSORS}
by_quantiles = [quantiles(seed) for seed in SEEDS]
# --8<-- [end:interval_kinds]

# --8<-- [start:interval_table]
ways = {
    f"{kind.capitalize()}, {way}": [one[way] for one in runs]
    for kind, runs in intervals.items()
    for way in ("errors on rows set aside", "errors on rows it learned from")
} | {"Two quantile regressions": by_quantiles}
coverage = {}
print("| Interval | Covers | Range of it | Width |\n| --- | ---: | ---: | ---: |")
for name, pairs in ways.items():
    inside, widths = zip(*pairs, strict=True)
    coverage[name] = float(np.median(inside))
    spread = f"{min(inside):.0%} to {max(inside):.0%}"
    print(f"| {name} | {coverage[name]:.0%} | {spread} | {np.median(widths):.0f} |")
# --8<-- [end:interval_table]

# --8<-- [start:interval_claims]
flattered = coverage["Forest, errors on rows it learned from"]
for kind in ("Linear", "Forest"):
    assert abs(coverage[f"{kind}, errors on rows set aside"] - 0.9) < 0.04, "rows set aside keep the promise"
assert flattered < 0.6, "a forest's errors on its own rows promise far too much"
assert coverage["Two quantile regressions"] < 0.9, "quantiles that are fitted cover a little less than they say"
error = {kind: float(np.median([one["mean absolute error"] for one in runs])) for kind, runs in intervals.items()}
plain = float(np.median([np.abs(progression[t] - np.median(progression[f])).mean() for f, _, t in map(split, SEEDS)]))
assert max(error.values()) < 0.85 * plain
low_half, high_half = (
    float(np.median([one[half] for one in intervals["linear"]])) for half in ("low half", "high half")
)
assert low_half > high_half + 0.02, "one margin for all covers the mild cases more often than the severe ones"
# --8<-- [end:interval_claims]


# --8<-- [start:plot_data]
def reliability(name, edges):
    """For held-out rows in bins of the probability: its mean, and the share that is malignant."""
    truth = np.concatenate([truth for truth, _ in held_out[name]])
    p = np.concatenate([p[:, 1] for _, p in held_out[name]])
    place = np.clip(np.digitize(p, edges) - 1, 0, len(edges) - 2)
    return np.array([(p[place == b].mean(), truth[place == b].mean()) for b in range(len(edges) - 1)]).T


curves = {name: reliability(name, np.linspace(0, 1, 6)) for name in ("Logistic regression", "Naive Bayes")}
points = "; ".join(
    f"{name}: " + ", ".join(f"{share:.0%} at {p:.0%}" for p, share in curve.T) for name, curve in curves.items()
)
in_words = (
    f"Left, the share of malignant tumours against the probability given, in five bins. {points}. "
    f"Right, {len(test)} diabetes patients by predicted value with a band of ± {margin:.0f}, "
    f"and {int((np.abs(progression[test] - values) > margin).sum())} of them outside it."
)
# --8<-- [end:plot_data]

# --8<-- [start:plot]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(1, 2, figsize=(7, 3.4))
axes[0].plot([0, 1], [0, 1], color=plt.rcParams["axes.edgecolor"], lw=1, ls="-")
for (name, (given, share)), marker in zip(curves.items(), "os", strict=True):
    axes[0].plot(given, share, marker=marker, label=name)
axes[0].set(xlabel="probability given", title="share malignant", ylim=(-0.03, 1.03))
axes[0].legend(fontsize=9)
band = np.array([values.min(), values.max()])
axes[1].fill_between(band, band - margin, band + margin, color="C0", alpha=0.15, lw=0)
axes[1].plot(band, band, color="C0", ls="-")
out = np.abs(progression[test] - values) > margin
axes[1].plot(values[~out], progression[test][~out], "o", ms=3, color="C0", label="inside")
axes[1].plot(values[out], progression[test][out], "X", ms=6, color="C2", label="outside")
axes[1].set(xlabel="predicted progression", title="true progression")
axes[1].legend(fontsize=9)
fig
# --8<-- [end:plot]


# --8<-- [start:dtypes]
def tree_loss(dtype):
    """The same answers, in a number format."""
    return median_of(lambda truth, p: log_loss(truth, p.astype(dtype)), held_out["Decision tree"])


by_dtype = {dtype: tree_loss(dtype) for dtype in ("float64", "float32", "float16")}
for dtype, loss in by_dtype.items():
    print(f"{dtype}: log loss {loss:.2f}")
# --8<-- [end:dtypes]

# --8<-- [start:dtype_claims]
import sklearn

version = sklearn.__version__
wrong = median_of(lambda truth, p: (p.argmax(1) != truth).mean(), held_out["Decision tree"])
for dtype, loss in by_dtype.items():
    assert abs(loss + wrong * np.log(np.finfo(dtype).eps)) < 0.01, "wrong answers × −ln of the format's epsilon"
assert by_dtype["float64"] > 2 * by_dtype["float32"] > 2 * base["log_loss"]
assert by_dtype["float16"] < base["log_loss"], "in float16 the same answers beat the base rate"
# --8<-- [end:dtype_claims]

# --8<-- [start:weights]
from sklearn.datasets import load_digits
from sklearn.metrics import recall_score

images, digits = load_digits(return_X_y=True)
eight = (digits == 8).astype(int)


def fitted(seed, class_weight=None):
    rows, new, labels, truth = train_test_split(images / 16, eight, test_size=0.5, random_state=seed, stratify=eight)
    model = LogisticRegression(class_weight=class_weight, max_iter=1000).fit(rows, labels)
    return truth, model.predict_proba(new)


plain_runs = [fitted(seed) for seed in SEEDS]
balanced_runs = [fitted(seed, "balanced") for seed in SEEDS]


def moved(balanced, plain):
    """The plain model, with its threshold moved until it says "eight" as often as the balanced one."""
    (truth, weighted), (_, p) = balanced, plain
    said = int((weighted[:, 1] > 0.5).sum())
    return truth, np.sort(p[:, 1])[-said], p


moved_runs = [moved(b, p) for b, p in zip(balanced_runs, plain_runs, strict=True)]
# --8<-- [end:weights]

# --8<-- [start:weight_table]
always_no = median_of(lambda truth, p: (truth == 0).mean(), plain_runs)
kinds = {
    "Plain, cut at ½": [(truth, p[:, 1] > 0.5, p) for truth, p in plain_runs],
    "Balanced, cut at ½": [(truth, p[:, 1] > 0.5, p) for truth, p in balanced_runs],
    "Plain, cut lower": [(truth, p[:, 1] >= cut, p) for truth, cut, p in moved_runs],
}
eights = {}
print("| Classifier | Accuracy | Eights found | Mean probability | Log loss |\n| --- | ---: | ---: | ---: | ---: |")
print(f"| Always “no” | {always_no:.1%} | 0% | | |")
for name, runs in kinds.items():
    eights[name] = [
        float(np.median(column))
        for column in zip(
            *(((truth == said).mean(), recall_score(truth, said), p[:, 1].mean(), log_loss(truth, p))
              for truth, said, p in runs), strict=True,
        )
    ]  # fmt: skip
    accuracy_, found, mean, loss = eights[name]
    print(f"| {name} | {accuracy_:.1%} | {found:.0%} | {mean:.1%} | {loss:.2f} |")
# --8<-- [end:weight_table]

# --8<-- [start:weight_claims]
share = float(eight.mean())
plain_, balanced_, lower = (eights[name] for name in kinds)
assert plain_[0] > always_no and plain_[1] < 0.75, "better than no answer at all, and a quarter of the eights is missed"
assert balanced_[1] > plain_[1] + 0.1, "balanced weights find more eights"
assert abs(lower[1] - balanced_[1]) < 0.03 and abs(lower[0] - balanced_[0]) < 0.01, "and so does a lower cut"
assert abs(plain_[2] - share) < 0.01 and balanced_[2] > 1.5 * share, "but the weights spoil the probabilities"
assert balanced_[3] > 1.3 * plain_[3]
# --8<-- [end:weight_claims]


# --8<-- [start:own]
def report(truth, p):
    """Accuracy, log loss and Brier score, each beside its value for someone who says the base rate for every row."""
    rate = np.full(len(truth), truth.mean())
    for name, score in (
        ("accuracy", lambda p: ((p > 0.5) == truth).mean()),
        ("log loss", lambda p: log_loss(truth, p)),
        ("Brier", lambda p: brier_score_loss(truth, p)),
    ):
        print(f"{name:<9} {score(p):.3f}   base rate {score(rate):.3f}")
    print(f"mean p    {p.mean():.3f}   base rate {truth.mean():.3f}")


report(truth, probabilities)
# --8<-- [end:own]

# --8<-- [start:problems]
from scipy.stats import beta, binom

sure_and_wrong = -np.log(0.001), -np.log(0.4)
assert sure_and_wrong[0] > 7 * sure_and_wrong[1]

correct = np.arange(101)
best_of = np.diff(binom.cdf(correct, 100, 0.5) ** 1000, prepend=0) @ correct  # mean of the largest of 1,000
assert 64 < best_of < 68

usual = beta.ppf([0.05, 0.95], rank, 101 - rank)  # of the share that one margin will cover, over calibration sets
assert 0.83 < usual[0] < 0.87 and 0.93 < usual[1] < 0.96
# --8<-- [end:problems]
