"""Logs of training runs: the series that a loop or the Hugging Face Trainer wrote, by the steps they belong to."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weigh.checks.tables import names, read, scan, spelled, subject
from weigh.errors import InvalidTable, NotFound

STATE = "trainer_state.json"
_LARGEST = 1e150  # a larger number counts as this one, so that sums and squares are finite

COLUMNS = {
    "step": ("step", "global_step", "iteration", "iter"),
    "train loss": ("loss", "train_loss", "training_loss"),
    "validation loss": ("eval_loss", "val_loss", "valid_loss", "validation_loss", "validation"),
    "gradient norm": ("grad_norm", "gradient_norm"),
    "update ratio": ("update_ratio", "update_to_weight_ratio", "update_to_weight"),
    "unmoved": ("unmoved", "unmoved_share"),
    "learning rate": ("learning_rate", "lr"),
}
"""Each series, and the names of columns that it is found by, in lower case; signs count as `_`, a leading `train_`
does not count."""


@dataclass(frozen=True)
class Series:
    """The values of one column at the steps that have one.

    Attributes:
        column: Its name in the log.
        steps: Ascending, each once: shape (values,).
        values: As float64, NaN and infinite ones among them: shape (values,).
    """

    column: str
    steps: Any
    values: Any

    def __len__(self) -> int:
        return len(self.values)

    def step(self, place: int) -> int | float:
        """The step of a value."""
        step: int | float = self.steps[place].item()
        return step

    def finite(self) -> "Series":
        """The finite values."""
        import numpy as np

        keep = np.isfinite(self.values)
        return Series(self.column, self.steps[keep], self.values[keep])


@dataclass(frozen=True)
class TrainingLog:
    """The log of one training run.

    Attributes:
        subject: Its path, or the kind of a table in memory.
        series: Those of `COLUMNS` that it has, by name.
        rows: How many rows were read.
        finished: Whether the run has taken all its steps; `None` where the log does not say.
        notes: What was assumed.
    """

    subject: str
    series: Mapping[str, Series]
    rows: int
    finished: bool | None = None
    notes: tuple[str, ...] = ()

    def named(self, name: str) -> Series:
        """A series by name.

        Raises:
            InvalidTable: If the log has no such column, or no value in it.
        """
        if name in self.series:
            return self.series[name]
        known = ", ".join(COLUMNS[name])
        raise InvalidTable(self.subject, f"has no {name}; name its column, or call it one of {known}")


def training_log(source: Any, columns: Mapping[str, str] | None = None) -> TrainingLog:
    """The log of a training run, read from a table or from what the Hugging Face Trainer saves.

    Rows may come in any order, and lack a value where nothing was measured. Of two rows for one step, such as a resumed
    run writes, the later one counts.

    Args:
        source: The path of a CSV, Parquet or Arrow file, of a `trainer_state.json`, or of a directory that has one or
            whose `checkpoint-…` do; or a frame of pandas, Polars, PyArrow or DuckDB; or a log that has been read.
        columns: The column of a series, by the name of the series in `COLUMNS`, where it is called otherwise.

    Raises:
        NotFound: If there is no such file.
        InvalidTable: If it is no log, has no rows, lacks a column that is named, or has text for numbers.
    """
    if isinstance(source, TrainingLog):
        return source
    where, finished, notes = subject(source), None, []
    path = None
    if isinstance(source, str | Path):
        path = _state(Path(source))
        if not path and Path(source).is_dir() and not any(Path(source).glob("*.parquet")):
            raise InvalidTable(where, f"is a directory without {STATE} and without Parquet files; name that of a run")
    if path:
        where = str(path)
        rows, finished = _history(path)
        there = list(dict.fromkeys(key for row in rows for key in row))
        chosen = _choose(there, columns or {}, where)
        arrays = {name: _listed([row.get(key) for row in rows], where, key) for name, key in chosen.items()}
        count = len(rows)
    else:
        chosen = _choose(names(scan(source), source), columns or {}, where)
        table = read(source, chosen.values() or None)
        arrays = {name: _column(table[key], where, key) for name, key in chosen.items()}
        count = len(table)
    steps = arrays.pop("step", None)
    if steps is None:
        notes.append("no column says the step: rows are counted from 1")
    found = {name: _series(chosen[name], steps, values, where) for name, values in arrays.items()}
    series = {name: one for name, one in found.items() if len(one)}
    absent = [name for name in list(COLUMNS)[1:] if name not in series]
    if not series:
        raise InvalidTable(where, f"has no values of {', '.join(absent)}; name the columns")
    if absent:
        notes.append(f"the log lacks {', '.join(absent)}: what takes them is not asked")
    return TrainingLog(where, series, count, finished, tuple(notes))


def _state(path: Path) -> Path | None:
    """The trainer's state that a path stands for: itself, that of the directory, or that of its last checkpoint."""
    if path.suffix.lower() == ".json":
        return path
    if not path.is_dir():
        return None
    numbered = [(int(at.name[11:]), at) for at in path.glob("checkpoint-*") if at.name[11:].isdecimal()]
    nearest = [path, *(at for _, at in sorted(numbered, reverse=True))]
    return next((at / STATE for at in nearest if (at / STATE).is_file()), None)


