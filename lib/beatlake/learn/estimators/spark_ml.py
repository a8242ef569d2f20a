"""Spark ML's estimators by the names that tasks use, with parameters in snake case."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from beatlake.errors import InputError
from beatlake.learn.estimators.answer import Answer, Array, Parameters, refuse_unknown
from beatlake.learn.estimators.independent import independent
from beatlake.learn.folds import LABEL, ROW, WATCHES, WEIGHT, Fold

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_SPARK = "spark"
#: Names the columns that a saved model takes.
_TAKEN = "taken.json"
_FEATURES = "features"


@dataclass(frozen=True)
class _Kind:
    """An estimator of Spark ML and its model's class, named so that Spark is imported late."""

    module: str
    estimator: str
    known: frozenset[str]


def _kind(module: str, estimator: str, known: str) -> _Kind:
    return _Kind(f"pyspark.ml.{module}", estimator, frozenset(known.split()))


_TREE = "max_depth max_bins min_instances_per_node min_info_gain impurity"
_FOREST = f"{_TREE} num_trees feature_subset_strategy subsampling_rate"
_BOOSTED = f"{_TREE} max_iter step_size subsampling_rate feature_subset_strategy"
_ELASTIC = "max_iter reg_param elastic_net_param tol standardization"
#: Estimators by name and whether the label is a class.
KINDS: dict[tuple[str, str], _Kind] = {
    ("logistic_regression", "classes"): _kind("classification", "LogisticRegression", _ELASTIC),
    ("decision_tree", "classes"): _kind("classification", "DecisionTreeClassifier", _TREE),
    ("random_forest", "classes"): _kind("classification", "RandomForestClassifier", _FOREST),
    ("gradient_boosted_trees", "classes"): _kind("classification", "GBTClassifier", _BOOSTED),
    ("linear_svc", "classes"): _kind(
        "classification", "LinearSVC", "max_iter reg_param tol standardization"
    ),
    ("multilayer_perceptron", "classes"): _kind(
        "classification", "MultilayerPerceptronClassifier", "max_iter hidden tol block_size solver"
    ),
    ("linear_regression", "number"): _kind("regression", "LinearRegression", f"{_ELASTIC} solver"),
    ("decision_tree", "number"): _kind("regression", "DecisionTreeRegressor", _TREE),
    ("random_forest", "number"): _kind("regression", "RandomForestRegressor", _FOREST),
    ("gradient_boosted_trees", "number"): _kind("regression", "GBTRegressor", _BOOSTED),
    ("kmeans", "clusters"): _kind("clustering", "KMeans", "k max_iter tol init_steps"),
    ("bisecting_kmeans", "clusters"): _kind(
        "clustering", "BisectingKMeans", "k max_iter min_divisible_cluster_size"
    ),
    ("gaussian_mixture", "clusters"): _kind("clustering", "GaussianMixture", "k max_iter tol"),
}


