"""How each kind of defective record is made."""

from __future__ import annotations

from collections.abc import Callable

from beatlake.synth.defects.maker import KEYS, Defect, Maker, Values
from beatlake.synth.writer import LINE_END, Insert, field_text, line

TOO_LONG = 1 << 20

_TITLES = {
    "sp_track": "track_title",
    "sp_release": "release_title",
    "sp_artist": "artist_name",
    "bp_track": "title",
    "bp_artist": "artist_name",
    "bp_release": "release_title",
}


def _with_title(maker: Maker, rule: str, written: bytes) -> Defect:
    """A row whose title is the given bytes, as they are."""
    values = maker.renewed()
    column = _TITLES[maker.file.name]
    texts = [
        written if name == column else field_text(value).encode() for name, value in values.items()
    ]
    return maker.record(rule, values, b",".join(texts) + LINE_END)


def blank_line(maker: Maker, number: int) -> Defect:
    """A line without anything."""
    return Defect("blank_line", Insert(maker.place(), LINE_END), "", None)


def wrong_column_count(maker: Maker, number: int) -> Defect:
    """One column too few, by turns two too many."""
    values = maker.renewed()
    texts = [field_text(value) for value in values.values()]
    texts = [*texts, "extra", ""] if number % 2 else texts[:-1]
    return maker.record("wrong_column_count", values, ",".join(texts).encode() + LINE_END)


def unbalanced_quote(maker: Maker, number: int) -> Defect:
    """An opening quote that never closes, over 1000 records from any other odd quote.

    Titles with line breaks lie in the first half of the files, these records in the second.
    """
    defect = _with_title(maker, "unbalanced_quote", f'"Never Closed {number}'.encode())
    after = maker.rows // 2 + number * max(1100, maker.rows // 100)
    return Defect(defect.rule, Insert(after, defect.insert.data), defect.key, None)


def stray_quote(maker: Maker, number: int) -> Defect:
    """Two quotes inside an unquoted title: an even number on the line."""
    return _with_title(maker, "stray_quote", f'12" mix and 7" mix {number}'.encode())


def invalid_utf8(maker: Maker, number: int) -> Defect:
    """Bytes that are not UTF-8 in a title: Latin-1, cut short, a surrogate, a byte order mark."""
    bad = (b"Caf\xe9 del Mar", b"\xc3", b"\xed\xa0\x80 Half", b"\xff\xfe")[number % 4]
    return _with_title(maker, "invalid_utf8", bad)


def nul_byte(maker: Maker, number: int) -> Defect:
    """A NUL byte in a name."""
    return _with_title(maker, "nul_byte", b"Nul\x00Byte")


def lone_carriage_return(maker: Maker, number: int) -> Defect:
    """A carriage return outside quotes."""
    return _with_title(maker, "lone_carriage_return", b"Night\rDrive")


def record_too_long(maker: Maker, number: int) -> Defect:
    """A record above 1 MiB."""
    return _with_title(maker, "record_too_long", b"x" * (TOO_LONG + 1 + number))


def repeated_header(maker: Maker, number: int) -> Defect:
    """The header once more, inside the file."""
    header = line(list(maker.file.header))
    return Defect("repeated_header", Insert(maker.place(0.3, 0.9), header), "", None)


def torn_record(maker: Maker, number: int) -> Defect:
    """The last record, cut off: no line end, a column too few."""
    values = maker.renewed()
    texts = [field_text(value) for value in values.values()]
    torn = ",".join(texts[:-1])[:-1].encode()
    return Defect("torn_record", Insert(maker.rows, torn), maker.key_of(values), None)


def missing_value(maker: Maker, number: int) -> Defect:
    """A key column without a value."""
    values = maker.renewed()
    column = KEYS[maker.file.name][0]
    return maker.record("missing_value", values | {column: None})


_BAD_NUMBERS = ("1,5", "0x1F", "12f", "abc")
WRONG_TYPES: dict[str, tuple[tuple[str, str], ...]] = {
    "audio_features": (
        *(("danceability", bad) for bad in _BAD_NUMBERS),
        ("tempo", "0x1F"),
        ("updated_on", "2021-02-30 10:00:00"),
    ),
    "sp_track": (("explicit", "yes"), *(("duration_ms", bad) for bad in _BAD_NUMBERS)),
    "sp_release": (("popularity", "abc"), ("total_tracks", "1,5")),
    "bp_track": (
        ("release_date", "2021-02-30"),
        ("is_remixed", "yes"),
        ("bpm", "12f"),
        ("genre_id", "0x1F"),
    ),
}


def wrong_type(maker: Maker, number: int) -> Defect:
    """A value that is not of its column's type."""
    kinds = WRONG_TYPES[maker.file.name]
    column, bad = kinds[number % len(kinds)]
    return maker.record("wrong_type", maker.renewed(**{column: bad}))


def wrong_shape(maker: Maker, number: int) -> Defect:
    """A key one character too short."""
    values = maker.renewed()
    column = "isrc" if maker.file.name in ("audio_features", "bp_track") else "track_id"
    if maker.file.name == "sp_track" and number % 2:
        column = "isrc"
    return maker.record("wrong_shape", values | {column: (values[column] or "")[:-1]})


def changed(rule: str, **per_file: Values) -> Callable[[Maker, int], Defect]:
    """A rule that sets some columns of a fresh row, per file."""

    def make(maker: Maker, number: int) -> Defect:
        return maker.record(rule, maker.renewed(**per_file[maker.file.name]))

    return make


def orphan(rule: str, column: str) -> Callable[[Maker, int], Defect]:
    """A rule that makes one reference point nowhere."""

    def make(maker: Maker, number: int) -> Defect:
        spotify = maker.file.name.startswith("sp_")
        nowhere = maker.spotify_id() if spotify else maker.beatport_id()
        return maker.record(rule, maker.renewed(**{column: nowhere}))

    return make


def orphan_subgenre(maker: Maker, number: int) -> Defect:
    """A subgenre that is unknown, or not one of its genre."""
    # By turns an unknown id, and a real one under a genre that does not have it.
    changes = {"subgenre_id": "999"} if number % 2 == 0 else {"subgenre_id": "100", "genre_id": "3"}
    return maker.record("orphan_subgenre", maker.renewed(**changes))


SAME_SECOND_CHANGE = {
    "audio_features": ("liveness", "0.9999"),
    "sp_track": ("track_title", "Another Title"),
    "sp_release": ("label_name", "Another Label"),
    "sp_artist": ("artist_name", "Another Name"),
    "bp_track": ("mix", "Another Mix"),
}


def duplicates(maker: Maker, number: int) -> Defect:
    """The key of a clean row again: identical, older and different, or different in one second.

    What differs is a column that no join, sum or count of truth.json depends on.
    """
    values, data = maker.plain()
    kind = number % 3
    if maker.file.name in SAME_SECOND_CHANGE and kind:
        column, text = SAME_SECOND_CHANGE[maker.file.name]
        values[column] = text
        if kind == 1:
            values["updated_on"] = "2021-01-01 00:00:00"
        return maker.record("duplicate_key", values)
    defect = maker.record("duplicate_key", values, data)
    return Defect(defect.rule, defect.insert, defect.key, values)
