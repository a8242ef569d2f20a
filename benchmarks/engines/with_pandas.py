"""The core task (`etl.py`) in pandas, read with pyarrow: ``with_pandas.py INPUT OUTPUT``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

MEANS = ("release_popularity", "danceability", "energy", "valence", "tempo_bpm")
SEASONS = np.array(["winter", "spring", "summer", "autumn"], dtype=object)


def read(path: Path, *columns: str) -> pd.DataFrame:
    """Some columns of a file."""
    return pd.read_csv(
        path,
        usecols=list(columns),
        engine="pyarrow",
        dtype_backend="pyarrow",
        # There are artists and tracks of the name NaN.
        keep_default_na=False,
        na_values=[""],
    )[list(columns)]


def picked(tracks: pd.DataFrame, order: list[str], count: str) -> pd.DataFrame:
    """The first track of each ISRC, and how many there are."""
    ordered = tracks.sort_values(["isrc", *order], na_position="last")
    counts = ordered.groupby("isrc", sort=False).size().rename(count)
    return ordered.drop_duplicates("isrc").merge(counts, left_on="isrc", right_index=True)


def main(source: Path, output: Path) -> None:
    """Do the task."""
    releases = read(
        source / "sp_release.csv",
        "release_id", "release_title", "album_type", "popularity", "release_date",
    ).rename(columns={"popularity": "release_popularity"})  # fmt: skip
    text = releases["release_date"].astype("object").astype(str)
    length = text.str.len()
    day = pd.to_datetime(text.where(length == 10), format="%Y-%m-%d", errors="coerce")
    month = pd.to_datetime(text.where(length == 7), format="%Y-%m", errors="coerce")
    year = pd.to_datetime(text.where(length == 4), format="%Y", errors="coerce")
    releases["latest_day"] = day.fillna(month + pd.offsets.MonthEnd(0)).fillna(
        year + pd.offsets.YearEnd(0)
    )
    spotify = read(source / "sp_track.csv", "isrc", "track_id", "track_title", "release_id")
    spotify = spotify[spotify["isrc"].notna()].merge(
        releases[["release_id", "latest_day"]], on="release_id", how="left"
    )
    spotify = picked(spotify, ["latest_day", "track_id"], "n_spotify_tracks").drop(
        columns="latest_day"
    )
    spotify = spotify.rename(
        columns={
            "track_id": "spotify_track_id",
            "track_title": "spotify_title",
            "release_id": "spotify_release_id",
        }
    )
    tracks = read(
        source / "bp_track.csv",
        "isrc", "track_id", "title", "mix", "genre_id", "subgenre_id", "bpm", "release_date",
    )  # fmt: skip
    tracks = tracks[tracks["isrc"].notna()]
    kinds = tracks[["isrc", "genre_id"]].drop_duplicates()
    beatport = picked(tracks, ["release_date", "track_id"], "n_beatport_tracks").rename(
        columns={
            "track_id": "beatport_track_id",
            "title": "beatport_title",
            "bpm": "bpm_stated",
            "release_date": "beatport_date",
        }
    )
    beatport["bpm_stated"] = beatport["bpm_stated"].where(beatport["bpm_stated"] > 0)
    del tracks
    audio = read(
        source / "audio_features.csv",
        "isrc", "acousticness", "danceability", "energy", "valence", "loudness", "tempo",
        "duration_ms", "time_signature",
    ).rename(columns={"loudness": "loudness_db", "tempo": "tempo_bpm"})  # fmt: skip
    failed = (audio[["tempo_bpm", "time_signature", "danceability", "valence"]] == 0).all(axis=1)
    for name in ("danceability", "energy", "valence"):
        audio[name] = audio[name].where(~failed)
    audio["tempo_bpm"] = audio["tempo_bpm"].where(audio["tempo_bpm"] != 0)
    recordings = (
        audio.drop(columns="time_signature")
        .merge(spotify, on="isrc", how="outer")
        .merge(beatport, on="isrc", how="outer")
        .merge(
            releases.drop(columns="latest_day"),
            left_on="spotify_release_id",
            right_on="release_id",
            how="left",
        )
        .merge(read(source / "bp_genre.csv", "genre_id", "genre_name"), on="genre_id", how="left")
        .merge(
            read(source / "bp_subgenre.csv", "subgenre_id", "genre_id", "subgenre_name"),
            on=["subgenre_id", "genre_id"],
            how="left",
        )
    )
    for name in ("n_spotify_tracks", "n_beatport_tracks"):
        recordings[name] = recordings[name].fillna(0).astype("int64")
    recordings["title"] = recordings["spotify_title"].fillna(recordings["beatport_title"])
    given = recordings["release_date"].astype("object")
    dates = recordings["beatport_date"].astype("string").astype("object")
    when = given.where(given.notna(), dates)
    recordings["release_date_text"] = when
    recordings["release_year"] = pd.to_numeric(when.str[:4]).astype("Int32")
    number = pd.to_numeric(when.str[5:7].replace("", None)).astype("Int32")
    recordings["release_month"] = number
    season = SEASONS[(number.fillna(0).astype(int) % 12 // 3).to_numpy()]
    recordings["release_season"] = np.where(number.isna(), "unknown", season)
    recordings = recordings.drop(
        columns=["spotify_title", "beatport_title", "release_date", "beatport_date", "release_id",
                 "subgenre_id"]
    )  # fmt: skip
    for table in ("recordings", "by_year_season_genre"):
        (output / table).mkdir()
    recordings.to_parquet(output / "recordings" / "0.parquet", compression="snappy", index=False)
    rows = recordings[["isrc", "release_year", "release_month", "release_season", *MEANS]].merge(
        kinds, on="isrc", how="left"
    )
    later = rows["release_year"] + (rows["release_month"] == 12).fillna(False).astype("Int32")
    rows["release_season_year"] = later.where(rows["release_month"].notna())
    groups = rows.groupby(
        ["release_season_year", "release_season", "genre_id"], dropna=False, as_index=False
    ).agg(n_recordings=("isrc", "size"), **{f"{name}_mean": (name, "mean") for name in MEANS})
    groups.to_parquet(
        output / "by_year_season_genre" / "0.parquet", compression="snappy", index=False
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
