"""Kinds of damage to the content of a file, at several places each, and how each must end."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mutations import (
    BEATPORT,
    FEATURES,
    FIRST,
    HEADER,
    LAST,
    LINE_END,
    MIDDLE,
    QUOTED,
    RELEASES,
    TRACKS,
    Edit,
    GoodFile,
    applied,
    cut,
    exchange,
    flip,
    insert,
    put,
    put_everywhere,
    whole,
)

#: Smaller than the defaults, so that damage can be large and quick.
MAX_BYTES, MAX_LINES = 20_000, 20


@dataclass(frozen=True)
class Damage:
    """One damaged file and its end.

    Either the run is refused with exit code 3 and a sentence that has ``says`` in it, or it goes
    on: then the records set aside are counted by their first reason in ``aside``, and ``kept``
    says how many rows are kept of those that the edits touch, with ``flags`` among them.
    """

    place: str
    file: GoodFile
    edits: list[Edit]
    aside: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    flags: frozenset[str] = frozenset()
    notes: frozenset[str] = frozenset()
    says: str | None = None
    gzipped: bool = False

    @property
    def data(self) -> bytes:
        """The damaged file, not compressed."""
        return applied(self.file.data, self.edits)


def _tracks(place: str, *edits: Edit, says: str | None = None, **aside: int) -> Damage:
    """Damage to the tracks that is refused, or sets the touched records aside."""
    return Damage(place, TRACKS, list(edits), aside, says=says)


def _inside(row: int, column: str, offset: int = 1) -> int:
    return TRACKS.field(row, column)[0] + offset


def _line_feed(row: int) -> int:
    return TRACKS.record(row)[1] - 1


def _header_line() -> bytes:
    return TRACKS.data[: TRACKS.record(FIRST)[0]]


def bytes_flipped() -> Iterator[Damage]:
    """Bits of a byte turned by a bad disk or line."""
    yield _tracks("header", flip(TRACKS, 0, 0x20), says="the header lacks 'track_id' (nearest: 'T")
    yield _tracks("first row", flip(TRACKS, _inside(FIRST, "track_title"), 0x80), invalid_utf8=1)
    opening = TRACKS.field(QUOTED, "track_title")[0]
    yield _tracks(
        "quoted row", flip(TRACKS, opening, 0x01), wrong_column_count=1, unbalanced_quote=1
    )
    yield _tracks(
        "line end of a middle row", flip(TRACKS, _line_feed(MIDDLE), 1), lone_carriage_return=1
    )
    yield _tracks("last row", flip(TRACKS, _inside(LAST, "duration_ms"), 0x40), wrong_type=1)
    each = [flip(TRACKS, TRACKS.record(row)[0], 0x80) for row in range(len(TRACKS.rows))]
    yield _tracks("every row", *each, invalid_utf8=9)


def cut_off() -> Iterator[Damage]:
    """The end of the file missing, as after an interrupted copy."""
    yield _tracks("header", cut(TRACKS, _inside(HEADER, "isrc")), says="the header lacks 'isrc'")
    yield _tracks("first row", cut(TRACKS, _inside(FIRST, "isrc")), torn_record=1)
    inside = _inside(QUOTED, "track_title", 16)
    yield _tracks("quoted row", cut(TRACKS, inside), unbalanced_quote=1, torn_record=1)
    between = _inside(MIDDLE, "updated_on", 19) + 1
    yield Damage("line end of a middle row", TRACKS, [cut(TRACKS, between)], {"torn_record": 1})
    yield _tracks("last row", cut(TRACKS, _inside(LAST, "updated_on", 12)), wrong_type=1)
    yield _tracks("all of it", cut(TRACKS, 0), says="is empty")


def quotes_unbalanced() -> Iterator[Damage]:
    """A quote too many or too few."""
    title = TRACKS.field(QUOTED, "track_title")
    yield _tracks("header", insert(0, b'"'), says="unbalanced or stray quotes")
    yield _tracks("first row", insert(_inside(FIRST, "track_title", 0), b'"'), unbalanced_quote=1)
    yield _tracks(
        "quoted row", Edit(title[1] - 1, title[1], b""), unbalanced_quote=1, stray_quote=1
    )
    yield _tracks(
        "middle row", put(TRACKS, MIDDLE, "track_title", b'7" and 12" Mix'), stray_quote=1
    )
    yield _tracks("last row", insert(_inside(LAST, "updated_on", 19), b'"'), unbalanced_quote=1)
    others = [row for row in range(len(TRACKS.rows)) if row not in (QUOTED, 4)]
    opened = [insert(TRACKS.field(row, "track_title")[0], b'"') for row in others]
    yield _tracks("every plain row", *opened, unbalanced_quote=7)


def delimiters_changed() -> Iterator[Damage]:
    """Semicolons, tabs or missing commas."""
    header = TRACKS.record(HEADER)
    first, quoted = TRACKS.record(FIRST), TRACKS.record(QUOTED)
    yield _tracks(
        "header", exchange(TRACKS, *header, b",", b";"), says="is the separator not a comma?"
    )
    yield _tracks("first row", exchange(TRACKS, *first, b",", b";"), wrong_column_count=1)
    yield _tracks("quoted row", exchange(TRACKS, *quoted, b",", b"\t"), unbalanced_quote=2)
    middle = put(TRACKS, MIDDLE, "track_title", b"Middle, of the Night")
    yield _tracks("middle row", middle, wrong_column_count=1)
    comma = TRACKS.field(LAST, "isrc")[1]
    yield _tracks("last row", Edit(comma, comma + 1, b""), wrong_column_count=1)
    yield _tracks(
        "every line",
        exchange(TRACKS, 0, len(TRACKS.data), b",", b"\t"),
        says="is the separator not a comma?",
    )


def encodings_mixed() -> Iterator[Damage]:
    """Text that is not UTF-8, in a file that is."""
    yield _tracks(
        "header", put(TRACKS, HEADER, "isrc", "isrç".encode("latin-1")), says="is not UTF-8 (byte"
    )
    latin = put(TRACKS, FIRST, "track_title", "Première".encode("latin-1"))
    yield _tracks("first row", latin, invalid_utf8=1)
    windows = put(TRACKS, QUOTED, "track_title", '"“Two”\r\nlines"'.encode("cp1252"))
    yield _tracks("quoted row", windows, invalid_utf8=1)
    start, end = TRACKS.record(MIDDLE)
    # The second byte of the line feed falls to the next row.
    wide = TRACKS.data[start:end].decode().encode("utf-16-le")
    yield _tracks("middle row", Edit(start, end, wide[:-1]), nul_byte=1)
    yield _tracks("two middle rows", Edit(start, end, wide + b"\n"), nul_byte=2)
    surrogate = put(TRACKS, LAST, "track_title", b"\xed\xa0\x80 Half")
    yield _tracks("last row", surrogate, invalid_utf8=1)
    yield _tracks(
        "all of it", whole(TRACKS, TRACKS.data.decode().encode("utf-16")), says="is UTF-16"
    )


def nul_bytes() -> Iterator[Damage]:
    """Zeros, as file systems leave them after a crash."""
    yield _tracks("header", insert(_inside(HEADER, "isrc"), b"\0"), says="has NUL bytes")
    yield _tracks("first row", insert(_inside(FIRST, "track_title"), b"\0"), nul_byte=1)
    yield _tracks("quoted row", insert(_inside(QUOTED, "track_title", 13), b"\0"), nul_byte=1)
    start, end = TRACKS.record(MIDDLE)
    yield _tracks("middle row", Edit(start, end - 2, bytes(end - start - 2)), nul_byte=1)
    yield _tracks("hole in a middle row", Edit(start, end - 2, bytes(99_999)), record_too_long=1)
    yield _tracks("after the last row", insert(len(TRACKS.data), bytes(4096)), torn_record=1)
    yield _tracks("all of it", whole(TRACKS, bytes(len(TRACKS.data))), says="has NUL bytes")


def byte_order_marks() -> Iterator[Damage]:
    """U+FEFF, which belongs to the start of a file if anywhere."""
    mark = b"\xef\xbb\xbf"
    yield Damage("header", TRACKS, [insert(0, mark)], notes=frozenset({"byte_order_mark"}))
    yield _tracks("first row", insert(TRACKS.record(FIRST)[0], mark), wrong_shape=1)
    quote = insert(TRACKS.field(QUOTED, "track_title")[0], mark)
    yield _tracks("quoted row", quote, unbalanced_quote=2)
    title = insert(TRACKS.field(MIDDLE, "track_title")[0], mark)
    yield Damage("middle row", TRACKS, [title], kept=1)
    yield _tracks("after the last row", insert(len(TRACKS.data), mark), torn_record=1)
    each = [insert(TRACKS.record(row)[0], mark) for row in range(HEADER, len(TRACKS.rows))]
    yield Damage(
        "every line", TRACKS, each, {"wrong_shape": 9}, notes=frozenset({"byte_order_mark"})
    )


def carriage_returns_only() -> Iterator[Damage]:
    """Line ends of old Macs."""
    yield _tracks(
        "header", exchange(TRACKS, *TRACKS.record(HEADER), b"\n", b""), says="bare carriage return"
    )
    first = exchange(TRACKS, *TRACKS.record(FIRST), b"\n", b"")
    yield _tracks("first row", first, lone_carriage_return=1)
    title = TRACKS.field(QUOTED, "track_title")
    yield Damage("quoted row", TRACKS, [exchange(TRACKS, *title, b"\n", b"")], kept=1)
    start, end = TRACKS.record(MIDDLE)[0], TRACKS.record(LAST)[0]
    yield _tracks(
        "the middle rows", exchange(TRACKS, start, end, b"\r\n", b"\r"), lone_carriage_return=1
    )
    last = exchange(TRACKS, *TRACKS.record(LAST), b"\n", b"")
    yield _tracks("last row", last, torn_record=1)
    yield _tracks(
        "all of it",
        exchange(TRACKS, 0, len(TRACKS.data), b"\n", b""),
        says="bare carriage return",
    )


def huge_fields_and_rows() -> Iterator[Damage]:
    """More bytes, lines or columns than any sound record has."""
    yield _tracks(
        "header",
        put(TRACKS, HEADER, "isrc", b"x" * MAX_BYTES),
        says=f"no line end within the first {MAX_BYTES} bytes",
    )
    title = put(TRACKS, FIRST, "track_title", b"x" * MAX_BYTES)
    yield _tracks("first row", title, record_too_long=1)
    lines = b'"' + b"line\r\n" * MAX_LINES + b'"'
    many = put(TRACKS, QUOTED, "track_title", lines)
    yield _tracks("quoted row", many, unbalanced_quote=2, wrong_column_count=MAX_LINES - 1)
    row = TRACKS.record(MIDDLE)
    commas = Edit(row[0], row[1] - 2, b"," * (MAX_BYTES // 2))
    yield _tracks("middle row", commas, wrong_column_count=1)
    last = TRACKS.record(LAST)
    yield _tracks("last row", Edit(*last, b"x" * 10 * MAX_BYTES), torn_record=1)
    room = MAX_BYTES - (row[1] - row[0]) + len(b"Middle of the Night")
    largest = put(TRACKS, MIDDLE, "track_title", b"x" * room)
    yield Damage("middle row that just fits", TRACKS, [largest], kept=1)


def headers_repeated_or_damaged() -> Iterator[Damage]:
    """Files that were joined, or a header that was rewritten."""
    line = _header_line()
    twice = put(TRACKS, HEADER, "isrc", b"track_id")
    yield _tracks("header", twice, says="the header names more than once 'track_id'")
    yield _tracks("before the first row", insert(TRACKS.record(FIRST)[0], line), repeated_header=1)
    inside = insert(_inside(QUOTED, "track_title", 13), line)
    yield Damage("quoted row", TRACKS, [inside], kept=1)
    quoted = b",".join(b'"%s"' % name.encode() for name in TRACKS.columns) + b"\n"
    yield _tracks(
        "before a middle row", insert(TRACKS.record(MIDDLE)[0], quoted), repeated_header=1
    )
    end = insert(len(TRACKS.data), line.removesuffix(LINE_END))
    yield _tracks("after the last row", end, repeated_header=1)
    yield _tracks("instead of nothing", Edit(0, len(line), b""), says="is the header missing")
    rows = [[name.encode() for name in TRACKS.columns], *TRACKS.rows]
    reversed_ = b"".join(b",".join(row[::-1]) + LINE_END for row in rows)
    yield Damage(
        "columns in another order",
        TRACKS,
        [whole(TRACKS, reversed_)],
        kept=9,
        flags=frozenset({"no_isrc", "very_short_duration", "very_long_duration"}),
        notes=frozenset({"reordered_columns"}),
    )
    blank = insert(TRACKS.record(MIDDLE)[0], LINE_END)
    yield _tracks("blank line before a middle row", blank, blank_line=1)


def ids_of_the_wrong_shape() -> Iterator[Damage]:
    """Ids in another notation or of another system, or none."""
    yield _tracks("first row", put(TRACKS, FIRST, "isrc", b"qztst2300010"), wrong_shape=1)
    dashes = put(TRACKS, QUOTED, "isrc", b"QZ-TST-23-00013")
    yield _tracks("quoted row", dashes, wrong_shape=1)
    uri = put(TRACKS, MIDDLE, "track_id", b"spotify:track:2oCs0DGTsRO98Gh5ZSl015")
    yield _tracks("middle row", uri, wrong_shape=1)
    line = put(TRACKS, LAST, "release_id", b'"4aawyAB9vmqN3uQ7FjR018\n"')
    yield _tracks("last row", line, wrong_shape=1)
    yield _tracks("every row", *put_everywhere(TRACKS, "track_id", b"10007"), wrong_shape=9)
    yield _tracks("no id", put(TRACKS, MIDDLE, "track_id", b""), missing_value=1)
    no_code = [put(TRACKS, MIDDLE, "isrc", b"")]
    yield Damage("no code", TRACKS, no_code, kept=1, flags=frozenset({"no_isrc"}))


def numbers_in_other_notations() -> Iterator[Damage]:
    """Decimal commas, other bases and digits, units, signs, and values that no number has."""
    yield _tracks("first row", put(TRACKS, FIRST, "duration_ms", b'"215,000"'), wrong_type=1)
    yield _tracks("quoted row", put(TRACKS, QUOTED, "duration_ms", b"0x3D091"), wrong_type=1)
    yield _tracks("middle row", put(TRACKS, MIDDLE, "duration_ms", b"2.4e5"), wrong_type=1)
    yield _tracks("last row", put(TRACKS, LAST, "duration_ms", b"-222222"), out_of_range=1)
    arabic = put_everywhere(TRACKS, "track_number", "١٢".encode())
    yield _tracks("every row", *arabic, wrong_type=9)
    for place, column, text, rule in (
        ("feature with a decimal comma", "energy", b'"0,906"', "wrong_type"),
        ("feature that is no number", "energy", b"NaN", "wrong_type"),
        ("feature without a leading zero", "energy", b".906", "wrong_type"),
        ("feature beyond any number", "tempo", b"1e400", "out_of_range"),
        ("feature in percent", "valence", b"65", "out_of_range"),
    ):
        yield Damage(place, FEATURES, [put(FEATURES, 2, column, text)], {rule: 1})
    for place, column, text, flag in (
        ("loudness as a distance", "loudness", b"5.521", "loudness_above_zero"),
        ("duration in seconds", "duration_ms", b"200", "very_short_duration"),
        ("duration in microseconds", "duration_ms", b"200000000", "very_long_duration"),
    ):
        edits = [put(FEATURES, 2, column, text)]
        yield Damage(place, FEATURES, edits, kept=1, flags=frozenset({flag}))


def dates_that_do_not_exist() -> Iterator[Damage]:
    """Days outside the calendar, and days written otherwise."""
    for place, row, text in (
        ("first row", FIRST, b"2023-02-30 18:08:10"),
        ("quoted row", QUOTED, b"2023-08-22 24:00:00"),
        ("middle row", MIDDLE, b"22.08.2023 18:08:15"),
        ("last row", LAST, b"2023-08-22T18:08:18Z"),
        ("time without a day", LAST, b"T18:08:18.000000000"),
    ):
        yield _tracks(place, put(TRACKS, row, "updated_on", text), wrong_type=1)
    zeros = put_everywhere(TRACKS, "updated_on", b"0000-00-00 00:00:00")
    yield _tracks("every row", *zeros, wrong_type=9)
    day = [put(BEATPORT, 2, "release_date", b"2019-02-29")]
    yield Damage("Beatport's day", BEATPORT, day, {"wrong_type": 1})
    more = [put(BEATPORT, 2, "release_date", b"2019-03-29 or so")]
    yield Damage("Beatport's day and more", BEATPORT, more, {"wrong_type": 1})
    for place, text, flag in (
        ("Spotify's day", b"2021-02-30", "impossible_date"),
        ("Spotify's year alone", b"2019", "year_only_date"),
        ("Spotify's year and month", b"2019-03", "year_month_date"),
        ("Spotify's first of January", b"2019-01-01", "placeholder_date"),
    ):
        edits = [put(RELEASES, 2, "release_date", text)]
        yield Damage(place, RELEASES, edits, kept=1, flags=frozenset({flag}))


def words_for_unknown() -> Iterator[Damage]:
    """What other systems write where a value is not known."""
    yield _tracks("first row", put(TRACKS, FIRST, "release_id", rb"\N"), wrong_shape=1)
    yield _tracks("quoted row", put(TRACKS, QUOTED, "explicit", b"unknown"), wrong_type=1)
    yield _tracks("middle row", put(TRACKS, MIDDLE, "duration_ms", b"NULL"), wrong_type=1)
    yield _tracks("last row", put(TRACKS, LAST, "explicit", b""), missing_value=1)
    kind = [put(RELEASES, 2, "album_type", b"other")]
    yield Damage("kind of release", RELEASES, kind, {"not_allowed": 1})
    tempo = [put(BEATPORT, 2, "bpm", b"0")]
    yield Damage("tempo", BEATPORT, tempo, kept=1, flags=frozenset({"bpm_missing"}))
    failed = ("tempo", "time_signature", "danceability", "valence")
    zeros = [put(FEATURES, 2, column, b"0") for column in failed]
    yield Damage("features", FEATURES, zeros, kept=1, flags=frozenset({"all_zero_features"}))


def gzip_cut_short() -> Iterator[Damage]:
    """A compressed file without its end, or with something else in it."""
    packed = gzip.compress(TRACKS.data, mtime=0)
    for place, data in (
        ("before the header", b""),
        ("in the header of gzip", packed[:5]),
        ("in the first bytes", packed[:20]),
        ("in the middle", packed[: len(packed) // 2]),
        ("before the checksum", packed[:-8]),
        ("before the last byte", packed[:-1]),
        ("second of two members", packed + packed[: len(packed) // 2]),
        ("checksum", packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]),
        ("not compressed", TRACKS.data),
    ):
        says = "is empty" if not data else "sp_track.csv.gz cannot be read"
        yield Damage(place, TRACKS, [whole(TRACKS, data)], says=says, gzipped=True)
    yield Damage("named .csv", TRACKS, [whole(TRACKS, packed)], says="name it .csv.gz")


KINDS: dict[str, Callable[[], Iterator[Damage]]] = {
    made.__name__.replace("_", " "): made
    for made in (
        bytes_flipped,
        cut_off,
        quotes_unbalanced,
        delimiters_changed,
        encodings_mixed,
        nul_bytes,
        byte_order_marks,
        carriage_returns_only,
        huge_fields_and_rows,
        headers_repeated_or_damaged,
        ids_of_the_wrong_shape,
        numbers_in_other_notations,
        dates_that_do_not_exist,
        words_for_unknown,
        gzip_cut_short,
    )
}
