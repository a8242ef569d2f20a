"""Estimators: Spark ML's, XGBoost's and scikit-learn's, fitted on folds, saved without pickle.

Spark ML's predict in Spark; XGBoost's boosters and models that are points do so anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn.algorithms import IMAGING, Estimator
from beatlake.learn.estimators import boosted, networks, points, spark_ml
from beatlake.learn.estimators.answer import Answer, Local, Model, Parameters
from beatlake.learn.folds import Fold
from beatlake.learn.records import Records
from beatlake.learn.task import Task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "Answer",
    "Local",
    "Model",
    "check",
    "column_importances",
    "fit",
    "load",
    "needs_spark",
    "sampled",
    "stored",
    "watched",
]
#: Estimators that rank features by coefficients, and those that do not rank them.
_LINEAR = ("logistic_regression", "linear_regression", "linear_svc")
_UNRANKED = ("multilayer_perceptron", *points.KNOWN, *networks.NAMES)


def _local() -> dict[str, type[Local]]:
    """The models that predict without Spark, by estimator."""
    return {
        "xgboost": boosted.Boosted,
        **dict.fromkeys(points.KNOWN, points.Points),
        **dict.fromkeys(networks.NAMES, networks.Network),
    }


def check(task: Task) -> None:
    """Find every parameter of every estimator of a task, those that are searched over among them.

    Raises:
        ConfigError: one is not known, or features are to be eliminated that cannot be ranked.
        SetupError: an estimator needs packages that are not installed.
    """
    for estimator in task.estimators:
        searched = estimator.search.over if estimator.search else {}
        parameters = {**estimator.parameters, **searched}
        if estimator.name == "xgboost":
            boosted.check(parameters)
        elif estimator.name in points.KNOWN:
            points.check(estimator.name, parameters)
        elif estimator.name in networks.NAMES:
            networks.check_installed()
            networks.check(estimator.name, task.kind, estimator.parameters, searched)
        else:
            spark_ml.check(estimator.name, task.kind, parameters)
        if estimator.elimination:
            _check_ranked(estimator.name, task.features.scale)


def _check_ranked(name: str, scale: str) -> None:
    if name in _UNRANKED:
        raise ConfigError(f"{name} does not say which features it needs: it cannot eliminate any.")
    if name in _LINEAR and scale == "none":
        raise ConfigError(
            f"{name} ranks features by its coefficients, which say nothing without a scale:"
            " set features.scale."
        )


def column_importances(model: Model) -> dict[str, float]:
    """What a fitted model makes of each column: its own importances, or its coefficients.

    The share of the gain or of the impurity taken away; of coefficients (of scaled columns) the
    mean size over the classes, nought for a column that a regression left out. Empty for a model
    that does not say.
    """
    facts = model.facts()
    if "importances" in facts:
        return dict(facts["importances"])
    if "table" in facts:
        table = facts["table"]
        sizes = {name: abs(value) for name, value in table["coefficients"].items()}
        return dict.fromkeys(table["left_out"], 0.0) | sizes
    given: dict[str, list[float]] = facts.get("coefficients", {})
    return {name: sum(map(abs, of)) / len(of) for name, of in given.items()}


def watched(estimator: Estimator) -> bool:
    """Whether a validation side decides when the fit stops, so that it does not train."""
    return bool(estimator.parameters.get("early_stopping_rounds"))


def sampled(estimator: Estimator) -> bool:
    """Whether it takes a sample of the groups, so that rows must say of which bucket they are."""
    return estimator.parameters.get("sample", 1) != 1


def needs_spark(name: str) -> bool:
    """Whether a saved model predicts with Spark only."""
    return name not in _local()


def fit(
    spark: SparkSession,
    name: str,
    kind: str,
    fold: Fold,
    parameters: Parameters,
    seed: int,
    side_by_side: int = 1,
    records: Records | None = None,
) -> Model:
    """Fit an estimator on a fold.

    Of cores it takes its share, where fits run side by side; one that trains in rounds may keep
    records of them.

    Raises:
        ConfigError: a parameter is not known, or the session cannot do it.
        InputError: the estimator cannot take this label, or the fold's image or numbers.
    """
    if (name in IMAGING) is (fold.image is None):
        what = "numbers" if fold.image is None else "an image"
        raise InputError(f"{name} cannot be fitted on {what}.")
    if name == "xgboost":
        return boosted.fit(spark, kind, fold, parameters, seed, side_by_side)
    if name in points.KNOWN:
        return points.fit(name, kind, fold, parameters)
    if name in networks.NAMES:
        return networks.fit(spark, name, kind, fold, parameters, seed, records)
    return spark_ml.fit(spark, name, kind, fold, parameters, seed)


def stored(folder: Path, name: str) -> tuple[type[Local], bytes]:
    """The class and the saved content of a model that predicts without Spark: it is not parsed."""
    kind_of = _local()[name]
    return kind_of, (folder / kind_of.FILE).read_bytes()


def load(folder: Path, name: str, kind: str, columns: tuple[str, ...]) -> Model:
    """A saved model; see `needs_spark` for those that need a session."""
    if not needs_spark(name):
        kind_of, content = stored(folder, name)
        return kind_of.parse(content, columns)
    return spark_ml.SparkModel.load(folder, name, kind, columns)
