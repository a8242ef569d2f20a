"""Shards: the rows of a fold cut by a hash of their names, each spooled to Arrow files by its task.

An iterator of Spark's is read once, and epochs are many. A task writes the rows that train and
those that watch into a file each, in the order of a hash, in chunks; whoever trains reads one chunk
after the other. So the memory of a task is bounded by the chunk, and the disk by the shard. A task
that is tried again writes the same files anew, and each comes to be by one rename.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.estimators.networks.architecture import Architecture, Array
from beatlake.learn.folds import BUCKET, BUCKETS, LABEL, ROW, WATCHES, WEIGHT, Fold
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

#: Rows of a chunk.
CHUNK = 8192
_DDL = (
    "shard int, rows long, watching long, mean double, squares double, sha256 string,"
    " seconds double"
)


@dataclass(frozen=True)
class Rows:
    """Some rows as arrays, the same number in each."""

    numbers: Array
    places: Array
    label: Array
    weight: Array

    def __len__(self) -> int:
        return len(self.label)

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
        )


def _binary(values: Array) -> pa.Array:
    """A row of numbers as the bytes of one value, whatever their number, none included."""
    import pyarrow as pa

    width = values.shape[1] * values.dtype.itemsize
    buffers = [None, pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(width), len(values), buffers)


def _numbers(values: pa.Array, dtype: Any) -> Array:
    width = values.type.byte_width
    if not width:
        return np.empty((len(values), 0), dtype=dtype)
    data = values.buffers()[1][values.offset * width : (values.offset + len(values)) * width]
    return np.frombuffer(data, dtype=dtype).reshape(len(values), -1)


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
            if order is not None:
                order.shuffle(places)
            for place in places:
                batch = file.get_batch(int(place))
                yield Rows(
                    _numbers(batch.column(0), np.float32),
                    _numbers(batch.column(1), np.int64),
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
class Shard:
    """One shard, and what was counted as it was written.

    Args:
        place: among the shards.
        folder: of the files.
        rows: that train.
        watching: rows that watch.
        mean: of the labels of those that train.
        squares: sum of their squared distances from it.
        sha256: of all rows.
    """

    place: int
    folder: Path
    rows: int
    watching: int
    mean: float
    squares: float
    sha256: str

    @property
    def training(self) -> Spooled:
        """The rows that train."""
        return Spooled(self.folder / f"train-{self.place}.arrow")

    @property
    def validation(self) -> Spooled:
        """The rows that watch."""
        return Spooled(self.folder / f"watch-{self.place}.arrow")


def spool(
    spark: SparkSession,
    fold: Fold,
    architecture: Architecture,
    folder: Path,
    shards: int,
    *,
    sample: float = 1.0,
    stratified: bool = False,
) -> list[Shard]:
    """Cut a fold into shards, a task for each.

    Args:
        spark: does the work.
        fold: the rows.
        architecture: says what rows are made into.
        folder: that all workers see; it must not be there yet.
        shards: how many.
        sample: share of the groups that are taken.
        stratified: whether each class has at least that share of its own rows.

    Raises:
        InputError: no row is left that trains, or the rows have no groups to be sampled by.
    """
    from pyspark.sql import functions as F

    folder.mkdir(parents=True)
    frame = spark.read.parquet(str(fold.path))
    if sample < 1:
        frame = frame.filter(sampled(frame, sample, stratified))
    frame = frame.repartition(shards, ROW).sortWithinPartitions(F.md5(F.col(ROW)), ROW)
    read = frame.select(LABEL, WEIGHT, WATCHES, *fold.columns)
    found = read.mapInArrow(_Spool(str(folder), architecture), _DDL).toArrow().to_pylist()
    made = sorted(
        (Shard(row["shard"], folder, *(row[name] for name in _COUNTED)) for row in found),
        key=lambda shard: shard.place,
    )
    if [shard.place for shard in made] != list(range(shards)):
        raise InputError(f"{shards} shards were to be written, and there are {len(made)}.")
    if not sum(shard.rows for shard in made):
        raise InputError("The sample holds no row that trains: take a larger one.")
    return made


_COUNTED = ("rows", "watching", "mean", "squares", "sha256")


def sampled(frame: DataFrame, sample: float, stratified: bool) -> Column:
    """Whether a row is of the sample: of the first so many hash buckets of the group key.

    A larger sample holds every smaller one. Of classes that are sampled by themselves each takes
    its own first buckets, until they hold the share of its training rows.

    Raises:
        InputError: the rows have no buckets, being made by a resampler.
    """
    from pyspark.sql import functions as F

    if BUCKET not in frame.columns:
        raise InputError(
            "A sample is of groups, and rows that a resampler made have none: take all rows"
            " (sample: 1), or weigh the classes (resampling: {how: class_weights})."
        )
    if not stratified:
        return F.col(BUCKET) < max(1, round(sample * BUCKETS))
    counted = frame.filter(~F.col(WATCHES)).groupBy(LABEL, BUCKET).count().toArrow().to_pylist()
    below = F.lit(False)
    for label in sorted({row[LABEL] for row in counted}):
        own = sorted((row[BUCKET], row["count"]) for row in counted if row[LABEL] == label)
        wanted = sample * sum(count for _, count in own)
        held = 0
        last = -1
        for bucket, count in own:
            if held >= wanted:
                break
            held, last = held + count, bucket
        below = below | ((F.col(LABEL) == label) & (F.col(BUCKET) <= last))
    return below


@dataclass(frozen=True)
class _Spool:
    """Writes the shard of a task. A class, so that workers import its code."""

    folder: str
    architecture: Architecture

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import time

        import pyarrow as pa
        from pyspark import TaskContext

        forget_archives()
        started = time.monotonic()
        context = TaskContext.get()
        assert context is not None
        shard = context.partitionId()
        folder = Path(self.folder)
        with (
            _Writer(folder / f"train-{shard}.arrow") as train,
            _Writer(folder / f"watch-{shard}.arrow") as watch,
        ):
            for batch in batches:
                numbers, places = self.architecture.encoded(batch)
                rows = Rows(
                    numbers,
                    places,
                    _numpy(batch, LABEL).astype(np.float64),
                    _numpy(batch, WEIGHT).astype(np.float32),
                )
                watches = _numpy(batch, WATCHES).astype(bool)
                train.add(rows.take(~watches))
                watch.add(rows.take(watches))
        moments = train.moments
        sha256 = hashlib.sha256(f"{train.sha256} {watch.sha256}".encode()).hexdigest()
        seconds = time.monotonic() - started
        yield pa.RecordBatch.from_pylist(
            [
                {
                    "shard": shard,
                    "rows": train.rows,
                    "watching": watch.rows,
                    "mean": moments.mean,
                    "squares": moments.squares,
                    "sha256": sha256,
                    "seconds": seconds,
                }
            ],
            schema=pa.schema(
                [
                    ("shard", pa.int32()),
                    ("rows", pa.int64()),
                    ("watching", pa.int64()),
                    ("mean", pa.float64()),
                    ("squares", pa.float64()),
                    ("sha256", pa.string()),
                    ("seconds", pa.float64()),
                ]
            ),
        )


def _numpy(batch: pa.RecordBatch, name: str) -> Array:
    found: Array = batch.column(name).to_numpy(zero_copy_only=False)
    return found


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared distances from it, of numbers that come in parts.

    Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance".
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

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
        mean = float(values.mean())
        return cls(len(values), mean, float(((values - mean) ** 2).sum()))


@dataclass
class _Writer:
    """Writes rows in chunks; the file is there once all are written."""

    path: Path
    rows: int = 0
    moments: Moments = field(default_factory=Moments)
    _left: list[Rows] = field(default_factory=list)

    def __enter__(self) -> _Writer:
        import pyarrow as pa

        handle, self._temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".spool-")
        os.close(handle)
        self._sink = pa.OSFile(self._temporary, "wb")
        self._file: Any = None
        self._digest = hashlib.sha256()
        return self

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, rows: Rows) -> None:
        if len(rows):
            self._left.append(rows)
        if sum(map(len, self._left)) >= CHUNK:
            held = Rows.joined(self._left)
            whole = len(held) - len(held) % CHUNK
            for start in range(0, whole, CHUNK):
                self._write(held.take(slice(start, start + CHUNK)))
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
