"""The program of "Data splits and leakage": leaks made, found, priced and missed, on real people, weeks and texts."""

# --8<-- [start:people]
from pathlib import Path

import numpy as np
import polars as pl
import statsmodels.datasets

import weigh

FOLDER = Path(statsmodels.datasets.__file__).parent
KNOWN = ["logc", "idp", "lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"]
people = pl.read_csv(FOLDER / "randhie/src/randhie.csv", infer_schema_length=None)
people = people.select("zper", "year", "mdvis", *KNOWN).rename({"zper": "person", "mdvis": "visits"})

draw = np.random.default_rng(0)
some = draw.choice(people["person"].unique().sort(), 1_182, replace=False).tolist()
chosen, late = pl.col("person").is_in(some), pl.col("year") >= 4
SPLITS = {
    "rows, at random": (pl.lit(pl.Series(draw.random(len(people)) < 0.2)), None),
    "by year": (late, None),
    "by person": (chosen, None),
    "by both": (chosen & late, ~chosen & ~late),
}


def parted(test, train=None):
    """The table with a column that says the part; what is in neither is unused."""
    other = pl.lit("train") if train is None else pl.when(train).then(pl.lit("train")).otherwise(pl.lit("unused"))
    return people.with_columns(part=pl.when(test).then(pl.lit("test")).otherwise(other))


# --8<-- [end:people]

# --8<-- [start:found]
table = parted(*SPLITS["rows, at random"])
report = weigh.check_splits(
    table,
    "part",
    keys=["visits", *KNOWN],
    group="person",
    time="year",
)
for result in report.results:
    print(f"{result.check}: {result.finding}")
    print(f"  {result.figure.name}: {result.figure.value:.3f}")
# --8<-- [end:found]

# --8<-- [start:splits]
from sklearn.metrics import r2_score
from sklearn.tree import DecisionTreeRegressor

tree = DecisionTreeRegressor(min_samples_leaf=5, random_state=0)


def r2_of(table):
    """R² on the test rows: the share of their variance that the tree explains; the mean of all would have 0."""
    train, test = (table.filter(pl.col("part") == part) for part in ("train", "test"))
    tree.fit(train.select(KNOWN).to_numpy(), train["visits"].to_numpy())
    return r2_score(test["visits"], tree.predict(test.select(KNOWN).to_numpy()))


found = {}
print("| Split | Twins | Same person | Out of order | R² |\n| --- | ---: | ---: | ---: | ---: |")
for name, split in SPLITS.items():
    table = parted(*split)
    report = weigh.check_splits(table, "part", keys=["visits", *KNOWN], group="person", time="year")
    found[name] = [result.figure.value for result in report.results], r2_of(table)
    shares = " | ".join(f"{share:.0%}" for share in found[name][0])
    print(f"| {name} | {shares} | {found[name][1]:.2f} |".replace("-", "−").replace("| − |", "|"))
# --8<-- [end:splits]

# --8<-- [start:splits_claims]
(twins, person, order), random_r2 = found["rows, at random"]
assert min(twins, person, order) > 0.5, "a random split of rows leaks three ways"
assert found["by person"][0][1] == 0 and found["by year"][0][2] == 0, "each split closes its own leak"
assert found["by year"][0][1] > 0.9 and found["by person"][0][2] > 0.9, "and leaves the other open"
assert found["by both"][0][1:] == [0, 0]
assert found["by person"][0][0] > 0.3, "people of one plan have twins by chance"
assert random_r2 > 0.05 and found["by year"][1] > 0
assert max(found["by person"][1], found["by both"][1]) < 0, "for people it has not met, the tree is worse than the mean"
# --8<-- [end:splits_claims]

# --8<-- [start:cost]
cost = weigh.leak_cost(
    people,
    "visits",
    tree,
    r2_score,
    group="person",
    features=KNOWN,
)
for row in cost.evidence:
    print(f"{row['split']:>16}: R² {row['score']:5.2f}".replace("-", "−"))
