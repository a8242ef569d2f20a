"""Features are fitted on training rows alone, and computed as others compute them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import songs
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from beatlake.errors import InputError
from beatlake.learn import features, folds, splits
from beatlake.learn.features import FittedFeatures
from beatlake.learn.training_rows import TrainingRows

SCALERS = {"standard": StandardScaler(), "min_max": MinMaxScaler(), "robust": RobustScaler()}
WITH_HASH = songs.altered(
    songs.TASK,
    (
        "text: {features: [{name: mood, form: category}]}",
        "text: {features: [{name: mood, form: category, top: 2},"
        " {name: title, form: hash, buckets: 4}]}",
    ),
)


def fitted(ready: songs.Ready, name: str = "artist", watched: bool = False) -> FittedFeatures:
    rung = {r.name: r for r in splits.assign(ready.connection, ready.prepared, ready.task.splits)}[
        name
    ]
    rows = TrainingRows.of(ready.connection, rung, watched=watched)
    return features.fit(ready.task.features.list, ready.task.features.scale, rows)


@pytest.mark.parametrize("scale", [*SCALERS, "none"])
@pytest.mark.parametrize("watched", [True, False])
def test_changed_test_rows_leave_everything_fitted_as_it_was(
    scale: str, watched: bool, tmp_path: Path
) -> None:
    text = WITH_HASH.replace("  groups:", f"  scale: {scale}\n  groups:")
    given = songs.made()
    with songs.ready(given, tmp_path, text) as ready:
        before = fitted(ready, watched=watched)
        rung = splits.Rung("artist")
        held = ("test", "purged", "unused", *(("valid", "between") if watched else ()))
        listed = ", ".join(f"'{side}'" for side in held)
        (changed,) = ready.connection.execute(
            f"UPDATE prepared SET f_energy = 1e9, f_tempo = NULL, f_mood = 'planted', label = 0"
            f" WHERE row_id IN (SELECT row_id FROM {rung.table} WHERE side IN ({listed}))"
        ).fetchall()
        assert changed[0] > 50
        rows = TrainingRows.of(ready.connection, rung, watched=watched)
        assert features.fit(ready.task.features.list, scale, rows) == before
        ready.connection.execute("UPDATE prepared SET f_energy = f_energy + 1").fetchall()
        if scale != "none":
            assert features.fit(ready.task.features.list, scale, rows) != before


@pytest.mark.parametrize("scale", SCALERS)
def test_scaling_is_that_of_scikit_learn(scale: str, tmp_path: Path) -> None:
    text = songs.TASK.replace("  groups:", f"  scale: {scale}\n  groups:")
    with songs.ready(songs.made(), tmp_path, text) as ready:
        made = fitted(ready)
        rung = splits.Rung("artist")
        training = TrainingRows.of(ready.connection, rung, watched=False)
        raw = training.column("f_energy")[:, None]
        expected = SCALERS[scale].fit(raw).transform(raw)[:, 0]
        rows = folds.table(ready.connection, rung, made, folds.sides_of(False))
        assert rows.column("energy").to_numpy() == pytest.approx(expected, abs=1e-12)


def one(column: str, form: str, values: list[object], skew: str = "none") -> np.ndarray:
    """A feature's columns over values, as its SQL gives them before scaling."""
    from beatlake.learn.features import _applied

    pres = {"circle": ("circle_sin", "circle_cos"), "folded": ("folded",)}.get(form, (skew,))
    given = np.array(values, dtype=float)
    return np.column_stack([_applied(pre, given) for pre in pres])


def test_keys_lie_on_the_circle_of_fifths() -> None:
    points = one("key", "circle", list(range(12)))
    step = np.linalg.norm(points[0] - points[7])
    # C and G are neighbours, as are all keys a fifth apart; C and F sharp are opposite.
    for key in range(12):
        assert np.linalg.norm(points[key] - points[(key + 7) % 12]) == pytest.approx(step)
    assert np.linalg.norm(points[0] - points[6]) == pytest.approx(2)
    assert np.isnan(one("key", "circle", [-1])).all()


def test_half_and_double_time_are_one_tempo() -> None:
    assert one("tempo", "folded", [64, 128, 256])[:, 0] == pytest.approx([128] * 3)
    assert one("tempo", "folded", [90, 180])[:, 0] == pytest.approx([90, 90])
    assert np.isnan(one("tempo", "folded", [0])).all()


def test_skew_transforms_are_those_of_numpy() -> None:
    values = [0.0, 0.5, 10.0]
    assert one("x", "number", values, "log1p")[:, 0] == pytest.approx(np.log1p(values))
    assert one("x", "number", values, "sqrt")[:, 0] == pytest.approx(np.sqrt(values))
    assert one("x", "number", [-8.0, 27.0], "cube_root")[:, 0] == pytest.approx([-2, 3])


def test_common_values_have_columns_and_others_share_one(tmp_path: Path) -> None:
    with songs.ready(songs.made(), tmp_path, WITH_HASH) as ready:
        made = fitted(ready)
        rung = splits.Rung("artist")
        rows = folds.table(ready.connection, rung, made, splits.SIDES)
        moods = np.column_stack(
            [rows.column(n).to_numpy() for n in rows.column_names if "mood" in n]
        )
        hashes = np.column_stack([rows.column(f"title__{i}").to_numpy() for i in range(4)])
    assert moods.shape[1] == 3
    assert (moods.sum(axis=1) == 1).all()
    assert (hashes.sum(axis=1) == 1).all()
    assert (hashes.sum(axis=0) > 40).all()


def test_a_missing_value_is_the_median_and_says_so(tmp_path: Path) -> None:
    given = songs.made()
    for song in given[::3]:
        song["tempo"] = None
    text = songs.TASK.replace("  groups:", "  scale: none\n  groups:")
    with songs.ready(given, tmp_path, text) as ready:
        made = fitted(ready)
        training = TrainingRows.of(ready.connection, splits.Rung("artist"), watched=False)
        median = float(np.nanmedian(training.column("f_tempo")))
        rows = folds.table(ready.connection, splits.Rung("artist"), made, splits.SIDES)
        missing = rows.filter(pa.compute.equal(rows.column("tempo__missing"), 1.0))
    assert missing.num_rows > 100
    assert set(missing.column("tempo").to_pylist()) == {median}


def test_empty_and_constant_features_are_left_out_with_the_reason(tmp_path: Path) -> None:
    given = [{**song, "tempo": None, "valence": 0.5} for song in songs.made()]
    with songs.ready(given, tmp_path) as ready:
        made = fitted(ready)
    assert made.left_out == {"tempo": "empty", "valence": "constant"}
    nothing = [{**song, "energy": 1, "mood": "calm"} for song in given]
    with (
        songs.ready(nothing, tmp_path) as ready,
        pytest.raises(InputError, match="No feature says anything"),
    ):
        fitted(ready)


def test_only_a_training_side_can_be_fitted_on() -> None:
    with pytest.raises(TypeError, match="TrainingRows are made by"):
        TrainingRows(None, splits.Rung("artist"), ("test",))  # type: ignore[arg-type]


def test_a_description_survives_as_json(tmp_path: Path) -> None:
    with songs.ready(songs.made(), tmp_path, WITH_HASH) as ready:
        made = fitted(ready)
    again = FittedFeatures.parse(made.json())
    assert again == made
    assert again.sha256 == made.sha256
    assert again.select() == made.select()
