"""Quotes and commas of many records at once, in numpy, on the bytes as they lie in the file.

Records are given as `starts` and `ends` into a buffer, ascending and not overlapping, the line
end left out. Quotes are numbered within their record from 0: those of even number open, those of
odd number close, and a doubled quote inside a field closes and opens again. What lies between an
opening and a closing quote is inside quotes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

LF, CR, QUOTE, COMMA = b'\n\r",'

_FIELD_EDGE = np.zeros(256, np.bool_)
_FIELD_EDGE[[QUOTE, COMMA]] = True


def content_ends(buffer: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
    """Where each record's content ends: before its LF or CRLF, if it has one."""
    last = buffer[ends - 1] == LF
    before = np.maximum(ends - 2, 0)
    carriage = last & (ends - 2 >= starts) & (buffer[before] == CR)
    inner: Offsets = ends - last - carriage
    return inner


def quote_counts(buffer: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
    """The number of quotes in each record."""
    quotes = np.flatnonzero(buffer == QUOTE)
    return np.searchsorted(quotes, ends) - np.searchsorted(quotes, starts)


def strictly_quoted(buffer: Bytes, starts: Offsets, ends: Offsets) -> Flags:
    """Whether each record opens and closes its quotes only at the edges of fields.

    >>> text = np.frombuffer(b'a,"b" c,"d"', np.uint8)
    >>> strictly_quoted(text, np.array([0, 8]), np.array([7, 11])).tolist()
    [False, True]
    """
    quotes = np.flatnonzero(buffer == QUOTE)
    members, counts = _members(quotes, starts, ends)
    at = quotes[members]
    closing = _ordinals(counts) & 1 == 1
    edge = np.where(closing, np.repeat(ends, counts) - 1, np.repeat(starts, counts))
    neighbour = np.where(closing, at + 1, at - 1).clip(0, len(buffer) - 1)
    fine = (at == edge) | _FIELD_EDGE[buffer[neighbour]]
    stray = np.bincount(np.repeat(np.arange(len(starts)), counts)[~fine], minlength=len(starts))
    strict: Flags = (stray == 0) & (counts & 1 == 0)
    return strict


def column_counts(buffer: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
    """One more than the commas outside quotes, for each record."""
    return 1 + _outside_quotes(buffer, buffer == COMMA, starts, ends)


def lone_carriage_returns(buffer: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
    """The carriage returns outside quotes with no line feed after them, for each record."""
    lone = buffer == CR
    lone[:-1] &= buffer[1:] != LF
    return _outside_quotes(buffer, lone, starts, ends)


def _outside_quotes(buffer: Bytes, wanted: Flags, starts: Offsets, ends: Offsets) -> Offsets:
    marks = np.flatnonzero(wanted | (buffer == QUOTE))
    members, counts = _members(marks, starts, ends)
    is_quote = buffer[marks[members]] == QUOTE
    quotes_so_far = np.cumsum(is_quote)
    first = np.cumsum(counts) - counts
    quotes_before = np.concatenate([[0], quotes_so_far])[first]
    outside = ~is_quote & ((quotes_so_far - np.repeat(quotes_before, counts)) & 1 == 0)
    total = np.concatenate([[0], np.cumsum(outside)])
    found: Offsets = total[first + counts] - total[first]
    return found


def _members(positions: Offsets, starts: Offsets, ends: Offsets) -> tuple[Any, Offsets]:
    """Which of the positions lie in a record, and how many in each."""
    low = np.searchsorted(positions, starts)
    counts = np.searchsorted(positions, ends) - low
    return np.repeat(low, counts) + _ordinals(counts), counts


def _ordinals(counts: Offsets) -> Offsets:
    """0, 1, 2, ... anew for each record."""
    first = np.cumsum(counts) - counts
    return np.arange(int(counts.sum())) - np.repeat(first, counts)
