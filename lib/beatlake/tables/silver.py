"""Silver: one row per thing (recording, track, release, artist, genre ...), keyed and commented."""

from __future__ import annotations

from collections.abc import Mapping

from beatlake.tables.spec import Column, Table


def _c(
    name: str, type_: str, comment: str, unit: str | None = None, *, required: bool = False
) -> Column:
    return Column(name, type_, comment, not required, unit)


def _key(column: Column) -> Column:
    return Column(column.name, column.type, column.comment, False, column.unit)


ISRC = _c(
    "isrc",
    "string",
    "International Standard Recording Code: identifies a recording across both sides.",
)
SPOTIFY_TRACK_ID = _c("spotify_track_id", "string", "Spotify track id.")
SPOTIFY_RELEASE_ID = _c("spotify_release_id", "string", "Spotify release (album) id.")
SPOTIFY_ARTIST_ID = _c("spotify_artist_id", "string", "Spotify artist id.")
BEATPORT_TRACK_ID = _c("beatport_track_id", "bigint", "Beatport track id.")
BEATPORT_RELEASE_ID = _c("beatport_release_id", "bigint", "Beatport release id.")
BEATPORT_ARTIST_ID = _c("beatport_artist_id", "bigint", "Beatport artist id.")
ARTIST_KEY = _c(
    "artist_key",
    "string",
    "Artist id with its source, `spotify:ID` or `beatport:ID`; the two sides share no artist ids.",
)
ARTIST_SOURCE = _c(
    "artist_source", "string", "Side that the artist comes from: spotify or beatport."
)
ARTIST_NAME = _c("artist_name", "string", "Name of the artist, as published.")
GENRE_ID = _c("genre_id", "bigint", "Beatport genre id.")
GENRE_NAME = _c("genre_name", "string", "Name of the Beatport genre.")
SUBGENRE_ID = _c("subgenre_id", "bigint", "Beatport subgenre id; unique only within its genre.")
SUBGENRE_NAME = _c("subgenre_name", "string", "Name of the Beatport subgenre.")
KEY_ID = _c("beatport_key_id", "bigint", "Beatport key id.")
KEY_NAME = _c("beatport_key_name", "string", "Musical key as Beatport states it, e.g. Ab Minor.")
CAMELOT = _c(
    "camelot_code",
    "string",
    "Beatport's key on the Camelot wheel, e.g. 1A (minor) or 1B (major); null for no known key.",
)
LABEL_ID = _c("beatport_label_id", "bigint", "Beatport label id.")
LABEL_NAME = _c("beatport_label_name", "string", "Name of the Beatport label.")
UPDATED_ON = _c("updated_on", "timestamp", "When the source row was last written.", "UTC")
FLAGS = _c(
    "flags",
    "array<string>",
    "Names of the rules that the row breaks, in order of name; empty for a clean row.",
    required=True,
)

#: The parts of a date that may be less precise than a day.
DATE_PARTS = (
    _c(
        "release_date_text", "string", "Release date as published, of year, month or day precision."
    ),
    _c("release_date", "date", "Release date; only where it is known to the day.", "day"),
    _c("release_year", "int", "Year of a possible release date.", "year"),
    _c("release_month", "int", "Month of a possible release date; null if unknown.", "month 1-12"),
    _c("release_day", "int", "Day of a possible release date; null if unknown.", "day 1-31"),
    _c(
        "release_date_precision",
        "string",
        "How much of the date is known: day, month or year; null for none or an impossible one.",
    ),
    _c(
        "is_placeholder_date",
        "boolean",
        "Whether the date is 1 January, which often stands for some day of that year.",
        required=True,
    ),
)

#: The 12 audio features and the metre under the names that silver and gold use, by source column.
AUDIO: Mapping[str, Column] = {
    "acousticness": _c(
        "acousticness", "double", "Confidence that the recording is acoustic.", "share 0-1"
    ),
    "danceability": _c("danceability", "double", "Suitability for dancing.", "share 0-1"),
    "duration_ms": _c(
        "duration_ms", "bigint", "Length as the audio analysis measured it.", "milliseconds"
    ),
    "energy": _c("energy", "double", "Intensity and activity.", "share 0-1"),
    "instrumentalness": _c(
        "instrumentalness", "double", "Confidence that there are no vocals.", "share 0-1"
    ),
    "key": _c("pitch_class", "int", "Estimated key: 0 is C, 11 is B, -1 none.", "pitch class"),
    "liveness": _c("liveness", "double", "Presence of an audience.", "share 0-1"),
    "loudness": _c("loudness_db", "double", "Mean loudness.", "dB"),
    "mode": _c("mode", "int", "Estimated modality: 1 is major, 0 is minor."),
    "speechiness": _c("speechiness", "double", "Presence of spoken words.", "share 0-1"),
    "tempo": _c(
        "tempo_bpm", "double", "Tempo by the audio analysis; 0 is null.", "beats per minute"
    ),
    "time_signature": _c(
        "time_signature", "int", "Metre by the audio analysis; 0 is null.", "beats per bar"
    ),
    "valence": _c("valence", "double", "Musical positiveness.", "share 0-1"),
}

