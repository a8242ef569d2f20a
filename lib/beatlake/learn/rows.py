"""The rows of a task: label, keys, dates and feature values of each, in one order for ever.

`prepare` makes a table ``prepared`` with one row per example:

* ``row_id``: the table's key, or a hash of the content with a number for rows of equal content;
* ``recording`` and ``artist``: the unit that a side is chosen by; ``recordings`` and ``artists``:
  all that may tie the row to another; ``starts`` and ``ends``: first and last possible day;
* ``label``; ``s_NAME``: slices; ``f_NAME``: feature values, a number, a text, or the hash of an
  image (`beatlake.learn.images`).

Rows lie in the order of a hash of ``row_id``: by content, and mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import duckdb

from beatlake.errors import InputError
from beatlake.learn import images
from beatlake.learn.columns import (
    Columns,
    features_of,
    look,
    numbers_of,
    refuse_odd_numbers,
)
from beatlake.learn.engine import count, one
from beatlake.learn.entities import keys_of
from beatlake.learn.history import add_history, past
from beatlake.learn.kept import joined, key_of, refuse_repeated, scope_of, take
from beatlake.learn.labels import Classes, has_label, label_of, labelled
from beatlake.learn.source import Source
from beatlake.learn.task import Task
from beatlake.learn.task.features import Feature
from beatlake.sql import quoted

#: Slices that every table with the facts for them gets.
_YEAR, _SIZE = "year", "artist size"


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made: counts of rows, the classes, and what is known of rows.

    Args:
        rows: how many there are.
        dropped: rows that were left out, by reason.
        classes: names in order; empty for numbers and clusters.
        edges: inner edges of binned classes, right-closed.
        lacks: why a thing ("recording", "artist", "date") is not known of any row.
        slices: names of the slices, in order.
        base_rate: share of each class, or the mean, spread and quantiles of a number, over all
            rows: what a test side is held to. Empty for clusters.
    """

    rows: int
    dropped: Mapping[str, int]
    classes: tuple[str, ...]
    edges: tuple[float, ...]
    lacks: Mapping[str, str]
    slices: tuple[str, ...] = ()
    base_rate: Mapping[str, float] = field(default_factory=dict)


def prepare(
    connection: duckdb.DuckDBPyConnection,
    task: Task,
    source: Source,
    known: Classes | None = None,
) -> Prepared:
    """Make the table ``prepared`` of a connection.

    Args:
        connection: to make it in.
        task: the question.
        source: the table.
        known: classes of a model that is judged again: bins keep its edges, and a class that it
            does not know comes after its own. By default the table says what classes there are.

    Raises:
        InputError: columns are missing, values are not what the task takes them for, a key repeats,
            or no row is left; every problem of its kind is listed.
        ConfigError: the task uses a column that it says to ignore.
    """
    connection.execute(f"CREATE OR REPLACE TEMP VIEW source AS {source.scan}")
    columns = look(connection, task)
    images.refuse_odd_columns(features_of(task), columns)
    dropped: dict[str, int] = {}
    take(connection, task, columns, dropped)
    classes, edges = labelled(connection, task, columns, dropped, known)
    refuse_odd_numbers(connection, numbers_of(task), columns)
    slices = tuple(task.slices)
    selected = ["row_id", label_of(task.label, classes, edges, columns), *keys_of(task, columns)]
    selected += [f"{quoted(c)}::VARCHAR AS {quoted(f's_{n}')}" for n, c in task.slices.items()]
    for feature in features_of(task):
        selected += past(feature, columns) if feature.earlier else [_feature(feature, columns)]
    connection.execute(
        f"CREATE OR REPLACE TABLE prepared AS SELECT {', '.join(selected)} FROM kept"
        " ORDER BY md5(row_id), row_id"
    )
    connection.execute("DROP TABLE kept")
    images.look_up(connection, features_of(task), key_of(task) if task.table.row_key else "NULL")
    for feature in features_of(task):
        if feature.earlier:
            add_history(connection, feature, feature.earlier)
    if task.entities.date:
        _add(connection, _YEAR, "coalesce(year(starts)::VARCHAR, 'unknown')")
        slices += (_YEAR,)
    if task.entities.artists:
        size = "count(*) OVER (PARTITION BY artist)"
        _add(
            connection,
            _SIZE,
            f"CASE WHEN artist IS NULL THEN 'unknown' WHEN {size} = 1 THEN '1' WHEN {size} <= 5"
            f" THEN '2 to 5' WHEN {size} <= 20 THEN '6 to 20' ELSE 'over 20' END",
        )
        slices += (_SIZE,)
    rows = count(connection, "prepared")
    if not rows:
        raise InputError(f"No row of {source.described} is left for {task.name}: {dropped or 0}.")
    rates = _base_rate(connection, task, classes)
    return Prepared(rows, dropped, classes, edges, _lacks(connection, task), slices, rates)


