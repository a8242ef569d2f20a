"""Who made a recording, in order, and which Beatport genres it is filed under."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from beatlake.integrate.common import Inputs, Output
from beatlake.quality.counting import Count, Counted
from beatlake.quality.rules import Rule

_LAST_DAY = "9999-12-31"


def with_isrc(frame: DataFrame, table: str, source: str) -> Counted:
    """The rows that belong to a recording; those without an ISRC are counted as set aside."""
    missing = F.col("isrc").isNull()
    counted = Counted(
        frame, table, source, [Count("set_aside", F.count_if(missing), Rule.NO_ISRC.value)]
    )
    counted.frame = counted.frame.filter(~missing)
    return counted


def _grouped(frame: DataFrame, table: str, source: str, rows: Column) -> Counted:
    """Groups that account for ``rows`` rows: one kept each, the others merged into it."""
    groups = F.count(F.lit(1))
    return Counted(
        frame, table, source, [Count("kept", groups), Count("merged", F.sum(rows) - groups)]
    )


def recording_artists(inputs: Inputs) -> Output:
    """The artists of each recording in order, one row per ISRC and artist.

    Spotify's credit counts; Beatport's is used for recordings that Spotify credits to nobody.
    Artists are ordered by how many of the recording's tracks credit them, release artists before
    others, remixers last, then by name and key: the files give no order of their own.
    """
    table = "silver.recording_artists"
    spotify_source, beatport_source = (
        "silver.spotify_track_artists",
        "silver.beatport_track_artists",
    )
    spotify_links = with_isrc(_spotify_links(inputs), table, spotify_source)
    spotify = _grouped(_spotify_credits(spotify_links.frame), table, spotify_source, F.col("_rows"))
    beatport_links = with_isrc(_beatport_links(inputs), table, beatport_source)
    credited = spotify_links.given.filter(F.col("isrc").isNotNull()).select("isrc").distinct()
    judged = beatport_links.frame.join(
        credited.withColumn("_credited", F.lit(True)), "isrc", "left"
    )
    superseded = F.coalesce("_credited", F.lit(False))
    needed = Counted(
        judged,
        table,
        beatport_source,
        [Count("set_aside", F.count_if(superseded), Rule.SPOTIFY_CREDIT_EXISTS.value)],
    )
    beatport = _grouped(
        _beatport_credits(needed.frame.filter(~superseded)),
        table,
        beatport_source,
        F.col("_rows"),
    )
    names = inputs["silver.artists"].select("artist_key", "artist_name")
    both = spotify.frame.unionByName(beatport.frame).join(names, "artist_key", "left")
    order = Window.partitionBy("isrc").orderBy(
        F.col("n_tracks").desc(),
        F.coalesce("is_release_artist", F.lit(False)).desc(),
        F.coalesce("is_remixer_only", F.lit(False)),
        F.col("artist_name").asc_nulls_last(),
        "artist_key",
    )
    frame = both.withColumn("position", F.row_number().over(order)).drop("_rows")
    return Output(frame, [spotify_links, spotify, beatport_links, needed, beatport])


def _spotify_links(inputs: Inputs) -> DataFrame:
    tracks = inputs["silver.spotify_tracks"].select("spotify_track_id", "isrc")
    return inputs["silver.spotify_track_artists"].join(tracks, "spotify_track_id", "left")


def _spotify_credits(links: DataFrame) -> DataFrame:
    return (
        links.groupBy("isrc", "spotify_artist_id")
        .agg(
            F.count(F.lit(1)).alias("n_tracks"),
            F.bool_or("is_release_artist").alias("is_release_artist"),
            F.count(F.lit(1)).alias("_rows"),
        )
        .select(
            "isrc",
            F.concat(F.lit("spotify:"), "spotify_artist_id").alias("artist_key"),
            F.lit("spotify").alias("artist_source"),
            "spotify_artist_id",
            F.lit(None).cast("bigint").alias("beatport_artist_id"),
            "n_tracks",
            "is_release_artist",
            F.lit(None).cast("boolean").alias("is_remixer_only"),
            "_rows",
        )
    )


def _beatport_links(inputs: Inputs) -> DataFrame:
    tracks = inputs["silver.beatport_tracks"].select("beatport_track_id", "isrc")
    return inputs["silver.beatport_track_artists"].join(tracks, "beatport_track_id", "left")


def _beatport_credits(links: DataFrame) -> DataFrame:
    return (
        links.groupBy("isrc", "beatport_artist_id")
        .agg(
            F.count_distinct("beatport_track_id").alias("n_tracks"),
            F.bool_and("is_remixer").alias("is_remixer_only"),
            F.count(F.lit(1)).alias("_rows"),
        )
        .select(
            "isrc",
            F.concat(F.lit("beatport:"), F.col("beatport_artist_id").cast("string")).alias(
                "artist_key"
            ),
            F.lit("beatport").alias("artist_source"),
            F.lit(None).cast("string").alias("spotify_artist_id"),
            "beatport_artist_id",
            "n_tracks",
            F.lit(None).cast("boolean").alias("is_release_artist"),
            "is_remixer_only",
            "_rows",
        )
    )


def recording_genres(inputs: Inputs) -> Output:
    """The Beatport genres of each recording, one row per ISRC and genre."""
    table, source = "silver.recording_genres", "silver.beatport_tracks"
    tracks = inputs["silver.beatport_tracks"].select(
        "isrc", "genre_id", "genre_name", "beatport_track_id", "beatport_release_date"
    )
    filed = with_isrc(tracks, table, source)
    per_genre = _grouped(
        filed.frame.groupBy("isrc", "genre_id").agg(
            F.max("genre_name").alias("genre_name"),
            F.count(F.lit(1)).alias("n_beatport_tracks"),
            F.min(F.struct(earliest_first(), "beatport_track_id")).alias("_first"),
        ),
        table,
        source,
        F.col("n_beatport_tracks"),
    )
    canonical_first = Window.partitionBy("isrc").orderBy("_first")
    frame = per_genre.frame.withColumn(
        "is_canonical", F.row_number().over(canonical_first) == 1
    ).drop("_first")
    return Output(frame, [filed, per_genre])


def earliest_first() -> Column:
    """Beatport's release date such that an unknown one sorts last."""
    return F.coalesce("beatport_release_date", F.lit(_LAST_DAY).cast("date"))
