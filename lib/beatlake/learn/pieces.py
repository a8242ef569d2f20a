"""Parquet files in pieces, which Spark's Python workers read by themselves.

So rows need not pass through the JVM, which takes some 10 µs for each of twenty columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

#: Rows of a task, or bytes of them before compression, where these are fewer rows: less than what
#: its start costs would be lost in it.
_TASK_ROWS, _TASK_BYTES = 250_000, 256 << 20
#: Values that are held at a time, or bytes of them.
_BATCH_VALUES, _BATCH_BYTES = 2_000_000, 64 << 20


@dataclass(frozen=True)
class Piece:
    """Some row groups of a file that follow one another."""

    file: str
    first: int
    groups: int

    def tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """The rows with those of the columns that the file has, in the file's order.

        Names are told apart as DuckDB does, upper and lower case being the same.
        """
        wanted = {name.lower() for name in names}
        with pq.ParquetFile(self.file) as file:
            columns = [name for name in file.schema_arrow.names if name.lower() in wanted]
            rows = max(1, _BATCH_VALUES // max(1, len(columns)))
            group = file.metadata.row_group(self.first)
            # A row may be an image.
            width = group.total_byte_size / max(1, group.num_rows)
            for batch in file.iter_batches(
                max(1, min(rows, int(_BATCH_BYTES / max(1, width)))),
                row_groups=range(self.first, self.first + self.groups),
                columns=columns,
            ):
                yield pa.Table.from_batches([batch])


#: What one task reads.
Share: TypeAlias = tuple[Piece, ...]


def shares(files: Sequence[str]) -> tuple[Share, ...]:
    """All row groups of files, in order, dealt to tasks."""
    dealt: list[Share] = []
    pieces: list[Piece] = []
    rows = size = 0
    for file in files:
        found = pq.read_metadata(file)
        first = 0
        for group in range(found.num_row_groups):
            rows += found.row_group(group).num_rows
            size += found.row_group(group).total_byte_size
            if rows >= _TASK_ROWS or size >= _TASK_BYTES:
                pieces.append(Piece(file, first, group + 1 - first))
                dealt.append(tuple(pieces))
                pieces, rows, size, first = [], 0, 0, group + 1
        if first < found.num_row_groups:
            pieces.append(Piece(file, first, found.num_row_groups - first))
    return (*dealt, tuple(pieces)) if rows else tuple(dealt)
