"""What changed between two releases: rows by table, and key figures."""

from __future__ import annotations

from dataclasses import dataclass, field

from beatlake.reading.engine import connect, reading
from beatlake.reading.opened import OpenLake, OpenTable
from beatlake.sql import quoted


@dataclass(frozen=True)
class TableDiff:
    """Rows of one table in both releases; ``None`` rows: the release has no such table.

    ``changed`` counts keys whose row differs in any other column. A table without a key has only
    rows added and removed.
    """

    table: str
    rows_before: int | None
    rows_after: int | None
    added: int
    removed: int
    changed: int | None

    @property
    def same(self) -> bool:
        """Whether both releases hold the same rows."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Diff:
    """The tables that differ, and every key figure as before and after."""

    before: int
    after: int
    tables: list[TableDiff] = field(default_factory=list)
    figures: dict[str, tuple[float | None, float | None]] = field(default_factory=dict)


def diff(before: OpenLake, after: OpenLake, *, ops: bool = False) -> Diff:
    """Compare two releases of a lake, row by row; tables of the same version are not read.

    Args:
        before: the lake at one release.
        after: the lake at the other.
        ops: whether to compare the records of runs too, which always differ.
    """
    names = sorted({*before.tables, *after.tables})
    compared = [_table(before, after, name) for name in names if ops or not name.startswith("ops.")]
    figures = dict.fromkeys([*before.release.figures, *after.release.figures])
    return Diff(
        before.release.release,
        after.release.release,
        [found for found in compared if not found.same],
        {n: (before.release.figures.get(n), after.release.figures.get(n)) for n in figures},
    )


def _table(before: OpenLake, after: OpenLake, name: str) -> TableDiff:
    if name not in after.tables:
        rows = before.table(name).rows
        return TableDiff(name, rows, None, 0, rows, None)
    if name not in before.tables:
        rows = after.table(name).rows
        return TableDiff(name, None, rows, rows, 0, None)
    old, new = before.table(name), after.table(name)
    if old.version == new.version:
        return TableDiff(name, old.rows, new.rows, 0, 0, 0)
    key = _key(old, new)
    with reading(name, before, after):
        counts = _by_key(old, new, key) if key else _as_bags(old, new)
    return TableDiff(name, old.rows, new.rows, *counts)


def _key(old: OpenTable, new: OpenTable) -> tuple[str, ...]:
    """The key of the spec, if both versions have its columns."""
    from beatlake.tables import registry

    try:
        key = registry.table(new.name).key
    except KeyError:
        return ()
    has = {column.name for column in old.columns} & {column.name for column in new.columns}
    return key if set(key) <= has else ()


def _by_key(old: OpenTable, new: OpenTable, key: tuple[str, ...]) -> tuple[int, int, int]:
    on = " AND ".join(f"o.{quoted(k)} IS NOT DISTINCT FROM n.{quoted(k)}" for k in key)
    query = (
        f"WITH o AS (SELECT *, true AS _o, to_json(t) AS _j FROM ({old.scan}) t),"
        f" n AS (SELECT *, true AS _n, to_json(t) AS _j FROM ({new.scan}) t)"
        " SELECT count(*) FILTER (_o IS NULL), count(*) FILTER (_n IS NULL),"
        f" count(*) FILTER (_o AND _n AND o._j <> n._j) FROM o FULL JOIN n ON {on}"
    )
    row = connect().execute(query).fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


def _as_bags(old: OpenTable, new: OpenTable) -> tuple[int, int, None]:
    def only(one: OpenTable, other: OpenTable) -> int:
        query = (
            f"SELECT count(*) FROM (SELECT to_json(t) FROM ({one.scan}) t"
            f" EXCEPT ALL SELECT to_json(t) FROM ({other.scan}) t)"
        )
        row = connect().execute(query).fetchone()
        assert row is not None
        return int(row[0])

    return only(new, old), only(old, new), None
