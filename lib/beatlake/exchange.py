"""Queries over tables that are spread over files and machines.

A query is SQL over views. It runs in many tasks, each of which sees its share of the rows: the rows
of one data file, or those whose key falls into the task's bucket, so that rows of equal keys meet.
Spark runs the tasks, repeats those that fail and moves the rows between them; within a task DuckDB
computes whole columns at a time, on one core. A query must not depend on which rows share a task,
beyond those of equal keys, nor on their order. What is small enough is done in a single task.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property, reduce
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from beatlake.datafiles import DataFileWriter, Target, Written
from beatlake.quality.counting import Count, Tally, added_up
from beatlake.tables.spec import SpecError, Table
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: What has no more values than this is done in one task: moving rows would cost more.
_SMALL_VALUES = 2_000_000
#: DuckDB puts aside on disk what passes this; its tasks run side by side.
_MEMORY_LIMIT = "2GB"
#: Rows that travel: to which bucket, of which source of the query there, as an Arrow stream.
_PARCELS = pa.schema([("bucket", pa.int32()), ("source", pa.int32()), ("rows", pa.binary())])
_PARCELS_DDL = "bucket int, source int, rows binary"
#: Stands in a parcel for the counts taken on the way, and for what the last tasks report.
_COUNTS, _REPORT = -1, -2
Kind = TypeVar("Kind")
_IPC = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class Stored:
    """A version of a table: its columns, its data files and how many rows they hold."""

    schema: pa.Schema
    files: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class Scanned:
    """A source of which every task sees one data file; a query has no other kind but `Whole`."""

    table: Stored


@dataclass(frozen=True)
class Whole:
    """A source of which every task sees all rows: for small tables."""

    table: Stored


@dataclass(frozen=True)
class Dealt:
    """A source whose rows go to the bucket of their key.

    The keys of all dealt sources of a query must be alike in number and types.
    """

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
    """

    sql: str
    sources: Mapping[str, Scanned | Whole | Dealt]
    counts: Sequence[Count] = field(default=())
    keep: str | None = None

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the rows that go on.

        Raises:
            duckdb.Error: the SQL does not fit the sources.
        """
        sources = self.sources.items()
        with _views({name: _schema(source).empty_table() for name, source in sources}) as views:
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


@dataclass
class Done:
    """What became of a query: the files that its rows are in, and what was counted."""

    files: list[Written]
    tallies: list[Tally]


def write(
    spark: SparkSession, query: Query, table: Table, target: Target, task_values: int
) -> Done:
    """Run a query and write its rows as data files of a table, one for each task that has some.

    A task that fails is run again; its first file is removed where the worker still can, and named
    by nobody otherwise.

    Args:
        spark: a session.
        query: the query.
        table: the spec that the rows must fit.
        target: where the table lies.
        task_values: how many values (rows times columns) a task may hold.

    Raises:
        SpecError: the query does not give what the spec says.
    """
    _check(query.schema, table)
    sink = _Write(target, dict(table.checks), table.name)
    reports = [json.loads(told) for told in _told(spark, query, sink, task_values)]
    tallies = [Tally(**t) for report in reports for t in report["tallies"]]
    files = [Written(**f) for report in reports for f in report["files"]]
    return Done(sorted(files, key=lambda f: f.name), added_up(tallies))


def collect(spark: SparkSession, query: Query, task_values: int) -> pa.Table:
    """The rows of a query, which must be few; those of each task follow one another."""
    told = _told(spark, query, _Deal(0, (), 1), task_values)
    tables = [pa.ipc.open_stream(rows).read_all() for rows in told]
    return pa.concat_tables([query.schema.empty_table(), *tables])


def _told(spark: SparkSession, query: Query, sink: _Deal | _Write, task_values: int) -> list[bytes]:
    """What the last tasks of a query hand on, without what was counted for the next ones."""
    if query.is_small(min(task_values, _SMALL_VALUES)):
        parcels = spark.range(0, 1, 1, 1).mapInArrow(_Alone(query, sink), _PARCELS_DDL)
    else:
        parcels = _parcels(spark, query, sink, task_values)
    return [bytes(p["rows"]) for p in parcels.collect() if p["source"] != _COUNTS]


def _schema(source: Scanned | Whole | Dealt) -> pa.Schema:
    return source.rows.schema if isinstance(source, Dealt) else source.table.schema


def _check(found: pa.Schema, table: Table) -> None:
    expected = {c.name: t for c, t in zip(table.columns, table.arrow_schema.types, strict=True)}
    given = dict(zip(found.names, found.types, strict=True))
    problems = [f"missing column {name}" for name in expected if name not in given]
    problems += [f"unexpected column {name}" for name in given if name not in expected]
    problems += [
        f"{name} is {given[name]}, expected {kind}"
        for name, kind in expected.items()
        if name in given and given[name] != kind
    ]
    if problems:
        raise SpecError(f"{table.name} does not match its spec: " + "; ".join(problems) + ".")


def _parcels(
    spark: SparkSession, query: Query, sink: _Deal | _Write, task_values: int
) -> DataFrame:
    """What a query's tasks hand on, a row for each parcel."""
    scanned = query.of_kind(Scanned)
    if scanned:
        ((_, source),) = scanned
        # A table without files has a task, too: that nothing was counted must be said.
        files = source.table.files or (None,)
        tasks = spark.range(0, len(files), 1, len(files))
        return tasks.mapInArrow(_Scan(query, sink), _PARCELS_DDL)
    buckets = query.buckets(task_values)
    dealt = [
        _parcels(spark, source.rows, _Deal(number, source.by, buckets), task_values)
        for number, (_, source) in enumerate(query.of_kind(Dealt))
    ]
    together = reduce(lambda one, other: one.unionAll(other), dealt)
    return together.repartitionById(buckets, "bucket").mapInArrow(
        _Bucket(query, sink), _PARCELS_DDL
    )


