"""Whether a test side is like the rows that the claim is about.

A hash deals groups without looking at them, so that the test side differs from all rows by chance
alone: by how much follows from the groups. What makes it differ by more is that rows without an
artist or recording cannot be tested, and are of another kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from beatlake.learn.engine import one
from beatlake.learn.rows import Prepared
from beatlake.learn.splits import DEALT_BY, Rung

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Apart:
    """How far the test side is from all rows, in a share or in standard deviations of the label.

    Args:
        what: the class that differs most, or "the mean".
        test: its share of the test rows, or their mean.
        population: the same of all rows.
        size: the distance: of shares, or of means in standard deviations.
        z: the distance in standard errors of what dealing groups by a hash gives.
    """

    what: str
    test: float
    population: float
    size: float
    z: float


def furthest(
    connection: duckdb.DuckDBPyConnection, rung: Rung, prepared: Prepared, share: float
) -> Apart:
    """The class whose share differs most, or the mean of a number.

    Args:
        connection: holds the prepared rows and the rung's sides.
        rung: one that deals groups, and not days.
        prepared: what is known of the rows.
        share: of groups that go to the test side.
    """
    if not prepared.classes:
        spread = prepared.base_rate["standard deviation"] or 1.0
        return _apart(connection, rung, "the mean", "label::DOUBLE", share, spread)
    found = [
        _apart(connection, rung, name, f"(label = {code})::INTEGER", share, 1.0)
        for code, name in enumerate(prepared.classes)
    ]
    return max(found, key=lambda apart: apart.size)


def _apart(
    connection: duckdb.DuckDBPyConnection,
    rung: Rung,
    what: str,
    value: str,
    share: float,
    spread: float,
) -> Apart:
    group = DEALT_BY[rung.name][1]
    test, population, n, squares = one(
        connection,
        f"WITH rows AS (SELECT {value} AS y, {group} AS key, side FROM prepared"
        f" JOIN {rung.table} USING (row_id)), dealt AS (SELECT y, key, avg(y) OVER () AS mean"
        " FROM rows WHERE key IS NOT NULL), groups AS (SELECT sum(y - mean) AS apart FROM dealt"
        " GROUP BY key) SELECT (SELECT avg(y) FROM rows WHERE side = 'test'),"
        " (SELECT avg(y) FROM rows), (SELECT count(*) FROM rows WHERE side = 'test'),"
        " (SELECT sum(apart * apart) FROM groups)",
    )
    error = (share * (1 - share) * squares) ** 0.5 / n
    distance = abs(test - population)
    # Rows that are dealt and all alike differ from others by no chance.
    z = distance / error if error else float("inf")
    return Apart(what, test, population, distance / spread, z)
