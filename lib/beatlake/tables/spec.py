"""What a table is: columns, types, nullability, units, comments, key and checks, in one place.

The DDL, the Delta column comments, the NOT NULL and CHECK constraints, the validation of a frame
before it is written, the data dictionary and the empty tables of absent inputs all come from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Properties that every table gets, because workspaces have other defaults. They keep a table at
#: Delta reader version 1, which delta-rs, Polars, DuckDB and pandas can read.
PROPERTIES: Mapping[str, str] = {
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.enableRowTracking": "false",
    "delta.enableTypeWidening": "false",
    "delta.autoOptimize.autoCompact": "false",
    "delta.autoOptimize.optimizeWrite": "false",
    "delta.checkpointInterval": "100",
    # Keys and dates come first; statistics of every measure make writes slower and skip nothing.
    "delta.dataSkippingNumIndexedCols": "8",
}


class SpecError(Exception):
    """A frame is not what the table's spec says; the message lists every discrepancy."""


@dataclass(frozen=True)
class Column:
    """One column: ``type`` is Spark's simple type name, ``unit`` what one unit of the value is."""

    name: str
    type: str
    comment: str
    nullable: bool = True
    unit: str | None = None

    @property
    def description(self) -> str:
        """The comment with its unit, as analysts read it in the catalogue."""
        return f"{self.comment} Unit: {self.unit}." if self.unit else self.comment


@dataclass(frozen=True)
class Table:
    """One table of the lake, ``name`` being ``layer.table``.

    ``key`` names the columns that identify a row (checked on every run), ``checks`` maps
    constraint names to SQL conditions.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a spec that names columns it does not have, or one column twice."""
        names = [column.name for column in self.columns]
        repeated = {name for name in names if names.count(name) > 1}
        unknown = set(self.key) - set(names)
        if repeated or unknown:
            raise SpecError(f"{self.name}: repeated columns {repeated}, unknown {unknown}")

    @property
    def layer(self) -> str:
        """The part before the dot: bronze, quarantine, silver, gold, ml or ops."""
        return self.name.split(".", 1)[0]

    @property
    def column_names(self) -> list[str]:
        """Column names in order."""
        return [column.name for column in self.columns]

    def ddl(self, identifier: str) -> str:
        """The CREATE TABLE statement for this spec under ``identifier`` (already quoted)."""
        columns = ",\n  ".join(
            f"`{column.name}` {column.type}{'' if column.nullable else ' NOT NULL'}"
            f" COMMENT {_literal(column.description)}"
            for column in self.columns
        )
        properties = dict(PROPERTIES)
        properties |= {f"delta.constraints.{name}": sql for name, sql in self.checks.items()}
        listed = ", ".join(f"{_literal(k)} = {_literal(v)}" for k, v in properties.items())
        return (
            f"CREATE TABLE {identifier} (\n  {columns}\n) USING DELTA"
            f" COMMENT {_literal(self.comment)} TBLPROPERTIES ({listed})"
        )

    @property
    def schema_ddl(self) -> str:
        """The columns as a DDL string, as ``createDataFrame`` and ``from_json`` take it."""
        return ", ".join(f"`{column.name}` {column.type}" for column in self.columns)

    def empty(self, spark: SparkSession) -> DataFrame:
        """A frame of no rows with the spec's columns."""
        return spark.createDataFrame([], self.schema_ddl)

    def conform(self, frame: DataFrame) -> DataFrame:
        """``frame`` with the spec's columns in the spec's order.

        Nullability is not judged here but by the table's NOT NULL constraints when it is written,
        because a frame's own flags only say what Spark could prove.

        Raises:
            SpecError: naming every missing, unexpected or differently typed column at once.
        """
        found = {f.name: f.dataType.simpleString() for f in frame.schema.fields}
        expected = {c.name: c.type for c in self.columns}
        problems = [f"missing column {name}" for name in expected if name not in found]
        problems += [f"unexpected column {name}" for name in found if name not in expected]
        problems += [
            f"{name} is {found[name]}, expected {kind}"
            for name, kind in expected.items()
            if name in found and found[name] != kind
        ]
        if problems:
            raise SpecError(f"{self.name} does not match its spec: " + "; ".join(problems) + ".")
        return frame.select(*expected)


def _literal(text: str) -> str:
    r"""A SQL string literal.

    >>> print(_literal("Beatport's own"))
    'Beatport\'s own'
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
