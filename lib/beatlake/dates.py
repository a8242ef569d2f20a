"""Release dates of partial precision, and the seasons they fall in, as columns.

Spotify gives dates as ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``. Nothing is guessed: the text, its
parsed parts and its precision are kept side by side, and a year alone never becomes 1 January.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

#: Meteorological seasons of the northern hemisphere by month (WMO): December opens the winter.
NORTHERN = ("winter", "spring", "summer", "autumn")
SOUTHERN = ("summer", "autumn", "winter", "spring")
UNKNOWN = "unknown"


def precision(text: Column) -> Column:
    """``day``, ``month`` or ``year`` by the shape of the text; null when it has none of them."""
    return (
        F.when(text.rlike(r"^\d{4}-\d{2}-\d{2}\z"), "day")
        .when(text.rlike(r"^\d{4}-\d{2}\z"), "month")
        .when(text.rlike(r"^\d{4}\z"), "year")
    )


def first_day(text: Column) -> Column:
    """The first day that a date of day, month or year precision may stand for; null if none is."""
    return F.when(precision(text).isNotNull(), text.try_cast("date"))


def latest_day(text: Column) -> Column:
    """The last day that a date of day, month or year precision may stand for; null if none is.

    Used to order dates: a full date sorts before the bare year that contains it, so the earliest
    date of a recording is never less precise than it could be.
    """
    return (
        F.when(precision(text) == "day", first_day(text))
        .when(precision(text) == "month", F.last_day(first_day(text)))
        .when(precision(text) == "year", F.concat(text, F.lit("-12-31")).try_cast("date"))
    )


def is_new_year(day: Column) -> Column:
    """Whether a full date is 1 January, which often stands for "some day of that year"."""
    return F.coalesce((F.month(day) == 1) & (F.dayofmonth(day) == 1), F.lit(False))


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


def parts(text: Column, impossible: Column) -> list[Column]:
    """The columns ``release_date_text`` to ``is_placeholder_date`` of a date as text.

    Args:
        text: the date.
        impossible: whether it cannot be true, as the flags of its row say; such a date keeps its
            text and has no parts.
    """
    day = first_day(text)
    possible = text.isNotNull() & ~impossible
    kind = F.when(possible, precision(text))
    return [
        text.alias("release_date_text"),
        F.when(kind == "day", day).alias("release_date"),
        F.when(possible, F.year(day)).alias("release_year"),
        F.when(kind.isin("month", "day"), F.month(day)).alias("release_month"),
        F.when(kind == "day", F.dayofmonth(day)).alias("release_day"),
        kind.alias("release_date_precision"),
        F.when(kind == "day", is_new_year(day)).otherwise(False).alias("is_placeholder_date"),
    ]
