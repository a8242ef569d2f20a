"""Every estimator: fitted, saved, loaded again, with the same predictions; and what it refuses."""

from __future__ import annotations

import ast
import inspect
import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost
from pyspark.errors import PySparkAttributeError
from pyspark.sql import functions as F
from scipy import stats

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn import estimators, folds
from beatlake.learn.estimators import boosted, spark_ml
from beatlake.learn.estimators.answer import matrix
from beatlake.learn.folds import Fold
from beatlake.learn.parts import Parts
from beatlake.workers import Threads

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


def test_a_linear_regression_has_the_table_of_least_squares_with_categories_too(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Columns that follow from others are left out; the rest is the normal equations in numpy."""
    random = np.random.default_rng(4)
    n = 300
    x, place = random.normal(size=n), random.choice(3, n, p=[0.5, 0.3, 0.2])
    missing = random.uniform(size=n) < 0.2
    values = {
        "x": x,
        "x__missing": missing.astype(float),
        "y__missing": missing.astype(float),
        **{f"mood__{i}": (place == i).astype(float) for i in range(3)},
        "mood__other": np.zeros(n),
        "year": 2000.0 + random.integers(20, size=n),
    }
    label = 1.0 + 2 * x + 3 * missing + place + random.normal(size=n)
    rows = pa.table(
        {"row_id": [f"r{i:03d}" for i in range(n)], "side": ["train"] * n, "label": label, **values}
    )
    columns = tuple(values)
    fold = folds.write(
        rows, tmp_path / "fold.parquet", columns=columns, watched=False, classes=False
    )
    model = estimators.fit(spark, "linear_regression", "number", fold, {}, 1)
    found = model.facts()["table"]
    assert found["left_out"] == ["x__missing", "mood__0", "mood__other"]
    taken = ["x", "y__missing", "mood__1", "mood__2", "year"]
    design = np.column_stack([*(values[name] for name in taken), np.ones(n)])
    freedom = n - design.shape[1]
    solved, (rest,), *_ = np.linalg.lstsq(design, label, rcond=None)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * rest / freedom)
    expected = {
        "coefficients": solved[:-1],
        "standard_errors": errors,
        "t": solved / errors,
        "p": 2 * stats.t.sf(np.abs(solved / errors), freedom),
    }
    for key, of in expected.items():
        named = dict(zip([*taken, "intercept"], of, strict=False))
        assert found[key] == pytest.approx(named, rel=1e-6, abs=1e-12), key
    share = rest / ((label - label.mean()) ** 2).sum()
    assert found["r2_adjusted"] == pytest.approx(1 - share * (n - 1) / freedom)
    # No column less is asked of the rows to predict, and what is left out counts for nothing.
    assert model.columns == columns
    assert estimators.column_importances(model)["mood__0"] == 0
    (tmp_path / "model").mkdir()
    model.save(tmp_path / "model")
    again = estimators.load(tmp_path / "model", "linear_regression", "number", columns)
    assert again.predict(spark, rows).values == pytest.approx(design @ solved)


def test_a_regression_without_standard_errors_says_null_and_hides_no_other_error(
    spark: SparkSession, tmp_path: Path
) -> None:
    fold = fold_of(made("number"), "number", tmp_path)
    # Spark has none where it does not solve the normal equations, and wrong ones of a ridge.
    for parameters in ({"solver": "l-bfgs"}, {"reg_param": 1e-3}):
        model = estimators.fit(spark, "linear_regression", "number", fold, parameters, 1)
        table = model.facts()["table"]
        assert table["coefficients"]["a"] == pytest.approx(3, abs=0.01)
        assert table["standard_errors"] is table["t"] is table["p"] is None

    class Summary:
        r2, r2adj, numInstances = 0.0, 0.0, 3

        @property
        def coefficientStandardErrors(self) -> None:
            raise OSError("the session is gone")

    lost = SimpleNamespace(
        intercept=0.0, coefficients=np.zeros(2), summary=Summary(), getRegParam=lambda: 0.0
    )
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


class Remote:
    """A session of Spark Connect, as far as one can tell it from a classic one without a server."""

    @property
    def sparkContext(self) -> None:
        raise PySparkAttributeError("[JVM_ATTRIBUTE_NOT_SUPPORTED] sparkContext")


class Named(SimpleNamespace):
    """One that answers every question, and is told by where its class is from."""

    __module__ = "pyspark.sql.connect.session"


@pytest.mark.parametrize(
    "session", [Remote(), Named(sparkContext=SimpleNamespace(defaultParallelism=8))], ids=type
)
@pytest.mark.parametrize("kind", ["classes", "number"])
def test_xgboost_refuses_spark_connect(session: Any, kind: str, tmp_path: Path) -> None:
    fold = fold_of(made(kind), kind, tmp_path)
    with pytest.raises(ConfigError, match=r"needs a classic Spark session .* Spark Connect"):
        estimators.fit(session, "xgboost", kind, fold, {"n_estimators": 2}, 1)


SAMPLED = {"n_estimators": 10, "max_depth": 3, "subsample": 0.5, "min_child_weight": 0}


def xgboost_of(spark: SparkSession, fold: Fold, side_by_side: int = 1, workers: int = 1) -> bytes:
    parameters = {**SAMPLED, "workers": workers}
    model = estimators.fit(spark, "xgboost", "number", fold, parameters, 1, side_by_side)
    assert isinstance(model, boosted.Boosted)
    return model.content()


def test_trees_do_not_depend_on_how_a_fold_is_cut_or_on_threads(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are drawn by their place, so that other places give other trees."""
    from xgboost.spark.core import _SparkXGBEstimator

    threads: list[int] = []
    converted = _SparkXGBEstimator._convert_to_sklearn_model

    def told(self: object, booster: bytearray, config: str) -> object:
        threads.append(int(json.loads(config)["learner"]["generic_param"]["nthread"]))
        return converted(self, booster, config)

    monkeypatch.setattr(_SparkXGBEstimator, "_convert_to_sklearn_model", told)
    fold = fold_of(made("number", n=1000), "number", tmp_path)
    whole = xgboost_of(spark, fold)
    rows = pq.read_table(fold.path)
    pq.write_table(rows, fold.path, row_group_size=9)
    assert xgboost_of(spark, fold, side_by_side=2) == whole
    # The workers themselves say with how many threads they trained.
    assert threads == [2, 1]
    pq.write_table(rows.take(np.arange(1000)[::-1]), fold.path)
    assert xgboost_of(spark, fold) != whole


@pytest.mark.full
def test_several_workers_take_equal_parts_however_a_fold_is_cut(
    spark: SparkSession, tmp_path: Path
) -> None:
    fold = fold_of(made("number", n=1000), "number", tmp_path)
    whole = xgboost_of(spark, fold, workers=2)
    pq.write_table(pq.read_table(fold.path), fold.path, row_group_size=9)
    assert xgboost_of(spark, fold, workers=2) == whole


def test_xgboost_has_what_its_estimator_is_changed_by() -> None:
    """It is private, so that a later version of XGBoost may have it otherwise."""
    from xgboost.spark import core, data

    estimator = core._SparkXGBEstimator
    uses: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(estimator._fit)))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "dataset":
            uses.add(f"dataset.{node.attr}")
        elif isinstance(node, ast.Call) and "dataset" in map(ast.unparse, node.args):
            uses.add(f"{ast.unparse(node.func)}(dataset)")
    replaced = (estimator._prepare_input, estimator._get_xgb_parameters)
    found = {
        "what a fit does with a frame": sorted(uses),
        "what is replaced takes": [list(inspect.signature(each).parameters) for each in replaced],
        "features are described by": core.FeatureProp._fields,
        "names of facts": [*data.alias._fields],
        "a worker is given": sorted(
            set(inspect.signature(core.create_dmatrix_from_partitions).parameters)
        ),
    }
    assert found == {
        "what a fit does with a frame": [
            "dataset.mapInPandas",
            "self._get_xgb_parameters(dataset)",
            "self._prepare_input(dataset)",
        ],
        "what is replaced takes": [["self", "dataset"]] * 2,
        "features are described by": (
            "enable_sparse_data_optim",
            "has_validation_col",
            "features_cols_names",
        ),
        "names of facts": ["data", "label", "weight", "margin", "valid", "qid"],
        "a worker is given": [
            "dev_ordinal",
            "enable_sparse_data_optim",
            "feature_cols",
            "has_validation_col",
            "iterator",
            "kwargs",
            "use_qdm",
        ],
    }, (
        f"xgboost {xgboost.__version__} hands rows to its Spark workers in another way than the"
        " one that beatlake.learn.estimators.boosted replaces: compare the two before a fit is"
        " trusted."
    )