class SparkModel:
    """A fitted model of Spark ML."""

    def __init__(
        self, model: Any, kind: str, columns: tuple[str, ...], taken: tuple[str, ...]
    ) -> None:
        """Hold a model that takes a vector of some of the columns, in order."""
        self.model = model
        self.columns = columns
        self._taken = taken
        self._kind = kind

    def predict(self, spark: SparkSession | None, rows: pa.Table) -> Answer:
        """Predict rows with Spark; the answer is in the order of the rows."""
        import pyarrow.parquet as pq

        assert spark is not None
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            pq.write_table(rows.select([ROW, *self.columns]), path)
            found = self.transform(spark.read.parquet(str(path))).toArrow()
        place = {row: i for i, row in enumerate(found.column(ROW).to_pylist())}
        order = np.array([place[row] for row in rows.column(ROW).to_pylist()], dtype=np.int64)
        values = found.column("prediction").to_numpy()[order]
        proba = None
        if "probability" in found.column_names:
            stacked: Array = np.stack(found.column("probability").to_numpy())
            proba = stacked[order] / stacked[order].sum(axis=1, keepdims=True)
        if self._kind != "number":
            values = values.astype(np.int64)
        return Answer(values, proba if self._kind == "classes" else None)

    def transform(self, frame: DataFrame, *kept: str) -> DataFrame:
        """A frame of ``row_id``, ``prediction`` (double) and, where given, ``probability``.

        Other columns of the given frame that are to be kept stand beside.
        """
        from pyspark.ml.functions import vector_to_array
        from pyspark.sql import functions as F

        said = self.model.transform(_assembled(frame, self._taken, ROW, *kept))
        chosen = [*map(F.col, (ROW, *kept)), F.col("prediction").cast("double").alias("prediction")]
        if self._kind == "classes" and "probability" in said.columns:
            chosen.append(vector_to_array(F.col("probability")).alias("probability"))
        transformed: DataFrame = said.select(chosen)
        return transformed

    def save(self, folder: Path) -> None:
        """Spark ML's own directory of JSON and Parquet files, and the columns that it takes."""
        self.model.write().save(str((folder / _SPARK).absolute()))
        (folder / _TAKEN).write_text(json.dumps(self._taken), encoding="utf-8")

    def facts(self) -> dict[str, Any]:
        """Importances or coefficients, and for a linear regression its full table."""
        found: dict[str, Any] = {}
        if (importances := getattr(self.model, "featureImportances", None)) is not None:
            values = importances.toArray().tolist()
            found["importances"] = dict(zip(self.columns, values, strict=True))
            found["importance_by"] = "share of the impurity taken away in training"
        if type(self.model).__name__ == "LinearRegressionModel":
            found["table"] = regression_table(self.model, self._taken)
            found["table"]["left_out"] = [c for c in self.columns if c not in self._taken]
        elif hasattr(self.model, "coefficientMatrix"):
            found["coefficients"] = {
                name: self.model.coefficientMatrix.toArray()[:, i].tolist()
                for i, name in enumerate(self.columns)
            }
        elif type(self.model).__name__ == "OneVsRestModel":
            found["coefficients"] = {
                name: [float(one.coefficients[i]) for one in self.model.models]
                for i, name in enumerate(self.columns)
            }
        elif type(self.model).__name__ == "KMeansModel":
            found["centers"] = [center.tolist() for center in self.model.clusterCenters()]
        return found

    @classmethod
    def load(cls, folder: Path, name: str, kind: str, columns: tuple[str, ...]) -> SparkModel:
        """The model that `save` wrote; needs a Spark session."""
        model = getattr(_module(KINDS[name, kind].module), _model_class(name, kind))
        taken = tuple(json.loads((folder / _TAKEN).read_text(encoding="utf-8")))
        return cls(model.load(str((folder / _SPARK).absolute())), kind, columns, taken)


def _model_class(name: str, kind: str) -> str:
    if name == "linear_svc":
        return "OneVsRestModel"
    estimator = KINDS[name, kind].estimator
    if estimator.endswith(("Classifier", "Regressor")) and name != "multilayer_perceptron":
        trees = {"decision_tree": "DecisionTree", "random_forest": "RandomForest"}
        part = "Classification" if kind == "classes" else "Regression"
        return f"{trees.get(name, 'GBT')}{part}Model"
    if name == "multilayer_perceptron":
        return "MultilayerPerceptronClassificationModel"
    return f"{estimator}Model"


def _module(name: str) -> Any:
    import importlib

    return importlib.import_module(name)


def regression_table(model: Any, columns: tuple[str, ...]) -> dict[str, Any]:
    """Coefficients with standard errors, t and p, R² and adjusted R².

    The errors are those of ordinary least squares (Spark's normal equations); where the fit has a
    penalty, or another solver made it, there are none, and null says so.
    """
    from pyspark.errors import UnsupportedOperationException

    summary = model.summary
    table: dict[str, Any] = {
        "intercept": model.intercept,
        "coefficients": dict(zip(columns, model.coefficients.tolist(), strict=True)),
        "r2": summary.r2,
        "r2_adjusted": summary.r2adj,
        "rows": summary.numInstances,
    }
    named = (*columns, "intercept")
    for key, attribute in (
        ("standard_errors", "coefficientStandardErrors"),
        ("t", "tValues"),
        ("p", "pValues"),
    ):
        table[key] = None
        # Of a ridge Spark gives errors that leave out the bias.
        if not model.getRegParam():
            with suppress(UnsupportedOperationException):
                table[key] = dict(zip(named, getattr(summary, attribute), strict=True))
    return table


