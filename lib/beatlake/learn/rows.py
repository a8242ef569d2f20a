"""The rows of a task: label, keys, dates and feature values of each, in one order for ever.

`prepare` makes a table ``prepared`` with one row per example:

* ``row_id``: the table's key, or a hash of the content with a number for rows of equal content;
* ``recording`` and ``artist``: the unit that a side is chosen by; ``recordings`` and ``artists``:
  all that may tie the row to another; ``starts`` and ``ends``: first and last possible day;
* ``label``; ``s_NAME``: slices; ``f_NAME``: feature values, a number or a text.

Rows lie in the order of a hash of ``row_id``: by content, and mixed.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import duckdb

from beatlake.config import ConfigError
from beatlake.errors import InputError
from beatlake.learn import credits
from beatlake.learn.engine import one, plain, quoted, text
from beatlake.learn.source import Source
from beatlake.learn.task import MAIN_ARTIST, Condition, Earlier, Feature, Label, Task

#: Forms of features whose values are texts.
TEXTS = ("category", "hash")
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


@dataclass(frozen=True)
class Classes:
    """Classes as a model knows them, for a table that they are not to be read from.

    Args:
        names: in the order of their codes.
        edges: inner edges of those that are bins.
    """

    names: tuple[str, ...]
    edges: tuple[float, ...] = ()


@dataclass
class _Columns:
    """The columns of the source by name, with DuckDB's types."""

    types: Mapping[str, str]
    problems: list[str] = field(default_factory=list)

    def is_text(self, name: str) -> bool:
        return self.types[name] == "VARCHAR"

    def is_list(self, name: str) -> bool:
        return self.types[name].endswith("[]")


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
    columns = _look(connection, task)
    dropped: dict[str, int] = {}
    _numbered(connection, task, columns, dropped)
    classes, edges = _labelled(connection, task, columns, dropped, known)
    _check_numbers(connection, task, columns)
    slices = tuple(task.slices)
    selected = ["row_id", _label(task.label, classes, edges, columns), *_keys(task, columns)]
    selected += [f"{quoted(c)}::VARCHAR AS {quoted(f's_{n}')}" for n, c in task.slices.items()]
    for feature in _all_features(task):
        selected += _past(feature, columns) if feature.earlier else [_feature(feature, columns)]
    connection.execute(
        f"CREATE OR REPLACE TABLE prepared AS SELECT {', '.join(selected)} FROM kept"
        " ORDER BY md5(row_id), row_id"
    )
    connection.execute("DROP TABLE kept")
    for feature in _all_features(task):
        if feature.earlier:
            _add_history(connection, feature, feature.earlier)
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
    rows = _count(connection, "prepared")
    if not rows:
        raise InputError(f"No row of {source.described} is left for {task.name}: {dropped or 0}.")
    rates = _base_rate(connection, task, classes)
    return Prepared(rows, dropped, classes, edges, _lacks(connection, task), slices, rates)


@dataclass(frozen=True)
class Values:
    """SQL over the columns of a table: the name of a row, and the values of its features."""

    row_id: str
    features: tuple[str, ...]


def values(connection: duckdb.DuckDBPyConnection, task: Task, source: Source) -> Values:
    """What a row's features are read from, for a table that need not have a label.

    Rows without a key are named by the hash of their content, so that equal rows share a name.

    Raises:
        InputError: columns are missing, or their values are not what the task takes them for.
    """
    connection.execute(f"CREATE OR REPLACE TEMP VIEW source AS {source.scan}")
    used = [*task.table.row_key, *(feature.column for feature in _all_features(task))]
    columns = _look(connection, task, used)
    _refuse_odd_numbers(connection, _numbers(task), columns, "source")
    content = [name for name in columns.types if name not in task.table.ignore]
    return Values(
        _key(task) if task.table.row_key else f"md5({_joined(content)})",
        tuple(_feature(feature, columns) for feature in _all_features(task)),
    )


