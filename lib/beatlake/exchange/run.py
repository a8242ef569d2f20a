"""Running queries on Spark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa

from beatlake.datafiles import Target, Written
from beatlake.exchange.query import Dealt, Query, Scanned, Whole
from beatlake.exchange.tasks import COUNTS, Alone, Bucket, Deal, Scan, Write
from beatlake.quality.counting import Tally, added_up
from beatlake.tables.spec import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

#: What has no more values than this is done in one task: moving rows would cost more.
_SMALL_VALUES = 2_000_000
_PARCELS_DDL = "bucket int, source int, rows binary"


@dataclass
class Done:
    """What became of a query: the files that its rows are in, and what was counted."""

    files: list[Written]
    tallies: list[Tally]


@dataclass(frozen=True)
class Output:
    """A table to write: its spec, where it lies, and the query that gives its rows."""

    table: Table
    target: Target
    query: Query


def write(spark: SparkSession, outputs: Sequence[Output], task_values: int) -> list[Done]:
    """Run queries and write their rows as data files, one for each task that has some.

    A task that fails is run again; its first file is removed where the worker still can, and named
    by nobody otherwise.

    Args:
        spark: a session.
        outputs: the tables. Several must be of queries of the very same sources, which are then
            gathered once.
        task_values: how many values (rows times columns) a task may hold.

    Returns:
        What became of each, in their order.

    Raises:
        SpecError: a query does not give what the spec says.
        ValueError: the queries are of different sources.
    """
    asked: list[tuple[Query, Deal | Write]] = []
    for number, output in enumerate(outputs):
        output.table.require(output.query.schema)
        sink = Write(number, output.target, dict(output.table.checks), output.table.name)
        asked.append((output.query, sink))
    done = [Done([], []) for _ in outputs]
    for parcel in _told(spark, asked, task_values):
        report = json.loads(bytes(parcel["rows"]))
        done[parcel["bucket"]].tallies.extend(Tally(**t) for t in report["tallies"])
        done[parcel["bucket"]].files.extend(Written(**f) for f in report["files"])
    return [Done(sorted(d.files, key=lambda f: f.name), added_up(d.tallies)) for d in done]


def collect(spark: SparkSession, query: Query, task_values: int) -> pa.Table:
    """The rows of a query, which must be few; those of each task follow one another."""
    told = _told(spark, [(query, Deal(0, (), 1))], task_values)
    tables = [pa.ipc.open_stream(parcel["rows"]).read_all() for parcel in told]
    return pa.concat_tables([query.schema.empty_table(), *tables])


def _told(
    spark: SparkSession, asked: Sequence[tuple[Query, Deal | Write]], task_values: int
) -> list[Row]:
    """What the last tasks hand on, without what was counted for the next ones."""
    query, _ = asked[0]
    if any(other.sources is not query.sources for other, _ in asked):
        raise ValueError("Queries that are asked together must have the same sources.")
    spread = len(query.sources) > len(query.of_kind(Whole))
    if not spread or query.is_small(min(task_values, _SMALL_VALUES)):
        parcels = spark.range(0, 1, 1, 1).mapInArrow(Alone(asked), _PARCELS_DDL)
    else:
        parcels = _parcels(spark, asked, task_values)
    return [parcel for parcel in parcels.collect() if parcel["source"] != COUNTS]


def _parcels(
    spark: SparkSession, asked: Sequence[tuple[Query, Deal | Write]], task_values: int
) -> DataFrame:
    """What the tasks of queries of the same sources hand on, a row for each parcel."""
    query, _ = asked[0]
    scanned = query.of_kind(Scanned)
    if scanned:
        ((_, source),) = scanned
        # A table without files has a task, too: that nothing was counted must be said.
        number = len(source.table.files) or 1
        tasks = spark.range(0, number, 1, number)
        return tasks.mapInArrow(Scan(asked), _PARCELS_DDL)
    buckets = query.buckets(task_values)
    dealt = [
        _parcels(spark, [(source.rows, Deal(number, source.by, buckets))], task_values)
        for number, (_, source) in enumerate(query.of_kind(Dealt))
    ]
    together = reduce(lambda one, other: one.unionAll(other), dealt)
    return together.repartitionById(buckets, "bucket").mapInArrow(Bucket(asked), _PARCELS_DDL)
