"""The program of "Label quality": raters, label errors and stale labels, planted in real digits and looked for."""

# --8<-- [start:digits]
import numpy as np
import polars as pl
from sklearn.datasets import load_digits

pixels, truth = load_digits(return_X_y=True)
# A thousandth of a pixel, so that no two distances are equal and every processor finds the same neighbours.
pixels += np.random.default_rng(0).normal(0, 1e-3, pixels.shape)
SEEDS = range(5)


def planted(share, seed):
    """Labels of which a share is wrong, each by chance, and where."""
    random = np.random.default_rng(seed)
    wrong = np.zeros(len(truth), dtype=bool)
    wrong[random.choice(len(truth), round(share * len(truth)), replace=False)] = True
    return np.where(wrong, (truth + random.integers(1, 10, len(truth))) % 10, truth), wrong


def table(labels, probabilities):
    """What the check reads: a label, and a column with the probability of each class."""
    return pl.DataFrame({"label": labels, **{f"p_{digit}": p for digit, p in enumerate(probabilities.T)}})


def spread(values, form="{:.0f}"):
    """Median, and the range over the seeds."""
    low, middle, high = (form.format(value) for value in np.quantile(values, [0, 0.5, 1]))
    return f"{middle} ({low}–{high})"


# --8<-- [end:digits]

# --8<-- [start:learned]
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

neighbours = KNeighborsClassifier(10)


def out_of_fold(model, labels, seed=0):
    """Probabilities of each row by a model that was fitted without it."""
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return cross_val_predict(model, pixels, labels, cv=folds, method="predict_proba")


def called_sevens(share, seed):
    """Labels by someone who takes a share of the ones for sevens."""
    return np.where((truth == 1) & (np.random.default_rng(seed).random(len(truth)) < share), 7, truth)


given = {
    "right": [truth],
    "5 % wrong by chance": [planted(0.05, seed)[0] for seed in SEEDS],
    "30 % wrong by chance": [planted(0.3, seed)[0] for seed in SEEDS],
    "70 % of ones called 7": [called_sevens(0.7, seed) for seed in SEEDS],
}
learned = {}
for name, sets in given.items():
    guesses = [out_of_fold(neighbours, labels).argmax(1) for labels in sets]
    learned[name] = {
        "wrong": [(labels != truth).mean() for labels in sets],
        "against labels": [(guess == labels).mean() for guess, labels in zip(guesses, sets, strict=True)],
        "against truth": [(guess == truth).mean() for guess in guesses],
        "ones as 7": [(guess[truth == 1] == 7).mean() for guess in guesses],
    }
# --8<-- [end:learned]

# --8<-- [start:learned_table]
print("| Labels | Wrong | Right by them | Right in truth | Ones read as 7 |\n| --- | ---: | ---: | ---: | ---: |")
for name, row in learned.items():
    print(f"| {name} | " + " | ".join(f"{np.median(values):.1%}" for values in row.values()) + " |")
# --8<-- [end:learned_table]

# --8<-- [start:learned_claims]
chance, habit = learned["30 % wrong by chance"], learned["70 % of ones called 7"]
assert min(learned["5 % wrong by chance"]["against truth"]) > 0.95, "a few random errors are outvoted"
assert min(chance["against truth"]) > 0.9, "and so are many"
assert max(chance["against labels"]) < 0.75, "though the score says otherwise"
assert max(chance["ones as 7"]) < 0.05, "random errors teach no habit"
assert min(habit["ones as 7"]) > 0.6, "a habit is learned"
assert max(habit["wrong"]) < 0.08, "from few wrong labels"
assert min(habit["against labels"]) > 0.93, "and the score does not show it"
# --8<-- [end:learned_claims]

# --8<-- [start:paradox]
import weigh

rows = []
for negatives in (250, 400, 485):  # of 500 items, each rater says "no" to so many
    both_no = negatives - 10
    pairs = [("no", "no")] * both_no + [("no", "yes"), ("yes", "no")] * 10
    pairs += [("yes", "yes")] * (500 - len(pairs))
    found = weigh.agreement(pl.DataFrame(pairs, schema=["ann", "bob"], orient="row"), ["ann", "bob"])
    rows.append((negatives / 500, found, *found.evidence))
# --8<-- [end:paradox]

