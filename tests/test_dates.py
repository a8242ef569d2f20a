"""Dates of partial precision: nothing is guessed, and nonsense stays visible."""

from __future__ import annotations

import datetime as dt
from typing import Any

import duckdb
import pyarrow as pa
import pytest

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


def answers(table: pa.Table, *wanted: str) -> list[tuple[Any, ...]]:
    """What SQL gives of the rows of a table, in their order."""
    connection = duckdb.connect()
    connection.register("given", table)
    return connection.execute(f"SELECT {', '.join(wanted)} FROM given").fetchall()


def test_parts_of_dates() -> None:
    values = {"release_date": pa.array(CASES), "updated_on": pa.array([WRITTEN] * len(CASES))}
    impossible = CHECKS[Rule.IMPOSSIBLE_DATE](Rows(values))
    given = pa.table({"given_date": values["release_date"], "impossible": impossible})
    rows = answers(given, dates.parts("given_date", "impossible"))
    found = {
        text: (year, month, day, precision, placeholder)
        for text, _, year, month, day, precision, placeholder in rows
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


def test_a_full_date_sorts_before_the_bare_year_that_contains_it() -> None:
    texts = ["2019", "2019-06", "2019-06-14", "2020-02"]
    given = pa.table({"given_date": texts})
    parts = f"(SELECT {dates.parts('given_date', 'false')})"
    latest = f"(SELECT {dates.LATEST_DAY} FROM {parts})"
    found = [day.isoformat() for (day,) in answers(given, latest)]
    assert found == ["2019-12-31", "2019-06-30", "2019-06-14", "2020-02-29"]


@pytest.mark.parametrize(
    ("hemisphere", "expected"),
    [
        ("north", ["winter", "winter", "spring", "summer", "autumn", "winter", "unknown"]),
        ("south", ["summer", "summer", "autumn", "winter", "spring", "summer", "unknown"]),
    ],
)
def test_seasons_are_meteorological_and_december_opens_the_next_year(
    hemisphere: str, expected: list[str]
) -> None:
    months = pa.array([1, 2, 3, 6, 11, 12, None], pa.int32())
    given = pa.table({"y": pa.array([2019] * 7, pa.int32()), "m": months})
    found = answers(given, dates.season("m", hemisphere), dates.season_year("y", "m"))
    assert [season for season, _ in found] == expected
    assert [year for _, year in found] == [2019, 2019, 2019, 2019, 2019, 2020, None]