figure = cost.figure
print(f"{figure.name}: {figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]")
# --8<-- [end:cost]

# --8<-- [start:cost_claims]


def price(table, seed=0):
    return weigh.leak_cost(table, "visits", tree, r2_score, group="person", features=KNOWN, resamples=20, seed=seed)


again = [price(people, seed) for seed in range(1, 5)]
values = [one.figure.value for one in (cost, *again)]
assert cost.finding == "yes" and cost.figure.low > 0.15
assert min(values) > 0.2 and max(values) - min(values) < 0.1
assert cost.evidence[0]["score"] > 0.08 and cost.evidence[1]["score"] < -0.08

once = people.unique(subset=["visits", *KNOWN], keep="first", maintain_order=True)
untwinned = price(once)
assert untwinned.figure.low > 0.05, "without a single twin the leak by person still pays"
# --8<-- [end:cost_claims]

# --8<-- [start:weeks]
weeks = pl.read_csv(FOLDER / "co2/co2.csv").drop_nulls()
dates = weeks["date"].cast(pl.String).str.to_date("%Y%m%d")
years = (dates - dates[0]).dt.total_days() / 365.25
season = 2 * np.pi * years
weeks = weeks.with_columns(
    years=years, years2=years**2 / 10, years3=years**3 / 1e3, years4=years**4 / 1e4,
    sin=season.sin(), cos=season.cos(),
)  # fmt: skip
# --8<-- [end:weeks]

# --8<-- [start:models]
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error
from sklearn.neighbors import KNeighborsRegressor

SEASON = ["years", "sin", "cos"]
QUARTIC = [*SEASON, "years2", "years3", "years4"]
MODELS = {
    "5 nearest weeks": (KNeighborsRegressor(5), SEASON),
    "quartic, season": (LinearRegression(), QUARTIC),
    "line, season": (LinearRegression(), SEASON),
}
ranked = {
    name: [
        weigh.leak_cost(
            weeks, "co2", model, mean_absolute_error, time="date",
            features=features, better="lower", resamples=100, seed=seed,
        )
        for seed in range(5)
    ]
    for name, (model, features) in MODELS.items()
}  # fmt: skip
# --8<-- [end:models]

# --8<-- [start:models_table]
errors = {
    name: [[row["score"] for row in run.evidence] for run in runs]
    for name, runs in ranked.items()
}  # fmt: skip
print("| Model | Shuffled | In order | Difference | 95 % |\n| --- | ---: | ---: | ---: | :---: |")
for name, runs in ranked.items():
    shuffled, in_order = np.median(errors[name], axis=0)
    figure = runs[0].figure
    print(f"| {name} | {shuffled:.2f} | {in_order:.1f} | {figure.value:.1f} | {figure.low:.1f} to {figure.high:.1f} |")
# --8<-- [end:models_table]

# --8<-- [start:models_claims]
for seed in range(5):
    shuffled, in_order = ([errors[name][seed][split] for name in MODELS] for split in (0, 1))
    assert shuffled == sorted(shuffled), "shuffled, the nearest weeks win and the line is last"
    assert in_order == sorted(in_order, reverse=True), "in the order of time it is the other way round"
    assert in_order[0] > 5 * shuffled[0]
assert all(run.finding == "yes" for runs in ranked.values() for run in runs)
nearest, line = errors["5 nearest weeks"][0], errors["line, season"][0]
models_words = (
    f"Lines of three models from shuffled to time-ordered validation, which cross: 5 nearest weeks from "
    f"{nearest[0]:.1f} to {nearest[1]:.1f} ppm, the line with season from {line[0]:.1f} to {line[1]:.1f} ppm."
)
# --8<-- [end:models_claims]

# --8<-- [start:models_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 3))
for (name, runs), marker in zip(errors.items(), "osD", strict=True):
    ax.plot([0, 1], np.median(runs, axis=0), marker=marker, label=name)
