"""The program of "Tree ensembles": what bagging and boosting compute, what their files weigh, and where they lose."""

# --8<-- [start:data]
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import train_test_split

SEEDS = range(5)
patients, progress = load_diabetes(return_X_y=True)
columns = load_diabetes().feature_names
images, digits = load_digits(return_X_y=True)
tumours, benign = load_breast_cancer(return_X_y=True)


def middle(values, form="{:.3f}"):
    """The median of some seeds, and their range."""
    return " | ".join((form.format(np.median(values)), f"{form.format(min(values))} to {form.format(max(values))}"))


# --8<-- [end:data]

# --8<-- [start:diagram]
import matplotlib.pyplot as plt

fig, axes = plt.subplots(2, 1, figsize=(6.4, 4.6))


def draw_tree(ax, x, y):
    """Two questions and three leaves."""
    points = {"root": (x, y), "no": (x - 0.5, y - 0.6), "yes": (x + 0.5, y - 0.6)}
    points |= {"low": (x, y - 1.2), "high": (x + 1, y - 1.2)}
    for above, below in (("root", "no"), ("root", "yes"), ("yes", "low"), ("yes", "high")):
        ax.plot(*zip(points[above], points[below], strict=True), color="C0", linestyle="-", linewidth=1.5)
    for name, point in points.items():
        ax.plot(*point, "o" if name in ("root", "yes") else "s", color="C0", markersize=7)


def arrow(ax, start, end):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": plt.rcParams["text.color"]})


for ax, title in zip(
    axes, ("Bagging: each tree from its own draw of rows", "Boosting: each tree from what is left"), strict=True
):
    ax.set(xlim=(-2.2, 9.4), ylim=(-2.3, 1.9), title=title)
    ax.axis("off")
    for x in (0, 3.4, 6.8):
        draw_tree(ax, x, 0.2)
for x in (0, 3.4, 6.8):
    axes[0].text(x + 0.1, 1.3, "rows, redrawn", ha="center")
    arrow(axes[0], (x, 1.2), (x, 0.4))
    arrow(axes[0], (x + 0.2, -1.2), (3.6 + 0.35 * (x - 3.4), -1.75))
axes[0].text(3.6, -2.2, "mean of the predictions", ha="center")
axes[1].text(-0.1, 1.3, "rows", ha="center")
arrow(axes[1], (0, 1.2), (0, 0.4))
for x in (0.6, 4.0):
    arrow(axes[1], (x, -0.1), (x + 2.4, 0.2))
    axes[1].text(x + 1.1, 0.4, "errors", ha="center")
for x in (0, 3.4, 6.8):
    arrow(axes[1], (x + 0.2, -1.2), (3.6 + 0.35 * (x - 3.4), -1.75))
axes[1].text(3.6, -2.2, "sum of the predictions × rate", ha="center")
fig
# --8<-- [end:diagram]

# --8<-- [start:walk]
forest = RandomForestRegressor(100, random_state=0).fit(patients, progress)


def predict(tree, row):
    """The value of the leaf that a row ends in."""
    node = 0
    while tree.children_left[node] != -1:
        low = row[tree.feature[node]] <= tree.threshold[node]
        node = (tree.children_left if low else tree.children_right)[node]
    return tree.value[node].item()


row = patients[7].astype("float32")
by_hand = np.mean([predict(one.tree_, row) for one in forest.estimators_])
print(f"by hand {by_hand:.3f}, by the library {forest.predict(patients[7:8])[0]:.3f}")
# --8<-- [end:walk]

# --8<-- [start:walk_claims]
assert abs(by_hand - forest.predict(patients[7:8])[0]) < 1e-6
nodes = sum(one.tree_.node_count for one in forest.estimators_)
visited = forest.decision_path(patients)[0].sum() / len(patients)
assert visited < nodes / 40, "a prediction reads a small part of the nodes"
# --8<-- [end:walk_claims]

