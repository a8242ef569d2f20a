"""Genres, subgenres, keys, labels and artists: small tables that others look names up in."""

from __future__ import annotations

from pyspark.sql import functions as F

from beatlake.integrate.common import Inputs, Output, look_up, one_per_key, with_flags
from beatlake.quality.counting import Counted, flag_counts
from beatlake.quality.rules import Rule


def genres(inputs: Inputs) -> Output:
    """Beatport genres, one row per genre."""
    unique = one_per_key(
        inputs.bronze("bp_genre"), ["genre_id"], "silver.genres", "bronze.bp_genre"
    )
    return Output(
        unique.frame.select("genre_id", "genre_name", "song_count", "genre_url"), [unique]
    )


def subgenres(inputs: Inputs) -> Output:
    """Beatport subgenres, one row per subgenre and genre."""
    key = ["subgenre_id", "genre_id"]
    unique = one_per_key(
        inputs.bronze("bp_subgenre"), key, "silver.subgenres", "bronze.bp_subgenre"
    )
    names = inputs["silver.genres"].select("genre_id", "genre_name")
    named = look_up(unique.frame, F.broadcast(names), ["genre_id"], "_genre_found")
    orphan = ~F.col("_genre_found") & F.lit("bp_genre" not in inputs.absent)
    flagged = Counted(
        with_flags(named, {Rule.ORPHAN_GENRE: orphan}),
        "silver.subgenres",
        "bronze.bp_subgenre",
        flag_counts([Rule.ORPHAN_GENRE], F.col("subgenre_id").cast("string")),
    )
    frame = flagged.frame.select(
        "subgenre_id", "genre_id", "subgenre_name", "genre_name", "song_count", "flags"
    )
    return Output(frame, [unique, flagged])


def labels(inputs: Inputs) -> Output:
    """Beatport labels, one row per label."""
    unique = one_per_key(
        inputs.bronze("bp_label"), ["label_id"], "silver.labels", "bronze.bp_label"
    )
    frame = unique.frame.select(
        F.col("label_id").alias("beatport_label_id"),
        F.col("label_name").alias("beatport_label_name"),
        "label_url",
        "updated_on",
    )
    return Output(frame, [unique])


def keys(inputs: Inputs) -> Output:
    """Musical keys of Beatport, one row per key."""
    unique = one_per_key(inputs.bronze("bp_key"), ["key_id"], "silver.keys", "bronze.bp_key")
    frame = unique.frame.select(
        F.col("key_id").alias("beatport_key_id"),
        F.col("key_name").alias("beatport_key_name"),
        F.concat(F.col("camelot_num").cast("string"), "camelot_letter").alias("camelot_code"),
        "key_letter",
        "is_sharp",
        "is_flat",
        F.when(F.col("chord_name") == "Major", True)
        .when(F.col("chord_name") == "Minor", False)
        .alias("is_major"),
    )
    return Output(frame, [unique])


def artists(inputs: Inputs) -> Output:
    """Artists of both sides, one row per side and id."""
    table = "silver.artists"
    key = ["artist_id"]
    spotify = one_per_key(inputs.bronze("sp_artist"), key, table, "bronze.sp_artist")
    beatport = one_per_key(inputs.bronze("bp_artist"), key, table, "bronze.bp_artist")
    sides = []
    for side, unique in (("spotify", spotify), ("beatport", beatport)):
        own = F.col("artist_id")
        sides.append(
            unique.frame.select(
                F.concat(F.lit(f"{side}:"), own.cast("string")).alias("artist_key"),
                F.lit(side).alias("artist_source"),
                (own if side == "spotify" else F.lit(None).cast("string")).alias(
                    "spotify_artist_id"
                ),
                (own if side == "beatport" else F.lit(None).cast("bigint")).alias(
                    "beatport_artist_id"
                ),
                "artist_name",
                "updated_on",
            )
        )
    return Output(sides[0].unionByName(sides[1]), [spotify, beatport])
