"""The core task (`etl.py`) in Polars, streaming: ``with_polars.py INPUT OUTPUT``."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

MEANS = ("release_popularity", "danceability", "energy", "valence", "tempo_bpm")
SEASONS = ["winter", "spring", "summer", "autumn"]


def main(source: Path, output: Path) -> None:
    """Do the task."""
    releases = (
        pl.scan_csv(source / "sp_release.csv", schema_overrides={"release_date": pl.String})
        .select(
            "release_id",
            "release_title",
            "album_type",
            pl.col("popularity").alias("release_popularity"),
            "release_date",
        )
        .with_columns(
            pl.when(pl.col("release_date").str.len_bytes() == 10)
            .then(pl.col("release_date").str.to_date("%Y-%m-%d", strict=False))
            .when(pl.col("release_date").str.len_bytes() == 7)
            .then((pl.col("release_date") + "-01").str.to_date("%Y-%m-%d", strict=False))
            .otherwise((pl.col("release_date") + "-12-31").str.to_date("%Y-%m-%d", strict=False))
            .alias("day")
        )
        .with_columns(
            pl.when(pl.col("release_date").str.len_bytes() == 7)
            .then(pl.col("day").dt.month_end())
            .otherwise("day")
            .alias("latest_day")
        )
        .drop("day")
        .collect()
        .lazy()
    )
    spotify = (
        pl.scan_csv(source / "sp_track.csv", schema_overrides={"track_title": pl.String})
        .filter(pl.col("isrc").is_not_null())
        .select("isrc", "track_id", "track_title", "release_id")
        .join(releases.select("release_id", "latest_day"), on="release_id", how="left")
        .group_by("isrc")
        .agg(
            pl.len().cast(pl.Int64).alias("n_spotify_tracks"),
            pl.struct(
                pl.col("track_title").alias("spotify_title"),
                pl.col("track_id").alias("spotify_track_id"),
                pl.col("release_id").alias("spotify_release_id"),
            )
            .sort_by("latest_day", "track_id", nulls_last=True)
            .first()
            .alias("pick"),
        )
        .unnest("pick")
    )
    tracks = (
        pl.scan_csv(
            source / "bp_track.csv",
            schema_overrides={"title": pl.String, "mix": pl.String, "bpm": pl.Float64},
        )
        .filter(pl.col("isrc").is_not_null())
        .select(
            "isrc", "track_id", "title", "mix", "genre_id", "subgenre_id", "bpm", "release_date"
        )
    )
    beatport = (
        tracks.group_by("isrc")
        .agg(
            pl.len().cast(pl.Int64).alias("n_beatport_tracks"),
            pl.struct(
                pl.col("title").alias("beatport_title"),
                pl.col("track_id").alias("beatport_track_id"),
                "mix",
                "genre_id",
                "subgenre_id",
                pl.when(pl.col("bpm") > 0).then("bpm").alias("bpm_stated"),
                pl.col("release_date").alias("beatport_date"),
            )
            .sort_by("release_date", "track_id", nulls_last=True)
            .first()
            .alias("pick"),
        )
        .unnest("pick")
    )
    failed = pl.all_horizontal(
        pl.col(c) == 0 for c in ("tempo", "time_signature", "danceability", "valence")
    )
    audio = pl.scan_csv(source / "audio_features.csv").select(
        "isrc",
        "acousticness",
        *[pl.when(~failed).then(c).alias(c) for c in ("danceability", "energy", "valence")],
        pl.col("loudness").alias("loudness_db"),
        pl.when(pl.col("tempo") != 0).then("tempo").alias("tempo_bpm"),
        "duration_ms",
    )
    genres = pl.scan_csv(source / "bp_genre.csv").select("genre_id", "genre_name")
    subgenres = pl.scan_csv(source / "bp_subgenre.csv").select(
        "subgenre_id", "genre_id", "subgenre_name"
    )
    month = pl.col("release_month")
    recordings = (
        audio.join(spotify, on="isrc", how="full", coalesce=True)
        .join(beatport, on="isrc", how="full", coalesce=True)
        .join(
            releases.drop("latest_day"),
            left_on="spotify_release_id",
            right_on="release_id",
            how="left",
        )
        .join(genres, on="genre_id", how="left")
        .join(subgenres, on=["subgenre_id", "genre_id"], how="left")
        .with_columns(
            pl.col("n_spotify_tracks", "n_beatport_tracks").fill_null(0),
            pl.coalesce("spotify_title", "beatport_title").alias("title"),
            pl.coalesce("release_date", "beatport_date").alias("release_date_text"),
        )
        .with_columns(
            pl.col("release_date_text").str.head(4).cast(pl.Int32).alias("release_year"),
            pl.col("release_date_text")
            .str.slice(5, 2)
            .cast(pl.Int32, strict=False)
            .alias("release_month"),
        )
        .with_columns(
            pl.when(month.is_null())
            .then(pl.lit("unknown"))
            .otherwise((month % 12 // 3).replace_strict(range(4), SEASONS, default=None))
            .alias("release_season")
        )
        .drop("spotify_title", "beatport_title", "release_date", "beatport_date", "subgenre_id")
    )
    for table in ("recordings", "by_year_season_genre"):
        (output / table).mkdir()
    path = output / "recordings" / "0.parquet"
    recordings.sink_parquet(path, compression="snappy")
    kinds = tracks.select("isrc", "genre_id").unique()
    groups = (
        pl.scan_parquet(path)
        .select("isrc", "release_year", "release_month", "release_season", *MEANS)
        .join(kinds, on="isrc", how="left")
        .with_columns(
            pl.when(month == 12)
            .then(pl.col("release_year") + 1)
            .when(month.is_not_null())
            .then("release_year")
            .alias("release_season_year")
        )
        .group_by("release_season_year", "release_season", "genre_id")
        .agg(
            pl.len().cast(pl.Int64).alias("n_recordings"),
            *[pl.col(name).mean().alias(f"{name}_mean") for name in MEANS],
        )
    )
    groups.sink_parquet(output / "by_year_season_genre" / "0.parquet", compression="snappy")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
