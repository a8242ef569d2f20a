"""The Spotify side: releases, tracks and who they are credited to."""

from __future__ import annotations

from beatlake import dates
from beatlake.exchange import Dealt, Query, select
from beatlake.integrate.common import (
    Inputs,
    artists_of,
    by_key,
    kept,
    link_counts,
    merged,
    one_per_key,
    set_aside,
    unique_links,
)
from beatlake.quality.counting import FlagCount
from beatlake.quality.flags import has, with_rules
from beatlake.quality.rules import DATE_RULES, Rule
from beatlake.tables.vocabulary import DATE_PARTS, OF_RELEASE

#: What a track takes from its release.
_OF_RELEASE = frozenset(column.name for column in (*OF_RELEASE, *DATE_PARTS))
_DURATION_RULES = (Rule.VERY_SHORT_DURATION, Rule.VERY_LONG_DURATION)


def releases(inputs: Inputs) -> Query:
    """Spotify releases, one row per release, dates with their parts and precision."""
    table, source, columns = "silver.releases", "bronze.sp_release", inputs.columns("sp_release")
    return Query(
        f"""
        SELECT release_id AS spotify_release_id, release_title, album_type,
            {dates.parts("release_date", has("flags", Rule.IMPOSSIBLE_DATE))},
            upc, popularity AS release_popularity, total_tracks, label_name AS spotify_label_name,
            release_img AS release_image_url, flags, updated_on, _copies, _repeated
        FROM ({one_per_key("given", columns, ["release_id"])})
        """,
        {"given": by_key(select(inputs[source], *columns), ["release_id"])},
        [
            kept(table, source),
            merged(table, source),
            FlagCount(table, source, DATE_RULES, "spotify_release_id"),
        ],
    )


def spotify_tracks(inputs: Inputs) -> Query:
    """Spotify tracks, one row per track, with their release and the popularity fetched for them."""
    table, source, fetched_from = (
        "silver.spotify_tracks",
        "bronze.sp_track",
        "bronze.sp_track_popularity",
    )
    columns = inputs.columns("sp_track")
    fetched = ["track_id", "popularity", "updated_on"]
    # Tracks and what was fetched for them, of which either may lack the other.
    unique = Query(
        f"""
        SELECT coalesce(own.track_id, fetched.track_id) AS track_id,
            own.* EXCLUDE (track_id, _copies, _repeated), own.track_id IS NOT NULL AS is_track,
            own._copies AS copies, own._repeated AS repeated,
            fetched.popularity AS track_popularity, fetched._copies AS fetched_copies,
            fetched._repeated AS fetched_repeated
        FROM ({one_per_key("given", columns, ["track_id"])}) own
        FULL JOIN ({one_per_key("popularity", fetched, ["track_id"])}) fetched
            ON own.track_id = fetched.track_id
        """,
        {
            "given": by_key(select(inputs[source], *columns), ["track_id"]),
            "popularity": by_key(
                select(inputs[fetched_from], "track_id", "popularity", "fetched_at AS updated_on"),
                ["track_id"],
            ),
        },
    )
    release = [c for c in inputs["silver.releases"].schema.names if c in _OF_RELEASE]
    broken = {
        Rule.ORPHAN_RELEASE: "tracks.release_id IS NOT NULL AND releases.release_id IS NULL",
        **{rule: has("releases.flags", rule) for rule in DATE_RULES},
    }
    rules = (Rule.NO_ISRC, *broken, *_DURATION_RULES)
    return Query(
        f"""
        SELECT track_id AS spotify_track_id, track_title AS title, isrc,
            tracks.release_id AS spotify_release_id, duration_ms AS spotify_duration_ms,
            disc_number, track_number, explicit AS is_explicit, preview_url, track_popularity,
            {", ".join(c for c in release if c != "is_placeholder_date")},
            coalesce(is_placeholder_date, false) AS is_placeholder_date,
            {with_rules("tracks.flags", broken)} AS flags, tracks.updated_on,
            copies AS _copies, repeated AS _repeated, is_track AS _is_track,
            fetched_copies AS _fetched_copies, fetched_repeated AS _fetched_repeated
        FROM tracks LEFT JOIN releases USING (release_id)
        """,
        {
            "tracks": Dealt(unique, ("release_id",)),
            "releases": Dealt(
                select(
                    inputs["silver.releases"],
                    "spotify_release_id AS release_id",
                    *release,
                    "flags",
                ),
                ("release_id",),
            ),
        },
        [
            kept(table, source, "_is_track"),
            merged(table, source, "_is_track"),
            FlagCount(table, source, rules, "spotify_track_id"),
            kept(table, fetched_from, "_is_track AND _fetched_copies IS NOT NULL"),
            merged(table, fetched_from, of="_fetched"),
            set_aside(table, fetched_from, Rule.ORPHAN_TRACK, "NOT _is_track", "spotify_track_id"),
        ],
        keep="_is_track",
    )


