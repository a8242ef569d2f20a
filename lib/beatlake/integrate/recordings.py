"""Recordings: exactly one row per ISRC, whatever the files repeat."""

from __future__ import annotations

from beatlake import dates
from beatlake.exchange import Dealt, Query, select
from beatlake.integrate.common import Inputs, by_key, merged, one_per_key
from beatlake.integrate.credits import EARLIEST_FIRST, grouped, of_recordings
from beatlake.quality.counting import Count, FlagCount
from beatlake.quality.flags import NO_NAMES, has, with_rules
from beatlake.quality.rules import DATE_RULES, Rule
from beatlake.tables.vocabulary import AUDIO, DATE_PARTS, OF_RELEASE

_TABLE = "silver.recordings"
#: Beyond this the lengths of analysis and track are not two measurements of one recording.
_SAME_LENGTH_MS = 1000
_TEMPO_RULES = (Rule.HALF_TIME_BPM, Rule.BPM_MISSING)
#: What a recording takes from its canonical tracks.
_OF_SPOTIFY = (
    "spotify_track_id",
    "spotify_release_id",
    "is_explicit",
    "preview_url",
    "track_popularity",
)
_OF_BEATPORT = (
    "beatport_track_id",
    "mix",
    "is_remixed",
    "genre_id",
    "genre_name",
    "subgenre_id",
    "subgenre_name",
    "bpm_stated",
    "bpm",
    "beatport_key_id",
    "beatport_key_name",
    "camelot_code",
    "beatport_label_id",
    "beatport_label_name",
)


def camelot_code(pitch_class: str, mode: str) -> str:
    """Key and mode on the Camelot wheel: C major is 8B, its relative A minor 8A.

    A fifth up (7 semitones) is one step on; a minor key shares the number of the major key three
    semitones above it. Null when no key was found (-1).
    """
    relative_major = f"({pitch_class} + CASE {mode} WHEN 0 THEN 3 ELSE 0 END)"
    number = f"(({relative_major} * 7 + 7) % 12 + 1)::VARCHAR"
    letter = f"CASE {mode} WHEN 0 THEN 'A' ELSE 'B' END"
    return f"CASE WHEN {pitch_class} >= 0 AND {mode} IS NOT NULL THEN {number} || {letter} END"


def recordings(inputs: Inputs, hemisphere: str) -> Query:
    """One row per ISRC of any side, with the canonical track of each side.

    The canonical Spotify track is that of the earliest release date (a partial date standing for
    its last possible day), then of the smallest track id; the canonical Beatport track likewise.
    The release date is Spotify's where it is possible, else Beatport's.
    """
    audio_columns = inputs.columns("audio_features")
    audio = select(inputs["bronze.audio_features"], *audio_columns)
    spotify = of_recordings(
        inputs,
        "silver.spotify_tracks",
        _TABLE,
        *_OF_SPOTIFY,
        *(column.name for column in OF_RELEASE),
        "title AS spotify_title",
        "spotify_duration_ms",
        *(column.name for column in DATE_PARTS),
        "flags AS spotify_flags",
    )
    beatport = of_recordings(
        inputs,
        "silver.beatport_tracks",
        _TABLE,
        *_OF_BEATPORT,
        "title AS beatport_title",
        "beatport_release_date",
        "is_placeholder_date AS beatport_placeholder",
        "flags AS beatport_flags",
    )
    artists = select(
        inputs["silver.recording_artists"], "isrc", "position", "artist_name", "artist_key"
    )
    return Query(
        f"""
        WITH audio AS ({_audio(one_per_key("given_audio", audio_columns, ["isrc"]))}),
        spotify AS ({_CANONICAL_SPOTIFY}),
        beatport AS ({_CANONICAL_BEATPORT}),
        artists AS ({_ARTISTS_IN_ORDER}),
        joined AS (
            SELECT * FROM audio FULL JOIN spotify USING (isrc) FULL JOIN beatport USING (isrc)
            LEFT JOIN artists USING (isrc)
        )
        {_whole(hemisphere)}
        """,
        {
            "given_audio": by_key(audio, ["isrc"]),
            "given_spotify": Dealt(spotify, ("isrc",)),
            "given_beatport": Dealt(beatport, ("isrc",)),
            "given_artists": Dealt(artists, ("isrc",)),
        },
        _counts(),
    )


def _counts() -> list[Count | FlagCount]:
    rules = (
        Rule.NO_AUDIO_FEATURES,
        Rule.NO_SPOTIFY_TRACK,
        Rule.NO_BEATPORT_TRACK,
        Rule.DURATION_MISMATCH,
        Rule.ALL_ZERO_FEATURES,
        Rule.LOUDNESS_ABOVE_ZERO,
        *DATE_RULES,
        *_TEMPO_RULES,
    )
    source = "bronze.audio_features"
    counts: list[Count | FlagCount] = [
        Count(_TABLE, source, "kept", "count(*) FILTER (WHERE has_audio)"),
        merged(_TABLE, source),
        FlagCount(_TABLE, _TABLE, rules, "isrc"),
    ]
    for side in ("spotify", "beatport"):
        counts += grouped(_TABLE, f"silver.{side}_tracks", f"n_{side}_tracks", f"has_{side}")
    return counts


