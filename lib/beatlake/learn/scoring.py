"""Applying a registered model to a table of any size, in Spark's workers.

Every row is predicted. Whether the task is about it, which its ``where`` says, stands beside: the
model has seen no other rows. Conditions on the label are aside, for the label is what is asked for.

The feature values of a row are computed by the same SQL as in training, by DuckDB in the worker
that reads it, and fed to the model there where it needs no Spark; Spark ML's take them from Spark.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from beatlake.errors import InputError
from beatlake.learn import estimators, images, pieces, rows
from beatlake.learn.engine import connected, database
from beatlake.learn.estimators import Local
from beatlake.learn.estimators.answer import Answer
from beatlake.learn.registry import Registered
from beatlake.learn.source import Source
from beatlake.sql import quoted, text
from beatlake.workers import forget_archives

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from beatlake.learn.estimators.spark_ml import SparkModel

#: What a table of predictions holds.
SCORED = pa.schema(
    [
        pa.field("row_id", pa.string(), False),
        pa.field("predicted", pa.string(), False),
        pa.field("number", pa.float64()),
        pa.field("probability", pa.float64()),
        pa.field("in_scope", pa.bool_()),
    ]
)


def needs_spark(found: Registered) -> bool:
    """Whether the model predicts with Spark only."""
    return estimators.needs_spark(found.manifest.estimator)


@dataclass(frozen=True)
class Counts:
    """How many rows were predicted.

    Args:
        rows: all of them.
        outside: those that the task is not about.
        unknown: those of which the table does not tell.
    """

    rows: int
    outside: int
    unknown: int

    @property
    def sentence(self) -> str:
        """Which predictions are of other rows than the model has learnt from; empty if none are.

        >>> Counts(1200, 3, 0).sentence
        '3 of them are of rows that the task is not about: in_scope is false.'
        """
        told = []
        if self.outside:
            told.append(
                f"{self.outside:,} of them are of rows that the task is not about: in_scope is"
                " false."
            )
        if self.unknown:
            told.append(
                f"Of {self.unknown:,} the table does not tell whether the task is about them:"
                " in_scope is null."
            )
        return " ".join(told)


def score_table(spark: SparkSession, found: Registered, source: Source, output: Path) -> Counts:
    """Write the predictions of every row of a table as Parquet files; how many there are.

    Args:
        spark: does the work; its tasks read the table's files and write those of the output.
        found: the model.
        source: the table, which needs the features' columns and the row key only, and for features
            of earlier rows the artists' and the date's; all workers see its files.
        output: a directory that is not there yet, which all workers see.

    Raises:
        InputError: the output is there, or the table lacks a column or holds other values.
    """
    from beatlake.datafiles import Target, write_frame

    if output.exists():
        raise InputError(f"{output} is there already; predictions go to a new directory.")
    with tempfile.TemporaryDirectory(prefix="beatlake-score-") as folder:
        scratch = Path(folder)
        with database(scratch) as connection:
            files = list(source.parquet)
            if any(feature.earlier for feature in found.task.features.list):
                # What earlier rows say is looked up over the whole table.
                read = rows.with_history(connection, found.task, source)
                files = [str(scratch / "rows.parquet")]
                connection.execute(f"COPY prepared TO {text(files[0])} (FORMAT parquet)")
            else:
                read = rows.values(connection, found.task, source)
            if not files:
                # Spark and DuckDB read CSV in different ways: the model has learnt from DuckDB's.
                # Tables that are joined become one.
                files = [str(scratch / "rows.parquet")]
                needed = ", ".join(map(quoted, read.types))
                size = f", ROW_GROUP_SIZE {images.GROUP}" if found.task.features.image else ""
                connection.execute(
                    f"COPY (SELECT {needed} FROM source) TO {text(files[0])} (FORMAT parquet{size})"
                )
        shares = pieces.shares(files)
        tasks = spark.range(0, len(shares), 1, max(1, len(shares)))
        compute = _Compute(read, found.fitted.select(), shares)
        target = Target(output.absolute(), SCORED)
        if needs_spark(found):
            written = write_frame(_scored(found, compute, tasks), target)
        else:
            columns = tuple(found.manifest.columns)
            work = _Score(compute, *found.stored(), columns, known(found))
            written = write_frame(tasks, target, work)
    return _counts(output, sum(file.rows for file in written))


def _counts(output: Path, rows: int) -> Counts:
    if not rows:
        return Counts(0, 0, 0)
    in_scope = pq.read_table(output, columns=["in_scope"]).column(0)
    outside = int(pc.sum(pc.invert(in_scope)).as_py() or 0)
    return Counts(rows, outside, in_scope.null_count)


def _scored(found: Registered, compute: _Compute, tasks: DataFrame) -> DataFrame:
    """What a model of Spark ML says."""
    from pyspark.sql import functions as F

    manifest = found.manifest
    names = ", ".join(f"{quoted(c)} double" for c in manifest.columns).replace('"', "`")
    computed = tasks.mapInArrow(compute, f"row_id string, in_scope boolean, {names}")
    said = cast("SparkModel", found.load()).transform(computed, "in_scope")
    predicted = F.col("prediction")
    if manifest.kind == "number":
        chosen = [predicted.cast("string").alias("predicted"), predicted.alias("number")]
    elif manifest.kind == "clusters":
        chosen = [predicted.cast("int").cast("string").alias("predicted"), _null("number")]
    else:
        listed = F.array(*(F.lit(name) for name in known(found)))
        chosen = [
            F.element_at(listed, predicted.cast("int") + 1).alias("predicted"),
            _null("number"),
        ]
    best = (
        F.array_max("probability").alias("probability")
        if "probability" in said.columns
        else _null("probability")
    )
    scored: DataFrame = said.select("row_id", *chosen, best, "in_scope")
    return scored


def _null(name: str) -> Any:
    from pyspark.sql import functions as F

    return F.lit(None).cast("double").alias(name)


def known(found: Registered) -> tuple[str, ...]:
    """Names of the classes that the model knows, in its own order."""
    return tuple(found.manifest.classes[code] for code in found.manifest.known_classes)


@dataclass(frozen=True)
class _Compute:
    """Makes a model's columns of the rows of tasks. A class, so that workers import its code."""

    read: rows.Values
    select: str
    shares: tuple[pieces.Share, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        for table in self.tables(batches):
            yield from table.to_batches()

    def tables(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
        """The name and the columns of every row of the tasks of these numbers."""
        for batch in batches:
            for number in batch.column(0).to_pylist():
                for piece in self.shares[number]:
                    for table in piece.tables(tuple(self.read.types)):
                        yield columns_of(table, self.read, self.select)


@dataclass(frozen=True)
class _Score:
    """Scores the rows of tasks with a model that needs no Spark."""

    compute: _Compute
    kind: type[Local]
    content: bytes
    columns: tuple[str, ...]
    classes: tuple[str, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        model = self.kind.parse(self.content, self.columns)
        for made in self.compute.tables(batches):
            answer = model.predict(None, made)
            yield from _table(made, answer, self.classes).to_batches()


def columns_of(table: pa.Table, read: rows.Values, select: str) -> pa.Table:
    """``row_id``, ``in_scope`` and a model's columns of every row; what a table lacks is null."""
    there = {name.lower() for name in table.column_names}
    given = (
        f"{quoted(name) if name.lower() in there else 'NULL'}::{kind} AS {quoted(name)}"
        for name, kind in read.types.items()
    )
    named = (f"{read.row_id} AS row_id", f"{read.in_scope} AS in_scope")
    values = ", ".join((*named, *read.features))
    connection = connected(threads=1)
    try:
        # As where the model learnt: the name of a row may be made of a time.
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given", table)
        return connection.sql(
            f"SELECT row_id, in_scope, {select} FROM"
            f" (SELECT {values} FROM (SELECT {', '.join(given)} FROM given))"
        ).to_arrow_table()
    finally:
        connection.close()


def _table(made: pa.Table, answer: Answer, classes: tuple[str, ...]) -> pa.Table:
    n = len(answer.values)
    if classes:
        predicted = pa.array(classes).take(pa.array(answer.values.astype(np.int64)))
        number = pa.nulls(n, pa.float64())
    else:
        predicted = pa.array([repr(value) for value in answer.values.tolist()])
        clusters = answer.values.dtype.kind == "i"
        number = pa.nulls(n, pa.float64()) if clusters else pa.array(answer.values)
    best = pa.nulls(n, pa.float64()) if answer.proba is None else pa.array(answer.proba.max(axis=1))
    row_id = made.column("row_id").cast(pa.string())
    in_scope = made.column("in_scope")
    return pa.table([row_id, predicted, number, best, in_scope], schema=SCORED)
