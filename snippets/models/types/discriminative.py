"""The program of "Discriminative models": logistic regression beside naive Bayes, on the same rows of one data set."""

# --8<-- [start:data]
import numpy as np
from sklearn.datasets import load_breast_cancer

data = load_breast_cancer()
X = data.data[:, :10]  # ten mean measurements of each image
y = 1 - data.target  # 1 is malignant
print(f"{X.shape[0]} rows × {X.shape[1]} columns,", f"{y.sum()} of them malignant")
# --8<-- [end:data]


# --8<-- [start:generative]
class NaiveBayes:
    """Generative: what rows of each class look like, column by column."""

    def fit(self, X, y):
        rows = [X[y == c] for c in (0, 1)]
        self.share = np.array([len(r) for r in rows]) / len(X)
        self.mean = np.array([r.mean(0) for r in rows])
        self.variance = self.share @ [r.var(0) for r in rows]
        return self

    def joint(self, X):
        """ln p(x, y), for each row and both classes."""
        z = (X[:, None] - self.mean) ** 2 / self.variance
        height = np.log(2 * np.pi * self.variance)
        return -(z + height).sum(-1) / 2 + np.log(self.share)

    def decision_function(self, X):
        """ln of the odds of class 1, by Bayes' rule."""
        return self.joint(X) @ [-1, 1]


# --8<-- [end:generative]

# --8<-- [start:discriminative]
from sklearn.linear_model import LogisticRegression

MODELS = {
    "naive Bayes": NaiveBayes,
    "logistic, no penalty": lambda: LogisticRegression(C=np.inf, max_iter=1000),
    "logistic, default": LogisticRegression,
}


def scores(name, learned, tried):
    """ln of the odds of class 1 for rows to try, by a model of other rows."""
    mean, spread = X[learned].mean(0), X[learned].std(0)
    model = MODELS[name]().fit((X[learned] - mean) / spread, y[learned])
    return model.decision_function((X[tried] - mean) / spread)


# --8<-- [end:discriminative]

# --8<-- [start:same_form]
standard = (X - X.mean(0)) / X.std(0)
bayes = NaiveBayes().fit(standard, y)
slope = (bayes.mean[1] - bayes.mean[0]) / bayes.variance
height = bayes.decision_function(np.zeros((1, 10)))[0]
assert np.allclose(bayes.decision_function(standard), standard @ slope + height), "its score is a weighted sum too"
numbers = {"naive Bayes": bayes.mean.size + bayes.variance.size + 1, "logistic": X.shape[1] + 1}
# --8<-- [end:same_form]

# --8<-- [start:curves]
from sklearn.model_selection import train_test_split

SIZES, SEEDS = (8, 16, 32, 64, 128, 400), 40
errors = {name: {size: [] for size in SIZES} for name in MODELS}
for seed in range(SEEDS):
    pool, test = train_test_split(range(len(y)), test_size=142, stratify=y, random_state=seed)
    for size in SIZES:
        learned, _ = train_test_split(pool, train_size=size, stratify=y[pool], random_state=seed)
        for name in MODELS:
            wrong = (scores(name, learned, test) > 0) != y[test]
            errors[name][size].append(wrong.sum())
# --8<-- [end:curves]


# --8<-- [start:curve_table]
def quartiles(values):
    """The middle, and the middle half, in percent of the rows tried."""
    return 100 * np.quantile(values, [0.5, 0.25, 0.75], method="nearest") / len(test)


def ahead(size, other):
    """On how many seeds naive Bayes makes fewer errors than another, and on how many more."""
    gap = np.subtract(errors["naive Bayes"][size], errors[other][size])
    return (gap < 0).sum(), (gap > 0).sum()


print("| Rows learned from | Naive Bayes | Logistic, no penalty | Logistic, default |\n| ---: | --- | --- | --- |")
for size in SIZES:
    cells = [quartiles(errors[name][size]) for name in MODELS]
    print(f"| {size} | " + " | ".join(f"{m:.1f} ({low:.1f}–{high:.1f})" for m, low, high in cells) + " |")
