"""The boundary pass: where records begin, how many there are, and what the bytes hash to.

One pass over every byte, in chunks. Chunks are looked at in parallel, knowing nothing of their
neighbours; a tally then goes through them in order and settles the lines that cross a border.
Records are counted as line feeds less the breaks inside joined records, by code that the parser
does not use, so that the count can stand against the parser's in a ledger.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from beatlake.ingest.csv.chunks import CHUNK_BYTES, Chunk, PartTally, look_at
from beatlake.ingest.csv.errors import CsvInputError
from beatlake.ingest.csv.header import Header, read_header
from beatlake.ingest.csv.rules import CsvLimits, Note
from beatlake.ingest.csv.source import READ_ERRORS, Part, one_line
from beatlake.ingest.csv.structure import Offsets


@dataclass(frozen=True, eq=False)
class PartSurvey:
    """What the boundary pass found in one part. Offsets count uncompressed bytes.

    `joined` holds a row [start, end) for each record of more than one line, ascending. `sha256` is
    the hash over the hashes of consecutive 4 MiB chunks of the uncompressed bytes, so that a part
    has the same hash whether it is compressed or not.
    """

    part: Part
    header: tuple[str, ...]
    data_start: int
    size: int
    limits: CsvLimits
    joined: Offsets
    records: int
    sha256: str
    notes: tuple[Note, ...]

    @property
    def path(self) -> str:
        """Where the part lies, for people."""
        return self.part.path

    def near(self, split: Split) -> PartSurvey:
        """The same survey with only those joined records that touch the split."""
        low = np.searchsorted(self.joined[:, 1], split.start, side="right")
        high = np.searchsorted(self.joined[:, 0], split.end)
        return replace(self, joined=self.joined[low:high])

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"joined": _pack(self.joined)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"joined": _unpack(state["joined"]).reshape(-1, 2)})


@dataclass(frozen=True, eq=False)
class FileSurvey:
    """All parts of one file."""

    parts: tuple[PartSurvey, ...]

    @property
    def records(self) -> int:
        """Physical records, sound or not, the headers left out."""
        return sum(part.records for part in self.parts)

    @property
    def bytes(self) -> int:
        """Uncompressed bytes, the headers included."""
        return sum(part.size for part in self.parts)

    @property
    def sha256(self) -> str:
        """The hash over the parts' hashes, in order."""
        return hashlib.sha256(b"".join(bytes.fromhex(p.sha256) for p in self.parts)).hexdigest()

    @property
    def notes(self) -> tuple[Note, ...]:
        """Every note that holds for at least one part."""
        return tuple(note for note in Note if any(note in part.notes for part in self.parts))


@dataclass(frozen=True)
class Split:
    """The records of a part whose first byte lies in [start, end)."""

    part_index: int
    start: int
    end: int


def survey(
    parts: Sequence[Part], columns: Sequence[str], limits: CsvLimits, threads: int
) -> FileSurvey:
    """Checks each part's header against `columns` and finds the bounds of its records.

    Raises:
        CsvInputError: with every problem found. Where a header is wrong, no part is read further.
    """
    problems: list[str] = []
    headers: list[Header] = []
    for part in parts:
        try:
            headers.append(read_header(part, columns, limits))
        except CsvInputError as error:
            problems += error.problems
    if problems:
        raise CsvInputError(problems)
    surveyed: list[PartSurvey] = []
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        for part, header in zip(parts, headers, strict=True):
            try:
                surveyed.append(_survey_part(part, header, limits, pool, threads))
            except CsvInputError as error:
                problems += error.problems
    if problems:
        raise CsvInputError(problems)
    return FileSurvey(tuple(surveyed))


def splits(survey: FileSurvey, split_bytes: int) -> list[Split]:
    """Cuts every part at arbitrary bytes into splits of `split_bytes`; a .gz part stays whole."""
    if split_bytes < 1:
        raise ValueError(f"split_bytes must be at least 1, not {split_bytes}")
    cut: list[Split] = []
    for index, part in enumerate(survey.parts):
        step = max(part.size, 1) if part.part.gzipped else split_bytes
        for start in range(part.data_start, part.size, step):
            cut.append(Split(index, start, min(start + step, part.size)))
    return cut


def _survey_part(
    part: Part, header: Header, limits: CsvLimits, pool: ThreadPoolExecutor, threads: int
) -> PartSurvey:
    tally = PartTally(header.data_start, header.ended, len(header.names), limits)
    digest = hashlib.sha256()
    try:
        for chunk in _chunks(part, header, limits, pool, threads):
            digest.update(chunk.digest)
            tally.add(chunk)
        changed = part.changed()
    except READ_ERRORS as error:
        hint = " (is the file cut short?)" if part.gzipped else ""
        raise CsvInputError(f"{part.path} cannot be read: {one_line(error)}{hint}") from error
    except ValueError as error:
        raise CsvInputError(f"{part.path} {error}") from error
    if changed:
        raise CsvInputError(f"{part.path} changed while it was read; wait until it is complete")
    tally.finish()
    notes = header.notes if tally.ends_with_newline else (*header.notes, Note.NO_FINAL_NEWLINE)
    return PartSurvey(
        part=part,
        header=header.names,
        data_start=header.data_start,
        size=tally.size,
        limits=limits,
        joined=tally.joined(),
        records=tally.records,
        sha256=digest.hexdigest(),
        notes=tuple(note for note in Note if note in notes),
    )


def _chunks(
    part: Part, header: Header, limits: CsvLimits, pool: ThreadPoolExecutor, threads: int
) -> Iterator[Chunk]:
    """The part's chunks, looked at, in order; a few are in flight at a time."""
    waiting: deque[Future[Chunk]] = deque()
    n_columns = len(header.names)
    offset = 0
    with part.open() as stream:
        while data := _read_full(stream, CHUNK_BYTES):
            waiting.append(pool.submit(look_at, data, offset, header.data_start, n_columns, limits))
            offset += len(data)
            if len(waiting) > max(threads, 1):
                yield waiting.popleft().result()
    for chunk in waiting:
        yield chunk.result()


def _read_full(stream: Any, count: int) -> bytes:
    """Exactly `count` bytes unless the stream ends: chunk borders are part of the hash."""
    data: bytes = stream.read(count)
    if len(data) in (0, count):
        return data
    pieces = [data]
    missing = count - len(data)
    while missing and (piece := stream.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _pack(offsets: Offsets) -> bytes:
    """Ascending offsets as compressed differences: a few bytes each instead of eight."""
    return zlib.compress(np.diff(offsets.ravel(), prepend=0).astype(np.int64).tobytes(), 1)


def _unpack(packed: bytes) -> Offsets:
    return np.cumsum(np.frombuffer(zlib.decompress(packed), np.int64))
