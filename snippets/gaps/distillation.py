"""The program of "Distillation": students of one teacher, compared with it answer by answer and slice by slice."""

# --8<-- [start:digits]
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import rbf_kernel

pixels, digits = load_digits(return_X_y=True)
pixels /= 16
half = np.arange(len(digits)) * 2 // len(digits)  # rows are ordered by writer: each half has writers of its own
SEEDS, LARGE, SMALL = range(5), 200, 80
# --8<-- [end:digits]


# --8<-- [start:fit]
@dataclass(frozen=True)
class Model:
    """A softmax regression on how near an image is to each of some prototypes."""

    prototypes: np.ndarray
    weights: np.ndarray

    def logits(self, images):
        return near(images, self.prototypes) @ self.weights


def near(images, prototypes):
    """Similarities from 0 to 1, and a column of ones for the bias."""
    return np.column_stack([rbf_kernel(images, prototypes, gamma=0.3), np.ones(len(images))])


def fit(images, targets, prototypes, temperature=1.0, penalty=1e-5):
    """The model whose softened probabilities are nearest to the targets: T² times cross-entropy, as Hinton has it."""
    features, shape = near(images, prototypes), (len(prototypes) + 1, targets.shape[1])

    def loss(flat):
        weights = flat.reshape(shape)
        said = log_softmax(features @ weights / temperature, axis=1)
        slope = temperature * features.T @ (np.exp(said) - targets) / len(images) + penalty * weights
        cross_entropy = -(temperature**2) * (targets * said).sum() / len(images)
        return cross_entropy + penalty * (flat @ flat) / 2, slope.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 60})
    return Model(prototypes, found.x.reshape(shape))


# --8<-- [end:fit]


# --8<-- [start:train]
ONE_HOT, TEMPERATURES = np.eye(10), (1, 4)


def trained(seed):
    """The logits of a teacher and of its students for every image, each by a model of the other half's writers."""
    logits = {}
    for part in (0, 1):
        rng, learn = np.random.default_rng(seed), np.flatnonzero(half != part)
        drawn = [pixels[rng.choice(learn, size, replace=False)] for size in (LARGE, LARGE, SMALL)]
        images, labels, eight = pixels[learn], digits[learn], digits[learn] == 8
        teacher = fit(images, ONE_HOT[labels], drawn[0], penalty=1e-4)
        taught = teacher.logits(images)
        some = ~eight | (rng.random(len(learn)) < 0.05)  # an unlabelled set with few eights in it
        students = {
            "teacher": teacher,
            "twin": fit(images, ONE_HOT[labels], drawn[1], penalty=1e-4),
            "student": fit(images, softmax(taught, axis=1), drawn[2]),
            "few eights": fit(images[some], softmax(taught[some], axis=1), drawn[2]),
            "few, hard": fit(images[some], ONE_HOT[taught[some].argmax(1)], drawn[2]),
            "none, hard": fit(images[~eight], ONE_HOT[taught[~eight].argmax(1)], drawn[2]),
        }
        for temperature in TEMPERATURES:
            soft = softmax(taught[~eight] / temperature, axis=1)
            students[f"none, T = {temperature}"] = fit(images[~eight], soft, drawn[2], temperature)
        for name, model in students.items():
            logits.setdefault(name, np.zeros((len(digits), 10)))[half == part] = model.logits(pixels[half == part])
    return logits, students


runs = [trained(seed)[0] for seed in SEEDS]
models = trained(0)[1]
# --8<-- [end:train]

# --8<-- [start:table_of_answers]
ink = np.array(["light", "middle", "heavy"])[np.digitize(pixels.sum(1), np.quantile(pixels.sum(1), [1 / 3, 2 / 3]))]
writers = np.arange(len(digits)) * 9 // len(digits)  # nine blocks of consecutive rows


