"""Models that are points answer as scikit-learn's own do, and of many rows take a stated sample."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn import estimators, folds, pieces, rows, scoring
from beatlake.learn.estimators import points
from beatlake.learn.estimators.points import Points
from beatlake.learn.folds import Fold

COLUMNS = ("a", "b", "c")


def made(n: int, seed: int = 3) -> pa.Table:
    """Three clouds of rows, and some rows far from all of them."""
    random = np.random.default_rng(seed)
    cloud = random.integers(0, 3, n)
    values = random.normal(size=(n, 3)) * 0.5 + 4 * np.eye(3)[cloud]
    values[: n // 20] += random.uniform(-20, 20, (n // 20, 3))
    return pa.table(
        {
            "row_id": [f"r{i:04d}" for i in range(n)],
            "side": ["train"] * n,
            "label": cloud.astype(float),
            **{name: values[:, i] for i, name in enumerate(COLUMNS)},
        }
    )


def fold_of(table: pa.Table, folder: Path, **changed: Any) -> Fold:
    given: dict[str, Any] = {"columns": COLUMNS, "watched": False, "classes": True, **changed}
    return folds.write(table, folder / "fold.parquet", **given)


def numbers(table: pa.Table) -> np.ndarray:
    return np.column_stack([table.column(name).to_numpy() for name in COLUMNS])


@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_neighbours_vote_as_those_of_scikit_learn(weights: str, tmp_path: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    known, asked = made(300), made(120, seed=4)
    # A row that is among the points counts alone where distance weighs.
    asked = pa.concat_tables([asked, known.slice(0, 5)])
    label = known.column("label").to_numpy()
    parameters = {"k": 7, "weights": weights}
    model = points.fit("nearest_neighbours", "classes", fold_of(known, tmp_path), parameters)
    answer = model.predict(None, asked)
    theirs = KNeighborsClassifier(7, weights=weights).fit(numbers(known), label)
    assert answer.proba == pytest.approx(theirs.predict_proba(numbers(asked)))
    assert (answer.values == theirs.predict(numbers(asked))).all()

    fold = fold_of(known, tmp_path, classes=False)
    answer = points.fit("nearest_neighbours", "number", fold, parameters).predict(None, asked)
    expected = KNeighborsRegressor(7, weights=weights).fit(numbers(known), label)
    assert answer.values == pytest.approx(expected.predict(numbers(asked)))
    assert answer.proba is None


def test_weights_of_training_rows_weigh_their_votes(tmp_path: Path) -> None:
    known = made(200)
    rare = known.column("label").to_numpy() == 2
    weighty = fold_of(known, tmp_path, weights=np.where(rare, 50.0, 1.0))
    weighed = points.fit("nearest_neighbours", "classes", weighty, {"k": 50})
    plain = points.fit("nearest_neighbours", "classes", fold_of(known, tmp_path), {"k": 50})
    more, less = (np.sum(model.predict(None, known).values == 2) for model in (weighed, plain))
    assert more > less


def test_birch_and_dbscan_give_rows_the_clusters_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.cluster import DBSCAN, Birch

    known, asked = made(400), made(150, seed=5)
    fold = fold_of(known, tmp_path, classes=False)
    # In the order in which the fit takes them: a tree of subclusters depends on it.
    names = known.column("row_id").to_pylist()
    order = np.argsort([hashlib.md5(name.encode()).hexdigest() for name in names], kind="stable")
    values = numbers(known)[order]

    ours = points.fit("birch", "clusters", fold, {"k": 4, "threshold": 0.7})
    theirs = Birch(threshold=0.7, n_clusters=4).fit(values)
    assert ours.predict(None, asked).values.tolist() == theirs.predict(numbers(asked)).tolist()

    model = points.fit("dbscan", "clusters", fold, {"eps": 0.8, "min_samples": 6})
    expected = DBSCAN(eps=0.8, min_samples=6).fit(values)
    found = model.predict(None, known.take(pa.array(order))).values
    core = expected.core_sample_indices_
    assert (found[core] == expected.labels_[core]).all()
    # A row within reach of two clusters is of either; noise is noise.
    assert ((found == -1) == (expected.labels_ == -1)).all()
    assert 0 < (found == -1).sum() < 60
    far = known.slice(0, 1).set_column(3, "a", pa.array([1e6]))
    assert model.predict(None, far).values.tolist() == [-1]


def test_without_eps_the_distances_of_the_rows_say_what_is_near(tmp_path: Path) -> None:
    known = made(400)
    fold = fold_of(known, tmp_path, classes=False)
    facts = points.fit("dbscan", "clusters", fold, {}).facts()
    values = numbers(known)
    distances = np.sort(np.linalg.norm(values[:, None] - values[None], axis=2), axis=1)
    assert facts["eps"] == pytest.approx(np.median(distances[:, 9]))
    assert facts["clusters"] >= 3


@pytest.mark.parametrize(
    ("name", "kind"),
    [("nearest_neighbours", "classes"), ("birch", "clusters"), ("dbscan", "clusters")],
)
def test_of_many_rows_a_hash_of_their_names_takes_some(
    name: str, kind: str, tmp_path: Path
) -> None:
    known = made(600)
    order = np.random.default_rng(0).permutation(600)
    models = [
        points.fit(name, kind, fold_of(rows_, tmp_path, classes=kind == "classes"), PARAMETERS)
        for rows_ in (known, known.take(pa.array(order)))
    ]
    facts = models[0].facts()
    assert (facts["rows"], facts["of_rows"]) == (200, 600)
    assert models[0].content() == models[1].content()
    if name == "nearest_neighbours":
        hashed = {
            hashlib.md5(row.encode()).hexdigest(): a
            for row, a in zip(
                known.column("row_id").to_pylist(), known.column("a").to_pylist(), strict=True
            )
        }
        expected = [hashed[key] for key in sorted(hashed)][:200]
        assert models[0].table.column("a").to_pylist() == expected


PARAMETERS = {"max_rows": 200}


def test_saved_points_answer_the_same_here_and_in_a_worker(tmp_path: Path) -> None:
    known, asked = made(300), made(50, seed=6)
    model = points.fit("nearest_neighbours", "classes", fold_of(known, tmp_path), {})
    model.save(tmp_path)
    again = estimators.load(tmp_path, "nearest_neighbours", "classes", COLUMNS)
    assert isinstance(again, Points)
    assert again.about == model.about
    answer = model.predict(None, asked)
    assert again.predict(None, asked).proba.tolist() == answer.proba.tolist()
    assert pq.read_schema(tmp_path / "points.parquet").names == [*COLUMNS, "label", "weight"]
    path = str(tmp_path / "asked.parquet")
    pq.write_table(asked, path)
    compute = scoring._Compute(
        rows.Values(
            "row_id",
            tuple(f'"{name}" AS "f_{name}"' for name in COLUMNS),
            {"row_id": "VARCHAR", **dict.fromkeys(COLUMNS, "DOUBLE")},
        ),
        ", ".join(f'f_{name} AS "{name}"' for name in COLUMNS),
        pieces.shares([path]),
    )
    work = scoring._Score(compute, Points, model.content(), COLUMNS, ("x", "y", "z"))
    scored = pa.Table.from_batches(work([pa.record_batch({"id": [0]})]))
    assert scored.column("predicted").to_pylist() == ["xyz"[code] for code in answer.values]


@pytest.mark.parametrize(
    ("name", "parameters", "error", "said"),
    [
        ("nearest_neighbours", {"n_neighbors": 3}, ConfigError, "there is no n_neighbors"),
        ("nearest_neighbours", {"weights": "square"}, ConfigError, "one of uniform, distance"),
        ("nearest_neighbours", {"k": 0}, ConfigError, "k is a number above 0"),
        ("nearest_neighbours", {"k": 90}, InputError, "needs k = 90 rows, and 60 train"),
        ("birch", {"threshold": 100.0}, InputError, "lower its threshold"),
        ("dbscan", {"eps": 1e-9}, InputError, "dbscan finds no cluster"),
    ],
)
def test_what_cannot_be_fitted_is_told(
    name: str, parameters: dict[str, Any], error: type[Exception], said: str, tmp_path: Path
) -> None:
    kind = "classes" if name == "nearest_neighbours" else "clusters"
    with pytest.raises(error, match=said):
        points.fit(name, kind, fold_of(made(60), tmp_path), parameters)