SPOTIFY_TRACKS = Table(
    name="silver.spotify_tracks",
    comment="Spotify tracks, one row each; several can carry one ISRC, some carry none.",
    columns=(
        _key(SPOTIFY_TRACK_ID),
        _c("title", "string", "Title of the track; a remix credit follows ' - '."),
        ISRC,
        SPOTIFY_RELEASE_ID,
        _c("spotify_duration_ms", "bigint", "Length of the track on Spotify.", "milliseconds"),
        _c("disc_number", "int", "Disc within the release.", "position"),
        _c("track_number", "int", "Position on its disc.", "position"),
        _c("is_explicit", "boolean", "Whether Spotify marks the lyrics as explicit."),
        _c("preview_url", "string", "Address of the 30 second preview."),
        _c(
            "track_popularity",
            "int",
            "Popularity of the track where it was fetched apart; a 0 may mean never fetched.",
            "Spotify popularity 0-100",
        ),
        FLAGS,
        UPDATED_ON,
    ),
    key=("spotify_track_id",),
)

RELEASES = Table(
    name="silver.releases",
    comment="Spotify releases (albums), one row each, dates with their precision.",
    columns=(
        _key(SPOTIFY_RELEASE_ID),
        _c("release_title", "string", "Title of the release."),
        _c("album_type", "string", "Kind of release: album, single or compilation."),
        *DATE_PARTS,
        _c("upc", "string", "Universal Product Code as text, leading zeros kept."),
        _c(
            "release_popularity",
            "int",
            "Popularity of the release at the snapshot; never that of a track.",
            "Spotify popularity 0-100",
        ),
        _c("total_tracks", "int", "Tracks on the release.", "tracks"),
        _c("spotify_label_name", "string", "Name of the label as Spotify states it."),
        _c("release_image_url", "string", "Address of the cover image."),
        FLAGS,
        UPDATED_ON,
    ),
    key=("spotify_release_id",),
)

ARTISTS = Table(
    name="silver.artists",
    comment="Artists of both sides, one row per side and id; nothing links the sides but names.",
    columns=(
        _key(ARTIST_KEY),
        _key(ARTIST_SOURCE),
        SPOTIFY_ARTIST_ID,
        BEATPORT_ARTIST_ID,
        ARTIST_NAME,
        UPDATED_ON,
    ),
    key=("artist_key",),
)

RELEASE_ARTISTS = Table(
    name="silver.release_artists",
    comment="Which Spotify artists a Spotify release is credited to.",
    columns=(_key(SPOTIFY_RELEASE_ID), _key(SPOTIFY_ARTIST_ID)),
    key=("spotify_release_id", "spotify_artist_id"),
)

SPOTIFY_TRACK_ARTISTS = Table(
    name="silver.spotify_track_artists",
    comment="Which Spotify artists a Spotify track is credited to; the source gives no order.",
    columns=(
        _key(SPOTIFY_TRACK_ID),
        _key(SPOTIFY_ARTIST_ID),
        _c(
            "is_release_artist",
            "boolean",
            "Whether the track's release is credited to the artist, too.",
            required=True,
        ),
    ),
    key=("spotify_track_id", "spotify_artist_id"),
)

BEATPORT_TRACK_ARTISTS = Table(
    name="silver.beatport_track_artists",
    comment="Which Beatport artists made or remixed a Beatport track.",
    columns=(
        _key(BEATPORT_TRACK_ID),
        _key(BEATPORT_ARTIST_ID),
        _c("is_remixer", "boolean", "Whether the credit is for the remix.", required=True),
    ),
    key=("beatport_track_id", "beatport_artist_id", "is_remixer"),
)

