"""Where a row of a file breaks a rule about itself; its contract says which are checked.

Workers run this on typed Arrow columns, so it imports neither Spark nor what reads contracts.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from beatlake.quality.rules import Rule

#: A track shorter than this is a snippet or a skit rather than a recording of music.
VERY_SHORT_MS = 30_000
#: A track longer than this is a mix or a whole set.
VERY_LONG_MS = 3_600_000
#: Dates before this year are taken as nonsense: commercial recordings hardly go further back, and
#: the earliest believable date reported for this data set is 1908.
EARLIEST_YEAR = 1900
#: The typed columns of a file by name.
Values = Mapping[str, pa.Array]

_PARTIAL_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?", re.ASCII)
_PRECISIONS = ("year", "month", "day")
_DATED = pa.struct({"day": pa.date32(), "precision": pa.string()})


def _all_of(*conditions: pa.Array) -> pa.Array:
    found = conditions[0]
    for condition in conditions[1:]:
        found = pc.and_kleene(found, condition)
    return found


def _zero(values: Values, column: str) -> pa.Array:
    return pc.equal(values[column], 0)


@lru_cache(1 << 16)
def _partial_date(text: str | None) -> dict[str, object] | None:
    """The first day that a date of day, month or year precision may stand for, and which it is."""
    parts = _PARTIAL_DATE.fullmatch(text or "")
    if parts is None:
        return None
    numbers = [int(part) for part in parts.groups() if part is not None]
    try:
        day = dt.date(*[*numbers, 1, 1][:3])
    except ValueError:
        return None
    return {"day": day, "precision": _PRECISIONS[len(numbers) - 1]}


def _dated(values: Values) -> tuple[pa.Array, pa.Array]:
    """First day and precision of the release date: Spotify's is partial text, Beatport's a date."""
    given = values["release_date"]
    if pa.types.is_date(given.type):
        return given, pc.if_else(given.is_valid(), "day", pa.scalar(None, pa.string()))
    # Dates repeat; those that differ are looked at one by one.
    encoded = given.dictionary_encode()
    dated = pa.array([_partial_date(text) for text in encoded.dictionary.to_pylist()], _DATED)
    rows = dated.take(encoded.indices)
    return pc.struct_field(rows, "day"), pc.struct_field(rows, "precision")


def _possible(values: Values) -> pa.Array:
    """Whether a date is there and lies between 1900 and the year after the row was written."""
    years = pc.year(_dated(values)[0])
    # Without its zone, which is UTC: no database of zones is needed for it.
    written = pc.year(values["updated_on"].cast(pa.timestamp("us")))
    possible = pc.and_(
        pc.greater_equal(years, EARLIEST_YEAR), pc.less_equal(years, pc.add(written, 1))
    )
    return pc.fill_null(possible, False)


def _possible_with(values: Values, precision: str) -> pa.Array:
    return pc.and_(_possible(values), pc.equal(_dated(values)[1], precision))


def _new_year(values: Values) -> pa.Array:
    day = _dated(values)[0]
    return pc.and_(pc.equal(pc.month(day), 1), pc.equal(pc.day(day), 1))


#: Checks over the rows of a file: true where the rule is broken (null counts as not broken).
CHECKS: Mapping[Rule, Callable[[Values], pa.Array]] = {
    Rule.ALL_ZERO_FEATURES: lambda v: _all_of(
        *(_zero(v, name) for name in ("tempo", "time_signature", "danceability", "valence"))
    ),
    Rule.LOUDNESS_ABOVE_ZERO: lambda v: pc.greater(v["loudness"], 0),
    Rule.VERY_SHORT_DURATION: lambda v: pc.less(v["duration_ms"], VERY_SHORT_MS),
    Rule.VERY_LONG_DURATION: lambda v: pc.greater(v["duration_ms"], VERY_LONG_MS),
    Rule.NO_ISRC: lambda v: v["isrc"].is_null(),
    Rule.BPM_MISSING: lambda v: _zero(v, "bpm"),
    Rule.YEAR_ONLY_DATE: lambda v: _possible_with(v, "year"),
    Rule.YEAR_MONTH_DATE: lambda v: _possible_with(v, "month"),
    Rule.IMPOSSIBLE_DATE: lambda v: pc.and_(v["release_date"].is_valid(), pc.invert(_possible(v))),
    Rule.PLACEHOLDER_DATE: lambda v: pc.and_(_possible_with(v, "day"), _new_year(v)),
}
