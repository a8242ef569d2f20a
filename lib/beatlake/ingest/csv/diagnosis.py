"""Which rule, if any, each record of a block breaks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from beatlake.ingest.csv.blocks import Block
from beatlake.ingest.csv.rules import RULES, CsvLimits
from beatlake.ingest.csv.structure import (
    CR,
    Flags,
    Offsets,
    column_counts,
    content_ends,
    lone_carriage_returns,
    quote_counts,
    strictly_quoted,
)
from beatlake.quality.rules import Rule

FINE = len(RULES)
_LAST_ASCII = 0x7F


def code_of(rule: Rule) -> int:
    """The rule's number in a block's codes: its precedence, 0 the first."""
    return RULES.index(rule)


def rule_names() -> Sequence[str]:
    """The rules' names, each at its code."""
    return [rule.value for rule in RULES]


def codes(block: Block, starts: Offsets, limits: CsvLimits) -> Offsets:
    """For each record the code of the first rule that it breaks, or FINE.

    Not looked at here are the width, which the parser watches at no cost, and the two rules that
    need it: a torn record and a repeated header.
    """
    found = np.full(len(starts), FINE, np.int64)
    _mark(found, Rule.RECORD_TOO_LONG, block.ends - starts > limits.max_record_bytes)
    if block.cut:
        return found
    data, ends = block.data, block.ends
    buffer = np.frombuffer(data, np.uint8)
    inner = content_ends(buffer, starts, ends)
    if b'"' in data and not (strict := strictly_quoted(buffer, starts, inner)).all():
        _mark(found, Rule.UNBALANCED_QUOTE, quote_counts(buffer, starts, inner) & 1 == 1)
        _mark(found, Rule.STRAY_QUOTE, ~strict)
    _mark(found, Rule.BLANK_LINE, inner == starts)
    if b"\0" in data:
        _mark(found, Rule.NUL_BYTE, _holding(np.flatnonzero(buffer == 0), ends))
    in_line_ends = int((ends - inner).sum()) - len(ends) + (not block.ended)
    if np.count_nonzero(buffer == CR) > in_line_ends:
        lone = lone_carriage_returns(buffer, starts, inner)
        _mark(found, Rule.LONE_CARRIAGE_RETURN, lone > 0)
    if not _is_utf8(data):
        _mark(found, Rule.INVALID_UTF8, _not_utf8(data, starts, ends))
    return found


def wrong_column_counts(block: Block, starts: Offsets, ends: Offsets, n_columns: int) -> Flags:
    """Which of these records, sound otherwise, have more or fewer columns than `n_columns`."""
    buffer = np.frombuffer(block.data, np.uint8)
    wrong: Flags = column_counts(buffer, starts, ends) != n_columns
    return wrong


def _mark(found: Offsets, rule: Rule, broken: Flags) -> None:
    """A record keeps the first rule in precedence, in whatever order the rules are looked at."""
    found[broken] = np.minimum(found[broken], code_of(rule))


def _holding(positions: Offsets, ends: Offsets) -> Flags:
    holding = np.zeros(len(ends), np.bool_)
    holding[np.searchsorted(ends, positions, side="right")] = True
    return holding


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    offsets = pa.py_buffer(np.array([0, len(data)], np.int32))
    try:
        pa.Array.from_buffers(pa.binary(), 1, [None, offsets, pa.py_buffer(data)]).cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _not_utf8(data: bytes, starts: Offsets, ends: Offsets) -> Flags:
    bad = np.zeros(len(starts), np.bool_)
    not_ascii = np.flatnonzero(np.frombuffer(data, np.uint8) > _LAST_ASCII)
    for index in np.flatnonzero(_holding(not_ascii, ends)).tolist():
        bad[index] = not _is_utf8_record(data[starts[index] : ends[index]])
    return bad


def _is_utf8_record(record: bytes) -> bool:
    try:
        record.decode()
    except UnicodeDecodeError:
        return False
    return True
