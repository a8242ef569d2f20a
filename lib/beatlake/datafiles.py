"""The data files of tables, written by Spark's Python workers with Arrow.

Whole columns at a time, which costs a fraction of Spark's own way of writing row by row. A file
belongs to no table before the driver commits it (`beatlake.lake`).
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beatlake.buckets import UNCUT, Cut, divided
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: What a task does with the batches of its partition.
Work: TypeAlias = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
#: So many bytes of rows wait for a row group to be written: of a file, and of all those together
#: that a task has open.
_WAITING_BYTES, _WAITING_TOGETHER = 128 << 20, 256 << 20
#: A row group of a table that is cut has about so many rows at most: who looks for a key decodes
#: those of one.
_GROUP_ROWS = 100_000
_CODEC = "snappy"
#: Small pages, whose places are stated: who wants few rows of a group decodes no more than these.
_PAGE_BYTES = 128 << 10
#: Of so many rows the values are looked at, and a column with fewer different ones than this share
#: gets a dictionary: others pay for building one that is then given up (a third of writing).
_SAMPLE, _REPETITIVE = 10_000, 0.3


@dataclass(frozen=True)
class Target:
    """The directory of a table, which all workers see, and the table's columns."""

    directory: Path
    schema: pa.Schema


@dataclass(frozen=True)
class Written:
    """A data file that is there: its name in the table's directory, bytes and rows.

    ``least`` and ``greatest`` are of the column that the table is cut by; None if it is not cut, or
    no row has a value.
    """

    name: str
    size: int
    rows: int
    least: str | None = None
    greatest: str | None = None


class DataFileWriter:
    """Writes one Parquet file, which comes to be with its first rows and is gone after an error."""

    def __init__(
        self,
        target: Target,
        begin: str = "part-",
        cut_by: str | None = None,
        group_bytes: int = _WAITING_BYTES,
    ) -> None:
        """For a table; nothing is written yet.

        Args:
            target: the table.
            begin: how the file's name begins.
            cut_by: the column that the table is cut by.
            group_bytes: so many bytes of rows wait for a row group to be written.
        """
        self._target, self._cut_by, self._group_bytes = target, cut_by, group_bytes
        self._ends: set[str] = set()
        self._path = target.directory / f"{begin}{uuid4()}.{_CODEC}.parquet"
        self._waiting: defaultdict[int, list[pa.Table]] = defaultdict(list)
        self._bytes: Counter[int] = Counter()
        self._rows = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> DataFileWriter:
        """The writer itself."""
        return self

    def add(self, rows: pa.Table, part: int = 0) -> None:
        """Write rows, perhaps later.

        Args:
            rows: the table's columns in any order, of types that fit.
            part: to which part of the file they belong: no row group has rows of two.

        Raises:
            ValueError: of rows that are written, a column that may not be null is.
        """
        if not rows.num_rows:
            return
        self._waiting[part].append(rows.select(self._target.schema.names))
        self._bytes[part] += rows.nbytes
        self._rows += rows.num_rows
        if self.waiting_bytes >= self._group_bytes:
            self.write_some()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the rows that wait to be written."""
        return self._bytes.total()

    def write_some(self) -> None:
        """Write those rows that wait of the part that has most of them."""
        ((part, _),) = self._bytes.most_common(1)
        self._write(part)

    def _write(self, part: int) -> None:
        # In one piece: each column of each piece would cost as much as a thousand rows.
        rows = pa.concat_tables(self._waiting.pop(part)).combine_chunks()
        rows = rows.cast(self._target.schema)
        del self._bytes[part]
        if self._cut_by is not None:
            keys = rows.column(self._cut_by)
            self._ends |= set(pc.min_max(keys).as_py().values()) - {None}
        if self._cut_by is None or len(rows) <= _GROUP_ROWS:
            self._write_group(rows)
            return
        groups = Cut.between(keys, -(-len(rows) // _GROUP_ROWS))
        for _, group in divided(rows, groups.bucket_of(keys)):
            self._write_group(group)

    def _write_group(self, group: pa.Table) -> None:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._path,
                self._target.schema,
                compression=_CODEC,
                data_page_size=_PAGE_BYTES,
                write_page_index=True,
                store_schema=False,
                use_dictionary=_repetitive(group),
                write_statistics=_compared(self._target.schema, self._cut_by),
            )
        self._writer.write_table(group, row_group_size=group.num_rows)

    def finish(self) -> list[Written]:
        """Write what waits and the file's end; the file, or nothing if there were no rows.

        Raises:
            ValueError: a column that may not be null is.
        """
        for part in sorted(self._waiting):
            self._write(part)
        if self._writer is None:
            return []
        self._writer.close()
        least, greatest = min(self._ends, default=None), max(self._ends, default=None)
        size = self._path.stat().st_size
        return [Written(self._path.name, size, self._rows, least, greatest)]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the file of a task that failed."""
        if error is not None and self._writer is not None:
            # What counts is the error that is on its way.
            with contextlib.suppress(OSError, pa.ArrowException):
                self._writer.close()
            with contextlib.suppress(OSError):
                self._path.unlink()


