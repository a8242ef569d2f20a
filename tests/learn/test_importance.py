"""Importances are those that others find, and those of a table whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import songs
import xgboost
from sklearn.inspection import permutation_importance
from trees import Tree, Trees

from beatlake.learn import estimators, importance, splits
from beatlake.learn.estimators.answer import matrix
from beatlake.learn.estimators.boosted import Boosted
from beatlake.learn.features import FittedColumn, FittedFeatures
from beatlake.learn.importance import Importance
from beatlake.learn.ladder import Climb, Judged
from beatlake.learn.sides import Sides
from beatlake.learn.tuning import Tuner

REPEATS = 40
TEXT = songs.altered(
    songs.TASK,
    (
        "  - {name: logistic_regression}",
        "  - {name: decision_tree, parameters: {max_depth: 4}}",
    ),
    ("ceiling: 0.99", f"importance: {{repeats: {REPEATS}}}"),
)


@pytest.fixture
def trees(monkeypatch: pytest.MonkeyPatch) -> Trees:
    made = Trees()
    monkeypatch.setattr(estimators, "fit", made)
    return made


def weighed(
    given: list[dict[str, Any]], folder: Path, text: str = TEXT
) -> tuple[Judged, pa.Table, dict[str, Importance]]:
    """A model of the artist rung, its test rows, and permutation importances by feature."""
    with songs.ready(given, folder, text) as ready:
        rungs = splits.assign(ready.connection, ready.prepared, ready.task.splits)
        (rung,) = (r for r in rungs if r.name == "artist")
        sides = Sides(ready.connection, ready.task, ready.prepared, folder)
        (judged,) = Climb(Tuner(sides, None)).rung(rung)  # type: ignore[arg-type]
        found = importance.of(sides, None, judged)
        return (
            judged,
            sides.test(rung, judged.fitted),
            {one.feature: one for one in found if one.method == "permutation"},
        )


def test_permutation_importances_are_those_of_scikit_learn(trees: Trees, tmp_path: Path) -> None:
    judged, test, found = weighed(songs.made(1200, artists=150), tmp_path)
    assert isinstance(judged.model, Tree)
    rows, label = matrix(test, judged.model.columns), test.column("label").to_numpy()
    theirs = permutation_importance(
        judged.model.tree, rows, label, n_repeats=REPEATS, random_state=1, scoring="accuracy"
    )
    for place, name in enumerate(("energy", "tempo", "valence")):
        # Both are means over as many permutations: they differ by the error of two such means.
        error = theirs.importances_std[place] * np.sqrt(2 / REPEATS)
        assert found[name].value == pytest.approx(
            theirs.importances_mean[place], abs=4 * error + 1e-12
        )
    # A hit follows from the energy; tempo, valence and mood are drawn by chance.
    energy = found["energy"]
    assert energy.low is not None
    assert energy.high is not None
    assert 0.1 < energy.low < energy.value < energy.high
    for name in ("tempo", "valence", "mood"):
        assert abs(found[name].value) < 0.05
    assert max(found, key=lambda name: found[name].value) == "energy"


def test_importances_are_the_same_whatever_the_order_of_rows(trees: Trees, tmp_path: Path) -> None:
    given = songs.made()
    assert weighed(given, tmp_path)[2] == weighed(given[::-1], tmp_path)[2]


def test_the_columns_of_a_feature_are_permuted_together(trees: Trees, tmp_path: Path) -> None:
    given = [
        {**song, "hit": "yes" if song["mood"] == "dark" else "no", "plays": 1}
        for song in songs.made()
    ]
    judged, test, found = weighed(given, tmp_path)
    assert isinstance(judged.model, Tree)
    moods = [column.name for column in judged.fitted.columns if column.feature == "mood"]
    assert len(moods) == 4
    for rows in judged.model.asked:
        assert set(matrix(rows, moods).sum(axis=1)) == {1.0}
    # The label follows from the mood alone: dealt anew, it is hit as often as two draws agree.
    dark = test.column("label").to_numpy().mean()
    assert found["mood"].value == pytest.approx(2 * dark * (1 - dark), abs=0.03)
    assert {name: one.value for name, one in found.items() if name != "mood"} == {
        "energy": 0.0,
        "tempo": 0.0,
        "valence": 0.0,
    }


def test_of_an_error_more_is_more_important(trees: Trees, tmp_path: Path) -> None:
    text = TEXT + "metric: log_loss\n"
    _, _, found = weighed(songs.made(1200, artists=150), tmp_path, text)
    energy = found["energy"]
    assert energy.low is not None
    assert energy.high is not None
    assert 0 < energy.low < energy.value < energy.high


def boosted(label: np.ndarray, rows: pa.Table, **parameters: Any) -> Boosted:
    columns = ("a", "b_sin", "b_cos", "c")
    data = xgboost.DMatrix(matrix(rows, columns), label, feature_names=list(columns))
    booster = xgboost.train({"base_score": 0.0, "nthread": 1, **parameters}, data, 30)
    return Boosted(booster, columns)


def test_contributions_are_what_a_sum_of_stumps_gives_each_feature() -> None:
    random = np.random.default_rng(5)
    n = 300
    values = {name: random.normal(size=n) for name in ("a", "b_sin", "b_cos", "c")}
    rows = pa.table({"row_id": [f"r{i}" for i in range(n)], **values})
    label = 3 * values["a"] + values["b_sin"] - values["b_cos"]
    model = boosted(label, rows, max_depth=1, objective="reg:squarederror")
    fitted = FittedFeatures(
        tuple(FittedColumn(name, name[0], name, "number") for name in model.columns)
    )
    assert model.trees == 30
    margin = model.predict(None, rows).values
    shares = model.contributions(rows)
    assert shares.sum(axis=2)[:, 0] == pytest.approx(margin, abs=1e-4)

    # Stumps add up, so a column gives what is missing when its value is dealt from all rows.
    size = {}
    for feature, columns in {"a": ["a"], "b": ["b_sin", "b_cos"], "c": ["c"]}.items():
        # Every row with the values of every other.
        dealt = pa.table(
            {
                name: np.tile(of, n) if name in columns else np.repeat(of, n)
                for name, of in values.items()
            }
        )
        mean = model.predict(None, dealt).values.reshape(n, n).mean(axis=1)
        size[feature] = np.abs(margin - mean).mean()
    found = importance.contributions(model, fitted, rows, np.arange(n) % 60, "salt")
    assert [one.feature for one in found] == ["a", "b", "c"]
    for one in found:
        assert one.value == pytest.approx(size[one.feature], abs=1e-3)
        assert one.n == n
        # No stump asks for c.
        assert (one.low is None) is (one.high is None) is (one.feature == "c")
        assert one.low is None or one.low < one.value < (one.high or 0)
    assert found[2].value == 0


def test_contributions_to_several_classes_add_up_to_each_margin() -> None:
    random = np.random.default_rng(6)
    n = 200
    values = {name: random.normal(size=n) for name in ("a", "b_sin", "b_cos", "c")}
    rows = pa.table({"row_id": [f"r{i}" for i in range(n)], **values})
    label = np.digitize(values["a"], [-0.5, 0.5])
    model = boosted(label, rows, max_depth=2, objective="multi:softprob", num_class=3)
    shares = model.contributions(rows)
    assert shares.shape == (n, 3, 5)
    assert model.trees == 30 * 3
    proba = model.predict(None, rows).proba
    exponent = np.exp(shares.sum(axis=2))
    assert exponent / exponent.sum(axis=1, keepdims=True) == pytest.approx(proba, abs=1e-5)
