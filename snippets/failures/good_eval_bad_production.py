"""The program of "Good eval, bad production": one system, ten faults planted in it, and a diagnosis that is blind."""

# --8<-- [start:people]
from importlib.util import find_spec
from pathlib import Path

import polars as pl

PERSONAL = ["xage", "female", "linc", "lfam", "educdec", "logc", "disea", "physlm", "mhi", "hlthg", "hlthf", "hlthp"]
FEATURES = [*PERSONAL, "last"]
FILE = Path(find_spec("statsmodels").origin).parent / "datasets/randhie/src/randhie.csv"
columns = [*PERSONAL, "ghindx", "zper", "year", "site", "mdvis", "child", "outpdol"]
years = pl.read_csv(FILE, columns=columns, infer_schema_length=None).drop_nulls(PERSONAL).rename({"zper": "person"})
following = years.select("person", pl.col("year") - 1, after="mdvis", bill="outpdol")
rows = (  # a person at the end of a year, with what the next year brought
    years.join(following, on=["person", "year"])
    .sort("person", "year")
    .with_columns(last=pl.col("mdvis").log1p(), answer=(pl.col("after") >= 5).cast(pl.Int64))
)
# --8<-- [end:people]

# --8<-- [start:system]
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

CALL, MISS, LABELLED = 1, 5, 600


@dataclass(frozen=True, eq=False)
class System:
    """What an engineer has: a model, what it was trained and judged on, and what production sends."""

    model: ExtraTreesClassifier
    train: pl.DataFrame
    eval: pl.DataFrame
    production: pl.DataFrame  # only the first 600 answers are known yet
    features: tuple = tuple(FEATURES)
    limit: float = CALL / MISS  # who has a higher chance is called
    refuses: str = "person"  # whoever has no such value gets no answer
    metric: str = "cost"

    def chances(self, rows):
        return self.model.predict_proba(rows.select(self.features).to_numpy())[:, 1]

    def answered(self, rows):
        return rows[self.refuses].is_not_null().to_numpy()

    def calls(self, rows):
        return (self.chances(rows) > self.limit) & self.answered(rows)

    def score(self, rows):
        """The metric that was reported, row by row: accuracy, or a call at 1 and a missed person at 5."""
        called, came = self.calls(rows), rows["answer"].to_numpy()
        return called == came if self.metric == "accuracy" else np.where(called, CALL, MISS * came)

    @property
    def labelled(self):
        return self.production[:LABELLED]


def fitted(train, features=FEATURES, seed=0):
    forest = ExtraTreesClassifier(20, min_samples_leaf=3, random_state=seed, n_jobs=1)
    return forest.fit(train.select(features).to_numpy(), train["answer"].to_numpy())


@cache
def healthy(seed):
    """People at random: 1,800 with all their years to train on, the others with one year each."""
    people = rows["person"].unique().sort().sample(fraction=1, shuffle=True, seed=seed)
    a_year = rows.filter(pl.int_range(pl.len()).shuffle(seed=seed).over("person") == 0)
    parts = [(rows, 0, 1800), (a_year, 1800, 3300), (a_year, 3300, 5300)]
    train, judged, served = (table.filter(pl.col("person").is_in(people[a:b].implode())) for table, a, b in parts)
    served = served.sample(fraction=1, shuffle=True, seed=seed)
    return System(fitted(train, seed=seed), train, judged, served)


# --8<-- [end:system]


# --8<-- [start:leakage]
def twins(seed):
    """The log wrote every row twice, and rows were drawn to judge by."""
    system = healthy(seed)
    log = pl.concat([system.train, system.train]).sample(fraction=1, shuffle=True, seed=seed)
    return replace(system, model=fitted(log[1500:], seed=seed), train=log[1500:], eval=log[:1500])


def late_field(seed):
    """A feature is the bill of the year to be predicted, which is empty when one predicts."""
    system, features = healthy(seed), (*FEATURES, "bill")
    served = system.production.with_columns(bill=pl.lit(0.0))
    return replace(system, model=fitted(system.train, features, seed), features=features, production=served)


# --8<-- [end:leakage]

# --8<-- [start:weak]
from copy import copy


def too_few(seed):
    """The best of 50 candidates, on 40 people: two trees each of the forest, five limits."""
    system, candidates = healthy(seed), []
    few = system.eval.sample(40, seed=seed)
    for start in range(0, 20, 2):
        trees = copy(system.model)
        trees.estimators_ = system.model.estimators_[start : start + 2]
        candidates += [replace(system, model=trees, eval=few, limit=limit / 20) for limit in range(2, 7)]
    return min(candidates, key=lambda one: one.score(few).mean())