@pytest.mark.parametrize(("workers", "watched"), [(1, False), (2, True)])
def test_a_fit_is_that_of_xgboost_alone(
    workers: int, watched: bool, spark: SparkSession, tmp_path: Path, monkeypatch: Any
) -> None:
    """With weights, missing values and names of XGBoost's own; batches and a worker lack a side."""
    random = np.random.default_rng(5)
    n, train = 1000, 790
    # So few values that each is a bin of its own, however they are cut.
    values = random.integers(0, 30, size=(n, 2)).astype(np.float64)
    values[random.uniform(size=(n, 2)) < 0.1] = np.nan
    # Single precision, which XGBoost has, holds several of these for one.
    values[:, 1] = 1e8 + np.floor(values[:, 1] / 2)
    label = np.nan_to_num(values[:, 0]) + random.normal(size=n)
    weight = random.uniform(0.5, 2, size=n)
    names = ("values", "qid")
    rows = pa.table(
        {
            "row_id": [f"r{i:03d}" for i in range(n)],
            "side": ["train"] * train + ["valid"] * (n - train),
            "label": label,
            **{name: pa.array(values[:, i], from_pandas=True) for i, name in enumerate(names)},
        }
    )
    path = tmp_path / "fold.parquet"
    fold = folds.write(rows, path, columns=names, watched=True, classes=False, weights=weight)
    monkeypatch.setattr(boosted, "_BATCH_ROWS", 100)
    rounds: dict[str, Any] = {"n_estimators": 60, "max_depth": 2, "learning_rate": 0.3}
    rounds |= {"early_stopping_rounds": 3} if watched else {}
    model = estimators.fit(spark, "xgboost", "number", fold, {**rounds, "workers": workers}, 1)
    assert isinstance(model, boosted.Boosted)
    single = values.astype(np.float32)
    data, watching = (
        xgboost.DMatrix(single[side], label[side], weight=weight[side])
        for side in (slice(0, train), slice(train, n))
    )
    alone = xgboost.train(
        {"max_depth": 2, "learning_rate": 0.3, "tree_method": "hist", "nthread": 1},
        data,
        60,
        evals=[(watching, "watching")] if watched else [],
        early_stopping_rounds=3 if watched else None,
        verbose_eval=False,
    )
    assert model.booster.num_boosted_rounds() == alone.num_boosted_rounds()
    assert (alone.num_boosted_rounds() < 60) is watched
    until = (0, alone.best_iteration + 1) if watched else (0, 0)
    expected = alone.predict(xgboost.DMatrix(single), iteration_range=until)
    assert model.predict(None, rows).values == pytest.approx(expected, abs=1e-3)


