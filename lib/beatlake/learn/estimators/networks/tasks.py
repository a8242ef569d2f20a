"""One Spark task for each shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession


def by_shard(spark: SparkSession, task: Any, ddl: str, shards: int) -> list[dict[str, Any]]:
    """What a task gives for each shard, in their order.

    Spark takes one result of each partition, however often its task was tried.
    """
    frame = spark.range(0, shards, 1, shards).mapInArrow(task, ddl)
    found: list[dict[str, Any]] = frame.toArrow().to_pylist()
    found.sort(key=lambda row: row["shard"])
    assert [row["shard"] for row in found] == list(range(shards))
    return found


def places(batches: Iterable[pa.RecordBatch]) -> Iterator[int]:
    """The shards of a task, as `by_shard` gives them to it."""
    for batch in batches:
        yield from batch.column(0).to_pylist()
