"""Sums that do not depend on the order of rows, and the moments that follow from them.

Floating sums differ with partitioning. Values are scaled to integers first; where their sum could
pass 2^63, high and low halves are summed apart and put together as a decimal of 38 digits.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from beatlake.tables.gold import EXACT

_LOW_BITS = 16
_LOW_MASK = (1 << _LOW_BITS) - 1


def scaled(value: Column, decimals: int) -> Column:
    """``value * 10^decimals`` rounded to an integer; exact for values of so many decimals."""
    return F.rint(value.cast("double") * float(10**decimals)).cast("bigint")


def exact_sum(value: Column, weight: Column | None = None) -> Column:
    """The exact sum of an integer column (times an integer weight); 0 for no values.

    Correct while rows * weight < 2^47 and rows * weight * |value| < 2^79; beyond that Spark's ANSI
    mode makes it an error, not a wrong sum.
    """
    weight = F.lit(1).cast("bigint") if weight is None else weight
    high = F.coalesce(F.sum(F.shiftright(value, _LOW_BITS) * weight), F.lit(0))
    low = F.coalesce(F.sum(value.bitwiseAND(_LOW_MASK) * weight), F.lit(0))
    scale = F.lit(1 << _LOW_BITS).cast("decimal(10,0)")
    return (high.cast("decimal(20,0)") * scale + low.cast("decimal(20,0)")).cast(EXACT)


def mean(total: Column, weight: Column, decimals: int) -> Column:
    """The mean from an exact sum of scaled values; null where there are none."""
    return F.when(weight > 0, total.cast("double") / weight.cast("double") / float(10**decimals))


def standard_deviation(count: Column, total: Column, squares: Column, decimals: int) -> Column:
    """Sample standard deviation from exact sums, null below two values.

    Computed as sqrt((n * sum(x^2) - sum(x)^2) / (n * (n - 1))) with an exact numerator, so the
    cancellation that makes this formula bad in floating arithmetic does not arise.
    """
    n = count.cast("decimal(19,0)")
    numerator = (n * squares - total * total).cast(EXACT)
    pairs = count.cast("double") * (count - 1).cast("double")
    return F.when(count > 1, F.sqrt(numerator.cast("double") / pairs) / float(10**decimals))
