"""truth.json against DuckDB: sums, flags, recordings by year and genre, and the planted signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pytest

Query = Callable[[str], Any]
Truth = dict[str, Any]


def test_sums_are_those_of_the_files(truth: Truth, one: Query) -> None:
    checked = 0
    for name, entry in truth["files"].items():
        assert one(f"SELECT count(*) FROM {name}") == entry["clean_rows"]
        for column, told in entry["sums"].items():
            plain, _, digits = column.partition("_e")
            if plain in ("explicit", "is_remixer"):
                found = one(f"SELECT sum(({plain} = 't')::INT) FROM {name}")
            elif digits in ("3", "4"):
                found = one(f"SELECT sum({plain}::DECIMAL(18, {digits})) FROM {name}")
                found = int(found * 10 ** int(digits))
            else:
                found = one(f"SELECT sum({column}::BIGINT) FROM {name}")
            assert found == told, (name, column)
            checked += 1
    assert checked > 15


def test_flags_follow_from_their_conditions(truth: Truth, one: Query) -> None:
    numeric = {"bpm", "loudness", "tempo", "duration_ms", "time_signature", "danceability"}
    numeric |= {"valence", "genre_id"}
    words = {
        "year_only_date": r"regexp_full_match(release_date, '\d{4}') AND release_date <> '0000'",
        "year_month_date": r"regexp_full_match(release_date, '\d{4}-\d\d')",
        "placeholder_date": r"regexp_full_match(release_date, '\d{4}-01-01')",
        "impossible_date": "release_date LIKE '0000%'",
    }
    checked = 0
    for name, entry in truth["files"].items():
        for rule, told in entry["flags"].items():
            condition = words.get(rule, truth["conditions"][rule])
            for column in numeric if rule not in words else ():
                condition = condition.replace(f"{column} ", f"{column}::DOUBLE ")
            assert one(f"SELECT count(*) FROM {name} WHERE {condition}") == told["clean"], rule
            checked += 1
    assert checked > 12


def test_recordings(truth: Truth, one: Query) -> None:
    told = truth["recordings"]["clean"]
    assert truth["recordings"]["kept"] == told
    sides = {"audio": "audio_features", "spotify": "sp_track", "beatport": "bp_track"}
    union = " UNION ".join(
        f"SELECT isrc FROM {table} WHERE isrc NOT NULL" for table in sides.values()
    )
    assert one(f"SELECT count(*) FROM ({union})") == told["total"]
    for side, table in sides.items():
        assert one(f"SELECT count(DISTINCT isrc) FROM {table}") == told[f"has_{side}"]


def test_recordings_by_year(truth: Truth, database: duckdb.DuckDBPyConnection) -> None:
    """A partial date is compared as its last possible day."""
    rows = database.execute(
        """
        SELECT coalesce(left(min(last_day), 4), 'none'), count(DISTINCT isrc) FROM (
            SELECT isrc, CASE length(release_date)
                WHEN 4 THEN release_date || '-12-31'
                WHEN 7 THEN last_day((release_date || '-01')::DATE)::VARCHAR
                ELSE release_date END AS last_day
            FROM (SELECT isrc FROM sp_track UNION SELECT isrc FROM bp_track)
            LEFT JOIN sp_track USING (isrc) LEFT JOIN sp_release USING (release_id)
            WHERE isrc NOT NULL
        ) GROUP BY isrc
        """
    ).fetchall()
    found: dict[str, int] = {}
    for year, count in rows:
        found[year] = found.get(year, 0) + count
    assert found == truth["recordings"]["clean"]["by_year"]


def test_recordings_by_genre(truth: Truth, database: duckdb.DuckDBPyConnection) -> None:
    rows = database.execute(
        "SELECT genre_id, count(DISTINCT isrc) FROM bp_track WHERE isrc NOT NULL GROUP BY 1"
    ).fetchall()
    told = truth["recordings"]["clean"]["by_genre"]
    assert dict(rows) == {genre: count for genre, count in told.items() if count}


@pytest.fixture(scope="module")
def fitted(database: duckdb.DuckDBPyConnection, truth: Truth) -> dict[str, Any]:
    """Least squares of sqrt(popularity) on genre, year, season and the planted audio features."""
    model = truth["signal"]["track_popularity"]
    audio = list(model["audio"])
    table = database.execute(
        f"""
        SELECT p.popularity::INT AS popularity, genre_id, release_date[:4]::INT AS year,
            try_cast(release_date[6:7] AS INT) % 12 // 3 AS season,
            {", ".join(f"a.{name}::DOUBLE AS {name}" for name in audio)}
        FROM sp_track_popularity p JOIN sp_track t USING (track_id)
        JOIN sp_release USING (release_id) JOIN audio_features a ON t.isrc = a.isrc
        JOIN (SELECT isrc, min(genre_id) AS genre_id FROM bp_track GROUP BY 1
              HAVING count(DISTINCT genre_id) = 1) g ON t.isrc = g.isrc
        """
    ).fetchnumpy()
    standard = model["audio_standardised_by"]
    columns = [(table[name] - standard[name][0]) / standard[name][1] for name in audio]
    columns.append((np.clip(table["year"], 1990, 2023) - model["year_centre"]) / 10)
    season = np.ma.filled(table["season"], -1)
    columns += [(season == k).astype(float) for k in range(4)]
    genres = sorted(set(table["genre_id"]))
    columns += [(table["genre_id"] == genre).astype(float) for genre in genres]
    design = np.column_stack(columns)
    y = table["popularity"].astype(float)
    estimate = np.linalg.lstsq(design, np.sqrt(y), rcond=None)[0]
    direct = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return {
        "rows": len(y),
        "audio": dict(zip(audio, estimate[: len(audio)], strict=True)),
        "year": estimate[len(audio)],
        "genre": dict(zip(genres, estimate[-len(genres) :], strict=True)),
        "r2": 1 - ((y - direct) ** 2).sum() / ((y - y.mean()) ** 2).sum(),
    }


def test_planted_coefficients_can_be_recovered(fitted: dict[str, Any], truth: Truth) -> None:
    """Popularity is cut off at 0, which shrinks all slopes by about the same factor."""
    model = truth["signal"]["track_popularity"]
    assert fitted["rows"] > 15_000
    for name in ("danceability", "instrumentalness"):
        assert 0.5 < fitted["audio"][name] / model["audio"][name] < 1.2
    assert 0.4 < fitted["year"] / model["year_per_decade"] < 1.4
    large = ("3", "6", "5", "12", "11", "38", "39", "15", "14", "1")
    planted = [model["genre"][genre] for genre in large]
    found = [fitted["genre"][genre] for genre in large]
    assert np.corrcoef(planted, found)[0, 1] > 0.6


def test_no_honest_model_beats_the_ceiling(fitted: dict[str, Any], truth: Truth) -> None:
    ceilings = truth["signal"]["ceilings"]
    assert 0.5 * ceilings["r2_genre_date_audio"] < fitted["r2"]
    assert fitted["r2"] < ceilings["r2_genre_date_audio"] + 0.03
    assert (
        ceilings["r2_genre_date_audio"]
        < ceilings["r2_artist_genre_date_audio"]
        < ceilings["r2_everything_but_noise"]
        < 1
    )
    assert (
        0.95
        < ceilings["majority_bin_accuracy"]
        < ceilings["three_bin_accuracy_genre_date_audio"]
        < ceilings["three_bin_accuracy_artist_genre_date_audio"]
        < ceilings["three_bin_accuracy_everything_but_noise"]
    )


def test_variances_are_those_of_the_planted_model(truth: Truth) -> None:
    """The artists' effects are standardised exactly; release and noise are drawn."""
    model, variance = truth["signal"]["track_popularity"], truth["signal"]["variance"]
    assert variance["artist"] == pytest.approx(model["artist_sd"] ** 2, rel=1e-4)
    assert variance["noise"] == pytest.approx(model["noise_sd"] ** 2, rel=0.05)
    assert variance["release"] == pytest.approx(model["release_sd"] ** 2, rel=0.15)
    parts = sum(value for name, value in variance.items() if name != "eta")
    assert parts == pytest.approx(variance["eta"], rel=0.05)
    artists = truth["signal"]["artists"]
    assert artists["sd"] == pytest.approx(model["artist_sd"], rel=0.2)
    assert abs(artists["mean"]) < 0.2
