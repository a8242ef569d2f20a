"""The splits of a surveyed file, each given to a function in a task of its own."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from beatlake.ingest.csv.reader import read_split
from beatlake.ingest.csv.rules import CsvLimits
from beatlake.ingest.csv.survey import FileSurvey
from beatlake.ingest.csv.survey import splits as cut
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# About ten seconds of work for a task, and small enough that the last tasks end together.
SPLIT_BYTES = 64 << 20

#: What is done with the batches of a split, given the index of its part; the answer is a text.
Work = Callable[[int, Iterator[pa.RecordBatch]], str]


def scan(
    spark: SparkSession,
    survey: FileSurvey,
    columns: Sequence[str],
    limits: CsvLimits,
    work: Work,
    *,
    split_bytes: int = SPLIT_BYTES,
) -> list[str]:
    """What ``work`` says of each split of a file, in the file's order.

    It is pickled, runs in the workers, and gets every physical record of the file once, as
    `read_split` gives them. A task that fails is run again, so that a split may be worked on more
    than once; the answer of one of these counts. Workers need beatlake on their path and the
    files at the surveyed addresses.

    Raises (in the task):
        CsvInputError: a part cannot be read or is no longer the one that was surveyed.
    """
    # Pickled one by one, so that a worker unpacks its own task's offsets and no others.
    tasks = tuple(
        pickle.dumps((survey.parts[split.part_index].near(split), split))
        for split in cut(survey, split_bytes)
    )
    if not tasks:
        return []
    ids = spark.range(0, len(tasks), 1, len(tasks))
    said = ids.mapInArrow(_Task(tasks, tuple(columns), limits, work), "id bigint, said string")
    return [row["said"] for row in sorted(said.collect(), key=lambda row: row["id"])]


class _Task:
    """Works on the splits whose numbers it is given. A class, so that workers import its code."""

    def __init__(
        self, tasks: tuple[bytes, ...], columns: tuple[str, ...], limits: CsvLimits, work: Work
    ) -> None:
        """Takes the pickled part and split of each task."""
        self._tasks, self._columns, self._limits, self._work = tasks, columns, limits, work

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        for batch in batches:
            for task in batch.column(0).to_pylist():
                part, split = pickle.loads(self._tasks[task])
                read = read_split(part, split, self._columns, self._limits)
                said = self._work(split.part_index, read)
                yield pa.RecordBatch.from_pydict(
                    {"id": pa.array([task], pa.int64()), "said": pa.array([said], pa.string())}
                )
