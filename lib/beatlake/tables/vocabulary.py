"""Columns that several tables of silver and gold share, so that a name means one thing."""

from __future__ import annotations

from collections.abc import Mapping

from beatlake.tables.spec import Column


def described(
    name: str, type_: str, comment: str, unit: str | None = None, *, required: bool = False
) -> Column:
    """A column with its meaning; nullable unless it is required."""
    return Column(name, type_, comment, not required, unit)


def key(column: Column) -> Column:
    """The column as part of a key: never null."""
    return Column(column.name, column.type, column.comment, False, column.unit)


ISRC = described(
    "isrc",
    "string",
    "International Standard Recording Code: identifies a recording across both sides.",
)
SPOTIFY_TRACK_ID = described("spotify_track_id", "string", "Spotify track id.")
SPOTIFY_RELEASE_ID = described("spotify_release_id", "string", "Spotify release (album) id.")
SPOTIFY_ARTIST_ID = described("spotify_artist_id", "string", "Spotify artist id.")
BEATPORT_TRACK_ID = described("beatport_track_id", "bigint", "Beatport track id.")
BEATPORT_RELEASE_ID = described("beatport_release_id", "bigint", "Beatport release id.")
BEATPORT_ARTIST_ID = described("beatport_artist_id", "bigint", "Beatport artist id.")
ARTIST_KEY = described(
    "artist_key",
    "string",
    "Artist id with its source, `spotify:ID` or `beatport:ID`; the two sides share no artist ids.",
)
ARTIST_SOURCE = described(
    "artist_source", "string", "Side that the artist comes from: spotify or beatport."
)
ARTIST_NAME = described("artist_name", "string", "Name of the artist, as published.")
GENRE_ID = described("genre_id", "bigint", "Beatport genre id.")
GENRE_NAME = described("genre_name", "string", "Name of the Beatport genre.")
SUBGENRE_ID = described(
    "subgenre_id", "bigint", "Beatport subgenre id; unique only within its genre."
)
SUBGENRE_NAME = described("subgenre_name", "string", "Name of the Beatport subgenre.")
KEY_ID = described("beatport_key_id", "bigint", "Beatport key id.")
KEY_NAME = described(
    "beatport_key_name", "string", "Musical key as Beatport states it, e.g. Ab Minor."
)
CAMELOT = described(
    "camelot_code",
    "string",
    "Beatport's key on the Camelot wheel, e.g. 1A (minor) or 1B (major); null for no known key.",
)
LABEL_ID = described("beatport_label_id", "bigint", "Beatport label id.")
LABEL_NAME = described("beatport_label_name", "string", "Name of the Beatport label.")
UPDATED_ON = described("updated_on", "timestamp", "When the source row was last written.", "UTC")
FLAGS = described(
    "flags",
    "array<string>",
    "Names of the rules that the row breaks, in order of name; empty for a clean row.",
    required=True,
)

#: The parts of a date that may be less precise than a day.
DATE_PARTS = (
    described(
        "release_date_text", "string", "Release date as published, of year, month or day precision."
    ),
    described("release_date", "date", "Release date; only where it is known to the day.", "day"),
    described("release_year", "int", "Year of a possible release date.", "year"),
    described(
        "release_month", "int", "Month of a possible release date; null if unknown.", "month 1-12"
    ),
    described("release_day", "int", "Day of a possible release date; null if unknown.", "day 1-31"),
    described(
        "release_date_precision",
        "string",
        "How much of the date is known: day, month or year; null for none or an impossible one.",
    ),
    described(
        "is_placeholder_date",
        "boolean",
        "Whether the date is 1 January, which often stands for some day of that year.",
        required=True,
    ),
)

#: What a track and a recording take from their Spotify release, besides its date.
OF_RELEASE = (
    described("release_title", "string", "Title of the Spotify release."),
    described("album_type", "string", "Kind of Spotify release: album, single or compilation."),
    described("spotify_label_name", "string", "Label of the release as Spotify states it."),
    described(
        "release_popularity",
        "int",
        "Popularity of the Spotify release at the snapshot; never that of a track.",
        "Spotify popularity 0-100",
    ),
)

#: The 12 audio features and the metre under the names that silver and gold use, by source column.
AUDIO: Mapping[str, Column] = {
    "acousticness": described(
        "acousticness", "double", "Confidence that the recording is acoustic.", "share 0-1"
    ),
    "danceability": described("danceability", "double", "Suitability for dancing.", "share 0-1"),
    "duration_ms": described(
        "duration_ms", "bigint", "Length as the audio analysis measured it.", "milliseconds"
    ),
    "energy": described("energy", "double", "Intensity and activity.", "share 0-1"),
    "instrumentalness": described(
        "instrumentalness", "double", "Confidence that there are no vocals.", "share 0-1"
    ),
    "key": described(
        "pitch_class", "int", "Estimated key: 0 is C, 11 is B, -1 none.", "pitch class"
    ),
    "liveness": described("liveness", "double", "Presence of an audience.", "share 0-1"),
    "loudness": described("loudness_db", "double", "Mean loudness.", "dB"),
    "mode": described("mode", "int", "Estimated modality: 1 is major, 0 is minor."),
    "speechiness": described("speechiness", "double", "Presence of spoken words.", "share 0-1"),
    "tempo": described(
        "tempo_bpm", "double", "Tempo by the audio analysis; 0 is null.", "beats per minute"
    ),
    "time_signature": described(
        "time_signature", "int", "Metre by the audio analysis; 0 is null.", "beats per bar"
    ),
    "valence": described("valence", "double", "Musical positiveness.", "share 0-1"),
}