ax.set(xticks=[0, 1], xticklabels=["shuffled", "in the order of time"], xlim=(-0.2, 1.2), yscale="log")
ax.set(ylabel="mean absolute error, ppm", yticks=[0.5, 1, 2, 5], yticklabels=["0.5", "1", "2", "5"])
ax.minorticks_off()
ax.legend(fontsize=9)
fig
# --8<-- [end:models_plot]

# --8<-- [start:texts]
import random

from sklearn.datasets import load_digits

play = Path("models/quill/held-out.txt").read_text(encoding="utf-8").split()
passages = [" ".join(play[start : start + 60]) for start in range(0, len(play) - 60, 60)]


def edited(passage, changes, dice):
    """A passage with so many words replaced by others of the play."""
    words = passage.split()
    for place in dice.sample(range(len(words)), changes):
        words[place] = dice.choice(play)
    return " ".join(words)


def text_split(copies, dice):
    """Passages of Macbeth, the last quarter for testing, of which some are training passages with a word changed."""
    cut = len(passages) * 3 // 4
    test = [edited(passages[place], 1, dice) for place in range(copies)] + passages[cut + copies :]
    parts = ["train"] * cut + ["test"] * len(test)
    return pl.DataFrame({"text": passages[:cut] + test, "part": parts})


PIXELS = [f"pixel{place:02}" for place in range(64)]


def image_split(copies, noise=0.1):
    """Digits, the last third for testing, of which some are training images with noise."""
    images, noisy = load_digits().data.copy(), np.random.default_rng(0)
    images[1_200 : 1_200 + copies] = images[:copies] + noisy.normal(0, noise, (copies, 64))
    parts = ["train"] * 1_200 + ["test"] * (len(images) - 1_200)
    return pl.DataFrame(images, schema=PIXELS).with_columns(part=pl.Series(parts))


# --8<-- [end:texts]

# --8<-- [start:each]
dice = random.Random(0)
rows, by_person, by_year = (parted(*SPLITS[name]) for name in ("rows, at random", "by person", "by year"))
EACH = {
    "exact duplicates": ("person-years", weigh.exact_duplicates(rows, "part", keys=["visits", *KNOWN]),
                         weigh.exact_duplicates(by_person, "part", keys=["person", "year"])),
    "groups in both parts": ("person-years", weigh.group_overlap(rows, "part", "person"),
                             weigh.group_overlap(by_person, "part", "person")),
    "time order": ("person-years", weigh.time_overlap(rows, "part", "year"),
                   weigh.time_overlap(by_year, "part", "year")),
    "near duplicates": ("passages", weigh.near_duplicates(text_split(10, dice), "part", "text"),
                        weigh.near_duplicates(text_split(0, dice), "part", "text")),
    "near rows": ("images", weigh.near_rows(image_split(30), "part", PIXELS, same_unit=True),
                  weigh.near_rows(image_split(0), "part", PIXELS, same_unit=True)),
}  # fmt: skip
print("| Check | On | With the fault | Without |\n| --- | --- | ---: | ---: |")
for name, (data, hit, miss) in EACH.items():
    print(f"| {name} | {data} | {hit.figure.value:.1%}: {hit.finding} | {miss.figure.value:.1%}: {miss.finding} |")
# --8<-- [end:each]

# --8<-- [start:each_claims]
for name, (_, hit, miss) in EACH.items():
    assert (hit.finding, miss.finding) == ("yes", "no"), f"{name} is found where it is, and nowhere else"
assert EACH["near duplicates"][1].figure.value * len(text_split(10, dice).filter(part="test")) > 9.5
assert len(EACH["near rows"][1].evidence) == 10
# --8<-- [end:each_claims]

# --8<-- [start:recall]
from datasketch import MinHashLSH

from weigh.checks.splits.near_duplicates import bands, recall, shingles, signatures

LIMIT = 0.8
ours, default = bands(LIMIT), MinHashLSH(threshold=LIMIT, num_perm=128)
CUTS = {"weigh": ours, "datasketch's default": (default.b, default.r)}

