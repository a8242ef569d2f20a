"""Running queries on Spark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa

from beatlake.buckets import UNCUT, Cut
from beatlake.datafiles import Target, Written
from beatlake.environment import total_memory_mb
from beatlake.exchange.query import Dealt, Query, Scanned, select
from beatlake.exchange.stored import Stored
from beatlake.exchange.tasks import BUCKET, COUNTS, Deal, Join, Scan, Write
from beatlake.quality.counting import Tally, added_up
from beatlake.tables.spec import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

    from beatlake.session import SparkSettings

#: What one task does by itself for each MB of memory: some 16 bytes a value, of which DuckDB holds
#: a part.
_PER_MB = 40_000
#: The same on a cluster, and so many slots a cluster has at least: fewer are filled by stages that
#: run side by side, where dealing rows only adds work.
_ON_A_CLUSTER, _SLOTS_OF_A_CLUSTER = 20_000_000, 5
#: What is not worth a second task, and what one holds without putting any of it aside, in values.
_HARDLY_ANY, _HELD = 2_000_000, 20_000_000
#: What one task holds within DuckDB's memory where nothing can be put aside, in values: each takes
#: up to 36 bytes, by the sizes of groups.
ALL_HELD = 50_000_000
#: To find ranges of even size, so many values are looked at for each.
_SAMPLED = 1_000
#: So many buckets share a file and a task: fewer files to open, and tasks worth their start.
_TOGETHER = 2
_PARCELS_DDL = "bucket int, source int, rows binary"


@dataclass
class Done:
    """What became of a query: the files that its rows are in, and what was counted."""

    files: list[Written]
    tallies: list[Tally]


@dataclass(frozen=True)
class Output:
    """A table to write: its spec, where it lies, the query of its rows, and how it is cut."""

    table: Table
    target: Target
    query: Query
    cut: Cut = UNCUT


@dataclass(frozen=True)
class Sizes:
    """How much a task may hold, in values (rows times columns).

    Args:
        task_values: where rows are dealt to buckets.
        alone_values: a query of which no step has more is done by one task: moving rows would
            cost more than the cores of other machines give.
        bucket_rows: tables are cut into buckets of about so many rows.
        cores: how many cores a task may use that runs alone.
    """

    task_values: int
    alone_values: int
    bucket_rows: int
    cores: int = 1

    def alone(self, query: Query) -> bool:
        """Whether one task does all of a query."""
        if query.of_kind(Scanned):
            # Data files that are only read are read side by side.
            return query.is_small(min(self.alone_values, _HARDLY_ANY))
        if not query.of_kind(Dealt):
            return True
        if query.holds * query.rows > ALL_HELD:
            return False
        # Rows that lie in buckets need not move to be shared out.
        limit = self.alone_values if query.cut == UNCUT else min(self.alone_values, _HELD)
        return query.is_small(limit)

    @classmethod
    def of(cls, spark: SparkSession, settings: SparkSettings) -> Sizes:
        """What suits a session: few cores do alone what a machine's memory and disk allow.

        Machines of a small cluster are taken to be like the driver's.
        """
        # Workers import this module, and need not have what checks settings.
        from beatlake.session import cores_of_machine, slots

        cores, others = cores_of_machine(spark)
        many = others and (slots(spark) or _SLOTS_OF_A_CLUSTER) >= _SLOTS_OF_A_CLUSTER
        fitting = _ON_A_CLUSTER if many else total_memory_mb() * _PER_MB
        alone = settings.alone_values or fitting
        return cls(settings.task_values, alone, settings.bucket_rows, cores)


def write(spark: SparkSession, outputs: Sequence[Output], sizes: Sizes) -> list[Done]:
    """Run queries and write their rows as data files, one for each task that has some.

    The files of a table that is cut are one for each bucket; one of no more rows than a bucket
    should have is not cut. A task that fails is run again; its first files are removed where the
    worker still can, and named by nobody otherwise.

    Args:
        spark: a session.
        outputs: the tables. Several must be of queries of the very same sources, which are then
            gathered once, and not be cut into buckets.
        sizes: how much a task may hold.

    Returns:
        What became of each, in their order.

    Raises:
        SpecError: a query does not give what the spec says.
        ValueError: the queries are of different sources.
    """
    asked: list[tuple[Query, Deal | Write]] = []
    for number, output in enumerate(outputs):
        table, query = output.table, output.query
        table.require(query.schema)
        cut = output.cut if table.bucket_by and query.rows > sizes.bucket_rows else UNCUT
        if table.bucket_by and cut != UNCUT and not _ends_in_buckets(query, output, sizes):
            # Each of many tasks would write a small file for each bucket.
            query = Query("SELECT * FROM rows", {"rows": Dealt(query, (table.bucket_by,), cut)})
        sink = Write(number, output.target, dict(table.checks), table.name, table.bucket_by, cut)
        asked.append((query, sink))
    done = [Done([], []) for _ in outputs]
    for parcel in _told(spark, asked, sizes):
        report = json.loads(bytes(parcel["rows"]))
        done[parcel["bucket"]].tallies.extend(Tally(**t) for t in report["tallies"])
        done[parcel["bucket"]].files.extend(Written(**f) for f in report["files"])
    return [Done(sorted(d.files, key=lambda f: f.name), added_up(d.tallies)) for d in done]


def _ends_in_buckets(query: Query, output: Output, sizes: Sizes) -> bool:
    """Whether the last tasks of a query have all rows, or those of some buckets."""
    by = {source.by for _, source in query.of_kind(Dealt)}
    return sizes.alone(query) or (query.cut == output.cut and by == {(output.table.bucket_by,)})


def ranges(spark: SparkSession, table: Stored, column: str, sizes: Sizes) -> Cut:
    """How tables are cut by a column: into ranges with about ``bucket_rows`` rows of a table each.

    They follow from the values alone, of a sample by their hash.
    """
    buckets = -(-table.rows // sizes.bucket_rows)
    if buckets < 2:
        return UNCUT
    share = max(1, table.rows // (buckets * _SAMPLED))
    values = select(table, column, where=f"hash({column}) % {share} = 0")
    return Cut.between(collect(spark, values, sizes).column(column), buckets, _TOGETHER)


def collect(spark: SparkSession, query: Query, sizes: Sizes) -> pa.Table:
    """The rows of a query, which must be few; those of each task follow one another."""
    told = _told(spark, [(query, Deal(0, (), 1))], sizes)
    tables = [pa.ipc.open_stream(parcel["rows"]).read_all() for parcel in told]
    return pa.concat_tables([query.schema.empty_table(), *tables])


def _told(
    spark: SparkSession, asked: Sequence[tuple[Query, Deal | Write]], sizes: Sizes
) -> list[Row]:
    """What the last tasks hand on, without what was counted for the next ones."""
    query, _ = asked[0]
    if any(other.sources is not query.sources for other, _ in asked):
        raise ValueError("Queries that are asked together must have the same sources.")
    told = _parcels(spark, asked, sizes).collect()
    return [parcel for parcel in told if parcel["source"] != COUNTS]


def _parcels(
    spark: SparkSession, asked: Sequence[tuple[Query, Deal | Write]], sizes: Sizes
) -> DataFrame:
    """What the tasks of queries of the same sources hand on, a row for each parcel."""
    from pyspark.sql.functions import expr

    query, _ = asked[0]
    if all(sizes.alone(each) for each, _ in asked):
        return _buckets(spark, 1, 1).mapInArrow(Join(asked, sizes.cores), _PARCELS_DDL)
    scanned = query.of_kind(Scanned)
    if scanned:
        ((_, source),) = scanned
        # A table without files has a task, too: that nothing was counted must be said.
        number = len(source.table.files) or 1
        tasks = spark.range(0, number, 1, number)
        return tasks.mapInArrow(Scan(asked), _PARCELS_DDL)
    cut = query.cut
    buckets = max(2, query.buckets(sizes.task_values)) if cut == UNCUT else cut.buckets
    partitions = buckets if cut == UNCUT else cut.files
    together = _buckets(spark, buckets, partitions)
    to_deal = {
        name: _parcels(spark, [(source.rows, Deal(number, source.by, buckets, cut))], sizes)
        for number, (name, source) in enumerate(query.of_kind(Dealt))
        if cut == UNCUT or source.cut != cut
    }
    if to_deal:
        together = reduce(lambda one, other: one.unionAll(other), to_deal.values(), together)
        each = 1 if cut == UNCUT else cut.together
        together = together.repartitionById(partitions, expr(f"int(bucket div {each})"))
    return together.mapInArrow(Join(asked, dealt=list(to_deal)), _PARCELS_DDL)


def _buckets(spark: SparkSession, number: int, tasks: int) -> DataFrame:
    """A parcel without rows for each bucket, those of a task in a partition."""
    return spark.range(0, number, 1, tasks).selectExpr(
        "int(id) AS bucket", f"{BUCKET} AS source", "binary('') AS rows"
    )
