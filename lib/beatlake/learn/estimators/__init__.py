"""Estimators: Spark ML's, XGBoost's and scikit-learn's, fitted on folds, saved without pickle.

Spark ML's predict in Spark; XGBoost's boosters and models that are points do so anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.learn.estimators import boosted, points, spark_ml
from beatlake.learn.estimators.answer import Answer, Local, Model, Parameters
from beatlake.learn.folds import Fold
from beatlake.learn.task import Estimator, Task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Answer", "Local", "Model", "check", "fit", "load", "needs_spark", "watched"]


def _local() -> dict[str, type[Local]]:
    """The models that predict without Spark, by estimator."""
    return {"xgboost": boosted.Boosted, **dict.fromkeys(points.KNOWN, points.Points)}


def check(task: Task) -> None:
    """Find every parameter of every estimator of a task.

    Raises:
        ConfigError: one is not known.
    """
    for estimator in task.estimators:
        if estimator.name == "xgboost":
            boosted.check(estimator.parameters)
        elif estimator.name in points.KNOWN:
            points.check(estimator.name, estimator.parameters)
        else:
            spark_ml.check(estimator.name, task.kind, estimator.parameters)


def watched(estimator: Estimator) -> bool:
    """Whether a validation side decides when the fit stops, so that it does not train."""
    return bool(estimator.parameters.get("early_stopping_rounds"))


def needs_spark(name: str) -> bool:
    """Whether a saved model predicts with Spark only."""
    return name not in _local()


def fit(
    spark: SparkSession, name: str, kind: str, fold: Fold, parameters: Parameters, seed: int
) -> Model:
    """Fit an estimator on a fold.

    Raises:
        ConfigError: a parameter is not known, or the session cannot do it.
        InputError: the estimator cannot take this label.
    """
    if name == "xgboost":
        return boosted.fit(spark, kind, fold, parameters, seed)
    if name in points.KNOWN:
        return points.fit(name, kind, fold, parameters)
    return spark_ml.fit(spark, name, kind, fold, parameters, seed)


def load(folder: Path, name: str, kind: str, columns: tuple[str, ...]) -> Model:
    """A saved model; see `needs_spark` for those that need a session."""
    if name in _local():
        return _local()[name].load(folder, columns)
    return spark_ml.SparkModel.load(folder, name, kind, columns)
