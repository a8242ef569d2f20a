"""The built-in tasks on recordings of the lake's own shape, and how models live beside releases."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from beatlake import cli
from beatlake.commits import Stamp
from beatlake.lake import Lake
from beatlake.learn import gates, listing, promotion, rows, source, splits, task_files
from beatlake.learn.engine import database
from beatlake.learn.features import fit
from beatlake.learn.training_rows import TrainingRows
from beatlake.resources import read_conf
from beatlake.tables import ml, registry
from small_lake import Drop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GENRES = (
    "House",
    "Techno (Raw / Deep / Hypnotic)",
    "Drum & Bass",
    "Psy-Trance",
    "Nu Disco / Disco",
)
SHARES = ("acousticness", "danceability", "instrumentalness", "liveness", "speechiness", "valence")


def recordings(n: int = 600, seed: int = 2) -> pa.Table:
    """Recordings by the spec of silver.recordings; a genre has its own tempo and energy."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(n):
        genre = int(random.integers(len(GENRES)))
        artist = int(random.integers(n // 6))
        day = dt.date(2005, 1, 1) + dt.timedelta(days=int(random.integers(6000)))
        row: dict[str, Any] = {
            "isrc": f"GB{i:010d}",
            "has_audio": i % 20 != 0,
            "has_spotify": True,
            "has_beatport": i % 3 != 0,
            "n_spotify_tracks": 1,
            "n_beatport_tracks": int(i % 3 != 0),
            "title": f"Title {i}",
            "artist_names": [f"Artist {artist}"],
            "artist_keys": [f"spotify:{artist}"],
            "release_date_text": day.isoformat(),
            "release_year": day.year,
            "release_month": day.month,
            "release_date_precision": "day",
            "release_season": "winter",
            "is_placeholder_date": False,
            "album_type": ["album", "single"][i % 2],
            "genre_name": GENRES[genre] if i % 3 else None,
            "pitch_class": int(random.integers(12)),
            "mode": i % 2,
            "time_signature": 4,
            "tempo_bpm": float(100 + 15 * genre + random.normal()),
            "duration_ms": int(random.integers(100_000, 400_000)),
            "release_popularity": int(random.integers(60)),
            "track_popularity": int(random.integers(60)),
            "flags": [],
        }
        for name in SHARES:
            row[name] = float(random.uniform())
        row["energy"] = float(genre / 5 + random.uniform(0, 0.4))
        row["loudness_db"] = float(random.normal(-8, 2))
        made.append(row)
    return pa.Table.from_pylist(made, registry.table("silver.recordings").arrow_schema)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("silver") / "recordings.parquet"
    pq.write_table(recordings(), path)
    return path


SOUND = [name for name in task_files.built_in() if task_files.load(name).table.join]


@pytest.mark.parametrize("name", sorted({*task_files.built_in()} - {*SOUND}))
def test_a_built_in_task_takes_recordings_and_passes_its_gates(
    name: str, table: Path, tmp_path: Path
) -> None:
    asked = task_files.load(name)
    with database(tmp_path) as connection:
        prepared = rows.prepare(connection, asked, source.path(table, asked.table))
        assert prepared.dropped["has_audio not true"] == 30
        assert 250 < prepared.rows <= 570
        assert prepared.lacks == {}
        rungs = splits.assign(connection, prepared, asked.splits)
        found = []
        for rung in rungs:
            assert not rung.unavailable
            found += gates.of_rung(connection, rung, asked.features.list)
        training = TrainingRows.of(connection, rungs[2], watched=True)
        found += gates.of_features(asked, training)
        found += gates.of_test_side(connection, asked, prepared, rungs[2])
        assert [v.gate for v in found if not v.passed] == []
        columns = fit(asked.features.list, asked.features.scale, training)
        assert "time_signature" in columns.left_out
        if asked.kind == "classes":
            expected = {"popularity_class": 3, "genre": 5, "genre_family": 5}[name]
            assert len(prepared.classes) == expected


@pytest.mark.parametrize("name", SOUND)
def test_a_built_in_task_of_sound_takes_spectrograms_beside_recordings(
    name: str, tmp_path: Path
) -> None:
    asked = task_files.load(name)
    image = asked.features.image
    assert image is not None
    assert image.shape is not None
    random = np.random.default_rng(1)
    given = recordings(400)
    pictures = [random.bytes(image.shape[0] * image.shape[1]) for _ in range(400)]
    given = given.append_column(image.column, pa.array(pictures, pa.binary()))
    pq.write_table(given, tmp_path / "recordings.parquet")
    with database(tmp_path) as connection:
        found = source.path(tmp_path / "recordings.parquet", asked.table)
        prepared = rows.prepare(connection, asked, found)
        assert len(prepared.classes) == (3 if name.startswith("popularity") else 5)
        assert prepared.lacks == {}
        rungs = splits.assign(connection, prepared, asked.splits)
        assert [rung.name for rung in rungs if not rung.unavailable] == ["random", "artist"]
        verdicts = gates.of_rung(connection, rungs[1], asked.features.list)
        training = TrainingRows.of(connection, rungs[1], watched=True)
        verdicts += gates.of_features(asked, training)
        assert [v.gate for v in verdicts if not v.passed] == []
        assert fit(asked.features.list, "standard", training).images == (image.name,)


def test_clusters_are_judged_against_the_genre_and_registered(
    spark: SparkSession, table: Path, tmp_path: Path
) -> None:
    text = read_conf("tasks", "clusters.yaml").replace("k: 8", "k: 5")
    text = text.replace("&sweep [2, 3, 4, 6, 8, 12, 16, 24, 32]", "[2, 5]")
    text = text.replace("headline: artist", "headline: artist, rungs: [artist]")
    # Two estimators here; tests of estimators have them all.
    text = re.sub(r"  - \{name: (bisecting_kmeans|gaussian_mixture|birch).*\n", "", text)
    path = tmp_path / "clusters.yaml"
    path.write_text(text, encoding="utf-8")
    lake = tmp_path / "lake"
    words = ["train", "--task", path, "--table", table, "--lake", lake, "--quiet"]
    assert cli.main(list(map(str, words))) == 0
    lines = listing.ladder(Lake(lake), "clusters")
    found = {(line["estimator"], line["metric"]): line["value"] for line in lines}
    assert 0 < found["kmeans", "silhouette"] <= 1
    assert 0 < found["kmeans", "nmi"] < 1
    said = promotion.choose(Lake(lake), "clusters", 1)
    assert len(said.manifest.facts["centers"]) == 5
    two, five = said.manifest.facts["sweep"]
    assert (two["k"], five["k"]) == (2, 5)
    assert two["within"] > five["within"] > 0
    # The model itself is among those swept, on the same rows.
    assert five["silhouette"] == pytest.approx(found["kmeans", "silhouette"], abs=1e-9)
    card = (said.folder / "card.md").read_text(encoding="utf-8")
    assert "By the number of clusters asked for" in card
    assert (said.folder / "sweep.png").stat().st_size > 10_000
    # DBSCAN is of a sample, and says so; it predicts where no Spark is.
    dbscan = promotion.choose(Lake(lake), "clusters", 2)
    assert dbscan.manifest.facts["rows"] == dbscan.manifest.facts["of_rows"] > 300
    assert ("dbscan", "silhouette") in found


def test_vacuum_leaves_the_tables_of_models(first_drop: Drop, tmp_path: Path) -> None:
    place = shutil.copytree(first_drop.lake, tmp_path / "lake")
    lake = Lake(place)
    row = {column.name: None for column in ml.MODELS.columns} | {
        "event": "registered",
        "at": dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc),
        "number": 1,
        "task": "t",
        "version": 1,
        "training_id": "x",
        "estimator": "kmeans",
        "headline": "artist",
        "metric": "nmi",
        "manifest_sha256": "0",
    }
    lake.record(ml.MODELS, [row], Stamp("x", "learn", "", ""), "append", 1)
    assert cli.main(["vacuum", "--keep", "1", "--lake", str(place)]) == 0
    assert lake.open("ml.models").to_pyarrow_table().num_rows == 1
    assert cli.main(["train", "--task", "clusters", "--lake", str(tmp_path / "none")]) == 2
