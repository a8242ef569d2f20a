"""What Spark's Python workers do with a query."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from beatlake.buckets import UNCUT, Cut, divided
from beatlake.datafiles import DataFileWriters, Target
from beatlake.exchange.answering import Share, answer, gathered
from beatlake.exchange.database import of_each_row, use_cores, views_of
from beatlake.exchange.query import Dealt, Query, Scanned, Whole
from beatlake.quality.counting import Tally, added_up
from beatlake.workers import forget_archives

#: Rows that travel: to which bucket, of which source of the query there, as an Arrow stream.
PARCELS = pa.schema([("bucket", pa.int32()), ("source", pa.int32()), ("rows", pa.binary())])
#: Rows are gathered to so many bytes before they are dealt.
_DEALT_BYTES = 256 << 20
#: Stands for a source in a parcel of counts taken on the way, and in what the last tasks report.
COUNTS, _REPORT = -1, -2
#: Stands for one in a parcel without rows, which makes sure that a bucket is seen to.
BUCKET = -3
#: Rows in pieces, each with what was counted of it.
Answer = Iterable[tuple[pa.Table, Sequence[Tally]]]
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


class _Taker(Protocol):
    """Takes the answers of a task, one after the other."""

    def take(self, answer: Answer, before: Sequence[Tally]) -> Iterator[_Parcel]:
        """What is handed on of an answer, and of what was counted before it."""

    def finish(self) -> Iterator[_Parcel]:
        """What is handed on when all answers are taken."""


@dataclass(frozen=True)
class Deal:
    """Hands the rows of a task on to the buckets of the query that they are a source of.

    Args:
        source: which of its dealt sources they are.
        by: the columns whose values must meet.
        buckets: how many there are.
        cut: how other rows are cut that lie in their buckets in files; `UNCUT` if none do, and
            DuckDB's hash deals most evenly.
    """

    source: int
    by: tuple[str, ...]
    buckets: int
    cut: Cut = UNCUT

    def open(self) -> AbstractContextManager[_Taker]:
        """What takes the answers of a task."""
        return nullcontext(self)

    def take(self, answer: Answer, before: Sequence[Tally]) -> Iterator[_Parcel]:
        """The parcels of rows and of what was counted, before them too."""
        waiting: list[pa.Table] = []
        tallies = list(before)
        for rows, counted in answer:
            tallies += counted
            waiting.append(rows)
            if sum(each.nbytes for each in waiting) > _DEALT_BYTES:
                yield from self._dealt(waiting)
                waiting = []
        yield from self._dealt(waiting)
        if tallies := added_up(tallies):
            yield _Parcel(0, COUNTS, json.dumps([t.__dict__ for t in tallies]).encode())

    def finish(self) -> Iterator[_Parcel]:
        """Nothing, since no row waits."""
        return iter(())

    def _dealt(self, waiting: Sequence[pa.Table]) -> Iterator[_Parcel]:
        rows = pa.concat_tables(waiting) if waiting else None
        if not rows:
            return
        if self.buckets == 1:
            yield _Parcel(0, self.source, _stream(rows))
            return
        for bucket, share in divided(rows, self._bucket_of(rows)):
            yield _Parcel(bucket, self.source, _stream(share))

    def _bucket_of(self, rows: pa.Table) -> npt.NDArray[np.int64]:
        if self.cut != UNCUT:
            (key,) = self.by
            return self.cut.bucket_of(rows.column(key))
        number = of_each_row(rows, f"(hash({', '.join(self.by)}) % {self.buckets})::BIGINT")
        numbers: npt.NDArray[np.int64] = number.to_numpy()
        return numbers


@dataclass(frozen=True)
class Write:
    """Writes the rows of a task to files of a table, the ``number``th of those asked for.

    Args:
        number: which of the tables.
        target: where it lies.
        checks: conditions that every row must meet, by name.
        table: its name, for messages.
        bucket_by: the column by which rows are divided into files; None for one file.
        cut: how.
    """

    number: int
    target: Target
    checks: Mapping[str, str]
    table: str
    bucket_by: str | None = None
    cut: Cut = UNCUT

    @contextmanager
    def open(self) -> Iterator[_Taker]:
        """What takes the answers of a task; its files are gone after an error."""
        with DataFileWriters(self.target, self.bucket_by, self.cut) as files:
            yield _Writing(self, files)


class _Writing:
    """Writes the answers of a task, which may share files."""

    def __init__(self, what: Write, files: DataFileWriters) -> None:
        self._what, self._files = what, files
        self._tallies: list[Tally] = []

    def take(self, answer: Answer, before: Sequence[Tally]) -> Iterator[_Parcel]:
        """Write rows; nothing is handed on before the files have an end."""
        self._tallies += before
        for rows, counted in answer:
            self._check(rows)
            self._files.add(rows)
            self._tallies += counted
        return iter(())

    def finish(self) -> Iterator[_Parcel]:
        """A report of what was written and counted, before it too."""
        report = {
            "files": [file.__dict__ for file in self._files.finish()],
            "tallies": [tally.__dict__ for tally in added_up(self._tallies)],
        }
        yield _Parcel(self._what.number, _REPORT, json.dumps(report).encode())

    def _check(self, rows: pa.Table) -> None:
        if not self._what.checks:
            return
        with views_of({"written": rows}) as views:
            for name, condition in self._what.checks.items():
                broken = f"SELECT count(*) FROM written WHERE ({condition}) IS NOT TRUE"
                if found := views.execute(broken).fetchall()[0][0]:
                    table = self._what.table
                    raise ValueError(f"{found} rows of {table} break the check {name}.")


class _Task:
    """Answers queries of the same sources and hands their rows on.

    A class, so that workers import its code.
    """

    def __init__(self, asked: Sequence[tuple[Query, Deal | Write]]) -> None:
        """For queries, each with what its rows are handed to."""
        self.asked = tuple(asked)
        self.query = asked[0][0]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The parcels of a partition."""
        forget_archives()
        with ExitStack() as opened:
            takers = [opened.enter_context(sink.open()) for _, sink in self.asked]
            for number, rows, before in self.answers(batches):
                for parcel in takers[number].take(rows, before):
                    yield parcel.batch()
            for taker in takers:
                for parcel in taker.finish():
                    yield parcel.batch()

    def answers(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[tuple[int, Answer, Sequence[Tally]]]:
        """Of each query its number, its answer, and what was counted on the way to it."""
        raise NotImplementedError


class Scan(_Task):
    """Does a query for the data files whose numbers it is given."""

    def answers(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[tuple[int, Answer, Sequence[Tally]]]:
        """One file after the other."""
        use_cores(1)
        ((name, source),) = self.query.of_kind(Scanned)
        whole = {name: source.table for name, source in self.query.of_kind(Whole)}
        for batch in batches:
            for number in batch.column(0).to_pylist():
                file = replace(source.table, files=source.table.files[number : number + 1])
                with views_of({name: file, **whole}) as views:
                    for asked, (query, _) in enumerate(self.asked):
                        yield asked, answer(views, query), []


class Join(_Task):
    """Does a query for some buckets, whose rows it is sent or finds in data files."""

    def __init__(
        self,
        asked: Sequence[tuple[Query, Deal | Write]],
        cores: int = 1,
        dealt: Sequence[str] | None = None,
    ) -> None:
        """For queries, each with what its rows are handed to.

        Args:
            asked: the queries.
            cores: how many a task may use.
            dealt: the sources whose rows it is sent, where it sees one bucket after the other;
                None if it sees everything in data files.
        """
        super().__init__(asked)
        self._cores, self._dealt = cores, dealt

    def answers(
        self, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[tuple[int, Answer, Sequence[Tally]]]:
        """One bucket after the other."""
        use_cores(self._cores, alone=self._dealt is None)
        for share, counted in self._shares(batches):
            with views_of({}) as views:
                sources, before = gathered(views, self.query, share, often=len(self.asked) > 1)
                for number, (query, _) in enumerate(self.asked):
                    # What was counted on the way here is told once.
                    told = [] if number else [*counted, *before]
                    yield number, answer(views, query, sources), told

    def _shares(self, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Share, list[Tally]]]:
        """The buckets of the partition, with what was counted on the way there."""
        sources = self.query.of_kind(Dealt)
        buckets: dict[int, list[list[pa.Table]]] = {}
        tallies: list[Tally] = []
        for batch in batches:
            numbers, kinds = (batch.column(i).to_pylist() for i in (0, 1))
            for bucket, source, rows in zip(numbers, kinds, batch.column(2), strict=True):
                pieces = buckets.setdefault(bucket, [[] for _ in sources])
                if source == COUNTS:
                    tallies += [Tally(**tally) for tally in json.loads(rows.as_py())]
                elif source != BUCKET:
                    pieces[source].append(pa.ipc.open_stream(rows.as_buffer()).read_all())
        for bucket in sorted(buckets):
            pieces = buckets.pop(bucket)
            if self._dealt is None:
                yield Share(), tallies
                return
            dealt = {
                name: pa.concat_tables([source.rows.schema.empty_table(), *pieces[number]])
                for number, (name, source) in enumerate(sources)
                if name in self._dealt
            }
            del pieces
            yield Share(bucket, dealt), tallies
            tallies = []


def _stream(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=_IPC) as stream:
        stream.write_table(rows.combine_chunks())
    return sink.getvalue()
