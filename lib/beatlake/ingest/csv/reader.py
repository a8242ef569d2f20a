"""A split of a part as Arrow batches: the contract's columns as text, and where each row lies.

Every record is looked at in numpy first; what is left is handed to pyarrow's parser, which then
must find as many rows as there are records. A value is never changed, and a record that cannot be
read becomes a row of nulls with the name of the rule and the raw text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pacsv

from beatlake.ingest.csv.blocks import RAW_BYTES, Block, record_blocks
from beatlake.ingest.csv.diagnosis import (
    FINE,
    code_of,
    codes,
    rule_names,
    wrong_column_counts,
)
from beatlake.ingest.csv.rules import CsvLimits
from beatlake.ingest.csv.structure import Flags, Offsets, content_ends
from beatlake.ingest.csv.survey import PartSurvey, Split
from beatlake.quality.rules import Rule

CUT_MARK = "…[cut]"

_PLACE = (
    pa.field("part_index", pa.int32()),
    pa.field("byte_offset", pa.int64()),
    pa.field("byte_length", pa.int32()),
    pa.field("defect", pa.string()),
    pa.field("raw_record", pa.string()),
)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The two high bits of a UTF-8 byte that is not the first of its character.
_CONTINUATION = 0b1000_0000


def batch_schema(columns: Sequence[str]) -> pa.Schema:
    """The columns of every batch: the contract's as text, then the row's place and its defect.

    >>> batch_schema(["isrc"]).names
    ['isrc', 'part_index', 'byte_offset', 'byte_length', 'defect', 'raw_record']
    """
    taken = {field.name for field in _PLACE} & set(columns)
    if taken or not columns or len(set(columns)) != len(columns):
        raise ValueError(
            f"columns must be distinct, at least one, and none of {sorted(f.name for f in _PLACE)}"
        )
    return pa.schema([*(pa.field(column, pa.string()) for column in columns), *_PLACE])


def read_split(
    part: PartSurvey, split: Split, columns: Sequence[str], limits: CsvLimits
) -> Iterator[pa.RecordBatch]:
    r"""One row for each record whose first byte lies in the split, in file order.

    The `columns` come in the order given, whatever the part's own. `byte_offset` is the record's
    first byte in the uncompressed part and `byte_length` its bytes with the line end. `defect` is
    the rule that the record breaks, or null; only then are the columns null and `raw_record` is
    the text without its line end, invalid bytes as \xHH, cut after 8 KiB. A batch holds at most
    65,536 rows.

    Raises:
        CsvInputError: the part cannot be read or is no longer the one that was surveyed.
    """
    if limits != part.limits:
        raise ValueError(f"{part.path} was surveyed with {part.limits}, not with {limits}")
    schema = batch_schema(columns)
    parser = _Parser(part.header, columns)
    for block in record_blocks(part, split, limits):
        yield _batch(block, split.part_index, schema, parser, limits)


class _Parser:
    """pyarrow's CSV parser for sound records of one part."""

    def __init__(self, header: Sequence[str], columns: Sequence[str]) -> None:
        self.header, self.columns = tuple(header), tuple(columns)
        self._parse = pacsv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
        self._convert = pacsv.ConvertOptions(
            column_types={name: pa.string() for name in header},
            include_columns=list(columns),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            # The bytes of the whole block have been checked already.
            check_utf8=False,
        )

    def __call__(self, data: bytes) -> pa.Table:
        """Raises pa.ArrowInvalid if a record has the wrong number of columns."""
        if data.startswith(_BYTE_ORDER_MARK):
            # pyarrow drops one at the start; here it would be the first bytes of a value.
            data = _BYTE_ORDER_MARK + data
        if not data.endswith(b"\n"):
            # At the end of its input pyarrow takes an empty last field for a quoted one if the
            # field before it was quoted, and so for an empty string instead of NULL.
            data += b"\n"
        read = pacsv.ReadOptions(
            column_names=self.header, use_threads=False, block_size=len(data) + 1
        )
        table = pacsv.read_csv(pa.BufferReader(data), read, self._parse, self._convert)
        return table.combine_chunks()

    def empty(self) -> pa.Table:
        return pa.schema([(name, pa.string()) for name in self.columns]).empty_table()


def _batch(
    block: Block, part_index: int, schema: pa.Schema, parser: _Parser, limits: CsvLimits
) -> pa.RecordBatch:
    starts = np.concatenate([[0], block.ends[:-1]])
    found = codes(block, starts, limits)
    table = _parse(block, starts, found, parser)
    repeated = _repeated_headers(table, parser)
    if repeated.any():
        found[np.flatnonzero(found == FINE)[repeated]] = code_of(Rule.REPEATED_HEADER)
        table = table.filter(pa.array(~repeated))
    malformed = found[-1] not in (FINE, code_of(Rule.REPEATED_HEADER))
    if malformed and not block.ended:
        found[-1] = code_of(Rule.TORN_RECORD)
    values, defects, raw = _rows(block, starts, found, table)
    place = [
        pa.array(np.full(len(starts), part_index, np.int32)),
        pa.array(starts + block.offset),
        pa.array((block.ends - starts).astype(np.int32)),
    ]
    return pa.RecordBatch.from_arrays([*values, *place, defects, raw], schema=schema)


