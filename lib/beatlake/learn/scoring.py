"""Applying a registered model: to a table of any size, in Spark's workers, or to one row.

The feature values of a row are computed by the same SQL as in training, by DuckDB in the worker,
and fed to the model there where it needs no Spark; Spark ML's take them from Spark.
"""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa

from beatlake.errors import InputError
from beatlake.learn import estimators, rows
from beatlake.learn.columns import TEXTS
from beatlake.learn.engine import database, quoted, text
from beatlake.learn.estimators import Local
from beatlake.learn.estimators.answer import Answer, Array
from beatlake.learn.estimators.boosted import Boosted
from beatlake.learn.registry import Registered
from beatlake.learn.source import Source
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
    ]
)
_DDL = "row_id string, predicted string, number double, probability double"
#: Features that are named as having driven a prediction.
_DRIVERS = 5


def needs_spark(found: Registered) -> bool:
    """Whether the model predicts with Spark only."""
    return estimators.needs_spark(found.manifest.estimator)


def score_table(spark: SparkSession, found: Registered, source: Source, output: Path) -> int:
    """Write the predictions of every row of a table as Parquet files; how many there are.

    Args:
        spark: does the work, a file of the table per task.
        found: the model.
        source: the table, which needs the features' columns and the row key only.
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
                files = [str(scratch / "rows.parquet")]
                connection.execute(f"COPY source TO {text(files[0])} (FORMAT parquet)")
        frame = spark.read.option("mergeSchema", "true").parquet(*files)
        scored = _scored(found, read, frame)
        written = write_frame(scored, Target(output.absolute(), SCORED))
    return sum(file.rows for file in written)


def _scored(found: Registered, read: rows.Values, frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    manifest = found.manifest
    names = ", ".join(f"{quoted(c)} double" for c in manifest.columns).replace('"', "`")
    select = found.fitted.select()
    if not needs_spark(found):
        local = cast("Local", found.load())
        work = _Score(
            read, select, type(local), local.content(), tuple(manifest.columns), _known(found)
        )
        return frame.mapInArrow(work, _DDL)
    computed = frame.mapInArrow(_Compute(read, select), f"row_id string, {names}")
    said = cast("SparkModel", found.load()).transform(computed)
    predicted = F.col("prediction")
    if manifest.kind == "number":
        chosen = [predicted.cast("string").alias("predicted"), predicted.alias("number")]
    elif manifest.kind == "clusters":
        chosen = [predicted.cast("int").cast("string").alias("predicted"), _null("number")]
    else:
        listed = F.array(*(F.lit(name) for name in _known(found)))
        chosen = [
            F.element_at(listed, predicted.cast("int") + 1).alias("predicted"),
            _null("number"),
        ]
    best = (
        F.array_max("probability").alias("probability")
        if "probability" in said.columns
        else _null("probability")
    )
    scored: DataFrame = said.select("row_id", *chosen, best)
    return scored


def _null(name: str) -> Any:
    from pyspark.sql import functions as F

    return F.lit(None).cast("double").alias(name)


def _known(found: Registered) -> tuple[str, ...]:
    """Names of the classes that the model knows, in its own order."""
    return tuple(found.manifest.classes[code] for code in found.manifest.known_classes)


@dataclass(frozen=True)
class _Compute:
    """Makes a model's columns of a partition. A class, so that workers import its code."""

    read: rows.Values
    select: str

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        for batch in batches:
            yield from columns_of(
                pa.Table.from_batches([batch]), self.read, self.select
            ).to_batches()


@dataclass(frozen=True)
class _Score:
    """Scores a partition with a model that needs no Spark."""

    read: rows.Values
    select: str
    kind: type[Local]
    content: bytes
    columns: tuple[str, ...]
    classes: tuple[str, ...]

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        forget_archives()
        model = self.kind.parse(self.content, self.columns)
        for batch in batches:
            if not batch.num_rows:
                continue
            made = columns_of(pa.Table.from_batches([batch]), self.read, self.select)
            answer = model.predict(None, made)
            yield from _table(made.column("row_id"), answer, self.classes).to_batches()


