"""A surveyed file as a Spark frame."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from beatlake.ingest.csv.reader import batch_schema, read_split
from beatlake.ingest.csv.rules import CsvLimits
from beatlake.ingest.csv.survey import FileSurvey, Split
from beatlake.ingest.csv.survey import splits as cut

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# About ten seconds of work for a task, and small enough that the last tasks end together.
SPLIT_BYTES = 64 << 20

_SPARK_TYPES = {pa.string(): "string", pa.int32(): "int", pa.int64(): "bigint"}


class Convert(Protocol):
    """What makes other rows of the reader's, as many and in the same order, in the workers.

    It is pickled.
    """

    @property
    def types(self) -> Mapping[str, str]:
        """Spark's types of the columns by name."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch of these types from one of the reader's."""


class _AsRead:
    """The reader's rows as they are."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.types: Mapping[str, str] = {
            field.name: _SPARK_TYPES[field.type] for field in batch_schema(columns)
        }

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch


def scan(
    spark: SparkSession,
    survey: FileSurvey,
    columns: Sequence[str],
    limits: CsvLimits,
    *,
    convert: Convert | None = None,
    splits: Sequence[Split] | None = None,
    split_bytes: int = SPLIT_BYTES,
) -> DataFrame:
    """One row for each physical record of the file, the columns as in `batch_schema` or `convert`.

    Grain: the record; key: (part_index, byte_offset). The rows do not depend on the splits, which
    are cut after `split_bytes` unless given; a task reads one, or of those given as many as make
    `split_bytes`. The frame is lazy and reads the files each time that it is evaluated. Workers
    need beatlake on their path and the files at the surveyed addresses.

    Raises (in the task):
        CsvInputError: a part cannot be read or is no longer the one that was surveyed.
    """
    chosen = cut(survey, split_bytes) if splits is None else splits
    converted: Convert = _AsRead(columns) if convert is None else convert
    schema = ", ".join(
        f"`{name.replace('`', '``')}` {kind}" for name, kind in converted.types.items()
    )
    tasks = tuple(
        pickle.dumps((survey.parts[split.part_index].near(split), split)) for split in chosen
    )
    # Given splits may be many and small, and a task costs more than reading some kilobytes.
    wanted = sum(split.end - split.start for split in chosen)
    n_tasks = len(tasks) if splits is None else min(len(tasks), -(-wanted // split_bytes))
    ids = spark.range(0, len(tasks), 1, max(n_tasks, 1))
    return ids.mapInArrow(_SplitReader(tasks, tuple(columns), limits, converted), schema)


class _SplitReader:
    """Reads the splits whose numbers it is given. A class, so that workers import its code."""

    def __init__(
        self,
        tasks: tuple[bytes, ...],
        columns: tuple[str, ...],
        limits: CsvLimits,
        convert: Convert,
    ) -> None:
        """Takes the pickled part and split of each task."""
        # Pickled one by one, so that a worker unpacks its own task's offsets and no others.
        self._tasks, self._columns, self._limits = tasks, columns, limits
        self._convert = convert

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                part, split = pickle.loads(self._tasks[task])
                for read in read_split(part, split, self._columns, self._limits):
                    yield self._convert(read)
