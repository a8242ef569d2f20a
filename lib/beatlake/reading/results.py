"""Answers and tables as CSV, JSON and Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from beatlake.sql import quoted, text

if TYPE_CHECKING:
    import duckdb

#: What a spreadsheet takes for the start of a formula, in some languages as a wide character, or
#: skips before one (OWASP, "CSV Injection"; ASVS 5, 1.2.10).
FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n\0"


def write_csv(relation: duckdb.DuckDBPyRelation, path: Path, *, guard: bool = False) -> None:
    """Comma-separated with a header; null is empty, the empty text is ``""``.

    Args:
        relation: the rows.
        path: where to write.
        guard: put an apostrophe before texts that a spreadsheet would run as a formula.
    """
    flat(relation, guard=guard).write_csv(str(path), header=True)


def write_json(relation: duckdb.DuckDBPyRelation, path: Path) -> None:
    """One array of objects; what JSON has no number for (infinity, not a number) is null."""
    finite = ", ".join(
        f"CASE WHEN isfinite({column}) THEN {column} END AS {column}"
        if str(type_) in ("DOUBLE", "FLOAT")
        else column
        for column, type_ in _columns(relation)
    )
    renamed = _distinct(relation).project(finite)
    renamed.query("answer", f"COPY answer TO {text(str(path))} (FORMAT json, ARRAY true)")


def write_parquet(relation: duckdb.DuckDBPyRelation, path: Path) -> None:
    """Parquet, nested values included."""
    relation.write_parquet(str(path), compression="zstd")


def flat(relation: duckdb.DuckDBPyRelation, *, guard: bool) -> duckdb.DuckDBPyRelation:
    """The relation with nested values as JSON text, and texts safe for spreadsheets, if asked."""
    wanted = ", ".join(_flat(column, str(type_), guard) for column, type_ in _columns(relation))
    return _distinct(relation).project(wanted)


def _flat(column: str, type_: str, guard: bool) -> str:
    if type_.endswith("]") or type_.startswith(("STRUCT", "MAP", "UNION", "VARIANT", "JSON")):
        text = f"to_json({column})::VARCHAR"
    elif type_.startswith(("VARCHAR", "ENUM")):
        text = f"{column}::VARCHAR"
    elif type_ == "BLOB" and guard:
        text = f"hex({column})"
    else:
        text = column
    if not guard:
        return f"{text} AS {column}"
    name = f"\"'{column[1:]}" if column[1] in FORMULA_STARTS else column
    if text == column:
        return f"{column} AS {name}"
    starts = ", ".join(f"chr({ord(character)})" for character in FORMULA_STARTS)
    return f"CASE WHEN left({text}, 1) IN ({starts}) THEN '''' || {text} ELSE {text} END AS {name}"


def _distinct(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with names that differ, since a query can give one name twice."""
    names = [name for name, _ in _columns(relation)]
    if names == [quoted(name) for name in relation.columns]:
        return relation
    renamed = relation.query("answer", f"SELECT * FROM answer AS answer({', '.join(names)})")
    assert renamed is not None
    return renamed


def _columns(relation: duckdb.DuckDBPyRelation) -> list[tuple[str, Any]]:
    """Quoted names, numbered where one is taken, with the types."""
    taken: set[str] = set()
    found = []
    for name, type_ in zip(relation.columns, relation.types, strict=True):
        unique, number = name, 1
        while unique.lower() in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique.lower())
        found.append((quoted(unique), type_))
    return found