def columns_of(table: pa.Table, read: rows.Values, select: str) -> pa.Table:
    """The name and a model's columns of every row of a table."""
    import duckdb

    connection = duckdb.connect(
        ":memory:", config={"threads": 1, "python_enable_replacements": False}
    )
    try:
        connection.register("given", table)
        values = ", ".join((f"{read.row_id} AS row_id", *read.features))
        return connection.sql(
            f"SELECT row_id, {select} FROM (SELECT {values} FROM given)"
        ).to_arrow_table()
    finally:
        connection.close()


def _table(row_id: pa.ChunkedArray, answer: Answer, classes: tuple[str, ...]) -> pa.Table:
    n = len(answer.values)
    if classes:
        predicted = pa.array(classes).take(pa.array(answer.values.astype(np.int64)))
        number = pa.nulls(n, pa.float64())
    else:
        predicted = pa.array([repr(value) for value in answer.values.tolist()])
        clusters = answer.values.dtype.kind == "i"
        number = pa.nulls(n, pa.float64()) if clusters else pa.array(answer.values)
    best = pa.nulls(n, pa.float64()) if answer.proba is None else pa.array(answer.proba.max(axis=1))
    return pa.table([row_id.cast(pa.string()), predicted, number, best], schema=SCORED)


def score_row(
    spark: SparkSession | None, found: Registered, given: Sequence[str]
) -> dict[str, Any]:
    """Predict one row given as texts, with probabilities and what drove them.

    Args:
        spark: for models that need it.
        found: the model.
        given: ``COLUMN=VALUE`` for each feature's column; an empty value is an unknown one.

    Raises:
        InputError: a feature is missing, not the model's, given twice or not a number; every one
            is named.
    """
    task = found.task
    forms = {feature.column: feature.form for feature in task.features.list}
    values: dict[str, str | None] = {}
    problems = []
    for part in given:
        name, sign, value = part.partition("=")
        if not sign:
            problems.append(f"{name!r} has no value: give COLUMN=VALUE")
        elif name not in forms:
            near = difflib.get_close_matches(name, forms, n=1)
            problems.append(f"{name} is no feature" + (f" (near: {near[0]})" if near else ""))
        elif name in values:
            problems.append(f"{name} is given twice")
        else:
            values[name] = value or None
            if value and forms[name] not in TEXTS and not _is_number(value):
                problems.append(f"{name} takes a number, and {value!r} is none")
    problems += [f"{name} is missing" for name in forms if name not in values]
    if problems:
        raise InputError(f"The row does not fit {task.name}: {'; '.join(problems)}.")
    made = _columns_of_row(found, values)
    model = found.load()
    answer = model.predict(spark, made)
    return {
        "task": task.name,
        "version": found.manifest.version,
        **_said(found, answer),
        "drivers": _drivers(found, model, made, answer),
    }


def _is_number(value: str) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except ValueError:
        return False


def _columns_of_row(found: Registered, values: dict[str, str | None]) -> pa.Table:
    read = rows.typed(found.task)
    table = pa.table({name: pa.array([value], pa.string()) for name, value in values.items()})
    return columns_of(table, read, found.fitted.select())


def _said(found: Registered, answer: Answer) -> dict[str, Any]:
    value = answer.values[0].item()
    if found.manifest.kind != "classes":
        return {"predicted": value}
    known = _known(found)
    if answer.proba is None:
        return {"predicted": known[value], "probabilities": None}
    by_class = sorted(
        zip(answer.proba[0].tolist(), known, strict=True), key=lambda p: (-p[0], p[1])
    )
    return {"predicted": known[value], "probabilities": {name: p for p, name in by_class}}


def _drivers(
    found: Registered, model: Any, made: pa.Table, answer: Answer
) -> list[dict[str, Any]] | None:
    """The columns that moved the prediction most: SHAP values of a booster, in its own units.

    Null for other estimators, which do not say.
    """
    if not isinstance(model, Boosted):
        return None
    shares: Array = model.contributions(made)[0]
    columns = found.manifest.columns
    # Those to the class that is predicted; of two classes to the second.
    margin = shares[int(answer.values[0]) if len(shares) > 1 else 0]
    meanings = {column.name: column.meaning for column in found.fitted.columns}
    order = np.argsort(-np.abs(margin[:-1]), kind="stable")[:_DRIVERS]
    return [{"feature": meanings[columns[i]], "share": float(margin[i])} for i in order]
