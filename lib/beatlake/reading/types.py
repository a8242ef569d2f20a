"""Spark's type names in DuckDB's words."""

from __future__ import annotations

from beatlake.sql import quoted

_SIMPLE = {
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
    "binary": "BLOB",
}


def duckdb_type(spark_type: str) -> str:
    """The DuckDB type that holds the values of a Spark type.

    >>> duckdb_type("array<struct<rule:string,n:bigint>>")
    'STRUCT("rule" VARCHAR, "n" BIGINT)[]'
    >>> duckdb_type("map<string,decimal(38,0)>")
    'MAP(VARCHAR, DECIMAL(38,0))'

    Raises:
        ValueError: there is no such type.
    """
    kind, _, inner = spark_type.strip().partition("<")
    inner = inner.removesuffix(">")
    if kind == "array":
        return f"{duckdb_type(inner)}[]"
    if kind == "map":
        return f"MAP({', '.join(duckdb_type(part) for part in _parts(inner))})"
    if kind == "struct":
        fields = (part.partition(":") for part in _parts(inner))
        listed = ", ".join(f"{quoted(name)} {duckdb_type(type_)}" for name, _, type_ in fields)
        return f"STRUCT({listed})"
    if kind.startswith("decimal("):
        return kind.upper()
    if kind not in _SIMPLE:
        raise ValueError(f"{spark_type!r} is not a type that tables of the lake have")
    return _SIMPLE[kind]


def _parts(text: str) -> list[str]:
    """Split at the commas that are not inside brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character in "<(") - (character in ">)")
        if character == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]