@dataclass(frozen=True)
class Values:
    """SQL over the columns of a table: what is to be predicted of each row, and from what.

    Args:
        row_id: the name of a row.
        features: the values of its features.
        types: the columns that are needed, with DuckDB's types.
        in_scope: whether the task is about the row (`kept.scope_of`).
    """

    row_id: str
    features: tuple[str, ...]
    types: Mapping[str, str]
    in_scope: str = "true"


def values(connection: duckdb.DuckDBPyConnection, task: Task, source: Source) -> Values:
    """What a row's features are read from, for a table that need not have a label.

    Rows without a key are named by the hash of their content, so that equal rows share a name.

    Raises:
        InputError: columns are missing, or their values are not what the task takes them for.
    """
    connection.execute(f"CREATE OR REPLACE TEMP VIEW source AS {source.scan}")
    used = [*task.table.row_key, *(feature.column for feature in features_of(task))]
    columns = look(connection, task, used)
    refuse_odd_numbers(connection, numbers_of(task), columns, "source")
    images.refuse_odd_columns(features_of(task), columns)
    named = used if task.table.row_key else _content(task, columns)
    asked = [c.column for c in task.table.where if c.column in columns.types]
    return Values(
        _name_of(task, columns),
        tuple(_feature(feature, columns) for feature in features_of(task)),
        {name: columns.types[name] for name in dict.fromkeys((*named, *asked))},
        scope_of(task, columns),
    )


def _content(task: Task, columns: Columns) -> list[str]:
    return [name for name in columns.types if name not in task.table.ignore]


def _name_of(task: Task, columns: Columns) -> str:
    """SQL of the name of a row to be predicted: its key, or the hash of its content."""
    return key_of(task) if task.table.row_key else f"md5({joined(_content(task, columns))})"


def _feature(feature: Feature, columns: Columns) -> str:
    named = quoted(f"f_{feature.name}")
    if feature.reads == "image":
        return f"{quoted(feature.column)} AS {named}"
    if feature.reads == "text":
        return f"{quoted(feature.column)}::VARCHAR AS {named}"
    number = columns.number(feature.column)
    return f"CASE WHEN isfinite({number}) THEN {number} END AS {named}"


def _lacks(connection: duckdb.DuckDBPyConnection, task: Task) -> dict[str, str]:
    entities = task.entities
    named = {
        "recording": bool(entities.recording or entities.same_recording),
        "artist": entities.artists is not None,
        "date": entities.date is not None,
    }
    lacks = {
        thing: f"the task names no {thing} column" for thing, given in named.items() if not given
    }
    column = {"recording": "recording", "artist": "artist", "date": "starts"}
    for thing in named.keys() - lacks.keys():
        (found,) = one(connection, f"SELECT count(DISTINCT {column[thing]}) FROM prepared")
        if found < 2:
            lacks[thing] = f"fewer than two values of {thing} are known"
    return lacks


