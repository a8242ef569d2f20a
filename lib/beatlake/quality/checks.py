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


def _between(column: str, low: float | None = None, high: float | None = None) -> Column:
    value = F.col(column)
    broken = F.lit(False)
    if low is not None:
        broken = broken | (value < low)
    if high is not None:
        broken = broken | (value > high)
    return broken


def _date_text() -> Column:
    return F.col("release_date").cast("string")


def _possible_date() -> Column:
    return dates.is_possible(_date_text(), F.col("updated_on"))


def _possible_with(precision: str) -> Column:
    return _possible_date() & (dates.precision(_date_text()) == precision)


#: Checks over one row of a file: true where the rule is broken (null counts as not broken).
CHECKS: Mapping[Rule, Callable[[], Column]] = {
    Rule.ALL_ZERO_FEATURES: lambda: (
        (F.col("tempo") == 0)
        & (F.col("time_signature") == 0)
        & (F.col("danceability") == 0)
        & (F.col("valence") == 0)
    ),
    Rule.LOUDNESS_ABOVE_ZERO: lambda: _between("loudness", high=0),
    Rule.VERY_SHORT_DURATION: lambda: _between("duration_ms", low=VERY_SHORT_MS),
    Rule.VERY_LONG_DURATION: lambda: _between("duration_ms", high=VERY_LONG_MS),
    Rule.NO_ISRC: lambda: F.col("isrc").isNull(),
    Rule.BPM_MISSING: lambda: F.col("bpm") == 0,
    Rule.YEAR_ONLY_DATE: lambda: _possible_with("year"),
    Rule.YEAR_MONTH_DATE: lambda: _possible_with("month"),
    Rule.IMPOSSIBLE_DATE: lambda: F.col("release_date").isNotNull() & ~_possible_date(),
    Rule.PLACEHOLDER_DATE: lambda: _possible_date() & dates.is_placeholder(_date_text()),
}