class DataFileWriters:
    """Writes the Parquet files of a table that get rows; all are gone on an error."""

    def __init__(self, target: Target, bucket_by: str | None = None, cut: Cut = UNCUT) -> None:
        """For a table, which is cut by a column if one is named; nothing is written yet."""
        self._target, self._cut = target, cut
        self._bucket_by = None if cut == UNCUT else bucket_by
        self._writers: dict[int, DataFileWriter] = {}
        self._files = contextlib.ExitStack()

    def __enter__(self) -> DataFileWriters:
        """The writers themselves."""
        return self

    def add(self, rows: pa.Table) -> None:
        """Write rows to the files of their buckets, perhaps later.

        Raises:
            ValueError: of rows that are written, a column that may not be null is.
        """
        if self._bucket_by is None:
            self._file(0).add(rows)
            return
        for bucket, own in divided(rows, self._cut.bucket_of(rows.column(self._bucket_by))):
            self._file(self._cut.file_of(bucket)).add(own, bucket)
        writers = self._writers.values()
        while sum(writer.waiting_bytes for writer in writers) > _WAITING_TOGETHER:
            max(writers, key=lambda writer: writer.waiting_bytes).write_some()

    def _file(self, number: int) -> DataFileWriter:
        if number not in self._writers:
            begin = "part-" if self._bucket_by is None else self._cut.file_name(number)
            writer = DataFileWriter(self._target, begin, self._bucket_by)
            self._writers[number] = self._files.enter_context(writer)
        return self._writers[number]

    def finish(self) -> list[Written]:
        """Write what waits and the files' ends; the files that have rows.

        Raises:
            ValueError: a column that may not be null is.
        """
        return [file for writer in self._writers.values() for file in writer.finish()]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the files of a task that failed."""
        self._files.__exit__(kind, error, trace)


def _repetitive(rows: pa.Table) -> list[str]:
    """The columns that hold few different values, as Parquet calls them."""
    sample = rows.slice(0, _SAMPLE)
    return [
        f"{name}.list.element" if pa.types.is_list(column.type) else name
        for name, column in zip(sample.column_names, sample.columns, strict=True)
        if pa.types.is_nested(column.type)
        or pc.count_distinct(column).as_py() < _REPETITIVE * sample.num_rows
    ]


def _compared(schema: pa.Schema, cut_by: str | None) -> list[str]:
    """The columns whose least and greatest value a row group states, as Parquet calls them.

    The key that comes first, that by which the table is cut, and what is not text: to compare all
    texts takes a tenth of writing, and rows that are in no order have both ends of the alphabet in
    every group.
    """
    texts = [
        pa.types.is_nested(kind) or pa.types.is_string(kind) or pa.types.is_binary(kind)
        for kind in schema.types
    ]
    keys = (schema.names[0], cut_by)
    columns = zip(schema.names, texts, strict=True)
    return [name for name, is_text in columns if name in keys or not is_text]


def write_frame(frame: DataFrame, target: Target, made: Work | None = None) -> list[Written]:
    """Write the rows of a frame, a file for each partition that has some; the files by name.

    A task that fails is run again; its first file is removed where the worker still can, and named
    by nobody otherwise.

    Args:
        frame: the rows.
        target: the table.
        made: makes of a partition what is written in its place, in the same task.
    """
    work = _Rows(target, made)
    rows = frame.mapInArrow(work, "name string, size bigint, rows bigint").collect()
    return sorted((Written(**row.asDict()) for row in rows), key=lambda written: written.name)


class _Rows:
    """Writes a partition. A class, so that workers import its code."""

    def __init__(self, target: Target, made: Work | None) -> None:
        self._target, self._made = target, made

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        with DataFileWriter(self._target) as file:
            for batch in batches if self._made is None else self._made(batches):
                file.add(pa.Table.from_batches([batch]))
            for written in file.finish():
                told = {"name": written.name, "size": written.size, "rows": written.rows}
                yield pa.RecordBatch.from_pylist([told])
