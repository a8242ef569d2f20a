"""The rules of physical records by precedence, what is noted of a file, and the limits."""

from __future__ import annotations

from dataclasses import dataclass

from beatlake.quality.rules import Named, Rule

#: Why a record is set aside, by precedence: of several rules that it breaks the first is named.
RULES = (
    Rule.TORN_RECORD,
    Rule.RECORD_TOO_LONG,
    Rule.UNBALANCED_QUOTE,
    Rule.BLANK_LINE,
    Rule.NUL_BYTE,
    Rule.LONE_CARRIAGE_RETURN,
    Rule.STRAY_QUOTE,
    Rule.INVALID_UTF8,
    Rule.WRONG_COLUMN_COUNT,
    Rule.REPEATED_HEADER,
)


class Note(Named):
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