# --8<-- [start:curves]
TREES = 120
errors = {"forest": [], "boosting, rate 0.1": [], "boosting, rate 0.5": []}
for seed in SEEDS:
    known, held, target, truth = train_test_split(patients, progress, random_state=seed)
    bagged = RandomForestRegressor(TREES, max_features=1 / 3, random_state=seed).fit(known, target)
    summed = np.cumsum([one.predict(held) for one in bagged.estimators_], axis=0)
    staged = {"forest": summed / np.arange(1, TREES + 1)[:, None]}
    for rate in (0.1, 0.5):
        boosted = GradientBoostingRegressor(n_estimators=TREES, learning_rate=rate, random_state=seed)
        staged[f"boosting, rate {rate}"] = np.array(list(boosted.fit(known, target).staged_predict(held)))
    for name, predictions in staged.items():
        errors[name].append(((predictions - truth) ** 2).mean(axis=1) ** 0.5)
errors = {name: np.array(runs) for name, runs in errors.items()}
# --8<-- [end:curves]

# --8<-- [start:curve_claims]
excess = {name: runs[:, -1] / runs.min(axis=1) for name, runs in errors.items()}
assert excess["forest"].max() < 1.05, "more trees do a forest no harm to speak of"
assert excess["boosting, rate 0.1"].min() > 1.01, "boosting passes its best, with every seed"
assert excess["boosting, rate 0.5"].min() > 1.1, "the faster, the further"
assert np.median(errors["forest"][:, 0]) > 1.25 * np.median(errors["forest"][:, -1]), "one tree is far worse"
at_best = {name: int(np.median(runs.argmin(axis=1))) + 1 for name, runs in errors.items()}
curve_words = (
    f"Held-out error against trees, up to {TREES}. The forest falls and stays level; boosting at rate 0.1 "
    f"is best at {at_best['boosting, rate 0.1']} trees (median) and rises; at rate 0.5 it rises from "
    f"{at_best['boosting, rate 0.5']} trees on."
)
# --8<-- [end:curve_claims]

# --8<-- [start:curve_plot]
fig, ax = plt.subplots(figsize=(6.4, 3.4))
for name, runs in errors.items():
    (line,) = ax.plot(range(1, TREES + 1), np.median(runs, axis=0), label=name)
    ax.fill_between(
        range(1, TREES + 1), runs.min(axis=0), runs.max(axis=0), color=line.get_color(), alpha=0.12, linewidth=0
    )
ax.set(xlabel="trees", title="root mean squared error, held out", xscale="log", ylim=(50, 95))
ax.xaxis.set_major_formatter("{x:.0f}")
ax.legend()
fig
# --8<-- [end:curve_plot]


# --8<-- [start:importance]
def shuffled_loss(model, held, truth, column, seed):
    """By how much the held-out R² falls when one column is shuffled: the mean of three shuffles."""
    draw, losses = np.random.default_rng(seed), []
    for _ in range(3):
        shuffled = held.copy()
        shuffled[:, column] = draw.permutation(shuffled[:, column])
        losses.append(model.score(held, truth) - model.score(shuffled, truth))
    return np.mean(losses)


impurity, permuted, alone, shared = [], [], [], []
for seed in SEEDS:
    noise = np.random.default_rng(seed).permutation(len(patients))
    table = np.column_stack([patients, noise])
    known, held, target, truth = train_test_split(table, progress, random_state=seed)
    model = RandomForestRegressor(40, random_state=seed).fit(known, target)
    impurity.append(model.feature_importances_)
    permuted.append([shuffled_loss(model, held, truth, one, seed) for one in range(11)])
    copied = np.column_stack([patients, patients[:, 2]])  # the body mass index twice
    twice = RandomForestRegressor(20, random_state=seed).fit(copied, progress)
    once = RandomForestRegressor(20, random_state=seed).fit(patients, progress)
    alone.append(once.feature_importances_[2])
    shared.append(twice.feature_importances_[2])
impurity, permuted = np.array(impurity), np.array(permuted)
# --8<-- [end:importance]