BEATPORT_TRACKS = Table(
    name="silver.beatport_tracks",
    comment="Beatport tracks, one row each, with the names of genre, subgenre, key and label.",
    columns=(
        _key(BEATPORT_TRACK_ID),
        _c("title", "string", "Title of the track without the mix."),
        _c("mix", "string", "Name of the mix such as Original Mix."),
        _c("is_remixed", "boolean", "Whether Beatport lists the track as a remix."),
        ISRC,
        _c("beatport_release_date", "date", "Release date on Beatport.", "day"),
        _c(
            "is_placeholder_date",
            "boolean",
            "Whether the date is 1 January, which often stands for some day of that year.",
            required=True,
        ),
        GENRE_ID,
        GENRE_NAME,
        SUBGENRE_ID,
        SUBGENRE_NAME,
        _c("bpm_stated", "double", "Tempo as Beatport states it; 0 is null.", "beats per minute"),
        _c(
            "bpm",
            "double",
            "Beatport's tempo with half-time values doubled: a Drum & Bass tempo below 110.",
            "beats per minute",
        ),
        _c("beatport_duration_ms", "bigint", "Length of the track on Beatport.", "milliseconds"),
        KEY_ID,
        KEY_NAME,
        CAMELOT,
        LABEL_ID,
        LABEL_NAME,
        BEATPORT_RELEASE_ID,
        _c(
            "is_matched_by_publisher",
            "boolean",
            "Whether the publisher of the data matched the track to Spotify.",
        ),
        _c("track_url", "string", "Path of the track's page on Beatport."),
        FLAGS,
        UPDATED_ON,
    ),
    key=("beatport_track_id",),
)

BEATPORT_RELEASES = Table(
    name="silver.beatport_releases",
    comment="Beatport releases, one row each.",
    columns=(
        _key(BEATPORT_RELEASE_ID),
        _c("release_title", "string", "Title of the release."),
        _c("beatport_release_date", "date", "Release date on Beatport.", "day"),
        LABEL_ID,
        _c("release_url", "string", "Path of the release's page on Beatport."),
        FLAGS,
        UPDATED_ON,
    ),
    key=("beatport_release_id",),
)

GENRES = Table(
    name="silver.genres",
    comment="Beatport genres.",
    columns=(
        _key(GENRE_ID),
        GENRE_NAME,
        _c("song_count", "bigint", "Beatport's own counter, about 1 % above the rows.", "tracks"),
        _c("genre_url", "string", "Path of the genre's page on Beatport."),
    ),
    key=("genre_id",),
)

SUBGENRES = Table(
    name="silver.subgenres",
    comment="Beatport subgenres; ids repeat across genres, so the key is subgenre and genre.",
    columns=(
        _key(SUBGENRE_ID),
        _key(GENRE_ID),
        SUBGENRE_NAME,
        GENRE_NAME,
        _c("song_count", "bigint", "Beatport's own counter, about 1 % above the rows.", "tracks"),
        FLAGS,
    ),
    key=("subgenre_id", "genre_id"),
)

LABELS = Table(
    name="silver.labels",
    comment="Beatport labels.",
    columns=(
        _key(LABEL_ID),
        LABEL_NAME,
        _c("label_url", "string", "Path of the label's page on Beatport."),
        UPDATED_ON,
    ),
    key=("beatport_label_id",),
)

KEYS = Table(
    name="silver.keys",
    comment="Musical keys of Beatport, enharmonic spellings apart, with their Camelot codes.",
    columns=(
        _key(KEY_ID),
        KEY_NAME,
        CAMELOT,
        _c("key_letter", "string", "Letter of the key."),
        _c("is_sharp", "boolean", "Whether the name is spelt with a sharp."),
        _c("is_flat", "boolean", "Whether the name is spelt with a flat."),
        _c("is_major", "boolean", "Whether the chord is major rather than minor."),
    ),
    key=("beatport_key_id",),
)

RECORDING_ARTISTS = Table(
    name="silver.recording_artists",
    comment="Artists of a recording in order: Spotify's credit, or Beatport's where it has none.",
    columns=(
        _key(ISRC),
        _key(ARTIST_KEY),
        _c("position", "int", "Rank of the artist, 1 being the main artist.", required=True),
        _key(ARTIST_SOURCE),
        SPOTIFY_ARTIST_ID,
        BEATPORT_ARTIST_ID,
        ARTIST_NAME,
        _c("n_tracks", "bigint", "Tracks of the recording that credit the artist.", "tracks"),
        _c(
            "is_release_artist",
            "boolean",
            "Whether a release of the recording is credited to the artist; null for Beatport.",
        ),
        _c(
            "is_remixer_only",
            "boolean",
            "Whether the artist is credited for the remix alone; null for Spotify.",
        ),
    ),
    key=("isrc", "artist_key"),
)