def _parse(block: Block, starts: Offsets, found: Offsets, parser: _Parser) -> pa.Table:
    """The values of the sound records; marks in `found` those of the wrong width."""
    try:
        table = _parse_sound(block, starts, found, parser)
    except pa.ArrowInvalid:
        # Only the width is left for pyarrow to object to, and it names but the first such row.
        sound = np.flatnonzero(found == FINE)
        wrong = wrong_column_counts(block, starts[sound], block.ends[sound], len(parser.header))
        found[sound[wrong]] = code_of(Rule.WRONG_COLUMN_COUNT)
        table = _parse_sound(block, starts, found, parser)
    expected = int(np.count_nonzero(found == FINE))
    if table.num_rows != expected:
        raise RuntimeError(
            f"pyarrow found {table.num_rows} rows in {expected} records from byte {block.offset}"
        )
    return table


def _parse_sound(block: Block, starts: Offsets, found: Offsets, parser: _Parser) -> pa.Table:
    sound = found == FINE
    if sound.all():
        return parser(block.data)
    if not sound.any():
        return parser.empty()
    edges = np.flatnonzero(np.diff(sound, prepend=False, append=False)).reshape(-1, 2)
    runs = zip(starts[edges[:, 0]].tolist(), block.ends[edges[:, 1] - 1].tolist(), strict=True)
    return parser(b"".join(block.data[start:end] for start, end in runs))


def _repeated_headers(table: pa.Table, parser: _Parser) -> Flags:
    """Which rows hold in every column that column's own name."""
    rows = np.arange(table.num_rows)
    for name in parser.header:
        if not len(rows):
            break
        column = table.column(name)
        # Hardly ever is a row left after the first column, and then the others cost nothing.
        candidates = column if len(rows) == table.num_rows else column.take(pa.array(rows))
        same = pc.fill_null(pc.equal(candidates, name), False)
        rows = rows[np.asarray(same)]
    repeated = np.zeros(table.num_rows, np.bool_)
    repeated[rows] = True
    return repeated


def _rows(
    block: Block, starts: Offsets, found: Offsets, table: pa.Table
) -> tuple[list[pa.Array], pa.Array, pa.Array]:
    """The values, defects and raw records, each as long as there are records."""
    sound = found == FINE
    columns = [_one_chunk(column) for column in table.columns]
    if sound.all():
        nothing = pa.nulls(len(found), pa.string())
        return columns, nothing, nothing
    row = pa.array(np.cumsum(sound) - 1, mask=~sound)
    defective = np.flatnonzero(~sound)
    raw = _raw_records(block, starts, defective).take(pa.array(np.cumsum(~sound) - 1, mask=sound))
    names = pa.array(rule_names(), pa.string()).take(pa.array(found, mask=sound))
    return [column.take(row) for column in columns], names, raw


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks else pa.nulls(0, pa.string())


def _raw_records(block: Block, starts: Offsets, chosen: Offsets) -> pa.Array:
    """The chosen records' texts without their line ends, for a person to look at."""
    if not block.cut:
        inner = content_ends(np.frombuffer(block.data, np.uint8), starts, block.ends)
        if (inner - starts)[chosen].max() <= RAW_BYTES:
            # Contents and line ends by turns, so that the bytes need not be copied one by one.
            edges = np.append(np.stack([starts, inner], axis=1).ravel(), block.ends[-1])
            contents = pa.Array.from_buffers(
                pa.binary(),
                2 * len(starts),
                [None, pa.py_buffer(edges.astype(np.int32)), pa.py_buffer(block.data)],
            ).take(pa.array(2 * chosen))
            with contextlib.suppress(pa.ArrowInvalid):
                return contents.cast(pa.string())
    texts = [_raw(block.data[starts[i] : block.ends[i]]) for i in chosen]
    return pa.array(texts, pa.string())


def _raw(record: bytes) -> str:
    content = record.removesuffix(b"\n").removesuffix(b"\r") if record[-1:] == b"\n" else record
    if len(content) <= RAW_BYTES:
        return content.decode(errors="backslashreplace")
    end = RAW_BYTES
    # A character that the cut goes through is left out rather than shown as broken bytes.
    while end > RAW_BYTES - 4 and content[end] & 0b1100_0000 == _CONTINUATION:
        end -= 1
    return content[:end].decode(errors="backslashreplace") + CUT_MARK
