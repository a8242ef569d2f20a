"""What Spark's Python workers do with a query."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from beatlake.datafiles import DataFileWriter, Target
from beatlake.exchange.query import Dealt, Query, Scanned, Stored, answer, views_of
from beatlake.quality.counting import Tally, added_up
from beatlake.workers import forget_archives

#: Rows that travel: to which bucket, of which source of the query there, as an Arrow stream.
PARCELS = pa.schema([("bucket", pa.int32()), ("source", pa.int32()), ("rows", pa.binary())])
#: Stands for a source in a parcel of counts taken on the way, and in what the last tasks report.
COUNTS, _REPORT = -1, -2
#: Rows by the view that they are in: themselves, or where they are.
Shares = Mapping[str, pa.Table | Stored]
_IPC = pa.ipc.IpcWriteOptions(compression="lz4")


class _Parcel(NamedTuple):
    """What one task hands on to another, or to the driver."""

    bucket: int
    source: int
    rows: bytes | pa.Buffer

    def batch(self) -> pa.RecordBatch:
        """A batch of this parcel alone, whose bytes are not copied."""
        ends = pa.array([0, len(self.rows)], pa.int32()).buffers()[1]
        rows = pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(self.rows)])
        numbers = [pa.array([number], pa.int32()) for number in (self.bucket, self.source)]
        return pa.record_batch([*numbers, rows], schema=PARCELS)


@dataclass(frozen=True)
class Deal:
    """Hands the rows of a task on to the buckets of the query that they are a source of."""

    source: int
    by: tuple[str, ...]
    buckets: int

    def __call__(self, rows: pa.Table, tallies: Sequence[Tally]) -> Iterator[_Parcel]:
        """The parcels."""
        if tallies:
            yield _Parcel(0, COUNTS, json.dumps([t.__dict__ for t in tallies]).encode())
        if not rows.num_rows:
            return
        if self.buckets == 1:
            yield _Parcel(0, self.source, _stream(rows))
            return
        number = f"(hash({', '.join(self.by)}) % {self.buckets})::INTEGER AS bucket"
        with views_of({"dealt": rows}) as views:
            numbered = views.sql(f"SELECT {number} FROM dealt").to_arrow_table()
        bucket_of = numbered.column(0).to_numpy()
        ordered = rows.take(pa.array(np.argsort(bucket_of, kind="stable")))
        begin = 0
        for bucket, size in enumerate(np.bincount(bucket_of, minlength=self.buckets)):
            if size:
                yield _Parcel(bucket, self.source, _stream(ordered.slice(begin, size)))
            begin += size


@dataclass(frozen=True)
class Write:
    """Writes the rows of a task to a file of a table, the ``number``th of those asked for."""

    number: int
    target: Target
    checks: Mapping[str, str]
    table: str

    def __call__(self, rows: pa.Table, tallies: Sequence[Tally]) -> Iterator[_Parcel]:
        """A report of what was written and counted."""
        with views_of({"written": rows}) as views:
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
        yield _Parcel(self.number, _REPORT, json.dumps(report).encode())


class _Task:
    """Answers queries of the same sources and hands their rows on.

    A class, so that workers import its code.
    """

    def __init__(self, asked: Sequence[tuple[Query, Deal | Write]]) -> None:
        """For queries, each with what its rows are handed to."""
        self._asked = tuple(asked)
        self.query = asked[0][0]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The parcels of a partition."""
        forget_archives()
        for shares, before in self.shares(batches):
            for number, (query, sink) in enumerate(self._asked):
                rows, tallies = answer(query, shares)
                # What was counted on the way here is told once.
                for parcel in sink(rows, tallies if number else added_up([*before, *tallies])):
                    yield parcel.batch()

    def shares(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Shares, list[Tally]]]:
        """The partition's shares of the sources, and what was counted on the way."""
        raise NotImplementedError


class Alone(_Task):
    """Does all of a query, from the data files."""

    def shares(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Shares, list[Tally]]]:
        """Everything."""
        for _ in batches:
            yield self._all(self.query)

    def _all(self, query: Query) -> tuple[Shares, list[Tally]]:
        shares: dict[str, pa.Table | Stored] = {
            name: source.table for name, source in query.of_kind(Scanned)
        }
        tallies: list[Tally] = []
        for name, source in query.of_kind(Dealt):
            own, before = self._all(source.rows)
            shares[name], counted = answer(source.rows, own)
            tallies += [*before, *counted]
        return shares, tallies


class Scan(_Task):
    """Does a query for the data files whose numbers it is given."""

    def shares(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Shares, list[Tally]]]:
        """One file after the other."""
        ((name, source),) = self.query.of_kind(Scanned)
        for batch in batches:
            for number in batch.column(0).to_pylist():
                files = source.table.files[number : number + 1]
                yield {name: Stored(source.table.schema, files, 0)}, []


class Bucket(_Task):
    """Does a query for the rows of a bucket."""

    def shares(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Shares, list[Tally]]]:
        """The rows that came."""
        sources = self.query.of_kind(Dealt)
        pieces: list[list[pa.Table]] = [[] for _ in sources]
        tallies: list[Tally] = []
        for batch in batches:
            for source, rows in zip(batch.column(1).to_pylist(), batch.column(2), strict=True):
                if source == COUNTS:
                    tallies += [Tally(**tally) for tally in json.loads(rows.as_py())]
                else:
                    pieces[source].append(pa.ipc.open_stream(rows.as_buffer()).read_all())
        shares = {
            name: pa.concat_tables([source.rows.schema.empty_table(), *pieces[number]])
            for number, (name, source) in enumerate(sources)
        }
        del pieces
        yield shares, tallies


def _stream(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_IPC) as stream:
        stream.write_table(rows.combine_chunks())
    return sink.getvalue()
