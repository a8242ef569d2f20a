"""Sums that do not depend on the order of rows, and the moments that follow from them, as SQL.

Floating sums differ with the order of rows. Values are scaled to integers first, whose sums DuckDB
takes in 128 bits; beyond these it is an error, not a wrong sum.
"""

from __future__ import annotations

from beatlake.tables.gold import EXACT


def scaled(value: str, decimals: int) -> str:
    """``value * 10^decimals`` rounded to an integer; exact for values of so many decimals."""
    return f"round_even({value}::DOUBLE * {10**decimals}::DOUBLE, 0)::BIGINT"


def exact_sum(value: str) -> str:
    """The exact sum of an integer expression; 0 for no values."""
    return f"coalesce(sum({value}), 0)::{EXACT}"


def mean(total: str, weight: str, decimals: int) -> str:
    """The mean from an exact sum of scaled values; null where there are none."""
    return (
        f"CASE WHEN {weight} > 0"
        f" THEN {total}::DOUBLE / {weight}::DOUBLE / {10**decimals}::DOUBLE END"
    )


def standard_deviation(count: str, total: str, squares: str, decimals: int) -> str:
    """Sample standard deviation from exact sums, null below two values.

    Computed as sqrt((n * sum(x^2) - sum(x)^2) / (n * (n - 1))) with an exact numerator, so the
    cancellation that makes this formula bad in floating arithmetic does not arise.
    """
    numerator = f"{count}::HUGEINT * {squares}::HUGEINT - {total}::HUGEINT * {total}::HUGEINT"
    pairs = f"({count}::DOUBLE * ({count} - 1)::DOUBLE)"
    return (
        f"CASE WHEN {count} > 1"
        f" THEN sqrt(({numerator})::DOUBLE / {pairs}) / {10**decimals}::DOUBLE END"
    )
