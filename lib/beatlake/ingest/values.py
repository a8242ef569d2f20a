"""Text values to typed ones, and a verdict on each record: whole columns at a time, in Arrow.

Workers run this on the reader's batches. It looks at single values only where one is wrong, and
imports neither Spark nor what reads contracts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.quality.rules import Rule
from beatlake.tables.spec import arrow_type

#: Characters of an offending value that a reason keeps.
SHOWN_VALUE = 100
REASON = "struct<rule:string,severity:string,column:string,value:string>"
#: What a judged batch holds beside the values, by name, with Spark's types: the verdict...
VERDICT = {
    "_bad": "boolean",
    "_reasons": f"array<{REASON}>",
    "_warned": "array<string>",
    "raw_record": "string",
}
#: ...and where the record lies.
PLACE = {"part_index": "int", "byte_offset": "bigint", "byte_length": "int"}
_ERROR = "error"

Flags = npt.NDArray[np.bool_]

# What a cast would take besides is not data but damage: `0x1F`, `.5`, `NaN`, times without
# seconds, zones. `$` would let a line break pass.
_NOTATION = {
    "int": r"^-?[0-9]+\z",
    "bigint": r"^-?[0-9]+\z",
    "double": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\z",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z",
    "timestamp": r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?\z",
}


def _among(characters: str) -> Flags:
    """Which of all bytes are among some ASCII characters."""
    table = np.zeros(256, np.bool_)
    table[list(characters.encode("ascii"))] = True
    return table


_DIGIT, _FIRST = _among("0123456789"), _among("0123456789-")
#: The bytes and the length of texts which are in their type's notation if a cast takes them.
_PLAIN: Mapping[str, tuple[Flags, int | None]] = {
    "int": (_FIRST, None),
    "bigint": (_FIRST, None),
    "double": (_among("0123456789-."), None),
    "date": (_FIRST, 10),
    "timestamp": (_among("0123456789-: "), 19),
}


@dataclass(frozen=True)
class Column:
    """What a contract says of one column, as workers need it; ``shape``: length and characters."""

    name: str
    type: str
    required: bool
    shape: tuple[int, str] | None
    min: float | None
    max: float | None
    allowed: tuple[str, ...] | None
    severity: str


def typed(text: pa.StringArray, kind: str) -> pa.Array:
    """Texts as ``kind``; null where one is not written the one way PostgreSQL exports it.

    >>> typed(pa.array(["1", "+1", "0x1"]), "int").to_pylist()
    [1, None, None]
    """
    if kind == "string":
        return text
    if kind == "boolean":
        return pc.if_else(pc.is_in(text, pa.array(["t", "f"])), pc.equal(text, "t"), None)
    if _is_plain(text, *_PLAIN[kind]):
        try:
            return _cast(text, kind)
        except pa.ArrowInvalid:
            pass
    return _cast_each(pc.if_else(pc.match_substring_regex(text, _NOTATION[kind]), text, None), kind)


def _cast(text: pa.StringArray, kind: str) -> pa.Array:
    if kind == "timestamp":
        return text.cast(pa.timestamp("us")).cast(arrow_type(kind))
    return text.cast(arrow_type(kind))


def _cast_each(text: pa.StringArray, kind: str) -> pa.Array:
    """A cast that gives null for what cannot be cast, found by halving."""
    try:
        return _cast(text, kind)
    except pa.ArrowInvalid:
        if len(text) == 1:
            return pa.nulls(1, arrow_type(kind))
        half = len(text) // 2
        return pa.concat_arrays([_cast_each(text[:half], kind), _cast_each(text[half:], kind)])


def _is_plain(text: pa.StringArray, allowed: Flags, length: int | None) -> bool:
    """Whether all texts but the nulls are of these bytes and length, in the one plain notation.

    False is no verdict: some may be written otherwise and be right all the same.
    """
    ends, data = _layout(text)
    sizes = np.diff(ends)
    some = sizes > 0
    if np.count_nonzero(some) != len(text) - text.null_count:
        return False
    if length is not None and not (sizes[some] == length).all():
        return False
    if not allowed[data].all():
        return False
    if not (_FIRST[data[ends[:-1][some]]].all() and _DIGIT[data[ends[1:][some] - 1]].all()):
        return False
    # No point is the first or last of its text, so what stands beside it is of the same text.
    points = np.flatnonzero(data == ord("."))
    return bool(_DIGIT[data[points - 1]].all() and _DIGIT[data[points + 1]].all())


def _layout(text: pa.StringArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where each text ends in the bytes of all, 0 before them, and the bytes."""
    _, offsets, content = text.buffers()
    ends = np.frombuffer(offsets, np.int32, len(text) + 1, 4 * text.offset).astype(np.int64)
    data = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]]
    return ends - ends[0], data


def _has_shape(text: pa.StringArray, length: int, characters: str) -> pa.BooleanArray:
    """Which texts have this length and are of these ASCII characters; null has not."""
    ends, data = _layout(text)
    inside = np.concatenate([[0], np.cumsum(_among(characters)[data])])
    fine = (np.diff(ends) == length) & (np.diff(inside[ends]) == length)
    return pc.fill_null(pc.if_else(text.is_valid(), pa.array(fine), False), False)


