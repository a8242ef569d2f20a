"""Silver: one row per thing (recording, track, release, artist, genre ...), keyed and commented."""

from __future__ import annotations

from beatlake.tables.recordings import RECORDING_ARTISTS, RECORDING_GENRES, RECORDINGS
from beatlake.tables.spec import Table
from beatlake.tables.vocabulary import (
    ARTIST_KEY,
    ARTIST_NAME,
    ARTIST_SOURCE,
    BEATPORT_ARTIST_ID,
    BEATPORT_RELEASE_ID,
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
    OF_RELEASE,
    SPOTIFY_ARTIST_ID,
    SPOTIFY_RELEASE_ID,
    SPOTIFY_TRACK_ID,
    SUBGENRE_ID,
    SUBGENRE_NAME,
    UPDATED_ON,
    described,
    key,
)

SPOTIFY_TRACKS = Table(
    name="silver.spotify_tracks",
    comment=(
        "Spotify tracks, one row each, with what is known of their release; several can carry one"
        " ISRC, some carry none."
    ),
    columns=(
        key(SPOTIFY_TRACK_ID),
        described("title", "string", "Title of the track; a remix credit follows ' - '."),
        ISRC,
        SPOTIFY_RELEASE_ID,
        described(
            "spotify_duration_ms", "bigint", "Length of the track on Spotify.", "milliseconds"
        ),
        described("disc_number", "int", "Disc within the release.", "position"),
        described("track_number", "int", "Position on its disc.", "position"),
        described("is_explicit", "boolean", "Whether Spotify marks the lyrics as explicit."),
        described("preview_url", "string", "Address of the 30 second preview."),
        described(
            "track_popularity",
            "int",
            "Popularity of the track where it was fetched apart; a 0 may mean never fetched.",
            "Spotify popularity 0-100",
        ),
        *OF_RELEASE,
        *DATE_PARTS,
        FLAGS,
        UPDATED_ON,
    ),
    key=("spotify_track_id",),
    bucket_by="isrc",
)

RELEASES = Table(
    name="silver.releases",
    comment="Spotify releases (albums), one row each, dates with their precision.",
    columns=(
        key(SPOTIFY_RELEASE_ID),
        described("release_title", "string", "Title of the release."),
        described("album_type", "string", "Kind of release: album, single or compilation."),
        *DATE_PARTS,
        described("upc", "string", "Universal Product Code as text, leading zeros kept."),
        described(
            "release_popularity",
            "int",
            "Popularity of the release at the snapshot; never that of a track.",
            "Spotify popularity 0-100",
        ),
        described("total_tracks", "int", "Tracks on the release.", "tracks"),
        described("spotify_label_name", "string", "Name of the label as Spotify states it."),
        described("release_image_url", "string", "Address of the cover image."),
        FLAGS,
        UPDATED_ON,
    ),
    key=("spotify_release_id",),
)