# --8<-- [start:importance_table]
print("| Column | Impurity | Shuffled | Impurity, range | Shuffled, range |\n| --- | ---: | ---: | --- | --- |")
order = np.argsort(-np.median(impurity, axis=0))
for one in order:
    name = [*columns, "**random**"][one]
    runs = impurity[:, one], permuted[:, one]
    medians = " | ".join(f"{np.median(run):z.2f}" for run in runs)
    ranges = " | ".join(f"{min(run):z.2f} to {max(run):z.2f}" for run in runs)
    print(f"| {name} | {medians} | {ranges} |")
# --8<-- [end:importance_table]

# --8<-- [start:importance_claims]
with_one = np.column_stack([patients, np.ones(len(patients))])
slopes, squares, *_ = np.linalg.lstsq(with_one, progress)
variances = np.diag(np.linalg.inv(with_one.T @ with_one)) * squares[0] / (len(progress) - 11)
t_values = dict(zip(columns, slopes / variances**0.5, strict=False))
assert t_values["sex"] < -3, "a linear model is sure of the column sex"
assert (impurity[:, 10] > 2 * impurity[:, 1]).all(), "impurity puts a random column above it, with every seed"
above = sum(np.median(impurity[:, 10]) > np.median(impurity[:, :10], axis=0))
assert above >= 3
assert abs(np.median(permuted[:, 10])) < 0.02, "shuffled on held-out rows, the random column is worth nothing"
assert np.median(permuted[:, 1]) < 0.03, "and the forest has not used sex much either"
assert all(one > 1.3 * half for one, half in zip(alone, shared, strict=True)), "a copy takes a part of the importance"
# --8<-- [end:importance_claims]

# --8<-- [start:node]
record = forest.estimators_[0].tree_.__getstate__()["nodes"].dtype
print("| Array | Bytes | To predict |\n| --- | ---: | --- |")
needed = ("left_child", "right_child", "feature", "threshold")
for name in record.names:
    size = record[name].itemsize
    print(f"| {name} | {size} | {'yes' if name in needed else 'missing values' if size == 1 else 'no'} |")
padding = record.itemsize - sum(record[name].itemsize for name in record.names)
print(f"| padding | {padding} | no |\n| values, float64 | 8 × classes | in leaves |")
# --8<-- [end:node]

# --8<-- [start:files]
import json
import tempfile
from pathlib import Path

import catboost
import joblib
import lightgbm
import skops.io
import xgboost

folder = Path(tempfile.mkdtemp())
boosted = {
    "XGBoost": xgboost.XGBRegressor(n_estimators=100, max_depth=6, n_jobs=1),
    "LightGBM": lightgbm.LGBMRegressor(n_estimators=100, num_leaves=31, n_jobs=1, verbose=-1),
    "CatBoost": catboost.CatBoostRegressor(
        iterations=100, depth=6, thread_count=1, verbose=0, allow_writing_files=False
    ),
}
for model in boosted.values():
    model.fit(patients, progress)
reader = RandomForestClassifier(100, random_state=0).fit(images, digits)

joblib.dump(forest, folder / "forest.joblib")
joblib.dump(forest, folder / "forest.joblib.z", compress=3)
skops.io.dump(forest, folder / "forest.skops")
joblib.dump(reader, folder / "digits.joblib")
boosted["XGBoost"].save_model(folder / "xgboost.ubj")
boosted["XGBoost"].save_model(folder / "xgboost.json")
boosted["LightGBM"].booster_.save_model(folder / "lightgbm.txt")
boosted["CatBoost"].save_model(folder / "catboost.cbm")
boosted["CatBoost"].save_model(folder / "catboost.json", format="json")
# --8<-- [end:files]


# --8<-- [start:files_table]
def nodes_of(model):
    """Inner nodes and leaves, as each library counts them."""
    if hasattr(model, "estimators_"):
        return sum(one.tree_.node_count for one in model.estimators_)
    booster = model.get_booster() if hasattr(model, "get_booster") else model.booster_
    return len(booster.trees_to_dataframe())


