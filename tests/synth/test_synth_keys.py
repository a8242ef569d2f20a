"""Keys of the clean files are unique and every reference resolves, as DuckDB sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Query = Callable[[str], Any]

KEYS = {
    "audio_features": "isrc",
    "sp_track": "track_id",
    "sp_release": "release_id",
    "sp_artist": "artist_id",
    "sp_artist_release": "artist_id, release_id",
    "sp_artist_track": "artist_id, track_id",
    "sp_track_popularity": "track_id",
    "bp_track": "track_id",
    "bp_artist": "artist_id",
    "bp_artist_track": "artist_id, track_id, is_remixer",
    "bp_artist_release": "artist_id, release_id",
    "bp_release": "release_id",
    "bp_label": "label_id",
    "bp_label_artist": "label_id, artist_id",
    "bp_artist_media": "artist_id",
    "bp_label_media": "label_id",
    "bp_release_media": "release_id",
    "bp_track_media": "track_id",
    "bp_subgenre": "subgenre_id, genre_id",
    "bp_key": "key_id",
}
REFERENCES = [
    ("sp_track", "release_id", "sp_release"),
    ("sp_artist_track", "track_id", "sp_track"),
    ("sp_artist_track", "artist_id", "sp_artist"),
    ("sp_artist_release", "release_id", "sp_release"),
    ("sp_artist_release", "artist_id", "sp_artist"),
    ("sp_track_popularity", "track_id", "sp_track"),
    ("bp_track", "genre_id", "bp_genre"),
    ("bp_track", "key_id", "bp_key"),
    ("bp_track", "label_id", "bp_label"),
    ("bp_track", "release_id", "bp_release"),
    ("bp_release", "label_id", "bp_label"),
    ("bp_artist_track", "artist_id", "bp_artist"),
    ("bp_artist_track", "track_id", "bp_track"),
    ("bp_artist_release", "artist_id", "bp_artist"),
    ("bp_artist_release", "release_id", "bp_release"),
    ("bp_label_artist", "label_id", "bp_label"),
    ("bp_label_artist", "artist_id", "bp_artist"),
    ("bp_artist_media", "artist_id", "bp_artist"),
    ("bp_label_media", "label_id", "bp_label"),
    ("bp_release_media", "release_id", "bp_release"),
    ("bp_track_media", "track_id", "bp_track"),
]


@pytest.mark.parametrize("table", KEYS)
def test_keys_are_unique_and_present(table: str, one: Query) -> None:
    key = KEYS[table]
    rows = one(f"SELECT count(*) FROM {table}")
    assert rows > 0
    assert one(f"SELECT count(*) FROM (SELECT DISTINCT {key} FROM {table})") == rows
    for column in key.split(", "):
        assert one(f"SELECT count(*) FROM {table} WHERE {column} IS NULL") == 0


@pytest.mark.parametrize(("table", "column", "to"), REFERENCES)
def test_references_resolve(table: str, column: str, to: str, one: Query) -> None:
    assert one(f"SELECT count({column}) FROM {table}") > 0
    lost = f"SELECT count(*) FROM {table} ANTI JOIN {to} USING ({column}) WHERE {column} NOT NULL"
    assert one(lost) == 0


def test_subgenres_belong_to_their_genres(one: Query) -> None:
    assert one("SELECT count(subgenre_id) FROM bp_track") > 0
    lost = "SELECT count(*) FROM bp_track ANTI JOIN bp_subgenre USING (subgenre_id, genre_id) "
    assert one(lost + "WHERE subgenre_id NOT NULL") == 0


def test_matched_flag_says_whether_spotify_has_the_isrc(one: Query) -> None:
    wrong = (
        "SELECT count(*) FROM bp_track LEFT JOIN "
        "(SELECT DISTINCT isrc, true AS there FROM sp_track) "
        "USING (isrc) WHERE (is_matched_spot = 't') <> coalesce(there, false)"
    )
    assert one(wrong) == 0
    assert one("SELECT count(DISTINCT is_matched_spot) FROM bp_track") == 2


def test_every_release_has_the_tracks_that_it_counts(one: Query) -> None:
    fewer = (
        "SELECT count(*) FROM sp_release LEFT JOIN (SELECT release_id, count(*) AS n FROM sp_track "
        "GROUP BY 1) USING (release_id) WHERE coalesce(n, 0) NOT BETWEEN 1 AND total_tracks::INT"
    )
    assert one(fewer) == 0


def test_a_remix_credits_its_remixer(one: Query) -> None:
    credited = (
        "SELECT count(*) FROM bp_track JOIN bp_artist_track a USING (track_id) "
        "JOIN bp_artist USING (artist_id) WHERE a.is_remixer = 't' AND is_remixed = 't' "
        "AND mix = artist_name || ' Remix'"
    )
    remixes = one("SELECT count(*) FROM bp_track WHERE is_remixed = 't'")
    assert remixes > 1000
    assert one(credited) == remixes