RECORDING_GENRES = Table(
    name="silver.recording_genres",
    comment="Beatport genres of a recording; a recording can have several.",
    columns=(
        _key(ISRC),
        _key(GENRE_ID),
        GENRE_NAME,
        _c(
            "n_beatport_tracks",
            "bigint",
            "Beatport tracks of the recording in this genre.",
            "tracks",
            required=True,
        ),
        _c(
            "is_canonical",
            "boolean",
            "Whether the recording's canonical Beatport track is in this genre.",
            required=True,
        ),
    ),
    key=("isrc", "genre_id"),
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
        _key(ISRC),
        _c("has_audio", "boolean", "Whether audio features exist.", required=True),
        _c("has_spotify", "boolean", "Whether a Spotify track exists.", required=True),
        _c("has_beatport", "boolean", "Whether a Beatport track exists.", required=True),
        _c("n_spotify_tracks", "bigint", "Spotify tracks of the ISRC.", "tracks", required=True),
        _c("n_beatport_tracks", "bigint", "Beatport tracks of the ISRC.", "tracks", required=True),
        _c("title", "string", "Title of the canonical Spotify track, else of the Beatport track."),
        _c("artist_names", "array<string>", "Names of the artists in order.", required=True),
        _c("artist_keys", "array<string>", "Keys of the artists in order.", required=True),
        *DATE_PARTS,
        _c(
            "release_date_source",
            "string",
            "Whose date it is: spotify (canonical release), else beatport (canonical track).",
        ),
        _c(
            "release_season",
            "string",
            "Meteorological season of the release month (hemisphere: see the run's settings).",
            required=True,
        ),
        _c(
            "release_season_year",
            "int",
            "Year of the season; December counts to the next year's.",
            "year",
        ),
        *AUDIO.values(),
        _c(
            "audio_camelot_code",
            "string",
            "Key and mode of the audio analysis on the Camelot wheel, e.g. 8B for C major.",
        ),
        SPOTIFY_TRACK_ID,
        SPOTIFY_RELEASE_ID,
        _c("release_title", "string", "Title of the canonical Spotify release."),
        _c("album_type", "string", "Kind of the canonical Spotify release."),
        _c("spotify_label_name", "string", "Label of the canonical release as Spotify states it."),
        _c("is_explicit", "boolean", "Whether Spotify marks the canonical track as explicit."),
        _c("preview_url", "string", "Address of the canonical track's preview."),
        _c(
            "release_popularity",
            "int",
            "Popularity of the canonical Spotify release; never that of a track.",
            "Spotify popularity 0-100",
        ),
        _c(
            "track_popularity",
            "int",
            "Popularity of the canonical Spotify track where it was fetched; 0 may mean never.",
            "Spotify popularity 0-100",
        ),
        BEATPORT_TRACK_ID,
        _c("mix", "string", "Mix of the canonical Beatport track."),
        _c("is_remixed", "boolean", "Whether the canonical Beatport track is a remix."),
        GENRE_ID,
        GENRE_NAME,
        SUBGENRE_ID,
        SUBGENRE_NAME,
        _c("bpm_stated", "double", "Tempo as Beatport states it; 0 is null.", "beats per minute"),
        _c("bpm", "double", "Beatport's tempo with half-time doubled.", "beats per minute"),
        KEY_ID,
        KEY_NAME,
        CAMELOT,
        LABEL_ID,
        LABEL_NAME,
        FLAGS,
    ),
    key=("isrc",),
    checks={
        "has_a_side": "has_audio OR has_spotify OR has_beatport",
        "spotify_counted": _counted("has_spotify", "n_spotify_tracks"),
        "beatport_counted": _counted("has_beatport", "n_beatport_tracks"),
    },
)

TABLES = (
    GENRES,
    SUBGENRES,
    LABELS,
    KEYS,
    ARTISTS,
    RELEASES,
    RELEASE_ARTISTS,
    SPOTIFY_TRACKS,
    SPOTIFY_TRACK_ARTISTS,
    BEATPORT_RELEASES,
    BEATPORT_TRACKS,
    BEATPORT_TRACK_ARTISTS,
    RECORDING_ARTISTS,
    RECORDING_GENRES,
    RECORDINGS,
)
