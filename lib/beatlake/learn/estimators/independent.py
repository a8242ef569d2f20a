"""Columns of which none follows from others: what a fit without a penalty can give coefficients to.

The columns of a category add up to 1 where no value is missing, as the intercept does; then no
coefficient of them is determined, and none has a standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from beatlake.learn.estimators.answer import Array, matrix

#: A column follows from others where this share of its variance at most is left without them. Sums
#: over millions of rows are exact to about a thousandth of it.
_FOLLOWS = 1e-9


def independent(path: Path, columns: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a fold without those that follow from later ones and a constant.

    Of columns that determine one another the first is left out: of a category it is the commonest
    value, with which the others are then compared.

    Args:
        path: of a Parquet file.
        columns: names of columns of numbers, in order.
    """
    # The pivots of Gauss's elimination are the shares of variance that are left.
    left = _correlations(path, columns)
    kept = []
    for place in reversed(range(len(columns))):
        pivot = left[place, place]
        if pivot > _FOLLOWS:
            kept.append(columns[place])
            left = left - np.outer(left[:, place], left[place]) / pivot
    return tuple(reversed(kept))


def _correlations(path: Path, columns: tuple[str, ...]) -> Array:
    """Correlations of columns; nought for one that is constant, with itself, too."""
    rows = sum(len(values) for values in _batches(path, columns))
    centre = sum(values.sum(axis=0) for values in _batches(path, columns)) / rows
    products = sum((values - centre).T @ (values - centre) for values in _batches(path, columns))
    spread = np.sqrt(np.diag(products))
    # What is left of a constant is rounding.
    varies = spread > 1e-12 * np.sqrt(rows) * np.abs(centre)
    shares = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    found: Array = products * np.outer(shares, shares)
    return found


def _batches(path: Path, columns: tuple[str, ...]) -> Iterator[Array]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(columns=list(columns)):
        yield matrix(pa.Table.from_batches([batch]), columns)
