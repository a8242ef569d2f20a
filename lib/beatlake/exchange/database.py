"""The DuckDB of a worker, in which tasks compute."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache

import duckdb
import pyarrow as pa

from beatlake.environment import total_memory_mb
from beatlake.exchange.stored import Stored
from beatlake.sql import SEALED

#: DuckDB puts aside on disk what passes this, in MB; its tasks run side by side.
_MEMORY_MB = 2_000
#: A task that does all of a query may hold this share of its machine's memory, if that is more: few
#: of them run side by side, and what is put aside is compressed, written and read again.
_SHARE_ALONE = 1 / 8
#: So much is computed ahead while a piece is written.
_BUFFER = "256MB"


def use_cores(number: int, *, alone: bool = False) -> None:
    """Have queries from now on use so many cores, and the memory of a task that is alone or not."""
    memory = max(_MEMORY_MB, int(total_memory_mb() * _SHARE_ALONE)) if alone else _MEMORY_MB
    _database().execute(f"SET threads = {number}; SET memory_limit = '{memory}MB'")


@contextmanager
def views_of(sources: Mapping[str, pa.Table | Stored]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in which the sources are views."""
    views = _database().cursor()
    try:
        views.execute(f"SET TimeZone = 'UTC'; SET streaming_buffer_size = '{_BUFFER}'")
        for name, source in sources.items():
            if isinstance(source, pa.Table):
                views.register(name, source)
            elif not source.files:
                views.register(name, source.schema.empty_table())
            else:
                views.execute(f"CREATE TEMP VIEW {name} AS {source.sql()}")
        yield views
    finally:
        views.close()


def of_each_row(rows: pa.Table, expression: str) -> pa.ChunkedArray:
    """The value of an SQL expression for each row, in the order of the rows.

    Which queries do not keep that are computed by several cores.
    """
    with _in_order().cursor() as views:
        views.register("rows", rows)
        return views.sql(f"SELECT {expression} FROM rows").to_arrow_table().column(0)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """The worker's database, which holds nothing but views of a task."""
    folder = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or tempfile.gettempdir()
    return duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": f"{_MEMORY_MB}MB",
            # No query depends on the order of rows.
            "preserve_insertion_order": False,
            "temp_directory": os.path.join(folder, f"duckdb-{os.getpid()}"),
            **SEALED,
        },
    )


@cache
def _in_order() -> duckdb.DuckDBPyConnection:
    """The worker's other database, whose answers follow the order of what they are computed of."""
    return duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "preserve_insertion_order": True,
            **SEALED,
        },
    )