# --8<-- [end:curve_table]

# --8<-- [start:curve_claims]
middle = {name: {size: quartiles(errors[name][size])[0] for size in SIZES} for name in MODELS}
won, lost = ahead(64, "logistic, no penalty")
late_won, late_lost = ahead(400, "logistic, no penalty")
assert all(middle["naive Bayes"][n] < middle["logistic, no penalty"][n] - 0.6 for n in (32, 64)), "ahead, then"
assert middle["naive Bayes"][400] > middle["logistic, no penalty"][400] + 0.6, "behind with all the rows"
assert all(middle["logistic, default"][n] < middle["naive Bayes"][n] + 0.8 for n in SIZES), (
    "with a penalty never behind"
)
assert all(middle["logistic, default"][n] < middle["naive Bayes"][n] for n in SIZES if n >= 32)
assert won > 1.5 * lost and late_lost > 2 * late_won
settled = middle["naive Bayes"][32] - middle["naive Bayes"][400]
learning = middle["logistic, default"][32] - middle["logistic, default"][400]
assert settled < 1.2, "naive Bayes is nearly as good with 32 rows as with 400"
assert learning > 1, "logistic regression is not"
curve_words = (
    f"Error on held-out rows against rows learned from, on a logarithmic axis. Naive Bayes falls to "
    f"{middle['naive Bayes'][32]:.1f}% at 32 rows and stays there. Logistic regression without a penalty is above it "
    f"at 32 and 64 rows and below it at 400, {middle['logistic, no penalty'][400]:.1f}%. With the default penalty it "
    "starts beside naive Bayes and is below it from 32 rows on."
)
# --8<-- [end:curve_claims]

# --8<-- [start:curve_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3.6))
for name in MODELS:
    line, low, high = np.transpose([quartiles(errors[name][size]) for size in SIZES])
    (drawn,) = ax.plot(SIZES, line, label=name)
    ax.fill_between(SIZES, low, high, color=drawn.get_color(), alpha=0.13, linewidth=0)
ax.set(xscale="log", xlabel="rows learned from", ylim=(0, None), title="error on held-out rows, %")
ax.set_xticks(SIZES, SIZES)
ax.minorticks_off()
ax.legend(loc="lower left")
fig
# --8<-- [end:curve_plot]

# --8<-- [start:judged]
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold


def unseen_scores(name, seed):
    """For each row, the score by a model that has not seen it: five folds."""
    found = np.empty(len(y))
    for learned, tried in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
        found[tried] = scores(name, learned, tried)
    return found


def read_to_find(score, share=0.98):
    """From the highest score down: rows to read until this share of the malignant ones is found."""
    hits = y[np.argsort(-score, kind="stable")].cumsum()
    return int(np.searchsorted(hits, share * y.sum())) + 1


judged = {name: [unseen_scores(name, seed) for seed in range(5)] for name in ("naive Bayes", "logistic, default")}
# --8<-- [end:judged]


# --8<-- [start:judged_table]
def probability(score):
    return 1 / (1 + np.exp(-score))


def measures(score):
    p = probability(score)
    sure = np.maximum(p, 1 - p) > 0.99
    wrong = (score > 0) != y
    return {
        "Decision: wrong": (wrong.sum(), ".0f"),
        "Ranking: AUC": (roc_auc_score(y, score), ".3f"),
        "Ranking: rows read to find 98%": (read_to_find(score), ".0f"),
        "Probability: log loss": (log_loss(y, np.clip(p, 1e-15, 1 - 1e-15)), ".2f"),
        "Probability: surer than 99%": (sure.sum(), ".0f"),
        "… and wrong": ((sure & wrong).sum(), ".0f"),
    }


