"""The names of what can be wrong with a record, what is noted of a file, and the limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class _Named(str, Enum):
    """A string enum whose members carry one sentence of explanation."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> _Named:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    def __str__(self) -> str:
        return str(self.value)


class Rule(_Named):
    """Why a record was set aside. The order of the members is the order of precedence.

    >>> Rule.BLANK_LINE.value, [rule.value for rule in Rule][0]
    ('blank_line', 'torn_record')
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


class Note(_Named):
    """What is worth knowing of a part that was read nevertheless."""

    BYTE_ORDER_MARK = (
        "byte_order_mark",
        "The part starts with a UTF-8 byte order mark, which is skipped.",
    )
    NO_FINAL_NEWLINE = (
        "no_final_newline",
        "The part's last line has no line end.",
    )
    REORDERED_COLUMNS = (
        "reordered_columns",
        "The header names the columns in an order other than the contract's.",
    )


@dataclass(frozen=True)
class CsvLimits:
    """How far a record may reach before it is set aside unread.

    One megabyte holds the longest text column seen in such exports a hundred times over. The
    number of lines bounds how far one forgotten quote can look for its partner.
    """

    max_record_bytes: int = 1 << 20
    max_record_lines: int = 1000

    def __post_init__(self) -> None:
        if self.max_record_bytes < 1 or self.max_record_lines < 1:
            raise ValueError(
                "max_record_bytes and max_record_lines must be at least 1, not "
                f"{self.max_record_bytes} and {self.max_record_lines}"
            )
