"""Features that say what is known of a row's group from rows that came out strictly before it."""

from __future__ import annotations

import duckdb

from beatlake.learn.columns import Columns
from beatlake.learn.task.features import MAIN_ARTIST, Earlier, Feature
from beatlake.sql import quoted


def past(feature: Feature, columns: Columns) -> list[str]:
    """SQL of the group of a row, and of its number in millionths, whose sums are exact."""
    earlier = feature.earlier
    assert earlier is not None
    # The main artist is a prepared column, and the table may have another of its name.
    group = "NULL" if earlier.by == MAIN_ARTIST else quoted(earlier.by)
    number = "NULL::BIGINT"
    if earlier.of:
        value = columns.number(earlier.of)
        number = f"CASE WHEN isfinite({value}) THEN round({value} * 1000000)::BIGINT END"
    return [
        f"{group}::VARCHAR AS {quoted(f'g_{feature.name}')}",
        f"{number} AS {quoted(f'm_{feature.name}')}",
    ]


def add_history(
    connection: duckdb.DuckDBPyConnection, feature: Feature, earlier: Earlier, among: str = "true"
) -> None:
    """Turn a feature's group and number into what earlier rows of the group say.

    Args:
        connection: holds the prepared rows.
        feature: whose group and number are there.
        earlier: what they are to say.
        among: SQL of the rows that count as earlier ones.
    """
    given, number = quoted(f"g_{feature.name}"), quoted(f"m_{feature.name}")
    group = "artist" if earlier.by == MAIN_ARTIST else given
    value = {
        "count": "coalesce(past.n, 0)::DOUBLE",
        "mean": "past.total::DOUBLE / 1000000 / nullif(past.known, 0)",
        "days_since_first": "(rows.starts - past.first)::DOUBLE",
    }[earlier.measure]
    connection.execute(
        "CREATE OR REPLACE TABLE prepared AS WITH days AS ("
        f"SELECT {group} AS key, ends AS day, count(*) AS n, sum({number}) AS total,"
        f" count({number}) AS known, min(starts) AS first FROM prepared"
        f" WHERE {group} IS NOT NULL AND ends IS NOT NULL AND {among} GROUP BY ALL), past AS ("
        "SELECT key, day, sum(n) OVER before AS n, sum(total) OVER before AS total,"
        " sum(known) OVER before AS known, min(first) OVER before AS first FROM days"
        " WINDOW before AS (PARTITION BY key ORDER BY day))"
        f" SELECT rows.* EXCLUDE ({given}, {number}), CASE WHEN rows.{group} IS NOT NULL"
        f" AND rows.starts IS NOT NULL THEN {value} END AS {quoted(f'f_{feature.name}')}"
        f" FROM prepared AS rows ASOF LEFT JOIN past ON rows.{group} = past.key"
        " AND rows.starts > past.day ORDER BY md5(row_id), row_id"
    )
