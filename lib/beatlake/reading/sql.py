"""SQL that can only read: one statement, over the tables of one release, and nothing else.

Three locks, each of which would do for most attempts. The statement's own form: one SELECT (which
WITH, VALUES, DESCRIBE, SHOW and FROM are to DuckDB) or an EXPLAIN of one, no part of whose parse
tree writes (DuckDB 2 takes ``WITH x AS (COPY ... TO ...) SELECT``), and no table function but those
that only compute: others read files, or run a text as SQL that nobody has looked at. DuckDB's
access to files: those of the release only. And its settings, which are locked before the statement
runs.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import duckdb

from beatlake.reading.engine import connect, first_line, interruptible, reading
from beatlake.reading.errors import ReadingError, nearest
from beatlake.sql import quoted, text, texts

if TYPE_CHECKING:
    from beatlake.reading.opened import OpenLake

#: Kinds of query in DuckDB's parse tree that read; inserts, updates and copies have others.
_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
#: Table functions that compute, or tell what DuckDB itself is.
_COMPUTING = re.compile(
    r"range|generate_series|unnest|repeat|repeat_row|summary|query_table|json_each|json_tree"
    r"|histogram|histogram_values|icu_calendar_names|pg_timezone_names|(duckdb|pragma)_\w+"
)
_EXPLAIN = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*explain(?:\s+analyze|\s*\([^()]*\))?\s+(.*)",
    re.IGNORECASE | re.DOTALL,
)
#: Words of statements that are about tables without naming them.
_ABOUT_TABLES = re.compile(
    r"\b(show|describe|summarize|information_schema|duckdb_\w+|pg_\w+|sqlite_\w+|pragma_\w+"
    r"|query\w*)\b"
)
_TABLE_MISSING = re.compile(r"Table with name (\S+) does not exist|schema named? \"?(\w+)", re.I)
_NOTHING_ELSE = (
    "SQL reaches the tables of the release and nothing else: no files, addresses, settings or"
    " extensions."
)
_ONLY_READS = (
    "`beatlake sql` only reads: give one SELECT, WITH, VALUES, DESCRIBE, SHOW or EXPLAIN statement"
)


@dataclass(frozen=True)
class Answer:
    """The answer to a statement, and the database that works it out."""

    connection: duckdb.DuckDBPyConnection
    relation: duckdb.DuckDBPyRelation


def answer(opened: OpenLake, query: str, scratch: Path | None = None) -> Answer:
    """The answer to one reading statement, from a database of its own.

    Args:
        opened: the lake and release; its tables are views named ``layer.table``.
        query: the statement.
        scratch: a directory that DuckDB may write to.

    Raises:
        ReadingError: the statement is not one, does more than read, or has a mistake.
    """
    spill = (scratch or Path(tempfile.gettempdir())) / f"beatlake-{uuid4().hex}"
    connection = connect(str(spill))
    _refuse_writing(connection, query)
    known = [*opened.tables, *opened.unreleased]
    _create_views(connection, opened, _mentioned(query, known), scratch)
    with explained(opened):
        relation = interruptible(connection, lambda: connection.sql(query))
    return Answer(connection, relation)


@contextmanager
def explained(opened: OpenLake) -> Iterator[None]:
    """Turn DuckDB's errors into one sentence each, with near names for an unknown table."""
    try:
        yield
    except duckdb.Error as error:
        # Files that went with their release look to DuckDB like files that it may not read.
        opened.check_kept()
        if isinstance(error, duckdb.PermissionException):
            raise ReadingError(f"{_NOTHING_ELSE} {first_line(error)}") from None
        raise ReadingError(_sentence(error, opened)) from None


def _sentence(error: duckdb.Error, opened: OpenLake) -> str:
    line = first_line(error)
    missing = _TABLE_MISSING.search(line)
    if missing is None:
        return line
    wanted = (missing.group(1) or missing.group(2)).rstrip("!")
    near = nearest(wanted, [*opened.tables, *opened.unreleased])
    hint = f"Near: {', '.join(near)}." if near else "`beatlake tables` lists all."
    return f"Release {opened.release.release} has no table {wanted}. {hint}"


def _refuse_writing(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise ReadingError(first_line(error)) from None
    kinds = [statement.type.name for statement in statements]
    if len(kinds) != 1:
        raise ReadingError(f"{_ONLY_READS}; this is {len(kinds) or 'no'} statements.")
    if kinds == ["EXPLAIN"]:
        inner = _EXPLAIN.fullmatch(query)
        if inner is None or _EXPLAIN.fullmatch(inner.group(1)):
            raise ReadingError(f"{_ONLY_READS}; EXPLAIN takes a statement that reads.")
        _refuse_writing(connection, inner.group(1))
        return
    if kinds != ["SELECT"]:
        name = kinds[0].replace("_", " ")
        if name == "MULTI":
            name = "PIVOT without the values of its columns (ON ... IN (...))"
        raise ReadingError(f"{_ONLY_READS}, not {name}.")
    _refuse_writing_parts(connection, query)


def _refuse_writing_parts(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    row = connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [query]).fetchone()
    try:
        tree = json.loads(row[0]) if row else {"error": True}
        parts = list(_parts(tree))
    except RecursionError:
        raise ReadingError("The statement is nested too deeply.") from None
    if tree["error"]:
        raise ReadingError(f"{_ONLY_READS}; DuckDB says: {tree.get('error_message')}")
    writing = {str(p.get("type")) for p in parts if _is_query(p)} - _READING_NODES
    if writing:
        listed = ", ".join(sorted(node.replace("_", " ") for node in writing))
        raise ReadingError(f"{_ONLY_READS}; a part of this one is another: {listed}.")
    called = {p["function"]["function_name"] for p in parts if p.get("type") == "TABLE_FUNCTION"}
    if others := sorted(name for name in called if not _COMPUTING.fullmatch(name.lower())):
        raise ReadingError(f"{_NOTHING_ELSE} It does not take {', '.join(others)}.")


def _is_query(part: dict[str, Any]) -> bool:
    """Whether a part of a parse tree is a query, which stands wherever queries can."""
    return "cte_map" in part or str(part.get("type")).endswith("_NODE")


def _parts(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of a parse tree."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for branch in tree:
            yield from _parts(branch)


def _mentioned(query: str, tables: list[str]) -> list[str]:
    """The tables whose views the query can need: opening all of them costs a fifth of a second."""
    text = query.lower()
    if _ABOUT_TABLES.search(text):
        return tables
    return [name for name in tables if name.rsplit(".", 1)[-1] in text]


def _create_views(
    connection: duckdb.DuckDBPyConnection, opened: OpenLake, names: list[str], scratch: Path | None
) -> None:
    files: list[str] = []
    for layer in sorted({name.split(".")[0] for name in (*opened.tables, *opened.unreleased)}):
        connection.execute(f"CREATE SCHEMA {quoted(layer)}")
    for name in names:
        table = opened.table(name)
        files += table.files
        view = ".".join(quoted(part) for part in name.split("."))
        with reading(name, opened):
            connection.execute(f"CREATE VIEW {view} AS {table.scan}")
    connection.execute(f"SET allowed_paths = {texts(files)}")
    if scratch is not None:
        connection.execute(f"SET allowed_directories = [{text(str(scratch))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
