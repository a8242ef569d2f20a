"""Recordings: exactly one row per ISRC, whatever the files repeat."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from beatlake import dates
from beatlake.integrate.common import Inputs, Output, one_per_key
from beatlake.integrate.credits import earliest_first, with_isrc
from beatlake.quality.counting import Count, Counted, flag_counts
from beatlake.quality.flags import merged, named, no_names
from beatlake.quality.rules import Rule
from beatlake.tables.vocabulary import AUDIO

_TABLE = "silver.recordings"
#: Beyond this the lengths of analysis and track are not two measurements of one recording.
_SAME_LENGTH_MS = 1000
_DATE_COLUMNS = (
    "release_date_text",
    "release_date",
    "release_year",
    "release_month",
    "release_day",
    "release_date_precision",
    "is_placeholder_date",
)
_DATE_RULES = (
    Rule.YEAR_ONLY_DATE,
    Rule.YEAR_MONTH_DATE,
    Rule.IMPOSSIBLE_DATE,
    Rule.PLACEHOLDER_DATE,
)
_TEMPO_RULES = (Rule.HALF_TIME_BPM, Rule.BPM_MISSING)


def camelot_code(pitch_class: Column, mode: Column) -> Column:
    """Key and mode on the Camelot wheel: C major is 8B, its relative A minor 8A.

    A fifth up (7 semitones) is one step on; a minor key shares the number of the major key three
    semitones above it. Null when no key was found (-1).
    """
    relative_major = pitch_class + F.when(mode == 0, 3).otherwise(0)
    number = (relative_major * 7 + 7) % 12 + 1
    letter = F.when(mode == 0, "A").otherwise("B")
    return F.when((pitch_class >= 0) & mode.isNotNull(), F.concat(number.cast("string"), letter))


def recordings(inputs: Inputs, hemisphere: str) -> Output:
    """One row per ISRC of any side, with the canonical track of each side.

    The canonical Spotify track is that of the earliest release date (a partial date standing for
    its last possible day), then of the smallest track id; the canonical Beatport track likewise.
    The release date is Spotify's where it is possible, else Beatport's.
    """
    unique = one_per_key(inputs.bronze("audio_features"), ["isrc"], _TABLE, "bronze.audio_features")
    spotify_rows = with_isrc(inputs["silver.spotify_tracks"], _TABLE, "silver.spotify_tracks")
    beatport_rows = with_isrc(inputs["silver.beatport_tracks"], _TABLE, "silver.beatport_tracks")
    joined = (
        _audio(unique.frame)
        .join(_canonical_spotify(spotify_rows.frame, inputs["silver.releases"]), "isrc", "full")
        .join(_canonical_beatport(beatport_rows.frame), "isrc", "full")
        .join(_artists_in_order(inputs["silver.recording_artists"]), "isrc", "left")
    )
    flags = (
        Rule.NO_AUDIO_FEATURES,
        Rule.NO_SPOTIFY_TRACK,
        Rule.NO_BEATPORT_TRACK,
        Rule.DURATION_MISMATCH,
        Rule.ALL_ZERO_FEATURES,
        Rule.LOUDNESS_ABOVE_ZERO,
        *_DATE_RULES,
        *_TEMPO_RULES,
    )
    whole = _whole(joined, hemisphere)
    flagged = Counted(whole, _TABLE, _TABLE, flag_counts(flags, F.col("isrc")))
    sides = [
        _side_counted(flagged.frame, "spotify"),
    ]
    sides.append(_side_counted(sides[-1].frame, "beatport"))
    return Output(sides[-1].frame, [unique, spotify_rows, beatport_rows, flagged, *sides])


def _side_counted(frame: DataFrame, side: str) -> Counted:
    kept = F.count_if(F.col(f"has_{side}"))
    merged = F.sum(f"n_{side}_tracks") - kept
    return Counted(
        frame, _TABLE, f"silver.{side}_tracks", [Count("kept", kept), Count("merged", merged)]
    )


def _audio(audio: DataFrame) -> DataFrame:
    """Audio features under silver's names; values that stand for a failed analysis are null."""
    failed = F.array_contains("flags", Rule.ALL_ZERO_FEATURES.value)
    nothing = {"tempo": F.col("tempo") == 0, "time_signature": F.col("time_signature") == 0}
    nothing |= dict.fromkeys(("danceability", "energy", "valence"), failed)
    columns = [
        F.when(~nothing[name], F.col(name)).alias(column.name)
        if name in nothing
        else F.col(name).alias(column.name)
        for name, column in AUDIO.items()
    ]
    return audio.select("isrc", *columns, F.col("flags").alias("_audio_flags"))