ARTISTS = Table(
    name="silver.artists",
    comment="Artists of both sides, one row per side and id; nothing links the sides but names.",
    columns=(
        key(ARTIST_KEY),
        key(ARTIST_SOURCE),
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
    columns=(key(SPOTIFY_RELEASE_ID), key(SPOTIFY_ARTIST_ID)),
    key=("spotify_release_id", "spotify_artist_id"),
)

SPOTIFY_TRACK_ARTISTS = Table(
    name="silver.spotify_track_artists",
    comment=(
        "Which Spotify artists a Spotify track, of a recording, is credited to; the source gives no"
        " order."
    ),
    columns=(
        key(SPOTIFY_TRACK_ID),
        key(SPOTIFY_ARTIST_ID),
        described(
            "is_release_artist",
            "boolean",
            "Whether the track's release is credited to the artist, too.",
            required=True,
        ),
        ARTIST_NAME,
        ISRC,
    ),
    key=("spotify_track_id", "spotify_artist_id"),
    bucket_by="isrc",
)

BEATPORT_TRACK_ARTISTS = Table(
    name="silver.beatport_track_artists",
    comment="Which Beatport artists made or remixed a Beatport track, of a recording.",
    columns=(
        key(BEATPORT_TRACK_ID),
        key(BEATPORT_ARTIST_ID),
        described("is_remixer", "boolean", "Whether the credit is for the remix.", required=True),
        ARTIST_NAME,
        ISRC,
    ),
    key=("beatport_track_id", "beatport_artist_id", "is_remixer"),
    bucket_by="isrc",
)

BEATPORT_TRACKS = Table(
    name="silver.beatport_tracks",
    comment="Beatport tracks, one row each, with the names of genre, subgenre, key and label.",
    columns=(
        key(BEATPORT_TRACK_ID),
        described("title", "string", "Title of the track without the mix."),
        described("mix", "string", "Name of the mix such as Original Mix."),
        described("is_remixed", "boolean", "Whether Beatport lists the track as a remix."),
        ISRC,
        described("beatport_release_date", "date", "Release date on Beatport.", "day"),
        described(
            "is_placeholder_date",
            "boolean",
            "Whether the date is 1 January, which often stands for some day of that year.",
            required=True,
        ),
        GENRE_ID,
        GENRE_NAME,
        SUBGENRE_ID,
        SUBGENRE_NAME,
        described(
            "bpm_stated", "double", "Tempo as Beatport states it; 0 is null.", "beats per minute"
        ),
        described(
            "bpm",
            "double",
            "Beatport's tempo with half-time values doubled: a Drum & Bass tempo below 110.",
            "beats per minute",
        ),
        described(
            "beatport_duration_ms", "bigint", "Length of the track on Beatport.", "milliseconds"
        ),
        KEY_ID,
        KEY_NAME,
        CAMELOT,
        LABEL_ID,
        LABEL_NAME,
        BEATPORT_RELEASE_ID,
        described(
            "is_matched_by_publisher",
            "boolean",
            "Whether the publisher of the data matched the track to Spotify.",
        ),
        described("track_url", "string", "Path of the track's page on Beatport."),
        FLAGS,
        UPDATED_ON,
    ),
    key=("beatport_track_id",),
    bucket_by="isrc",
)

BEATPORT_RELEASES = Table(
    name="silver.beatport_releases",
    comment="Beatport releases, one row each.",
    columns=(
        key(BEATPORT_RELEASE_ID),
        described("release_title", "string", "Title of the release."),
        described("beatport_release_date", "date", "Release date on Beatport.", "day"),
        LABEL_ID,
        described("release_url", "string", "Path of the release's page on Beatport."),
        FLAGS,
        UPDATED_ON,
    ),
    key=("beatport_release_id",),
)

GENRES = Table(
    name="silver.genres",
    comment="Beatport genres.",
    columns=(
        key(GENRE_ID),
        GENRE_NAME,
        described(
            "song_count", "bigint", "Beatport's own counter, about 1 % above the rows.", "tracks"
        ),
        described("genre_url", "string", "Path of the genre's page on Beatport."),
    ),
    key=("genre_id",),
)

SUBGENRES = Table(
    name="silver.subgenres",
    comment="Beatport subgenres; ids repeat across genres, so the key is subgenre and genre.",
    columns=(
        key(SUBGENRE_ID),
        key(GENRE_ID),
        SUBGENRE_NAME,
        GENRE_NAME,
        described(
            "song_count", "bigint", "Beatport's own counter, about 1 % above the rows.", "tracks"
        ),
        FLAGS,
    ),
    key=("subgenre_id", "genre_id"),
)

LABELS = Table(
    name="silver.labels",
    comment="Beatport labels.",
    columns=(
        key(LABEL_ID),
        LABEL_NAME,
        described("label_url", "string", "Path of the label's page on Beatport."),
        UPDATED_ON,
    ),
    key=("beatport_label_id",),
)

KEYS = Table(
    name="silver.keys",
    comment="Musical keys of Beatport, enharmonic spellings apart, with their Camelot codes.",
    columns=(
        key(KEY_ID),
        KEY_NAME,
        CAMELOT,
        described("key_letter", "string", "Letter of the key."),
        described("is_sharp", "boolean", "Whether the name is spelt with a sharp."),
        described("is_flat", "boolean", "Whether the name is spelt with a flat."),
        described("is_major", "boolean", "Whether the chord is major rather than minor."),
    ),
    key=("beatport_key_id",),
)

ORPHANS = Table(
    name="silver.orphans",
    comment="Ids that are not in the data but named by the files that only link or illustrate"
    " others; other files' references are judged in the tables that take their rows in.",
    columns=(
        key(described("file", "string", "The input file that names it, a table of bronze.")),
        key(described("rule", "string", "The rule that this breaks, by what is named.")),
        key(described("reference", "string", "The id that names nothing.")),
        described("n_rows", "bigint", "Rows of the file that name it.", "rows", required=True),
    ),
    key=("file", "rule", "reference"),
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
    ORPHANS,
    RECORDING_ARTISTS,
    RECORDING_GENRES,
    RECORDINGS,
)
