"""Queries: SQL over sources, and what follows from them before any row is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import duckdb
import pyarrow as pa

from beatlake.buckets import UNCUT, Cut
from beatlake.exchange.database import views_of
from beatlake.exchange.stored import Stored
from beatlake.quality.counting import Count, FlagCount

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Scanned:
    """A source of which every task sees one data file."""

    table: Stored


@dataclass(frozen=True)
class Whole:
    """A source of which every task sees all rows: for small tables."""

    table: Stored


@dataclass(frozen=True)
class Dealt:
    """A source whose rows go to the bucket of their key: equal integers or texts meet.

    Where the rows come from tables that are cut by that very column, they are in their buckets
    already and stay where they are: the column must be the table's own, as it is.

    Args:
        rows: the rows.
        by: the columns of their key.
        into: the cut whose buckets they go to, where it matters.
        repeated: columns of which a view ``NAME_repeated`` has the values that several rows have,
            none of them null, and ``_copies``, how many; those of ``by`` must be among them.
    """

    rows: Query
    by: tuple[str, ...]
    into: Cut = UNCUT
    repeated: tuple[str, ...] = ()

    @cached_property
    def cut(self) -> Cut:
        """How its rows are cut as they lie; `UNCUT` where they must be dealt."""
        found = {s.cut if s.by == self.by else UNCUT for _, s in self.rows.of_kind(Dealt)}
        found |= {
            s.table.cut if (s.table.bucket_by,) == self.by else UNCUT
            for _, s in self.rows.of_kind(Scanned)
        }
        return found.pop() if len(found) == 1 else UNCUT


@dataclass(frozen=True)
class Query:
    """SQL over sources, which are its views by name.

    Args:
        sql: a SELECT.
        sources: what it reads, by the name of the view.
        counts: what is counted of its rows, in the same pass.
        keep: a condition on the rows that go on to where the query's rows are used; they go
            without columns whose name begins with an underscore.
        steps: what a task computes of the sources first, one after the other: SELECTs by the name
            of the table that the SQL reads. Each has the task's memory to itself.
        holds: how many values of each row a task must hold at once and can put none of aside on
            disk: those of which exact percentiles are taken in one step.

    Raises:
        ValueError: a scanned source stands beside another one that is scanned or dealt.
    """

    sql: str
    sources: Mapping[str, Scanned | Whole | Dealt]
    counts: Sequence[Count | FlagCount] = field(default=())
    keep: str | None = None
    steps: Mapping[str, str] = field(default_factory=dict)
    holds: int = 0

    def __post_init__(self) -> None:
        """Refuse sources of which a task cannot see matching shares."""
        if self.of_kind(Scanned) and len(self.sources) > 1 + len(self.of_kind(Whole)):
            raise ValueError(f"A scanned source stands beside others: {', '.join(self.sources)}")

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the rows that go on.

        Raises:
            duckdb.Error: the SQL does not fit the sources.
        """
        schemas = {name: _schema(source) for name, source in self.sources.items()}
        for name, source in self.of_kind(Dealt):
            if source.repeated:
                schemas[f"{name}_repeated"] = schema_of_repeated(source)
        with views_of({name: each.empty_table() for name, each in schemas.items()}) as views:
            schema = views.sql(prepared(views, self)).to_arrow_table().schema
        return pa.schema([field for field in schema if not field.name.startswith("_")])

    def of_kind(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """Its sources of a kind by name, in their order."""
        return [(name, s) for name, s in self.sources.items() if isinstance(s, kind)]

    @cached_property
    def rows(self) -> int:
        """About how many rows it gives: as many as its largest source."""
        sources = self.sources.values()
        return max(s.rows.rows if isinstance(s, Dealt) else s.table.rows for s in sources)

    @cached_property
    def cut(self) -> Cut:
        """How its dealt sources are cut where they meet: as is asked, or as some lie already.

        Where they lie in several ways, the largest ones stay. `UNCUT` leaves it to the exchange.
        """
        dealt = [source for _, source in self.of_kind(Dealt)]
        asked = [source.into for source in dealt if source.into != UNCUT]
        lying = [(source.rows.rows, source.cut.name, source.cut) for source in dealt]
        cut = [each for each in lying if each[-1] != UNCUT]
        return asked[0] if asked else max(cut)[-1] if cut else UNCUT

    def buckets(self, task_values: int) -> int:
        """Into how many buckets its dealt sources go.

        Args:
            task_values: how many values (rows times columns) a task may hold.
        """
        dealt = [source.rows for _, source in self.of_kind(Dealt)]
        values = sum(query.rows * len(query.schema) for query in dealt)
        return -(-values // task_values) or 1

    def is_small(self, values: int) -> bool:
        """Whether no step of it has more than so many values (rows times columns)."""
        dealt = [source.rows for _, source in self.of_kind(Dealt)]
        if not dealt:
            return self.rows * len(self.schema) <= values
        return self.buckets(values) == 1 and all(query.is_small(values) for query in dealt)


def select(table: Stored, *columns: str, where: str | None = None) -> Query:
    """The columns of a table's rows, given as SQL."""
    condition = f" WHERE {where}" if where else ""
    return Query(f"SELECT {', '.join(columns)} FROM stored{condition}", {"stored": Scanned(table)})


def prepared(views: duckdb.DuckDBPyConnection, query: Query, sources: str = "") -> str:
    """SQL for all rows of a query, whose steps are done.

    Args:
        views: has the query's sources as views, unless they are given.
        query: the query.
        sources: a WITH clause that says what they are.
    """
    for name, sql in query.steps.items():
        views.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {sources} SELECT * FROM ({sql})")
    return f"{sources} SELECT * FROM ({query.sql})"


def schema_of_repeated(source: Dealt) -> pa.Schema:
    """The columns of the view of values that several rows of a source have."""
    fields = [source.rows.schema.field(column) for column in source.repeated]
    return pa.schema([*fields, pa.field("_copies", pa.int64())])


def _schema(source: Scanned | Whole | Dealt) -> pa.Schema:
    return source.rows.schema if isinstance(source, Dealt) else source.table.schema
