"""A clustering with other numbers of clusters, for a person to choose by: nothing here does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from beatlake.learn import estimators, folds
from beatlake.learn.estimators.answer import matrix
from beatlake.learn.judgement import sweep
from beatlake.learn.ladder import Judged
from beatlake.learn.task import Task

if TYPE_CHECKING:
    import duckdb
    from pyspark.sql import SparkSession

Line: TypeAlias = dict[str, float | int | None]

#: Rows that each clustering is fitted on, and rows that it is judged on: the first in the order of
#: the hash. What compactness says of a number of clusters changes little with more of them.
ROWS = 50_000


def swept(
    spark: SparkSession,
    connection: duckdb.DuckDBPyConnection,
    task: Task,
    judged: Judged,
    scratch: Path,
) -> list[Line]:
    """A line of `judgement.sweep` for each number of clusters in the estimator's sweep.

    Fitted on training rows of the rung and judged on test rows, as the model itself is.

    Raises:
        InputError: the estimator cannot make so many clusters.
    """
    estimator, rung, fitted = judged.estimator, judged.rung, judged.fitted
    rows = folds.table(connection, rung, fitted, folds.sides_of(False)).slice(0, ROWS)
    test = folds.table(connection, rung, fitted, ("test",)).slice(0, ROWS)
    fold = folds.write(
        rows,
        scratch / "swept.parquet",
        columns=fitted.names,
        watched=False,
        classes=False,
    )
    labels = {}
    for k in estimator.sweep:
        parameters = {**estimator.parameters, "k": k}
        model = estimators.fit(spark, estimator.name, task.kind, fold, parameters, task.seed)
        labels[k] = model.predict(spark, test).values
    return sweep(matrix(test, fitted.names), labels, salt=task.splits.salt)
