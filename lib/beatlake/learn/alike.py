"""Rows of the two sides that are made of one another: by their numbers, whatever their names say.

Only columns of many values say which recording a row is, and only several of them together; a table
without such columns is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from beatlake.learn.engine import one
from beatlake.learn.splits import FITTING, Rung
from beatlake.learn.task.features import Feature
from beatlake.sql import quoted, text

if TYPE_CHECKING:
    import duckdb

Array: TypeAlias = npt.NDArray[np.float64]

#: Rows agree by chance in fewer features, or in ones of fewer values.
_COLUMNS, _VALUES = 3, 100
#: Test rows that are looked at, and training rows among which their parents are sought: the first
#: in the order of the hash.
_TEST, _TRAINING = 2_000, 300_000
#: Parents are sought among so many of the nearest training rows.
_NEAREST = 20
#: How much longer than straight the way over a row may be: numbers are rounded.
_STRAIGHT = 1e-6


@dataclass(frozen=True)
class Share:
    """Test rows of which something was found, and of how many."""

    found: int
    of: int


def columns(connection: duckdb.DuckDBPyConnection, features: Sequence[Feature]) -> list[str]:
    """The prepared columns that say which recording a row is, as SQL; none where they are few."""
    given = [quoted(f"f_{f.name}") for f in features if f.reads == "number"]
    if not given:
        return []
    counted = one(
        connection, f"SELECT {', '.join(f'count(DISTINCT {name})' for name in given)} FROM prepared"
    )
    numbers = [name for name, n in zip(given, counted, strict=True) if n >= _VALUES]
    return numbers if len(numbers) >= _COLUMNS else []


def images(features: Sequence[Feature]) -> list[str]:
    """The prepared columns of images, each of which says which recording a row is."""
    return [quoted(f"f_{f.name}") for f in features if f.reads == "image"]


def repeated(connection: duckdb.DuckDBPyConnection, rung: Rung, columns: Sequence[str]) -> Share:
    """Test rows all of whose values in some columns stand in a training row."""
    sound = f"struct_pack({', '.join(f'c{i} := {name}' for i, name in enumerate(columns))})"
    rows = f"SELECT {sound} AS sound, side FROM prepared JOIN {rung.table} USING (row_id)"
    (same,) = one(
        connection,
        f"SELECT count(*) FROM ({rows}) WHERE side = 'test' AND sound IN"
        f" (SELECT sound FROM ({rows}) WHERE side IN ({_fitting()}))",
    )
    return Share(int(same), rung.counts["test"])


def between(connection: duckdb.DuckDBPyConnection, rung: Rung, numbers: Sequence[str]) -> Share:
    """Test rows that lie on a straight line between two training rows, as those of SMOTE do.

    In three columns or more, rows of the world do not. A row that repeats one of the two is not
    counted. Of large tables some rows are looked at.
    """
    from sklearn.neighbors import NearestNeighbors

    training = _numbers(connection, rung, numbers, _fitting(), _TRAINING)
    test = _numbers(connection, rung, numbers, "'test'", _TEST)
    if len(training) < 2 or not len(test):
        return Share(0, len(test))
    spread = training.std(axis=0)
    spread[spread == 0] = 1.0
    training, test = training / spread, test / spread
    k = min(_NEAREST, len(training))
    nearest = NearestNeighbors(n_neighbors=k).fit(training).kneighbors(test)[1]
    first, second = np.triu_indices(k, 1)
    found = 0
    for row, places in zip(test, nearest, strict=True):
        parents = training[places]
        # A whole is straight where its two parts add up to it.
        to = np.linalg.norm(parents - row, axis=1)
        whole = np.linalg.norm(parents[first] - parents[second], axis=1)
        apart = (to[first] > 0) & (to[second] > 0)
        straight = to[first] + to[second] - whole <= _STRAIGHT * whole
        found += bool((apart & straight).any())
    return Share(found, len(test))


def _numbers(
    connection: duckdb.DuckDBPyConnection,
    rung: Rung,
    numbers: Sequence[str],
    sides: str,
    most: int,
) -> Array:
    """Rows of some sides that lack none of the numbers."""
    known = " AND ".join(f"{name} IS NOT NULL" for name in numbers)
    found = connection.sql(
        f"SELECT {', '.join(f'{name}::DOUBLE AS c{i}' for i, name in enumerate(numbers))}"
        f" FROM prepared JOIN {rung.table} USING (row_id) WHERE side IN ({sides}) AND {known}"
        f" ORDER BY md5(row_id), row_id LIMIT {most}"
    ).fetchnumpy()
    return np.column_stack([np.asarray(found[f"c{i}"]) for i in range(len(numbers))])


def _fitting() -> str:
    return ", ".join(map(text, FITTING))
