"""A fold: the training and validation rows of a rung as columns of numbers, in a Parquet file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.dealing import share
from beatlake.learn import images
from beatlake.learn.features import FittedFeatures
from beatlake.learn.splits import DEALT_BY, FITTING, Rung
from beatlake.sql import text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Array: TypeAlias = npt.NDArray[Any]

#: Columns of a fold besides the features'.
LABEL, WATCHES, WEIGHT, ROW = "label", "watches", "weight", "row_id"
#: Where rows may be sampled: the hash bucket of their group, which is one of so many.
BUCKET, BUCKETS = "bucket", 1000
#: What they may be sampled by, each value by itself: a slice of the task, or the class.
STRATUM, CLASS = "stratum", "class"
#: Rows of a row group, which is what a task of Spark ML takes, where no row is an image.
GROUP_ROWS = 50_000


@dataclass(frozen=True)
class Fold:
    """What an estimator fits on.

    Args:
        path: Parquet file with ``row_id``, ``label`` (double), ``weight``, ``watches`` (whether
            the row is of the validation side) and the columns of numbers. Its rows, their order
            and its row groups are the same whatever read them.
        columns: names of the latter, in order.
        classes: codes of the task's classes that occur in training, in order: the file's labels
            are places in it. Empty for numbers and clusters.
        rows: how many train.
        watching: how many watch.
        categories: names of the columns of each category: 0 or 1, and of a row's one is 1 at most.
        image: rows and columns of the image that the only column is; None where all are numbers.
    """

    path: Path
    columns: tuple[str, ...]
    classes: tuple[int, ...]
    rows: int
    watching: int
    categories: tuple[tuple[str, ...], ...] = ()
    image: tuple[int, int] | None = None


def table(
    connection: duckdb.DuckDBPyConnection,
    rung: Rung,
    fitted: FittedFeatures,
    sides: tuple[str, ...],
    *,
    buckets: bool = False,
    stratum: str | None = None,
    scratch: Path | None = None,
) -> pa.Table:
    """Rows of some sides with their fitted columns, in the prepared order.

    With ``buckets`` each row has that of its group: what the rung deals by. With ``stratum``, an
    expression, it has that, too. Images lie in a file in ``scratch``.
    """
    bucket = ""
    if buckets:
        group = f"coalesce({DEALT_BY[rung.name][1]}, row_id)"
        bucket = f"floor({share('beatlake', 'sample', group)} * {BUCKETS})::INTEGER AS {BUCKET}, "
    if stratum is not None:
        bucket += f"{stratum} AS {STRATUM}, "
    rows = images.beside(fitted.images) if fitted.images else "prepared"
    found = connection.sql(
        f"SELECT row_id, side, label::DOUBLE AS label, {bucket}{fitted.select()} FROM {rows}"
        f" JOIN {rung.table} USING (row_id) WHERE side IN ({', '.join(map(text, sides))})"
        " ORDER BY md5(row_id), row_id"
    )
    if not fitted.images:
        return found.to_arrow_table()
    assert scratch is not None
    return images.spilled(found, fitted.images, scratch)


def sides_of(watched: bool) -> tuple[str, ...]:
    """The sides of a fold: those that train, and the one that watches where one does."""
    return ("train", "valid") if watched else FITTING


def write(
    rows: pa.Table,
    path: Path,
    *,
    columns: tuple[str, ...],
    watched: bool,
    classes: bool,
    weights: Array | None = None,
    categories: tuple[tuple[str, ...], ...] = (),
    image: tuple[int, int] | None = None,
) -> Fold:
    """Write a fold.

    Args:
        rows: of `table`, or made of them by a resampler.
        path: of the file.
        columns: of numbers, or the image.
        watched: whether rows of the side ``valid`` watch rather than train.
        classes: whether the label is a code of a class.
        weights: of every row; 1 by default.
        categories: of the columns, those that are one category each.
        image: rows and columns of an image.
    """
    import pyarrow as pa

    side = np.asarray(rows.column("side").to_pylist(), dtype=object)
    watches = (side == "valid") if watched else np.zeros(len(side), dtype=bool)
    label = rows.column(LABEL).to_numpy(zero_copy_only=False).astype(np.float64)
    present: tuple[int, ...] = ()
    keep = np.ones(len(side), dtype=bool)
    if classes:
        present = tuple(int(code) for code in np.unique(label[~watches]))
        # A class that training does not know can neither be learnt nor watched.
        keep = np.isin(label, present)
        label = np.searchsorted(np.array(present, dtype=float), label).astype(np.float64)
    made = {
        ROW: rows.column(ROW),
        LABEL: pa.array(label),
        WEIGHT: pa.array(np.ones(len(side)) if weights is None else weights),
        WATCHES: pa.array(watches),
        **{name: rows.column(name) for name in columns},
    }
    made |= {name: rows.column(name) for name in (BUCKET, STRATUM) if name in rows.column_names}
    _write(pa.table(made), keep, path, image)
    training, watching = (int((side & keep).sum()) for side in (~watches, watches))
    return Fold(path, columns, present, training, watching, categories, image)


def _write(rows: pa.Table, keep: Array, path: Path, image: tuple[int, int] | None) -> None:
    """Write the rows to keep, group by group: what readers hold at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = images.rows_together(math.prod(image)) if image else GROUP_ROWS
    with pq.ParquetWriter(path, rows.schema, use_dictionary=image is None) as writer:
        for start in range(0, max(1, len(rows)), size):
            kept = pa.array(keep[start : start + size])
            writer.write_table(rows.slice(start, size).filter(kept))