# --8<-- [start:paradox_table]
print("| Say “no” | Agree | By chance | Cohen's κ | Fault? |\n| ---: | ---: | ---: | ---: | --- |")
for share, found, pair in rows:
    agreement, chance, kappa = (pair[name] for name in ("agreement", "by chance", "Cohen's kappa"))
    print(f"| {share:.0%} | {agreement:.0%} | {chance:.0%} | {kappa:.2f} | {found.finding} |")
# --8<-- [end:paradox_table]

# --8<-- [start:paradox_claims]
kappas = [pair["Cohen's kappa"] for _, _, pair in rows]
assert {pair["agreement"] for _, _, pair in rows} == {0.96}
assert kappas[0] > 0.9 > kappas[2] + 0.5, "one agreement, two verdicts"
assert [found.finding for _, found, _ in rows] == ["no", "no", "yes"]
rare = rows[2][1].figure
# --8<-- [end:paradox_claims]

# --8<-- [start:errors]
from cleanlab.filter import find_label_issues
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB

calibrated = CalibratedClassifierCV(GaussianNB(), method="isotonic", cv=3)


def judged(labels, wrong, probabilities):
    """What cleanlab flags, what of it is right and how much of what is wrong, and what the check concludes."""
    flagged = find_label_issues(labels, probabilities, filter_by="confident_learning", n_jobs=1)
    hits = (flagged & wrong).sum()
    finding = weigh.label_errors(table(labels, probabilities), "label", "p_").finding
    return flagged.sum(), hits / max(flagged.sum(), 1), hits / max(wrong.sum(), 1), finding


def forest(labels):
    """Probabilities by the trees that were grown without the row, which scikit-learn keeps, and by all trees."""
    trees = RandomForestClassifier(30, oob_score=True, random_state=0).fit(pixels, labels)
    return trees.oob_decision_function_, trees.predict_proba(pixels)


five = [planted(0.08, seed) for seed in SEEDS]
forests = [forest(labels) for labels, _ in five]
outcomes = {
    "neighbours, out-of-fold": [judged(*each, out_of_fold(neighbours, each[0])) for each in five],
    "forest, out-of-bag": [judged(*each, unseen) for each, (unseen, _) in zip(five, forests, strict=True)],
    "forest, in-sample": [judged(*each, seen) for each, (_, seen) in zip(five, forests, strict=True)],
    "neighbours, in-sample": [judged(*each, neighbours.fit(pixels, each[0]).predict_proba(pixels)) for each in five],
}
by_model = {"neighbours": out_of_fold(neighbours, truth), "forest": forest(truth)[0]}
by_model |= {"naive Bayes": out_of_fold(GaussianNB(), truth), "the same, calibrated": out_of_fold(calibrated, truth)}
clean = {name: judged(truth, truth < 0, probabilities) for name, probabilities in by_model.items()}
# --8<-- [end:errors]

# --8<-- [start:errors_table]
print("| Probabilities of | Flagged | Precision, % | Recall, % | Fault? |\n| --- | ---: | ---: | ---: | --- |")
for name, found in outcomes.items():
    flagged, precision, recall, finding = zip(*found, strict=True)
    right = spread(100 * np.array(precision)) if max(flagged) else "–"
    answers = " / ".join(sorted(set(finding)))
    print(f"| {name} | {np.median(flagged):.0f} | {right} | {spread(100 * np.array(recall))} | {answers} |")
# --8<-- [end:errors_table]

# --8<-- [start:errors_claims]
for name in ("neighbours, out-of-fold", "forest, out-of-bag"):
    for _, precision, recall, finding in outcomes[name]:
        assert precision > 0.9 and recall > 0.5 and finding == "yes", "out-of-fold probabilities find most errors"
for flagged, _, _, finding in outcomes["forest, in-sample"]:
    assert (flagged, finding) == (0, "undecided"), "in-sample probabilities of a forest hide every error"
for _, precision, recall, _ in outcomes["neighbours, in-sample"]:
    assert 0.3 < recall < 0.65 and precision > 0.85, "those of neighbours hide half"
assert clean["neighbours"][3] == clean["forest"][3] == "no", "clean labels are let alone"
assert clean["naive Bayes"][0] > 150 and clean["naive Bayes"][3] == "undecided", "an overconfident model is no witness"
assert clean["the same, calibrated"][0] > 35, "a weak model's mistakes pass for wrong labels"
assert clean["the same, calibrated"][3] == "undecided"
# --8<-- [end:errors_claims]

