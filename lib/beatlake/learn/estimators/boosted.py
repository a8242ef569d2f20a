"""XGBoost, fitted by its own Spark estimators; its booster predicts anywhere, without Spark.

Columns of numbers are given to XGBoost as they are, without assembling vectors. The number of
workers is fixed by the task, so that a fit does not depend on the cores at hand: with one worker it
is the same on every machine. Nothing is stored as pickle: parameters that hold code are refused.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.config import ConfigError
from beatlake.learn.estimators.answer import Answer, Array, Parameters, matrix, refuse_unknown
from beatlake.learn.folds import LABEL, ROW, WATCHES, WEIGHT, Fold

if TYPE_CHECKING:
    import pyarrow as pa
    import xgboost
    from pyspark.sql import SparkSession

BOOSTER = "booster.ubj"
_SPARK = "spark"
#: Parameters that a task may set, by XGBoost's own names, and `workers`.
KNOWN = frozenset(
    "n_estimators max_depth learning_rate subsample colsample_bytree colsample_bynode"
    " colsample_bylevel min_child_weight gamma reg_alpha reg_lambda max_bin max_leaves"
    " num_parallel_tree early_stopping_rounds workers".split()
)


class Boosted:
    """A fitted booster, with the Spark model that it came from where it was just fitted."""

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

    @classmethod
    def load(cls, folder: Path, columns: tuple[str, ...]) -> Boosted:
        """The booster that `save` wrote; needs no Spark."""
        return cls.parse((folder / BOOSTER).read_bytes(), columns)

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
    import xgboost

    data = xgboost.DMatrix(matrix(rows, columns), feature_names=list(columns))
    given = booster.predict(data, iteration_range=_rounds(booster))
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


def fit(spark: SparkSession, kind: str, fold: Fold, parameters: Parameters, seed: int) -> Boosted:
    """Fit on a fold.

    Args:
        spark: a classic session; Spark Connect has no barrier tasks.
        kind: classes or number.
        fold: whose validation rows decide when to stop, where ``early_stopping_rounds`` is set.
        parameters: of the task.
        seed: of the sampling.

    Raises:
        ConfigError: a parameter is not known, more workers are wanted than there are slots, or the
            session is one of Spark Connect.
    """
    from pyspark.sql import functions as F
    from xgboost.spark import SparkXGBClassifier, SparkXGBRegressor

    check(parameters)
    settled = dict(parameters)
    workers = int(settled.pop("workers", 1))
    slots = getattr(spark, "sparkContext", None)
    if slots is None or "connect" in type(spark).__module__:
        raise ConfigError(
            "xgboost needs a classic Spark session with barrier tasks; Spark Connect and"
            " serverless compute have none. Run it on a cluster or in embedded Spark."
        )
    if workers > slots.defaultParallelism:
        raise ConfigError(
            f"xgboost is to have {workers} workers, and Spark has {slots.defaultParallelism} slots."
        )
    watched = bool(settled.get("early_stopping_rounds")) and fold.watching > 0
    if not watched:
        settled.pop("early_stopping_rounds", None)
    if watched:
        settled["validation_indicator_col"] = WATCHES
    kind_of: Any = SparkXGBClassifier if kind == "classes" else SparkXGBRegressor
    estimator = kind_of(
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
    frame = spark.read.parquet(str(fold.path))
    if not watched:
        frame = frame.filter(~F.col(WATCHES))
    # Rows meet a worker by their name and in its order, whatever the number of cores.
    frame = frame.repartition(workers, ROW).sortWithinPartitions(ROW)
    # Each fit would tell its parameters and end on the terminal.
    logging.getLogger("XGBoost-PySpark").setLevel(logging.WARNING)
    model = estimator.fit(frame)
    booster = model.get_booster()
    booster.set_param({"nthread": 1})
    booster.feature_names = list(fold.columns)
    return Boosted(booster, fold.columns, model)


def check(parameters: Parameters) -> None:
    """Refuse parameters that XGBoost does not have here.

    Raises:
        ConfigError: naming each.
    """
    refuse_unknown("xgboost", parameters, KNOWN)
