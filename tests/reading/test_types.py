"""Every type that a table of the lake has can be held by DuckDB."""

from __future__ import annotations

import duckdb
import pytest

from beatlake.reading.types import duckdb_type
from beatlake.tables import registry

TYPES = sorted({c.type for table in registry.all_tables() for c in table.columns})


@pytest.mark.parametrize("spark_type", TYPES)
def test_types_of_the_specifications(spark_type: str) -> None:
    assert duckdb.sql(f"select cast(null as {duckdb_type(spark_type)}) as x").fetchall() == [
        (None,)
    ]


@pytest.mark.parametrize(
    ("spark_type", "expected"),
    [
        ("array<array<int>>", "INTEGER[][]"),
        ("map<string,array<double>>", "MAP(VARCHAR, DOUBLE[])"),
        (
            "struct<a:struct<b:int,c:string>,d:decimal(10,2)>",
            "STRUCT(a STRUCT(b INTEGER, c VARCHAR), d DECIMAL(10,2))",
        ),
        ("timestamp", "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_nested_types(spark_type: str, expected: str) -> None:
    found = duckdb.sql(f"select cast(null as {duckdb_type(spark_type)}) as x").types[0]
    assert str(found).replace('"', "") == expected


def test_a_type_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="'interval' is not a type"):
        duckdb_type("interval")
