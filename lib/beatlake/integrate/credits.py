"""Who made a recording, in order, and which Beatport genres it is filed under."""

from __future__ import annotations

from beatlake.exchange import Dealt, Query, Scanned
from beatlake.integrate.common import Inputs
from beatlake.quality.counting import Count
from beatlake.quality.rules import Rule

#: Beatport's release date such that an unknown one sorts last.
EARLIEST_FIRST = "coalesce(beatport_release_date, DATE '9999-12-31')"


def of_recordings(inputs: Inputs, source: str, table: str, *columns: str) -> Query:
    """Rows that belong to a recording; those without an ISRC are counted as set aside.

    Args:
        inputs: the tables.
        source: the table of the rows.
        table: the table that they are for.
        columns: the columns, as SQL; ``isrc`` comes with them.
    """
    return Query(
        f"SELECT isrc, {', '.join(columns)} FROM stored",
        {"stored": Scanned(inputs[source])},
        [without_isrc(table, source)],
        keep="isrc IS NOT NULL",
    )


def without_isrc(table: str, source: str) -> Count:
    """The count of rows that belong to no recording."""
    where = "FILTER (WHERE isrc IS NULL)"
    return Count(table, source, "set_aside", f"count(*) {where}", Rule.NO_ISRC.value)


def grouped(table: str, source: str, rows: str, where: str = "true") -> list[Count]:
    """Counts of groups that stand for ``rows`` rows: one kept each, the others merged into it."""
    counted = f"FILTER (WHERE {where})"
    return [
        Count(table, source, "kept", f"count(*) {counted}"),
        Count(table, source, "merged", f"sum({rows}) {counted} - count(*) {counted}"),
    ]


def recording_genres(inputs: Inputs) -> Query:
    """The Beatport genres of each recording, one row per ISRC and genre."""
    table, source = "silver.recording_genres", "silver.beatport_tracks"
    columns = ("genre_id", "genre_name", "beatport_track_id", "beatport_release_date")
    # Most recordings have one genre, which is that of their canonical track.
    return Query(
        f"""
        WITH grouped AS MATERIALIZED (
            SELECT isrc, genre_id, max(genre_name) AS genre_name, count(*) AS n_beatport_tracks,
                min(row({EARLIEST_FIRST}, beatport_track_id)) AS _first
            FROM tracks GROUP BY isrc, genre_id
        ),
        several AS MATERIALIZED (
            SELECT isrc, min(_first) AS _canonical FROM grouped GROUP BY isrc HAVING count(*) > 1
        )
        SELECT grouped.*, _canonical IS NULL OR _first = _canonical AS is_canonical
        FROM grouped LEFT JOIN several USING (isrc)
        """,
        {"tracks": Dealt(of_recordings(inputs, source, table, *columns), ("isrc",))},
        grouped(table, source, "n_beatport_tracks"),
    )


def recording_artists(inputs: Inputs) -> Query:
    """The artists of each recording in order, one row per ISRC and artist.

    Spotify's credit counts; Beatport's is used for recordings that Spotify credits to nobody.
    Artists are ordered by how many of the recording's tracks credit them, release artists before
    others, remixers last, then by name and key: the files give no order of their own.
    """
    table = "silver.recording_artists"
    from_spotify, from_beatport = "silver.spotify_track_artists", "silver.beatport_track_artists"
    of_spotify = ("spotify_artist_id AS artist_id", "artist_name", "is_release_artist")
    of_beatport = ("beatport_artist_id AS artist_id", "artist_name", "is_remixer")
    # Most recordings have one artist, who is their first without being ordered.
    return Query(
        """
        WITH credits AS MATERIALIZED (
            SELECT isrc, 'spotify:' || artist_id AS artist_key, 'spotify' AS artist_source,
                artist_id AS spotify_artist_id, NULL::BIGINT AS beatport_artist_id,
                max(artist_name) AS artist_name, count(*) AS n_tracks,
                bool_or(is_release_artist) AS is_release_artist, NULL::BOOLEAN AS is_remixer_only,
                count(*) AS _rows, false AS _superseded
            FROM spotify GROUP BY isrc, artist_id
            UNION ALL
            SELECT isrc, 'beatport:' || artist_id::VARCHAR, 'beatport', NULL, artist_id,
                max(artist_name), count(DISTINCT track_id), NULL, bool_and(is_remixer),
                count(*), isrc IN (SELECT isrc FROM spotify)
            FROM beatport GROUP BY isrc, artist_id
        ),
        several AS MATERIALIZED (SELECT isrc FROM credits GROUP BY isrc HAVING count(*) > 1)
        SELECT *, 1::INTEGER AS position FROM credits ANTI JOIN several USING (isrc)
        UNION ALL
        SELECT *, row_number() OVER (
            PARTITION BY isrc, _superseded
            ORDER BY n_tracks DESC, coalesce(is_release_artist, false) DESC,
                coalesce(is_remixer_only, false), artist_name NULLS LAST, artist_key
        )::INTEGER AS position
        FROM credits SEMI JOIN several USING (isrc)
        """,
        {
            "spotify": Dealt(of_recordings(inputs, from_spotify, table, *of_spotify), ("isrc",)),
            "beatport": Dealt(
                of_recordings(
                    inputs, from_beatport, table, *of_beatport, "beatport_track_id AS track_id"
                ),
                ("isrc",),
            ),
        },
        [
            *grouped(table, from_spotify, "_rows", "artist_source = 'spotify'"),
            *grouped(
                table, from_beatport, "_rows", "artist_source = 'beatport' AND NOT _superseded"
            ),
            Count(
                table,
                from_beatport,
                "set_aside",
                "sum(_rows) FILTER (WHERE _superseded)",
                Rule.SPOTIFY_CREDIT_EXISTS.value,
            ),
        ],
        keep="NOT _superseded",
    )
