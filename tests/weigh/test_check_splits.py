"""What training and test rows share: hit, miss, boundary, bad input, and the same answer from every engine."""

import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import product
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

import weigh
from weigh.checks.splits.near_duplicates import PERMUTATIONS, bands, matches, recall, shingles, signatures
from weigh.cli import main
from weigh.errors import InvalidTable

Engine = Callable[[pl.DataFrame], Any]


def _duckdb(frame: pl.DataFrame) -> Any:
    arrow = frame.to_arrow()  # noqa: F841 (DuckDB finds it by name)
    return duckdb.sql("select * from arrow")


ENGINES: dict[str, Engine] = {
    "polars": lambda frame: frame,
    "lazy": lambda frame: frame.lazy(),
    "pandas": lambda frame: frame.to_pandas(),
    "arrow": lambda frame: frame.to_arrow(),
    "duckdb": _duckdb,
}

engines = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES.keys())


def people(shared: int = 3) -> pl.DataFrame:
    """Ten training people with three rows each, ten test people with two, of whom some are in training too."""
    train = [(f"p{who}", who * 10 + row, "train") for who in range(10) for row in range(3)]
    test = [
        (f"p{who if who < shared else who + 10}", 500 + who * 10 + row, "test") for who in range(10) for row in (0, 1)
    ]
    return pl.DataFrame([*train, *test], schema=["person", "value", "part"], orient="row")


def as_text(result: weigh.CheckResult) -> str:
    return json.dumps(result.as_dict(), default=str)


# Exact duplicates


@engines
def test_twins_are_counted_alike_by_every_engine(engine: Engine) -> None:
    half = {"x": [1.0, None, float("nan"), -0.0, 2.5], "c": ["a", "b", None, "a", "z"]}
    other = {"x": [1.0, float("nan"), None, 0.0, 2.5], "c": ["a", "b", None, "a", "y"]}
    rows = {name: [*half[name], *other[name]] for name in half}
    frame = pl.DataFrame({**rows, "part": ["train"] * 5 + ["test"] * 5})
    found = weigh.exact_duplicates(engine(frame), "part")
    assert found.figure == weigh.Figure.exact("share of test rows with a twin in train", 0.8)
    assert found.cost == {"rows": 10, "distinct rows": 6}
    assert [(row["in train"], row["in test"], row["c"]) for row in found.evidence] == [
        (1, 1, "a"),
        (1, 1, "a"),
        (1, 1, "b"),
        (1, 1, None),
    ]


@engines
def test_categories_decimals_dates_and_zones_are_compared_by_value(engine: Engine) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    frame = pl.DataFrame(
        {
            "c": pl.Series(["a", "b", "a", "b"], dtype=pl.Categorical),
            "d": pl.Series(["1.00", "2.50", "1.0", "2.5"]).cast(pl.Decimal(10, 2)),
            "t": [noon, noon, noon.astimezone(timezone(timedelta(hours=2))), noon + timedelta(hours=1)],
            "day": [date(2026, 1, 1)] * 4,
            "part": pl.Series(["train", "train", "test", "test"], dtype=pl.Categorical),
        }
    )
    found = weigh.exact_duplicates(engine(frame), "part")
    assert (found.figure.value, len(found.evidence)) == (0.5, 1)


def test_the_threshold_itself_is_no_fault() -> None:
    frame = pl.DataFrame({"x": [0, *range(100)], "part": ["train"] + ["test"] * 100})
    assert weigh.exact_duplicates(frame, "part").finding == "no"
    assert weigh.exact_duplicates(frame, "part", threshold=0.0099).finding == "yes"


def test_only_the_keys_are_compared_and_other_parts_do_not_count() -> None:
    frame = pl.DataFrame({"id": [1, 2, 1, 2], "x": [1, 2, 3, 4], "part": ["train", "validation", "test", "test"]})
    assert weigh.exact_duplicates(frame, "part").figure.value == 0
    assert weigh.exact_duplicates(frame, "part", keys=["id"]).figure.value == 0.5
    assert weigh.exact_duplicates(frame, "part", keys=["id"], train="validation").figure.value == 0.5


