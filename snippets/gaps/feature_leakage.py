"""The program of "Feature leakage": columns that hold the answer, and a check that finds them."""

# --8<-- [start:data]
import polars as pl
from statsmodels.datasets import fair

import weigh

survey = pl.from_pandas(fair.load_pandas().data)
survey = survey.with_columns(had=(pl.col("affairs") > 0).cast(pl.Int8))
HONEST = [name for name in survey.columns if name not in ("affairs", "had")]
# --8<-- [end:data]

# --8<-- [start:fall]
from statistics import median

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

NOT_YET = {"as in the table": "affairs", "filled with 0": pl.lit(0.0), "missing": pl.lit(None, pl.Float64)}


def fall(seed):
    """AUC on held-out rows: of a model with the leak, by how the leaking field is filled, and of one without."""
    train, test = train_test_split(survey, test_size=0.3, stratify=survey["had"], random_state=seed)
    trees = HistGradientBoostingClassifier(max_iter=20, early_stopping=False, random_state=0)
    leaky = trees.fit(train.select("affairs", *HONEST).to_numpy(), train["had"])
    rows = {how: test.with_columns(affairs=filled).select("affairs", *HONEST) for how, filled in NOT_YET.items()}
    found = {how: roc_auc_score(test["had"], leaky.predict_proba(each.to_numpy())[:, 1]) for how, each in rows.items()}
    honest = trees.fit(train.select(HONEST).to_numpy(), train["had"])
    return found | {"honest": roc_auc_score(test["had"], honest.predict_proba(test.select(HONEST).to_numpy())[:, 1])}


runs = [fall(seed) for seed in range(5)]
falls = {how: [run[how] for run in runs] for how in runs[0]}
# --8<-- [end:fall]

# --8<-- [start:fall_table]
middle = {how: median(aucs) for how, aucs in falls.items()}
print("| Model | `affairs` | AUC, median | Range |\n| --- | --- | ---: | ---: |")
for how, aucs in falls.items():
    model, field = ("without it", "–") if how == "honest" else ("with it", how)
    print(f"| {model} | {field} | {median(aucs):.2f} | {min(aucs):.2f} to {max(aucs):.2f} |")
assert min(falls["as in the table"]) > 0.999, "with the field the model is perfect"
assert max(falls["filled with 0"] + falls["missing"]) < 0.6, "and near a coin where the field is not filled yet"
assert min(falls["honest"]) > 0.65, "an honest model is not"
# --8<-- [end:fall_table]

# --8<-- [start:scan]
found = weigh.telling_features(survey, "had")
print(found.finding, "–", found.figure.name)
for row in found.evidence[:4]:
    print(f"{row['column']:14} {row['AUC alone']:.3f}")
print(f"the others together {found.threshold:.2f}")
# --8<-- [end:scan]

# --8<-- [start:scan_claims]
assert found.finding == "yes" and found.figure.value > 0.999
assert 0.75 <= found.threshold < 0.78, "the others together reach about as much as an honest model"
second = found.evidence[1]["AUC alone"]
assert second < 0.7
# --8<-- [end:scan_claims]

# --8<-- [start:known]
known = {**dict.fromkeys(HONEST, True), "affairs": False}
rests_on = weigh.unknown_at_prediction(survey, "had", known=known)
print(rests_on.finding, f"– {rests_on.figure.name}: {rests_on.figure.value:.2f}")
for row in rests_on.evidence[:3]:
    print(f"{row['column']:14} {row['AUC lost']:.3f}  known: {row['known']}")
# --8<-- [end:known]

# --8<-- [start:known_claims]
assert rests_on.finding == "yes" and rests_on.figure.low > 0.4
assert rests_on.evidence[0]["column"] == "affairs"
assert all(abs(row["AUC lost"]) < 0.001 for row in rests_on.evidence[1:]), "beside the leak nothing else matters"
# --8<-- [end:known_claims]

# --8<-- [start:order]
order = weigh.row_order(survey, "had")
shuffled = weigh.row_order(survey.sample(fraction=1, shuffle=True, seed=0), "had")
print(order.finding, f"{order.figure.value:.3f}", "– as published")
print(shuffled.finding, f"{shuffled.figure.value:.2f}", "– shuffled")
# --8<-- [end:order]

