"""The Beatport side: releases, tracks and who made them."""

from __future__ import annotations

from collections.abc import Mapping

from beatlake import dates
from beatlake.exchange import Dealt, Query, Whole, select
from beatlake.integrate.common import (
    Inputs,
    artists_of,
    by_key,
    kept,
    link_counts,
    merged,
    one_per_key,
    unique_links,
)
from beatlake.quality.counting import FlagCount
from beatlake.quality.flags import has, with_rules
from beatlake.quality.rules import Rule


def beatport_releases(inputs: Inputs) -> Query:
    """Beatport releases, one row per release."""
    table, source, columns = (
        "silver.beatport_releases",
        "bronze.bp_release",
        inputs.columns("bp_release"),
    )
    orphan = _orphan(inputs, "own.label_id", "labels.beatport_label_id", "bp_label")
    return Query(
        f"""
        SELECT release_id AS beatport_release_id, release_title,
            release_date AS beatport_release_date, own.label_id AS beatport_label_id, release_url,
            {with_rules("flags", {Rule.ORPHAN_LABEL: orphan})} AS flags, own.updated_on,
            _copies, _repeated
        FROM ({one_per_key("given", columns, ["release_id"])}) own
        LEFT JOIN labels ON labels.beatport_label_id = own.label_id
        """,
        {
            "given": by_key(select(inputs[source], *columns), ["release_id"]),
            "labels": Whole(inputs["silver.labels"]),
        },
        [
            kept(table, source),
            merged(table, source),
            FlagCount(
                table,
                source,
                [Rule.ORPHAN_LABEL, Rule.IMPOSSIBLE_DATE, Rule.PLACEHOLDER_DATE],
                "beatport_release_id::VARCHAR",
            ),
        ],
    )


def is_half_time(bpm: str, genre_id: str, half_time_below: Mapping[int, float]) -> str:
    """Whether a tempo is taken as half of what the genre is played at.

    Args:
        bpm: the stated tempo in beats per minute, null where it is missing.
        genre_id: the Beatport genre.
        half_time_below: genre id -> limit in beats per minute.
    """
    limits = " ".join(f"WHEN {g} THEN {float(x)!r}" for g, x in sorted(half_time_below.items()))
    # As a double: DuckDB takes a number with a point for a decimal.
    return f"coalesce({bpm} < CASE {genre_id} {limits} END::DOUBLE, false)" if limits else "false"


