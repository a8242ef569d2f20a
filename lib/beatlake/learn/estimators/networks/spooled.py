"""Files of rows as Arrow: written in chunks by a task, and read again in every epoch.

An iterator of Spark's is read once, and epochs are many. So the memory of a task is bounded by the
chunk, and the disk by the rows. Each file comes to be by one rename, once all rows are written.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.learn.estimators.answer import Array, fixed
from beatlake.learn.folds import LABEL, WEIGHT

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows of a chunk, or bytes of their numbers, where these are fewer rows.
CHUNK, CHUNK_BYTES = 8192, 16 << 20
#: What the numbers are: of images single bytes.
_KIND = b"numbers"


@dataclass(frozen=True)
class Rows:
    """Some rows as arrays, the same number in each.

    Args:
        numbers: of each row, as float32; or the bytes of its image.
        places: of its categories.
        label: the number, or the place of the class.
        weight: that its loss has.
    """

    numbers: Array
    places: Array
    label: Array
    weight: Array

    def __len__(self) -> int:
        return len(self.label)

    @property
    def chunk(self) -> int:
        """Rows of such a width that make a chunk."""
        width = max(1, int(self.numbers.shape[1]) * self.numbers.itemsize)
        return max(1, min(CHUNK, CHUNK_BYTES // width))

    def take(self, which: Any) -> Rows:
        """Those at some places, or of a slice."""
        return Rows(self.numbers[which], self.places[which], self.label[which], self.weight[which])

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Rows after one another."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("numbers", "places", "label", "weight")
            )
        )

    def batch(self) -> pa.RecordBatch:
        """The rows as Arrow writes them."""
        import pyarrow as pa

        return pa.record_batch(
            [
                _binary(self.numbers),
                _binary(self.places),
                pa.array(self.label),
                pa.array(self.weight),
            ],
            names=["numbers", "places", LABEL, WEIGHT],
            metadata={_KIND: self.numbers.dtype.name},
        )


def _binary(values: Array) -> pa.Array:
    """A row of numbers as the bytes of one value, whatever their number, none included."""
    import pyarrow as pa

    width = values.shape[1] * values.dtype.itemsize
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(width), len(values), buffers)


@dataclass(frozen=True)
class Spooled:
    """A file of rows."""

    path: Path

    def chunks(self, order: np.random.Generator | None = None) -> Iterator[Rows]:
        """The rows, a chunk at a time; the chunks in the file's order, or in a random one."""
        import pyarrow as pa

        # Read, not mapped: what is mapped counts as memory of the process.
        with pa.OSFile(str(self.path)) as source, pa.ipc.open_file(source) as file:
            places = np.arange(file.num_record_batches)
            kind = (file.schema.metadata or {}).get(_KIND, b"float32").decode()
            if order is not None:
                order.shuffle(places)
            for place in places:
                batch = file.get_batch(int(place))
                yield Rows(
                    fixed(batch.column(0), kind),
                    fixed(batch.column(1), np.int64),
                    batch.column(2).to_numpy(),
                    batch.column(3).to_numpy(),
                )

    def batches(self, size: int, random: np.random.Generator) -> Iterator[Rows]:
        """All rows once, in batches of a size, the last one smaller; in an order drawn anew.

        The file is in the order of a hash, so that rows that are shuffled within their chunks, and
        these among themselves, meet in every batch as they would if all were shuffled.
        """
        left: list[Rows] = []
        for chunk in self.chunks(random):
            rows = Rows.joined([*left, chunk.take(random.permutation(len(chunk)))])
            whole = len(rows) - len(rows) % size
            for start in range(0, whole, size):
                yield rows.take(slice(start, start + size))
            left = [rows.take(slice(whole, None))]
        if left and len(left[0]):
            yield left[0]


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared distances from it, of numbers that come in parts.

    Of rows of numbers each of these is an array, column by column.

    Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance".
    """

    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0

    def joined(self, other: Moments) -> Moments:
        """Those of both parts together.

        >>> Moments(1, 0.0).joined(Moments(1, 2.0))
        Moments(count=2, mean=1.0, squares=2.0)
        """
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart**2 * self.count * other.count / count,
        )

    @classmethod
    def of(cls, values: Array) -> Moments:
        """Those of some numbers."""
        if not len(values):
            return cls()
        mean = values.mean(axis=0)
        return cls(len(values), mean, ((values - mean) ** 2).sum(axis=0))


@dataclass
class Writer:
    """Writes rows in chunks; the file is there once all are written."""

    path: Path
    rows: int = 0
    moments: Moments = field(default_factory=Moments)
    _left: list[Rows] = field(default_factory=list)

    def __enter__(self) -> Writer:
        import pyarrow as pa

        handle, self._temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".spool-")
        os.close(handle)
        self._sink = pa.OSFile(self._temporary, "wb")
        self._file: Any = None
        self._digest = hashlib.sha256()
        return self

    @property
    def sha256(self) -> str:
        """The hash of all rows that were written."""
        return self._digest.hexdigest()

    def add(self, rows: Rows) -> None:
        """Write rows, perhaps later."""
        if len(rows):
            self._left.append(rows)
        if sum(map(len, self._left)) >= rows.chunk:
            held = Rows.joined(self._left)
            whole = len(held) - len(held) % held.chunk
            for start in range(0, whole, held.chunk):
                self._write(held.take(slice(start, start + held.chunk)))
            self._left = [held.take(slice(whole, None))]

    def _write(self, rows: Rows) -> None:
        import pyarrow as pa

        self.rows += len(rows)
        self.moments = self.moments.joined(Moments.of(rows.label))
        for array in (rows.numbers, rows.places, rows.label, rows.weight):
            self._digest.update(np.ascontiguousarray(array).tobytes())
        batch = rows.batch()
        if self._file is None:
            self._file = pa.ipc.new_file(self._sink, batch.schema)
        self._file.write_batch(batch)

    def __exit__(self, kind: object, *_: object) -> None:
        import pyarrow as pa

        try:
            if kind is None:
                if any(map(len, self._left)):
                    self._write(Rows.joined([part for part in self._left if len(part)]))
                if self._file is None:
                    self._file = pa.ipc.new_file(self._sink, pa.schema([]))
            if self._file is not None:
                self._file.close()
            self._sink.close()
            if kind is None:
                os.replace(self._temporary, self.path)
        finally:
            Path(self._temporary).unlink(missing_ok=True)