# --8<-- [start:order_claims]
assert (order.finding, shuffled.finding) == ("yes", "no"), "the published table is sorted by the answer"
# --8<-- [end:order_claims]

# --8<-- [start:silent]
from sklearn.datasets import load_breast_cancer, load_diabetes
from statsmodels.datasets import anes96, modechoice

tumours = pl.from_pandas(load_breast_cancer(as_frame=True).frame)
CLEAN = {
    "Fair, without `affairs`": (survey.drop("affairs"), "had", {}),
    "ANES 1996": (pl.from_pandas(anes96.load_pandas().data), "vote", {}),
    "Mode choice": (pl.from_pandas(modechoice.load_pandas().data), "choice", {"groups": "individual"}),
    "Breast cancer": (tumours, "target", {}),
    "Diabetes": (pl.from_pandas(load_diabetes(as_frame=True).frame), "target", {}),
}
silent = {name: weigh.telling_features(table, target, **more) for name, (table, target, more) in CLEAN.items()}
# --8<-- [end:silent]

# --8<-- [start:silent_table]
print("| Data | Strongest alone | Score | Limit | Leak? |\n| --- | --- | ---: | ---: | --- |")
for name, result in silent.items():
    unit, _, column = result.figure.name.removesuffix(" alone").partition(" of ")
    score = f"{unit} {result.figure.value:.2f}"
    print(f"| {name} | {column.strip(chr(39))} | {score} | {result.threshold:.2f} | {result.finding} |")
assert all(result.finding != "yes" for result in silent.values()), "no honest table is called leaky"
assert silent["ANES 1996"].finding == "undecided", "the party tells as much as all else together"
assert silent["Breast cancer"].figure.value > 0.93, "a high score alone is no leak"
declared = weigh.telling_features(CLEAN["ANES 1996"][0], "vote", known=["PID"])
assert declared.finding == "no", "declared known, it is no longer under suspicion"
# --8<-- [end:silent_table]

# --8<-- [start:rates]
import numpy as np
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(0)


def planted(rows, share):
    """Rows of the survey with an id. For so many of those who answered yes, it comes from a later block of numbers."""
    sample = survey.sample(rows, seed=int(rng.integers(2**32)))
    late = (sample["had"].to_numpy() == 1) & (rng.random(rows) < share)
    number = np.where(late, 500_000, 0) + rng.permutation(rows)
    return sample.select("had", id=pl.Series(number))


SHARES = [0, 0.15, 0.3, 0.5]
RUNS = 20
CLEAN_RUNS = 60
rates = {}
for rows in (300, 1200):
    for share in SHARES:
        many = CLEAN_RUNS if share == 0 else RUNS
        findings = [weigh.telling_identifiers(planted(rows, share), "had").finding for _ in range(many)]
        rates[rows, share] = findings.count("yes"), many
# --8<-- [end:rates]

# --8<-- [start:false_alarms]
HARMLESS = ["age", "educ"]
alarms = sum(
    weigh.telling_features(survey.select("had", *HARMLESS).sample(300, seed=seed), "had").finding == "yes"
    for seed in range(CLEAN_RUNS)
)
false_alarms = alarms + sum(rates[rows, 0][0] for rows in (300, 1200))
clean_runs = 3 * CLEAN_RUNS
most_alarms = proportion_confint(false_alarms, clean_runs, method="wilson")[1]
# --8<-- [end:false_alarms]

# --8<-- [start:rates_claims]
assert false_alarms <= 6, "clean tables are hardly ever called leaky"
assert rates[300, 0.5][0] >= 0.8 * RUNS and rates[1200, 0.3][0] >= 0.6 * RUNS, "and what is planted is found"
assert rates[1200, 0.3][0] > rates[300, 0.3][0], "sooner in more rows"
rates_words = (
    "Two rising lines against the share of answers that the id gives away: findings of the check in 300 rows and in "
    f"1,200. At 0 they are near 0, at 0.3 {rates[300, 0.3][0] / RUNS:.0%} and {rates[1200, 0.3][0] / RUNS:.0%}, and "
    f"at 0.5 {rates[300, 0.5][0] / RUNS:.0%} and {rates[1200, 0.5][0] / RUNS:.0%}."
)
# --8<-- [end:rates_claims]