def _audio(unique: str) -> str:
    """Audio features under silver's names; values that stand for a failed analysis are null."""
    failed = has("flags", Rule.ALL_ZERO_FEATURES)
    values = dict.fromkeys(
        ("danceability", "energy", "valence"), "CASE WHEN NOT {failed} THEN {name} END"
    )
    values |= dict.fromkeys(("tempo", "time_signature"), "nullif({name}, 0)")
    columns = [
        f"{values.get(name, '{name}').format(failed=failed, name=name)} AS {column.name}"
        for name, column in AUDIO.items()
    ]
    return (
        f"SELECT isrc, {', '.join(columns)}, flags AS audio_flags, _copies, _repeated"
        f" FROM ({unique})"
    )


_CANONICAL_SPOTIFY = f"""
    WITH picks AS (
        SELECT count(*) AS n_spotify_tracks, min(struct_pack(
            day := coalesce({dates.LATEST_DAY}, DATE '9999-12-31'), id := spotify_track_id
        )).id AS spotify_track_id
        FROM given_spotify GROUP BY isrc
    )
    SELECT n_spotify_tracks, given_spotify.*
    FROM picks JOIN given_spotify USING (spotify_track_id)"""

_CANONICAL_BEATPORT = f"""
    WITH picks AS (
        SELECT count(*) AS n_beatport_tracks, min(struct_pack(
            day := {EARLIEST_FIRST}, id := beatport_track_id
        )).id AS beatport_track_id
        FROM given_beatport GROUP BY isrc
    )
    SELECT n_beatport_tracks, given_beatport.*
    FROM picks JOIN given_beatport USING (beatport_track_id)"""


# Most recordings have one artist; ordering a list for each costs more than all joins. Of the others
# one list is ordered, not one for each column.
_ARTISTS_IN_ORDER = """
    WITH several AS MATERIALIZED (SELECT DISTINCT isrc FROM given_artists WHERE position > 1),
    lists AS (
        SELECT isrc, list_sort(list(struct_pack(position, artist_name, artist_key))) AS artists
        FROM given_artists SEMI JOIN several USING (isrc) GROUP BY isrc
    )
    SELECT isrc, [artist_name] AS artist_names, [artist_key] AS artist_keys
    FROM given_artists ANTI JOIN several USING (isrc)
    UNION ALL
    SELECT isrc, list_transform(artists, lambda each: each.artist_name),
        list_transform(artists, lambda each: each.artist_key)
    FROM lists"""


def _whole(hemisphere: str) -> str:
    from_spotify = "release_date_precision IS NOT NULL"
    from_beatport = f"({from_spotify}) IS FALSE AND beatport_release_date IS NOT NULL"
    beatport_parts = {
        "release_date_text": "beatport_release_date::VARCHAR",
        "release_date": "beatport_release_date",
        "release_year": "year(beatport_release_date)::INTEGER",
        "release_month": "month(beatport_release_date)::INTEGER",
        "release_day": "day(beatport_release_date)::INTEGER",
        "release_date_precision": "'day'",
        "is_placeholder_date": "beatport_placeholder",
    }
    dated = ", ".join(
        f"CASE WHEN from_beatport THEN {of_beatport} ELSE {part} END AS {part}"
        for part, of_beatport in beatport_parts.items()
    )
    return f"""
        , sourced AS (
            SELECT *, {from_spotify} AS from_spotify, {from_beatport} AS from_beatport,
                CASE WHEN from_beatport THEN beatport_flags ELSE spotify_flags END AS date_flags
            FROM joined
        ),
        dated AS (SELECT * REPLACE ({dated}) FROM sourced)
        SELECT isrc, audio_flags IS NOT NULL AS has_audio,
            spotify_track_id IS NOT NULL AS has_spotify,
            beatport_track_id IS NOT NULL AS has_beatport,
            coalesce(n_spotify_tracks, 0) AS n_spotify_tracks,
            coalesce(n_beatport_tracks, 0) AS n_beatport_tracks,
            coalesce(spotify_title, beatport_title) AS title,
            coalesce(artist_names, {NO_NAMES}) AS artist_names,
            coalesce(artist_keys, {NO_NAMES}) AS artist_keys,
            {", ".join(part for part in beatport_parts if part != "is_placeholder_date")},
            coalesce(is_placeholder_date, false) AS is_placeholder_date,
            CASE WHEN from_spotify THEN 'spotify' WHEN from_beatport THEN 'beatport' END
                AS release_date_source,
            {dates.season("release_month", hemisphere)} AS release_season,
            {dates.season_year("release_year", "release_month")} AS release_season_year,
            {", ".join(column.name for column in AUDIO.values())},
            {camelot_code("pitch_class", "mode")} AS audio_camelot_code,
            {", ".join((*_OF_SPOTIFY, *(c.name for c in OF_RELEASE), *_OF_BEATPORT))},
            {_flags()} AS flags, _copies, _repeated
        FROM dated"""


def _flags() -> str:
    """Flags of the row's own, of its audio features, of the date used and of Beatport's tempo."""
    lengths = "abs(duration_ms - spotify_duration_ms)"
    broken = {
        Rule.NO_AUDIO_FEATURES: "audio_flags IS NULL",
        Rule.NO_SPOTIFY_TRACK: "spotify_track_id IS NULL",
        Rule.NO_BEATPORT_TRACK: "beatport_track_id IS NULL",
        Rule.DURATION_MISMATCH: f"{lengths} > {_SAME_LENGTH_MS}",
        **{rule: has("date_flags", rule) for rule in DATE_RULES},
        **{rule: has("beatport_flags", rule) for rule in _TEMPO_RULES},
    }
    return with_rules(f"coalesce(audio_flags, {NO_NAMES})", broken)