pairs = [(passage, edited(passage, changes, dice)) for passage in passages for changes in (1, 2, 4)]
sets = [(shingles(one), shingles(two)) for one, two in pairs]
alike = np.array([len(one & two) / len(one | two) for one, two in sets])
signed = [signatures(texts) for texts in zip(*pairs, strict=True)]


def meet(b, r):
    """Which pairs share one of b bands of r numbers, and so would be compared."""
    equal = (signed[0] == signed[1])[:, : b * r].reshape(-1, b, r)
    return equal.all(axis=2).any(axis=1)


# --8<-- [end:recall]

# --8<-- [start:power]
from scipy.stats import binomtest

SHARES = {0: 100, 1 / 3: 20, 2 / 3: 20, 1: 20}
everybody = people["person"].unique().sort().to_numpy()


def r2(y, said, sample_weight):
    """R² with weights; scikit-learn's checks of its arguments would take most of the time."""
    mean = np.average(y, weights=sample_weight)
    return 1 - sample_weight @ (y - said) ** 2 / (sample_weight @ (y - mean) ** 2)


def priced(true, seed):
    """The cost of the leak among 100 people of whom only a share has its own rows; the others' are exchanged."""
    dice = np.random.default_rng(seed)
    hundred = dice.choice(everybody, 100, replace=False)
    few = people.filter(pl.col("person").is_in(hundred.tolist()))
    whose = few["person"].to_numpy().copy()
    others = ~np.isin(whose, hundred[: round(100 * true)])
    whose[others] = dice.permutation(whose[others])
    few = few.with_columns(person=pl.Series(whose))
    return weigh.leak_cost(few, "visits", tree, r2, group="person", features=KNOWN,
                           folds=3, resamples=100, seed=seed)  # fmt: skip


runs = {true: [priced(true, seed) for seed in range(count)] for true, count in SHARES.items()}
alarms = {true: binomtest(sum(one.finding == "yes" for one in them), len(them)) for true, them in runs.items()}
# --8<-- [end:power]

# --8<-- [start:power_claims]
edges = np.arange(0.65, 1.0, 0.05)
place = np.digitize(alike, edges) - 1
full = [bin for bin in range(len(edges) - 1) if (place == bin).sum() >= 20]
measured = {
    name: [binomtest(int(meet(*cut)[place == bin].sum()), int((place == bin).sum())) for bin in full]
    for name, cut in CUTS.items()
}
at_limit = [recall(LIMIT, *cut) for cut in CUTS.values()]
assert at_limit[0] > 0.99 and at_limit[1] < 0.45
above = alike >= LIMIT
kept = [meet(*cut)[above].mean() for cut in CUTS.values()]
assert kept[0] > 0.99 > 0.95 > kept[1]
middles = (edges[:-1] + edges[1:])[full] / 2
assert all(
    abs(test.statistic - recall(middle, *CUTS[name])) < 0.2
    for name, tests in measured.items() for middle, test in zip(middles, tests, strict=True)
), "the bands do on Macbeth what the formula says"  # fmt: skip
rates = [alarms[true].statistic for true in SHARES]
assert rates[0] < 0.12 and rates[-1] > 0.7 and rates == sorted(rates), "alarms grow with the leak"
power_words = (
    "Left: the share of pairs of passages that are compared, by their Jaccard similarity; at 0.8 the formula gives "
    f"{at_limit[0]:.3f} for weigh and {at_limit[1]:.2f} for the default, and the measured points lie "
    f"near both curves. Right: leak_cost finds a leak in {rates[0]:.0%} of runs without one and in {rates[-1]:.0%} "
    "of runs where all rows are their person's own."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 3.4))
similarity = np.linspace(0.6, 1, 100)
for (name, cut), marker in zip(CUTS.items(), "os", strict=True):
    (curve,) = left.plot(similarity, [recall(s, *cut) for s in similarity], label=name)
    shares = [test.statistic for test in measured[name]]
    left.plot(middles, shares, marker, color=curve.get_color())
