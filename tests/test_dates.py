"""Dates of partial precision: nothing is guessed, and nonsense stays visible."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from beatlake import dates
from beatlake.quality.checks import CHECKS, Rows
from beatlake.quality.rules import Rule

WRITTEN = dt.datetime(2023, 8, 22, 18, 8, 48)
#: text -> year, month, day, precision, placeholder
CASES = {
    "2019-06-14": (2019, 6, 14, "day", False),
    "2019-01-01": (2019, 1, 1, "day", True),
    "2019-06": (2019, 6, None, "month", False),
    "2019": (2019, None, None, "year", False),
    "0000": (None, None, None, None, False),
    "0000-01-01": (None, None, None, None, False),
    "1850": (None, None, None, None, False),
    "2024-12-31": (2024, 12, 31, "day", False),
    "2025": (None, None, None, None, False),
    "2021-02-30": (None, None, None, None, False),
    "2021-13": (None, None, None, None, False),
    "2020-02-29": (2020, 2, 29, "day", False),
    "21-02-03": (None, None, None, None, False),
    "2021-2-3": (None, None, None, None, False),
    "": (None, None, None, None, False),
    "2019\n": (None, None, None, None, False),
}


def test_parts_of_dates(spark: SparkSession) -> None:
    values = {"release_date": pa.array(CASES), "updated_on": pa.array([WRITTEN] * len(CASES))}
    impossible = CHECKS[Rule.IMPOSSIBLE_DATE](Rows(values)).to_pylist()
    given = list(zip(CASES, impossible, strict=True))
    rows = spark.createDataFrame(given, "text string, impossible boolean")
    found = {
        row["release_date_text"]: (
            row["release_year"],
            row["release_month"],
            row["release_day"],
            row["release_date_precision"],
            row["is_placeholder_date"],
        )
        for row in rows.select(*dates.parts(F.col("text"), F.col("impossible"))).collect()
    }
    assert found == CASES
    texts = values["release_date"]
    flagged = {
        rule: texts.filter(CHECKS[rule](Rows(values))).to_pylist()
        for rule in (Rule.YEAR_ONLY_DATE, Rule.YEAR_MONTH_DATE, Rule.PLACEHOLDER_DATE)
    }
    assert flagged == {
        Rule.YEAR_ONLY_DATE: [text for text, parts in CASES.items() if parts[3] == "year"],
        Rule.YEAR_MONTH_DATE: [text for text, parts in CASES.items() if parts[3] == "month"],
        Rule.PLACEHOLDER_DATE: [text for text, parts in CASES.items() if parts[4]],
    }


def test_a_full_date_sorts_before_the_bare_year_that_contains_it(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("2019",), ("2019-06",), ("2019-06-14",)], "text string")
    ordered = rows.orderBy(dates.latest_day(F.col("text"))).collect()
    assert [row["text"] for row in ordered] == ["2019-06-14", "2019-06", "2019"]


@pytest.mark.parametrize(
    ("hemisphere", "expected"),
    [
        ("north", ["winter", "winter", "spring", "summer", "autumn", "winter", "unknown"]),
        ("south", ["summer", "summer", "autumn", "winter", "spring", "summer", "unknown"]),
    ],
)
def test_seasons_are_meteorological_and_december_opens_the_next_year(
    spark: SparkSession, hemisphere: str, expected: list[str]
) -> None:
    months = [1, 2, 3, 6, 11, 12, None]
    rows = spark.createDataFrame([(2019, month) for month in months], "year int, month int")
    found = rows.select(
        dates.season(F.col("month"), hemisphere).alias("season"),
        dates.season_year(F.col("year"), F.col("month")).alias("season_year"),
    ).collect()
    assert [row["season"] for row in found] == expected
    assert [row["season_year"] for row in found] == [2019, 2019, 2019, 2019, 2019, 2020, None]
