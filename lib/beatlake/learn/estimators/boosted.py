"""XGBoost, fitted by its own Spark estimators; its booster predicts anywhere, without Spark.

Columns of numbers are given to XGBoost as they are, without assembling vectors; each worker reads
its equal part of the fold, so that no rows pass through the JVM. The number of workers is fixed by
the task, so that a fit does not depend on the cores at hand: with one worker it is the same on
every machine, with however many threads. Nothing is stored as pickle: parameters that hold code are
refused.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.learn.estimators.answer import Answer, Array, Parameters, matrix, refuse_unknown
from beatlake.learn.estimators.barrier import check_slots
from beatlake.learn.folds import LABEL, WATCHES, WEIGHT, Fold
from beatlake.learn.parts import Parts, Rows, Work, Worker
from beatlake.session import cores_of_machine
from beatlake.workers import Threads

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost
    from pyspark.sql import DataFrame, SparkSession

BOOSTER = "booster.ubj"
_SPARK = "spark"
#: XGBoost takes twice as long to make its bins of batches of 10,000 rows.
_BATCH_ROWS, _BATCH_VALUES = 100_000, 20_000_000
#: Parameters that a task may set, by XGBoost's own names, and `workers`.
KNOWN = frozenset(
    "n_estimators max_depth learning_rate subsample colsample_bytree colsample_bynode"
    " colsample_bylevel min_child_weight gamma reg_alpha reg_lambda max_bin max_leaves"
    " num_parallel_tree early_stopping_rounds workers".split()
)


class Boosted:
    """A fitted booster, with the Spark model that it came from where it was just fitted."""

    FILE = BOOSTER

    def __init__(self, booster: xgboost.Booster, columns: tuple[str, ...], spark_model: Any = None):
        """Hold a booster whose features are the columns in order."""
        self.booster = booster
        self.columns = columns
        self._spark_model = spark_model

    def predict(self, spark: SparkSession | None, rows: pa.Table) -> Answer:
        """Predict rows with the booster, in this process."""
        return predict(self.booster, self.columns, rows)

    @property
    def trees(self) -> int:
        """How many there are: one for each round and margin."""
        given = _learner(self.booster)["learner_model_param"]["num_class"]
        return int(self.booster.num_boosted_rounds() * max(1, int(given)))

    def contributions(self, rows: pa.Table) -> Array:
        """SHAP values: rows x classes x columns and, last, what no column gives.

        Along the columns they add up to the margin that is predicted from; a number, or two
        classes, has one margin.
        """
        import xgboost

        data = xgboost.DMatrix(matrix(rows, self.columns), feature_names=list(self.columns))
        shares: Array = self.booster.predict(
            data, pred_contribs=True, iteration_range=_rounds(self.booster)
        )
        return shares if shares.ndim == 3 else shares[:, None, :]

    def save(self, folder: Path) -> None:
        """The booster as UBJ, and the Spark model beside it."""
        self.booster.save_model(str(folder / BOOSTER))
        if self._spark_model is not None:
            self._spark_model.write().save(str((folder / _SPARK).absolute()))

    def facts(self) -> dict[str, Any]:
        """Rounds, and the share of each column in the gain."""
        by_name: Any = self.booster.get_score(importance_type="total_gain")
        gain = [float(by_name.get(name, 0.0)) for name in self.columns]
        total = sum(gain) or 1.0
        shares = [value / total for value in gain]
        return {
            "rounds": self.booster.num_boosted_rounds(),
            "importances": dict(zip(self.columns, shares, strict=True)),
            "importance_by": "share of the total gain in training",
        }

    def content(self) -> bytes:
        """The booster as UBJ."""
        return bytes(self.booster.save_raw("ubj"))

    @classmethod
    def parse(cls, content: bytes, columns: tuple[str, ...]) -> Boosted:
        """The booster that its UBJ holds."""
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(bytearray(content))
        booster.set_param({"nthread": 1})
        return cls(booster, columns)


def predict(booster: xgboost.Booster, columns: tuple[str, ...], rows: pa.Table) -> Answer:
    """Predictions of a booster; of two classes or more with their probabilities."""
    given = booster.inplace_predict(
        matrix(rows, columns, np.float32), iteration_range=_rounds(booster), validate_features=False
    )
    objective = str(_objective(booster))
    if objective.startswith("reg:"):
        return Answer(given.astype(np.float64))
    proba = given if given.ndim == 2 else np.column_stack([1 - given, given])
    proba = proba.astype(np.float64)
    proba = proba / proba.sum(axis=1, keepdims=True)
    return Answer(proba.argmax(axis=1), proba)


def _rounds(booster: xgboost.Booster) -> tuple[int, int]:
    """The rounds to predict with: up to the best where a fit stopped early, as in Spark; or all."""
    return (0, booster.best_iteration + 1) if booster.attr("best_iteration") else (0, 0)


def _objective(booster: xgboost.Booster) -> str:
    return str(_learner(booster)["objective"]["name"])


def _learner(booster: xgboost.Booster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(booster.save_config())["learner"]
    return found


def fit(
    spark: SparkSession,
    kind: str,
    fold: Fold,
    parameters: Parameters,
    seed: int,
    side_by_side: int = 1,
) -> Boosted:
    """Fit on a fold.

    Args:
        spark: a classic session; Spark Connect has no barrier tasks.
        kind: classes or number.
        fold: whose validation rows decide when to stop, where ``early_stopping_rounds`` is set.
        parameters: of the task.
        seed: of the sampling.
        side_by_side: how many fits share the cores.

    Raises:
        ConfigError: a parameter is not known, more workers are wanted than there are slots, or the
            session is one of Spark Connect.
    """
    check(parameters)
    settled = dict(parameters)
    workers = int(settled.pop("workers", 1))
    check_slots(spark, "xgboost", workers, "Run it on a cluster or in embedded Spark.")
    watched = bool(settled.get("early_stopping_rounds")) and fold.watching > 0
    if not watched:
        settled.pop("early_stopping_rounds", None)
    if watched:
        settled["validation_indicator_col"] = WATCHES
    cores, _ = cores_of_machine(spark)
    threads = max(1, cores // (workers * side_by_side))
    rows = _rows(fold, workers, watched)
    estimator = _estimator(kind, threads, max(1, len(fold.classes)), rows)(
        features_col=list(fold.columns),
        label_col=LABEL,
        weight_col=WEIGHT,
        num_workers=workers,
        random_state=seed,
        tree_method="hist",
        device="cpu",
        verbosity=0,
        verbose=False,
        **settled,
    )
    # Each fit would tell its parameters and end on the terminal.
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    model = estimator.fit(spark.range(0, workers, 1, workers))
    booster = model.get_booster()
    booster.set_param({"nthread": 1})
    booster.feature_names = list(fold.columns)
    return Boosted(booster, fold.columns, model)


@dataclass(frozen=True)
class _Frame:
    """Stands for a frame of rows that are read where they are trained on, a task for each part."""

    tasks: DataFrame
    rows: Rows

    def mapInPandas(self, train: Work, schema: str) -> DataFrame:
        """What XGBoost's worker makes of its rows."""
        return self.tasks.mapInPandas(Worker(self.rows, train), schema)