left.axvline(LIMIT, color="C5", linewidth=1)
left.set(title="pairs of texts compared", xlabel="their Jaccard similarity")
left.yaxis.set_major_formatter("{x:.0%}")
left.legend(fontsize=9, loc="center left")
ends = [test.proportion_ci(method="wilson") for test in alarms.values()]
spread = [[rate - end.low for rate, end in zip(rates, ends, strict=True)],
          [end.high - rate for rate, end in zip(rates, ends, strict=True)]]  # fmt: skip
right.errorbar(list(SHARES), rates, yerr=spread, marker="o", capsize=3)
right.set(title="runs in which a leak is found", xlabel="share of true person ids", ylim=(0, 1))
for axis in (right.xaxis, right.yaxis):
    axis.set_major_formatter("{x:.0%}")
fig
# --8<-- [end:power_plot]

# --8<-- [start:work]
from weigh.checks.splits.near_duplicates import matches

print("| Passages | Pairs | Compared | Found of planted |\n| ---: | ---: | ---: | ---: |")
work = {}
for count in (100, 200, 400, 800):
    short = [" ".join(play[start : start + 20]) for start in range(0, 20 * count, 20)]
    train, test = short[: count // 2], [edited(one, 1, dice) for one in short[: count // 10]] + short[count // 2 :]
    near, compared, _ = matches(train, signatures(train), test, signatures(test))
    work[count] = len(train) * len(test), compared, len(near)
    print(f"| {count} | {work[count][0]:,} | {compared} | {len(near)} of {count // 10} |")
assert all(compared < pairs / 50 for pairs, compared, _ in work.values())
assert work[800][1] < 20 * work[100][1], "eight times the passages, not 64 times the comparisons"
# --8<-- [end:work]

# --8<-- [start:limits]
SAYINGS = {
    "train": "I have done the deed. Didst thou not hear a noise? I heard the owl scream and the crickets cry.",
    "test": "The deed is done by me. Did you hear nothing? An owl was screaming, and crickets were crying.",
}
same_meaning = pl.DataFrame({"text": list(SAYINGS.values()), "part": list(SAYINGS)})
paraphrase = weigh.near_duplicates(same_meaning, "part", "text")
one, two = map(shingles, SAYINGS.values())
paraphrase_jaccard = len(one & two) / len(one | two)
assert paraphrase.finding == "no" and paraphrase_jaccard < 0.4, "a paraphrase is no near duplicate"

exchanged = np.random.default_rng(0).permutation(people["person"].to_numpy())
unnamed = price(people.with_columns(person=pl.Series(exchanged)))
assert abs(unnamed.figure.value) < 0.08 and unnamed.finding != "yes", "by a wrong id, nothing leaks"
assert unnamed.evidence[1]["score"] > 0.05, "for the leak is in both scores"
print(f"closed by wrong ids: R² {unnamed.evidence[1]['score']:.2f}, finding: {unnamed.finding}")
print(f"a paraphrase: Jaccard {paraphrase_jaccard:.2f}, finding: {paraphrase.finding}")
# --8<-- [end:limits]

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
few = rows.select("person", "year", "visits", "part")
few.write_csv(folder / "rows.csv")
few.write_parquet(folder / "rows.parquet")
line = "check splits rows.csv --split part --key person --key year --group person"
said, code = ran(line)
print(f"$ weigh {line}\n{said}")
# --8<-- [end:own]

# --8<-- [start:own_claims]
assert code == 1, "a fault that is found stops a pipeline"
assert ran(line.replace(".csv", ".parquet")) == (said.replace(".csv", ".parquet"), 1)
# --8<-- [end:own_claims]

# --8<-- [start:problems]
two_bands = 1 - (1 - 0.5**4) ** 8
assert round(two_bands, 3) == 0.403
misdated = pl.DataFrame({"day": [*range(98), 150, 151, *range(98, 148)], "part": ["train"] * 100 + ["test"] * 50})
two_late = weigh.time_overlap(misdated, "part", "day")
assert two_late.figure.value == 2 / 50
# --8<-- [end:problems]