def _base_rate(
    connection: duckdb.DuckDBPyConnection, task: Task, classes: tuple[str, ...]
) -> dict[str, float]:
    """As judgements give it of a test side, of all prepared rows."""
    if task.kind == "clusters":
        return {}
    if task.kind == "classes":
        found = connection.execute(
            "SELECT label::INTEGER, count(*) / (SELECT count(*) FROM prepared) FROM prepared"
            " GROUP BY 1"
        ).fetchall()
        shares = dict(found)
        return {name: float(shares.get(code, 0.0)) for code, name in enumerate(classes)}
    mean, spread, quantiles, zeros = one(
        connection,
        "SELECT avg(label), stddev_pop(label), quantile_cont(label, [0, 0.25, 0.5, 0.75, 1]),"
        " avg((label = 0)::INTEGER) FROM prepared",
    )
    named = dict(zip(("min", "q25", "median", "q75", "max"), quantiles, strict=True))
    return {"mean": mean, "standard deviation": spread, **named, "share of zeros": zeros}


def _add(connection: duckdb.DuckDBPyConnection, name: str, value: str) -> None:
    connection.execute(
        f"CREATE OR REPLACE TABLE prepared AS SELECT *, {value} AS {quoted(f's_{name}')}"
        " FROM prepared ORDER BY md5(row_id), row_id"
    )


def with_history(connection: duckdb.DuckDBPyConnection, task: Task, source: Source) -> Values:
    """Make ``prepared`` of every row of a table, features of earlier rows among the values.

    Earlier rows are those that a training on the table would take, as far as the table tells: what
    the model knows of features is of such. The table need not have a label.

    Raises:
        InputError: columns are missing, values are not what the task takes them for, or a key
            repeats.
    """
    connection.execute(f"CREATE OR REPLACE TEMP VIEW source AS {source.scan}")
    bare = task.model_copy(
        update={
            "label": None,
            "slices": {},
            "table": task.table.model_copy(update={"where": ()}),
            "entities": task.entities.model_copy(update={"recording": (), "same_recording": ()}),
        }
    )
    columns = look(connection, bare)
    refuse_odd_numbers(connection, numbers_of(task), columns, "source")
    takes = [f"coalesce({scope_of(task, columns, labels=True)}, true)"]
    if task.label and task.label.column in columns.types:
        takes.append(has_label(task.label, columns))
    if task.table.distinct:
        same = joined(_content(task, columns))
        takes.append(f"row_number() OVER (PARTITION BY {same}) = 1")
    selected = [
        f"{_name_of(task, columns)} AS row_id",
        f"{scope_of(task, columns)} AS in_scope",
        f"{' AND '.join(takes)} AS trains",
        *keys_of(bare, columns),
    ]
    for feature in features_of(task):
        selected += past(feature, columns) if feature.earlier else [_feature(feature, columns)]
    connection.execute(
        f"CREATE OR REPLACE TABLE prepared AS SELECT {', '.join(selected)} FROM source"
        " ORDER BY md5(row_id), row_id"
    )
    if task.table.row_key:
        refuse_repeated(connection, task, "prepared")
    names = [f"f_{feature.name}" for feature in features_of(task)]
    for feature in features_of(task):
        if feature.earlier:
            add_history(connection, feature, feature.earlier, "trains")
    described = connection.execute("DESCRIBE prepared").fetchall()
    wanted = ("row_id", "in_scope", *names)
    types = {row[0]: row[1] for row in described if row[0] in wanted}
    return Values("row_id", tuple(map(quoted, names)), types, "in_scope")


def typed(task: Task) -> Values:
    """What the features of one row given as texts are read from."""
    columns = Columns({feature.column: "VARCHAR" for feature in features_of(task)})
    values = tuple(_feature(feature, columns) for feature in features_of(task))
    return Values("'row'", values, columns.types, scope_of(task, columns))
