"""The names of everything that can be wrong with a record, a value or a row, with a sentence each.

Code decides where a rule is broken: the reader (`beatlake.ingest.csv`) for physical records, the
checks and the contract of a file for values and rows. Only the contract decides whether a broken
rule about values or rows sets the record aside.
"""

from __future__ import annotations

from enum import Enum


class Named(str, Enum):
    """A name as it stands in tables, and its meaning in a sentence."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Named:
        """Carry the sentence beside the name."""
        named = str.__new__(cls, value)
        named._value_ = value
        named.meaning = meaning
        return named

    def __str__(self) -> str:
        """The name alone."""
        return str(self.value)


class Rule(Named):
    """What a record, a value or a row can break.

    >>> Rule("blank_line").meaning
    'The line holds nothing but its line end.'
    """

    TORN_RECORD = (
        "torn_record",
        "The last record of the part has no line end and breaks another rule as well, "
        "as if the file had been cut short.",
    )
    RECORD_TOO_LONG = (
        "record_too_long",
        "The record has more bytes than max_record_bytes.",
    )
    UNBALANCED_QUOTE = (
        "unbalanced_quote",
        "The line has an odd number of quotes and no later line closes it into a sound record.",
    )
    BLANK_LINE = (
        "blank_line",
        "The line holds nothing but its line end.",
    )
    NUL_BYTE = (
        "nul_byte",
        "The record contains a NUL byte.",
    )
    LONE_CARRIAGE_RETURN = (
        "lone_carriage_return",
        "Outside quotes the record has a carriage return that no line feed follows.",
    )
    STRAY_QUOTE = (
        "stray_quote",
        "A quote opens after something other than a comma or the record's start, or closes "
        "before something other than a comma or the record's end.",
    )
    INVALID_UTF8 = (
        "invalid_utf8",
        "The record's bytes are not valid UTF-8.",
    )
    WRONG_COLUMN_COUNT = (
        "wrong_column_count",
        "The record has more or fewer columns than the header.",
    )
    REPEATED_HEADER = (
        "repeated_header",
        "The record's values are the header's column names, as if two files had been joined.",
    )

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


#: The rules about a release date.
DATE_RULES = (
    Rule.YEAR_ONLY_DATE,
    Rule.YEAR_MONTH_DATE,
    Rule.IMPOSSIBLE_DATE,
    Rule.PLACEHOLDER_DATE,
)
#: The rules about one value, for which a contract may set a record aside.
VALUE_RULES = (
    Rule.MISSING_VALUE,
    Rule.WRONG_TYPE,
    Rule.WRONG_SHAPE,
    Rule.OUT_OF_RANGE,
    Rule.NOT_ALLOWED,
)