class _Parcel(NamedTuple):
    bucket: int
    source: int
    rows: bytes | pa.Buffer

    def batch(self) -> pa.RecordBatch:
        """A batch of this parcel alone, whose bytes are not copied."""
        ends = pa.array([0, len(self.rows)], pa.int32()).buffers()[1]
        rows = pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(self.rows)])
        numbers = [pa.array([number], pa.int32()) for number in (self.bucket, self.source)]
        return pa.record_batch([*numbers, rows], schema=_PARCELS)


@dataclass(frozen=True)
class _Deal:
    """Hands the rows of a task on to the buckets of the query that they are a source of."""

    source: int
    by: tuple[str, ...]
    buckets: int

    def __call__(self, rows: pa.Table, tallies: Sequence[Tally]) -> Iterator[_Parcel]:
        """The parcels."""
        if tallies:
            yield _Parcel(0, _COUNTS, json.dumps([t.__dict__ for t in tallies]).encode())
        if not rows.num_rows:
            return
        if self.buckets == 1:
            yield _Parcel(0, self.source, _stream(rows))
            return
        number = f"(hash({', '.join(self.by)}) % {self.buckets})::INTEGER AS bucket"
        with _views({"dealt": rows}) as views:
            numbered = views.sql(f"SELECT {number} FROM dealt").to_arrow_table()
        bucket_of = numbered.column(0).to_numpy()
        ordered = rows.take(pa.array(np.argsort(bucket_of, kind="stable")))
        begin = 0
        for bucket, size in enumerate(np.bincount(bucket_of, minlength=self.buckets)):
            if size:
                yield _Parcel(bucket, self.source, _stream(ordered.slice(begin, size)))
            begin += size


