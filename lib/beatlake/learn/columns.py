"""The columns of a table: those that a task names must be there, and numbers where it says so."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn.engine import one, plain
from beatlake.learn.task import Task
from beatlake.learn.task.features import Feature
from beatlake.sql import quoted

#: What rows have besides features, in a fold or where they are predicted.
_TAKEN = ("row_id", "side", "label", "weight", "watches", "bucket", "in_scope")


@dataclass(frozen=True)
class Columns:
    """The columns of the source by name, with DuckDB's types."""

    types: Mapping[str, str]

    def is_text(self, name: str) -> bool:
        """Whether a column holds texts."""
        return self.types[name] == "VARCHAR"

    def is_list(self, name: str) -> bool:
        """Whether a column holds lists."""
        return self.types[name].endswith("[]")

    def is_binary(self, name: str) -> bool:
        """Whether a column holds bytes."""
        return self.types[name] == "BLOB"

    def number(self, name: str) -> str:
        """SQL of a column as a number; a text that is none is null."""
        cast = "TRY_CAST" if self.is_text(name) else "CAST"
        return f"{cast}({quoted(name)} AS DOUBLE)"


def look(
    connection: duckdb.DuckDBPyConnection, task: Task, names: list[str] | None = None
) -> Columns:
    """The columns of the view ``source``, in which every one that the task names must be.

    Raises:
        InputError: columns are missing; near ones are named.
        ConfigError: the task uses a column that it says to ignore.
    """
    try:
        described = connection.execute("DESCRIBE source").fetchall()
    except duckdb.Error as error:
        raise InputError(f"The table cannot be read: {str(error).splitlines()[0]}") from error
    columns = Columns({row[0]: row[1] for row in described})
    used = dict.fromkeys(named_by(task) if names is None else names)
    if ignored := [name for name in used if name in task.table.ignore]:
        raise ConfigError(f"{task.name} uses what it says to ignore: {', '.join(ignored)}.")
    missing = []
    for name in used:
        if name not in columns.types:
            near = difflib.get_close_matches(name, columns.types, n=1)
            missing.append(f"{name} (near: {near[0]})" if near else name)
    if missing:
        raise InputError(
            f"The table lacks columns that {task.name} needs: {', '.join(missing)}. It has:"
            f" {', '.join(columns.types)}."
        )
    return columns


def named_by(task: Task) -> Iterator[str]:
    """The columns that a task names."""
    entities = task.entities
    yield from task.table.row_key
    yield from (condition.column for condition in task.table.where)
    yield from (*entities.recording, *entities.same_recording)
    if entities.artists:
        yield from (*entities.artists.columns, *entities.artists.titles)
    if entities.date:
        yield entities.date.column
    if task.label:
        yield task.label.column
    yield from task.slices.values()
    for feature in features_of(task):
        yield from feature.columns


def features_of(task: Task) -> list[Feature]:
    """The features in use, whose names can be those of columns beside what else rows have.

    Raises:
        ConfigError: one cannot.
    """
    features = task.features.list
    if odd := [f.name for f in features if not plain(f.name)]:
        raise ConfigError(
            f"Features are named by letters, digits and underscores, not: {', '.join(odd)}."
        )
    if taken := [f.name for f in features if f.name.lower() in _TAKEN]:
        raise ConfigError(
            f"Rows have something else of the name {', '.join(taken)}: give the feature another"
            " name, and its column by `column`."
        )
    return features


def numbers_of(task: Task) -> list[str]:
    """The columns that features take for numbers."""
    features = features_of(task)
    plain_ = [f.column for f in features if f.reads == "number" and not f.earlier]
    return plain_ + [f.earlier.of for f in features if f.earlier and f.earlier.of]


def refuse_odd_numbers(
    connection: duckdb.DuckDBPyConnection,
    names: list[str],
    columns: Columns,
    table: str = "kept",
) -> None:
    """Find numbers alone in columns of a table, or nothing.

    Raises:
        InputError: columns are of another type or hold texts that are no numbers; all are named.
    """
    problems = []
    fit = ("VARCHAR", "BOOLEAN", "FLOAT", "DOUBLE", "HUGEINT")
    for name in dict.fromkeys(names):
        kind = columns.types[name]
        if not (kind in fit or "INT" in kind or kind.startswith("DECIMAL")) or kind.endswith("[]"):
            problems.append(f"{name} is {kind}")
            continue
        if not columns.is_text(name):
            continue
        count, example = one(
            connection,
            f"SELECT count(*), min({quoted(name)}) FROM {table}"
            f" WHERE {quoted(name)} IS NOT NULL AND {columns.number(name)} IS NULL",
        )
        if count:
            problems.append(f"{name} is no number in {count:,} rows, such as {example!r}")
    if problems:
        raise InputError(
            "Columns that the task takes for numbers are not: " + "; ".join(problems) + "."
        )
