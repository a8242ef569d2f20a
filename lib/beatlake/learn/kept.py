"""The rows of a table that a task takes, each with its name; and those that it is about."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from beatlake.errors import InputError
from beatlake.learn.columns import Columns
from beatlake.learn.engine import count
from beatlake.learn.task import Task
from beatlake.learn.task.rows import Condition
from beatlake.sql import quoted, text


def take(
    connection: duckdb.DuckDBPyConnection, task: Task, columns: Columns, dropped: dict[str, int]
) -> None:
    """Make ``kept``: the rows that the task takes, each with its name."""
    table = task.table
    content = [name for name in columns.types if name not in table.ignore]
    connection.execute(
        f"CREATE OR REPLACE TABLE kept AS SELECT *, md5({joined(content)}) AS content_id"
        f" FROM {_hashed(columns)}"
    )
    before = count(connection, "kept")
    if table.distinct:
        connection.execute(
            "CREATE OR REPLACE TABLE kept AS SELECT * FROM kept"
            " QUALIFY row_number() OVER (PARTITION BY content_id) = 1"
        )
        before = fewer(connection, dropped, "repeats of a row", before)
    for condition in table.where:
        for what, holds in _conditions(condition, columns):
            connection.execute(f"DELETE FROM kept WHERE ({holds}) IS NOT TRUE")
            before = fewer(connection, dropped, what, before)
    if not table.row_key:
        name = "content_id || '-' || row_number() OVER (PARTITION BY content_id)::VARCHAR"
    else:
        name = key_of(task)
    connection.execute(f"CREATE OR REPLACE TABLE kept AS SELECT {name} AS row_id, * FROM kept")
    refuse_repeated(connection, task, "kept")


def refuse_repeated(connection: duckdb.DuckDBPyConnection, task: Task, table: str) -> None:
    """Find one row of each ``row_id`` in a table.

    Raises:
        InputError: the task's key names several, or none.
    """
    repeated = connection.execute(
        f"SELECT row_id, count(*) FROM {table} GROUP BY row_id"
        " HAVING count(*) > 1 OR row_id IS NULL ORDER BY 1 LIMIT 1"
    ).fetchall()
    if repeated:
        raise InputError(
            f"{', '.join(task.table.row_key)} does not name one row: {repeated[0][0]!r} stands in"
            f" {repeated[0][1]:,} rows."
        )


def _hashed(columns: Columns) -> str:
    """The source, with the hash of bytes in place of the bytes."""
    binary = [quoted(name) for name in columns.types if columns.is_binary(name)]
    hashed = ", ".join(f"md5({name}) AS {name}" for name in binary)
    return f"(SELECT * REPLACE ({hashed}) FROM source)" if binary else "source"


def scope_of(task: Task, columns: Columns, *, labels: bool = False) -> str:
    """SQL of whether a row is one that the task is about: one that its ``where`` takes.

    Null where that hangs on a column that the table lacks.

    Args:
        task: the question.
        columns: of the table.
        labels: whether conditions on the label count, which a row to be predicted need not have.
    """
    target = task.label.column if task.label and not labels else None
    holds = ["true"]
    for condition in task.table.where:
        if condition.column == target:
            continue
        if condition.column in columns.types:
            holds += [f"({sql}) IS TRUE" for _, sql in _conditions(condition, columns)]
        else:
            holds.append("NULL::BOOLEAN")
    return f"({' AND '.join(holds)})"


def key_of(task: Task) -> str:
    """SQL of the key of a row: the value of one column, or several with their lengths."""
    key = task.table.row_key
    return f"{quoted(key[0])}::VARCHAR" if len(key) == 1 else joined(key)


def joined(names: tuple[str, ...] | list[str]) -> str:
    """SQL of a text that no other values of the columns give: each with its length."""
    parts = []
    for name in names:
        value = f"{quoted(name)}::VARCHAR"
        parts.append(f"coalesce(strlen({value})::VARCHAR || ':' || {value}, '-')")
    return " || ".join(parts)


def _conditions(condition: Condition, columns: Columns) -> Iterator[tuple[str, str]]:
    name = quoted(condition.column)
    number = columns.number(condition.column)
    if condition.known is not None:
        is_known = f"{name} IS {'NOT ' if condition.known else ''}NULL"
        yield f"{condition.column} {'unknown' if condition.known else 'known'}", is_known
    for limit, sign, sense in (
        (condition.at_least, ">=", "below"),
        (condition.above, ">", "not above"),
        (condition.at_most, "<=", "above"),
    ):
        if limit is not None:
            yield f"{condition.column} {sense} {limit:g}", f"{number} {sign} {limit!r}"
    if condition.equal is not None:
        yield (
            f"{condition.column} not {condition.equal}",
            f"{name}::VARCHAR = {text(condition.equal)}",
        )


def fewer(
    connection: duckdb.DuckDBPyConnection, dropped: dict[str, int], why: str, before: int
) -> int:
    """How many rows are kept now; those that are fewer than before are noted with the reason."""
    now = count(connection, "kept")
    if now < before:
        dropped[why] = before - now
    return now