@dataclass(frozen=True)
class _Write:
    """Writes the rows of a task to a file of a table."""

    target: Target
    checks: Mapping[str, str]
    table: str

    def __call__(self, rows: pa.Table, tallies: Sequence[Tally]) -> Iterator[_Parcel]:
        """A report of what was written and counted."""
        with _views({"written": rows}) as views:
            for name, condition in self.checks.items():
                broken = f"SELECT count(*) FROM written WHERE ({condition}) IS NOT TRUE"
                if found := views.execute(broken).fetchall()[0][0]:
                    raise ValueError(f"{found} rows of {self.table} break the check {name}.")
        with DataFileWriter(self.target) as file:
            file.add(rows)
            written = file.finish()
        report = {
            "files": [f.__dict__ for f in written],
            "tallies": [tally.__dict__ for tally in tallies],
        }
        yield _Parcel(0, _REPORT, json.dumps(report).encode())


class _Alone:
    """Does all of a query. A class, as those that follow, so that workers import its code."""

    def __init__(self, query: Query, sink: _Deal | _Write) -> None:
        self._query, self._sink = query, sink

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        for _ in batches:
            rows, tallies = self._all(self._query)
            yield from _handed_on(self._sink, rows, tallies)

    def _all(self, query: Query) -> tuple[pa.Table, list[Tally]]:
        shares: dict[str, pa.Table | Stored] = {
            name: source.table for name, source in query.of_kind(Scanned)
        }
        before: list[Tally] = []
        for name, source in query.of_kind(Dealt):
            shares[name], tallies = self._all(source.rows)
            before += tallies
        return _run(query, shares, before)


class _Scan:
    """Does a query for the data files whose numbers it is given."""

    def __init__(self, query: Query, sink: _Deal | _Write) -> None:
        self._query, self._sink = query, sink

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        ((name, source),) = self._query.of_kind(Scanned)
        for batch in batches:
            for number in batch.column(0).to_pylist():
                files = source.table.files[number : number + 1]
                share = Stored(source.table.schema, files, 0)
                yield from _handed_on(self._sink, *_run(self._query, {name: share}, []))


class _Bucket:
    """Does a query for the rows of a bucket."""

    def __init__(self, query: Query, sink: _Deal | _Write) -> None:
        self._query, self._sink = query, sink
        # Worked out here, and not again in every task.
        self._schemas = [(name, s.rows.schema) for name, s in query.of_kind(Dealt)]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        pieces: list[list[pa.Table]] = [[] for _ in self._schemas]
        tallies: list[Tally] = []
        for batch in batches:
            for source, rows in zip(batch.column(1).to_pylist(), batch.column(2), strict=True):
                if source == _COUNTS:
                    tallies += [Tally(**tally) for tally in json.loads(rows.as_py())]
                else:
                    pieces[source].append(pa.ipc.open_stream(rows.as_buffer()).read_all())
        shares = {
            name: pa.concat_tables([schema.empty_table(), *pieces[number]])
            for number, (name, schema) in enumerate(self._schemas)
        }
        del pieces
        yield from _handed_on(self._sink, *_run(self._query, shares, tallies))


def _run(
    query: Query, shares: Mapping[str, pa.Table | Stored], before: Sequence[Tally]
) -> tuple[pa.Table, list[Tally]]:
    """The rows of a query that go on, and the tallies with those taken ``before``."""
    whole = {name: source.table for name, source in query.of_kind(Whole)}
    with _views({**shares, **whole}) as views:
        result = views.sql(query.sql).to_arrow_table()
        tallies = [*before, *_counted(views, result, query.counts)]
        return _going_on(views, result, query), added_up(tallies)


def _handed_on(
    sink: _Deal | _Write, rows: pa.Table, tallies: Sequence[Tally]
) -> Iterator[pa.RecordBatch]:
    for parcel in sink(rows, tallies):
        yield parcel.batch()


def _stream(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_IPC) as stream:
        stream.write_table(rows.combine_chunks())
    return sink.getvalue()


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
def _views(sources: Mapping[str, pa.Table | Stored]) -> Iterator[duckdb.DuckDBPyConnection]:
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