def test_agrees_with_a_second_implementation() -> None:
    draw = random.Random(0)
    for _ in range(20):
        rows = [(draw.randint(0, 30), draw.choice("ab"), draw.choice(["train", "test"])) for _ in range(100)]
        learnt = {row[:2] for row in rows if row[2] == "train"}
        seen = [row[:2] for row in rows if row[2] == "test"]
        found = weigh.exact_duplicates(pl.DataFrame(rows, schema=["n", "c", "part"], orient="row"), "part")
        assert found.figure.value == sum(row in learnt for row in seen) / len(seen)


@pytest.mark.parametrize("marks", [(0, 1), (False, True), (1.0, 2.0)])
@engines
def test_parts_may_be_numbers_or_booleans(engine: Engine, marks: tuple[Any, Any]) -> None:
    frame = engine(pl.DataFrame({"x": [1, 2, 1], "part": [marks[0], marks[0], marks[1]]}))
    for train, test in ((str(marks[0]), str(marks[1])), (str(marks[0]).lower(), str(marks[1]).lower())):
        assert weigh.exact_duplicates(frame, "part", train=train, test=test).figure.value == 1


# Groups


@engines
def test_the_share_of_test_rows_of_people_in_training(engine: Engine) -> None:
    found = weigh.group_overlap(engine(people(3)), "part", "person")
    assert (found.finding, found.figure.value) == ("yes", 0.3)
    assert [row["person"] for row in found.evidence] == ["p0", "p1", "p2"]
    assert found.cost == {"rows": 50, "groups": 17}
    assert weigh.group_overlap(engine(people(0)), "part", "person").finding == "no"


@engines
def test_rows_of_nobody_are_left_out_and_said(engine: Engine) -> None:
    frame = pl.DataFrame({"who": [1.0, None, None, 2.0], "part": ["train", "train", "test", "test"]})
    found = weigh.group_overlap(engine(frame), "part", "who")
    assert (found.finding, found.figure.value) == ("no", 0)
    assert found.notes == ("2 rows without who are left out",)


def test_agrees_with_scikit_learns_own_groups() -> None:
    draw = np.random.default_rng(0)
    who = draw.integers(0, 40, 300)
    for splitter, expected in ((GroupKFold(5), "no"), (KFold(5, shuffle=True, random_state=0), "yes")):
        _, test = next(iter(splitter.split(who, who, who)))
        parts = np.where(np.isin(np.arange(300), test), "test", "train")
        assert weigh.group_overlap(pl.DataFrame({"who": who, "part": parts}), "part", "who").finding == expected


# Time


def dated(train: list[Any], test: list[Any]) -> pl.DataFrame:
    return pl.DataFrame({"when": [*train, *test], "part": ["train"] * len(train) + ["test"] * len(test)})


DAYS = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 21)]


@engines
def test_a_split_in_the_order_of_time_is_silent(engine: Engine) -> None:
    found = weigh.time_overlap(engine(dated(DAYS[:15], DAYS[15:])), "part", "when")
    assert (found.finding, found.figure.value, found.notes) == ("no", 0, ())
    assert found.evidence[0]["train rows after"] == 0


@engines
def test_one_row_out_of_order_counts_once_wherever_it_is(engine: Engine) -> None:
    late = engine(dated([*DAYS[:14], DAYS[19]], DAYS[14:19]))
    early = engine(dated(DAYS[1:15], [DAYS[0], *DAYS[15:]]))
    for table, after, before in ((late, 1, 5), (early, 14, 1)):
        found = weigh.time_overlap(table, "part", "when")
        (row,) = found.evidence
        assert found.figure.value == pytest.approx(1 / (5 if table is late else 6))
        assert row["train rows after"] == after
        assert row["test rows before"] == before