def _rows(fold: Fold, workers: int, watched: bool) -> Rows:
    """The rows of a fold by the names that XGBoost's worker knows; features by their places."""
    from xgboost.spark.data import alias

    size = max(1, min(_BATCH_ROWS, _BATCH_VALUES // len(fold.columns)))
    # For the features of a batch in which no row trains, or none watches, it asks for `data`.
    facts = {alias.label: LABEL, alias.weight: WEIGHT, alias.data: LABEL}
    if watched:
        facts[alias.valid] = WATCHES
    features = {f"x{place}": name for place, name in enumerate(fold.columns)}
    left_out = WATCHES if fold.watching and not watched else None
    return Rows(Parts(fold.path.absolute(), workers, size), facts, features, left_out)


def _estimator(kind: str, threads: int, classes: int, rows: Rows) -> Any:
    """XGBoost's estimator for Spark, whose workers read their rows and train with so many threads.

    By itself it has the JVM hand over rows, and moves them where partitions are not as many as
    workers. It takes `spark.task.cpus` for the number of threads, which holds for all tasks of a
    session, so that whatever else Spark does would run on a core less for each. It reads all labels
    to count the classes, which are known. And after each round it computes the loss of the rows
    that train, a tenth of the time of a fit, which nobody asks for where no rows watch.
    """
    from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor
    from xgboost.spark.core import FeatureProp
    from xgboost.spark.data import alias

    kind_of: Any = SparkXGBClassifier if kind == "classes" else SparkXGBRegressor
    watched = alias.valid in rows.facts

    class Told(kind_of):  # type: ignore[misc]
        def _prepare_input(self, dataset: DataFrame) -> tuple[_Frame, FeatureProp]:
            return _Frame(dataset, rows), FeatureProp(False, watched, list(rows.features))

        def _get_xgb_parameters(self, dataset: _Frame) -> tuple[dict[str, Any], ...]:
            labels = dataset.tasks.sparkSession.range(0, classes, 1, 1).toDF(alias.label)
            booster, training, data = super()._get_xgb_parameters(labels)
            number = Threads(threads)
            booster |= {"nthread": number, "disable_default_eval_metric": int(not watched)}
            return booster, training, {**data, "nthread": number}

    return Told


def check(parameters: Parameters) -> None:
    """Refuse parameters that XGBoost does not have here.

    Raises:
        ConfigError: naming each.
    """
    refuse_unknown("xgboost", parameters, KNOWN)