# --8<-- [start:rates_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3.4))
for nudge, rows in ((-0.004, 300), (0.004, 1200)):
    counts = [rates[rows, share] for share in SHARES]
    share_found = np.array([yes / many for yes, many in counts])
    low, high = np.array([proportion_confint(*count, method="wilson") for count in counts]).T
    bars = np.maximum([share_found - low, high - share_found], 0)
    ax.errorbar(np.array(SHARES) + nudge, share_found, bars, marker="o", capsize=3, label=f"{rows:,} rows")
ax.set(xlabel="share of the positives whose id gives them away", ylabel="share of tables found", ylim=(-0.03, 1.03))
ax.yaxis.set_major_formatter("{x:.0%}")
ax.legend(fontsize=9)
fig
# --8<-- [end:rates_plot]

# --8<-- [start:limits]
copies = survey.with_columns(partners=pl.col("affairs").ceil())
alone = weigh.telling_features(copies, "had")
with_declaration = weigh.telling_features(copies, "had", known=HONEST)
print("two copies of the leak:", alone.finding)
print("… the others declared known:", with_declaration.finding)

coin = pl.Series(np.random.default_rng(0).integers(0, 2, len(survey)))
halves = survey.select("had", *HONEST, half=coin, other=(coin + survey["had"]) % 2)
split = weigh.telling_features(halves, "had", known=HONEST)
whole = weigh.unknown_at_prediction(halves, "had", known=HONEST)
print("an answer in two halves, each alone:", split.finding)
print("… both shuffled together:", whole.finding)
# --8<-- [end:limits]

# --8<-- [start:limits_claims]
assert alone.finding != "yes" and with_declaration.finding == "yes", "two copies hide each other"
assert split.finding == "no" and whole.finding == "yes", "each half tells nothing alone"
twins = weigh.unknown_at_prediction(copies, "had", known=HONEST)
lost = {row["column"]: row["AUC lost"] for row in twins.evidence}
assert twins.finding == "yes", "together they matter"
assert min(lost["affairs"], lost["partners"]) < 0.01 < 0.4 < max(lost.values()), "the model uses one copy only"
# --8<-- [end:limits_claims]

# --8<-- [start:encoding]
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import TargetEncoder


def encoded(seed, rows=2000, streets=400):
    """AUC of a random category, by how it is encoded: it tells nothing, so 0.5 is right."""
    rng = np.random.default_rng(seed)
    answer, street = rng.integers(0, 2, rows), rng.integers(0, streets, (rows, 1))
    encoder = TargetEncoder(cv=KFold(5, shuffle=True, random_state=seed))
    on_all = encoder.fit(street, answer).transform(street)
    crossed = encoder.fit_transform(street, answer)
    model = make_pipeline(encoder, LogisticRegression())
    return {
        "`fit` on all rows, then `transform`": roc_auc_score(answer, on_all[:, 0]),
        "`fit_transform`, which cross-fits": roc_auc_score(answer, crossed[:, 0]),
        "in a pipeline, cross-validated": cross_val_score(model, street, answer, scoring="roc_auc").mean(),
    }


encodings = [encoded(seed) for seed in range(5)]
# --8<-- [end:encoding]

# --8<-- [start:selection]
from sklearn.feature_selection import SelectKBest


def selected(seed, rows=100, columns=5000, kept=25):
    """Accuracy on pure noise, with the best columns chosen from all rows, and inside each fold."""
    rng = np.random.default_rng(seed)
    noise, answer = rng.normal(size=(rows, columns)), np.arange(rows) % 2
    best = SelectKBest(k=kept)
    before = cross_val_score(LogisticRegression(), best.fit_transform(noise, answer), answer)
    inside = cross_val_score(make_pipeline(best, LogisticRegression()), noise, answer)
    return {"columns chosen from all rows": before.mean(), "columns chosen in each fold": inside.mean()}


selections = [selected(seed) for seed in range(5)]
# --8<-- [end:selection]

# --8<-- [start:scaling]
from sklearn.preprocessing import StandardScaler

cells, malignant = load_breast_cancer(return_X_y=True)


