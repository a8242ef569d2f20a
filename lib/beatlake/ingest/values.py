"""Text values to typed ones, and a verdict on each record: whole columns at a time, in Arrow.

Workers run this on the reader's batches. It looks at single values only where one is wrong, and
imports neither Spark nor what reads contracts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.quality.checks import CHECKS, Rows
from beatlake.quality.counting import Outcome, Tally, added_up
from beatlake.quality.rules import VALUE_RULES, Rule
from beatlake.tables.spec import arrow_type

#: Characters of an offending value that a reason keeps.
SHOWN_VALUE = 100
_REASON = pa.struct([(name, pa.string()) for name in ("rule", "severity", "column", "value")])
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


class Judgement(NamedTuple):
    """The rows of a batch by what becomes of them: each is in one table, and counted once.

    ``good`` has the columns of a bronze table, ``bad`` those of a quarantine table.
    """

    good: pa.Table
    bad: pa.Table
    tallies: list[Tally]


class Judge:
    """Types every value of a file, and says which records are set aside and which rows flagged."""

    def __init__(
        self, file: str, columns: Sequence[Column], checks: Sequence[Rule], key: Sequence[str]
    ) -> None:
        """For a file of these columns, the rules that its rows are checked by, and its key."""
        self._file = file
        self._columns, self._checks, self._key = tuple(columns), tuple(checks), tuple(key)

    def __call__(self, batch: pa.RecordBatch, source_file: str) -> Judgement:
        """What becomes of the records of a batch.

        Args:
            batch: what the reader gives: columns as text, place, and the defects that it found.
            source_file: the part that the records are of.
        """
        values: dict[str, pa.Array] = {}
        broken: list[tuple[Column, pa.StringArray]] = []
        for column in self._columns:
            text = batch.column(column.name)
            values[column.name] = typed(text, column.type)
            if (rules := _broken_rules(column, text, values[column.name])) is not None:
                broken.append((column, rules))
        bad = np.asarray(batch.column("defect").is_valid())
        for column, rules in broken:
            if column.severity == _ERROR:
                bad = bad | np.asarray(rules.is_valid())
        place = {
            "source_file": pa.repeat(source_file, len(bad)),
            "byte_offset": batch.column("byte_offset"),
            "byte_length": batch.column("byte_length"),
        }
        rows = Rows(values)
        flags = [(rule.value, _mask(CHECKS[rule](rows))) for rule in self._checks]
        flags += [
            (rule.value, _mask(pc.equal(rules, rule.value)))
            for column, rules in broken
            if column.severity != _ERROR
            for rule in VALUE_RULES
        ]
        good = pa.table({**values, "flags": _lists(flags, len(bad)), **place})
        chosen = pa.array(np.flatnonzero(bad))
        aside = {
            **self._set_aside(batch.take(chosen), broken, chosen),
            **{name: column.take(chosen) for name, column in place.items()},
        }
        if len(chosen):
            good = good.filter(pa.array(~bad))
        checked = [(name, hit[~bad]) for name, hit in flags[: len(self._checks)]]
        tallies = [*self._counted(good, checked), *self._counted_aside(aside)]
        return Judgement(good, pa.table(aside), tallies)

    def _tally(
        self, outcome: Outcome, rows: int, rule: str | None = None, example: str | None = None
    ) -> Tally:
        return Tally(f"bronze.{self._file}", self._file, outcome, rows, rule, example)

    def _counted(self, good: pa.Table, flags: Sequence[tuple[str, Flags]]) -> list[Tally]:
        """The rows kept, and those of them that each check flags, with the smallest key."""
        found = [self._tally("kept", good.num_rows)]
        for rule, rows in flags:
            if n_rows := int(np.count_nonzero(rows)):
                keys = good.select(self._key).filter(pa.array(rows))
                texts = [column.cast(pa.string()) for column in keys.columns]
                text = pc.binary_join_element_wise(*texts, " / ", null_handling="skip")
                found.append(self._tally("flagged", n_rows, rule, pc.min(text).as_py()))
        return found

    def _counted_aside(self, aside: Mapping[str, pa.Array]) -> list[Tally]:
        """The records set aside by their first reason, each with where it lies."""
        columns = [aside[name].to_pylist() for name in ("reasons", "source_file", "byte_offset")]
        return added_up(
            self._tally("set_aside", 1, reasons[0]["rule"], f"{source_file} at byte {offset}")
            for reasons, source_file, offset in zip(*columns, strict=True)
        )

    def _set_aside(
        self,
        records: pa.RecordBatch,
        broken: Sequence[tuple[Column, pa.StringArray]],
        chosen: pa.Array,
    ) -> dict[str, pa.Array]:
        """Text and reasons of the records set aside, gone through one by one."""
        texts = records.select([column.name for column in self._columns]).to_pylist()
        rules = [(column, names.take(chosen).to_pylist()) for column, names in broken]
        raw, reasons = [], []
        defects = zip(records["defect"].to_pylist(), records["raw_record"].to_pylist(), strict=True)
        for row, (defect, unread) in enumerate(defects):
            if defect is not None:
                raw.append(unread)
                reasons.append([_reason(defect, _ERROR)])
                continue
            raw.append(postgres_csv(list(texts[row].values())))
            reasons.append(
                [
                    _reason(names[row], column.severity, column.name, texts[row][column.name])
                    for column, names in rules
                    if names[row] is not None
                ]
            )
        return {
            "raw_record": pa.array(raw, pa.string()),
            "reasons": pa.array(reasons, pa.list_(_REASON)),
        }


def _reason(
    rule: str, severity: str, column: str | None = None, value: str | None = None
) -> dict[str, str | None]:
    shown = None if value is None else value[:SHOWN_VALUE]
    return {"rule": rule, "severity": severity, "column": column, "value": shown}


def _mask(condition: pa.BooleanArray) -> Flags:
    found: Flags = np.asarray(pc.fill_null(condition, False))
    return found


def _lists(flags: Sequence[tuple[str, Flags]], length: int) -> pa.ListArray:
    """For each row the names whose flag it has, in their order."""
    names = pa.array([name for name, _ in flags], pa.string())
    rows = np.stack([rows for _, rows in flags], axis=1) if flags else np.zeros((length, 0), bool)
    ends = np.concatenate([[0], np.cumsum(rows.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), names.take(pa.array(np.nonzero(rows)[1])))
