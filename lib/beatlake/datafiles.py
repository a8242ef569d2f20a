"""The data files of tables, written by Spark's Python workers with Arrow.

Whole columns at a time, which costs a fraction of Spark's own way of writing row by row. A file
belongs to no table before the driver commits it (`beatlake.lake`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from beatlake.workers import forget_archives

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Rows are gathered to so many bytes before they are written as a row group.
_GROUP_BYTES = 64 << 20
_CODEC = "snappy"


@dataclass(frozen=True)
class Target:
    """The directory of a table, which all workers see, and the table's columns."""

    directory: Path
    schema: pa.Schema


@dataclass(frozen=True)
class Written:
    """A data file that is there: its name in the table's directory, bytes and rows."""

    name: str
    size: int
    rows: int


class DataFileWriter:
    """Writes one Parquet file, which comes to be with its first rows and is gone after an error."""

    def __init__(self, target: Target) -> None:
        """For a table; nothing is written yet."""
        self._target = target
        self._path = target.directory / f"part-{uuid4()}.{_CODEC}.parquet"
        self._waiting: list[pa.Table] = []
        self._waiting_bytes = self._rows = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> DataFileWriter:
        """The writer itself."""
        return self

    def add(self, rows: pa.Table) -> None:
        """Write rows, perhaps later.

        Args:
            rows: the table's columns in any order, of types that fit.

        Raises:
            ValueError: a column that may not be null is.
        """
        if not rows.num_rows:
            return
        self._waiting.append(rows.select(self._target.schema.names).cast(self._target.schema))
        self._waiting_bytes += rows.nbytes
        self._rows += rows.num_rows
        if self._waiting_bytes >= _GROUP_BYTES:
            self._write()

    def _write(self) -> None:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(
                self._path, self._target.schema, compression=_CODEC, store_schema=False
            )
        group = pa.concat_tables(self._waiting)
        self._writer.write_table(group, row_group_size=group.num_rows)
        self._waiting, self._waiting_bytes = [], 0

    def finish(self) -> list[Written]:
        """Write what waits and the file's end; the file, or nothing if there were no rows."""
        if self._waiting:
            self._write()
        if self._writer is None:
            return []
        self._writer.close()
        return [Written(self._path.name, self._path.stat().st_size, self._rows)]

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


def write_frame(frame: DataFrame, target: Target) -> list[Written]:
    """Write the rows of a frame, a file for each partition that has some; the files by name.

    A task that fails is run again; its first file is removed where the worker still can, and named
    by nobody otherwise.
    """
    rows = frame.mapInArrow(_Rows(target), "name string, size bigint, rows bigint").collect()
    return sorted((Written(**row.asDict()) for row in rows), key=lambda written: written.name)


class _Rows:
    """Writes a partition. A class, so that workers import its code."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        with DataFileWriter(self._target) as file:
            for batch in batches:
                file.add(pa.Table.from_batches([batch]))
            for written in file.finish():
                yield pa.RecordBatch.from_pylist([written.__dict__])
