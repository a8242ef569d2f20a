"""The example tasks on the real tables that they are about.

They are not part of the repository: `BEATLAKE_REAL_DATA` names the directory that holds them.
Counts are those of the published studies, or taken from the files by others; scores are held to
bands of what scikit-learn's and XGBoost's own models gave on the same rows.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beatlake import cli
from beatlake.lake import Lake
from beatlake.learn import gates, listing, rows, source, splits, task_files
from beatlake.learn.engine import database
from beatlake.learn.training_rows import TrainingRows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATA = Path(os.environ.get("BEATLAKE_REAL_DATA", ""))
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        "BEATLAKE_REAL_DATA" not in os.environ or not (DATA / "hit_predictor").is_dir(),
        reason="BEATLAKE_REAL_DATA does not name a directory with hit_predictor/",
    ),
]
EXAMPLES = Path(__file__).parents[2] / "conf" / "tasks" / "examples"
FOLDERS = {
    "hit_predictor": "hit_predictor",
    "genre_tags": "genre_tags",
    "playlist_genre": "playlist_tracks",
    "playlist_popularity": "playlist_tracks",
    "playlist_popularity_class": "playlist_tracks",
}
#: The twelve genres of the capstone study, as it counted them.
GENRES = {
    "pop": 12_197,
    "rock": 4_309,
    "dance": 3_696,
    "rap/hip hop": 2_729,
    "classical": 2_665,
    "jazz/blues": 2_593,
    "country/folk": 1_536,
    "hardcore": 1_500,
    "mexicano/latino": 1_435,
    "old school dance": 922,
    "focus/sleep": 922,
    "gospel/worship": 545,
}
#: Bands that scores lie in, by task, estimator, metric and rung: of what scikit-learn's forests and
#: linear models gave on the same rows, dealt by themselves.
BANDS = {
    "hit_predictor": {
        ("xgboost", "accuracy"): {
            "random": (0.775, 0.81),
            "recording": (0.77, 0.81),
            "artist": (0.76, 0.80),
            "time": (0.77, 0.82),
        },
        ("logistic_regression", "accuracy"): {
            "random": (0.71, 0.75),
            "recording": (0.71, 0.75),
            "artist": (0.70, 0.75),
        },
    },
    "genre_tags": {
        ("xgboost", "accuracy"): {
            "random": (0.47, 0.52),
            "recording": (0.44, 0.48),
            "artist": (0.43, 0.47),
        },
        ("xgboost", "macro_f1"): {"recording": (0.26, 0.33), "artist": (0.26, 0.33)},
        ("xgboost", "top_2"): {"recording": (0.64, 0.70), "artist": (0.64, 0.70)},
    },
    "playlist_genre": {
        ("xgboost", "accuracy"): {
            "random": (0.54, 0.59),
            "recording": (0.53, 0.58),
            "artist": (0.52, 0.57),
        },
        ("xgboost", "top_2"): dict.fromkeys(("random", "recording", "artist"), (0.73, 0.78)),
    },
    "playlist_popularity": {
        ("xgboost", "r2"): {
            "random": (0.24, 0.32),
            "recording": (0.0, 0.09),
            "artist": (0.0, 0.11),
        },
        ("xgboost", "mae"): {
            "random": (16.0, 17.5),
            "recording": (19.4, 21.0),
            "artist": (19.2, 21.2),
        },
        ("linear_regression", "r2"): dict.fromkeys(("random", "recording", "artist"), (0.04, 0.1)),
    },
}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_rows_are_those_that_were_counted(name: str, tmp_path: Path) -> None:
    asked = task_files.load(str(EXAMPLES / f"{name}.yaml"))
    with database(tmp_path) as connection:
        prepared = rows.prepare(connection, asked, source.path(DATA / FOLDERS[name], asked.table))
        if name == "hit_predictor":
            assert prepared.rows == 41_106
        elif name == "genre_tags":
            assert prepared.dropped == {"repeats of a row": 7_756, "genre without a class": 3_486}
            counted = dict(
                connection.execute("SELECT label, count(*) FROM prepared GROUP BY 1").fetchall()
            )
            assert {prepared.classes[code]: n for code, n in counted.items()} == GENRES
        elif name == "playlist_popularity_class":
            assert prepared.rows == 28_356
        else:
            assert prepared.rows == 32_833
        found = []
        for rung in splits.assign(connection, prepared, asked.splits):
            if not rung.unavailable:
                found += gates.of_rung(connection, rung, asked.features.list)
            if rung.name == asked.splits.headline:
                found += gates.of_test_side(connection, asked, prepared, rung)
                training = TrainingRows.of(connection, rung, watched=False)
                found += gates.of_features(asked, training)
        assert len(found) > 10
        assert [verdict.gate for verdict in found if not verdict.passed] == []


@pytest.mark.full
@pytest.mark.parametrize("name", BANDS)
def test_scores_lie_in_the_bands_of_other_libraries(
    name: str, spark: SparkSession, tmp_path: Path
) -> None:
    words = ["train", "--task", EXAMPLES / f"{name}.yaml", "--table", DATA / FOLDERS[name]]
    assert cli.main([*map(str, words), "--lake", str(tmp_path), "--quiet"]) == 0
    found = {
        (line["estimator"], line["metric"], line["rung"]): line["value"]
        for line in listing.ladder(Lake(tmp_path), name)
    }
    outside = {
        (estimator, metric, rung): found[estimator, metric, rung]
        for (estimator, metric), bands in BANDS[name].items()
        for rung, (low, high) in bands.items()
        if not low < found[estimator, metric, rung] < high
    }
    assert outside == {}


@pytest.mark.full
def test_copies_made_before_the_split_flatter_as_they_did_in_the_published_study(
    spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three bins of popularity, by forests: .734 where copies were dealt, .511 where they train."""
    task_file = EXAMPLES / "playlist_popularity_class.yaml"
    words = ["resampling", "--task", task_file, "--table", DATA / "playlist_tracks"]
    assert cli.main([*map(str, words), "--format", "json"]) == 0
    found = {
        line["resampled"]: line
        for line in json.loads(capsys.readouterr().out)
        if line["metric"] == "accuracy"
    }
    assert 0.71 < found["over before the split"]["value"] < 0.76
    assert 0.49 < found["over in the training fold"]["value"] < 0.53
    assert [name for name, line in found.items() if line["wrong"]] == ["over before the split"]
