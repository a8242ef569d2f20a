"""Good files byte by byte, and edits that damage them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from beatlake.quality.contract import contracts

LINE_END = b"\r\n"
#: In place of a row's number: the header.
HEADER = -1


@dataclass(frozen=True)
class Edit:
    """The bytes [start, end) of a good file become ``new``."""

    start: int
    end: int
    new: bytes


@dataclass(frozen=True)
class GoodFile:
    """A file as its contract wants it; ``rows`` are fields as they are written, quotes and all."""

    contract: str
    rows: tuple[tuple[bytes, ...], ...]

    @cached_property
    def columns(self) -> list[str]:
        """The names in the header."""
        return list(contracts()[self.contract].columns)

    @cached_property
    def _lines(self) -> list[bytes]:
        fields = [tuple(name.encode() for name in self.columns), *self.rows]
        return [b",".join(row) + LINE_END for row in fields]

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((len(line) for line in self._lines), initial=0))

    @cached_property
    def data(self) -> bytes:
        """The whole file."""
        return b"".join(self._lines)

    def record(self, row: int) -> tuple[int, int]:
        """Where a row starts and ends, its line end included."""
        return self._starts[row + 1], self._starts[row + 2]

    def field(self, row: int, column: str) -> tuple[int, int]:
        """Where a field starts and ends, its quotes included."""
        index = self.columns.index(column)
        fields = self.rows[row] if row != HEADER else [name.encode() for name in self.columns]
        start = self.record(row)[0] + sum(len(field) + 1 for field in fields[:index])
        return start, start + len(fields[index])

    def touched(self, edits: Iterable[Edit]) -> set[int]:
        """The rows that share a line with a changed byte, as far as line ends tell.

        A whole line put before a row leaves the row as it was; a line end that goes takes the
        following row along.
        """
        found = set()
        for edit in edits:
            whole_lines = edit.new.endswith(b"\n")
            for row in range(HEADER, len(self.rows)):
                start, end = self.record(row)
                if edit.start == edit.end == start and whole_lines:
                    continue
                if edit.start < end and (edit.end > start or edit.start == start):
                    found.add(row)
                    if edit.end >= end and not whole_lines:
                        found.add(row + 1)
        return found & set(range(len(self.rows)))


def applied(data: bytes, edits: Iterable[Edit]) -> bytes:
    """The file after edits that do not overlap."""
    for edit in sorted(edits, key=lambda e: e.start, reverse=True):
        data = data[: edit.start] + edit.new + data[edit.end :]
    return data


def moved(offset: int, edits: Iterable[Edit]) -> int:
    """Where a byte of the good file lies after edits that end before it."""
    return offset + sum(len(e.new) - (e.end - e.start) for e in edits if e.end <= offset)


def put(file: GoodFile, row: int, column: str, new: bytes) -> Edit:
    """Another text in a field."""
    return Edit(*file.field(row, column), new)


def put_everywhere(file: GoodFile, column: str, new: bytes) -> list[Edit]:
    """Another text in a field of every row."""
    return [put(file, row, column, new) for row in range(len(file.rows))]


def insert(at: int, new: bytes) -> Edit:
    """Bytes between two others."""
    return Edit(at, at, new)


def flip(file: GoodFile, at: int, bits: int) -> Edit:
    """One byte with some of its bits turned."""
    return Edit(at, at + 1, bytes([file.data[at] ^ bits]))


def cut(file: GoodFile, at: int) -> Edit:
    """The end of the file gone."""
    return Edit(at, len(file.data), b"")


def exchange(file: GoodFile, start: int, end: int, old: bytes, new: bytes) -> Edit:
    """One text for another wherever it occurs between two bytes."""
    return Edit(start, end, file.data[start:end].replace(old, new))


def whole(file: GoodFile, new: bytes) -> Edit:
    """Other bytes in place of all."""
    return Edit(0, len(file.data), new)


def _row(*fields: str | bytes) -> tuple[bytes, ...]:
    return tuple(field.encode() if isinstance(field, str) else field for field in fields)


def _written(number: int) -> str:
    return f"2023-08-22 18:08:{number:02d}"


def _track(number: int, title: str, duration: int, isrc: str | None = None) -> tuple[bytes, ...]:
    return _row(
        f"2oCs0DGTsRO98Gh5ZSl{number:03d}",
        title,
        str(duration),
        f"QZTST23{number:05d}" if isrc is None else isrc,
        str(number),
        f"4aawyAB9vmqN3uQ7FjR{number:03d}",
        "ft"[number % 2],
        "1",
        "" if number % 2 else f"https://p.scdn.co/mp3-preview/{number}",
        _written(number),
    )


#: The rows that damage is done to.
FIRST, QUOTED, MIDDLE, LAST = 0, 3, 5, 8

TRACKS = GoodFile(
    "sp_track",
    (
        _track(10, "First Light", 215_000),
        _track(11, "No Code", 180_500, isrc=""),
        _track(12, "Café del Mar – Dub", 301_204),
        _track(13, '"Two, lines\r\nof ""dub"""', 250_001),
        _track(14, '""', 199_999),
        _track(15, "Middle of the Night", 240_000),
        _track(16, "A Whole Set", 7_200_000),
        _track(17, "NaN", 29_999),
        _track(18, "Last Train", 222_222),
    ),
)


def _release(number: int, date: str) -> tuple[bytes, ...]:
    name = f"4aawyAB9vmqN3uQ7FjR{number:03d}"
    upc = f"00602577{number:04d}"
    title = f"Release {number}"
    return _row(name, title, date, upc, "66", "1", "single", "", "null", _written(number))


RELEASES = GoodFile(
    "sp_release", tuple(_release(number, f"20{number}-03-29") for number in range(10, 16))
)


def _features(number: int) -> tuple[bytes, ...]:
    shares = ("0.0102", "0.759", str(200_000 + number), "0.906", "2.33e-05", "7", "0.0876")
    rest = ("-5.521", "1", "0.0462", "126.02", "4", "0.65", _written(number))
    return _row(f"QZTST23{number:05d}", *shares, *rest)


FEATURES = GoodFile("audio_features", tuple(_features(number) for number in range(10, 16)))


def _beatport(number: int) -> tuple[bytes, ...]:
    names = (str(number), f"Track {number}", "Original Mix", "f", "2019-03-29", "5", "", "/track/x")
    length = ("126", "6:05", "365000", f"QZTST23{number:05d}")
    return _row(*names, *length, "", "7", "8", _written(number), "t")


BEATPORT = GoodFile("bp_track", tuple(_beatport(number) for number in range(10, 16)))

ARTISTS = GoodFile("sp_artist", (_row("5qKvN7aB2cXz9LmP4RtY01", "NaN", _written(1)),))
CREDITS = GoodFile(
    "sp_artist_release",
    (_row("4aawyAB9vmqN3uQ7FjR010", "5qKvN7aB2cXz9LmP4RtY01", _written(1)),),
)
#: A good input: every required file.
REQUIRED = (TRACKS, RELEASES, FEATURES, ARTISTS, CREDITS)