def release_artists(inputs: Inputs) -> Query:
    """Which Spotify artists a release is credited to; links to unknown ends are set aside."""
    table, source = "silver.release_artists", "bronze.sp_artist_release"
    unique = unique_links(
        select(inputs[source], *inputs.columns("sp_artist_release")),
        ["release_id", "artist_id"],
        select(inputs["silver.releases"], "spotify_release_id AS release_id"),
    )
    return Query(
        """
        SELECT release_id AS spotify_release_id, links.artist_id AS spotify_artist_id,
            copies AS _copies, repeated AS _repeated,
            has_end AS _has_release, artists.artist_id IS NOT NULL AS _has_artist
        FROM links LEFT JOIN artists USING (artist_id)
        """,
        {
            "links": Dealt(unique, ("artist_id",)),
            "artists": Dealt(artists_of(inputs, "spotify"), ("artist_id",)),
        },
        link_counts(
            table,
            source,
            {
                Rule.ORPHAN_RELEASE: ("_has_release", "spotify_release_id"),
                Rule.ORPHAN_ARTIST: ("_has_artist", "spotify_artist_id"),
            },
        ),
        keep="_has_release AND _has_artist",
    )


def spotify_track_artists(inputs: Inputs) -> Query:
    """Which Spotify artists a track is credited to, and whether its release is, too."""
    table, source = "silver.spotify_track_artists", "bronze.sp_artist_track"
    unique = unique_links(
        select(inputs[source], *inputs.columns("sp_artist_track")),
        ["track_id", "artist_id"],
        select(
            inputs["silver.spotify_tracks"],
            "spotify_track_id AS track_id",
            "spotify_release_id AS release_id",
            "isrc",
        ),
    )
    return Query(
        """
        SELECT track_id AS spotify_track_id, links.artist_id AS spotify_artist_id,
            artist_name, isrc, credited.artist_id IS NOT NULL AS is_release_artist,
            copies AS _copies, repeated AS _repeated, has_end AS _has_track,
            artists.artist_id IS NOT NULL AS _has_artist
        FROM links
        LEFT JOIN artists ON artists.artist_id = links.artist_id
        LEFT JOIN credited
            ON credited.artist_id = links.artist_id AND credited.release_id = links.release_id
        """,
        {
            "links": Dealt(unique, ("artist_id",)),
            "artists": Dealt(artists_of(inputs, "spotify", "artist_name"), ("artist_id",)),
            "credited": Dealt(
                select(
                    inputs["silver.release_artists"],
                    "spotify_release_id AS release_id",
                    "spotify_artist_id AS artist_id",
                ),
                ("artist_id",),
            ),
        },
        link_counts(
            table,
            source,
            {
                Rule.ORPHAN_TRACK: ("_has_track", "spotify_track_id"),
                Rule.ORPHAN_ARTIST: ("_has_artist", "spotify_artist_id"),
            },
        ),
        keep="_has_track AND _has_artist",
    )
