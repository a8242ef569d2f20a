"""The Beatport side: releases, tracks and who made them."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
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


def beatport_releases(inputs: Inputs) -> Output:
    """Beatport releases, one row per release."""
    table, source = "silver.beatport_releases", "bronze.bp_release"
    unique = one_per_key(inputs.bronze("bp_release"), ["release_id"], table, source)
    labels = known(inputs["silver.labels"], "beatport_label_id", "label_id")
    joined = look_up(unique.frame, labels, ["label_id"], "_label")
    flagged = Counted(
        with_flags(joined, {Rule.ORPHAN_LABEL: _orphan(inputs, "label_id", "_label", "bp_label")}),
        table,
        source,
        flag_counts(
            [Rule.ORPHAN_LABEL, Rule.IMPOSSIBLE_DATE, Rule.PLACEHOLDER_DATE],
            F.col("release_id").cast("string"),
        ),
    )
    frame = flagged.frame.select(
        F.col("release_id").alias("beatport_release_id"),
        "release_title",
        F.col("release_date").alias("beatport_release_date"),
        F.col("label_id").alias("beatport_label_id"),
        "release_url",
        "flags",
        "updated_on",
    )
    return Output(frame, [unique, flagged])


def folded_bpm(bpm: Column, genre_id: Column, half_time_below: Mapping[int, float]) -> Column:
    """Tempo with half-time values doubled: those below the limit of their genre.

    Args:
        bpm: the stated tempo, null where it is missing.
        genre_id: the Beatport genre.
        half_time_below: genre id -> limit in beats per minute.
    """
    doubled = is_half_time(bpm, genre_id, half_time_below)
    return F.when(doubled, bpm * 2).otherwise(bpm)


def is_half_time(bpm: Column, genre_id: Column, half_time_below: Mapping[int, float]) -> Column:
    """Whether a tempo is taken as half of what the genre is played at."""
    found = F.lit(False)
    for genre, limit in sorted(half_time_below.items()):
        found = found | ((genre_id == genre) & (bpm < limit))
    return F.coalesce(found, F.lit(False))


def beatport_tracks(inputs: Inputs, half_time_below: Mapping[int, float]) -> Output:
    """Beatport tracks, one row per track, with names looked up and the tempo repaired."""
    table, source = "silver.beatport_tracks", "bronze.bp_track"
    unique = one_per_key(inputs.bronze("bp_track"), ["track_id"], table, source)
    joined = _named(unique.frame, inputs)
    stated = F.when(F.col("bpm") > 0, F.col("bpm"))
    half_time = is_half_time(stated, F.col("genre_id"), half_time_below)
    orphans = {
        Rule.ORPHAN_GENRE: _orphan(inputs, "genre_id", "_genre", "bp_genre"),
        Rule.ORPHAN_SUBGENRE: _orphan(inputs, "subgenre_id", "_subgenre", "bp_subgenre"),
        Rule.ORPHAN_KEY: _orphan(inputs, "key_id", "_key", "bp_key"),
        Rule.ORPHAN_LABEL: _orphan(inputs, "label_id", "_label", "bp_label"),
        Rule.ORPHAN_RELEASE: _orphan(inputs, "release_id", "_release", "bp_release"),
    }
    flagged = Counted(
        with_flags(joined, {**orphans, Rule.HALF_TIME_BPM: half_time}),
        table,
        source,
        flag_counts(
            [
                *orphans,
                Rule.HALF_TIME_BPM,
                Rule.NO_ISRC,
                Rule.BPM_MISSING,
                Rule.IMPOSSIBLE_DATE,
                Rule.PLACEHOLDER_DATE,
                Rule.VERY_SHORT_DURATION,
                Rule.VERY_LONG_DURATION,
            ],
            F.col("track_id").cast("string"),
        ),
    )
    frame = flagged.frame.select(
        F.col("track_id").alias("beatport_track_id"),
        "title",
        "mix",
        "is_remixed",
        "isrc",
        F.when(~F.array_contains("flags", Rule.IMPOSSIBLE_DATE.value), F.col("release_date")).alias(
            "beatport_release_date"
        ),
        dates.is_new_year(F.col("release_date")).alias("is_placeholder_date"),
        "genre_id",
        "genre_name",
        "subgenre_id",
        "subgenre_name",
        stated.alias("bpm_stated"),
        folded_bpm(stated, F.col("genre_id"), half_time_below).alias("bpm"),
        F.col("duration_ms").alias("beatport_duration_ms"),
        F.col("key_id").alias("beatport_key_id"),
        "beatport_key_name",
        "camelot_code",
        F.col("label_id").alias("beatport_label_id"),
        "beatport_label_name",
        F.col("release_id").alias("beatport_release_id"),
        F.col("is_matched_spot").alias("is_matched_by_publisher"),
        "track_url",
        "flags",
        "updated_on",
    )
    return Output(frame, [unique, flagged])


def _named(tracks: DataFrame, inputs: Inputs) -> DataFrame:
    """Tracks with the names of genre, subgenre (on subgenre and genre), key and label."""
    genres = inputs["silver.genres"].select("genre_id", "genre_name")
    subgenres = inputs["silver.subgenres"].select("subgenre_id", "genre_id", "subgenre_name")
    keys = inputs["silver.keys"].select(
        F.col("beatport_key_id").alias("key_id"), "beatport_key_name", "camelot_code"
    )
    labels = inputs["silver.labels"].select(
        F.col("beatport_label_id").alias("label_id"), "beatport_label_name"
    )
    releases = known(inputs["silver.beatport_releases"], "beatport_release_id", "release_id")
    joined = look_up(tracks, F.broadcast(genres), ["genre_id"], "_genre")
    joined = look_up(joined, F.broadcast(subgenres), ["subgenre_id", "genre_id"], "_subgenre")
    joined = look_up(joined, F.broadcast(keys), ["key_id"], "_key")
    joined = look_up(joined, labels, ["label_id"], "_label")
    return look_up(joined, releases, ["release_id"], "_release")


def _orphan(inputs: Inputs, column: str, found: str, file: str) -> Column:
    """Whether a row names something that the file, if it was given at all, does not have."""
    if file in inputs.absent:
        return F.lit(False)
    return F.col(column).isNotNull() & ~F.col(found)


def beatport_track_artists(inputs: Inputs) -> Output:
    """Which Beatport artists made or remixed a track; links to unknown ends are set aside."""
    table, source = "silver.beatport_track_artists", "bronze.bp_artist_track"
    key = ["track_id", "artist_id", "is_remixer"]
    links = inputs.bronze("bp_artist_track").fillna({"is_remixer": False})
    unique = one_per_key(links, key, table, source, all_kept=False)
    ends = {}
    if "bp_track" not in inputs.absent:
        ends[Rule.ORPHAN_TRACK] = known(
            inputs["silver.beatport_tracks"], "beatport_track_id", "track_id"
        )
    if "bp_artist" not in inputs.absent:
        beatport = inputs["silver.artists"].filter(F.col("artist_source") == "beatport")
        ends[Rule.ORPHAN_ARTIST] = known(beatport, "beatport_artist_id", "artist_id")
    whole = set_orphans_aside(unique.frame, ends, table, source)
    frame = whole.frame.select(
        F.col("track_id").alias("beatport_track_id"),
        F.col("artist_id").alias("beatport_artist_id"),
        "is_remixer",
    )
    return Output(frame, [unique, whole])
