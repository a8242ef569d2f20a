"""What a model was fitted on, kept with it as hashes, so that it can be judged again on other rows.

A stored model meets rows that it was fitted on: in the table that it was trained on, and in every
later one. The side that a row is dealt to says little about them, since credits and tables change,
so that the recordings and artists of all rows that may have had a part in the fit are kept: 48 bits
of a hash of each, about 4 bytes on disk. A hash that two keys share costs one row of a few hundred
million, and lets none through.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.learn.engine import one
from beatlake.learn.splits import FITTING, PROMISES, Rung, counted
from beatlake.sql import text

if TYPE_CHECKING:
    import duckdb

FILE = "trained_on.parquet"
_THINGS = ("recording", "artist")


def write(connection: duckdb.DuckDBPyConnection, rung: Rung, folder: Path) -> None:
    """Keep the recordings and artists of the rows of a rung that may train.

    A row without a recording is kept by its own name.
    """
    import pyarrow.parquet as pq

    listed = ", ".join(map(text, FITTING))
    keys = " UNION ALL ".join(_keys(thing) for thing in (*_THINGS, "row"))
    found = connection.sql(
        f"WITH rows AS (SELECT * FROM prepared JOIN {rung.table} USING (row_id)"
        f" WHERE side IN ({listed})) SELECT DISTINCT thing, {_hash()} AS hash FROM ({keys})"
        " ORDER BY thing, hash"
    ).to_arrow_table()
    pq.write_table(
        found,
        folder / FILE,
        use_dictionary=["thing"],
        # Sorted numbers: the steps between them are half as long.
        column_encoding={"hash": "DELTA_BINARY_PACKED"},
        compression="zstd",
    )


def _keys(thing: str) -> str:
    """SQL of what a model may have seen of `rows`, by the row."""
    if thing == "row":
        return "SELECT row_id, 'row' AS thing, row_id AS key FROM rows WHERE len(recordings) = 0"
    return f"SELECT row_id, '{thing}' AS thing, unnest({thing}s) AS key FROM rows"


def _hash() -> str:
    return "('0x' || substr(md5(thing || ':' || key), 1, 12))::BIGINT"


def kept_apart(connection: duckdb.DuckDBPyConnection, rung: Rung, folder: Path) -> Rung:
    """A rung whose test side shares nothing with a model's training that the rung promises.

    Test rows that do are moved to the purged ones, and so is every row that trained itself. What
    the rung does not promise is counted on the rows that stay.

    Args:
        connection: holds the prepared rows and the rung's sides.
        rung: an available one.
        folder: of the model.
    """
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE met AS WITH seen AS (SELECT thing, hash FROM"
        f" read_parquet({text(str(folder / FILE))})), rows AS (SELECT * FROM prepared JOIN"
        f" {rung.table} USING (row_id) WHERE side = 'test')"
        f" SELECT DISTINCT row_id, thing FROM (SELECT row_id, thing, {_hash()} AS hash FROM"
        f" ({' UNION ALL '.join(_keys(thing) for thing in (*_THINGS, 'row'))}))"
        " SEMI JOIN seen USING (thing, hash)"
    )
    kept = ", ".join(text(thing) for thing in (*_THINGS, "row") if _apart(rung, thing))
    connection.execute(
        f"UPDATE {rung.table} SET side = 'purged' WHERE row_id IN"
        f" (SELECT row_id FROM met WHERE thing IN ({kept}))"
    )
    shared = {}
    for thing in rung.shared:
        (shared[thing],) = one(
            connection,
            f"SELECT count(*) FROM met JOIN {rung.table} USING (row_id)"
            f" WHERE thing = {text(thing)} AND side = 'test'",
        )
    counts = counted(connection, rung)
    gone = "" if counts["test"] else "the model was trained on all that this rung would test"
    return replace(rung, unavailable=gone, counts=counts, shared=shared)


def _apart(rung: Rung, thing: str) -> bool:
    return thing == "row" or thing in PROMISES[rung.name]
