"""The recordings of silver, one row per ISRC, and their artists and genres."""

from __future__ import annotations

from beatlake.tables.spec import Table
from beatlake.tables.vocabulary import (
    ARTIST_KEY,
    ARTIST_NAME,
    ARTIST_SOURCE,
    AUDIO,
    BEATPORT_ARTIST_ID,
    BEATPORT_TRACK_ID,
    CAMELOT,
    DATE_PARTS,
    FLAGS,
    GENRE_ID,
    GENRE_NAME,
    ISRC,
    KEY_ID,
    KEY_NAME,
    LABEL_ID,
    LABEL_NAME,
    SPOTIFY_ARTIST_ID,
    SPOTIFY_RELEASE_ID,
    SPOTIFY_TRACK_ID,
    SUBGENRE_ID,
    SUBGENRE_NAME,
    described,
    key,
)

RECORDING_ARTISTS = Table(
    name="silver.recording_artists",
    comment="Artists of a recording in order: Spotify's credit, or Beatport's where it has none.",
    columns=(
        key(ISRC),
        key(ARTIST_KEY),
        described("position", "int", "Rank of the artist, 1 being the main artist.", required=True),
        key(ARTIST_SOURCE),
        SPOTIFY_ARTIST_ID,
        BEATPORT_ARTIST_ID,
        ARTIST_NAME,
        described(
            "n_tracks", "bigint", "Tracks of the recording that credit the artist.", "tracks"
        ),
        described(
            "is_release_artist",
            "boolean",
            "Whether a release of the recording is credited to the artist; null for Beatport.",
        ),
        described(
            "is_remixer_only",
            "boolean",
            "Whether the artist is credited for the remix alone; null for Spotify.",
        ),
    ),
    key=("isrc", "artist_key"),
    bucket_by="isrc",
)

RECORDING_GENRES = Table(
    name="silver.recording_genres",
    comment="Beatport genres of a recording; a recording can have several.",
    columns=(
        key(ISRC),
        key(GENRE_ID),
        GENRE_NAME,
        described(
            "n_beatport_tracks",
            "bigint",
            "Beatport tracks of the recording in this genre.",
            "tracks",
            required=True,
        ),
        described(
            "is_canonical",
            "boolean",
            "Whether the recording's canonical Beatport track is in this genre.",
            required=True,
        ),
    ),
    key=("isrc", "genre_id"),
    bucket_by="isrc",
)


def _counted(has: str, count: str) -> str:
    """The check that a side exists exactly where rows of it were counted.

    Without parentheses, which delta-rs drops: Spark and it read this the same way.
    """
    return f"{has} AND {count} > 0 OR NOT {has} AND {count} = 0"


RECORDINGS = Table(
    name="silver.recordings",
    comment=(
        "One row per ISRC that has audio features, a Spotify track or a Beatport track. Of several"
        " tracks the canonical one is that of the earliest release date, then of the smallest id."
    ),
    columns=(
        key(ISRC),
        described("has_audio", "boolean", "Whether audio features exist.", required=True),
        described("has_spotify", "boolean", "Whether a Spotify track exists.", required=True),
        described("has_beatport", "boolean", "Whether a Beatport track exists.", required=True),
        described(
            "n_spotify_tracks", "bigint", "Spotify tracks of the ISRC.", "tracks", required=True
        ),
        described(
            "n_beatport_tracks", "bigint", "Beatport tracks of the ISRC.", "tracks", required=True
        ),
        described(
            "title", "string", "Title of the canonical Spotify track, else of the Beatport track."
        ),
        described("artist_names", "array<string>", "Names of the artists in order.", required=True),
        described("artist_keys", "array<string>", "Keys of the artists in order.", required=True),
        *DATE_PARTS,
        described(
            "release_date_source",
            "string",
            "Whose date it is: spotify (canonical release), else beatport (canonical track).",
        ),
        described(
            "release_season",
            "string",
            "Meteorological season of the release month (hemisphere: see the run's settings).",
            required=True,
        ),
        described(
            "release_season_year",
            "int",
            "Year of the season; December counts to the next year's.",
            "year",
        ),
        *AUDIO.values(),
        described(
            "audio_camelot_code",
            "string",
            "Key and mode of the audio analysis on the Camelot wheel, e.g. 8B for C major.",
        ),
        SPOTIFY_TRACK_ID,
        SPOTIFY_RELEASE_ID,
        described("release_title", "string", "Title of the canonical Spotify release."),
        described("album_type", "string", "Kind of the canonical Spotify release."),
        described(
            "spotify_label_name", "string", "Label of the canonical release as Spotify states it."
        ),
        described(
            "is_explicit", "boolean", "Whether Spotify marks the canonical track as explicit."
        ),
        described("preview_url", "string", "Address of the canonical track's preview."),
        described(
            "release_popularity",
            "int",
            "Popularity of the canonical Spotify release; never that of a track.",
            "Spotify popularity 0-100",
        ),
        described(
            "track_popularity",
            "int",
            "Popularity of the canonical Spotify track where it was fetched; 0 may mean never.",
            "Spotify popularity 0-100",
        ),
        BEATPORT_TRACK_ID,
        described("mix", "string", "Mix of the canonical Beatport track."),
        described("is_remixed", "boolean", "Whether the canonical Beatport track is a remix."),
        GENRE_ID,
        GENRE_NAME,
        SUBGENRE_ID,
        SUBGENRE_NAME,
        described(
            "bpm_stated", "double", "Tempo as Beatport states it; 0 is null.", "beats per minute"
        ),
        described("bpm", "double", "Beatport's tempo with half-time doubled.", "beats per minute"),
        KEY_ID,
        KEY_NAME,
        CAMELOT,
        LABEL_ID,
        LABEL_NAME,
        FLAGS,
    ),
    key=("isrc",),
    bucket_by="isrc",
    checks={
        "has_a_side": "has_audio OR has_spotify OR has_beatport",
        "spotify_counted": _counted("has_spotify", "n_spotify_tracks"),
        "beatport_counted": _counted("has_beatport", "n_beatport_tracks"),
    },
)
