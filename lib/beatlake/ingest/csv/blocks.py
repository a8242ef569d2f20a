"""The bytes of a split in blocks of whole records, in memory that does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from beatlake.ingest.csv.errors import CsvInputError
from beatlake.ingest.csv.rules import CsvLimits
from beatlake.ingest.csv.source import READ_ERRORS, one_line
from beatlake.ingest.csv.structure import LF, Offsets
from beatlake.ingest.csv.survey import PartSurvey, Split

_READ_BYTES = 2 << 20
# Past the split's end only its last record is wanted.
_READ_PAST_END = 256 << 10
# Short records would otherwise make arrays many times as large as the text.
_MOST_RECORDS = 1 << 16
# A raw record is cut at this many bytes, and no more is kept of one that is too long to read.
RAW_BYTES = 8 << 10


@dataclass(frozen=True)
class Block:
    """Consecutive whole records, line ends included. `ends` counts from the block's first byte.

    A record beyond the limit may come in a block of its own, with only its beginning in `data`.
    `ended` tells whether the last record has a line end.
    """

    offset: int
    data: bytes
    ends: Offsets
    ended: bool

    @property
    def cut(self) -> bool:
        """Whether bytes of the last record are left out."""
        return int(self.ends[-1]) > len(self.data)


def record_blocks(part: PartSurvey, split: Split, limits: CsvLimits) -> Iterator[Block]:
    """The records whose first byte lies in the split, each exactly once and in order.

    Raises:
        CsvInputError: the part cannot be read, or is no longer the one that was surveyed.
    """
    try:
        if part.part.changed():
            raise CsvInputError(f"{part.path} has changed since it was surveyed; run again")
        first = _first_record(part, split)
        if first < split.end:
            with part.part.open(first) as stream:
                yield from _Reading(part, split, limits, stream, first).blocks()
    except READ_ERRORS as error:
        raise CsvInputError(f"{part.path} cannot be read: {one_line(error)}") from error


def _first_record(part: PartSurvey, split: Split) -> int:
    """Where the first record starts that starts in the split; its end if there is none."""
    if split.start <= part.data_start:
        return part.data_start
    at = split.start - 1
    with part.part.open(at) as stream:
        while at < split.end and (data := stream.read(min(_READ_PAST_END, split.end - at))):
            if (feed := data.find(b"\n")) >= 0:
                return _after_joined(part.joined, at + feed + 1)
            at += len(data)
    return split.end


def _after_joined(joined: Offsets, line_start: int) -> int:
    """The line's start, or the end of the joined record that the line lies inside."""
    index = int(np.searchsorted(joined[:, 0], line_start)) - 1
    return max(line_start, int(joined[index, 1])) if index >= 0 else line_start


class _Reading:
    """The state of reading one split: what has been read and not yet handed on."""

    def __init__(
        self, part: PartSurvey, split: Split, limits: CsvLimits, stream: IO[bytes], first: int
    ) -> None:
        self._part, self._split, self._limits, self._stream = part, split, limits, stream
        self._offset = first
        self._data = b""

    def blocks(self) -> Iterator[Block]:
        while self._offset < self._split.end:
            more = self._read()
            ends = self._record_ends(at_end=not more)
            if len(ends):
                yield from self._hand_on(ends)
            elif len(self._data) > self._limits.max_record_bytes:
                yield self._long_record()

    def _read(self) -> bool:
        position = self._offset + len(self._data)
        wanted = max(min(self._split.end - position, _READ_BYTES), _READ_PAST_END)
        more = self._stream.read(wanted)
        self._data += more
        if not more:
            self._check_complete(position)
        return bool(more)

    def _record_ends(self, at_end: bool) -> Offsets:
        """Ends of the whole records at hand that start in the split."""
        buffer = np.frombuffer(self._data, np.uint8)
        ends = np.flatnonzero(buffer == LF) + 1
        joined = self._part.joined
        # A joined record never reaches back before the first byte at hand: records are handed
        # on whole.
        low = np.searchsorted(joined[:, 0], self._offset)
        high = np.searchsorted(joined[:, 0], self._offset + len(buffer))
        if low < high:
            inside = joined[low:high] - self._offset
            opens = np.searchsorted(ends, inside[:, 0], side="right")
            closes = np.searchsorted(ends, inside[:, 1])
            depth = np.zeros(len(ends) + 1, np.int64)
            np.add.at(depth, opens, 1)
            np.add.at(depth, closes, -1)
            ends = ends[np.cumsum(depth[:-1]) == 0]
        if at_end and len(buffer) and not (len(ends) and ends[-1] == len(buffer)):
            ends = np.append(ends, len(buffer))
        starting = int(np.searchsorted(ends, self._split.end - self._offset)) + 1
        return ends[:starting]

    def _hand_on(self, ends: Offsets) -> Iterator[Block]:
        start = 0
        for low in range(0, len(ends), _MOST_RECORDS):
            some = ends[low : low + _MOST_RECORDS]
            end = int(some[-1])
            data = self._data[start:end]
            yield Block(self._offset + start, data, some - start, data.endswith(b"\n"))
            start = end
        self._data = self._data[start:]
        self._offset += start

    def _long_record(self) -> Block:
        """Passes over a line beyond the limit, of which only the beginning is kept."""
        offset, length, feed = self._offset, len(self._data), 0
        beginning = self._data[: RAW_BYTES + 1]
        while not feed and (piece := self._stream.read(_READ_BYTES)):
            feed = piece.find(b"\n") + 1
            length += feed or len(piece)
            self._data = piece[feed:]
        self._offset += length
        if not feed:
            self._check_complete(self._offset)
        return Block(offset, beginning, np.array([length]), ended=feed > 0)

    def _check_complete(self, end: int) -> None:
        if end != self._part.size:
            raise CsvInputError(
                f"{self._part.path} ended at byte {end}, and at {self._part.size} when it was "
                "surveyed; run again"
            )
