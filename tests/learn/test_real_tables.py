"""The example tasks on the real tables that they are about.

They are not part of the repository: `BEATLAKE_REAL_DATA` names the directory that holds them.
Counts are those of the published studies, or taken from the files by others; scores are held to
bands of what scikit-learn's and XGBoost's own models gave on the same rows.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from beatlake import cli
from beatlake.lake import Lake
from beatlake.learn import gates, listing, rows, source, splits, task_files
from beatlake.learn.engine import database
from beatlake.learn.features import TrainingRows

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
#: Rung and the band that the headline metric of a task's first estimator lies in.
BANDS = {
    "hit_predictor": {"random": (0.775, 0.81), "recording": (0.77, 0.81), "artist": (0.76, 0.80)},
    "genre_tags": {"random": (0.47, 0.52), "recording": (0.44, 0.48), "artist": (0.43, 0.47)},
    "playlist_genre": {"random": (0.54, 0.59), "recording": (0.53, 0.58), "artist": (0.52, 0.57)},
    "playlist_popularity": {
        "random": (0.24, 0.32),
        "recording": (0.0, 0.09),
        "artist": (0.0, 0.11),
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
    lines = listing.ladder(Lake(tmp_path), name)
    first = next(line["estimator"] for line in lines)
    found = {
        line["rung"]: line["value"]
        for line in lines
        if line["estimator"] == first and line["headline_metric"]
    }
    for rung, (low, high) in BANDS[name].items():
        assert low < found[rung] < high, rung
