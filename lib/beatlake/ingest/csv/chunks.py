"""The lines of one chunk of a part, and the tally that joins the pieces and pairs odd lines.

A line with an odd number of quotes is called odd. Whether two neighbouring odd lines may form a
record depends on the bytes between them alone, so it can be settled for all neighbours at once;
which of them do depends on the order, and that is the tally's part.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from beatlake.ingest.csv.rules import CsvLimits
from beatlake.ingest.csv.structure import (
    LF,
    QUOTE,
    Bytes,
    Flags,
    Offsets,
    column_counts,
    content_ends,
    strictly_quoted,
)

# The unit of hashing, and so part of the meaning of the hash: never change it.
CHUNK_BYTES = 4 << 20
# Where there are quotes, arrays many times as large as the text are made of so much at once.
_PIECE_BYTES = 512 << 10

# A record's length travels as a 32-bit number.
_LONGEST_LINE = 2**31 - 1


@dataclass(frozen=True)
class OddLines:
    """Lines with an odd number of quotes: byte ranges, line numbers, and which are neighbours.

    `pairs` tells, for each line but the last, whether it and the next one bound a sound record.
    """

    starts: Offsets
    ends: Offsets
    numbers: Offsets
    pairs: Flags

    def moved(self, offset: int, lines: int) -> OddLines:
        """The same lines as counted from earlier in the part."""
        return OddLines(self.starts + offset, self.ends + offset, self.numbers + lines, self.pairs)

    def near(self, limits: CsvLimits) -> Flags:
        """Whether each line and the next one are near enough to be looked at as one record."""
        near: Flags = (self.ends[1:] - self.starts[:-1] <= limits.max_record_bytes) & (
            self.numbers[1:] - self.numbers[:-1] < limits.max_record_lines
        )
        return near


@dataclass(frozen=True)
class Piece:
    """Some bytes of a chunk seen by themselves: their first and last line may be of others too.

    Offsets count from the part's start, line numbers from the first line's.
    """

    end: int
    line_feeds: int
    first_end: int
    last_end: int
    head_odd: bool
    tail_odd: bool
    odd: OddLines


@dataclass(frozen=True)
class Chunk:
    """A chunk, where it begins in the part, its hash, and its pieces, the header left out."""

    data: bytes
    offset: int
    digest: bytes
    pieces: tuple[Piece, ...]


def look_at(data: bytes, offset: int, data_start: int, n_columns: int, limits: CsvLimits) -> Chunk:
    """What the chunk at `offset` can tell without its neighbours."""
    digest = hashlib.sha256(data).digest()
    first = min(max(data_start - offset, 0), len(data))
    step = _PIECE_BYTES if data.find(b'"', first) >= 0 else CHUNK_BYTES
    pieces = (
        _look_at_piece(data, at, min(at + step, len(data)), offset, n_columns, limits)
        for at in range(first, len(data), step)
    )
    return Chunk(data, offset, digest, tuple(pieces))


def _look_at_piece(
    data: bytes, start: int, end: int, offset: int, n_columns: int, limits: CsvLimits
) -> Piece:
    """What is between two places in a chunk that begins at an offset; no byte is copied."""
    buffer = np.frombuffer(data, np.uint8, end - start, start)
    first, last = data.find(b"\n", start, end), data.rfind(b"\n", start, end)
    head_odd = tail_odd = False
    odd = _no_lines()
    if data.find(b'"', start, end) < 0:
        line_feeds = int(np.count_nonzero(buffer == LF))
    else:
        marks = np.flatnonzero((buffer == QUOTE) | (buffer == LF))
        is_feed = buffer[marks] == LF
        feeds = marks[is_feed]
        line_feeds = len(feeds)
        quotes_so_far = np.cumsum(~is_feed)
        at_feeds = quotes_so_far[is_feed]
        head_odd = bool((at_feeds[0] if line_feeds else quotes_so_far[-1]) & 1)
        tail_odd = bool(line_feeds and (quotes_so_far[-1] - at_feeds[-1]) & 1)
        numbers = np.flatnonzero(np.diff(at_feeds) & 1) + 1
        starts, ends = feeds[numbers - 1] + 1, feeds[numbers] + 1
        odd = OddLines(starts, ends, numbers, np.zeros(0, np.bool_))
        odd = replace(odd, pairs=_sound_pairs(buffer, odd, n_columns, limits))
        odd = odd.moved(offset + start, 0)
    return Piece(
        end=offset + end,
        line_feeds=line_feeds,
        first_end=offset + first + 1,
        last_end=offset + last + 1,
        head_odd=head_odd,
        tail_odd=tail_odd,
        odd=odd,
    )


def _sound_pairs(buffer: Bytes, odd: OddLines, n_columns: int, limits: CsvLimits) -> Flags:
    pairs = odd.near(limits)
    # Neighbouring pairs share a line; every other pair does not.
    for first in (0, 1):
        near = np.flatnonzero(pairs[first::2]) * 2 + first
        if len(near):
            pairs[near] = sound_records(buffer, odd.starts[near], odd.ends[near + 1], n_columns)
    return pairs


def sound_records(buffer: Bytes, starts: Offsets, ends: Offsets, n_columns: int) -> Flags:
    """Whether each byte range, line end included, is one strictly quoted record of n columns."""
    low = int(starts[0])
    buffer, starts, ends = buffer[low : int(ends[-1])], starts - low, ends - low
    inner = content_ends(buffer, starts, ends)
    sound: Flags = strictly_quoted(buffer, starts, inner)
    # Commas are many and quotes few: count them only where the quotes leave a chance.
    left = np.flatnonzero(sound)
    if len(left):
        sound[left] = column_counts(buffer, starts[left], inner[left]) == n_columns
    return sound


class PartTally:
    """Takes a part's chunks in order; afterwards knows its records."""

    def __init__(
        self, data_start: int, ends_with_newline: bool, n_columns: int, limits: CsvLimits
    ) -> None:
        """Starts after the header, which may lack a line end."""
        self.size = data_start
        self.lines = 0
        self.breaks_inside = 0
        self.ends_with_newline = ends_with_newline
        self._n_columns = n_columns
        self._limits = limits
        # The line still open at the end of what has been seen.
        self._line_start = data_start
        self._line_odd = False
        # The odd line that still looks for its partner.
        self._pending = _no_lines()
        self._recent = b""
        self._joined: list[Offsets] = []

    @property
    def records(self) -> int:
        """Records of one line or more."""
        return self.lines - self.breaks_inside

    def joined(self) -> Offsets:
        """A row [start, end) for each record of several lines."""
        return np.concatenate([np.empty((0, 2), np.int64), *self._joined])

    def add(self, chunk: Chunk) -> None:
        """Raises ValueError, with the end of a sentence, on a line of more than 2 GiB."""
        data, offset = chunk.data, chunk.offset
        for piece in chunk.pieces:
            odd = piece.odd
            self.size = piece.end
            self._line_odd ^= piece.head_odd
            if piece.line_feeds:
                if self._line_odd:
                    crossing = _line(self._line_start, piece.first_end, 0)
                    odd = self._chain(crossing, odd, data, offset)
                self._pair(odd, self.lines, data, offset)
                self._check_length(piece.first_end)
                self.lines += piece.line_feeds
                self._line_start, self._line_odd = piece.last_end, piece.tail_odd
            self._check_length(self.size)
        if chunk.pieces:
            keep = self._limits.max_record_bytes
            self._recent = data[-keep:] if len(data) >= keep else (self._recent + data)[-keep:]

    def finish(self) -> None:
        """Settles the last line, which may lack a line end, and whatever still looks for it."""
        if self._recent:
            self.ends_with_newline = self._recent.endswith(b"\n")
        if self.size > self._line_start:
            if self._line_odd:
                last = _line(self._line_start, self.size, 0)
                self._pair(last, self.lines, b"", self.size)
            self.lines += 1
        self._pending = _no_lines()

    def _pair(self, odd: OddLines, base: int, data: bytes, offset: int) -> None:
        """Pairs the lines in order. A line that finds no sound partner stays alone."""
        odd = self._chain(self._pending, odd.moved(0, base), data, offset)
        if not len(odd.starts):
            return
        # In a run of sound pairs the first, third, fifth ... are taken: whatever came before the
        # run ended on a line without a partner, and so pairing starts anew with the run's first.
        place = np.arange(len(odd.pairs))
        run_start = np.maximum.accumulate(np.where(odd.pairs, 0, place + 1))
        opens = np.flatnonzero(odd.pairs & ((place - run_start) & 1 == 0))
        self._joined.append(np.stack([odd.starts[opens], odd.ends[opens + 1]], axis=1))
        self.breaks_inside += int((odd.numbers[opens + 1] - odd.numbers[opens]).sum())
        last = len(odd.starts) - 1
        if len(opens) and opens[-1] + 1 == last:
            self._pending = _no_lines()
        else:
            self._pending = _line(odd.starts[last], odd.ends[last], odd.numbers[last])

    def _chain(self, before: OddLines, after: OddLines, data: bytes, offset: int) -> OddLines:
        """Puts at most one line before others, and looks whether it pairs with the first."""
        if not len(before.starts) or not len(after.starts):
            return before if len(before.starts) else after
        chained = OddLines(
            np.concatenate([before.starts, after.starts]),
            np.concatenate([before.ends, after.ends]),
            np.concatenate([before.numbers, after.numbers]),
            np.zeros(0, np.bool_),
        )
        sound = bool(chained.near(self._limits)[0])
        if sound:
            record = self._bytes(int(chained.starts[0]), int(chained.ends[1]), data, offset)
            whole = np.array([0]), np.array([len(record)])
            sound = bool(sound_records(np.frombuffer(record, np.uint8), *whole, self._n_columns)[0])
        return replace(chained, pairs=np.concatenate([[sound], after.pairs]))

    def _bytes(self, start: int, end: int, data: bytes, offset: int) -> bytes:
        """The bytes of a record that ends in the chunk at `offset` and may begin before it."""
        inside = data[max(start - offset, 0) : end - offset]
        if start >= offset:
            return inside
        recent_start = offset - len(self._recent)
        return self._recent[start - recent_start : end - recent_start] + inside

    def _check_length(self, end: int) -> None:
        if end - self._line_start > _LONGEST_LINE:
            raise ValueError(
                f"has a line of more than 2 GiB at byte {self._line_start}; "
                "convert its line ends to LF or CRLF"
            )


def _line(start: int, end: int, number: int) -> OddLines:
    starts, ends, numbers = (np.array([value], np.int64) for value in (start, end, number))
    return OddLines(starts, ends, numbers, np.zeros(0, np.bool_))


def _no_lines() -> OddLines:
    empty = np.zeros(0, np.int64)
    return OddLines(empty, empty, empty, np.zeros(0, np.bool_))