def easy(seed):
    """Judged only by people who saw no doctor in the year before."""
    system = healthy(seed)
    return replace(system, eval=system.eval.filter(pl.col("last") == 0))


# --8<-- [end:weak]


# --8<-- [start:shift]
def covariate(seed):
    """A clinic calls its own patients, who had come four times or more."""
    system = healthy(seed)
    return replace(system, production=system.production.filter(pl.col("mdvis") >= 4))


def label(seed):
    """A season in which two in three come often; else, either kind of people is as it was."""
    system = healthy(seed)
    often, seldom = (system.production.filter(answer=answer) for answer in (1, 0))
    mixed = pl.concat([often, seldom[: len(often) // 2]]).sample(fraction=1, shuffle=True, seed=seed)
    return replace(system, production=mixed)


def concept(seed):
    """The product now counts people who come twice or more."""
    system = healthy(seed)
    counted = (pl.col("after") >= 2).cast(pl.Int64)
    return replace(system, production=system.production.with_columns(answer=counted))


# --8<-- [end:shift]


# --8<-- [start:constraints]
def miss_price(seed):
    """The limit that is best for accuracy, though a miss costs five calls."""
    return replace(healthy(seed), limit=0.5, metric="accuracy")


def no_answer(seed):
    """Whoever has no health index gets no answer, and the eval counts answers."""
    return replace(healthy(seed), refuses="ghindx")


def no_records(seed):
    """The records of children were never joined, here as there."""
    system = healthy(seed)
    bare = [pl.when(child=1).then(0.0).otherwise(name).alias(name) for name in FEATURES]
    parts = {part: getattr(system, part).with_columns(bare) for part in ("train", "eval", "production")}
    return replace(system, model=fitted(parts["train"], seed=seed), **parts)


# --8<-- [end:constraints]

# --8<-- [start:gap]
CAUSES = {
    "data leakage": (twins, late_field),
    "weak eval set": (too_few, easy),
    "distribution shift": (covariate, label, concept),
    "missing constraint": (miss_price, no_answer, no_records),
}
SEEDS = range(5)
systems = {one: [one(seed) for seed in SEEDS] for one in (healthy, *sum(CAUSES.values(), ()))}


def judged(system):
    """The score that was reported, which is that of the answers, and the one of production."""
    reported = system.score(system.eval.filter(system.answered(system.eval)))
    return reported.mean(), system.score(system.labelled).mean()


gaps = {one: np.median([judged(system) for system in each], axis=0) for one, each in systems.items()}
# --8<-- [end:gap]

# --8<-- [start:gap_table]
NAMES = {one: one.__name__.replace("_", " ") for one in systems} | {no_answer: "no answer", label: "label shift"}
print("| Cause | Planted | Eval | Production |\n| --- | --- | ---: | ---: |")
print("| none | healthy | {:.2f} | {:.2f} |".format(*gaps[healthy]))
for cause, planted in CAUSES.items():
    for one in planted:
        print(f"| {cause} | {NAMES[one]} | {gaps[one][0]:.2f} | {gaps[one][1]:.2f} |")
# --8<-- [end:gap_table]

# --8<-- [start:tests]
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

import weigh


def interval(name, value, error):
    return weigh.Figure(name, value, value - 1.96 * error, value + 1.96 * error, "95 %, normal")


def mean(name, values):
    return interval(name, values.mean(), values.std() / len(values) ** 0.5)


def auc(name, high, low):
    """How often a number of the first kind exceeds one of the second, with the interval of DeLong et al."""
    ranks = rankdata(np.concatenate([high, low]))
    above = (ranks[: len(high)] - rankdata(high)) / len(low)
    below = 1 - (ranks[len(high) :] - rankdata(low)) / len(high)
    return interval(name, above.mean(), (above.var() / len(high) + below.var() / len(low)) ** 0.5)


def unlike(one, other, features):
    """A two-sample test: how well a classifier tells rows of two tables apart, trained on other people."""
    tables = [table.unique("person", keep="first", maintain_order=True) for table in (one, other)]
    x = scale(np.vstack([table.select(features).to_numpy() for table in tables]))
    x, second = scale(np.hstack([x, x**2])), np.repeat([0, 1], [len(table) for table in tables])
    fold = np.concatenate([np.arange(len(table)) % 2 for table in tables])
    told, penalty = np.empty(len(x)), 100 * np.eye(x.shape[1])
    for part in (0, 1):  # least squares with a penalty, on one half for the other
        seen, which = x[fold != part], second[fold != part]
        weights = np.linalg.solve(seen.T @ seen + penalty, seen.T @ (which - which.mean()))
        told[fold == part] = x[fold == part] @ weights
    second = second == 1
    return auc("AUC between the tables", told[second], told[~second])


def surprise(system):
    """How much more often people came than the chances, set right on the eval set, lead to expect."""

    def log_odds(rows):
        chances = system.chances(rows).clip(0.01, 0.99)
        return np.log(chances / (1 - chances))[:, None]

    right = LogisticRegression().fit(log_odds(system.eval), system.eval["answer"].to_numpy())
    expected = right.predict_proba(log_odds(system.labelled))[:, 1]
    return mean("answers beyond what was expected", system.labelled["answer"].to_numpy() - expected)


# --8<-- [end:tests]


# --8<-- [start:questions]
def asked(check, figure, threshold, reason, fault="above"):
    return weigh.CheckResult(check, figure, threshold, reason, fault)


def twin_rows(system):
    parts = [system.train.with_columns(part=pl.lit("train")), system.eval.with_columns(part=pl.lit("test"))]
    return weigh.exact_duplicates(pl.concat(parts), "part", keys=["person", "year"])


def telling_column(system):
    came = system.train["answer"].to_numpy() == 1
    values = {name: system.train[name].to_numpy() for name in system.features}
    best = max((auc(name, each[came], each[~came]) for name, each in values.items()), key=lambda figure: figure.value)
    return asked("telling column", best, 0.85, "nothing known before has so high an AUC alone")


def eval_of_others(system):
    told = unlike(system.train, system.eval, system.features)
    return asked("eval unlike training", told, 0.6, "chance is 0.5, and it was to be of the same people")


def eval_too_wide(system):
    score = mean("score", system.score(system.eval) * 1.0)
    width = weigh.Figure.exact("half the interval ÷ score", (score.high - score.value) / score.value)
    return asked("eval too small", width, 0.25, "a quarter more or less is another product")


def other_inputs(system):
    told = unlike(system.train, system.production, system.features)
    return asked("production unlike training", told, 0.55, "chance is 0.5")


def other_answers(system):
    return asked("more answers than expected", surprise(system), 0.1, "chances this wrong move the limit")


def other_in_kind(system):
    pairs = [[table.filter(answer=answer) for table in (system.train, system.labelled)] for answer in (0, 1)]
    told = max((unlike(*pair, system.features) for pair in pairs), key=lambda figure: figure.low)
    return asked("unlike with the same answer", told, 0.6, "chance is 0.5, and the labelled are few")


def unanswered(system):
    without = int((~system.answered(system.production)).sum())
    share = weigh.Figure.share("share without an answer", without, len(system.production))
    return asked("no answer", share, 0.01, "required")


def reach(system):
    """Of the people who came often, the share that was called: of all, and of each group."""
    often = pl.concat([system.eval, system.labelled]).filter(answer=1)
    often = often.with_columns(called=pl.Series(system.calls(often)), all=1)
    groups = [("all", 1), ("child", 0), ("child", 1), ("female", 0), ("female", 1)]
    called = {f"{column} {value}": often.filter(**{column: value})["called"] for column, value in groups}
    return [weigh.Figure.share(f"share called, {name}", int(one.sum()), len(one)) for name, one in called.items()]


def few_reached(system):
    return asked("reach", reach(system)[0], 0.4, "required", "below")


def group_left_out(system):
    worst = min(reach(system)[1:], key=lambda figure: figure.value)
    return asked("worst group", worst, 0.3, "required", "below")


@cache
def ask(question, system):
    return question(system)


# --8<-- [end:questions]


# --8<-- [start:diagnosis]
def diagnose(system):
    """The first cause that is found. It sees tables, a model and what is required, not what was planted."""

    def found(*questions):
        return any(ask(question, system).finding == "yes" for question in questions)

    if found(twin_rows, telling_column):
        return "data leakage"
    if found(eval_of_others, eval_too_wide):
        return "weak eval set"
    if found(other_answers):
        if not found(other_inputs):
            return "concept shift"
        return "several shifts" if found(other_in_kind) else "label shift"
    if found(other_inputs):
        return "covariate shift"
    if found(unanswered, few_reached, group_left_out):
        return "missing constraint"
    return "healthy"


# --8<-- [end:diagnosis]

# --8<-- [start:blind]
import random
from collections import Counter

shuffled = [(one, system) for one, each in systems.items() for system in each]
random.Random(0).shuffle(shuffled)
named = {one: Counter() for one in systems}
for one, system in shuffled:
    named[one][diagnose(system)] += 1
# --8<-- [end:blind]

# --8<-- [start:confusion]
SHIFTS = {covariate: "covariate shift", label: "label shift", concept: "concept shift"}
RIGHT = {healthy: "healthy"} | {one: SHIFTS.get(one, cause) for cause, planted in CAUSES.items() for one in planted}
print("| Planted | Named | Of 5 |\n| --- | --- | ---: |")
for one, names in named.items():
    for name, times in names.items():
        print(f"| {NAMES[one]} | {name} | {times} |")
# --8<-- [end:confusion]

# --8<-- [start:confusion_claims]
assert all(named[one] == {RIGHT[one]: len(SEEDS)} for one in systems), (
    "each cause by its name, none where there is none"
)
reported, real = np.transpose([gaps[one] for one in (twins, late_field, too_few, easy, covariate, label, concept)])
assert np.all(real > 1.25 * reported), "in production, people cost more than the eval set said"
assert abs(gaps[healthy][1] / gaps[healthy][0] - 1) < 0.15 and abs(np.subtract(*gaps[miss_price])) < 0.03
medians = {
    question: {one: np.median([ask(question, each).figure.value for each in systems[one]]) for one in shown}
    for question, shown in {
        twin_rows: (healthy, twins),
        telling_column: (healthy, late_field),
        eval_of_others: (healthy, easy),
        eval_too_wide: (healthy, too_few),
        other_inputs: (healthy, covariate, label, concept),
        other_answers: (healthy, covariate, label, concept),
        unanswered: (healthy, no_answer),
        few_reached: (healthy, miss_price),
        group_left_out: (healthy, no_records),
    }.items()
}
# --8<-- [end:confusion_claims]


# --8<-- [start:sites]
def from_elsewhere(site):
    """Trained and judged on five towns, serving the sixth."""
    people = rows["person"].unique().sort().sample(fraction=1, shuffle=True, seed=0)
    a_year = rows.filter(pl.int_range(pl.len()).shuffle(seed=0).over("person") == 0)
    known, there = pl.col("person").is_in(people[:3300].implode()), pl.col("site") == site
    train, judge = rows.filter(known & ~there), a_year.filter(~known & ~there)
    return System(fitted(train), train, judge, a_year.filter(there).sample(fraction=1, shuffle=True, seed=0))


sites = {site: from_elsewhere(site) for site in range(1, 7)}
# --8<-- [end:sites]

# --8<-- [start:sites_claims]
assert {diagnose(system) for system in sites.values()} == {"covariate shift"}
assert all(abs(ask(other_answers, system).figure.value) < 0.08 for system in sites.values())
there = {site: np.subtract(*judged(system)[::-1]) for site, system in sites.items()}
dearer, cheaper = (sum(sign * gap > 0.1 for gap in there.values()) for sign in (1, -1))
assert dearer == 0 and cheaper == 2, "all towns differ, and in none does it cost 0.1 more"
# --8<-- [end:sites_claims]

# --8<-- [start:plane_words]
reached = {one: [ask(other_inputs, each).figure.value for each in systems[one]] for one in (healthy, label, covariate)}
plane_words = (
    f"Runs by how well a classifier tells production from training, and by how many more answers came than the "
    f"chances let expect. Healthy runs lie near 0.5 and 0, concept shifts above them, label shifts near "
    f"{np.median(reached[label]):.2f} and above 0.3, covariate shifts near {np.median(reached[covariate]):.2f} and 0. "
    f"Towns lie at 0.6 to 0.8 and 0."
)
assert max(reached[healthy]) < 0.55 < min(reached[label]) < min(reached[covariate])
# --8<-- [end:plane_words]

# --8<-- [start:plane]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
shown = {"healthy": systems[healthy], "covariate": systems[covariate], "label": systems[label]}
shown |= {"concept": systems[concept], "another town": sites.values()}
for (name, each), marker in zip(shown.items(), "osD^x", strict=True):
    points = [[ask(question, one).figure.value for question in (other_inputs, other_answers)] for one in each]
    ax.plot(*np.transpose(points), marker, label=name, alpha=0.8)
ax.axvline(0.55, color="C7", linestyle=":")
ax.axhline(0.1, color="C7", linestyle=":")
regions = {
    "concept shift": (0.44, 0.47),
    "label shift": (0.56, 0.47),
    "none": (0.44, -0.1),
    "covariate shift": (0.56, -0.1),
}
for name, place in regions.items():
    ax.text(*place, name, fontsize=10, style="italic")
ax.set(xlabel="how well production is told from training (AUC)", ylabel="answers beyond what was expected")
ax.set(xlim=(0.43, 0.92), ylim=(-0.12, 0.52))
ax.legend(loc="upper right", fontsize=9)
fig
# --8<-- [end:plane]

# --8<-- [start:sites_table]
print("| Town | Told apart | Surprise | Eval | There | Named |\n| ---: | ---: | ---: | ---: | ---: | --- |")
for site, system in sites.items():
    apart, more = (ask(question, system).figure.value for question in (other_inputs, other_answers))
    costs = " | ".join(f"{score:.2f}" for score in judged(system))
    name = diagnose(system).replace(" shift", "")
    print(f"| {site} | {apart:.2f} | {more:+.2f} | {costs} | {name} |".replace("-", "−").replace("| −−", "| --"))
# --8<-- [end:sites_table]

# --8<-- [start:rows_or_people]
from scipy.stats import ks_2samp
from sklearn.neighbors import NearestNeighbors

a_thousand = rows["person"].unique().sort().sample(1000, seed=0)
some = rows.filter(pl.col("person").is_in(a_thousand.implode()))


def halves(seed, table):
    """People at random in two halves: nothing differs but chance."""
    first = a_thousand.sample(500, seed=seed)
    return table.select(FEATURES).to_numpy(), table["person"].is_in(first.implode()).to_numpy()


def company(values, first):
    """How often a row's nearest neighbour is in the same half."""
    nearest = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(scale(values)).kneighbors(return_distance=False)
    return (first[nearest[:, 0]] == first).mean()


TABLES = {"all rows": some, "a row a person": some.unique("person", keep="first", maintain_order=True)}
COLUMNS = [FEATURES.index(name) for name in ("xage", "linc", "mhi", "disea")]
alarms, neighbours = {}, {}
for name, table in TABLES.items():
    split = [halves(seed, table) for seed in range(40)]
    p = [min(ks_2samp(x[first, c], x[~first, c]).pvalue for c in COLUMNS) for x, first in split]
    alarms[name] = sum(4 * one < 0.05 for one in p)
    neighbours[name] = np.median([company(*one) for one in split[:5]])
price = TABLES["a row a person"]["logc"].to_numpy()
copy_p = ks_2samp(price, price.astype(np.float32)).pvalue
# --8<-- [end:rows_or_people]

# --8<-- [start:rows_table]
print("| Test | All rows | A row a person |\n| --- | ---: | ---: |")
print("| Kolmogorov–Smirnov, 4 columns: alarms in 40 | {} | {} |".format(*alarms.values()))
print("| Nearest neighbour in the same half | {:.0%} | {:.0%} |".format(*neighbours.values()))
# --8<-- [end:rows_table]

# --8<-- [start:rows_claims]
assert alarms["all rows"] >= 8 and alarms["a row a person"] <= 6, "several rows of one person are not several people"
assert copy_p < 1e-9, "equal values in two types have drifted"
assert neighbours["all rows"] > 0.75 and abs(neighbours["a row a person"] - 0.5) < 0.05
# --8<-- [end:rows_claims]

# --8<-- [start:own]
import contextlib
import io
import tempfile

from weigh.cli import main


def ran(line):
    """What a command prints, and its exit code."""
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        try:
            main(line.split())
        except SystemExit as end:
            return printed.getvalue().rstrip(), end.code or 0


folder = Path(tempfile.mkdtemp())
leaking, drifted = systems[twins][0], systems[concept][0]
log = [leaking.train.with_columns(part=pl.lit("train")), leaking.eval.with_columns(part=pl.lit("test"))]
pl.concat(log).write_csv(folder / "rows.csv")
chances = drifted.chances(drifted.labelled)
answers = drifted.labelled.select("answer").with_columns(p_0=1 - chances, p_1=chances)
answers.write_csv(folder / "production.csv")
for line in (
    "check splits rows.csv --split part --key person --key year",
    "check calibration production.csv --label answer --probabilities p_",
):
    said, code = ran(line)
    print(f"$ weigh {line}", *said.splitlines()[:3], "…\n", sep="\n")
    assert code == 1, "a fault that is found stops a pipeline"
# --8<-- [end:own]

# --8<-- [start:problems]
small = weigh.Figure.share("accuracy", 36, 40)
told_by_score = 0.5 + (0.65 - 0.2) * (0.8 - 0.5)
family = 1 - 0.95**13
assert 0.7 < small.low < 0.8 and round(told_by_score, 3) == 0.635 and round(family, 2) == 0.49
# --8<-- [end:problems]