symmetric = np.array(boosted["CatBoost"].get_leaf_weights())
empty = float((symmetric == 0).mean())
leaves = {name: (nodes_of(model) + 100) // 2 for name, model in boosted.items() if name != "CatBoost"}
leaves |= {"CatBoost": len(symmetric), "forest": (nodes + 100) // 2, "digits": (nodes_of(reader) + 100) // 2}
saved = {
    "scikit-learn": (
        "forest",
        {"joblib": "forest.joblib", "joblib, compress=3": "forest.joblib.z", "skops": "forest.skops"},
    ),
    "scikit-learn, 10 classes": ("digits", {"joblib": "digits.joblib"}),
    "XGBoost": ("XGBoost", {"UBJSON": "xgboost.ubj", "JSON": "xgboost.json"}),
    "LightGBM": ("LightGBM", {"text": "lightgbm.txt"}),
    "CatBoost": ("CatBoost", {"cbm": "catboost.cbm", "JSON": "catboost.json"}),
}
print("| Library, format | Leaves | Bytes a leaf | Bytes a node |\n| --- | ---: | ---: | ---: |")
per_node = {}
for library, (which, formats) in saved.items():
    for form, file in formats.items():
        size = (folder / file).stat().st_size
        per_node[library, form] = size / (2 * leaves[which] - 100)
        last = "no nodes" if library == "CatBoost" else f"{per_node[library, form]:.0f}"
        print(f"| {library}, {form} | {leaves[which]:,} | {size / leaves[which]:.0f} | {last} |")
# --8<-- [end:files_table]

# --8<-- [start:file_claims]
assert 72 <= per_node["scikit-learn", "joblib"] < 74, "64 of the record, 8 of the value, little else"
assert 144 <= per_node["scikit-learn, 10 classes", "joblib"] < 147, "each further class costs 8 bytes in every node"
assert per_node["scikit-learn", "joblib, compress=3"] < 0.4 * per_node["scikit-learn", "joblib"]
assert 1.1 < per_node["scikit-learn", "skops"] / per_node["scikit-learn", "joblib"] < 2
assert per_node["XGBoost", "UBJSON"] < per_node["XGBoost", "JSON"] < 2 * per_node["XGBoost", "UBJSON"]
assert 0.3 < empty < 0.9, "many leaves of symmetric trees have no row"
data_bytes = patients.nbytes + progress.nbytes
forest_bytes = (folder / "forest.joblib").stat().st_size
assert forest_bytes > 50 * data_bytes, "the forest is far larger than its data"
rows = [lightgbm.Booster(model_file=folder / "lightgbm.txt").predict(patients), boosted["LightGBM"].predict(patients)]
assert np.array_equal(*rows), "LightGBM's decimal text gives the same numbers back"
# --8<-- [end:file_claims]


# --8<-- [start:growth]
def nodes_by_rows(kind, table, target, sizes, **settings):
    """Nodes a tree, the median of five forests, when they learn from ever more rows."""
    found = {}
    for rows in sizes:
        counts = []
        for seed in SEEDS:
            drawn = np.random.default_rng(seed).permutation(len(table))[:rows]
            small = kind(4, random_state=seed, **settings).fit(table[drawn], target[drawn])
            counts.append(np.mean([one.tree_.node_count for one in small.estimators_]))
        found[rows] = float(np.median(counts))
    return found


def exponent(found):
    """The slope of a line through log nodes against log rows."""
    return float(np.polyfit(np.log(list(found)), np.log(list(found.values())), 1)[0])


growth = {
    "diabetes, full": nodes_by_rows(RandomForestRegressor, patients, progress, (55, 110, 221, 442)),
    "diabetes, depth 6": nodes_by_rows(RandomForestRegressor, patients, progress, (55, 110, 221, 442), max_depth=6),
    "digits, full": nodes_by_rows(RandomForestClassifier, images, digits, (224, 449, 898, 1797)),
    "digits, depth 6": nodes_by_rows(RandomForestClassifier, images, digits, (224, 449, 898, 1797), max_depth=6),
}
print("| Trees | Exponent | Nodes a tree | Rows a leaf | Rows |\n| --- | ---: | ---: | ---: | ---: |")
for name, found in growth.items():
    (rows, count), power = list(found.items())[-1], exponent(found)
    print(f"| {name} | {power:.2f} | {count:.0f} | {2 * rows / (count + 1):.1f} | {rows:,} |")
# --8<-- [end:growth]

# --8<-- [start:growth_claims]
assert 0.95 < exponent(growth["diabetes, full"]) < 1.05, "of a regression, nodes grow as rows do"
assert 0.55 < exponent(growth["digits, full"]) < 0.9, "of a classification, a little slower"
assert exponent(growth["digits, depth 6"]) < 0.5 and exponent(growth["diabetes, depth 6"]) < 0.6
per_leaf = 2 * 442 / (growth["diabetes, full"][442] + 1)
assert 1.3 < per_leaf < 2, "a fully grown tree has a leaf for one or two rows"
ten_million = 10_000_000 / 442 * forest_bytes
# --8<-- [end:growth_claims]

# --8<-- [start:outside]
from sklearn.linear_model import LinearRegression

radius, area = tumours[:, 0], tumours[:, 3]
small = radius <= np.quantile(radius, 0.75)
one = radius[:, None]
squared = np.column_stack([radius, radius**2])
forest_of_areas = RandomForestRegressor(100, random_state=0).fit(one[small], area[small])
parabola = LinearRegression().fit(squared[small], area[small])
guesses = {"forest": forest_of_areas.predict(one), "parabola": parabola.predict(squared)}
misses = {name: float(np.mean(np.abs(guess / area - 1)[~small])) for name, guess in guesses.items()}
# --8<-- [end:outside]

# --8<-- [start:outside_claims]
assert guesses["forest"].max() <= area[small].max(), "a forest predicts nothing beyond what it has seen"
assert misses["forest"] > 0.2 and misses["parabola"] < 0.03
outside_words = (
    f"Area against radius of {len(area)} tumours. Beyond the largest quarter's edge the forest stays level near "
    f"{guesses['forest'].max():.0f}, though areas rise to {area.max():,.0f}; a parabola goes on with them."
)
# --8<-- [end:outside_claims]

# --8<-- [start:outside_plot]
fig, ax = plt.subplots(figsize=(6.4, 3.2))
along = np.argsort(radius)
ax.plot(radius, area, ".", color="C5", markersize=4, label="tumours")
for name, guess in guesses.items():
    ax.plot(radius[along], guess[along], label=name)
ax.axvline(radius[small].max(), color=plt.rcParams["text.color"], linewidth=1, linestyle="-")
ax.annotate("not learned →", (radius[small].max() + 0.3, 80))
ax.set(xlabel="mean radius", title="mean area")
ax.legend(loc="upper left")
fig
# --8<-- [end:outside_plot]

# --8<-- [start:loses]
from sklearn.svm import SVC

versus = {"digits: forest": [], "digits: kernel machine": [], "tumours: forest": [], "tumours, rotated: forest": []}


def accuracy(model, table, target, seed):
    known, held, answers, truth = train_test_split(table, target, stratify=target, random_state=seed)
    return model.fit(known, answers).score(held, truth)


standard = (tumours - tumours.mean(axis=0)) / tumours.std(axis=0)
for seed in SEEDS:
    trees = RandomForestClassifier(50, random_state=seed)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(30, 30)))[0]
    versus["digits: forest"].append(accuracy(trees, images, digits, seed))
    versus["digits: kernel machine"].append(accuracy(SVC(), images, digits, seed))
    versus["tumours: forest"].append(accuracy(trees, standard, benign, seed))
    versus["tumours, rotated: forest"].append(accuracy(trees, standard @ rotation, benign, seed))
