"""Resampling happens inside the training fold, is bounded, and says what it cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
import songs

from beatlake import cli
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.learn import imbalance, listing, source, task_files
from beatlake.learn.resampling import resampled
from beatlake.learn.task import Resampling

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = ("a", "b")


def fold(counts: tuple[int, ...] = (60, 12, 8), watching: int = 15) -> pa.Table:
    """Rows of classes of different sizes, and some that watch."""
    label = np.repeat(np.arange(len(counts)), counts)
    n = len(label) + watching
    random = np.random.default_rng(1)
    label = np.concatenate([label, random.integers(0, len(counts), watching)]).astype(float)
    return pa.table(
        {
            "row_id": [f"r{i}" for i in range(n)],
            "side": ["train"] * (n - watching) + ["valid"] * watching,
            "label": label,
            "a": random.normal(size=n) + label,
            "b": random.normal(size=n),
        }
    )


def counts(rows: pa.Table) -> dict[str, list[int]]:
    """Rows by class, by side."""
    side = np.array(rows.column("side").to_pylist())
    label = rows.column("label").to_numpy().astype(int)
    return {
        name: np.bincount(label[side == name], minlength=3).tolist() for name in np.unique(side)
    }


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("over", [60, 60, 60]),
        ("under", [8, 8, 8]),
        ("smote", [60, 60, 60]),
        ("cluster_centroids", [8, 8, 8]),
    ],
)
def test_classes_of_the_training_fold_become_even(how: str, expected: list[int]) -> None:
    rows = fold()
    made, weights = resampled(rows, COLUMNS, Resampling.model_validate({"how": how}), 42)
    assert weights is None
    assert counts(made)["train"] == expected
    assert counts(made)["valid"] == counts(rows)["valid"]


@pytest.mark.parametrize("how", ["over", "under", "smote", "smote_tomek", "cluster_centroids"])
def test_rows_that_watch_are_never_touched(how: str) -> None:
    rows = fold()
    made, _ = resampled(rows, COLUMNS, Resampling.model_validate({"how": how}), 42)
    side = np.array(made.column("side").to_pylist())
    watching = made.filter(pa.array(side == "valid")).select([*COLUMNS, "label", "row_id"])
    before = np.array(rows.column("side").to_pylist())
    assert watching == rows.filter(pa.array(before == "valid")).select(watching.column_names)
    again, _ = resampled(rows, COLUMNS, Resampling.model_validate({"how": how}), 42)
    assert again == made


def test_class_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    rows = fold()
    made, weights = resampled(rows, COLUMNS, Resampling(how="class_weights"), 42)
    assert made == rows
    assert weights is not None
    training = rows.column("label").to_numpy()[:80]
    assert weights[:80] == pytest.approx(compute_sample_weight("balanced", training))
    assert set(weights[80:]) == {1.0}


def test_too_many_rows_are_refused_with_what_to_do() -> None:
    with pytest.raises(InputError, match="smote takes 50 training rows at most"):
        resampled(fold(), COLUMNS, Resampling(how="smote", max_rows=50), 42)


def test_a_class_of_one_row_has_no_neighbours() -> None:
    with pytest.raises(InputError, match="needs two rows of each class, and one class has 1"):
        resampled(fold((30, 5, 1)), COLUMNS, Resampling(how="smote"), 42)


def test_a_resampled_model_stands_beside_the_same_without(
    spark: SparkSession, tmp_path: Path
) -> None:
    given = songs.made(700, artists=120)
    text = songs.altered(
        songs.TASK,
        ("splits: {headline: artist}", "splits: {headline: artist, rungs: [artist]}"),
        ("slices: {mood: mood}", "resampling: {how: class_weights}"),
    )
    for song in given:
        song["hit"] = "yes" if song["plays"] > 250 else "no"
    (tmp_path / "songs.yaml").write_text(text, encoding="utf-8")
    table, lake = songs.write(given, tmp_path / "songs.csv"), tmp_path / "lake"
    words = ["train", "--task", tmp_path / "songs.yaml", "--table", table, "--lake", lake]
    assert cli.main([*map(str, words), "--quiet"]) == 0
    found = {
        (line["estimator"], line["metric"]): line["value"]
        for line in listing.ladder(Lake(lake), "songs")
    }
    for metric in ("pr_auc", "brier", "ece", "balanced_accuracy"):
        assert found["unresampled: logistic_regression", metric] is not None
        assert found["logistic_regression", metric] is not None
    # Weights find more of the rare class, and are paid for with calibration.
    more, less = (
        found[name, "balanced_accuracy"]
        for name in ("logistic_regression", "unresampled: logistic_regression")
    )
    assert more > less + 0.02
    assert found["logistic_regression", "ece"] > found["unresampled: logistic_regression", "ece"]
    card = (lake / "models" / "songs" / "1" / "card.md").read_text(encoding="utf-8")
    assert "Each resampler, fitted on training rows alone, beside none" in card
    assert f"{found['unresampled: logistic_regression', 'brier']:.3f}" in card


def test_resampled_before_the_split_flatters_and_is_marked_as_wrong(
    spark: SparkSession, tmp_path: Path
) -> None:
    # Labels by chance: nothing can be learnt, and copies on both sides are known by heart.
    given = songs.made(500, artists=50)
    random = np.random.default_rng(8)
    for song in given:
        song["hit"] = "yes" if random.random() < 0.15 else "no"
    text = songs.altered(
        songs.TASK,
        (
            "  - {name: logistic_regression}",
            "  - {name: decision_tree, parameters: {max_depth: 20, max_bins: 64}}",
        ),
        ("slices: {mood: mood}", "resampling: {how: over}"),
    )
    asked = task_files.parse(text, "songs")
    path = songs.write(given, tmp_path / "songs.csv")
    lines = imbalance.compare(spark, asked, source.path(path, asked.table))
    found = {line["resampled"]: line for line in lines if line["metric"] == "balanced_accuracy"}
    assert set(found) == {"none", "over in the training fold", "over before the split"}
    assert found["over before the split"]["value"] > 0.85
    assert "both sides" in found["over before the split"]["wrong"]
    assert found["over in the training fold"]["value"] < 0.65
    assert found["over in the training fold"]["wrong"] is None