def fit(
    spark: SparkSession, name: str, kind: str, fold: Fold, parameters: Parameters, seed: int
) -> SparkModel:
    """Fit one of Spark ML's estimators on the rows of a fold that train.

    Raises:
        ConfigError: a parameter is not known.
        InputError: the estimator cannot take these classes; the message says which can.
    """
    from pyspark.sql import functions as F

    check(name, kind, parameters)
    described = KINDS[name, kind]
    if name == "gradient_boosted_trees" and kind == "classes" and len(fold.classes) > 2:
        raise InputError(
            f"Spark's gradient_boosted_trees tells two classes apart, not {len(fold.classes)};"
            " xgboost takes more."
        )
    made = getattr(_module(described.module), described.estimator)()
    made = made.setFeaturesCol(_FEATURES)
    if kind != "clusters":
        made = made.setLabelCol(LABEL)
        if made.hasParam("weightCol"):
            made.set(made.weightCol, WEIGHT)
    if made.hasParam("seed"):
        made.set(made.seed, seed)
    settled = dict(parameters)
    if name == "multilayer_perceptron":
        hidden = settled.pop("hidden", (32,))
        sizes = hidden if isinstance(hidden, (tuple, list)) else (hidden,)
        layers = [len(fold.columns), *sizes, len(fold.classes)]
        made = made.setLayers([int(size) for size in layers])
    for key, value in settled.items():
        made.set(made.getParam(_camel(key)), value)
    if name == "linear_svc":
        from pyspark.ml.classification import OneVsRest

        made = OneVsRest(classifier=made, featuresCol=_FEATURES, labelCol=LABEL, weightCol=WEIGHT)
    frame = by_groups(spark, fold.path).filter(~F.col(WATCHES))
    taken = fold.columns
    if name == "linear_regression" and not settled.get("reg_param"):
        taken = independent(fold.path, fold.columns)
    model = made.fit(_assembled(frame, taken, ROW, LABEL, WEIGHT))
    return SparkModel(model, kind, fold.columns, taken)


def by_groups(spark: SparkSession, path: Path) -> DataFrame:
    """The rows of a fold, a row group to a partition, in the file's order.

    Sums of floating-point numbers depend on partitions, and how Spark cuts a file depends on the
    cores that it has. To cut it anew by the rows' names takes a shuffle for every pass over them.
    """
    import pyarrow.parquet as pq

    groups = max(1, pq.read_metadata(path).num_row_groups)
    size = str(-(-path.stat().st_size // groups))
    # Settings are those of a session when the rows are read; others may read beside.
    own = spark.newSession()
    own.conf.set("spark.sql.files.maxPartitionBytes", size)
    # A part is no smaller than this, however many cores there are.
    own.conf.set("spark.sql.files.openCostInBytes", size)
    return own.read.parquet(str(path))


def _assembled(frame: DataFrame, columns: tuple[str, ...], *kept: str) -> DataFrame:
    from pyspark.ml.feature import VectorAssembler

    assembler = VectorAssembler(inputCols=list(columns), outputCol=_FEATURES)
    return assembler.transform(frame).select(*kept, _FEATURES)


_SNAKE = re.compile(r"_([a-z])")


def _camel(name: str) -> str:
    """Spark's name of a parameter.

    >>> _camel("elastic_net_param")
    'elasticNetParam'
    """
    up: Callable[[re.Match[str]], str] = lambda match: match[1].upper()  # noqa: E731
    return _SNAKE.sub(up, name)


def check(name: str, kind: str, parameters: Parameters) -> None:
    """Refuse parameters that the estimator does not have here.

    Raises:
        ConfigError: naming each.
    """
    refuse_unknown(name, parameters, KINDS[name, kind].known)
