"""The main job on files with real titles, dates, popularity and audio features.

They are not part of the repository: `BEATLAKE_REAL_DATA` names the directory that holds them, in
`catalogue/`. The expected counts are DuckDB's own, straight from the CSV files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

import beatlake
from beatlake.config import load
from beatlake.lake import Lake
from beatlake.runs.report import Silent
from beatlake.runs.runner import run

CATALOGUE = Path(os.environ.get("BEATLAKE_REAL_DATA", "")) / "catalogue"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        "BEATLAKE_REAL_DATA" not in os.environ or not CATALOGUE.is_dir(),
        reason="BEATLAKE_REAL_DATA does not name a directory with catalogue/",
    ),
]


@pytest.fixture(scope="module")
def ask(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[tuple[Any, ...]]]:
    lake = Lake(tmp_path_factory.mktemp("real") / "lake")
    run(
        str(CATALOGUE),
        lake,
        load(assignments=["spark.shuffle_partitions=2"], environment={}),
        Silent(),
    )
    opened = beatlake.open(lake.root)
    return lambda query: opened.sql(query).fetchall()


@pytest.fixture(scope="module")
def raw() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for path in CATALOGUE.glob("*.csv"):
        connection.execute(
            f"CREATE VIEW {path.stem} AS SELECT * FROM read_csv('{path}', header=true, delim=',',"
            " quote='\"', escape='\"', all_varchar=true, nullstr='')"
        )
    return connection


#: What is counted -> in the lake, and straight from the files.
COUNTS = {
    "recordings": (
        "SELECT count(*) FROM silver.recordings",
        "SELECT count(*) FROM (SELECT isrc FROM audio_features UNION SELECT isrc FROM sp_track"
        " UNION SELECT isrc FROM bp_track) WHERE isrc IS NOT NULL",
    ),
    "naive three-way join": (
        "SELECT sum(n_spotify_tracks * n_beatport_tracks) FROM silver.recordings WHERE has_audio",
        "SELECT count(*) FROM audio_features JOIN sp_track USING (isrc) JOIN bp_track USING (isrc)",
    ),
    "tracks without audio features": (
        "SELECT sum(n_spotify_tracks) FROM silver.recordings WHERE NOT has_audio",
        "SELECT count(*) FROM sp_track t WHERE isrc IS NOT NULL"
        " AND NOT EXISTS (FROM audio_features a WHERE a.isrc = t.isrc)",
    ),
    "genres of recordings": (
        "SELECT sum(n_recordings) FROM gold.by_genre WHERE NOT is_unknown",
        "SELECT count(*) FROM"
        " (SELECT DISTINCT isrc, genre_id FROM bp_track WHERE isrc IS NOT NULL)",
    ),
    "recordings by year of the earliest release": (
        "SELECT release_year, count(*) FROM silver.recordings WHERE has_spotify"
        " AND release_date_source = 'spotify' GROUP BY 1 ORDER BY 1",
        "SELECT min(CAST(r.release_date[1:4] AS int)) AS y, count(*) FROM"
        " (SELECT isrc, min(r.release_date[1:4]) AS y FROM sp_track JOIN sp_release r"
        " USING (release_id) WHERE isrc IS NOT NULL GROUP BY isrc) AS r(isrc, release_date)"
        " GROUP BY release_date ORDER BY 1",
    ),
    "credits": (
        "SELECT count(*) FROM silver.recording_artists WHERE artist_source = 'spotify'",
        "SELECT count(*) FROM (SELECT DISTINCT isrc, artist_id FROM sp_track"
        " JOIN sp_artist_track USING (track_id) WHERE isrc IS NOT NULL)",
    ),
    "names spelt NA": (
        "SELECT count(*) FROM silver.artists WHERE artist_name = 'NA'",
        "SELECT (SELECT count(*) FROM sp_artist WHERE artist_name = 'NA')"
        " + (SELECT count(*) FROM bp_artist WHERE artist_name = 'NA')",
    ),
}


@pytest.mark.parametrize("what", COUNTS)
def test_the_lake_counts_what_duckdb_counts_in_the_files(
    ask: Callable[[str], list[tuple[Any, ...]]], raw: duckdb.DuckDBPyConnection, what: str
) -> None:
    mine, theirs = COUNTS[what]
    assert ask(mine) == raw.execute(theirs).fetchall()


def test_every_record_of_every_file_is_in_the_lake(
    ask: Callable[[str], list[tuple[Any, ...]]], raw: duckdb.DuckDBPyConnection
) -> None:
    for path in CATALOGUE.glob("*.csv"):
        records = raw.execute(f"SELECT count(*) FROM {path.stem}").fetchall()
        assert ask(f"SELECT count(*) FROM bronze.{path.stem}") == records, path.stem