def _broken_rules(column: Column, text: pa.StringArray, value: pa.Array) -> pa.Array | None:
    """The name of the first rule that each value breaks, null where it is fine; None if all are."""
    given, known = text.is_valid(), value.is_valid()
    broken: list[tuple[Rule, pa.BooleanArray]] = []
    if column.required:
        broken.append((Rule.MISSING_VALUE, pc.invert(given)))
    broken.append((Rule.WRONG_TYPE, pc.and_(given, pc.invert(known))))
    if column.shape is not None:
        broken.append((Rule.WRONG_SHAPE, pc.and_not(known, _has_shape(value, *column.shape))))
    if column.min is not None:
        broken.append((Rule.OUT_OF_RANGE, pc.less(value, column.min)))
    if column.max is not None:
        broken.append((Rule.OUT_OF_RANGE, pc.greater(value, column.max)))
    if column.allowed is not None:
        listed = pc.is_in(value, pa.array(column.allowed))
        broken.append((Rule.NOT_ALLOWED, pc.and_not(known, listed)))
    found = [(rule, pc.fill_null(rows, False)) for rule, rows in broken if rows.true_count]
    if not found:
        return None
    conditions = pc.make_struct(
        *[rows for _, rows in found], field_names=[str(i) for i in range(len(found))]
    )
    return pc.case_when(conditions, *[pa.scalar(rule.value) for rule, _ in found])


def postgres_csv(values: Sequence[str | None]) -> str:
    """A record's text as PostgreSQL's COPY writes it: null is empty, quotes only where needed.

    >>> print(postgres_csv(["a", None, "", 'b "c" d']))
    a,,"","b ""c"" d"
    """
    return ",".join(
        ""
        if value is None
        else '"' + value.replace('"', '""') + '"'
        if value == "" or any(c in value for c in '",\r\n')
        else value
        for value in values
    )


class Judge:
    """Types every value of a batch and says which records are set aside, and why."""

    def __init__(self, columns: Sequence[Column]) -> None:
        """For files of these columns."""
        self.columns = tuple(columns)
        #: The columns of a judged batch, by name, with Spark's types.
        self.types: Mapping[str, str] = (
            {column.name: column.type for column in columns} | VERDICT | PLACE
        )

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The typed values and the verdict on each row of a batch of the reader's.

        No row is lost: a row is for bronze, or ``_bad``, which sets the record aside. ``_reasons``
        has all rules that are broken, ``_warned`` those which only flag the row, and `raw_record`
        the text of a bad record.
        """
        values: list[pa.Array] = []
        broken: list[tuple[Column, pa.StringArray]] = []
        for column in self.columns:
            text = batch.column(column.name)
            values.append(typed(text, column.type))
            if (rules := _broken_rules(column, text, values[-1])) is not None:
                broken.append((column, rules))
        verdict = [*self._verdict(batch, broken), *[batch.column(name) for name in PLACE]]
        schema = pa.schema([(name, arrow_type(kind)) for name, kind in self.types.items()])
        return pa.RecordBatch.from_arrays([*values, *verdict], schema=schema)

    def _verdict(
        self, batch: pa.RecordBatch, broken: Sequence[tuple[Column, pa.StringArray]]
    ) -> Iterator[pa.Array]:
        """The columns of `VERDICT`. Rows are gone through one by one only if they are wrong."""
        defect, raw = batch.column("defect"), batch.column("raw_record")
        unread = np.asarray(defect.is_valid())
        bad = unread.copy()
        reasons: dict[int, list[dict[str, str | None]]] = {}
        warned: dict[int, list[str]] = {}
        for row in np.flatnonzero(unread).tolist():
            reasons[row] = [_reason(defect[row].as_py(), _ERROR, None, None)]
        for column, rules in broken:
            rows = np.flatnonzero(np.asarray(rules.is_valid()) & ~unread)
            chosen = pa.array(rows)
            texts = batch.column(column.name).take(chosen).to_pylist()
            names = rules.take(chosen).to_pylist()
            for row, rule, text in zip(rows.tolist(), names, texts, strict=True):
                reason = _reason(rule, column.severity, column.name, text)
                reasons.setdefault(row, []).append(reason)
                if column.severity != _ERROR:
                    warned.setdefault(row, []).append(rule)
            if column.severity == _ERROR:
                bad[rows] = True
        if (again := bad & ~unread).any():
            names = [column.name for column in self.columns]
            records = batch.select(names).filter(pa.array(again)).to_pylist()
            texts = [postgres_csv(list(record.values())) for record in records]
            raw = pc.replace_with_mask(raw, pa.array(again), pa.array(texts, pa.string()))
        yield pa.array(bad)
        yield _lists(reasons, len(bad), arrow_type(REASON))
        yield _lists(warned, len(bad), pa.string())
        yield raw


def _reason(
    rule: str, severity: str, column: str | None, value: str | None
) -> dict[str, str | None]:
    shown = None if value is None else value[:SHOWN_VALUE]
    return {"rule": rule, "severity": severity, "column": column, "value": shown}


def _lists(given: Mapping[int, Sequence[object]], length: int, kind: pa.DataType) -> pa.ListArray:
    """A list for each row: what is given for it, else an empty one."""
    sizes = np.zeros(length + 1, np.int32)
    rows = sorted(given)
    sizes[np.array(rows, np.int64) + 1] = [len(given[row]) for row in rows]
    values = pa.array([value for row in rows for value in given[row]], kind)
    return pa.ListArray.from_arrays(pa.array(np.cumsum(sizes, dtype=np.int32)), values)
