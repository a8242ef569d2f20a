"""Every estimator: fitted, saved, loaded again, with the same predictions; and what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn import estimators, folds
from beatlake.learn.estimators import spark_ml
from beatlake.learn.folds import Fold

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PARAMETERS: dict[str, dict[str, Any]] = {
    "random_forest": {"num_trees": 5},
    "gradient_boosted_trees": {"max_iter": 3},
    "multilayer_perceptron": {"hidden": (4,), "max_iter": 20},
    "xgboost": {"n_estimators": 20, "max_depth": 2},
    "kmeans": {"k": 3},
    "bisecting_kmeans": {"k": 3},
    "gaussian_mixture": {"k": 2},
    "nearest_neighbours": {"k": 5},
}
LOCAL = [
    ("xgboost", "classes"),
    ("xgboost", "number"),
    ("nearest_neighbours", "classes"),
    ("nearest_neighbours", "number"),
    ("birch", "clusters"),
    ("dbscan", "clusters"),
]
EVERY = [*spark_ml.KINDS, *LOCAL]


def made(kind: str, classes: int = 2, n: int = 120) -> pa.Table:
    """Rows whose label follows from the first column."""
    random = np.random.default_rng(6)
    first = random.normal(size=n)
    label = (
        first * 3
        if kind != "classes"
        else np.digitize(first, np.linspace(-1, 1, classes + 1)[1:-1])
    )
    return pa.table(
        {
            "row_id": [f"r{i:03d}" for i in range(n)],
            "side": ["train"] * n,
            "label": label.astype(float),
            "a": first,
            "b": random.normal(size=n),
        }
    )


def fold_of(rows: pa.Table, kind: str, folder: Path) -> Fold:
    return folds.write(
        rows,
        folder / "fold.parquet",
        columns=("a", "b"),
        watched=False,
        classes=kind == "classes",
    )


@pytest.mark.full
@pytest.mark.parametrize(("name", "kind"), EVERY, ids=str)
def test_a_saved_model_predicts_the_same(
    name: str, kind: str, spark: SparkSession, tmp_path: Path
) -> None:
    rows = made(kind)
    model = estimators.fit(
        spark, name, kind, fold_of(rows, kind, tmp_path), PARAMETERS.get(name, {}), 1
    )
    answer = model.predict(spark, rows)
    label = rows.column("label").to_numpy()
    if kind == "classes":
        assert (answer.values == label).mean() > 0.85
        assert (answer.proba is None) is (name == "linear_svc")
    elif kind == "number":
        assert np.corrcoef(answer.values, label)[0, 1] > 0.9
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    again = estimators.load(folder, name, kind, ("a", "b")).predict(spark, rows)
    assert again.values.tolist() == answer.values.tolist()
    if answer.proba is not None:
        assert again.proba is not None
        assert again.proba.tolist() == answer.proba.tolist()


@pytest.mark.full
def test_predictions_come_in_the_order_of_the_rows(spark: SparkSession, tmp_path: Path) -> None:
    rows = made("number")
    model = estimators.fit(
        spark, "linear_regression", "number", fold_of(rows, "number", tmp_path), {}, 1
    )
    forward = model.predict(spark, rows).values
    order = np.random.default_rng(1).permutation(rows.num_rows)
    assert model.predict(spark, rows.take(pa.array(order))).values == pytest.approx(forward[order])


def test_a_regression_without_standard_errors_says_null_and_hides_no_other_error(
    spark: SparkSession, tmp_path: Path
) -> None:
    fold = fold_of(made("number"), "number", tmp_path)
    # Spark has no standard errors where it does not solve the normal equations.
    model = estimators.fit(spark, "linear_regression", "number", fold, {"solver": "l-bfgs"}, 1)
    table = model.facts()["table"]
    assert table["coefficients"]["a"] == pytest.approx(3, abs=0.01)
    assert table["standard_errors"] is table["t"] is table["p"] is None

    class Summary:
        r2, r2adj, numInstances = 0.0, 0.0, 3

        @property
        def coefficientStandardErrors(self) -> None:
            raise OSError("the session is gone")

    lost = SimpleNamespace(intercept=0.0, coefficients=np.zeros(2), summary=Summary())
    with pytest.raises(OSError, match="the session is gone"):
        spark_ml.regression_table(lost, ("a", "b"))


def test_trees_boosted_by_spark_take_two_classes_only(spark: SparkSession, tmp_path: Path) -> None:
    rows = made("classes", classes=3)
    with pytest.raises(InputError, match="tells two classes apart, not 3"):
        estimators.fit(
            spark, "gradient_boosted_trees", "classes", fold_of(rows, "classes", tmp_path), {}, 1
        )


def test_more_workers_than_slots_are_refused_before_spark_waits(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = made("number")
    with pytest.raises(ConfigError, match="9 workers, and Spark has 2 slots"):
        estimators.fit(
            spark, "xgboost", "number", fold_of(rows, "number", tmp_path), {"workers": 9}, 1
        )


def test_a_class_that_training_lacks_is_neither_learnt_nor_watched(tmp_path: Path) -> None:
    rows = made("classes", classes=3)
    label = rows.column("label").to_numpy()
    side = np.where(label == 1, "valid", "train")
    rows = rows.set_column(1, "side", pa.array(side))
    fold = folds.write(rows, tmp_path / "f.parquet", columns=("a", "b"), watched=True, classes=True)
    assert fold.classes == (0, 2)
    assert (fold.rows, fold.watching) == (int((label != 1).sum()), 0)