def beatport_tracks(inputs: Inputs, half_time_below: Mapping[int, float]) -> Query:
    """Beatport tracks, one row per track, with names looked up and the tempo repaired.

    Tempo below the limit of its genre is taken as half-time and doubled.
    """
    table, source, columns = "silver.beatport_tracks", "bronze.bp_track", inputs.columns("bp_track")
    unique = Query(
        f"""
        SELECT * EXCLUDE (_copies, _repeated), _copies AS copies, _repeated AS repeated
        FROM ({one_per_key("given", columns, ["track_id"])})
        """,
        {"given": by_key(select(inputs[source], *columns), ["track_id"])},
    )
    stated = "CASE WHEN own.bpm > 0 THEN own.bpm END"
    half_time = is_half_time(stated, "own.genre_id", half_time_below)
    broken = {
        Rule.ORPHAN_GENRE: _orphan(inputs, "own.genre_id", "genres.genre_id", "bp_genre"),
        Rule.ORPHAN_SUBGENRE: _orphan(
            inputs, "own.subgenre_id", "subgenres.subgenre_id", "bp_subgenre"
        ),
        Rule.ORPHAN_KEY: _orphan(inputs, "own.key_id", "keys.beatport_key_id", "bp_key"),
        Rule.ORPHAN_LABEL: _orphan(inputs, "own.label_id", "labels.beatport_label_id", "bp_label"),
        Rule.ORPHAN_RELEASE: _orphan(inputs, "own.release_id", "releases.release_id", "bp_release"),
        Rule.HALF_TIME_BPM: half_time,
    }
    rules = [
        *broken,
        Rule.NO_ISRC,
        Rule.BPM_MISSING,
        Rule.IMPOSSIBLE_DATE,
        Rule.PLACEHOLDER_DATE,
        Rule.VERY_SHORT_DURATION,
        Rule.VERY_LONG_DURATION,
    ]
    return Query(
        f"""
        SELECT own.track_id AS beatport_track_id, title, mix, is_remixed, isrc,
            CASE WHEN NOT {has("own.flags", Rule.IMPOSSIBLE_DATE)} THEN own.release_date END
                AS beatport_release_date,
            {dates.is_new_year("own.release_date")} AS is_placeholder_date,
            own.genre_id, genres.genre_name, own.subgenre_id, subgenres.subgenre_name,
            {stated} AS bpm_stated, CASE WHEN {half_time} THEN own.bpm * 2 ELSE {stated} END AS bpm,
            own.duration_ms AS beatport_duration_ms, own.key_id AS beatport_key_id,
            keys.beatport_key_name, keys.camelot_code, own.label_id AS beatport_label_id,
            labels.beatport_label_name, own.release_id AS beatport_release_id,
            is_matched_spot AS is_matched_by_publisher, track_url,
            {with_rules("own.flags", broken)} AS flags, own.updated_on,
            copies AS _copies, repeated AS _repeated
        FROM own
        LEFT JOIN genres ON genres.genre_id = own.genre_id
        LEFT JOIN subgenres
            ON subgenres.subgenre_id = own.subgenre_id AND subgenres.genre_id = own.genre_id
        LEFT JOIN keys ON keys.beatport_key_id = own.key_id
        LEFT JOIN labels ON labels.beatport_label_id = own.label_id
        LEFT JOIN releases ON releases.release_id = own.release_id
        """,
        {
            "own": Dealt(unique, ("release_id",)),
            "releases": Dealt(
                select(inputs["silver.beatport_releases"], "beatport_release_id AS release_id"),
                ("release_id",),
            ),
            **{name: Whole(inputs[f"silver.{name}"]) for name in _NAMES},
        },
        [
            kept(table, source),
            merged(table, source),
            FlagCount(table, source, rules, "beatport_track_id::VARCHAR"),
        ],
    )


#: The tables that names of tracks are looked up in.
_NAMES = ("genres", "subgenres", "keys", "labels")


def _orphan(inputs: Inputs, id_: str, found: str, file: str) -> str:
    """Whether a row names something that the file, if it was given at all, does not have."""
    return "false" if file in inputs.absent else f"({id_} IS NOT NULL AND {found} IS NULL)"


def beatport_track_artists(inputs: Inputs) -> Query:
    """Which Beatport artists made or remixed a track; links to unknown ends are set aside."""
    table, source = "silver.beatport_track_artists", "bronze.bp_artist_track"
    columns, key = inputs.columns("bp_artist_track"), ["track_id", "artist_id", "is_remixer"]
    given = [f"coalesce({c}, false) AS {c}" if c == "is_remixer" else c for c in columns]
    unique = unique_links(
        select(inputs[source], *given),
        key,
        select(inputs["silver.beatport_tracks"], "beatport_track_id AS track_id", "isrc"),
    )
    no_tracks, no_artists = (str(file in inputs.absent) for file in ("bp_track", "bp_artist"))
    return Query(
        f"""
        SELECT track_id AS beatport_track_id, links.artist_id AS beatport_artist_id, is_remixer,
            artist_name, isrc, copies AS _copies, repeated AS _repeated,
            has_end OR {no_tracks} AS _has_track,
            artists.artist_id IS NOT NULL OR {no_artists} AS _has_artist
        FROM links LEFT JOIN artists USING (artist_id)
        """,
        {
            "links": Dealt(unique, ("artist_id",)),
            "artists": Dealt(artists_of(inputs, "beatport", "artist_name"), ("artist_id",)),
        },
        link_counts(
            table,
            source,
            {
                Rule.ORPHAN_TRACK: ("_has_track", "beatport_track_id"),
                Rule.ORPHAN_ARTIST: ("_has_artist", "beatport_artist_id"),
            },
        ),
        keep="_has_track AND _has_artist",
    )
