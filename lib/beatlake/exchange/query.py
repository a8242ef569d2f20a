"""Queries and how one is answered in DuckDB."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TypeVar
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.buckets import UNCUT, Cut, file_in
from beatlake.environment import total_memory_mb
from beatlake.quality.counting import Count, FlagCount, Tally
from beatlake.sql import SEALED, text, texts

#: DuckDB puts aside on disk what passes this, in MB; its tasks run side by side.
_MEMORY_MB = 2_000
#: A task that does all of a query may hold this share of its machine's memory, if that is more: few
#: of them run side by side, and what is put aside is compressed, written and read again.
_SHARE_ALONE = 1 / 8
#: So much is computed ahead while a piece is written.
_BUFFER = "256MB"
#: An answer comes in pieces of so many rows, so that nobody needs memory for all of them.
_PIECE_ROWS = 200_000
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Stored:
    """A version of a table: its columns, its data files and how many rows they hold.

    Args:
        schema: the columns.
        files: where the data files are.
        rows: how many rows they hold.
        bucket_by: the column by which the files are cut into buckets, if they are.
        cut: how they are.
        where: which of the files' rows, as SQL; all if it is empty.
    """

    schema: pa.Schema
    files: tuple[str, ...]
    rows: int
    bucket_by: str | None = None
    cut: Cut = UNCUT
    where: str = ""

    def as_cut(self, bucket_by: str, cut: Cut) -> Stored:
        """The same, known to be cut in that way if all its files say so."""
        names = {file_in(os.path.basename(file))[1] for file in self.files}
        return replace(self, bucket_by=bucket_by, cut=cut) if names == {cut.name} else self

    def bucket(self, number: int) -> Stored:
        """The part that is in a bucket."""
        wanted = self.cut.file_of(number)
        files = [f for f in self.files if file_in(os.path.basename(f))[0] == wanted]
        key = self.bucket_by
        least, next_least = self.cut.ends(number)
        where = [] if least is None else [f"{key} >= {text(least)}"]
        if next_least is not None:
            where.append(f"{key} < {text(next_least)}")
        if least is None and where:
            # Rows without a key are in the first bucket.
            where = [f"({where[0]} OR {key} IS NULL)"]
        return replace(self, files=tuple(files), where=" AND ".join(where))


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
    """A source whose rows go to the bucket of their key: equal integers or texts meet.

    Where the rows come from tables that are cut by that very column, they are in their buckets
    already and stay where they are: the column must be the table's own, as it is.

    Args:
        rows: the rows.
        by: the columns of their key.
        into: the cut whose buckets they go to, where it matters.
        repeated: columns of which a view ``NAME_repeated`` has the values that several rows have,
            none of them null, and ``_copies``, how many; those of ``by`` must be among them.
    """

    rows: Query
    by: tuple[str, ...]
    into: Cut = UNCUT
    repeated: tuple[str, ...] = ()

    @cached_property
    def cut(self) -> Cut:
        """How its rows are cut as they lie; `UNCUT` where they must be dealt."""
        found = {s.cut if s.by == self.by else UNCUT for _, s in self.rows.of_kind(Dealt)}
        found |= {
            s.table.cut if (s.table.bucket_by,) == self.by else UNCUT
            for _, s in self.rows.of_kind(Scanned)
        }
        return found.pop() if len(found) == 1 else UNCUT


@dataclass(frozen=True)
class Query:
    """SQL over sources, which are its views by name.

    Args:
        sql: a SELECT.
        sources: what it reads, by the name of the view.
        counts: what is counted of its rows, in the same pass.
        keep: a condition on the rows that go on to where the query's rows are used; they go
            without columns whose name begins with an underscore.
        steps: what a task computes of the sources first, one after the other: SELECTs by the name
            of the table that the SQL reads. Each has the task's memory to itself.
        holds: how many values of each row a task must hold at once and can put none of aside on
            disk: those of which exact percentiles are taken in one step.

    Raises:
        ValueError: a scanned source stands beside another one that is scanned or dealt.
    """

    sql: str
    sources: Mapping[str, Scanned | Whole | Dealt]
    counts: Sequence[Count | FlagCount] = field(default=())
    keep: str | None = None
    steps: Mapping[str, str] = field(default_factory=dict)
    holds: int = 0

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
        schemas = {name: _schema(source) for name, source in self.sources.items()}
        for name, source in self.of_kind(Dealt):
            if source.repeated:
                schemas[f"{name}_repeated"] = _schema_of_repeated(source)
        with views_of({name: each.empty_table() for name, each in schemas.items()}) as views:
            return _going_on(views.sql(_select(views, self)).to_arrow_table(), self).schema

    def of_kind(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """Its sources of a kind by name, in their order."""
        return [(name, s) for name, s in self.sources.items() if isinstance(s, kind)]

    @cached_property
    def rows(self) -> int:
        """About how many rows it gives: as many as its largest source."""
        sources = self.sources.values()
        return max(s.rows.rows if isinstance(s, Dealt) else s.table.rows for s in sources)

    @cached_property
    def cut(self) -> Cut:
        """How its dealt sources are cut where they meet: as is asked, or as some lie already.

        Where they lie in several ways, the largest ones stay. `UNCUT` leaves it to the exchange.
        """
        dealt = [source for _, source in self.of_kind(Dealt)]
        asked = [source.into for source in dealt if source.into != UNCUT]
        lying = [(source.rows.rows, source.cut.name, source.cut) for source in dealt]
        cut = [each for each in lying if each[-1] != UNCUT]
        return asked[0] if asked else max(cut)[-1] if cut else UNCUT

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


def answer(
    views: duckdb.DuckDBPyConnection, query: Query, sources: str = ""
) -> Iterator[tuple[pa.Table, list[Tally]]]:
    """The rows of a query that go on, in pieces, each with what was counted of it.

    Args:
        views: has the query's sources as views, unless they are given.
        query: the query.
        sources: a WITH clause that says what they are (`gathered`).
    """
    reader = views.sql(_select(views, query, sources)).to_arrow_reader(_PIECE_ROWS)
    pieces = (pa.Table.from_batches([batch]) for batch in reader)
    # That nothing was counted must be said, too.
    first = next(pieces, reader.schema.empty_table())
    with views_of({}) as beside:
        for piece in itertools.chain([first], pieces):
            beside.register("result", piece)
            tallies = _totals(beside, "result", query.counts)
            yield _going_on(piece, query), tallies


def _select(views: duckdb.DuckDBPyConnection, query: Query, sources: str = "") -> str:
    """SQL for the rows of a query, whose steps are done."""
    for name, sql in query.steps.items():
        views.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sources} SELECT * FROM ({sql})")
    return f"{sources} SELECT * FROM ({query.sql})"


@dataclass(frozen=True)
class Share:
    """What a task sees of a query's dealt sources: one bucket, of which some rows were dealt.

    Args:
        bucket: the bucket's number; None stands for everything.
        dealt: the rows of those sources that were dealt, by name; the others lie in their files.
    """

    bucket: int | None = None
    dealt: Mapping[str, pa.Table] = field(default_factory=dict)


def gathered(
    views: duckdb.DuckDBPyConnection, query: Query, share: Share, *, often: bool = False
) -> tuple[str, list[Tally]]:
    """A share of a query's sources, from the data files on, as a WITH clause; what was counted.

    DuckDB then plans all steps as one: it reads the columns that the last of them needs, and
    holds no more than it must. Only what would otherwise be computed again, because it is counted
    or asked for often, becomes a table of the connection first.

    Args:
        views: where the query will be run.
        query: the query.
        share: which rows.
        often: whether other queries of the same sources follow.
    """
    steps: list[str] = []
    tallies: list[Tally] = []
    for name, source in query.sources.items():
        if name in share.dealt:
            steps.append(f"{name} AS NOT MATERIALIZED ({_registered(views, share.dealt[name])})")
        elif isinstance(source, Dealt):
            own = replace(share, dealt={})
            sql, counted = _step(views, source.rows, own, often=often)
            # Data files are read again for fewer columns, rather than held.
            how = "" if source.rows.of_kind(Dealt) else "NOT MATERIALIZED "
            steps.append(f"{name} AS {how}({sql})")
            tallies += counted
        else:
            table = source.table
            if isinstance(source, Scanned) and share.bucket is not None:
                table = table.bucket(share.bucket)
            steps.append(f"{name} AS NOT MATERIALIZED ({_all_rows(views, table)})")
        if isinstance(source, Dealt) and source.repeated:
            repeated = _repeated(views, name, steps[-1], source)
            steps.append(f"{name}_repeated AS ({_registered(views, repeated)})")
    return f"WITH {', '.join(steps)}", tallies


def _step(
    views: duckdb.DuckDBPyConnection, query: Query, share: Share, *, often: bool
) -> tuple[str, list[Tally]]:
    """SQL for the rows of a query that go on to another one, and what was counted."""
    sources, tallies = gathered(views, query, share)
    rows = f"({_select(views, query, sources)})"
    # Counting what lies in data files reads the columns that it needs.
    if query.of_kind(Dealt) and (query.counts or often):
        table = f"step_{uuid4().hex}"
        views.execute(f"CREATE TEMP TABLE {table} AS {rows}")
        rows = table
    tallies += _totals(views, rows, query.counts)
    kept = "" if query.keep is None else f" WHERE {query.keep}"
    return f"SELECT {', '.join(query.schema.names)} FROM {rows}{kept}", tallies


def _repeated(views: duckdb.DuckDBPyConnection, name: str, step: str, source: Dealt) -> pa.Table:
    """The values that several rows of a step have, and how many."""
    by = ", ".join(source.repeated)
    # Hardly any, which sorted hashes tell in a tenth of the time that it takes to group values.
    given = f"WITH {step} SELECT hash({by}) AS hash FROM {name}"
    hashes = np.sort(views.sql(given).to_arrow_table().column(0).to_numpy())
    alike = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(alike):
        return _schema_of_repeated(source).empty_table()
    found = _registered(views, pa.table({"hash": alike}))
    return views.sql(f"""
        WITH {step} SELECT {by}, count(*) AS _copies FROM {name}
        WHERE hash({by}) IN ({found}) GROUP BY {by} HAVING count(*) > 1
    """).to_arrow_table()


def _schema_of_repeated(source: Dealt) -> pa.Schema:
    fields = [source.rows.schema.field(column) for column in source.repeated]
    return pa.schema([*fields, pa.field("_copies", pa.int64())])


def _all_rows(views: duckdb.DuckDBPyConnection, table: Stored) -> str:
    if table.files:
        return _stored(table)
    return _registered(views, table.schema.empty_table())


def _registered(views: duckdb.DuckDBPyConnection, rows: pa.Table) -> str:
    name = f"rows_{uuid4().hex}"
    views.register(name, rows)
    return f"SELECT * FROM {name}"


def _stored(table: Stored) -> str:
    rows = f"SELECT * FROM read_parquet({texts(table.files)}, hive_partitioning = false)"
    return f"{rows} WHERE {table.where}" if table.where else rows


def of_each_row(rows: pa.Table, expression: str) -> pa.ChunkedArray:
    """The value of an SQL expression for each row, in the order of the rows.

    Which queries do not keep that are computed by several cores.
    """
    with _in_order().cursor() as views:
        views.register("rows", rows)
        return views.sql(f"SELECT {expression} FROM rows").to_arrow_table().column(0)


def _going_on(result: pa.Table, query: Query) -> pa.Table:
    shown = result.select([name for name in result.column_names if not name.startswith("_")])
    if query.keep is None:
        return shown
    kept = of_each_row(result, f"({query.keep}) IS TRUE")
    # Hardly ever any row goes, and to filter copies those that stay.
    return shown if pc.all(kept, min_count=0).as_py() else shown.filter(kept)


def _totals(
    views: duckdb.DuckDBPyConnection, rows: str, counts: Sequence[Count | FlagCount]
) -> list[Tally]:
    tallies: list[Tally] = []
    if single := [count for count in counts if isinstance(count, Count)]:
        parts = [f"{c.rows}, {c.example or 'NULL'}" for c in single]
        (found,) = views.execute(f"SELECT {', '.join(parts)} FROM {rows}").fetchall()
        values = zip(single, found[::2], found[1::2], strict=True)
        tallies += [count.tally(int(number or 0), example) for count, number, example in values]
    for count in counts:
        if isinstance(count, FlagCount):
            tallies += [count.tally(*found) for found in views.execute(count.sql(rows)).fetchall()]
    return tallies


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
                views.execute(f"CREATE TEMP VIEW {name} AS {_stored(source)}")
        yield views
    finally:
        views.close()
