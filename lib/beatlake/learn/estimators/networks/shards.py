"""Shards: the rows of a fold cut by a hash of their names, each spooled to files by its task.

A task writes the rows that train and those that watch into a file each (`spooled`), in the order of
a hash. One that is tried again writes the same files anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.estimators.answer import column
from beatlake.learn.estimators.networks.architecture import Architecture
from beatlake.learn.estimators.networks.spooled import CHUNK_BYTES, Rows, Spooled, Writer
from beatlake.learn.folds import BUCKET, BUCKETS, LABEL, ROW, STRATUM, WATCHES, WEIGHT, Fold
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import Column, DataFrame, SparkSession

#: What a task tells of its shard: what `Shard` holds, but for the folder.
_DDL = "place long, rows long, watching long, mean double, squares double, sha256 string"

#: Bytes of an Arrow batch that Spark gives a task.
_BATCH = "spark.sql.execution.arrow.maxBytesPerBatch"


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


def rows_of(shards: Iterable[Shard]) -> int:
    """The rows that train."""
    return sum(shard.rows for shard in shards)


def watched(shards: Iterable[Shard]) -> bool:
    """Whether any rows watch."""
    return any(shard.watching for shard in shards)


def spool(
    spark: SparkSession,
    fold: Fold,
    architecture: Architecture,
    folder: Path,
    shards: int,
    *,
    sample: float = 1.0,
) -> list[Shard]:
    """Cut a fold into shards, a task for each.

    Args:
        spark: does the work.
        fold: the rows.
        architecture: says what rows are made into.
        folder: that all workers see; it must not be there yet.
        shards: how many.
        sample: share of the groups that are taken; see `sampled`.

    Raises:
        InputError: no row is left that trains, or the rows have no groups to be sampled by.
    """
    from pyspark.sql import functions as F

    folder.mkdir(parents=True)
    frame = spark.read.parquet(str(fold.path))
    if sample < 1:
        frame = frame.filter(sampled(frame, sample))
    frame = frame.repartition(shards, ROW).sortWithinPartitions(F.md5(F.col(ROW)), ROW)
    read = frame.select(LABEL, WEIGHT, WATCHES, *fold.columns)
    work = read.mapInArrow(_Spool(str(folder), architecture), _DDL)
    with _small_batches(spark) if fold.image else nullcontext():
        found = work.toArrow().to_pylist()
    made = sorted((Shard(folder=folder, **row) for row in found), key=lambda shard: shard.place)
    if [shard.place for shard in made] != list(range(shards)):
        raise InputError(f"{shards} shards were to be written, and there are {len(made)}.")
    if not rows_of(made):
        raise InputError("The sample holds no row that trains: take a larger one.")
    return made


@contextmanager
def _small_batches(spark: SparkSession) -> Iterator[None]:
    """Have Spark give tasks as many bytes at a time as a chunk holds: rows of images are large."""
    before = spark.conf.get(_BATCH)
    assert before is not None
    spark.conf.set(_BATCH, str(CHUNK_BYTES))
    try:
        yield
    finally:
        spark.conf.set(_BATCH, before)


def sampled(frame: DataFrame, sample: float) -> Column:
    """Whether a row is of the sample: of the first so many hash buckets of the group key.

    A larger sample holds every smaller one. Where rows are of strata, each takes its own first
    buckets, until they hold the share of its training rows.

    Raises:
        InputError: the rows have no buckets, being made by a resampler.
    """
    from pyspark.sql import functions as F

    if BUCKET not in frame.columns:
        raise InputError(
            "A sample is of groups, and rows that a resampler made have none: take all rows"
            " (sample: 1), or weigh the classes (resampling: {how: class_weights})."
        )
    if STRATUM not in frame.columns:
        return F.col(BUCKET) < max(1, round(sample * BUCKETS))
    training = frame.filter(~F.col(WATCHES))
    counted = training.groupBy(STRATUM, BUCKET).count().toArrow().to_pylist()
    below = F.lit(False)
    for stratum in sorted({row[STRATUM] for row in counted}):
        own = sorted((row[BUCKET], row["count"]) for row in counted if row[STRATUM] == stratum)
        wanted = sample * sum(count for _, count in own)
        held = 0
        last = -1
        for bucket, count in own:
            if held >= wanted:
                break
            held, last = held + count, bucket
        below = below | ((F.col(STRATUM) == stratum) & (F.col(BUCKET) <= last))
    return below


@dataclass(frozen=True)
class _Spool:
    """Writes the shard of a task. A class, so that workers import its code."""

    folder: str
    architecture: Architecture

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark import TaskContext

        forget_archives()
        context = TaskContext.get()
        assert context is not None
        shard = context.partitionId()
        folder = Path(self.folder)
        with (
            Writer(folder / f"train-{shard}.arrow") as train,
            Writer(folder / f"watch-{shard}.arrow") as watch,
        ):
            for batch in batches:
                seen, places = self.architecture.encoded(batch)
                rows = Rows(
                    seen,
                    places,
                    column(batch, LABEL).astype(np.float64),
                    column(batch, WEIGHT).astype(np.float32),
                )
                watches = column(batch, WATCHES).astype(bool)
                train.add(rows.take(~watches))
                watch.add(rows.take(watches))
        told = {
            "place": shard,
            "rows": train.rows,
            "watching": watch.rows,
            "mean": float(train.moments.mean),
            "squares": float(train.moments.squares),
            "sha256": hashlib.sha256(f"{train.sha256} {watch.sha256}".encode()).hexdigest(),
        }
        yield pa.RecordBatch.from_pylist([told])
