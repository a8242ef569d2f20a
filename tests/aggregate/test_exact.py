"""Exact sums against Python's integers and fractions."""

from __future__ import annotations

import random
import statistics

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from beatlake.aggregate.exact import exact_sum, mean, scaled, standard_deviation


def test_sums_are_exact_where_64_bits_are_not_enough(spark: SparkSession) -> None:
    values = [2**61, 2**61, 2**61, 2**61, -7, -(2**50)]
    frame = spark.createDataFrame([(v,) for v in values], "v bigint")
    assert frame.agg(exact_sum(F.col("v"))).collect()[0][0] == sum(values)
    weighted = frame.agg(exact_sum(F.col("v"), F.lit(2520).cast("bigint"))).collect()[0][0]
    assert weighted == 2520 * sum(values)


def test_no_values_sum_to_zero(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None,)], "v bigint")
    assert frame.agg(exact_sum(F.col("v"))).collect()[0][0] == 0


def test_moments_follow_from_exact_sums(spark: SparkSession) -> None:
    draw = random.Random(5)
    values = [round(draw.gauss(-9, 4), 3) for _ in range(500)]
    frame = spark.createDataFrame([(v,) for v in values], "x double")
    q = scaled(F.col("x"), 3)
    sums = frame.agg(F.count("x").alias("n"), exact_sum(q).alias("s"), exact_sum(q * q).alias("s2"))
    row = sums.select(
        mean(F.col("s"), F.col("n"), 3).alias("mean"),
        standard_deviation(F.col("n"), F.col("s"), F.col("s2"), 3).alias("std"),
    ).collect()[0]
    assert abs(row["mean"] - statistics.fmean(values)) < 1e-12
    assert abs(row["std"] - statistics.stdev(values)) < 1e-12


def test_equal_values_deviate_by_exactly_nothing(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(0.0333,), (0.0333,)], "x double")
    q = scaled(F.col("x"), 6)
    row = frame.agg(
        standard_deviation(F.count("x"), exact_sum(q), exact_sum(q * q), 6).alias("std")
    ).collect()[0]
    assert row["std"] == 0.0
