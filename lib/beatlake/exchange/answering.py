"""How a query is answered in DuckDB, for the share of its sources that a task sees."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from beatlake.exchange.database import of_each_row, views_of
from beatlake.exchange.query import Dealt, Query, Scanned, prepared, schema_of_repeated
from beatlake.exchange.stored import Stored
from beatlake.quality.counting import Count, FlagCount, Tally

#: An answer comes in pieces of so many rows, so that nobody needs memory for all of them.
_PIECE_ROWS = 200_000


def answer(
    views: duckdb.DuckDBPyConnection, query: Query, sources: str = ""
) -> Iterator[tuple[pa.Table, list[Tally]]]:
    """The rows of a query that go on, in pieces, each with what was counted of it.

    Args:
        views: has the query's sources as views, unless they are given.
        query: the query.
        sources: a WITH clause that says what they are (`gathered`).
    """
    reader = views.sql(prepared(views, query, sources)).to_arrow_reader(_PIECE_ROWS)
    pieces = (pa.Table.from_batches([batch]) for batch in reader)
    # That nothing was counted must be said, too.
    first = next(pieces, reader.schema.empty_table())
    with views_of({}) as beside:
        for piece in itertools.chain([first], pieces):
            beside.register("result", piece)
            tallies = _totals(beside, "result", query.counts)
            yield _going_on(piece, query), tallies


@dataclass(frozen=True)
class Share:
    """What a task sees of a query's dealt sources: one bucket, of which some rows were dealt.

    Args:
        bucket: the bucket's number; None stands for everything.
        dealt: the rows of those sources that were dealt, by name; the others lie in their files.
    """

    bucket: int | None = None
    dealt: Mapping[str, pa.Table] = field(default_factory=dict)


def gathered(
    views: duckdb.DuckDBPyConnection, query: Query, share: Share, *, often: bool = False
) -> tuple[str, list[Tally]]:
    """A share of a query's sources, from the data files on, as a WITH clause; what was counted.

    DuckDB then plans all steps as one: it reads the columns that the last of them needs, and
    holds no more than it must. Only what would otherwise be computed again, because it is counted
    or asked for often, becomes a table of the connection first.

    Args:
        views: where the query will be run.
        query: the query.
        share: which rows.
        often: whether other queries of the same sources follow.
    """
    steps: list[str] = []
    tallies: list[Tally] = []
    for name, source in query.sources.items():
        if name in share.dealt:
            steps.append(f"{name} AS NOT MATERIALIZED ({_registered(views, share.dealt[name])})")
        elif isinstance(source, Dealt):
            own = replace(share, dealt={})
            sql, counted = _step(views, source.rows, own, often=often)
            # Data files are read again for fewer columns, rather than held.
            how = "" if source.rows.of_kind(Dealt) else "NOT MATERIALIZED "
            steps.append(f"{name} AS {how}({sql})")
            tallies += counted
        else:
            table = source.table
            if isinstance(source, Scanned) and share.bucket is not None:
                table = table.bucket(share.bucket)
            steps.append(f"{name} AS NOT MATERIALIZED ({_all_rows(views, table)})")
        if isinstance(source, Dealt) and source.repeated:
            repeated = _repeated(views, name, steps[-1], source)
            steps.append(f"{name}_repeated AS ({_registered(views, repeated)})")
    return f"WITH {', '.join(steps)}", tallies


def _step(
    views: duckdb.DuckDBPyConnection, query: Query, share: Share, *, often: bool
) -> tuple[str, list[Tally]]:
    """SQL for the rows of a query that go on to another one, and what was counted."""
    sources, tallies = gathered(views, query, share)
    rows = f"({prepared(views, query, sources)})"
    # Counting what lies in data files reads the columns that it needs.
    if query.of_kind(Dealt) and (query.counts or often):
        table = f"step_{uuid4().hex}"
        views.execute(f"CREATE TEMP TABLE {table} AS {rows}")
        rows = table
    tallies += _totals(views, rows, query.counts)
    kept = "" if query.keep is None else f" WHERE {query.keep}"
    return f"SELECT {', '.join(query.schema.names)} FROM {rows}{kept}", tallies


def _repeated(views: duckdb.DuckDBPyConnection, name: str, step: str, source: Dealt) -> pa.Table:
    """The values that several rows of a step have, and how many."""
    by = ", ".join(source.repeated)
    # Hardly any, which sorted hashes tell in a tenth of the time that it takes to group values.
    given = f"WITH {step} SELECT hash({by}) AS hash FROM {name}"
    hashes = np.sort(views.sql(given).to_arrow_table().column(0).to_numpy())
    alike = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(alike):
        return schema_of_repeated(source).empty_table()
    found = _registered(views, pa.table({"hash": alike}))
    return views.sql(f"""
        WITH {step} SELECT {by}, count(*) AS _copies FROM {name}
        WHERE hash({by}) IN ({found}) GROUP BY {by} HAVING count(*) > 1
    """).to_arrow_table()


def _all_rows(views: duckdb.DuckDBPyConnection, table: Stored) -> str:
    if table.files:
        return table.sql()
    return _registered(views, table.schema.empty_table())


def _registered(views: duckdb.DuckDBPyConnection, rows: pa.Table) -> str:
    name = f"rows_{uuid4().hex}"
    views.register(name, rows)
    return f"SELECT * FROM {name}"


def _going_on(result: pa.Table, query: Query) -> pa.Table:
    shown = result.select([name for name in result.column_names if not name.startswith("_")])
    if query.keep is None:
        return shown
    kept = of_each_row(result, f"({query.keep}) IS TRUE")
    # Hardly ever any row goes, and to filter copies those that stay.
    return shown if pc.all(kept, min_count=0).as_py() else shown.filter(kept)


def _totals(
    views: duckdb.DuckDBPyConnection, rows: str, counts: Sequence[Count | FlagCount]
) -> list[Tally]:
    tallies: list[Tally] = []
    if single := [count for count in counts if isinstance(count, Count)]:
        parts = [f"{c.rows}, {c.example or 'NULL'}" for c in single]
        (found,) = views.execute(f"SELECT {', '.join(parts)} FROM {rows}").fetchall()
        values = zip(single, found[::2], found[1::2], strict=True)
        tallies += [count.tally(int(number or 0), example) for count, number, example in values]
    for count in counts:
        if isinstance(count, FlagCount):
            tallies += [count.tally(*found) for found in views.execute(count.sql(rows)).fetchall()]
    return tallies