def scaled(seed):
    """Accuracy with the scale taken from all rows, and from the training rows of each fold."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    before = cross_val_score(LogisticRegression(), StandardScaler().fit_transform(cells), malignant, cv=folds)
    inside = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression()), cells, malignant, cv=folds)
    return {"scaled by all rows": before.mean(), "scaled in each fold": inside.mean()}


scalings = [scaled(seed) for seed in range(5)]
# --8<-- [end:scaling]

# --8<-- [start:steps_table]
print("| Step | Score | Median | Range |\n| --- | --- | ---: | ---: |")
for score, results in (("AUC", encodings), ("accuracy", selections), ("accuracy", scalings)):
    for step in results[0]:
        values = sorted(result[step] for result in results)
        print(f"| {step} | {score} | {median(values):.2f} | {values[0]:.2f} to {values[-1]:.2f} |")
in_all, crossed, piped = (sorted(run[step] for run in encodings) for step in encodings[0])
chosen, honest_choice = (sorted(run[step] for run in selections) for step in selections[0])
before, inside = (sorted(run[step] for run in scalings) for step in scalings[0])
assert in_all[0] > 0.7 and max(crossed[-1], piped[-1]) < 0.56, "a random category, encoded with its own answers"
assert chosen[0] > 0.75 and honest_choice[-1] < 0.65, "columns of noise, chosen with the answers of the test rows"
assert max(abs(run["scaled by all rows"] - run["scaled in each fold"]) for run in scalings) < 0.01, "no harm here"
# --8<-- [end:steps_table]

# --8<-- [start:upside_down]
rating = survey.select(pl.col("rate_marriage").cast(pl.String)).to_numpy()
had = survey["had"].to_numpy()
outer = StratifiedKFold(5, shuffle=True, random_state=0)
INNER = {
    "`cv=5`, the default": 5,
    "`cv=KFold(5)`": KFold(5),
    "`cv=KFold(5, shuffle=True)`": KFold(5, shuffle=True, random_state=0),
}


def rating_alone(inner):
    """The cross-validated AUC of one category, whose encoding is cross-fitted in so many inner folds."""
    model = make_pipeline(TargetEncoder(cv=inner), LogisticRegression())
    return cross_val_score(model, rating, had, cv=outer, scoring="roc_auc").mean()


turned = {name: rating_alone(inner) for name, inner in INNER.items()}
# --8<-- [end:upside_down]

# --8<-- [start:upside_down_table]
print("| `TargetEncoder` with | AUC of `rate_marriage` |\n| --- | ---: |")
for name, score in turned.items():
    print(f"| {name} | {score:.2f} |")
fair_score, upside_down, mended = turned.values()
assert upside_down < 0.4 < 0.65 < min(fair_score, mended), "without shuffling, the encoding is turned around"
# --8<-- [end:upside_down_table]

# --8<-- [start:own]
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

declaration = "".join(f"{name} = {str(value).lower()}\n" for name, value in known.items())
command = "check features survey.csv --target had --known known.toml"
with tempfile.TemporaryDirectory() as folder:
    survey.write_csv(Path(folder, "survey.csv"))
    Path(folder, "known.toml").write_text(declaration)
    words = [sys.executable, "-m", "weigh", *command.split()]
    done = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8")

print(f"$ weigh {command}")
for line in done.stdout.splitlines():
    folded = textwrap.fill(line, 84, subsequent_indent="    ")
    print(folded if len(line) > 84 else line.rstrip())
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert done.returncode == 1, done.stderr

refused = ""
try:
    HistGradientBoostingClassifier().fit(np.full((50, 1), np.nan), np.arange(50) % 2)
except ValueError as error:
    refused = str(error)
assert refused == "window shape cannot be larger than input array shape", "boosting refuses an empty column"
# --8<-- [end:own_claims]

# --8<-- [start:problems]
import inspect

fits = {name: result.cost["models fitted"] for name, result in silent.items()}
most_rows = inspect.signature(weigh.check_features).parameters["most_rows"].default
# An id gives away a share s of the positives: it ranks them above all, and the others at random.
given_away = 0.4
auc_of_id = given_away + (1 - given_away) / 2
columns = 20
noise_found = 1 - 0.95**columns
# --8<-- [end:problems]
