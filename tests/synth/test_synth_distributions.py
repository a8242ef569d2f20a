"""Columns look as published: figures of the dataset's page, measured by DuckDB on 0.5 %."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

Query = Callable[[str], Any]

# minimum, quartiles, maximum, mean, standard deviation
FEATURES = {
    "acousticness": (0, 0.000982, 0.00917, 0.0850, 0.996, 0.11152, 0.22410),
    "danceability": (0, 0.598, 0.713, 0.797, 1.0, 0.67628, 0.15736),
    "duration_ms": (1000, 245_333, 341_160, 413_542, 6_074_945, 339_585, 190_905),
    "energy": (0, 0.584, 0.750, 0.886, 1.0, 0.71490, 0.20974),
    "instrumentalness": (0, 0.384, 0.818, 0.889, 1.0, 0.63361, 0.34324),
    "key": (0, 2, 6, 9, 11, 5.557, 3.691),
    "liveness": (0, 0.0839, 0.110, 0.191, 1.0, 0.17460, 0.16299),
    "loudness": (-60.0, -11.059, -8.640, -6.590, 5.485, -9.2155, 4.1689),
    "speechiness": (0, 0.0444, 0.0581, 0.0877, 0.969, 0.08775, 0.08656),
    "tempo": (0, 120, 126, 133, 250, 126.81, 21.14),
    "time_signature": (0, 4, 4, 4, 5, 3.959, 0.318),
    "valence": (0, 0.176, 0.366, 0.586, 1.0, 0.39578, 0.25555),
}
CORRELATIONS = [
    ("energy", "loudness", 0.70),
    ("acousticness", "energy", -0.52),
    ("acousticness", "loudness", -0.47),
    ("acousticness", "danceability", -0.39),
    ("danceability", "valence", 0.33),
    ("instrumentalness", "speechiness", -0.31),
    ("energy", "tempo", 0.28),
]
MATCHED = {
    "Electronica": 722_426,
    "Techno (Peak Time / Driving)": 553_646,
    "House": 449_357,
    "Deep House": 319_902,
    "Tech House": 311_942,
    "Trap / Wave": 235_504,
    "Dance / Electro Pop": 215_489,
    "Progressive House": 211_315,
    "Minimal / Deep Tech": 188_948,
    "Drum & Bass": 188_454,
}
BPM = {
    "Hard Techno": 138.6,
    "Psy-Trance": 130.2,
    "Trance (Main Floor)": 130.0,
    "Techno (Peak Time / Driving)": 124.7,
    "Tech House": 124.1,
    "House": 122.3,
    "Deep House": 121.0,
    "Dubstep": 120.4,
    "Electronica": 114.9,
    "Organic House / Downtempo": 111.9,
    "Trap / Wave": 108.3,
}
SOUND = [
    ("energy", "Hard Dance / Hardcore", 0.914),
    ("energy", "Psy-Trance", 0.880),
    ("energy", "Drum & Bass", 0.847),
    ("energy", "Trance (Main Floor)", 0.841),
    ("danceability", "Tech House", 0.79),
    ("danceability", "Deep House", 0.77),
    ("danceability", "House", 0.73),
]


@pytest.mark.parametrize("column", FEATURES)
def test_margins_of_features(column: str, database: duckdb.DuckDBPyConnection) -> None:
    least, q25, q50, q75, most, mean, sd = FEATURES[column]
    found = database.execute(
        "SELECT min(x), max(x), avg(x), stddev(x), count(*) "
        f"FROM (SELECT {column}::DOUBLE AS x FROM audio_features)"
    ).fetchone()
    assert found is not None
    assert found[4] > 20_000
    assert found[:2] == (least, most)
    assert found[2] == pytest.approx(mean, abs=0.03 * sd)
    assert found[3] == pytest.approx(sd, rel=0.05)
    for share, quartile in ((0.25, q25), (0.5, q50), (0.75, q75)):
        row = database.execute(
            f"SELECT avg((x < {quartile})::INT), avg((x <= {quartile})::INT) "
            f"FROM (SELECT {column}::DOUBLE AS x FROM audio_features)"
        ).fetchone()
        assert row is not None
        below, at_most = row
        assert below - 0.015 <= share <= at_most + 0.015


def test_mode(one: Query) -> None:
    assert one("SELECT avg(mode::INT) FROM audio_features") == pytest.approx(0.5423, abs=0.01)


@pytest.mark.parametrize(("a", "b", "published"), CORRELATIONS)
def test_correlations_of_features(a: str, b: str, published: float, one: Query) -> None:
    found = one(f"SELECT corr({a}::DOUBLE, {b}::DOUBLE) FROM audio_features")
    assert found == pytest.approx(published, abs=0.03)


@pytest.mark.parametrize("genre", MATCHED)
def test_matched_isrc_by_genre(genre: str, one: Query, truth: dict[str, Any]) -> None:
    found = one(
        "SELECT count(DISTINCT isrc) FROM bp_track SEMI JOIN audio_features USING (isrc) "
        f"JOIN bp_genre USING (genre_id) WHERE genre_name = '{genre}'"
    )
    assert found == pytest.approx(MATCHED[genre] * truth["scale"], rel=0.06)


@pytest.mark.parametrize("genre", BPM)
def test_mean_bpm_by_genre(genre: str, one: Query) -> None:
    found = one(
        "SELECT avg(bpm::INT) FROM bp_track JOIN bp_genre USING (genre_id) "
        f"WHERE genre_name = '{genre}' AND bpm <> '0'"
    )
    assert found == pytest.approx(BPM[genre], abs=3)


def test_drum_and_bass_is_often_written_at_half_time(one: Query) -> None:
    where = "FROM bp_track WHERE genre_id = '1' AND bpm <> '0'"
    assert one(f"SELECT median(bpm::INT) {where}") == pytest.approx(87, abs=1)
    doubled = "CASE WHEN bpm::INT < 110 THEN 2 * bpm::INT ELSE bpm::INT END"
    assert one(f"SELECT avg({doubled}) {where}") == pytest.approx(167.7, abs=2)
    assert 0.005 < one("SELECT avg((bpm = '0')::INT) FROM bp_track") < 0.02


@pytest.mark.parametrize(("column", "genre", "published"), SOUND)
def test_genres_sound_as_published(column: str, genre: str, published: float, one: Query) -> None:
    found = one(
        f"SELECT avg({column}::DOUBLE) FROM audio_features SEMI JOIN (SELECT isrc FROM bp_track "
        f"JOIN bp_genre USING (genre_id) WHERE genre_name = '{genre}') USING (isrc)"
    )
    assert found == pytest.approx(published, abs=0.035)


def test_subgenre_is_mostly_null_in_joined_rows(one: Query) -> None:
    joined = "audio_features JOIN sp_track USING (isrc) JOIN bp_track USING (isrc)"
    share = one(f"SELECT avg((subgenre_id IS NULL)::INT) FROM {joined}")
    assert share == pytest.approx(0.94, abs=0.015)


def test_releases_grow_to_a_peak(database: duckdb.DuckDBPyConnection) -> None:
    rows = database.execute(
        "SELECT release_date[:4]::INT, count(*) FROM bp_release GROUP BY 1"
    ).fetchall()
    by_year = dict(rows)
    assert set(sorted(by_year, key=lambda year: -by_year[year])[:2]) == {2019, 2020}
    assert by_year[2005] < by_year[2010] < by_year[2015] < by_year[2019]


def test_release_dates_have_three_precisions(one: Query) -> None:
    dates = "FROM sp_release WHERE regexp_full_match(release_date, '{}')"
    rows = one("SELECT count(*) FROM sp_release")
    years = one("SELECT count(*) " + dates.format(r"\d{4}"))
    months = one("SELECT count(*) " + dates.format(r"\d{4}-\d\d"))
    days = one("SELECT count(*) " + dates.format(r"\d{4}-\d\d-\d\d"))
    assert years + months + days == rows
    assert 0.02 < years / rows < 0.06
    assert 0 < months / rows < 0.01
    assert 0.01 < one("SELECT count(*) " + dates.format(r"\d{4}-01-01")) / rows < 0.04
    assert one("SELECT count(*) FROM bp_track WHERE try_cast(release_date AS DATE) IS NULL") == 0


def test_popularity_of_releases_is_mostly_zero(one: Query) -> None:
    assert 0.6 < one("SELECT avg((popularity = '0')::INT) FROM sp_release") < 0.85
    assert 50 < one("SELECT max(popularity::INT) FROM sp_release") <= 100


def test_popularity_of_tracks_has_the_published_shape(one: Query) -> None:
    def measure(function: str) -> float:
        return float(one(f"SELECT {function} FROM sp_track_popularity"))

    assert measure("avg(popularity::INT)") == pytest.approx(5.29, abs=0.7)
    assert measure("stddev(popularity::INT)") == pytest.approx(8.2, abs=1.5)
    assert measure("median(popularity::INT)") == pytest.approx(2, abs=0.5)
    assert measure("quantile_disc(popularity::INT, 0.75)") == pytest.approx(7, abs=1)
    assert 60 <= measure("max(popularity::INT)") <= 100


def test_values_come_from_their_lists(one: Query) -> None:
    types = "SELECT list(DISTINCT album_type ORDER BY album_type) FROM sp_release"
    assert one(types) == ["album", "compilation", "single"]
    assert one("SELECT list(DISTINCT explicit ORDER BY explicit) FROM sp_track") == ["f", "t"]
    assert one("SELECT count(*) FROM sp_release WHERE upc IS NULL") > 0
    assert one("SELECT count(*) FROM sp_release WHERE upc = ''") > 0
    assert one("SELECT count(*) FROM sp_release WHERE upc LIKE '00%'") > 0
    assert one("SELECT count(*) FROM bp_track WHERE key_id IS NULL") > 0
    assert one("SELECT count(*) FROM bp_track WHERE mix IS NULL") > 0
