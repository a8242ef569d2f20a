"""Running queries on Spark."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa

from beatlake.datafiles import Target, Written
from beatlake.exchange.query import Dealt, Query, Scanned, Whole
from beatlake.exchange.tasks import COUNTS, Alone, Bucket, Deal, Scan, Write
from beatlake.quality.counting import Tally, added_up
from beatlake.tables.spec import SpecError, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: What has no more values than this is done in one task: moving rows would cost more.
_SMALL_VALUES = 2_000_000
_PARCELS_DDL = "bucket int, source int, rows binary"


@dataclass
class Done:
    """What became of a query: the files that its rows are in, and what was counted."""

    files: list[Written]
    tallies: list[Tally]


def write(
    spark: SparkSession, query: Query, table: Table, target: Target, task_values: int
) -> Done:
    """Run a query and write its rows as data files of a table, one for each task that has some.

    A task that fails is run again; its first file is removed where the worker still can, and named
    by nobody otherwise.

    Args:
        spark: a session.
        query: the query.
        table: the spec that the rows must fit.
        target: where the table lies.
        task_values: how many values (rows times columns) a task may hold.

    Raises:
        SpecError: the query does not give what the spec says.
    """
    _check(query.schema, table)
    sink = Write(target, dict(table.checks), table.name)
    reports = [json.loads(told) for told in _told(spark, query, sink, task_values)]
    tallies = [Tally(**t) for report in reports for t in report["tallies"]]
    files = [Written(**f) for report in reports for f in report["files"]]
    return Done(sorted(files, key=lambda f: f.name), added_up(tallies))


def collect(spark: SparkSession, query: Query, task_values: int) -> pa.Table:
    """The rows of a query, which must be few; those of each task follow one another."""
    told = _told(spark, query, Deal(0, (), 1), task_values)
    tables = [pa.ipc.open_stream(rows).read_all() for rows in told]
    return pa.concat_tables([query.schema.empty_table(), *tables])


def _told(spark: SparkSession, query: Query, sink: Deal | Write, task_values: int) -> list[bytes]:
    """What the last tasks of a query hand on, without what was counted for the next ones."""
    spread = len(query.sources) > len(query.of_kind(Whole))
    if not spread or query.is_small(min(task_values, _SMALL_VALUES)):
        parcels = spark.range(0, 1, 1, 1).mapInArrow(Alone(query, sink), _PARCELS_DDL)
    else:
        parcels = _parcels(spark, query, sink, task_values)
    return [bytes(p["rows"]) for p in parcels.collect() if p["source"] != COUNTS]


def _check(found: pa.Schema, table: Table) -> None:
    expected = {c.name: t for c, t in zip(table.columns, table.arrow_schema.types, strict=True)}
    given = dict(zip(found.names, found.types, strict=True))
    problems = [f"missing column {name}" for name in expected if name not in given]
    problems += [f"unexpected column {name}" for name in given if name not in expected]
    problems += [
        f"{name} is {given[name]}, expected {kind}"
        for name, kind in expected.items()
        if name in given and given[name] != kind
    ]
    if problems:
        raise SpecError(f"{table.name} does not match its spec: " + "; ".join(problems) + ".")


def _parcels(spark: SparkSession, query: Query, sink: Deal | Write, task_values: int) -> DataFrame:
    """What a query's tasks hand on, a row for each parcel."""
    scanned = query.of_kind(Scanned)
    if scanned:
        ((_, source),) = scanned
        # A table without files has a task, too: that nothing was counted must be said.
        files = source.table.files or (None,)
        tasks = spark.range(0, len(files), 1, len(files))
        return tasks.mapInArrow(Scan(query, sink), _PARCELS_DDL)
    buckets = query.buckets(task_values)
    dealt = [
        _parcels(spark, source.rows, Deal(number, source.by, buckets), task_values)
        for number, (_, source) in enumerate(query.of_kind(Dealt))
    ]
    together = reduce(lambda one, other: one.unionAll(other), dealt)
    return together.repartitionById(buckets, "bucket").mapInArrow(Bucket(query, sink), _PARCELS_DDL)
