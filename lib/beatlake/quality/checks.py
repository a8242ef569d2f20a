"""Where a row of a file breaks a rule about itself; its contract says which are checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from beatlake import dates
from beatlake.quality.rules import Rule

#: A track shorter than this is a snippet or a skit rather than a recording of music.
VERY_SHORT_MS = 30_000
#: A track longer than this is a mix or a whole set.
VERY_LONG_MS = 3_600_000
#: The type of each column by name, as a contract states it.
Types = Mapping[str, str]


def _between(column: str, low: float | None = None, high: float | None = None) -> Column:
    value = F.col(column)
    broken = F.lit(False)
    if low is not None:
        broken = broken | (value < low)
    if high is not None:
        broken = broken | (value > high)
    return broken


def _date(types: Types) -> Column:
    """The release date as a date: Spotify's is text of any precision, Beatport's a date."""
    given = F.col("release_date")
    return dates.first_day(given) if types["release_date"] == "string" else given


def _possible_date(types: Types) -> Column:
    return dates.is_possible(_date(types), F.col("updated_on"))


def _precision(types: Types) -> Column:
    if types["release_date"] == "string":
        return dates.precision(F.col("release_date"))
    return F.lit("day")


def _possible_with(types: Types, precision: str) -> Column:
    return _possible_date(types) & (_precision(types) == precision)


#: Checks over one row of a file whose columns have these types: true where the rule is broken (null
#: counts as not broken).
CHECKS: Mapping[Rule, Callable[[Types], Column]] = {
    Rule.ALL_ZERO_FEATURES: lambda _: (
        (F.col("tempo") == 0)
        & (F.col("time_signature") == 0)
        & (F.col("danceability") == 0)
        & (F.col("valence") == 0)
    ),
    Rule.LOUDNESS_ABOVE_ZERO: lambda _: _between("loudness", high=0),
    Rule.VERY_SHORT_DURATION: lambda _: _between("duration_ms", low=VERY_SHORT_MS),
    Rule.VERY_LONG_DURATION: lambda _: _between("duration_ms", high=VERY_LONG_MS),
    Rule.NO_ISRC: lambda _: F.col("isrc").isNull(),
    Rule.BPM_MISSING: lambda _: F.col("bpm") == 0,
    Rule.YEAR_ONLY_DATE: lambda types: _possible_with(types, "year"),
    Rule.YEAR_MONTH_DATE: lambda types: _possible_with(types, "month"),
    Rule.IMPOSSIBLE_DATE: lambda types: F.col("release_date").isNotNull() & ~_possible_date(types),
    Rule.PLACEHOLDER_DATE: lambda types: (
        _possible_with(types, "day") & dates.is_new_year(_date(types))
    ),
}