def _look(
    connection: duckdb.DuckDBPyConnection, task: Task, names: list[str] | None = None
) -> _Columns:
    try:
        described = connection.execute("DESCRIBE source").fetchall()
    except duckdb.Error as error:
        raise InputError(f"The table cannot be read: {str(error).splitlines()[0]}") from error
    columns = _Columns({row[0]: row[1] for row in described})
    used = dict.fromkeys(_used(task) if names is None else names)
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


def _used(task: Task) -> Iterator[str]:
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
    for feature in _all_features(task):
        yield from feature.columns


def _all_features(task: Task) -> list[Feature]:
    features = task.features.list
    if odd := [f.name for f in features if not plain(f.name)]:
        raise ConfigError(
            f"Features are named by letters, digits and underscores, not: {', '.join(odd)}."
        )
    return features


def _numbered(
    connection: duckdb.DuckDBPyConnection, task: Task, columns: _Columns, dropped: dict[str, int]
) -> None:
    """Make ``kept``: the rows that the task takes, each with its name."""
    table = task.table
    content = [name for name in columns.types if name not in table.ignore]
    connection.execute(
        f"CREATE OR REPLACE TABLE kept AS SELECT *, md5({_joined(content)}) AS content_id"
        " FROM source"
    )
    before = _count(connection, "kept")
    if table.distinct:
        connection.execute(
            "CREATE OR REPLACE TABLE kept AS SELECT * FROM kept"
            " QUALIFY row_number() OVER (PARTITION BY content_id) = 1"
        )
        before = _dropped(connection, dropped, "repeats of a row", before)
    for condition in table.where:
        for what, holds in _conditions(condition, columns):
            connection.execute(f"DELETE FROM kept WHERE ({holds}) IS NOT TRUE")
            before = _dropped(connection, dropped, what, before)
    if not table.row_key:
        name = "content_id || '-' || row_number() OVER (PARTITION BY content_id)::VARCHAR"
    else:
        name = _key(task)
    connection.execute(f"CREATE OR REPLACE TABLE kept AS SELECT {name} AS row_id, * FROM kept")
    repeated = connection.execute(
        "SELECT row_id, count(*) FROM kept GROUP BY row_id"
        " HAVING count(*) > 1 OR row_id IS NULL ORDER BY 1 LIMIT 1"
    ).fetchall()
    if repeated:
        raise InputError(
            f"{', '.join(table.row_key)} does not name one row: {repeated[0][0]!r} stands in"
            f" {repeated[0][1]:,} rows."
        )


def _key(task: Task) -> str:
    """SQL of the key of a row: the value of one column, or several with their lengths."""
    key = task.table.row_key
    return f"{quoted(key[0])}::VARCHAR" if len(key) == 1 else _joined(key)


def _joined(names: tuple[str, ...] | list[str]) -> str:
    """SQL of a text that no other values of the columns give: each with its length."""
    parts = []
    for name in names:
        value = f"{quoted(name)}::VARCHAR"
        parts.append(f"coalesce(strlen({value})::VARCHAR || ':' || {value}, '-')")
    return " || ".join(parts)


def _conditions(condition: Condition, columns: _Columns) -> Iterator[tuple[str, str]]:
    name = quoted(condition.column)
    number = _number(condition.column, columns)
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