print("| Held-out accuracy | Median | Range |\n| --- | ---: | --- |")
for name, runs in versus.items():
    print(f"| {name} | {middle(runs, '{:.1%}')} |")
# --8<-- [end:loses]

# --8<-- [start:lose_claims]
pairs = zip(versus["digits: forest"], versus["digits: kernel machine"], strict=True)
assert all(trees < kernels for trees, kernels in pairs), "on images a forest loses to a kernel machine, with every seed"
turned = np.subtract(versus["tumours, rotated: forest"], versus["tumours: forest"])
assert abs(np.median(turned)) < 0.03, "a rotation does little to the tumours"
# --8<-- [end:lose_claims]

# --8<-- [start:seconds]
second = np.arange(128)[:, None]
later = second[:, 0] % 64 >= 32
kinds = {
    "scikit-learn": RandomForestClassifier(20, random_state=0),
    "XGBoost": xgboost.XGBClassifier(n_estimators=20, n_jobs=1),
    "LightGBM": lightgbm.LGBMClassifier(n_estimators=20, min_child_samples=2, n_jobs=1, verbose=-1),
    "CatBoost": catboost.CatBoostClassifier(iterations=20, thread_count=1, verbose=0, allow_writing_files=False),
}
print("| Right, of its own rows | Seconds from 0 | Unix time |\n| --- | ---: | ---: |")
told = {}
for name, model in kinds.items():
    told[name] = [model.fit(table, later).score(table, later) for table in (second + 0.0, second + 1.8e9)]
    print(f"| {name} | {told[name][0]:.0%} | {told[name][1]:.0%} |")
