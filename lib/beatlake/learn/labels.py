"""Labels: which classes there are, or which bins, and the label of each row as SQL."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from beatlake.errors import InputError
from beatlake.learn.columns import Columns, refuse_odd_numbers
from beatlake.learn.engine import count, one
from beatlake.learn.kept import fewer
from beatlake.learn.task import Task
from beatlake.learn.task.rows import Label
from beatlake.sql import quoted, text


@dataclass(frozen=True)
class Classes:
    """Classes as a model knows them, for a table that they are not to be read from.

    Args:
        names: in the order of their codes.
        edges: inner edges of those that are bins.
    """

    names: tuple[str, ...]
    edges: tuple[float, ...] = ()


def labelled(
    connection: duckdb.DuckDBPyConnection,
    task: Task,
    columns: Columns,
    dropped: dict[str, int],
    known: Classes | None,
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Drop the rows without a label; the classes, and the edges of those that are bins.

    Edges are taken over all labelled rows: they are what the classes mean, not something learnt.
    Where the classes are known, the edges are theirs.
    """
    label = task.label
    if label is None:
        return (), ()
    before = count(connection, "kept")
    number = columns.number(label.column)
    numbers = label.kind == "number" or label.bins is not None
    if numbers:
        refuse_odd_numbers(connection, [label.column], columns)
    connection.execute(f"DELETE FROM kept WHERE NOT {has_label(label, columns)}")
    lacks = "unknown" if numbers else "without a class"
    fewer(connection, dropped, f"{label.column} {lacks}", before)
    if label.kind == "number":
        return (), ()
    if label.bins:
        edges = known.edges if known else _edges(connection, label, number)
        names = label.bins.names
    else:
        found = connection.execute(
            f"SELECT DISTINCT {_class_of(label)} FROM kept ORDER BY 1"
        ).fetchall()
        names, edges = tuple(row[0] for row in found), ()
        if known:
            names = (*known.names, *(name for name in names if name not in known.names))
    if len(names) > 1000:
        raise InputError(f"{label.column} has {len(names):,} values; is it a number?")
    if len(names) < 2:
        what = f"only {names[0]!r}" if names else "nothing"
        raise InputError(f"{label.column} holds {what}: there is nothing to tell apart.")
    return names, edges


def _edges(connection: duckdb.DuckDBPyConnection, label: Label, number: str) -> tuple[float, ...]:
    assert label.bins is not None
    n = len(label.bins.names)
    if label.bins.how == "equal_width":
        low, high = one(connection, f"SELECT min({number}), max({number}) FROM kept")
        if low is None or low == high:
            raise InputError(f"{label.column} has one value: there are no bins of it.")
        edges = tuple(low + (high - low) * i / n for i in range(1, n))
    else:
        shares = [i / n for i in range(1, n)]
        (quantiles,) = one(connection, f"SELECT quantile_disc({number}, {shares}) FROM kept")
        edges = tuple(float(q) for q in quantiles or ())
    counted = connection.execute(
        f"SELECT {_bin(number, edges)} AS bin, count(*) FROM kept GROUP BY 1"
    ).fetchall()
    filled = {row[0] for row in counted}
    if empty := [name for i, name in enumerate(label.bins.names) if i not in filled]:
        raise InputError(
            f"{label.column} has no row in {', '.join(empty)}: too many rows share a value for"
            f" {n} {label.bins.how} bins. Name fewer bins."
        )
    return edges


def _bin(number: str, edges: tuple[float, ...]) -> str:
    """SQL of the number of edges below a value: bins are closed on the right."""
    return " + ".join(f"({number} > {edge!r})::INTEGER" for edge in edges)


def _class_of(label: Label) -> str:
    value = f"{quoted(label.column)}::VARCHAR"
    if label.rules:
        cases = []
        for rule in label.rules:
            fits = " OR ".join(f"contains({value}, {text(part)})" for part in rule.contains)
            cases.append(f"WHEN {fits} THEN {text(rule.name)}")
        return f"(CASE {' '.join(cases)} END)"
    if label.families:
        cases = [
            f"WHEN {value} IN ({', '.join(map(text, members))}) THEN {text(family)}"
            for family, members in label.families.items()
        ]
        return f"(CASE {' '.join(cases)} ELSE {value} END)"
    return value


def has_label(label: Label, columns: Columns) -> str:
    """SQL of whether a row has a label."""
    if label.kind == "number" or label.bins:
        return f"coalesce(isfinite({columns.number(label.column)}), false)"
    return f"({_class_of(label)} IS NOT NULL)"


def label_of(
    label: Label | None, classes: tuple[str, ...], edges: tuple[float, ...], columns: Columns
) -> str:
    """SQL of the label: the place of a class among the classes, or a number."""
    if label is None:
        return "NULL::DOUBLE AS label"
    number = columns.number(label.column)
    if label.kind == "number":
        return f"{number} AS label"
    if label.bins:
        return f"{_bin(number, edges)} AS label"
    listed = ", ".join(map(text, classes))
    return f"list_position([{listed}], {_class_of(label)}) - 1 AS label"