def _canonical_spotify(tracks: DataFrame, releases: DataFrame) -> DataFrame:
    dated = releases.select(
        "spotify_release_id",
        "release_title",
        "album_type",
        "spotify_label_name",
        "release_popularity",
        *[F.col(c).alias(f"_spotify_{c}") for c in _DATE_COLUMNS],
        F.col("flags").alias("_release_flags"),
        F.when(
            F.col("release_date_precision").isNotNull(),
            dates.latest_day(F.col("release_date_text")),
        ).alias("_latest_day"),
    )
    rows = tracks.join(dated, "spotify_release_id", "left")
    same = Window.partitionBy("isrc")
    order = same.orderBy(F.col("_latest_day").asc_nulls_last(), "spotify_track_id")
    return (
        rows.withColumn("_rank", F.row_number().over(order))
        .withColumn("n_spotify_tracks", F.count(F.lit(1)).over(same))
        .filter(F.col("_rank") == 1)
        .select(
            "isrc",
            "n_spotify_tracks",
            "spotify_track_id",
            F.col("title").alias("_spotify_title"),
            "spotify_release_id",
            "release_title",
            "album_type",
            "spotify_label_name",
            "is_explicit",
            "preview_url",
            "release_popularity",
            "track_popularity",
            F.col("spotify_duration_ms").alias("_spotify_duration_ms"),
            *[f"_spotify_{c}" for c in _DATE_COLUMNS],
            "_release_flags",
        )
    )


def _canonical_beatport(tracks: DataFrame) -> DataFrame:
    same = Window.partitionBy("isrc")
    order = same.orderBy(earliest_first(), "beatport_track_id")
    return (
        tracks.withColumn("_rank", F.row_number().over(order))
        .withColumn("n_beatport_tracks", F.count(F.lit(1)).over(same))
        .filter(F.col("_rank") == 1)
        .select(
            "isrc",
            "n_beatport_tracks",
            "beatport_track_id",
            F.col("title").alias("_beatport_title"),
            "mix",
            "is_remixed",
            "genre_id",
            "genre_name",
            "subgenre_id",
            "subgenre_name",
            "bpm_stated",
            "bpm",
            "beatport_key_id",
            "beatport_key_name",
            "camelot_code",
            "beatport_label_id",
            "beatport_label_name",
            F.col("beatport_release_date").alias("_beatport_date"),
            F.col("is_placeholder_date").alias("_beatport_placeholder"),
            F.col("flags").alias("_beatport_flags"),
        )
    )


def _artists_in_order(artists: DataFrame) -> DataFrame:
    entries = F.sort_array(F.collect_list(F.struct("position", "artist_name", "artist_key")))
    grouped = artists.groupBy("isrc").agg(entries.alias("_artists"))
    return grouped.select(
        "isrc",
        F.col("_artists.artist_name").alias("artist_names"),
        F.col("_artists.artist_key").alias("artist_keys"),
    )


def _whole(joined: DataFrame, hemisphere: str) -> DataFrame:
    from_spotify = F.col("_spotify_release_date_precision").isNotNull()
    from_beatport = ~from_spotify & F.col("_beatport_date").isNotNull()
    beatport_text = F.col("_beatport_date").cast("string")
    beatport_parts = {
        "release_date_text": beatport_text,
        "release_date": F.col("_beatport_date"),
        "release_year": F.year("_beatport_date"),
        "release_month": F.month("_beatport_date"),
        "release_day": F.dayofmonth("_beatport_date"),
        "release_date_precision": F.lit("day"),
        "is_placeholder_date": F.col("_beatport_placeholder"),
    }
    dated = joined.withColumns(
        {
            name: F.when(from_beatport, beatport_parts[name]).otherwise(F.col(f"_spotify_{name}"))
            for name in _DATE_COLUMNS
        }
    )
    whole = dated.withColumns(
        {
            "has_audio": F.col("_audio_flags").isNotNull(),
            "has_spotify": F.col("spotify_track_id").isNotNull(),
            "has_beatport": F.col("beatport_track_id").isNotNull(),
            "n_spotify_tracks": F.coalesce("n_spotify_tracks", F.lit(0)).cast("bigint"),
            "n_beatport_tracks": F.coalesce("n_beatport_tracks", F.lit(0)).cast("bigint"),
            "title": F.coalesce("_spotify_title", "_beatport_title"),
            "artist_names": F.coalesce("artist_names", no_names()),
            "artist_keys": F.coalesce("artist_keys", no_names()),
            "is_placeholder_date": F.coalesce("is_placeholder_date", F.lit(False)),
            "release_date_source": F.when(from_spotify, "spotify").when(from_beatport, "beatport"),
            "release_season": dates.season(F.col("release_month"), hemisphere),
            "release_season_year": dates.season_year(F.col("release_year"), F.col("release_month")),
            "audio_camelot_code": camelot_code(F.col("pitch_class"), F.col("mode")),
        }
    )
    return whole.withColumn("flags", _flags(from_beatport)).drop(
        *[c for c in whole.columns if c.startswith("_")]
    )


def _flags(from_beatport: Column) -> Column:
    """Flags of the row's own, of its audio features, of the date used and of Beatport's tempo."""
    dates_of = F.when(from_beatport, F.col("_beatport_flags")).otherwise(F.col("_release_flags"))
    lengths = F.abs(F.col("duration_ms") - F.col("_spotify_duration_ms"))
    conditions = {
        Rule.NO_AUDIO_FEATURES: F.col("_audio_flags").isNull(),
        Rule.NO_SPOTIFY_TRACK: F.col("spotify_track_id").isNull(),
        Rule.NO_BEATPORT_TRACK: F.col("beatport_track_id").isNull(),
        Rule.DURATION_MISMATCH: lengths > _SAME_LENGTH_MS,
        **{rule: F.array_contains(dates_of, rule.value) for rule in _DATE_RULES},
        **{rule: F.array_contains("_beatport_flags", rule.value) for rule in _TEMPO_RULES},
    }
    return merged(F.coalesce("_audio_flags", no_names()), named(conditions))