def _labelled(
    connection: duckdb.DuckDBPyConnection,
    task: Task,
    columns: _Columns,
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
    before = _count(connection, "kept")
    number = _number(label.column, columns)
    if label.kind == "number" or label.bins:
        _refuse_odd_numbers(connection, [label.column], columns)
        connection.execute(f"DELETE FROM kept WHERE {number} IS NULL OR NOT isfinite({number})")
        before = _dropped(connection, dropped, f"{label.column} unknown", before)
    if label.kind == "number":
        return (), ()
    if label.bins:
        edges = known.edges if known else _edges(connection, label, number)
        names = label.bins.names
    else:
        value = _class_of(label)
        connection.execute(f"DELETE FROM kept WHERE {value} IS NULL")
        _dropped(connection, dropped, f"{label.column} without a class", before)
        found = connection.execute(f"SELECT DISTINCT {value} FROM kept ORDER BY 1").fetchall()
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


def _label(
    label: Label | None, classes: tuple[str, ...], edges: tuple[float, ...], columns: _Columns
) -> str:
    """SQL of the label: the place of a class among the classes, or a number."""
    if label is None:
        return "NULL::DOUBLE AS label"
    number = _number(label.column, columns)
    if label.kind == "number":
        return f"{number} AS label"
    if label.bins:
        return f"{_bin(number, edges)} AS label"
    listed = ", ".join(map(text, classes))
    return f"list_position([{listed}], {_class_of(label)}) - 1 AS label"


def _keys(task: Task, columns: _Columns) -> Iterator[str]:
    """SQL of what must not stand on both sides."""
    entities = task.entities
    ids = [
        f"{text(f'{i}:')} || {quoted(name)}::VARCHAR" for i, name in enumerate(entities.recording)
    ]
    if entities.same_recording:
        parts = [
            f"trim(regexp_replace(lower(nfc_normalize({quoted(c)}::VARCHAR)),"
            r" '[^\p{L}\p{N}]+', ' ', 'g'))"
            for c in entities.same_recording
        ]
        ids.append("'s:' || " + " || chr(31) || ".join(parts))
    yield f"coalesce({', '.join(ids)}) AS recording" if ids else "NULL::VARCHAR AS recording"
    every = f"list_filter([{', '.join(ids)}], lambda k: k IS NOT NULL)" if ids else "[]::VARCHAR[]"
    yield f"{every} AS recordings"
    artists = "[]::VARCHAR[]"
    if entities.artists:
        arrays = [columns.is_list(name) for name in entities.artists.columns]
        artists = credits.lists(
            entities.artists.columns,
            entities.artists.titles,
            arrays=arrays,
            split=entities.artists.split,
        )
    yield f"({artists})[1] AS artist"
    yield f"{artists} AS artists"
    yield from _days(task, columns)


def _days(task: Task, columns: _Columns) -> Iterator[str]:
    """SQL of the first and last day that a date may stand for."""
    date = task.entities.date
    if date is None:
        yield from ("NULL::DATE AS starts", "NULL::DATE AS ends")
        return
    value = f"{quoted(date.column)}::VARCHAR"
    if date.years is not None:
        cases = " ".join(f"WHEN {text(k)} THEN '{y:04d}'" for k, y in date.years.items())
        value = f"(CASE {value} {cases} END)"
    value = f"regexp_extract({value}, '^(\\d{{4}}(-\\d{{2}}(-\\d{{2}})?)?)($|[ T])', 1)"
    length = f"length({value})"
    yield (
        f"CASE {length} WHEN 4 THEN TRY_CAST({value} || '-01-01' AS DATE) WHEN 7 THEN"
        f" TRY_CAST({value} || '-01' AS DATE) WHEN 10 THEN TRY_CAST({value} AS DATE) END AS starts"
    )
    yield (
        f"CASE {length} WHEN 4 THEN TRY_CAST({value} || '-12-31' AS DATE) WHEN 7 THEN"
        f" last_day(TRY_CAST({value} || '-01' AS DATE))"
        f" WHEN 10 THEN TRY_CAST({value} AS DATE) END AS ends"
    )


def _feature(feature: Feature, columns: _Columns) -> str:
    named = quoted(f"f_{feature.name}")
    if feature.form in TEXTS:
        return f"{quoted(feature.column)}::VARCHAR AS {named}"
    number = _number(feature.column, columns)
    return f"CASE WHEN isfinite({number}) THEN {number} END AS {named}"


def _past(feature: Feature, columns: _Columns) -> list[str]:
    """SQL of the group of a row, and of its number in millionths, whose sums are exact."""
    earlier = feature.earlier
    assert earlier is not None
    # The main artist is a prepared column, and the table may have another of its name.
    group = "NULL" if earlier.by == MAIN_ARTIST else quoted(earlier.by)
    number = "NULL::BIGINT"
    if earlier.of:
        value = _number(earlier.of, columns)
        number = f"CASE WHEN isfinite({value}) THEN round({value} * 1000000)::BIGINT END"
    return [
        f"{group}::VARCHAR AS {quoted(f'g_{feature.name}')}",
        f"{number} AS {quoted(f'm_{feature.name}')}",
    ]


def _add_history(connection: duckdb.DuckDBPyConnection, feature: Feature, earlier: Earlier) -> None:
    """Turn a feature's group and number into what earlier rows of the group say."""
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
        f" WHERE {group} IS NOT NULL AND ends IS NOT NULL GROUP BY ALL), past AS ("
        "SELECT key, day, sum(n) OVER before AS n, sum(total) OVER before AS total,"
        " sum(known) OVER before AS known, min(first) OVER before AS first FROM days"
        " WINDOW before AS (PARTITION BY key ORDER BY day))"
        f" SELECT rows.* EXCLUDE ({given}, {number}), CASE WHEN rows.{group} IS NOT NULL"
        f" AND rows.starts IS NOT NULL THEN {value} END AS {quoted(f'f_{feature.name}')}"
        f" FROM prepared AS rows ASOF LEFT JOIN past ON rows.{group} = past.key"
        " AND rows.starts > past.day ORDER BY md5(row_id), row_id"
    )


