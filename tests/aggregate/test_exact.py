"""Exact sums against Python's integers and fractions."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from beatlake.aggregate.exact import exact_sum, mean, scaled, standard_deviation


def answer(values: Sequence[float | None], type_: pa.DataType, *wanted: str) -> tuple[Any, ...]:
    """The row that SQL gives of a column x."""
    connection = duckdb.connect()
    connection.register("given", pa.table({"x": pa.array(values, type_)}))
    (row,) = connection.execute(f"SELECT {', '.join(wanted)} FROM given").fetchall()
    return tuple(row)


def test_sums_are_exact_where_64_bits_are_not_enough() -> None:
    values = [2**61, 2**61, 2**61, 2**61, -7, -(2**50)]
    assert answer(values, pa.int64(), exact_sum("x")) == (sum(values),)


def test_no_values_sum_to_zero() -> None:
    assert answer([None], pa.int64(), exact_sum("x")) == (0,)
    assert answer([], pa.int64(), exact_sum("x")) == (0,)


def test_moments_follow_from_exact_sums() -> None:
    draw = random.Random(5)
    values = [round(draw.gauss(-9, 4), 3) for _ in range(500)]
    q = scaled("x", 3)
    count, total, squares = "count(x)", exact_sum(q), exact_sum(f"{q} * {q}")
    found_mean, found_deviation = answer(
        values, pa.float64(), mean(total, count, 3), standard_deviation(count, total, squares, 3)
    )
    assert abs(found_mean - statistics.fmean(values)) < 1e-12
    assert abs(found_deviation - statistics.stdev(values)) < 1e-12


def test_halves_are_rounded_to_even_and_below_zero_alike() -> None:
    values = [0.5, 1.5, 2.5, -0.5, -1.5, 1e15]
    assert answer(values, pa.float64(), f"list({scaled('x', 0)})") == ([0, 2, 2, 0, -2, 10**15],)


def test_equal_values_deviate_by_exactly_nothing() -> None:
    q = scaled("x", 6)
    deviation = standard_deviation("count(x)", exact_sum(q), exact_sum(f"{q} * {q}"), 6)
    assert answer([0.0333, 0.0333], pa.float64(), deviation) == (0.0,)
    assert answer([0.0333], pa.float64(), deviation) == (None,)