# --8<-- [start:clean_table]
print("| Out-of-fold, by | Flagged | Fault? |\n| --- | ---: | --- |")
for name, (flagged, _, _, finding) in clean.items():
    print(f"| {name} | {flagged} | {finding} |")
# --8<-- [end:clean_table]

# --8<-- [start:review]
from cleanlab.rank import get_label_quality_scores


def found_by(model):
    """The share of the errors among the rows reviewed, least confident first: shape (seeds, rows)."""
    curves = []
    for labels, wrong in five:
        order = np.argsort(get_label_quality_scores(labels, out_of_fold(model, labels)), kind="stable")
        curves.append(wrong[order].cumsum() / wrong.sum())
    return np.array(curves)


def rows_for(share, curves):
    """How many rows to review for a share of the errors, by the median of the seeds."""
    return int(np.searchsorted(np.median(curves, axis=0), share)) + 1


reviewers = {"neighbours": found_by(neighbours), "naive Bayes": found_by(GaussianNB())}
# --8<-- [end:review]

# --8<-- [start:review_claims]
errors = round(0.08 * len(truth))
half, most, weak = (rows_for(*each) for each in ((0.5, reviewers["neighbours"]), (0.9, reviewers["neighbours"]),
                                                 (0.9, reviewers["naive Bayes"])))  # fmt: skip
assert half < 0.7 * errors and most < 1.3 * errors, "the first rows are nearly all errors"
assert weak > 1.3 * most, "by a weaker model they are not"
review_words = (
    f"Share of {errors} planted errors found against rows reviewed, least confident first. By neighbours half after "
    f"{half} rows and nine tenths after {most}; by naive Bayes nine tenths after {weak}. In random order nine tenths "
    f"take nine tenths of the {len(truth):,} rows."
)
# --8<-- [end:review_claims]

# --8<-- [start:review_plot]
import matplotlib.pyplot as plt

fig, axis = plt.subplots(figsize=(7, 3.2))
reviewed = np.arange(1, len(truth) + 1)
for name, curves in reviewers.items():
    axis.plot(reviewed, np.median(curves, axis=0), label=name)
    axis.fill_between(reviewed, curves.min(axis=0), curves.max(axis=0), alpha=0.3)
axis.plot(reviewed, reviewed / len(truth), linestyle="--", label="random order")
axis.axvline(errors, color="C5", linewidth=1, label="as many as there are errors")
axis.set(xlabel="rows reviewed", title="share of label errors found", xscale="log", ylim=(0, 1.03))
axis.xaxis.set_major_formatter("{x:,.0f}")
axis.legend(fontsize=9)
fig
# --8<-- [end:review_plot]

# --8<-- [start:power]
from sklearn.neighbors import NearestNeighbors
from statsmodels.stats.proportion import proportion_confint

RUNS = 100
SHARES = [0, 0.02, 0.03, 0.05, 0.08]
_, nearest = NearestNeighbors(n_neighbors=10).fit(pixels).kneighbors()  # of a row, without the row itself


def one_label_run(share, seed):
    """The finding on 600 digits, of all with a share of wrong labels, each judged by its ten neighbours."""
    random = np.random.default_rng(seed)
    labels, some = planted(share, seed)[0], random.choice(len(truth), 600, replace=False)
    votes = np.eye(10)[labels[nearest[some]]].mean(1)
    return weigh.label_errors(table(labels[some], votes), "label", "p_").finding


def found_of(run, amounts):
    """How often each finding came, for each amount of the fault."""
    findings = [[run(amount, seed) for seed in range(RUNS)] for amount in amounts]
    return {answer: [row.count(answer) for row in findings] for answer in ("yes", "no")}


by_labels = found_of(one_label_run, SHARES)
# --8<-- [end:power]

# --8<-- [start:power_of_raters]
ALPHAS = [0.9, 0.8, 0.7, 0.6, 0.5]


def one_rater_run(agreement, seed):
    """The finding on 100 items of three kinds, by three raters who agree beyond chance so often."""
    random = np.random.default_rng(seed)
    kinds, knows = random.integers(0, 3, 100), agreement**0.5
    columns = {
        rater: np.where(random.random(100) < knows, kinds, random.integers(0, 3, 100)) for rater in ("a", "b", "c")
    }
    return weigh.agreement(pl.DataFrame(columns), columns).finding


