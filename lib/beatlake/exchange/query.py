"""Queries and how one is answered in DuckDB."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TypeVar

import duckdb
import pyarrow as pa

from beatlake.quality.counting import Count, Tally, added_up

#: DuckDB puts aside on disk what passes this; its tasks run side by side.
_MEMORY_LIMIT = "2GB"
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Stored:
    """A version of a table: its columns, its data files and how many rows they hold."""

    schema: pa.Schema
    files: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Scanned:
    """A source of which every task sees one data file."""

    table: Stored


@dataclass(frozen=True)
class Whole:
    """A source of which every task sees all rows: for small tables."""

    table: Stored


@dataclass(frozen=True)
class Dealt:
    """A source whose rows go to the bucket of their key: equal integers or texts meet."""

    rows: Query
    by: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """SQL over sources, which are its views by name.

    Args:
        sql: a SELECT.
        sources: what it reads, by the name of the view.
        counts: what is counted of its rows, in the same pass.
        keep: a condition on the rows that go on to where the query's rows are used; they go
            without columns whose name begins with an underscore.

    Raises:
        ValueError: a scanned source stands beside another one that is scanned or dealt.
    """

    sql: str
    sources: Mapping[str, Scanned | Whole | Dealt]
    counts: Sequence[Count] = field(default=())
    keep: str | None = None

    def __post_init__(self) -> None:
        """Refuse sources of which a task cannot see matching shares."""
        if self.of_kind(Scanned) and len(self.sources) > 1 + len(self.of_kind(Whole)):
            raise ValueError(f"A scanned source stands beside others: {', '.join(self.sources)}")

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the rows that go on.

        Raises:
            duckdb.Error: the SQL does not fit the sources.
        """
        sources = self.sources.items()
        with views_of({name: _schema(source).empty_table() for name, source in sources}) as views:
            return _going_on(views, views.sql(self.sql).to_arrow_table(), self).schema

    def of_kind(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """Its sources of a kind by name, in their order."""
        return [(name, s) for name, s in self.sources.items() if isinstance(s, kind)]

    @cached_property
    def rows(self) -> int:
        """About how many rows it gives: as many as its largest source."""
        sources = self.sources.values()
        return max(s.rows.rows if isinstance(s, Dealt) else s.table.rows for s in sources)

    def buckets(self, task_values: int) -> int:
        """Into how many buckets its dealt sources go.

        Args:
            task_values: how many values (rows times columns) a task may hold.
        """
        dealt = [source.rows for _, source in self.of_kind(Dealt)]
        values = sum(query.rows * len(query.schema) for query in dealt)
        return -(-values // task_values) or 1

    def is_small(self, values: int) -> bool:
        """Whether no step of it has more than so many values (rows times columns)."""
        dealt = [source.rows for _, source in self.of_kind(Dealt)]
        if not dealt:
            return self.rows * len(self.schema) <= values
        return self.buckets(values) == 1 and all(query.is_small(values) for query in dealt)


def select(table: Stored, *columns: str, where: str | None = None) -> Query:
    """The columns of a table's rows, given as SQL."""
    condition = f" WHERE {where}" if where else ""
    return Query(f"SELECT {', '.join(columns)} FROM stored{condition}", {"stored": Scanned(table)})


def answer(query: Query, shares: Mapping[str, pa.Table | Stored]) -> tuple[pa.Table, list[Tally]]:
    """The rows of a query that go on, and what was counted of them.

    Args:
        query: the query.
        shares: the rows of its scanned or dealt sources, or where they are.
    """
    whole = {name: source.table for name, source in query.of_kind(Whole)}
    with views_of({**shares, **whole}) as views:
        result = views.sql(query.sql).to_arrow_table()
        tallies = _counted(views, result, query.counts)
        return _going_on(views, result, query), added_up(tallies)


def _going_on(views: duckdb.DuckDBPyConnection, result: pa.Table, query: Query) -> pa.Table:
    shown = result.select([name for name in result.column_names if not name.startswith("_")])
    if query.keep is None:
        return shown
    views.register("result", result)
    kept = views.sql(f"SELECT ({query.keep}) IS TRUE AS kept FROM result").to_arrow_table()
    return shown.filter(kept.column(0))


def _counted(
    views: duckdb.DuckDBPyConnection, result: pa.Table, counts: Sequence[Count]
) -> list[Tally]:
    if not counts:
        return []
    views.register("result", result)
    parts = [f"{c.rows}, {c.example or 'NULL'}" for c in counts]
    (found,) = views.execute(f"SELECT {', '.join(parts)} FROM result").fetchall()
    values = zip(counts, found[::2], found[1::2], strict=True)
    return [count.tally(int(rows or 0), example) for count, rows, example in values]


def _schema(source: Scanned | Whole | Dealt) -> pa.Schema:
    return source.rows.schema if isinstance(source, Dealt) else source.table.schema


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """The worker's database, which holds nothing but views of a task."""
    folder = os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or tempfile.gettempdir()
    return duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": os.path.join(folder, f"duckdb-{os.getpid()}"),
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )


@contextmanager
def views_of(sources: Mapping[str, pa.Table | Stored]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection in which the sources are views."""
    views = _database().cursor()
    try:
        views.execute("SET TimeZone = 'UTC'")
        for name, source in sources.items():
            if isinstance(source, pa.Table):
                views.register(name, source)
            elif not source.files:
                views.register(name, source.schema.empty_table())
            else:
                files = ", ".join("'" + file.replace("'", "''") + "'" for file in source.files)
                views.execute(
                    f"CREATE TEMP VIEW {name} AS"
                    f" SELECT * FROM read_parquet([{files}], hive_partitioning = false)"
                )
        yield views
    finally:
        views.close()
