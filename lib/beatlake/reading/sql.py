"""SQL that can only read: one statement, over the tables of one release, and nothing else.

Three locks, each of which would do for most attempts. The statement's own form: one SELECT (which
WITH, VALUES, DESCRIBE, SHOW and FROM are to DuckDB) or an EXPLAIN of one, and no part of its parse
tree that writes: DuckDB 2 takes ``WITH x AS (COPY ... TO ...) SELECT``. DuckDB's access to files:
those of the release only. And its settings, which are locked before the statement runs.
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
from beatlake.reading.types import identifier, literal

if TYPE_CHECKING:
    from beatlake.reading.opened import OpenLake

#: Kinds of query in DuckDB's parse tree that read; inserts, updates and copies have others.
_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
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
    _create_views(connection, opened, _mentioned(query, opened.tables), scratch)
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
            raise ReadingError(
                "SQL reaches the tables of the release and nothing else: no files, addresses,"
                f" settings or extensions. {first_line(error)}"
            ) from None
        raise ReadingError(_sentence(error, opened)) from None


def _sentence(error: duckdb.Error, opened: OpenLake) -> str:
    line = first_line(error)
    missing = _TABLE_MISSING.search(line)
    if missing is None:
        return line
    wanted = (missing.group(1) or missing.group(2)).rstrip("!")
    near = nearest(wanted, opened.tables)
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
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise ReadingError(f"{_ONLY_READS}; DuckDB says: {tree.get('error_message')}")
    writing = _nodes(tree["statements"]) - _READING_NODES
    if writing:
        listed = ", ".join(sorted(node.replace("_", " ") for node in writing))
        raise ReadingError(f"{_ONLY_READS}; a part of this one is another: {listed}.")


def _nodes(tree: Any) -> set[str]:
    """Kinds of query node in a parse tree: those under the keys that hold queries."""
    if isinstance(tree, list):
        return set().union(*map(_nodes, tree))
    if not isinstance(tree, dict):
        return set()
    found = set().union(*map(_nodes, tree.values()))
    kind = tree.get("type")
    if "cte_map" in tree or (isinstance(kind, str) and kind.endswith("_NODE")):
        found.add(str(kind))
    return found


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
    for layer in sorted({name.split(".")[0] for name in opened.tables}):
        connection.execute(f"CREATE SCHEMA {identifier(layer)}")
    for name in names:
        table = opened.table(name)
        files += table.files
        quoted = ".".join(identifier(part) for part in name.split("."))
        with reading(name, opened):
            connection.execute(f"CREATE VIEW {quoted} AS {table.scan}")
    listed = ", ".join(literal(file) for file in files)
    connection.execute(f"SET allowed_paths = [{listed}]")
    if scratch is not None:
        connection.execute(f"SET allowed_directories = [{literal(str(scratch))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