by_raters = found_of(one_rater_run, ALPHAS)
# --8<-- [end:power_of_raters]

# --8<-- [start:power_claims]
false_alarms = by_labels["yes"][0] + by_labels["yes"][1], sum(by_raters["yes"][:3])
assert false_alarms == (0, 0), "no alarm where the labels are right, nor where raters agree enough"
assert by_labels["yes"][-1] >= 0.95 * RUNS and by_raters["yes"][-1] >= 0.8 * RUNS, "large faults are found"
assert by_labels["no"][3:] == by_raters["no"][3:] == [0, 0], "and never cleared"
assert by_labels["yes"][2] + by_labels["no"][2] < 0.3 * RUNS, "at the threshold it does not decide"
power_words = (
    f"Two panels: the share of {RUNS} runs in which the check said yes, and no. Left, against wrong labels: no yes at "
    f"0 and 2 %, {by_labels['yes'][3]} at 5 %, {by_labels['yes'][4]} at 8 %. Right, against the alpha of the raters: "
    f"{by_raters['yes'][0]} at 0.9, {by_raters['yes'][3]} at 0.6, {by_raters['yes'][4]} at 0.5."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
fig, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharey=True)
for axis, amounts, counts, limit in ((axes[0], SHARES, by_labels, 0.03), (axes[1], ALPHAS, by_raters, 0.667)):
    for answer, colour in (("yes", "C1"), ("no", "C0")):
        low, high = proportion_confint(np.array(counts[answer]), RUNS, method="wilson")
        axis.plot(amounts, np.array(counts[answer]) / RUNS, color=colour, marker="o", label=f"“{answer}”")
        axis.fill_between(amounts, low, high, color=colour, alpha=0.25)
    axis.axvline(limit, color="C5", linewidth=1, label="threshold")
axes[0].set(xlabel="share of labels that are wrong", title="label errors, 600 rows")
axes[0].xaxis.set_major_formatter("{x:.0%}")
axes[1].set(xlabel="alpha that the raters have", title="agreement, 100 items")
axes[1].invert_xaxis()
axes[0].set_ylabel("share of runs")
axes[1].legend(fontsize=9)
fig
# --8<-- [end:power_plot]

# --8<-- [start:adjudicate]
from cleanlab.multiannotator import get_label_quality_multiannotator, get_majority_vote_label

ERRORS = [0.1, 0.1, 0.1, 0.4, 0.4]  # of five raters, of whom three see each digit


def guessed(error, random):
    """Labels of which so many are digits at random."""
    return np.where(random.random(len(truth)) < error, random.integers(0, 10, len(truth)), truth)


def adjudicated(seed):
    """The labels that each rule makes of the same ratings, and the rows that the expert has to read."""
    random = np.random.default_rng(seed)
    ratings = np.stack([guessed(error, random) for error in ERRORS], axis=1).astype(float)
    for item in ratings:
        item[random.choice(5, 2, replace=False)] = np.nan
    expert, counts = guessed(0.02, random), (ratings[:, :, None] == np.arange(10)).sum(1)
    majority = get_majority_vote_label(ratings, verbose=False)
    model = out_of_fold(neighbours, majority)
    ignorant = np.tile(np.bincount(majority, minlength=10) / len(majority), (len(majority), 1))
    tie, split = counts.max(1) == 1, counts.max(1) < 3
    crowdlab = [
        get_label_quality_multiannotator(ratings, known, verbose=False)["label_quality"]["consensus_label"].to_numpy()
        for known in (model, ignorant)
    ]
    return {
        "majority": (majority, 0),
        "majority, ties by expert": (np.where(tie, expert, majority), tie.sum()),
        "expert, where any differ": (np.where(split, expert, majority), split.sum()),
        "majority, ties by a model": (get_majority_vote_label(ratings, model, verbose=False), 0),
        "CROWDLAB with that model": (crowdlab[0], 0),
        "CROWDLAB, ignorant model": (crowdlab[1], 0),
    }