def answers(logits, student):
    """What the check reads: a row for each image, with both answers, both confidences and the slices."""
    columns = {"digit": digits, "ink": ink, "writers": writers, "block": np.arange(len(digits)) // 45}
    for role, name in (("teacher", "teacher"), ("student", student)):
        chances = softmax(logits[name], axis=1)
        columns |= {role: chances.argmax(1), f"{role}_sure": chances.max(1)}
    return pl.DataFrame(columns)


# --8<-- [end:table_of_answers]

# --8<-- [start:lost]
right = {name: [100 * (run[name].argmax(1) == digits) for run in runs] for name in runs[0]}
overall = {name: [each.mean() for each in seeds] for name, seeds in right.items()}
eights = {name: [each[digits == 8].mean() for each in seeds] for name, seeds in right.items()}
surer = {
    name: [100 * softmax(run[name], axis=1).max(1).mean() - mean for run, mean in zip(runs, overall[name], strict=True)]
    for name in runs[0]
}
SHOWN = {
    "teacher": "Teacher",
    "twin": "Teacher, trained again",
    "student": "Student",
    "few eights": "Student, few eights",
    "few, hard": "The same, hard labels",
}


def spread(values, form="{:.1f}"):
    """Median, and below it the range over the seeds."""
    low, middle, high = (form.format(value) for value in np.quantile(values, [0, 0.5, 1]))
    return f"{middle}<br><small>{low} to {high}</small>"


# --8<-- [end:lost]

# --8<-- [start:lost_table]
print("| Model | Right, % | Eights right, % | Confidence − right |\n| --- | ---: | ---: | ---: |")
for name, shown in SHOWN.items():
    print(
        f"| {shown} | {spread(overall[name])} | {spread(eights[name], '{:.0f}')} | {spread(surer[name], '{:+.0f}')} |"
    )
# --8<-- [end:lost_table]

# --8<-- [start:lost_claims]
middle = {name: np.median(seeds) for name, seeds in overall.items()}
drop = {name: middle["teacher"] - value for name, value in middle.items()}
drop_of_eights = {name: np.median(eights["teacher"]) - np.median(seeds) for name, seeds in eights.items()}
assert drop["few eights"] < 4 < 10 < drop_of_eights["few eights"], "the aggregate hides the slice"
assert abs(drop["twin"]) < 1.5 and drop["student"] < 2.5, "with all eights there is little to hide"
assert drop_of_eights["student"] < 8
assert max(surer["teacher"] + surer["student"] + surer["few eights"]) < -1, "soft labels pass on too little confidence"
assert min(surer["few, hard"]) > 0, "hard labels do not"
# --8<-- [end:lost_claims]

# --8<-- [start:weights]
import tempfile
from pathlib import Path

from safetensors.numpy import save_file

import weigh

folder = tempfile.TemporaryDirectory()
sizes, work = {}, {}
for name in ("teacher", "student"):
    path, model = Path(folder.name) / f"{name}.safetensors", models[name]
    save_file({"prototypes": model.prototypes, "weights": model.weights}, path)
    sizes[name] = weigh.inspect(path).bytes_on_disk
    work[name] = model.prototypes.size + model.weights.size  # multiplications for an image, but for a handful
smaller, lighter = sizes["teacher"] / sizes["student"], work["teacher"] / work["student"]
# --8<-- [end:weights]

# --8<-- [start:caught]
SLICES = ["digit", "ink", "writers"]
sure = {"teacher_confidence": "teacher_sure", "student_confidence": "student_sure"}
report = weigh.check_distillation(answers(runs[0], "few eights"), "digit", "teacher", "student", SLICES, **sure)
for result in report.results:
    figure = result.figure
    print(
        f"{result.check}: {result.finding}\n  {figure.name}: {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"
    )
# --8<-- [end:caught]

# --8<-- [start:caught_claims]
aggregate, worst, lost_rows, confidence = report.results
assert aggregate.finding != "yes" and worst.finding == "yes" and confidence.finding == "no"
assert worst.evidence[0]["slice"] == "digit=8"
searched = worst.cost["searched"]
# --8<-- [end:caught_claims]

# --8<-- [start:silent]
CHECKS = {"aggregate drop": "Overall", "worst slice drop": "Slice", "churn": "Churn", "added overconfidence": "Surer"}
found = {
    name: [
        weigh.check_distillation(answers(run, name), "digit", "teacher", "student", SLICES, **sure).results
        for run in runs
    ]
    for name in SHOWN
    if name != "teacher"
}


def findings(name, check):
    """How often each finding came: two yes and three undecided are `2 yes, 3 undecided`."""
    said = [result.finding for results in found[name] for result in results if result.check == check]
    return ", ".join(f"{said.count(answer)} {answer}" for answer in ("yes", "undecided", "no") if answer in said)


# --8<-- [end:silent]

# --8<-- [start:silent_table]
print("| Compared with the teacher | " + " | ".join(CHECKS.values()) + " |\n| --- | --- | --- | --- | --- |")
for name in found:
    print(f"| {SHOWN[name]} | " + " | ".join(findings(name, check).replace(", ", "<br>") for check in CHECKS) + " |")
# --8<-- [end:silent_table]

# --8<-- [start:silent_claims]
assert not any(result.finding == "yes" for each in found["twin"] for result in each), "none against a teacher's twin"
assert "yes" not in findings("student", "worst slice drop"), "no slice of a student that has seen all classes is guilty"
assert findings("few eights", "worst slice drop")[0] in "45", "the slice is found in nearly all seeds"
assert findings("few, hard", "worst slice drop")[0] in "45"
twin_churn = np.median([results[2].figure.value for results in found["twin"]])
twin_drop = np.median([results[0].figure.value for results in found["twin"]])
assert twin_churn > 0.004 and abs(twin_drop) < 0.008, "answers change even where nothing is lost"
# --8<-- [end:silent_claims]

# --8<-- [start:churned]
print("| Teacher | Student | Rows |\n| --- | --- | ---: |")
for row in lost_rows.evidence:
    print(f"| {row['teacher']} | {row['student']} | {row['rows']:,} |")
# --8<-- [end:churned]

# --8<-- [start:churned_claims]
both_right, right_wrong, wrong_right, same, another = (row["rows"] for row in lost_rows.evidence)
agreed, correct = (both_right + same) / len(digits), (both_right + wrong_right) / len(digits)
assert agreed > correct and same > wrong_right, "it agrees with the teacher more than with the labels"
assert lost_rows.notes[0].startswith(f"the student agrees with the teacher on {agreed:.1%}")
# --8<-- [end:churned_claims]


# --8<-- [start:dark]
def slope_at(temperature):
    """The mean length of the gradient of one image's loss in the logits of a student, as they are and times T²."""
    student, teacher = (runs[0][name] / temperature for name in ("few, hard", "teacher"))
    lengths = np.linalg.norm(softmax(student, axis=1) - softmax(teacher, axis=1), axis=1) / temperature
    return lengths.mean(), lengths.mean() * temperature**2


def with_more_bias(logits):
    """The share of eights that are read as 8 once its bias is raised until a tenth of all images are."""
    others = np.where(np.arange(10) == 8, -np.inf, logits).max(1)
    margin = logits[:, 8] - others
    return 100 * (margin > np.quantile(margin, 0.9))[digits == 8].mean()


taught_on = {"hard labels": "none, hard", **{f"soft, T = {t}": f"none, T = {t}" for t in TEMPERATURES}}
biased = {name: [with_more_bias(run[key]) for run in runs] for name, key in taught_on.items()}
slopes = {t: slope_at(t) for t in TEMPERATURES}
# --8<-- [end:dark]

# --8<-- [start:dark_table]
print("| Taught by | Eights right, % | With its bias raised | Gradient | × T² |\n| --- | ---: | ---: | ---: | ---: |")
for name, key in taught_on.items():
    steep = slopes.get(int(key.rpartition(" ")[2]) if "T" in key else 0)
    shown = [f"{each:.3f}" for each in steep] if steep else ["–", "–"]
    print(
        f"| {name} | {spread(eights[key], '{:.0f}')} | {spread(biased[name], '{:.0f}')} | " + " | ".join(shown) + " |"
    )
# --8<-- [end:dark_table]

# --8<-- [start:dark_claims]
assert max(eights["none, hard"]) < 5, "hard labels teach next to nothing of a class that is not there"
assert min(eights["none, T = 1"]) > 30, "soft labels can"
assert min(biased["soft, T = 1"]) > 60 and np.median(biased["hard labels"]) < np.median(biased["soft, T = 1"]) - 5
first_slope, last_slope = slopes[TEMPERATURES[0]], slopes[TEMPERATURES[-1]]
assert last_slope[0] < first_slope[0] / 2 and last_slope[1] > 2 * first_slope[1]
# --8<-- [end:dark_claims]

# --8<-- [start:power]
from statsmodels.stats.proportion import proportion_confint

from weigh.checks.paired_intervals import loss_interval, loss_p_value

RUNS, CHANGED, ALLOWED, ROWS = 300, 0.02, 0.05, (50, 180, 1000)  # 2 % of rows change for better, and for worse
DROPS = np.array([0.05, 0.08, 0.11, 0.15, 0.2, 0.25, 0.3, 0.4])


def found_in(losses, rows, slices, *, guarded=True, seed=0):
    """In how many runs the check's rule finds a slice, if the slices truly lost so much."""
    chances = np.array([[CHANGED + loss, CHANGED, 1 - 2 * CHANGED - loss] for loss in losses])
    drawn = np.random.default_rng(seed).multinomial(rows, chances, (RUNS, slices))
    smallest = loss_p_value(drawn[..., 0], drawn[..., 1], rows, ALLOWED).min(axis=1)
    return int((smallest <= 0.025 / (slices if guarded else 1)).sum())


def planted(loss, rows, slices):
    """The same where one slice lost so much and the others nothing."""
    return found_in([loss] + [0.0] * (slices - 1), rows, slices)


alarms = {
    (slices, guarded): [found_in([ALLOWED] * slices, rows, slices, guarded=guarded) for rows in ROWS]
    for slices in (10, 50)
    for guarded in (False, True)
}
clean = max(found_in([0.0] * slices, rows, slices) for slices in (10, 50) for rows in ROWS)
power = {(rows, slices): [planted(loss, rows, slices) for loss in DROPS] for rows in ROWS for slices in (10, 50)}
# --8<-- [end:power]

# --8<-- [start:power_claims]
assert clean == 0, "where nothing is lost there is no alarm"
assert max(alarms[10, True] + alarms[50, True]) < 0.08 * RUNS, "nor often where each slice lost all that it may"
assert min(alarms[50, False]) > 0.5 * RUNS, "without the guard there is"
half_found = {
    key: float(next(loss for loss, count in zip(DROPS, counts, strict=True) if count >= RUNS / 2))
    for key, counts in power.items()
}
assert half_found[50, 50] >= 0.2 and half_found[1000, 50] <= 0.11, "a small slice has to lose far more"
few = pl.DataFrame({"right": 1, "teacher": 1, "slice": np.repeat(np.arange(10), 180), "student": 1}).with_columns(
    student=pl.when((pl.col("slice") == 3) & (pl.int_range(pl.len()) % 4 == 0)).then(0).otherwise(1)
)
by_check = weigh.worst_slice_drop(few, "right", "teacher", "student", ["slice"])
by_rule = loss_p_value(45, 0, 180, ALLOWED) <= 0.025 / 10
assert (by_check.finding == "yes") == by_rule and by_check.figure.value == 0.25, "the rule is that of the check"
power_words = (
    f"Two panels. Left: false alarms where each slice lost just what it may. Unguarded, of 50 slices "
    f"{min(alarms[50, False]) / RUNS:.0%} to {max(alarms[50, False]) / RUNS:.0%} of {RUNS} runs; guarded "
    f"at most {max(alarms[50, True] + alarms[10, True]) / RUNS:.0%}. Right: how often a planted loss is found. "
    f"Half are found from {half_found[1000, 50]:.0%} lost with 1,000 rows a slice, {half_found[180, 50]:.0%} with 180, "
    f"{half_found[50, 50]:.0%} with 50."
)
# --8<-- [end:power_claims]

# --8<-- [start:power_plot]
import matplotlib.pyplot as plt


def curve(axis, x, counts, **style):
    low, high = proportion_confint(np.array(counts), RUNS, method="wilson")
    axis.plot(x, np.array(counts) / RUNS, marker="o", markersize=4, **style)
    axis.fill_between(x, low, high, color=style["color"], alpha=0.2)


fig, axes = plt.subplots(1, 2, figsize=(7, 3.6))
for (slices, guarded), counts in alarms.items():
    label = f"{slices} slices, {'guarded' if guarded else 'not guarded'}"
    curve(axes[0], range(len(ROWS)), counts, color="C0" if guarded else "C1", label=label,
          linestyle="-" if slices == 10 else "--")  # fmt: skip
axes[0].set(xlabel="rows in a slice", title="share of false alarms", ylim=(-0.03, 1.03))
axes[0].set_xticks(range(len(ROWS)), [f"{rows:,}" for rows in ROWS])
for (rows, slices), counts in power.items():
    curve(axes[1], DROPS, counts, color=f"C{ROWS.index(rows) + 2}", linestyle="-" if slices == 10 else "--",
          label=f"{rows:,} rows" if slices == 10 else None)  # fmt: skip
axes[1].set(xlabel="accuracy lost in one slice", title="share found", ylim=(-0.03, 1.03))
axes[1].xaxis.set_major_formatter("{x:.0%}")
for axis in axes:
    axis.legend(fontsize=9)
fig
# --8<-- [end:power_plot]

# --8<-- [start:limits]
blind = [
    weigh.worst_slice_drop(answers(run, "few eights"), "digit", "teacher", "student", ["ink", "writers"])
    for run in runs
]


def taught_by_a_blind_teacher(seed=0):
    """A teacher that has seen few eights, and a student of its answers to all images."""
    logits = {"teacher": np.zeros((len(digits), 10)), "student": np.zeros((len(digits), 10))}
    for part in (0, 1):
        rng, learn = np.random.default_rng(seed), np.flatnonzero(half != part)
        large, small = (pixels[rng.choice(learn, size, replace=False)] for size in (LARGE, SMALL))
        some = (digits[learn] != 8) | (rng.random(len(learn)) < 0.05)
        teacher = fit(pixels[learn][some], ONE_HOT[digits[learn][some]], large, penalty=1e-4)
        taught = softmax(teacher.logits(pixels[learn]), axis=1)
        for name, model in (("teacher", teacher), ("student", fit(pixels[learn], taught, small))):
            logits[name][half == part] = model.logits(pixels[half == part])
    return logits


misled = weigh.worst_slice_drop(
    answers(taught_by_a_blind_teacher(), "student"), "digit", "teacher", "student", ["digit"]
)
clustered = weigh.aggregate_drop(answers(runs[0], "few eights"), "digit", "teacher", "student", group="block").figure
# --8<-- [end:limits]

# --8<-- [start:limits_claims]
unnamed = sum(result.finding == "yes" for result in blind)
assert unnamed <= 3, "often it is not found"
of_eight = next(row for row in misled.evidence if row["slice"] == "digit=8")
assert misled.finding != "yes" and of_eight["teacher"] < 0.7, "a student loses nothing where there is nothing to lose"
assert any("the teacher itself is right on" in note for note in misled.notes)
suspect = blind[0].evidence[0]
in_it = answers(runs[0], "few eights").filter(
    (pl.format("ink={}", "ink") == suspect["slice"]) | (pl.format("writers={}", "writers") == suspect["slice"])
)
lost_in_it = in_it.filter((pl.col("teacher") == pl.col("digit")) & (pl.col("student") != pl.col("digit")))
eights_in_it = lost_in_it.filter(pl.col("digit") == 8)
assert len(eights_in_it) > len(lost_in_it) / 4, "an innocent slice is blamed for what it has of a guilty one"
rows_apart = aggregate.figure.high - aggregate.figure.low
assert clustered.high - clustered.low >= rows_apart, "rows of one writer are worth no more"
# --8<-- [end:limits_claims]

# --8<-- [start:surprises]
import warnings
from importlib.metadata import version

from sklearn.metrics import log_loss
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a division by zero; the p-value is returned all the same
    identical = mcnemar([[900, 0], [0, 100]], exact=False).pvalue  # both right on 900 rows, both wrong on 100
p_values = np.array([0.001, 0.01, 0.02, 0.04, 0.5])
rejected, adjusted, *_ = multipletests([*p_values, np.nan], method="fdr_bh")
without = multipletests(p_values, method="fdr_bh")[0].sum()

chances = softmax(runs[0]["teacher"], axis=1)
no_three = np.delete(chances, 3, axis=1) / np.delete(chances, 3, axis=1).sum(1, keepdims=True)
nines = digits != 9  # a student that never met a 3 meets rows without a 9: nine columns, nine classes
at_place = log_loss(digits[nines], no_three[nines])
known = nines & (digits != 3)
classes = [digit for digit in range(10) if digit != 3]
aligned = log_loss(digits[known], no_three[known], labels=classes)
# --8<-- [end:surprises]

# --8<-- [start:surprises_table]
print("| Asked | Says | Should be |\n| --- | ---: | ---: |")
print(f"| `mcnemar(exact=False)`, a model and its copy: p | {identical:.0f} | 1 |")
print(f"| `multipletests`, `fdr_bh`, one p is NaN: rejected | {rejected.sum()} | {without} |")
print(f"| the same: adjusted p that are numbers | {np.isfinite(adjusted).sum()} | {len(p_values)} |")
print(f"| `log_loss`, no 3 in the model, no 9 in the rows | {at_place:.1f} | infinite |")
print(f"| the same, rows without a 3, `labels=` given | {aligned:.1f} | {aligned:.1f} |")
# --8<-- [end:surprises_table]

# --8<-- [start:surprises_claims]
assert identical == 0 and mcnemar([[900, 0], [0, 100]]).pvalue == 1, "the exact test, which is the default, is right"
assert rejected.sum() < without and not np.isfinite(adjusted).any()
assert aligned < 0.5 < 2 < at_place < np.inf
versions = {name: version(name) for name in ("statsmodels", "scikit-learn")}
# --8<-- [end:surprises_claims]

# --8<-- [start:files]
from contextlib import chdir

from weigh.cli import weigh as command

table = answers(runs[0], "few eights")
table.write_parquet(Path(folder.name) / "rows.parquet")


def weigh_check(line):
    """Run the command in the folder, and give its exit code."""
    with chdir(folder.name):
        return command(line.split(), standalone_mode=False)


# --8<-- [end:files]

# --8<-- [start:command]
code = weigh_check(
    "check distillation rows.parquet --label digit --teacher teacher --student student --slice digit --slice ink"
)
print("exit code", code)
# --8<-- [end:command]

# --8<-- [start:call]
result = weigh.worst_slice_drop(table, "digit", "teacher", "student", ["digit", "ink"], threshold=0.1)
for row in result.evidence[:3]:
    print(f"{row['slice']}: {row['rows']} rows, lost {row['lost']:.3f}, p {row['p, Holm']:.3f}")
# --8<-- [end:call]

# --8<-- [start:own_claims]
assert code == 1
assert result.evidence[0]["slice"] == "digit=8"
longer = weigh.worst_slice_drop(pl.concat([table] * 100), "digit", "teacher", "student", SLICES)
assert longer.cost == {"rows": 100 * len(table), "slices": searched, "searched": searched}
# --8<-- [end:own_claims]

# --8<-- [start:problems]
hidden = 0.1 * 20
some_alarm = 1 - 0.95**50
level_of_each = 0.025 / 50
z = 1.96
enough = next(rows for rows in range(1, 1000) if loss_interval(0, 0, rows)[1] <= 0.05)
assert abs(z**2 / (enough + z**2) - 0.05) < 0.001, "without a row that differs the end is z² / (n + z²)"
assert round(hidden, 6) == 2 and some_alarm > 0.9
# --8<-- [end:problems]