found = {}
print("| Of 569 rows | Naive Bayes | Logistic |\n| --- | ---: | ---: |")
every = {name: [measures(score) for score in of_seeds] for name, of_seeds in judged.items()}
for what, (_, style) in every["naive Bayes"][0].items():
    cells = []
    for name, runs in every.items():
        low, *_, high = values = sorted(float(run[what][0]) for run in runs)
        found[what, name] = values
        cells.append(f"{values[2]:{style}} ({low:{style}}–{high:{style}})")
    print(f"| {what} | {' | '.join(cells)} |")
# --8<-- [end:judged_table]

# --8<-- [start:judged_claims]
bayes, logistic = judged
assert min(found["Ranking: AUC", bayes]) > 0.96, "naive Bayes ranks well"
assert min(found["Probability: log loss", bayes]) > 2 * max(found["Probability: log loss", logistic]), "and is too sure"
assert min(found["… and wrong", bayes]) > 10 and max(found["… and wrong", logistic]) < 5
assert (
    abs(
        np.log(found["Ranking: rows read to find 98%", bayes][2] / found["Ranking: rows read to find 98%", logistic][2])
    )
    < 0.1
)
names = list(data.feature_names[:10])
alike = np.corrcoef(X.T)[names.index("mean radius"), names.index("mean perimeter")]
assert alike > 0.99
# --8<-- [end:judged_claims]


# --8<-- [start:shift]
def logit(p):
    return np.log(p / (1 - p))


def shifted(score, before, after):
    """The score where class 1 has another share than it had in training."""
    return score + logit(after) - logit(before)


# --8<-- [end:shift]


# --8<-- [start:rate_table]
def used_at(rate, score, threshold=0.5):
    """Precision, recall and mean probability if this share of the rows were malignant: by weights, nothing is drawn."""
    weight = np.where(y == 1, rate / y.mean(), (1 - rate) / (1 - y.mean()))
    p = probability(score)
    called = p > threshold
    return weight[called & (y == 1)].sum() / weight[called].sum(), called[y == 1].mean(), np.average(p, weights=weight)


RATE, AT = y.mean(), 0.05
rows = {
    f"{RATE:.0%}, as in training": [used_at(RATE, score) for score in judged["logistic, default"]],
    f"{AT:.0%}, nothing changed": [used_at(AT, score) for score in judged["logistic, default"]],
    f"{AT:.0%}, score shifted": [used_at(AT, shifted(score, RATE, AT)) for score in judged["logistic, default"]],
}
print("| Malignant | Precision | Recall | Mean probability |\n| --- | ---: | ---: | ---: |")
middles = []
for what, runs in rows.items():
    middles.append(np.median(runs, axis=0))
    print(f"| {what} | " + " | ".join(f"{value:.0%}" for value in middles[-1]) + " |")
# --8<-- [end:rate_table]

# --8<-- [start:rate_claims]
trained, unchanged, moved = middles
assert unchanged[0] < trained[0] - 0.25 and unchanged[1] == trained[1], "precision falls, recall does not"
assert unchanged[2] > 1.4 * AT and abs(moved[2] / AT - 1) < 0.25, "and the shifted probabilities add up again"
assert moved[0] > unchanged[0] + 0.1 and moved[1] < unchanged[1], "shifted, it is right more often and finds fewer"
score = judged["logistic, default"][0]
again = [
    roc_auc_score(y, s, sample_weight=np.where(y == 1, w, 1))
    for s in (score, shifted(score, RATE, AT))
    for w in (1, 0.1)
]
assert np.ptp(again) < 1e-12, "the AUC is the same in all of these"
# --8<-- [end:rate_claims]


# --8<-- [start:far]
def far(seed):
    """Rows tenfold too large, as after a slip of units: who is sure, and who sees that it is no cell?"""
    learned, tried = train_test_split(range(len(y)), test_size=142, stratify=y, random_state=seed)
    mean, spread = X[learned].mean(0), X[learned].std(0)
    inside, usual, slip = ((rows - mean) / spread for rows in (X[learned], X[tried], 10 * X[tried]))
    discriminative = LogisticRegression().fit(inside, y[learned])
    generative = NaiveBayes().fit(inside, y[learned])

    def sure(score):
        return (np.maximum(probability(score), 1 - probability(score)) > 0.99).mean()

    def density(rows):
        return np.logaddexp(*generative.joint(rows).T)  # ln p(x)

    rare = np.quantile(density(inside), 0.01)
    return {
        "Logistic, p(y given x): surer than 99%": [sure(discriminative.decision_function(r)) for r in (usual, slip)],
        "Naive Bayes, p(y given x): surer than 99%": [sure(generative.decision_function(r)) for r in (usual, slip)],
        "Naive Bayes, p(x): rarer than 99% of its rows": [(density(r) < rare).mean() for r in (usual, slip)],
    }


