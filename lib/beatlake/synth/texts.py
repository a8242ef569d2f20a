"""Columns of text from numbers, a whole chunk at a time: ids, codes, clock times, quoting.

Every function takes numpy arrays and gives an Arrow string array. Values are looked up in tables
of texts or put together as matrices of bytes; nothing loops over rows.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.synth.randomness import Array, below, hash64

Text: TypeAlias = "pa.StringArray"

ALPHABET = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_UPPER = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
_DIGITS = np.frombuffer(b"0123456789", np.uint8)
_COUNTRIES = (
    "GB GB GB GB US US US US DE DE DE DE NL NL NL FR FR IT IT ES BE SE CA AU RU UK QZ QM QZ TC CH "
    "AT DK NO FI PL PT IL BR AR MX JP ZA GR RO HU UA TR IE CZ BG RS HR AE IN AA AD"
).split()
_PER_REGISTRANT = 1500


def from_bytes(matrix: Array) -> Text:
    """One text per row of a matrix of bytes."""
    rows, width = matrix.shape
    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int32) * np.int32(width))
    data = pa.py_buffer(np.ascontiguousarray(matrix))
    return pa.StringArray.from_buffers(rows, offsets, data)


def of_integers(values: Array) -> Text:
    """Decimal text of whole numbers."""
    return pa.array(values).cast(pa.string())


def looked_up(table: Text, index: Array) -> Text:
    """The texts of a table at the given places."""
    return table.take(pa.array(index.astype(np.int32, copy=False)))


def where_null(text: Any, null: Array) -> Text:
    """The texts with NULL where `null` holds."""
    return pc.if_else(pa.array(null), pa.scalar(None, pa.string()), text)


def flags(values: Array) -> Text:
    """PostgreSQL's `t` and `f`."""
    return looked_up(pa.array(["f", "t"]), values.astype(np.int32))


def joined(*parts: Any) -> Text:
    """The parts one after another; texts and arrays of them."""
    return pc.binary_join_element_wise(*parts, "")


@cache
def _blocks() -> tuple[Array, Array]:
    letters = np.frombuffer(ALPHABET, np.uint8)
    two = np.stack([letters.repeat(62), np.tile(letters, 62)], axis=1)
    three = np.concatenate([letters.repeat(3844)[:, None], np.tile(two, (62, 1))], axis=1)
    return two, three


def _base62(words: Array, out: Array) -> None:
    """Eleven base-62 digits per 64-bit word, written into `out` (n, 11)."""
    two, three = _blocks()
    left = words
    for column in (8, 5, 2):
        rest = left // np.uint64(238_328)
        out[:, column : column + 3] = three[(left - rest * np.uint64(238_328)).astype(np.int64)]
        left = rest
    out[:, 0:2] = two[(left % np.uint64(3844)).astype(np.int64)]


def spotify_ids(index: Array, seed: int, kind: str) -> Text:
    """Base-62 ids of 22 characters; different indexes of one kind give different ids."""
    matrix = np.empty((len(index), 22), np.uint8)
    # 62 ** 11 > 2 ** 64, so the first half alone tells any two indexes apart.
    _base62(hash64(index, seed, "spotify " + kind), matrix[:, :11])
    _base62(hash64(index, seed, "spotify low " + kind), matrix[:, 11:])
    return from_bytes(matrix)


def hexadecimal(index: Array, digits: int, seed: int, purpose: str) -> Array:
    """`digits` random lower-case hexadecimal digits per index, as a matrix of bytes."""
    words = -(-digits // 16)
    raw = np.empty((len(index), words), np.uint64)
    for word in range(words):
        raw[:, word] = hash64(index, seed, f"{purpose} {word}")
    octets = raw.view(np.uint8)
    letters = np.frombuffer(b"0123456789abcdef", np.uint8)
    matrix = np.empty((len(index), words * 16), np.uint8)
    matrix[:, 0::2] = letters[octets >> 4]
    matrix[:, 1::2] = letters[octets & 15]
    return matrix[:, :digits]


def uuids(index: Array, seed: int, purpose: str) -> Text:
    """Random UUIDs (version 4) in the usual notation."""
    digits = hexadecimal(index, 32, seed, purpose)
    matrix = np.full((len(index), 36), ord("-"), np.uint8)
    start = 0
    for place, width in ((0, 8), (9, 4), (14, 4), (19, 4), (24, 12)):
        matrix[:, place : place + width] = digits[:, start : start + width]
        start += width
    matrix[:, 14] = ord("4")
    matrix[:, 19] = np.frombuffer(b"89ab", np.uint8)[digits[:, 16] & 3]
    return from_bytes(matrix)


def numerals(values: Array, width: int) -> Array:
    """Decimal digits with leading zeros, as a matrix of bytes."""
    matrix = np.empty((len(values), width), np.uint8)
    left = values.astype(np.int64)
    for column in range(width - 1, -1, -1):
        left, digit = np.divmod(left, 10)
        matrix[:, column] = _DIGITS[digit]
    return matrix


def isrcs(number: Array, year: Array, seed: int) -> Text:
    """ISRC of recordings; `number` tells them apart, `year` (since 1900) gives two digits.

    Country and registrant follow from number // 1500, the designation from the remainder, so that
    two numbers never share an ISRC whatever their years.
    """
    registrant, rest = np.divmod(number.astype(np.int64), _PER_REGISTRANT)
    code = (registrant * 17_497 + 4_211) % 46_656
    countries = np.frombuffer("".join(_COUNTRIES).encode(), np.uint8).reshape(-1, 2)
    matrix = np.empty((len(number), 12), np.uint8)
    matrix[:, 0:2] = countries[below(registrant, len(countries), seed, "isrc country")]
    matrix[:, 2] = _UPPER[code // 1296]
    matrix[:, 3] = _UPPER[code // 36 % 36]
    matrix[:, 4] = _UPPER[code % 36]
    matrix[:, 5:7] = numerals(year % 100, 2)
    matrix[:, 7:12] = numerals(rest * 66 + registrant % 66, 5)
    return from_bytes(matrix)


@cache
def clock_table() -> Text:
    """`m:ss`, from one hour `h:mm:ss`, for every number of seconds up to three hours."""
    short = [f"{s // 60}:{s % 60:02d}" for s in range(3600)]
    long = [f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(3600, 10_801)]
    return pa.array(short + long)


@cache
def fixed_table(low: int, high: int, steps: int, decimals: int) -> Text:
    """Texts of low/steps .. high/steps with a fixed number of decimals."""
    return pa.array([f"{i / steps:.{decimals}f}" for i in range(low, high + 1)])


@cache
def _needs_quotes() -> Array:
    table = np.zeros(256, bool)
    table[list(b',"\r\n')] = True
    return table


def quoted(text: Any) -> Text:
    """Texts as COPY writes them: quoted where they hold a comma, a quote or a line end."""
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)[: offsets[-1]]
    places = np.flatnonzero(_needs_quotes()[data[offsets[0] :]]) + offsets[0]
    if len(places) == 0:
        return text
    rows = np.unique(np.searchsorted(offsets, places, side="right") - 1)
    special = pc.replace_substring(text.take(pa.array(rows)), '"', '""')
    mask = np.zeros(len(text), bool)
    mask[rows] = True
    return pc.replace_with_mask(text, pa.array(mask), joined('"', special, '"'))
