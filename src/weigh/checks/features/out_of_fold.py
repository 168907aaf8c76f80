"""Out-of-fold predictions: what columns tell of an answer, by models judged on rows that they were not fitted on."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from weigh.checks.features.ranks import Column
from weigh.checks.results import Figure

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

Task = Literal["classes", "number"]

_FOLDS = 5
_FEWEST_PER_CLASS = 10
_FEWEST_ROWS = 40
_RESAMPLES = 200
_MOST_STRATIFIED = 1000
_MOST_CELLS = 4_000_000


@dataclass(frozen=True, eq=False)
class Problem:
    """A table with an answer, in folds.

    Attributes:
        where: What the table is called in messages.
        columns: The columns that a model takes, by name.
        answer: The answer of each row: the number of its class, or a number; shape (rows,).
        classes: The classes; none where the answer is a number.
        units: The number of the unit to which a row belongs, and which is drawn as one: its group, or itself.
        folds: The fold of each row.
        places: Where in the table each row stands.
        seed: Of folds, encodings, models and resamples.
        notes: What was left out of the table.
    """

    where: str
    columns: dict[str, Column]
    answer: "Floats"
    classes: tuple[Any, ...]
    units: "Places"
    folds: "Places"
    places: "Places"
    seed: int
    notes: tuple[str, ...] = ()

    @property
    def score_name(self) -> str:
        """AUC, the mean of each class against the rest where there are more than two; R² where it is a number."""
        return "AUC" if self.classes else "R²"

    @property
    def enough(self) -> bool:
        """Whether there are rows enough for an interval."""
        import numpy as np

        if not self.classes:
            return len(np.unique(self.units)) >= _FEWEST_ROWS
        return all(len(np.unique(self.units[self.answer == each])) >= _FEWEST_PER_CLASS for each in self._labels)

    @property
    def fold_count(self) -> int:
        """How many folds there are, and so models for a prediction."""
        return int(self.folds.max()) + 1

    def alone(self, column: Column) -> "Floats":
        """What a shallow tree says of each row from one column: shape (rows, classes), or (rows, 1) of a number."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        make = DecisionTreeClassifier if self.classes else DecisionTreeRegressor
        tree = make(max_depth=4, min_samples_leaf=max(5, len(self.answer) // 200), random_state=self.seed)
        values = column.ranks[:, None]
        return self.out_of_fold(lambda fold: (self.fitted(tree, values, [0] if column.category else [], fold), values))

    def together(self, names: Sequence[str]) -> "Floats":
        """What boosted trees say from some columns: shape (rows, classes). Of none, the share of each class."""
        if not names:
            return self._constant()
        values = self.matrix(names)
        return self.out_of_fold(lambda fold: (self.boosted(names, values, fold), values))

    def out_of_fold(self, model_and_values: Any) -> "Floats":
        """For each fold, what a model says of its rows; given a fold, the function returns the model and its input."""
        said = self._constant()
        for fold in range(self.fold_count):
            model, values = model_and_values(fold)
            said[self.folds == fold] = self.predicted(model, values[self.folds == fold])
        return said

    def matrix(self, names: Sequence[str]) -> "Floats":
        """Columns as ranks: shape (rows, columns)."""
        import numpy as np

        return np.column_stack([self.columns[name].ranks for name in names])

    def boosted(self, names: Sequence[str], values: "Floats", fold: int) -> Any:
        """Boosted trees, which take missing values as they are, fitted on all folds but one."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        make = HistGradientBoostingClassifier if self.classes else HistGradientBoostingRegressor
        booster = make(learning_rate=0.2, max_iter=40, max_leaf_nodes=6, early_stopping=False, random_state=self.seed)
        return self.fitted(booster, values, [i for i, name in enumerate(names) if self.columns[name].category], fold)

    def fitted(self, model: Any, values: "Floats", categories: list[int], fold: int) -> Any:
        """A model fitted on all folds but one, on encodings of the categories that are cross-fitted inside them."""
        from sklearn.base import clone
        from sklearn.compose import ColumnTransformer
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import TargetEncoder

        train, model = self.folds != fold, clone(model)
        if categories:
            kind = "continuous" if not self.classes else "binary" if len(self.classes) == 2 else "multiclass"
            encoder = TargetEncoder(target_type=kind, cv=self._splits(train))
            columns = ColumnTransformer([("encoded", encoder, categories)], remainder="passthrough")
            model = Pipeline([("columns", columns), ("model", model)])
        return model.fit(values[train], self.answer[train])

    def predicted(self, model: Any, values: "Floats") -> "Floats":
        """What a model says: shape (rows, classes), or (rows, 1) of a number."""
        import numpy as np

        said = model.predict_proba(values) if self.classes else model.predict(values)[:, None]
        return np.asarray(said, dtype=float)

    def score(self, said: "Floats", counts: "Floats | None" = None) -> "Floats":
        """The mean score of the folds, as `cross_val_score` has it: shape (resamples,).

        Args:
            said: Out of fold.
            counts: How often each row counts in each resample, shape (resamples, rows); once, in one, without it.
        """
        import numpy as np

        counts = np.ones((1, len(self.answer))) if counts is None else counts
        scores = np.array([self._fold_score(said, counts, fold) for fold in range(self.fold_count)])
        there = ~np.isnan(scores)
        return np.where(there.any(0), np.nansum(scores, axis=0) / np.maximum(there.sum(0), 1), np.nan)

    @cached_property
    def resamples(self) -> "Floats":
        """How often each row counts when units are drawn with replacement: shape (resamples, rows)."""
        import numpy as np

        units = int(self.units.max()) + 1
        many = max(50, min(_RESAMPLES, _MOST_CELLS // len(self.answer)))
        drawn = np.random.default_rng(self.seed).integers(units, size=(many, units)) + np.arange(many)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=many * units).reshape(many, units)
        return counts[:, self.units].astype(float)

    def figure(self, name: str, value: float, draws: "Floats", columns: int = 1) -> Figure:
        """A score with its interval, from the standard error of its resamples, for so many columns at once."""
        import numpy as np
        from scipy.stats import norm

        unit = "rows" if len(np.unique(self.units)) == len(self.units) else "groups"
        half = float(norm.ppf(1 - 0.025 / columns) * np.nanstd(draws, ddof=1)) if self.enough else math.nan
        level = f"95 % for {columns} columns at once" if columns > 1 else "95 %"
        return Figure(name, value, value - half, min(value + half, 1.0), f"{level}, bootstrap over {unit}")

    @property
    def few(self) -> tuple[str, ...]:
        """What to say where there are too few rows for an interval."""
        least = f"{_FEWEST_PER_CLASS} of each class" if self.classes else str(_FEWEST_ROWS)
        return () if self.enough else (f"too few rows for an interval, which takes {least}",)

    @property
    def _labels(self) -> range:
        return range(len(self.classes))

    def _fold_score(self, said: "Floats", counts: "Floats", fold: int) -> "Floats":
        import numpy as np

        rows = np.flatnonzero(self.folds == fold)
        truth, said, counts = self.answer[rows], said[rows], counts[:, rows]
        if not self.classes:
            return r_squared(truth, said[:, 0], counts)
        if len(self.classes) == 2:
            return auc(truth == 1, said[:, 1], counts)
        mean: Floats = np.mean([auc(truth == each, said[:, each], counts) for each in self._labels], axis=0)
        return mean

    def _constant(self) -> "Floats":
        import numpy as np

        if not self.classes:
            return np.full((len(self.answer), 1), self.answer.mean())
        shares = np.bincount(self.answer.astype(int), minlength=len(self.classes)) / len(self.answer)
        return np.tile(shares, (len(self.answer), 1))

    def _splits(self, train: "NDArray[np.bool_]") -> "list[tuple[Places, Places]]":
        """Splits of the training rows, by unit, so that no answer of a group goes into the encoding of its rows."""
        import numpy as np

        inner = folds_of(self.answer[train], self.units[train], bool(self.classes), self.seed)
        return [(np.flatnonzero(inner != fold), np.flatnonzero(inner == fold)) for fold in range(inner.max() + 1)]


def folds_of(answer: "Floats", units: "Places", classes: bool, seed: int) -> "Places":
    """The fold of each row: shuffled, a unit in one fold, classes in equal shares."""
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    count = len(np.unique(units))
    single = count == len(units)
    folds = min(_FOLDS, count)
    if classes:
        folds = max(2, min(folds, int(np.unique(answer, return_counts=True)[1].min())))
        # Stratifying by group takes a loop over groups, and many groups are alike in every fold without it.
        by_group = StratifiedGroupKFold if count <= _MOST_STRATIFIED else GroupKFold
        splitter: Any = (StratifiedKFold if single else by_group)(folds, shuffle=True, random_state=seed)
    else:
        splitter = (KFold if single else GroupKFold)(folds, shuffle=True, random_state=seed)
    fold_of = np.zeros(len(answer), dtype=np.intp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a class that is rarer than folds, once groups are held out
        for number, (_, test) in enumerate(splitter.split(answer[:, None], answer, None if single else units)):
            fold_of[test] = number
    return fold_of


def auc(positive: "NDArray[np.bool_]", said: "Floats", counts: "Floats") -> "Floats":
    """The area under the ROC curve for rows that count so often, ties counted half: shape (resamples,).

    It is `sklearn.metrics.roc_auc_score` with `sample_weight`, for many sets of weights after one sort.
    """
    import numpy as np

    order = np.argsort(said, kind="stable")
    starts = np.flatnonzero(np.diff(said[order], prepend=-np.inf))
    counts, positive = counts[:, order], positive[order]
    hits = np.add.reduceat(counts * positive, starts, axis=1)
    misses = np.add.reduceat(counts * ~positive, starts, axis=1)
    below = np.cumsum(misses, axis=1) - misses / 2
    pairs = hits.sum(1) * misses.sum(1)
    return np.where(pairs > 0, (hits * below).sum(1) / np.where(pairs > 0, pairs, 1), np.nan)


def r_squared(truth: "Floats", said: "Floats", counts: "Floats") -> "Floats":
    """The share of the variance that a prediction explains, for rows that count so often: shape (resamples,)."""
    import numpy as np

    mean = (counts @ truth) / np.maximum(counts.sum(1), 1)
    spread = (counts * (truth - mean[:, None]) ** 2).sum(1)
    missed = (counts * (truth - said) ** 2).sum(1)
    return np.where(spread > 0, 1 - missed / np.where(spread > 0, spread, 1), np.nan)