with np.errstate(over="ignore"):  # e to the power of a large score
    alarms = [far(seed) for seed in range(5)]
# --8<-- [end:far]

# --8<-- [start:far_table]
print("| Share of held-out rows | As they are | × 10 |\n| --- | ---: | ---: |")
shares = {what: np.median([one[what] for one in alarms], axis=0) for what in alarms[0]}
for what, (usual, slip) in shares.items():
    print(f"| {what} | {usual:.0%} | {slip:.0%} |")
assert all(slip > 0.98 for _, slip in shares.values()), "all are sure of rows that are no cells; p(x) alone objects"
assert shares["Naive Bayes, p(x): rarer than 99% of its rows"][0] < 0.1
# --8<-- [end:far_table]

# --8<-- [start:units]
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

areas = [i for i, name in enumerate(data.feature_names) if "area" in name]


def wrong_in_units(factor, model):
    """Errors of 569 on all 30 columns, with the areas in a unit so many times smaller, over five shuffles."""
    rows = data.data.copy()
    rows[:, areas] *= factor
    folds = (StratifiedKFold(5, shuffle=True, random_state=seed) for seed in range(5))
    return sorted(int((cross_val_predict(model, rows, y, cv=fold) != y).sum()) for fold in folds)


plain, scaled = GaussianNB(), make_pipeline(StandardScaler(), GaussianNB())
in_units = {factor: (wrong_in_units(factor, plain), wrong_in_units(factor, scaled)) for factor in (1, 100, 10_000)}
# --8<-- [end:units]

# --8<-- [start:units_table]
print("| Areas × | `GaussianNB` | … after `StandardScaler` |\n| ---: | ---: | ---: |")
for factor, cells in in_units.items():
    print(f"| {factor:,} | " + " | ".join(f"{every[2]} ({every[0]} to {every[-1]})" for every in cells) + " |")
fitted = GaussianNB().fit(data.data, y)
own = np.array([data.data[y == c].var(0) for c in (0, 1)])
drowned = int((own < fitted.epsilon_).any(0).sum())
assert in_units[1][1] == in_units[100][1] == in_units[10_000][1], "scaled, the unit does not matter"
assert in_units[100][0][0] > in_units[1][0][-1] and in_units[10_000][0][0] > in_units[100][0][-1], "else it does"
assert fitted.epsilon_ == 1e-9 * data.data.var(0).max() and drowned > 3
# --8<-- [end:units_table]


# --8<-- [start:own]
def trust(p, y):
    """Mean probability and true share; rows surer than 99%, and wrong."""
    sure = np.maximum(p, 1 - p) > 0.99
    wrong = (p > 0.5) != y
    return p.mean(), np.mean(y), sure.sum(), (sure & wrong).sum()


for name, (score, *_) in judged.items():
    mean, share, sure, wrong = trust(probability(score), y)
    print(f"{name}: {mean:.2f} for {share:.2f}; {wrong} of {sure} wrong")
# --8<-- [end:own]

# --8<-- [start:problems]
at_ten_percent = probability(shifted(logit(0.8), 0.5, 0.1))
thrice = probability(1.5), probability(4.5)
ranked = roc_auc_score([1, 0, 1, 0, 0], [0.9, 0.7, 0.4, 0.2, 0.1])
assert round(at_ten_percent, 2) == 0.31 and round(ranked, 4) == round(5 / 6, 4)
# --8<-- [end:problems]
