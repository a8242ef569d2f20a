"""Where a row of a file breaks a rule about itself; its contract says which are checked.

Workers run this on typed Arrow columns, so it imports neither Spark nor what reads contracts.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache, reduce

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
_PARTIAL_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?", re.ASCII)
_PRECISIONS = ("year", "month", "day")
_DATED = pa.struct({"day": pa.date32(), "precision": pa.string()})


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


class Rows:
    """The typed columns of a file by name, and what several checks need of the release date."""

    def __init__(self, values: Mapping[str, pa.Array]) -> None:
        """Of a batch of rows."""
        self._values = values

    def __getitem__(self, column: str) -> pa.Array:
        """The values of a column."""
        return self._values[column]

    def zero(self, column: str) -> pa.Array:
        """Where a number is 0."""
        return pc.equal(self[column], 0)

    @cached_property
    def dated(self) -> tuple[pa.Array, pa.Array]:
        """First day and precision of the date: Spotify's is partial text, Beatport's a date."""
        given = self["release_date"]
        if pa.types.is_date(given.type):
            return given, pc.if_else(given.is_valid(), "day", pa.scalar(None, pa.string()))
        # Dates repeat; those that differ are looked at one by one.
        encoded = given.dictionary_encode()
        dated = pa.array([_partial_date(text) for text in encoded.dictionary.to_pylist()], _DATED)
        rows = dated.take(encoded.indices)
        return pc.struct_field(rows, "day"), pc.struct_field(rows, "precision")

    @cached_property
    def possible(self) -> pa.Array:
        """Whether a date is there and lies between 1900 and the year after the row was written."""
        years = pc.year(self.dated[0])
        # Without its zone, which is UTC: no database of zones is needed for it.
        written = pc.year(self["updated_on"].cast(pa.timestamp("us")))
        possible = pc.and_(
            pc.greater_equal(years, EARLIEST_YEAR), pc.less_equal(years, pc.add(written, 1))
        )
        return pc.fill_null(possible, False)

    def possible_with(self, precision: str) -> pa.Array:
        """Where a date is possible and of this precision."""
        return pc.and_(self.possible, pc.equal(self.dated[1], precision))

    def new_year(self) -> pa.Array:
        """Where the first day of the date is 1 January."""
        day = self.dated[0]
        return pc.and_(pc.equal(pc.month(day), 1), pc.equal(pc.day(day), 1))


#: Checks over the rows of a file: true where the rule is broken (null counts as not broken).
CHECKS: Mapping[Rule, Callable[[Rows], pa.Array]] = {
    Rule.ALL_ZERO_FEATURES: lambda rows: reduce(
        pc.and_kleene, map(rows.zero, ("tempo", "time_signature", "danceability", "valence"))
    ),
    Rule.LOUDNESS_ABOVE_ZERO: lambda rows: pc.greater(rows["loudness"], 0),
    Rule.VERY_SHORT_DURATION: lambda rows: pc.less(rows["duration_ms"], VERY_SHORT_MS),
    Rule.VERY_LONG_DURATION: lambda rows: pc.greater(rows["duration_ms"], VERY_LONG_MS),
    Rule.NO_ISRC: lambda rows: rows["isrc"].is_null(),
    Rule.BPM_MISSING: lambda rows: rows.zero("bpm"),
    Rule.YEAR_ONLY_DATE: lambda rows: rows.possible_with("year"),
    Rule.YEAR_MONTH_DATE: lambda rows: rows.possible_with("month"),
    Rule.IMPOSSIBLE_DATE: lambda rows: pc.and_(
        rows["release_date"].is_valid(), pc.invert(rows.possible)
    ),
    Rule.PLACEHOLDER_DATE: lambda rows: pc.and_(rows.possible_with("day"), rows.new_year()),
}
