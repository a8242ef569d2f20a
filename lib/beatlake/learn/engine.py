"""DuckDB on the driver: what prepares rows before a model sees them.

A training table of some millions of rows is read, keyed, split and turned into features in seconds,
spilling to disk where it must, and in one order whatever the number of cores. Spark takes over
where rows meet models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from beatlake.sql import SEALED

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def connected(place: str = ":memory:", **config: str | int) -> duckdb.DuckDBPyConnection:
    """A database, which prints no bar of progress among what a command answers."""
    connection = duckdb.connect(place, config={**SEALED, **config})
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def database(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database that keeps what does not fit into memory in a folder."""
    connection = connected(str(scratch / "rows.duckdb"), temp_directory=str(scratch / "spill"))
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The only row of an answer, fetched to its end: DuckDB holds open what is left."""
    (found,) = connection.execute(query).fetchall()
    return tuple(found)


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of a table."""
    (found,) = one(connection, f"SELECT count(*) FROM {table}")
    return int(found)


def plain(name: str) -> bool:
    """Whether a name can be a column everywhere: letters, digits and underscores.

    >>> plain("tempo_bpm"), plain("a b")
    (True, False)
    """
    return bool(_NAME.fullmatch(name))