@pytest.mark.full
def test_a_worker_may_have_no_rows(spark: SparkSession, tmp_path: Path) -> None:
    rows = made("number", n=1)
    fold = fold_of(rows, "number", tmp_path)
    model = estimators.fit(spark, "xgboost", "number", fold, {"workers": 2}, 1)
    assert model.predict(spark, rows).values == pytest.approx(rows.column("label").to_numpy())


def test_a_worker_of_spark_lets_xgboost_have_its_threads() -> None:
    """Spark tells its Python workers to have one, and XGBoost takes no more than that."""
    arriving = (
        "import pickle, sys; given = pickle.loads(bytes.fromhex(sys.argv[1]))['nthread'];"
        "from threadpoolctl import threadpool_info;"
        "print(type(given).__name__, given, *(each['num_threads'] for each in threadpool_info()"
        " if each['user_api'] == 'openmp'))"
    )
    sent = pickle.dumps({"nthread": Threads(2)})
    said = subprocess.run(
        [sys.executable, "-c", arriving, sent.hex()],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    kind, number, *allowed = said.split()
    assert (kind, number) == ("int", "2")
    assert allowed and set(allowed) == {"2"}


def test_rows_of_a_fold_lie_in_partitions_by_its_groups_whatever_the_session_cuts_files_by(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folds, "GROUP_ROWS", 2_000)
    fold = fold_of(made("classes", n=5_000), "classes", tmp_path)
    names = pq.read_table(fold.path, columns=["row_id"]).column(0).to_pylist()
    for partitions in ("1", "16"):
        spark.conf.set("spark.sql.files.minPartitionNum", partitions)
        try:
            rows = spark_ml.by_groups(spark, fold.path)
            found = rows.select("row_id", F.spark_partition_id().alias("partition")).toArrow()
        finally:
            spark.conf.unset("spark.sql.files.minPartitionNum")
        assert found.column("row_id").to_pylist() == names
        counted = found.group_by("partition").aggregate([("row_id", "count")]).to_pydict()
        assert sorted(counted["row_id_count"]) == [1_000, 2_000, 2_000]


def test_a_fit_leaves_the_session_as_it_is(spark: SparkSession, tmp_path: Path) -> None:
    def settings() -> dict[str, str]:
        return {row.key: row.value for row in spark.sql("SET").collect()}

    before = settings()
    assert before["spark.sql.adaptive.enabled"] == "true"
    xgboost_of(spark, fold_of(made("number"), "number", tmp_path))
    assert settings() == before


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic", "multi:softprob"])
def test_a_booster_predicts_as_xgboost_does_from_its_own_matrix(objective: str) -> None:
    kind = "number" if objective.startswith("reg") else "classes"
    rows = made(kind, classes=3 if objective.startswith("multi") else 2, n=500)
    first = pa.array([None if i % 7 == 0 else v for i, v in enumerate(rows["a"].to_pylist())])
    rows = rows.set_column(3, "a", first)
    data = xgboost.DMatrix(
        matrix(rows, ("a", "b")), rows["label"].to_numpy(), feature_names=["a", "b"]
    )
    parameters: dict[str, Any] = {"objective": objective, "max_depth": 3, "nthread": 1}
    if objective.startswith("multi"):
        parameters["num_class"] = 3
    booster = xgboost.train(parameters, data, 20)
    # Rounds after the best are there, and do not count.
    booster.set_attr(best_iteration="4")
    answer = boosted.predict(booster, ("a", "b"), rows)
    expected = booster.predict(data, iteration_range=(0, 5))
    if answer.proba is None:
        assert answer.values.tolist() == expected.tolist()
    else:
        said = answer.proba if expected.ndim == 2 else answer.proba[:, 1]
        assert said == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("group", [1, 7, 100, 1000])
def test_parts_of_a_fold_have_every_row_once_and_in_order(group: int, tmp_path: Path) -> None:
    rows = made("number", n=103).select(["row_id", "a", "b"])
    path = tmp_path / "fold.parquet"
    pq.write_table(rows, path, row_group_size=group)
    parts = [list(Parts(path, 4, 10).batches(i, ("b", "row_id"))) for i in range(4)]
    assert [[batch.num_rows for batch in part] for part in parts] == [
        [10, 10, 5],
        *[[10, 10, 6]] * 3,
    ]
    found = pa.concat_tables([batch for part in parts for batch in part])
    assert found.equals(rows.select(["b", "row_id"]))


def test_what_workers_import_to_read_their_part_needs_no_other_package() -> None:
    """They get it in a zip file, and have what XGBoost needs."""
    code = "import sys; before = set(sys.modules); import beatlake.learn.parts;"
    code += "print({name.split('.')[0] for name in set(sys.modules) - before})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) <= {"beatlake", *sys.stdlib_module_names}


def test_a_class_that_training_lacks_is_neither_learnt_nor_watched(tmp_path: Path) -> None:
    rows = made("classes", classes=3)
    label = rows.column("label").to_numpy()
    side = np.where(label == 1, "valid", "train")
    rows = rows.set_column(1, "side", pa.array(side))
    fold = folds.write(rows, tmp_path / "f.parquet", columns=("a", "b"), watched=True, classes=True)
    assert fold.classes == (0, 2)
    assert (fold.rows, fold.watching) == (int((label != 1).sum()), 0)