verdicts = [adjudicated(seed) for seed in SEEDS]
missed = {rule: [100 * (each[rule][0] != truth).mean() for each in verdicts] for rule in verdicts[0]}
read = {rule: [each[rule][1] for each in verdicts] for rule in verdicts[0]}
# --8<-- [end:adjudicate]

# --8<-- [start:adjudicate_table]
print("| Rule | Labels wrong, % | Expert reads |\n| --- | ---: | ---: |")
for rule in missed:
    print(f"| {rule} | {spread(missed[rule], '{:.1f}')} | {spread(read[rule]) if max(read[rule]) else '–'} |")
# --8<-- [end:adjudicate_table]

# --8<-- [start:adjudicate_claims]
worst, best = min(missed["majority"]), max(missed["CROWDLAB with that model"])
assert best < worst / 3, "a model that has seen the digits is worth more than a majority"
assert max(missed["majority, ties by expert"]) < worst, "an expert who reads the ties helps"
middle = {rule: np.median(shares) for rule, shares in missed.items()}
assert middle["expert, where any differ"] < middle["majority, ties by expert"], "and one who reads more, more"
assert middle["CROWDLAB, ignorant model"] > 8 * middle["CROWDLAB with that model"], "the model is what helps"
assert min(read["expert, where any differ"]) > 4 * max(read["majority, ties by expert"]), "at a price"
# --8<-- [end:adjudicate_claims]

# --8<-- [start:stale]
from datetime import date, timedelta

days = [date(2026, 1, 1) + timedelta(row % 300) for row in range(len(truth))]
later = [90 if row % 30 == 7 else -3 for row in range(len(days))]  # one source in thirty was edited
edited = [day + timedelta(by) for day, by in zip(days, later, strict=True)]
dated = pl.DataFrame({"labelled": days, "changed": edited})
stale = weigh.stale_labels(dated, "labelled", "changed")
fresh = weigh.stale_labels(dated, "labelled", "labelled")
for name, found in {"edited": stale, "never edited": fresh}.items():
    print(f"{name}: {found.finding}, {found.figure.value:.1%} of {found.cost['rows']:,} rows")
# --8<-- [end:stale]

# --8<-- [start:stale_claims]
assert (stale.finding, fresh.finding) == ("yes", "no")
# --8<-- [end:stale_claims]

# --8<-- [start:limits]
habits = {}
for share in (0.1, 0.3, 0.5, 0.7):
    for seed in SEEDS:
        labels = called_sevens(share, seed)
        habits.setdefault(share, []).append(judged(labels, labels != truth, out_of_fold(neighbours, labels)))
alike = called_sevens(0.7, 0)
unanimous = weigh.agreement(pl.DataFrame({"ann": alike, "bob": alike}), ["ann", "bob"])
# --8<-- [end:limits]

# --8<-- [start:limits_table]
print("| Ones called 7 | Found of them | Fault? |\n| ---: | ---: | --- |")
for share, found in habits.items():
    print(
        f"| {share:.0%} | {spread([100 * each[2] for each in found])} % | {' / '.join(sorted({e[3] for e in found}))} |"
    )
# --8<-- [end:limits_table]

# --8<-- [start:limits_claims]
assert min(each[2] for each in habits[0.1]) > 0.5, "a few like errors are found"
assert max(each[2] for each in habits[0.7]) < 0.2, "a habit is not"
assert {each[3] for each in habits[0.7]} == {"no"}
assert (unanimous.figure.value, unanimous.finding) == (1, "no"), "and raters who share it agree"
# --8<-- [end:limits_claims]

# --8<-- [start:surprises]
from importlib.metadata import version

import krippendorff
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

random = np.random.default_rng(0)
kinds = random.integers(0, 5, 200)
ratings = np.where(random.random((200, 5)) < 0.8, kinds[:, None], random.integers(0, 5, (200, 5))).astype(float)
for item in ratings:  # each item has the ratings of three of the five
    item[random.choice(5, 2, replace=False)] = np.nan