def _history(path: Path) -> tuple[list[dict[str, Any]], bool | None]:
    """What the Trainer logged, and whether it has taken all its steps."""
    try:
        state = json.loads(path.read_bytes())
    except OSError as error:
        raise NotFound(path, f"cannot be opened: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise InvalidTable(path, "is not JSON; give the trainer_state.json of a run, or a table") from None
    rows = state.get("log_history") if isinstance(state, dict) else None
    if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        raise InvalidTable(path, "has no log_history, which is a list of objects; give the trainer_state.json of a run")
    if not rows:
        raise InvalidTable(path, "has an empty log_history; set logging_steps so that the run logs")
    taken, most = state.get("global_step"), state.get("max_steps")
    counted = isinstance(taken, int) and isinstance(most, int) and most > 0
    return rows, taken >= most if counted else None


def _choose(there: list[str], asked: Mapping[str, str], where: str) -> dict[str, str]:
    """The column of each series: the one that is named, else the first of the names that are known."""
    normal: dict[str, str] = {}
    for name in there:
        plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        normal.setdefault(plain, name)
        normal.setdefault(plain.removeprefix("train_"), name)
    chosen = {name: next((normal[one] for one in known if one in normal), "") for name, known in COLUMNS.items()}
    if not chosen["validation loss"]:
        several = [
            name for plain, name in normal.items() if re.fullmatch(r"(eval|val|valid|validation)_.+_loss", plain)
        ]
        if len(several) > 1 and "validation loss" not in asked:
            raise InvalidTable(where, f"has several validation losses, {', '.join(several[:4])}; name one")
        chosen["validation loss"] = "".join(several[:1])
    for name, column in asked.items():
        if column not in there:
            raise InvalidTable(where, f"has no column {column!r}; there are {', '.join(map(repr, there[:6]))}")
        chosen[name] = column
    return {name: column for name, column in chosen.items() if column}


def _column(column: Any, where: str, name: str) -> tuple[Any, Any]:
    """A column of a table as float64, and which rows have a value: NaN is one, where the engine knows a null too."""
    import narwhals as nw
    import numpy as np

    there = ~column.is_null().to_numpy().astype(bool)
    if not there.any():
        return np.zeros(len(column)), there
    if (told := spelled(column)) is not None:
        return told, there
    if not column.dtype.is_numeric():
        example = column.drop_nulls()[0]
        raise InvalidTable(where, f"column {name!r} is {column.dtype}, such as {example!r}; numbers are needed")
    return np.asarray(column.cast(nw.Float64).to_numpy(), dtype=float), there


def _listed(values: list[Any], where: str, name: str) -> tuple[Any, Any]:
    """The values of one key of the Trainer's history as float64, and which entries have one."""
    import numpy as np

    numbers = np.zeros(len(values))
    for row, value in enumerate(values):
        try:
            if isinstance(value, bool | str):
                raise TypeError
            numbers[row] = 0.0 if value is None else value
        except (TypeError, ValueError, OverflowError):
            said = str(value)[:40]
            raise InvalidTable(
                where, f"entry {row + 1} of log_history: {name!r} is {said!r}; a number is needed"
            ) from None
    return numbers, np.array([value is not None for value in values])


def _series(column: str, steps: tuple[Any, Any] | None, values: tuple[Any, Any], where: str) -> Series:
    """The values that are there, in the order of their steps."""
    import numpy as np

    numbers, there = values
    if steps is None:
        at = np.arange(1, len(numbers) + 1)[there]
    else:
        unknown = np.flatnonzero(there & ~(steps[1] & np.isfinite(steps[0])))
        if len(unknown):
            raise InvalidTable(where, f"row {unknown[0] + 1} has a {column!r} and no step; fill or drop it")
        at = steps[0][there]
        at = at.astype(np.int64) if (at == np.floor(at)).all() and (abs(at) < 2**53).all() else at
    order = np.argsort(at, kind="stable")
    at, numbers = at[order], numbers[there][order]
    numbers = np.where(np.isfinite(numbers), np.clip(numbers, -_LARGEST, _LARGEST), numbers)
    last = np.append(at[1:] != at[:-1], True)[: len(at)]
    return Series(column, at[last], numbers[last])