def test_a_reverse_split_is_named() -> None:
    found = weigh.time_overlap(dated(DAYS[5:], DAYS[:5]), "part", "when")
    assert (found.finding, found.figure.value) == ("yes", 1)
    assert "reverse" in found.notes[0]


def test_the_same_time_is_not_later_in_whatever_form_it_is_written() -> None:
    found = weigh.time_overlap(
        dated(["2026-01-01T12:00Z"], ["2026-01-01T14:00+02:00", "2026-01-02T00:00Z"]), "part", "when"
    )
    assert (found.finding, found.evidence[0]["test rows at once"]) == ("no", 1)


@pytest.mark.parametrize(
    "times",
    [
        list(range(20)),
        [float(day) for day in range(20)],
        [day.replace(tzinfo=None) for day in DAYS],
        [day.date() for day in DAYS],
        [day.date().isoformat() for day in DAYS],
        [day.isoformat() for day in DAYS],
    ],
)
@engines
def test_times_of_every_kind(engine: Engine, times: list[Any]) -> None:
    assert weigh.time_overlap(engine(dated(times[:15], times[15:])), "part", "when").figure.value == 0
    assert weigh.time_overlap(engine(dated(times[::2], times[1::2])), "part", "when").figure.value == 0.9


def test_the_fewest_rows_are_the_fewest_of_all_cuts() -> None:
    draw = random.Random(1)
    for _ in range(50):
        train, test = ([draw.randint(0, 12) for _ in range(draw.randint(1, 12))] for _ in "ab")
        cuts = [sum(one < cut for one in test) + sum(one > cut for one in train) for cut in range(-1, 14)]
        found = weigh.time_overlap(dated(train, test), "part", "when")
        assert found.figure.value == min(cuts) / len(test)


# Texts

SYLLABLES = "ba ce do fi gu la me no pi ru".split(), "ding lor mar net sol".split()  # noqa: SIM905
WORDS = ["".join(pair) for pair in product(*SYLLABLES)]


def text(draw: random.Random, length: int = 30) -> str:
    return " ".join(draw.choices(WORDS, k=length))


def test_a_changed_word_is_a_near_duplicate_and_another_text_is_none() -> None:
    draw = random.Random(2)
    train = [text(draw) for _ in range(60)]
    planted = [one.replace(one.split()[3], "changed", 1) for one in train[:4]]
    test = [*planted, train[5], train[6].upper(), *(text(draw) for _ in range(44))]
    frame = pl.DataFrame({"said": train + test, "part": ["train"] * 60 + ["test"] * 50})
    found = weigh.near_duplicates(frame, "part", "said")
    assert found.figure.value == 6 / 50
    assert len(found.evidence) == 6
    assert weigh.near_duplicates(frame[60 - 40 :].filter(pl.col("said") != train[5]), "part", "said").finding == "no"


def test_what_is_found_is_true_and_nearly_all_is_found() -> None:
    draw = random.Random(3)
    train = [text(draw, 12) for _ in range(150)]
    test = []
    for one in train:
        words = one.split()
        for place in draw.sample(range(12), draw.randint(0, 4)):
            words[place] = "x" * draw.randint(2, 9)
        test.append(" ".join(words))
    sets = {one: shingles(one) for one in {*train, *test}}
    alike = {
        (place, other): len(sets[one] & sets[two]) / len(sets[one] | sets[two])
        for place, one in enumerate(test)
        for other, two in enumerate(train)
    }
    true = {place for (place, _), similarity in alike.items() if similarity >= 0.6}
    found, tried, given_up = matches(train, signatures(train), test, signatures(test), 0.6)
    assert all(alike[place, other] == similarity >= 0.6 for place, (other, similarity) in found.items())
    assert set(found) <= true and len(found) >= 0.97 * len(true) > 50
    assert tried < 0.2 * len(alike) and not given_up


