"""The core task (`etl.py`) in DuckDB: ``with_duckdb.py INPUT OUTPUT``."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb

SQL = """
CREATE TABLE releases AS
SELECT release_id, release_title, album_type, popularity::int AS release_popularity, release_date,
    CASE length(release_date)
        WHEN 10 THEN release_date::date
        WHEN 7 THEN last_day((release_date || '-01')::date)
        WHEN 4 THEN make_date(release_date::int, 12, 31)
    END AS latest_day
FROM read_csv('{source}/sp_release.csv', types = {{'release_date': 'VARCHAR', 'upc': 'VARCHAR'}});

CREATE TABLE spotify AS
SELECT isrc, count(*) AS n_spotify_tracks,
    arg_min(
        {{t: track_title, id: track_id, r: release_id}},
        (coalesce(latest_day, DATE '9999-12-31'), track_id)
    ) AS pick
FROM read_csv('{source}/sp_track.csv', types = {{'track_title': 'VARCHAR'}})
LEFT JOIN releases USING (release_id)
WHERE isrc IS NOT NULL
GROUP BY isrc;

CREATE TABLE tracks AS
SELECT isrc, track_id, title, mix, genre_id, subgenre_id, nullif(bpm, 0) AS bpm, release_date
FROM read_csv('{source}/bp_track.csv', types = {{
    'title': 'VARCHAR', 'mix': 'VARCHAR', 'duration': 'VARCHAR', 'bpm': 'DOUBLE'
}})
WHERE isrc IS NOT NULL;

CREATE TABLE beatport AS
SELECT isrc, count(*) AS n_beatport_tracks,
    arg_min(
        {{t: title, id: track_id, m: mix, g: genre_id, s: subgenre_id, b: bpm, d: release_date}},
        (coalesce(release_date, DATE '9999-12-31'), track_id)
    ) AS pick
FROM tracks
GROUP BY isrc;

CREATE TABLE genres AS
SELECT genre_id, genre_name FROM read_csv('{source}/bp_genre.csv');

CREATE TABLE subgenres AS
SELECT subgenre_id, genre_id, subgenre_name FROM read_csv('{source}/bp_subgenre.csv');

CREATE TABLE recordings AS
WITH joined AS (
    SELECT coalesce(a.isrc, s.isrc, b.isrc) AS isrc,
        coalesce(n_spotify_tracks, 0) AS n_spotify_tracks,
        coalesce(n_beatport_tracks, 0) AS n_beatport_tracks,
        coalesce(s.pick.t, b.pick.t) AS title,
        coalesce(r.release_date, b.pick.d::varchar) AS release_date_text,
        a.acousticness, CASE WHEN failed THEN NULL ELSE a.danceability END AS danceability,
        CASE WHEN failed THEN NULL ELSE a.energy END AS energy, a.loudness AS loudness_db,
        nullif(a.tempo, 0) AS tempo_bpm, CASE WHEN failed THEN NULL ELSE a.valence END AS valence,
        a.duration_ms, s.pick.id AS spotify_track_id, s.pick.r AS spotify_release_id,
        r.release_title, r.album_type, r.release_popularity, b.pick.id AS beatport_track_id,
        b.pick.m AS mix, g.genre_id, g.genre_name, u.subgenre_name, b.pick.b AS bpm_stated
    FROM (
        SELECT *, tempo = 0 AND time_signature = 0 AND danceability = 0 AND valence = 0 AS failed
        FROM read_csv('{source}/audio_features.csv')
    ) a
    FULL JOIN spotify s ON a.isrc = s.isrc
    FULL JOIN beatport b ON b.isrc = coalesce(a.isrc, s.isrc)
    LEFT JOIN releases r ON r.release_id = s.pick.r
    LEFT JOIN genres g ON g.genre_id = b.pick.g
    LEFT JOIN subgenres u ON u.subgenre_id = b.pick.s AND u.genre_id = b.pick.g
), dated AS (
    SELECT *, left(release_date_text, 4)::int AS release_year,
        nullif(substr(release_date_text, 6, 2), '')::int AS release_month
    FROM joined
)
SELECT *, CASE
        WHEN release_month IS NULL THEN 'unknown'
        ELSE ['winter', 'spring', 'summer', 'autumn'][release_month % 12 // 3 + 1]
    END AS release_season
FROM dated;

CREATE TABLE by_year_season_genre AS
SELECT
    CASE WHEN release_month = 12 THEN release_year + 1
        WHEN release_month IS NOT NULL THEN release_year END AS release_season_year,
    release_season, k.genre_id, count(*) AS n_recordings,
    {means}
FROM recordings
LEFT JOIN (SELECT DISTINCT isrc, genre_id FROM tracks) k USING (isrc)
GROUP BY ALL;

COPY recordings TO '{output}/recordings/0.parquet' (CODEC snappy);
COPY by_year_season_genre TO '{output}/by_year_season_genre/0.parquet' (CODEC snappy);
"""
MEANS = ("release_popularity", "danceability", "energy", "valence", "tempo_bpm")


def main(source: Path, output: Path) -> None:
    """Do the task."""
    for table in ("recordings", "by_year_season_genre"):
        (output / table).mkdir()
    means = ", ".join(f"avg({name}) AS {name}_mean" for name in MEANS)
    duckdb.connect(config={"threads": 2}).execute(
        SQL.format(source=source, output=output, means=means)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
