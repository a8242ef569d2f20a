"""Genres, subgenres, keys, labels and artists: small tables that others look names up in."""

from __future__ import annotations

from beatlake.exchange import Query, Whole, select
from beatlake.integrate.common import Inputs, by_key, kept, merged, one_per_key
from beatlake.quality.contract import contracts
from beatlake.quality.counting import FlagCount
from beatlake.quality.flags import with_rules
from beatlake.quality.rules import Rule


def genres(inputs: Inputs) -> Query:
    """Beatport genres, one row per genre."""
    return _unique(
        inputs, "silver.genres", "bp_genre", "genre_id, genre_name, song_count, genre_url"
    )


def subgenres(inputs: Inputs) -> Query:
    """Beatport subgenres, one row per subgenre and genre."""
    table, source, key = "silver.subgenres", "bronze.bp_subgenre", ["subgenre_id", "genre_id"]
    orphan = "false" if "bp_genre" in inputs.absent else "genres.genre_id IS NULL"
    flags = with_rules("flags", {Rule.ORPHAN_GENRE: orphan})
    columns = inputs.columns("bp_subgenre")
    return Query(
        f"""
        SELECT subgenre_id, own.genre_id, subgenre_name, genre_name, own.song_count,
            {flags} AS flags, _copies, _repeated
        FROM ({one_per_key("given", columns, key)}) own LEFT JOIN genres USING (genre_id)
        """,
        {
            "given": by_key(select(inputs[source], *columns), key, ["genre_id"]),
            "genres": Whole(inputs["silver.genres"]),
        },
        [
            kept(table, source),
            merged(table, source),
            FlagCount(table, source, [Rule.ORPHAN_GENRE], "subgenre_id::VARCHAR"),
        ],
    )


def labels(inputs: Inputs) -> Query:
    """Beatport labels, one row per label."""
    return _unique(
        inputs,
        "silver.labels",
        "bp_label",
        """label_id AS beatport_label_id, label_name AS beatport_label_name, label_url,
            updated_on""",
    )


def keys(inputs: Inputs) -> Query:
    """Musical keys of Beatport, one row per key."""
    return _unique(
        inputs,
        "silver.keys",
        "bp_key",
        """key_id AS beatport_key_id, key_name AS beatport_key_name,
            camelot_num::VARCHAR || camelot_letter AS camelot_code, key_letter, is_sharp, is_flat,
            CASE chord_name WHEN 'Major' THEN true WHEN 'Minor' THEN false END AS is_major""",
    )


def artists(inputs: Inputs) -> Query:
    """Artists of both sides, one row per side and id."""
    table = "silver.artists"
    files = {"spotify": "sp_artist", "beatport": "bp_artist"}
    ids = {
        "spotify": "artist_id AS spotify_artist_id, NULL::BIGINT AS beatport_artist_id",
        "beatport": "NULL::VARCHAR AS spotify_artist_id, artist_id AS beatport_artist_id",
    }
    rows = [
        f"""
        SELECT '{side}:' || artist_id::VARCHAR AS artist_key, '{side}' AS artist_source,
            {ids[side]}, artist_name, updated_on, _copies, _repeated
        FROM ({one_per_key(side, inputs.columns(file), ["artist_id"])})"""
        for side, file in files.items()
    ]
    counts = []
    for side, file in files.items():
        of_side = f"artist_source = '{side}'"
        counts.append(kept(table, f"bronze.{file}", of_side))
        counts.append(merged(table, f"bronze.{file}", of_side))
    return Query(
        " UNION ALL ".join(rows),
        {
            side: by_key(select(inputs[f"bronze.{file}"], *inputs.columns(file)), ["artist_id"])
            for side, file in files.items()
        },
        counts,
    )


def _unique(inputs: Inputs, table: str, file: str, shown: str) -> Query:
    """A file's rows, one per key, under the names of a table."""
    source, columns, key = f"bronze.{file}", inputs.columns(file), contracts()[file].key
    return Query(
        f"SELECT {shown}, _copies, _repeated FROM ({one_per_key('given', columns, key)})",
        {"given": by_key(select(inputs[source], *columns), key)},
        [kept(table, source), merged(table, source)],
    )
