"""The names of everything that can be wrong with a value or a row, with a sentence each.

Rules about the physical record (quotes, widths, encodings) belong to the reader and are named in
`beatlake.ingest.csv.rules`. Code decides where a rule is broken; the contract of the file decides
whether that is fatal for the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from pyspark.sql import Column
from pyspark.sql import functions as F

from beatlake import dates

#: A track shorter than this is a snippet or a skit rather than a recording of music.
VERY_SHORT_MS = 30_000
#: A track longer than this is a mix or a whole set.
VERY_LONG_MS = 3_600_000


class Rule(str, Enum):
    """A rule's name as it stands in tables, and its meaning."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Rule:
        """Carry the sentence beside the name."""
        rule = str.__new__(cls, value)
        rule._value_ = value
        rule.meaning = meaning
        return rule

    MISSING_VALUE = "missing_value", "A column that must have a value has none."
    WRONG_TYPE = "wrong_type", "A value cannot be read as its column's type."
    WRONG_SHAPE = "wrong_shape", "An identifier does not have the shape of its kind."
    OUT_OF_RANGE = "out_of_range", "A number lies outside the range its column allows."
    NOT_ALLOWED = "not_allowed", "A value is not among those its column allows."

    ALL_ZERO_FEATURES = (
        "all_zero_features",
        "The audio analysis failed: tempo, time signature, danceability and valence are all 0.",
    )
    LOUDNESS_ABOVE_ZERO = "loudness_above_zero", "Mean loudness is above 0 dB."
    VERY_SHORT_DURATION = "very_short_duration", "The track lasts less than 30 seconds."
    VERY_LONG_DURATION = "very_long_duration", "The track lasts more than an hour."
    NO_ISRC = "no_isrc", "The track has no ISRC and so belongs to no recording."
    BPM_MISSING = "bpm_missing", "Beatport states 0 beats per minute, which means not known."
    HALF_TIME_BPM = "half_time_bpm", "The tempo is half of what the genre is played at."
    YEAR_ONLY_DATE = "year_only_date", "The release date is a possible year without month and day."
    YEAR_MONTH_DATE = "year_month_date", "The release date is a possible month without a day."
    IMPOSSIBLE_DATE = "impossible_date", "The release date does not exist or cannot be true."
    PLACEHOLDER_DATE = (
        "placeholder_date",
        "The release date is 1 January, which often stands for some day of that year.",
    )
    DUPLICATE_KEY = (
        "duplicate_key",
        "Another row of the same key was written later, or ranks first by content.",
    )
    ORPHAN_RELEASE = "orphan_release", "The release that the row names is not in the data."
    ORPHAN_TRACK = "orphan_track", "The track that the row names is not in the data."
    ORPHAN_ARTIST = "orphan_artist", "The artist that the row names is not in the data."
    ORPHAN_GENRE = "orphan_genre", "The genre that the row names is not in the data."
    ORPHAN_SUBGENRE = "orphan_subgenre", "The subgenre that the row names is not in that genre."
    ORPHAN_LABEL = "orphan_label", "The label that the row names is not in the data."
    ORPHAN_KEY = "orphan_key", "The key that the row names is not in the data."
    NO_AUDIO_FEATURES = "no_audio_features", "No audio features exist for the ISRC."
    NO_SPOTIFY_TRACK = "no_spotify_track", "No Spotify track carries the ISRC."
    NO_BEATPORT_TRACK = "no_beatport_track", "No Beatport track carries the ISRC."
    SPOTIFY_CREDIT_EXISTS = (
        "spotify_credit_exists",
        "Spotify credits artists for the recording, so Beatport's credit is not used.",
    )
    DURATION_MISMATCH = (
        "duration_mismatch",
        "The audio analysis and the track disagree about the length by more than a second.",
    )


#: The rules about one value, for which a contract may set a record aside.
VALUE_RULES = (
    Rule.MISSING_VALUE,
    Rule.WRONG_TYPE,
    Rule.WRONG_SHAPE,
    Rule.OUT_OF_RANGE,
    Rule.NOT_ALLOWED,
)


def _between(column: str, low: float | None = None, high: float | None = None) -> Column:
    value = F.col(column)
    broken = F.lit(False)
    if low is not None:
        broken = broken | (value < low)
    if high is not None:
        broken = broken | (value > high)
    return broken


def _date_text() -> Column:
    return F.col("release_date").cast("string")


def _possible_date() -> Column:
    return dates.is_possible(_date_text(), F.col("updated_on"))


def _possible_with(precision: str) -> Column:
    return _possible_date() & (dates.precision(_date_text()) == precision)


#: Checks over one row of a file: true where the rule is broken (null counts as not broken).
CHECKS: Mapping[Rule, Callable[[], Column]] = {
    Rule.ALL_ZERO_FEATURES: lambda: (
        (F.col("tempo") == 0)
        & (F.col("time_signature") == 0)
        & (F.col("danceability") == 0)
        & (F.col("valence") == 0)
    ),
    Rule.LOUDNESS_ABOVE_ZERO: lambda: _between("loudness", high=0),
    Rule.VERY_SHORT_DURATION: lambda: _between("duration_ms", low=VERY_SHORT_MS),
    Rule.VERY_LONG_DURATION: lambda: _between("duration_ms", high=VERY_LONG_MS),
    Rule.NO_ISRC: lambda: F.col("isrc").isNull(),
    Rule.BPM_MISSING: lambda: F.col("bpm") == 0,
    Rule.YEAR_ONLY_DATE: lambda: _possible_with("year"),
    Rule.YEAR_MONTH_DATE: lambda: _possible_with("month"),
    Rule.IMPOSSIBLE_DATE: lambda: F.col("release_date").isNotNull() & ~_possible_date(),
    Rule.PLACEHOLDER_DATE: lambda: _possible_date() & dates.is_placeholder(_date_text()),
}
