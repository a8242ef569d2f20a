"""Reading a part's header line and holding it against the contract's column names."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np

from beatlake.ingest.csv.errors import CsvInputError
from beatlake.ingest.csv.rules import CsvLimits, Note
from beatlake.ingest.csv.source import READ_ERRORS, Part, one_line
from beatlake.ingest.csv.structure import strictly_quoted

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_GZIP_MARK = b"\x1f\x8b"
_STEP = 64 << 10
_SHOWN_NAMES = 10
_SHOWN_LENGTH = 60


@dataclass(frozen=True)
class Header:
    """The column names in file order, and where the first record starts.

    `ended` tells whether the header has a line end, without which there is no record.
    """

    names: tuple[str, ...]
    data_start: int
    ended: bool
    notes: tuple[Note, ...]


def read_header(part: Part, columns: Sequence[str], limits: CsvLimits) -> Header:
    """The header of a part, checked by name against `columns` in any order.

    The header is the first text line; unlike a record it may not contain a line break.

    Raises:
        CsvInputError: the part is empty or no UTF-8 CSV, or its columns are not the contract's.
    """
    try:
        with part.open() as stream:
            line, ended = _first_line(stream, limits.max_record_bytes)
    except READ_ERRORS as error:
        raise CsvInputError(f"{part.path} cannot be read: {one_line(error)}") from error
    notes = []
    data_start = len(line)
    if line.startswith(_BYTE_ORDER_MARK):
        notes.append(Note.BYTE_ORDER_MARK)
        line = line[len(_BYTE_ORDER_MARK) :]
    if problem := next(_form_problems(line, ended, limits), None):
        raise CsvInputError(f"{part.path} {problem}")
    names = _names(line)
    if problems := _name_problems(names, columns):
        raise CsvInputError(f"{part.path}: {problem}" for problem in problems)
    if names != tuple(columns):
        notes.append(Note.REORDERED_COLUMNS)
    return Header(names, data_start, line.endswith(b"\n"), tuple(notes))


def _first_line(stream: IO[bytes], limit: int) -> tuple[bytes, bool]:
    """The first line with its line end, and whether it ended within the limit."""
    line = b""
    while len(line) <= limit:
        piece = stream.read(_STEP)
        end = piece.find(b"\n") + 1
        line += piece[:end] if end else piece
        if end or not piece:
            return line, len(line) <= limit
    return line, False


def _form_problems(line: bytes, ended: bool, limits: CsvLimits) -> Iterator[str]:
    """What makes a first line unfit to be a header at all; only the first one found is sure."""
    content = line.removesuffix(b"\n").removesuffix(b"\r")
    expected = "a header line with the column names was expected"
    if not line:
        yield f"is empty; {expected}"
    if line.startswith(_UTF16_MARKS):
        yield "is UTF-16; convert it to UTF-8"
    if line.startswith(_GZIP_MARK):
        yield "is gzip data; name it .csv.gz"
    if b"\0" in content:
        yield "has NUL bytes in its first line, as UTF-16 and binary files do; convert it to UTF-8"
    if b"\r" in content:
        yield (
            "ends its lines with a bare carriage return, or has one in its header; "
            "convert the line ends to LF or CRLF"
        )
    if not ended:
        yield f"has no line end within the first {limits.max_record_bytes} bytes; {expected}"
    if not content:
        yield f"starts with a blank line; {expected}"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        yield f"has a header that is not UTF-8 (byte {error.start + 1}); convert it to UTF-8"
    whole = np.array([0]), np.array([len(content)])
    if not strictly_quoted(np.frombuffer(content, np.uint8), *whole)[0]:
        yield "has a header with unbalanced or stray quotes; write the names without quotes"


def _names(line: bytes) -> tuple[str, ...]:
    """The fields of a strictly quoted line."""
    names: list[str] = []
    field = ""
    for piece in line.decode().removesuffix("\n").removesuffix("\r").split(","):
        field += piece
        if field.count('"') % 2:
            field += ","
            continue
        names.append(field[1:-1].replace('""', '"') if field.startswith('"') else field)
        field = ""
    return tuple(names)


def _name_problems(names: Sequence[str], columns: Sequence[str]) -> list[str]:
    missing = [column for column in columns if column not in set(names)]
    unknown = list(dict.fromkeys(name for name in names if name not in set(columns)))
    repeated = [name for name, count in Counter(names).items() if count > 1]
    problems = []
    if unknown and len(missing) == len(columns):
        problems.append(
            "the first line names none of the expected columns; is the header missing, "
            f"or is the separator not a comma? It starts {_cut(','.join(names[:3]))!r}"
        )
    if missing:
        problems.append(f"the header lacks {_listed(missing, unknown)}")
    if unknown:
        problems.append(f"the header has unknown {_listed(unknown, missing or columns)}")
    if repeated:
        problems.append(f"the header names more than once {_listed(repeated, ())}")
    return problems


def _listed(names: Sequence[str], candidates: Iterable[str]) -> str:
    """The names, each with its nearest match among the candidates."""
    candidates = [candidate for candidate in candidates if len(candidate) <= _SHOWN_LENGTH]
    shown = []
    for name in names[:_SHOWN_NAMES]:
        near = difflib.get_close_matches(name[:_SHOWN_LENGTH], candidates[:1000], n=1)
        shown.append(repr(_cut(name)) + (f" (nearest: {near[0]!r})" if near else ""))
    more = len(names) - _SHOWN_NAMES
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "..."
