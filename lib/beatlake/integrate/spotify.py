"""The Spotify side: releases, tracks and who they are credited to."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from beatlake import dates
from beatlake.integrate.common import (
    Inputs,
    Output,
    known,
    look_up,
    one_per_key,
    set_orphans_aside,
    with_flags,
)
from beatlake.quality.counting import Counted, flag_counts
from beatlake.quality.rules import Rule

_DATE_RULES = (
    Rule.YEAR_ONLY_DATE,
    Rule.YEAR_MONTH_DATE,
    Rule.IMPOSSIBLE_DATE,
    Rule.PLACEHOLDER_DATE,
)
_DURATION_RULES = (Rule.VERY_SHORT_DURATION, Rule.VERY_LONG_DURATION)


def releases(inputs: Inputs) -> Output:
    """Spotify releases, one row per release, dates with their parts and precision."""
    unique = one_per_key(
        inputs.bronze("sp_release"), ["release_id"], "silver.releases", "bronze.sp_release"
    )
    text = F.col("release_date")
    flagged = Counted(
        unique.frame,
        "silver.releases",
        "bronze.sp_release",
        flag_counts(_DATE_RULES, F.col("release_id")),
    )
    frame = flagged.frame.select(
        F.col("release_id").alias("spotify_release_id"),
        "release_title",
        "album_type",
        *dates.parts(text, F.array_contains("flags", Rule.IMPOSSIBLE_DATE.value)),
        "upc",
        F.col("popularity").alias("release_popularity"),
        "total_tracks",
        F.col("label_name").alias("spotify_label_name"),
        F.col("release_img").alias("release_image_url"),
        "flags",
        "updated_on",
    )
    return Output(frame, [unique, flagged])


def spotify_tracks(inputs: Inputs) -> Output:
    """Spotify tracks, one row per track, with the popularity that was fetched for them."""
    table = "silver.spotify_tracks"
    unique = one_per_key(inputs.bronze("sp_track"), ["track_id"], table, "bronze.sp_track")
    fetched, counted = _popularity(inputs, table)
    releases_known = known(inputs["silver.releases"], "spotify_release_id", "release_id")
    joined = look_up(unique.frame, releases_known, ["release_id"], "_release_found")
    joined = joined.join(fetched, "track_id", "left")
    rules = (Rule.NO_ISRC, Rule.ORPHAN_RELEASE, *_DURATION_RULES)
    flagged = Counted(
        with_flags(joined, {Rule.ORPHAN_RELEASE: ~F.col("_release_found")}),
        table,
        "bronze.sp_track",
        flag_counts(rules, F.col("track_id")),
    )
    frame = flagged.frame.select(
        F.col("track_id").alias("spotify_track_id"),
        F.col("track_title").alias("title"),
        "isrc",
        F.col("release_id").alias("spotify_release_id"),
        F.col("duration_ms").alias("spotify_duration_ms"),
        "disc_number",
        "track_number",
        F.col("explicit").alias("is_explicit"),
        "preview_url",
        "track_popularity",
        "flags",
        "updated_on",
    )
    return Output(frame, [unique, *counted, flagged])


def _popularity(inputs: Inputs, table: str) -> tuple[DataFrame, list[Counted]]:
    source = "bronze.sp_track_popularity"
    given = inputs.bronze("sp_track_popularity").withColumnRenamed("fetched_at", "updated_on")
    unique = one_per_key(given, ["track_id"], table, source, all_kept=False)
    tracks = inputs["bronze.sp_track"].select("track_id").distinct()
    matched = set_orphans_aside(unique.frame, {Rule.ORPHAN_TRACK: tracks}, table, source)
    popularity = F.col("popularity").alias("track_popularity")
    return matched.frame.select("track_id", popularity), [unique, matched]


def release_artists(inputs: Inputs) -> Output:
    """Which Spotify artists a release is credited to; links to unknown ends are set aside."""
    table, source = "silver.release_artists", "bronze.sp_artist_release"
    key = ["release_id", "artist_id"]
    links = inputs.bronze("sp_artist_release")
    unique = one_per_key(links, key, table, source, all_kept=False)
    ends = {
        Rule.ORPHAN_RELEASE: known(inputs["silver.releases"], "spotify_release_id", "release_id"),
        Rule.ORPHAN_ARTIST: _artist_ids(inputs),
    }
    whole = set_orphans_aside(unique.frame, ends, table, source)
    frame = whole.frame.select(
        F.col("release_id").alias("spotify_release_id"),
        F.col("artist_id").alias("spotify_artist_id"),
    )
    return Output(frame, [unique, whole])


def spotify_track_artists(inputs: Inputs) -> Output:
    """Which Spotify artists a track is credited to, and whether its release is, too."""
    table, source = "silver.spotify_track_artists", "bronze.sp_artist_track"
    key = ["track_id", "artist_id"]
    links = inputs.bronze("sp_artist_track")
    unique = one_per_key(links, key, table, source, all_kept=False)
    ends = {
        Rule.ORPHAN_TRACK: known(inputs["silver.spotify_tracks"], "spotify_track_id", "track_id"),
        Rule.ORPHAN_ARTIST: _artist_ids(inputs),
    }
    whole = set_orphans_aside(unique.frame, ends, table, source)
    credits_ = whole.frame.select(
        F.col("track_id").alias("spotify_track_id"),
        F.col("artist_id").alias("spotify_artist_id"),
    )
    release_of = inputs["silver.spotify_tracks"].select("spotify_track_id", "spotify_release_id")
    frame = look_up(
        credits_.join(release_of, "spotify_track_id", "inner"),
        inputs["silver.release_artists"],
        ["spotify_release_id", "spotify_artist_id"],
        "is_release_artist",
    )
    return Output(
        frame.select("spotify_track_id", "spotify_artist_id", "is_release_artist"),
        [unique, whole],
    )


def _artist_ids(inputs: Inputs) -> DataFrame:
    spotify = inputs["silver.artists"].filter(F.col("artist_source") == "spotify")
    return known(spotify, "spotify_artist_id", "artist_id")
