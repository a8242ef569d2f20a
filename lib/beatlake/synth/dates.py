"""Release dates: growth to a peak in 2019-2020, Fridays, seasons, and Spotify's precisions."""

from __future__ import annotations

from functools import cache

import numpy as np
import pyarrow as pa

from beatlake.synth.randomness import Array
from beatlake.synth.texts import Text, looked_up

FULL, MONTH, YEAR = 0, 1, 2
FIRST_YEAR, LAST_YEAR = 1960, 2023
_EPOCH = np.datetime64("1970-01-01")
_YEAR_WEIGHTS = {
    1960: 1, 1965: 2, 1970: 4, 1975: 6, 1980: 8, 1985: 10, 1990: 25, 1995: 60, 2000: 130, 2004: 260,
    2006: 500, 2008: 900, 2010: 1400, 2012: 1900, 2014: 2400, 2016: 3000, 2018: 3600, 2019: 4000,
    2020: 4000, 2021: 3300, 2022: 2600, 2023: 1100,
}  # fmt: skip
# Relative output per month; the real market rests at the turn of the year and in August.
_MONTH_WEIGHTS = (0.90, 0.96, 1.06, 1.04, 1.06, 1.06, 1.00, 0.90, 1.04, 1.10, 1.08, 0.80)
LAST_DAY = int((np.datetime64("2023-08-20") - _EPOCH).astype(int))


@cache
def _days() -> tuple[Array, Array]:
    """Every possible day and the cumulated probability up to it."""
    start, stop = np.datetime64(f"{FIRST_YEAR}-01-01"), np.datetime64("2023-08-21")
    days = np.arange(start, stop)
    years = days.astype("datetime64[Y]").astype(int) + 1970
    months = days.astype("datetime64[M]").astype(int) % 12
    weight = np.interp(years, list(_YEAR_WEIGHTS), list(_YEAR_WEIGHTS.values()))
    weight = weight / np.bincount(years)[years]
    weight = weight * np.array(_MONTH_WEIGHTS)[months]
    number = (days - _EPOCH).astype(np.int64)
    # 1970-01-01 was a Thursday.
    weight = weight * np.where(number % 7 == 1, 6.0, 1.0)
    return number, np.cumsum(weight) / weight.sum()


def release_days(n: int, rng: np.random.Generator) -> Array:
    """Days since 1970 of `n` releases."""
    number, cumulated = _days()
    drawn = np.searchsorted(cumulated, rng.random(n), side="right")
    return number[np.minimum(drawn, len(number) - 1)].astype(np.int32)


def later_days(day: Array, rng: np.random.Generator) -> Array:
    """Days of compilations: the given days and up to a few years more."""
    result: Array = np.minimum(day + (700 * rng.random(len(day)) ** 2).astype(np.int32), LAST_DAY)
    return result


def year_of(day: Array) -> Array:
    """The calendar year of days since 1970."""
    result: Array = (_EPOCH + day.astype("timedelta64[D]")).astype("datetime64[Y]").astype(
        np.int64
    ) + 1970
    return result


def month_of(day: Array) -> Array:
    """The month, 1 to 12, of days since 1970."""
    months = (_EPOCH + day.astype("timedelta64[D]")).astype("datetime64[M]")
    result: Array = months.astype(np.int64) % 12 + 1
    return result


def first_of_year(day: Array) -> Array:
    """The first of January of the same year."""
    start = (_EPOCH + day.astype("timedelta64[D]")).astype("datetime64[Y]").astype("datetime64[D]")
    result: Array = (start - _EPOCH).astype(np.int32)
    return result


def last_possible(day: Array, precision: Array) -> Array:
    """The latest day that a written date can mean: the end of its month or year if partial.

    >>> last_possible(np.array([0, 0, 0]), np.array([FULL, MONTH, YEAR])).tolist()
    [0, 30, 364]
    """
    date = _EPOCH + day.astype("timedelta64[D]")
    month_end = (date.astype("datetime64[M]") + 1).astype("datetime64[D]") - 1
    year_end = (date.astype("datetime64[Y]") + 1).astype("datetime64[D]") - 1
    date = np.where(precision == MONTH, month_end, np.where(precision == YEAR, year_end, date))
    result: Array = (date - _EPOCH).astype(np.int32)
    return result


@cache
def _tables() -> tuple[int, Text, Text, Text]:
    number, _ = _days()
    start = int(number[0])
    days = np.datetime_as_string(_EPOCH + np.arange(start, 20_000).astype("timedelta64[D]"))
    return (
        start,
        pa.array([str(day) for day in days]),
        pa.array([str(day)[:7] for day in days]),
        pa.array([str(day)[:4] for day in days]),
    )


def date_texts(day: Array, precision: Array | None = None) -> Text:
    """`YYYY-MM-DD`, or `YYYY-MM` and `YYYY` where the precision says so."""
    start, full, month, year = _tables()
    if precision is None:
        return looked_up(full, day - start)
    table = pa.concat_arrays([full, month, year])
    return looked_up(table, day.astype(np.int64) - start + precision.astype(np.int64) * len(full))


def batch_times(position: Array, first: str, rows_per_batch: int, seconds_apart: int) -> Text:
    """`updated_on` of rows written in batches: every batch shares one second."""
    batch = position.astype(np.int64) // rows_per_batch
    distinct, place = np.unique(batch, return_inverse=True)
    moments = np.datetime64(first.replace(" ", "T")) + (distinct * seconds_apart).astype(
        "timedelta64[s]"
    )
    texts = [str(moment).replace("T", " ") for moment in np.datetime_as_string(moments, unit="s")]
    return looked_up(pa.array(texts), place)