def test_signatures_depend_on_the_text_alone() -> None:
    draw = random.Random(4)
    texts = ["", " ", "a", "naïve café", "x" * 30_000, *(text(draw) for _ in range(20))]
    whole = signatures(texts)
    assert whole.shape == (25, PERMUTATIONS) and whole.dtype == np.uint32
    assert (np.concatenate([signatures(texts[:7]), signatures(texts[7:])]) == whole).all()
    assert signatures([]).shape == (0, PERMUTATIONS)
    assert (whole[0] == whole[1]).all()


def test_signatures_estimate_the_jaccard_similarity() -> None:
    draw = random.Random(5)
    errors = []
    for _ in range(100):
        words = text(draw, 60).split()
        cut = draw.randint(5, 55)
        one, two = " ".join(words[:cut]), " ".join(words[cut // 2 :])
        true = len(shingles(one) & shingles(two)) / len(shingles(one) | shingles(two))
        errors.append(float((np.equal(*signatures([one, two]))).mean()) - true)
    assert abs(np.mean(errors)) < 0.01 and np.std(errors) < 0.05


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8, 0.95, 1])
def test_bands_promise_their_recall_with_the_longest_rows(similarity: float) -> None:
    b, r = bands(similarity)
    assert b * r <= PERMUTATIONS and recall(similarity, b, r) >= 0.99
    assert r == PERMUTATIONS or recall(similarity, PERMUTATIONS // (r + 1), r + 1) < 0.99


def test_a_thousand_texts_of_one_template_are_not_compared_pair_by_pair() -> None:
    draw = random.Random(6)
    letter = text(draw, 60)
    half = [f"{letter} {text(draw, 25)}" for _ in range(600)]
    train, test = half[:300], half[300:]
    found, tried, given_up = matches(train, signatures(train), test, signatures(test), 0.8)
    assert tried <= 50 * len(test) < len(train) * len(test)
    assert len(found) + given_up <= len(test)


# Rows of numbers


def digits(planted: int, noise: float = 0.1) -> pl.DataFrame:
    x = load_digits().data
    parts = np.where(np.arange(len(x)) < 1200, "train", "test")
    draw = np.random.default_rng(0)
    x = x.copy()
    x[1200 : 1200 + planted] = x[:planted] + draw.normal(0, noise, (planted, 64))
    return pl.DataFrame({**{f"p{pixel:02}": x[:, pixel] for pixel in range(64)}, "part": parts})


PIXELS = [f"p{pixel:02}" for pixel in range(64)]


def test_noisy_copies_of_images_are_found_and_clean_images_are_not() -> None:
    found = weigh.near_rows(digits(30), "part", PIXELS, same_unit=True)
    assert (found.finding, found.figure.value) == ("yes", pytest.approx(30 / 597, abs=1e-9))
    assert {row["test row"] - row["train row"] for row in found.evidence} == {1200}
    clean = weigh.near_rows(digits(0), "part", PIXELS, same_unit=True)
    assert (clean.finding, clean.figure.value) == ("no", 0)


def test_a_sample_of_rows_has_an_interval() -> None:
    found = weigh.near_rows(digits(300), "part", PIXELS, same_unit=True, sample=100)
    assert found.figure.low < 300 / 597 < found.figure.high
    assert found.cost["distances"] == 200 * 1200


def test_twins_in_training_do_not_hide_twins_in_the_test_set() -> None:
    draw = np.random.default_rng(1)
    x = draw.normal(size=(400, 5))
    values = np.concatenate([x, x[:100], x[200:220], draw.normal(size=(180, 5))])
    frame = pl.DataFrame(values, schema=list("abcde")).with_columns(part=pl.Series(["train"] * 500 + ["test"] * 200))
    assert weigh.near_rows(frame, "part", list("abcde")).figure.value == pytest.approx(0.1, abs=0.006)


@engines
def test_near_rows_are_the_same_in_every_engine(engine: Engine) -> None:
    frame = digits(20)[1000:1400]
    assert as_text(weigh.near_rows(engine(frame), "part", PIXELS, same_unit=True)).replace(
        f'"{type(engine(frame)).__module__}', ""
    ) == as_text(weigh.near_rows(frame, "part", PIXELS, same_unit=True))


# What a leak is worth


def patients(leak: bool, rows: int = 6, count: int = 40) -> pl.DataFrame:
    """Patients with a level of their own, which a feature gives away if there is a leak."""
    draw = np.random.default_rng(2)
    who = np.repeat(np.arange(count), rows)
    level = draw.normal(0, 1, count)[who] if leak else draw.normal(0, 1, len(who))
    mark = draw.normal(0, 1, count)[who] if leak else draw.normal(0, 1, len(who))
    return pl.DataFrame({"who": who, "mark": mark, "y": level + draw.normal(0, 0.1, len(who))})


def test_a_leak_by_group_costs_and_no_leak_costs_nothing() -> None:
    model = KNeighborsRegressor(1)
    found = weigh.leak_cost(patients(True), "y", model, r2_score, group="who")
    assert found.finding == "yes" and found.figure.low > 0.5
    assert found.cost == {"rows judged": 240, "models fitted": 10}
    silent = weigh.leak_cost(patients(False), "y", KNeighborsRegressor(1), r2_score, group="who")
    assert silent.finding != "yes" and silent.figure.low < 0 < silent.figure.high


def test_the_closed_score_is_scikit_learns() -> None:
    frame = patients(True)
    x, y, who = frame.select("mark").to_numpy(), frame["y"].to_numpy(), frame["who"].to_numpy()
    expected = cross_val_predict(KNeighborsRegressor(3), x, y, groups=who, cv=GroupKFold(5))
    found = weigh.leak_cost(frame, "y", KNeighborsRegressor(3), r2_score, group="who")
    assert found.evidence[1]["score"] == pytest.approx(r2_score(y, expected), abs=1e-12)


def test_a_leak_by_time_costs_an_error_where_lower_is_better() -> None:
    draw = np.random.default_rng(3)
    walk = draw.normal(size=400).cumsum()
    frame = pl.DataFrame({"day": [DAYS[0] + timedelta(days=day) for day in range(400)], "x": range(400), "y": walk})
    for table in (frame, frame.sample(fraction=1, shuffle=True, seed=1)):
        found = weigh.leak_cost(table, "y", KNeighborsRegressor(2), mean_absolute_error, time="day", better="lower")
        assert found.finding == "yes" and found.figure.name == "mean absolute error that the leak adds"
        assert found.evidence[0]["score"] < found.evidence[1]["score"]


def test_classes_and_stratified_groups() -> None:
    frame = patients(True).with_columns(kind=pl.when(pl.col("y") > 0).then(pl.lit("ill")).otherwise(pl.lit("well")))
    model = LogisticRegression()
    found = weigh.leak_cost(frame.drop("y"), "kind", model, accuracy_score, group="who", stratified=True)
    assert found.figure.name == "accuracy that the leak adds" and found.finding in ("no", "undecided")


def test_ids_that_were_exchanged_with_the_same_seed_are_not_exchanged_back() -> None:
    frame = patients(True)
    exchanged = np.random.default_rng(0).permutation(frame["who"].to_numpy())
    model = KNeighborsRegressor(1)
    found = weigh.leak_cost(frame.with_columns(who=pl.Series(exchanged)), "y", model, r2_score, group="who", seed=0)
    assert abs(found.figure.value) < 0.2 and found.finding != "yes"


def test_few_groups_leave_the_question_open() -> None:
    found = weigh.leak_cost(patients(True, count=8), "y", KNeighborsRegressor(1), r2_score, group="who")
    assert found.finding == "undecided" and "too few" in found.notes[0]
    with pytest.raises(InvalidTable, match="has 4 values; 5 folds need 5"):
        weigh.leak_cost(patients(True, count=4), "y", KNeighborsRegressor(1), r2_score, group="who")
    with pytest.raises(ValueError, match="group or time"):
        weigh.leak_cost(patients(True), "y", KNeighborsRegressor(1), r2_score)


# Bad input


@pytest.mark.parametrize(
    ("table", "asked", "said"),
    [
        (people(), {"split": "prt"}, "no column 'prt'; there are 'part'"),
        (people(), {"split": "part", "group": "persn"}, "no column 'persn'"),
        (people(), {"split": "part", "test": "tset"}, "no row is in the part 'tset'"),
        (people(), {"split": "part", "group": "part"}, "says the part"),
        (people(), {"split": "part", "train": "test"}, "the part 'test' is for training and for testing"),
        (people().rename({"person": "__train"}), {"split": "part"}, "column '__train' has the name of a mark"),
        (people(), {"split": "part", "time": "person"}, "is no time: Invalid isoformat"),
        (people(), {"split": "part", "numbers": ["person"]}, "numbers are needed"),
        (people()[:0], {"split": "part"}, "no row is in the part 'train'"),
        (people()[:1], {"split": "part"}, "no row is in the part 'test'"),
        (people().select("part"), {"split": "part"}, "nothing to compare"),
        (dated(["2026-01-01T00:00Z"], ["2026-01-02T00:00"]), {"split": "part", "time": "when"}, "with a zone"),
        (dated([None], [None]), {"split": "part", "time": "when"}, "no row is in the part"),
        (dated(["a", None], ["b"]), {"split": "part", "text": "when"}, "row 2 of column 'when' is missing"),
        (dated([1, 2, 3], [4]), {"split": "part", "numbers": ["when"]}, "at least 20 are needed"),
        ({"a": 1}, {"split": "part"}, "is no table"),
    ],
)
def test_bad_tables_are_refused_in_one_line(table: Any, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidTable) as refused:
        weigh.check_splits(table, asked.pop("split"), **asked)
    assert said in str(refused.value) and "\n" not in str(refused.value)


# The command


def everything(path: Path, leak: bool) -> Path:
    draw = random.Random(7)
    rows = [(who, day, text(draw), float(draw.random()), float(draw.random())) for day in range(50) for who in "abcd"]
    if not leak:
        rows = [(who + ("" if day < 40 else "'"), day, said, x, y) for who, day, said, x, y in rows]
    frame = pl.DataFrame(rows, schema=["who", "day", "said", "x", "y"], orient="row").with_columns(
        part=pl.when(pl.col("day") < 40).then(pl.lit("train")).otherwise(pl.lit("test"))
    )
    frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
    return path


ASKED = ["--split", "part", "--group", "who", "--time", "day", "--text", "said", "--number", "x", "--number", "y"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_command_on_files(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for leak, code in ((True, 1), (False, 0)):
        path = everything(tmp_path / f"{leak}.{kind}", leak)
        with pytest.raises(SystemExit) as ended:
            main(["check", "splits", str(path), *ASKED, "--json"])
        said = capsys.readouterr()
        assert (ended.value.code or 0, said.err) == (code, "")
        results = json.loads(said.out)["results"]
        assert [one["finding"] for one in results] == ["no", "yes" if leak else "no", "no", "no", "no"]


def test_the_command_prints_for_people(tmp_path: Path) -> None:
    from weigh.cli.group import weigh as group

    done = CliRunner().invoke(group, ["check", "splits", str(everything(tmp_path / "rows.csv", True)), *ASKED])
    for said in ("groups in both parts: yes", "time order: no", "near duplicates: no", "near rows: no"):
        assert said in done.output


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x00", b"a,b\n1\n2,3,4\n", b"PAR1 and nothing more"])
def test_a_bad_file_is_one_line_on_standard_error(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["check", "splits", str(path), "--split", "part"])
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert said.err.startswith("weigh: ") and "rows.csv" in said.err
