"""Tables in partitions on the workers of a Dask cluster, for checks of more rows than one machine holds."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weigh.checks.tables import rows
from weigh.errors import InvalidTable, Unreachable
from weigh.optional import needed

if TYPE_CHECKING:
    import narwhals as nw

_PATIENCE = "10s"
_AT_ONCE = 5_000


@contextmanager
def partitioned(source: Any, scheduler: str | None) -> Iterator[Any]:
    """A table whose partitions the workers of a cluster read, while the connection lasts; as it is without a scheduler.

    Args:
        source: The path of a CSV or Parquet file, or of a directory of Parquet files, as the workers know it.
        scheduler: The address of a Dask scheduler, such as `tcp://10.0.0.1:8786`.

    Raises:
        Unreachable: If no scheduler answers there.
        InvalidTable: If the source is neither.
    """
    if scheduler is None:
        yield source
        return
    with needed(scheduler):
        import dask.dataframe
        from distributed import Client
    path = Path(source) if isinstance(source, str | Path) else Path()
    is_csv, is_parquet = path.suffix.lower() == ".csv", path.suffix.lower() == ".parquet" or any(path.glob("*.parquet"))
    if not isinstance(source, str | Path) or not (is_csv or is_parquet):
        raise InvalidTable(source, "workers read CSV and Parquet files, or a directory of Parquet files; name one")
    try:
        client = Client(scheduler, timeout=_PATIENCE)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        said = str(error).partition("\n")[0]
        raise Unreachable(scheduler, f"no Dask scheduler answers ({said}); start one with: dask scheduler") from None
    with client, warnings.catch_warnings():
        # Narwhals announces that its support of Dask will move to a package of its own.
        warnings.filterwarnings("ignore", "Dask support is moving", FutureWarning)
        # What pandas takes for missing, such as the text NA, is text to Polars: let it be text to both.
        missing = {"keep_default_na": False, "na_values": [""]}
        read = dask.dataframe
        yield read.read_csv(path, **missing) if is_csv else read.read_parquet(path)


def grouped_sums(frame: "nw.LazyFrame[Any]", keys: list[str], columns: list[str], source: Any) -> "nw.LazyFrame[Any]":
    """The sums of columns over the rows with equal keys, a missing key equal to a missing one.

    They are computed once and kept, for several questions are asked of them. Dask brings equal keys together by a
    shuffle between the workers, where the groups stay, in as many partitions as the rows had. By itself it would gather
    all groups in one.

    Raises:
        InvalidTable: If the table cannot be read.
    """
    import narwhals as nw

    if frame.implementation is nw.Implementation.DASK:
        native = frame.to_native()
        grouped = native.groupby(keys, dropna=False)[columns].sum(split_out=native.npartitions)
        shuffled: nw.LazyFrame[Any] = nw.from_native(grouped.reset_index().persist())
        return shuffled
    return rows(frame.group_by(keys).agg(nw.col(*columns).sum()), source).lazy()


def over_batches(function: Callable[[Sequence[Any]], Any], items: Sequence[Any], table: Any) -> list[Any]:
    """What a function gives for each batch of items: computed by the workers if the table is Dask's, else here."""
    batches = [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
    if not type(table).__module__.startswith("dask"):
        return [function(batch) for batch in batches]
    from distributed import get_client

    client = get_client()
    return list(client.gather(client.map(function, batches)))  # type: ignore[no-untyped-call]