# --8<-- [end:seconds]

# --8<-- [start:second_claims]
for name, (plain, shifted) in told.items():
    assert plain > 0.95, "from 0, each of them tells the seconds apart"
    assert (shifted > 0.95) == (name == "LightGBM"), "from 1.8 billion, three of four do not"
assert np.spacing(np.float32(1.8e9)) == 128
# --8<-- [end:second_claims]

# --8<-- [start:stopped]
known, held, target, truth = train_test_split(patients, progress, random_state=0)
shown = {"eval_set": [(held, truth)]}
stops = lightgbm.early_stopping(20, verbose=False)
rounds = {"n_estimators": 200, "n_jobs": 1}
xgb = xgboost.XGBRegressor(**rounds, early_stopping_rounds=20).fit(known, target, **shown, verbose=False)
lgb = lightgbm.LGBMRegressor(**rounds, verbose=-1)
lgb.fit(known, target, eval_X=held, eval_y=truth, callbacks=[stops])
cat = catboost.CatBoostRegressor(
    iterations=200, learning_rate=0.1, early_stopping_rounds=20, thread_count=1, verbose=0, allow_writing_files=False
).fit(known, target, **shown)
skl = GradientBoostingRegressor(n_estimators=200, n_iter_no_change=20, random_state=0).fit(known, target)

xgb.save_model(folder / "stopped.ubj")
lgb.booster_.save_model(folder / "stopped.txt")
cat.save_model(folder / "stopped.cbm")
loaded = xgboost.Booster(model_file=folder / "stopped.ubj")
wrapped = xgboost.XGBRegressor()
wrapped.load_model(folder / "stopped.ubj")
in_file = {
    "XGBoost": (xgb.best_iteration + 1, loaded.num_boosted_rounds()),
    "LightGBM": (lgb.best_iteration_, lightgbm.Booster(model_file=folder / "stopped.txt").num_trees()),
    "CatBoost": (cat.best_iteration_ + 1, catboost.CatBoost().load_model(folder / "stopped.cbm").tree_count_),
}
print("| Library | Best round | Trees in the file |\n| --- | ---: | ---: |")
for name, (best, kept) in in_file.items():
    print(f"| {name} | {best} | {kept} |")
print(f"| scikit-learn, GradientBoosting | not kept | {len(skl.estimators_)} |")
# --8<-- [end:stopped]

# --8<-- [start:stop_claims]
for name, (best, kept) in in_file.items():
    assert kept == best + 20 * (name == "XGBoost"), "XGBoost alone saves the 20 rounds after its best"
one_file = wrapped.predict(held), loaded.predict(xgboost.DMatrix(held))
assert np.array_equal(one_file[0], xgb.predict(held))
apart = float(np.median(np.abs(one_file[0] - one_file[1])))
assert apart > 1, "one file, two models: the wrapper stops at the best round, the Booster does not"
# --8<-- [end:stop_claims]