stars = random.integers(1, 6, 200)
near = np.clip(stars + random.integers(-1, 2, 200), 1, 5)  # one star more or less
both = np.array([stars, near])
renumbered = np.array([0, 1, 5, 3, 2, 4])[both]  # as if they were kinds, in another order
words = np.array(["low", "mid", "high"])
one, other = words[(stars - 1) // 2], words[(near - 1) // 2]


def alpha(ratings, level="nominal"):
    return krippendorff.alpha(ratings, level_of_measurement=level)


surprises = {
    "`aggregate_raters`: NaN for missing": (fleiss_kappa(aggregate_raters(ratings)[0]), alpha(ratings.T)),
    "`alpha`: items × raters": (alpha(ratings), alpha(ratings.T)),
    "`alpha`: kinds, no level named": (krippendorff.alpha(both), alpha(both)),
    "`alpha`: the same, renumbered": (krippendorff.alpha(renumbered), alpha(both)),
    "`alpha`: stars, interval, as uint8": (alpha(both.astype(np.uint8), "interval"), alpha(both, "interval")),
    "`cohen_kappa_score`: words, linear": (
        cohen_kappa_score(one, other, weights="linear"),
        cohen_kappa_score(one, other, weights="linear", labels=words),
    ),
}
versions = {name: version(name) for name in ("krippendorff", "statsmodels", "scikit-learn", "cleanlab")}
tied = get_majority_vote_label(np.array([[0, 1], [0, 0], [0, 0], [1, 1]], dtype=float))[0]
# --8<-- [end:surprises]

# --8<-- [start:surprises_table]
print("| Given to | Says | Should be |\n| --- | ---: | ---: |")
for name, (says, right) in surprises.items():
    print(f"| {name} | {says:z.2f} | {right:.2f} |")
# --8<-- [end:surprises_table]

# --8<-- [start:surprises_claims]
for name, (says, right) in surprises.items():
    assert abs(says - right) > 0.01, name
says, right = surprises["`aggregate_raters`: NaN for missing"]
assert right - says > 0.4, "missing ratings count as a kind of their own"
assert tied == 1, "a tie goes to the rarer class"
holes = pl.DataFrame(ratings, schema=[f"rater {one}" for one in range(5)])
assert round(weigh.agreement(holes, holes.columns).figure.value, 6) == round(right, 6)
# --8<-- [end:surprises_claims]

# --8<-- [start:files]
import tempfile
from contextlib import chdir
from pathlib import Path

from weigh.cli import weigh as command

labels, wrong = five[0]
folder = tempfile.TemporaryDirectory()
rows = table(labels, out_of_fold(neighbours, labels)).with_columns(dated, ann=truth, bob=labels)
rows.write_parquet(Path(folder.name) / "rows.parquet")
rows.write_csv(Path(folder.name) / "rows.csv")


def weigh_check(line):
    """Run the command in the folder, and give its exit code."""
    with chdir(folder.name):
        return command(line.split(), standalone_mode=False)


# --8<-- [end:files]

# --8<-- [start:command]
code = weigh_check(
    "check labels rows.parquet --label label --probabilities p_ --labelled-at labelled --changed-at changed"
)
print("exit code", code)
# --8<-- [end:command]

# --8<-- [start:call]
report = weigh.check_labels(rows, raters=["ann", "bob"], label="label", probabilities="p_")
for result in report.results:
    figure = result.figure
    print(f"{result.check}: {result.finding}, {figure.name} {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
# --8<-- [end:call]

# --8<-- [start:own_claims]
assert code == 1
from_csv = weigh.check_labels(Path(folder.name) / "rows.csv", raters=["ann", "bob"], label="label", probabilities="p_")
assert from_csv.results == report.results
suspects = report.results[1].evidence
assert sum(wrong[suspect["row"] - 1] for suspect in suspects) >= 8, "the first rows are wrong ones"
# --8<-- [end:own_claims]

# --8<-- [start:cost]
once = pl.DataFrame({"a": ["x", "x", "y", "y"] * 250, "b": ["x", "x", "x", "y"] * 250})
often = pl.concat([once] * 300)
patterns, items = len(often.unique()), weigh.agreement(often, ["a", "b"]).cost["items"]
# --8<-- [end:cost]

# --8<-- [start:problems]
chance_95 = 0.95**2 + 0.05**2
kappa_95 = (0.94 - chance_95) / (1 - chance_95)
all_right = weigh.agreement(pl.DataFrame({"a": [0, 1] * 10, "b": [0, 1] * 10}), ["a", "b"])
ceiling = 0.95 * 1.0
assert 0 < kappa_95 < 0.4 < 0.9 < chance_95
assert all_right.figure.low == all_right.figure.high == 1
# --8<-- [end:problems]
