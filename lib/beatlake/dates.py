"""Release dates of partial precision, and the seasons they fall in, as columns.

Spotify gives dates as ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``. Nothing is guessed: the text, its
parsed parts and its precision are kept side by side, and a year alone never becomes 1 January.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

#: Dates before this year are taken as nonsense: commercial recordings hardly go further back, and
#: the earliest believable date reported for this data set is 1908.
EARLIEST_YEAR = 1900

#: Meteorological seasons of the northern hemisphere by month (WMO): December opens the winter.
NORTHERN = ("winter", "spring", "summer", "autumn")
SOUTHERN = ("summer", "autumn", "winter", "spring")
UNKNOWN = "unknown"
_DAY = "yyyy-MM-dd"


def precision(text: Column) -> Column:
    """``day``, ``month`` or ``year`` by the shape of the text; null when it has none of them."""
    return (
        F.when(text.rlike(r"^\d{4}-\d{2}-\d{2}$"), "day")
        .when(text.rlike(r"^\d{4}-\d{2}$"), "month")
        .when(text.rlike(r"^\d{4}$"), "year")
    )


def is_possible(text: Column, written: Column) -> Column:
    """Whether the date exists and lies between 1900 and the year after it was ``written``.

    Args:
        text: a date of day, month or year precision as text.
        written: the timestamp at which the row was written (``updated_on``).
    """
    padded = (
        F.when(precision(text) == "year", F.concat(text, F.lit("-01-01")))
        .when(precision(text) == "month", F.concat(text, F.lit("-01")))
        .otherwise(text)
    )
    day = F.try_to_date(padded, _DAY)
    return F.coalesce(
        (F.year(day) >= EARLIEST_YEAR) & (F.year(day) <= F.year(written) + 1), F.lit(False)
    )


def latest_day(text: Column) -> Column:
    """The last day that a possible date of partial precision may stand for.

    Used to order dates: a full date sorts before the bare year that contains it, so the earliest
    date of a recording is never less precise than it could be.
    """
    return (
        F.when(precision(text) == "day", F.try_to_date(text, _DAY))
        .when(
            precision(text) == "month",
            F.last_day(F.try_to_date(F.concat(text, F.lit("-01")), _DAY)),
        )
        .when(
            precision(text) == "year",
            F.try_to_date(F.concat(text, F.lit("-12-31")), _DAY),
        )
    )


def is_placeholder(text: Column) -> Column:
    """Whether a full date is 1 January, which often stands for "some day of that year"."""
    return F.coalesce(text.rlike(r"^\d{4}-01-01$"), F.lit(False))


def season(month: Column, hemisphere: str = "north") -> Column:
    """The meteorological season of a month number; ``unknown`` for a null month."""
    names = NORTHERN if hemisphere == "north" else SOUTHERN
    quarter = F.floor((month % 12) / 3)
    listed = F.array(*[F.lit(name) for name in names])
    # Not a coalesce: in ANSI mode Spark takes element_at for never null, whatever its index.
    return F.when(month.isNull(), UNKNOWN).otherwise(
        F.element_at(listed, (quarter + 1).cast("int"))
    )


def season_year(year: Column, month: Column) -> Column:
    """The year a season belongs to: December counts to the season of the following year.

    December 2019, January 2020 and February 2020 are one season, named after 2020, so that a
    season is three consecutive months. Null when the month is unknown.
    """
    return F.when(month == 12, year + 1).when(month.isNotNull(), year)


def parts(text: Column, written: Column) -> list[Column]:
    """The columns ``release_date_text`` to ``is_placeholder_date`` of a date as text.

    A date that cannot be true keeps its text and has no parts.
    """
    possible = is_possible(text, written)
    kind = F.when(possible, precision(text))
    return [
        text.alias("release_date_text"),
        F.when(kind == "day", F.try_to_date(text, _DAY)).alias("release_date"),
        F.when(possible, F.substring(text, 1, 4).try_cast("int")).alias("release_year"),
        F.when(kind.isin("month", "day"), F.substring(text, 6, 2).try_cast("int")).alias(
            "release_month"
        ),
        F.when(kind == "day", F.substring(text, 9, 2).try_cast("int")).alias("release_day"),
        kind.alias("release_date_precision"),
        (possible & is_placeholder(text)).alias("is_placeholder_date"),
    ]