# --8<-- [start:pruned]
pruned = {}
for method in ("hist", "exact"):
    for gamma in (0, 1e9):
        settings = {"tree_method": method, "gamma": gamma, "nthread": 1}
        booster = xgboost.train(settings, xgboost.DMatrix(patients, progress), 20)
        booster.save_model(folder / "pruned.ubj")
        size = (folder / "pruned.ubj").stat().st_size
        pruned[method, gamma] = len(booster.trees_to_dataframe()), size
print("| Method, gamma | Nodes alive | kB |\n| --- | ---: | ---: |")
for (method, gamma), (alive, size) in pruned.items():
    print(f"| {method}, {gamma:g} | {alive:,} | {size / 1000:.0f} |")
# --8<-- [end:pruned]

# --8<-- [start:pruned_claims]
assert pruned["hist", 1e9][0] == pruned["exact", 1e9][0] == 20, "each tree is a single leaf"
assert pruned["exact", 1e9][1] > pruned["exact", 0][1], "exact: the pruned file is larger than the unpruned"
assert pruned["hist", 1e9][1] < 0.5 * pruned["hist", 0][1]
# --8<-- [end:pruned_claims]

# --8<-- [start:codes]
draw = np.random.default_rng(0)
shop = draw.integers(0, 20, 2000)
sales = 2 * np.isin(shop, [1, 4, 5, 9, 13, 17]) + draw.normal(size=2000)
print("| Codes of 20 shops | LightGBM kB | XGBoost kB |\n| --- | ---: | ---: |")
coded, listed = {}, {}
for step in (1, 100, 1000):
    table = (shop * step).reshape(-1, 1).astype(float)
    light = lightgbm.Dataset(table, sales, categorical_feature=[0])
    lightgbm.train({"verbose": -1, "num_threads": 1}, light, 20).save_model(folder / "codes.txt")
    extreme = xgboost.DMatrix(table, sales, feature_types=["c"], enable_categorical=True)
    grown = xgboost.train({"nthread": 1}, extreme, 20)
    grown.save_model(folder / "codes.ubj")
    coded[step] = [(folder / name).stat().st_size / 1000 for name in ("codes.txt", "codes.ubj")]
    print(f"| 0 to {19 * step:,} | {coded[step][0]:.0f} | {coded[step][1]:,.0f} |")
    saved = json.loads(grown.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
    listed[step] = [code for tree in saved for code in tree["categories"]]
# --8<-- [end:codes]

# --8<-- [start:code_claims]
assert coded[1000][0] > 4 * coded[1][0], "LightGBM: the file grows with the largest code"
assert coded[1000][1] > 20 * coded[1][1], "XGBoost: far more so"
unseen = np.mean([code % 100 > 0 for code in listed[100]])
assert unseen > 0.9 and max(listed[1]) == 19, "it lists codes that no row has"
# --8<-- [end:code_claims]

# --8<-- [start:own]
import weigh

for file in ("forest.joblib", "xgboost.json", "lightgbm.txt", "catboost.cbm"):
    try:
        print(file, weigh.inspect(folder / file).parameters)
    except weigh.WeighError as error:
        print(str(error).removeprefix(f"{folder}/")[:70], "…")
contents = joblib.load(folder / "forest.joblib")  # your own file only: to load a pickle is to run it
size = (folder / "forest.joblib").stat().st_size
count = sum(one.tree_.node_count for one in contents.estimators_)
print(f"{count:,} nodes, {size / count:.0f} bytes each")
# --8<-- [end:own]

# --8<-- [start:problems]
hundred_classes = 64 + 8 * 100
boosted_trees = 3 * 200
assert json.loads((folder / "xgboost.json").read_text())["learner"]["attributes"] is not None
regression_leaves = 0.63 * 1_000_000
million = 100 * (2 * regression_leaves - 1) * 72
# --8<-- [end:problems]