def _number(name: str, columns: _Columns) -> str:
    cast = "TRY_CAST" if columns.is_text(name) else "CAST"
    return f"{cast}({quoted(name)} AS DOUBLE)"


def _check_numbers(connection: duckdb.DuckDBPyConnection, task: Task, columns: _Columns) -> None:
    _refuse_odd_numbers(connection, _numbers(task), columns)


def _numbers(task: Task) -> list[str]:
    """The columns that features take for numbers."""
    features = _all_features(task)
    plain_ = [f.column for f in features if f.form not in TEXTS and not f.earlier]
    return plain_ + [f.earlier.of for f in features if f.earlier and f.earlier.of]


def _refuse_odd_numbers(
    connection: duckdb.DuckDBPyConnection,
    names: list[str],
    columns: _Columns,
    table: str = "kept",
) -> None:
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
            f" WHERE {quoted(name)} IS NOT NULL AND {_number(name, columns)} IS NULL",
        )
        if count:
            problems.append(f"{name} is no number in {count:,} rows, such as {example!r}")
    if problems:
        raise InputError(
            "Columns that the task takes for numbers are not: " + "; ".join(problems) + "."
        )


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


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    (found,) = one(connection, f"SELECT count(*) FROM {table}")
    return int(found)


def _dropped(
    connection: duckdb.DuckDBPyConnection, dropped: dict[str, int], why: str, before: int
) -> int:
    now = _count(connection, "kept")
    if now < before:
        dropped[why] = before - now
    return now


def with_history(connection: duckdb.DuckDBPyConnection, task: Task, source: Source) -> Values:
    """Make ``prepared`` for a table without labels, features of earlier rows among the values.

    Rows that the task leaves out have no values, unless it does so by their label.

    Raises:
        InputError: as `prepare`.
    """
    target = task.label.column if task.label else None
    where = tuple(c for c in task.table.where if c.column != target)
    unlabelled = {"label": None, "table": task.table.model_copy(update={"where": where})}
    prepare(connection, task.model_copy(update=unlabelled), source)
    named = tuple(quoted(f"f_{feature.name}") for feature in _all_features(task))
    return Values("row_id", named)


def typed(task: Task) -> Values:
    """What the features of one row given as texts are read from."""
    columns = _Columns({feature.column: "VARCHAR" for feature in _all_features(task)})
    return Values("'row'", tuple(_feature(f, columns) for f in _all_features(task)))
